"""A catalog that was in use before tenants were counted knows afterwards what they use."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from gateway.catalog import migrate

NUMBER = 10


def test_what_is_there_already_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = migrate.migrations()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        monkeypatch.setattr(migrate, "migrations", lambda: [each for each in everything if each[0] < NUMBER])
        migrate.migrate(conn)
        for tenant in ("acme", "empty"):
            conn.execute("INSERT INTO tenants (id, created_at) VALUES (?, 0)", (tenant,))
        bucket = "INSERT INTO buckets (id, name, owner_id, tenant, region, created_at, ownership) VALUES"
        conn.execute(f"{bucket} (1, 'b', 'ann', 'acme', 'us-east-1', 0, '')")
        columns = "store_id, scope, size, etag, modified_at, created_at, owner_id, content_type, storage_class"
        values = "1, 'acme', ?, '', 0, 0, 'ann', '', ''"
        for key, size in ((b"a", 3), (b"b", 4)):
            conn.execute(
                f"INSERT INTO objects (bucket_id, key, {columns}, version, parts) VALUES (1, ?, {values}, 2, 0)",
                (key, size),
            )
        for version, marker, size in ((1, 0, 50), (3, 1, 0)):
            conn.execute(
                f"INSERT INTO versions (bucket_id, key, {columns}, version, parts, version_id, is_marker)"
                f" VALUES (1, x'61', {values}, ?, 0, ?, ?)",
                (size, version, str(version), marker),
            )
        conn.execute(
            "INSERT INTO uploads (id, bucket_id, key, initiated_at, owner_id, store_id, scope, attributes)"
            " VALUES ('u', 1, x'61', 0, 'ann', 1, 'acme', '[]')"
        )
        conn.execute(
            "INSERT INTO parts (upload_id, number, store_id, scope, size, etag, modified_at)"
            " VALUES ('u', 1, 1, 'acme', 600, '', 0)"
        )
        monkeypatch.setattr(migrate, "migrations", lambda: everything)
        migrate.migrate(conn)
        found = conn.execute(
            "SELECT id, objects, object_bytes, versions, version_bytes, parts, part_bytes FROM tenants ORDER BY id"
        ).fetchall()
    assert found == [("acme", 2, 7, 1, 50, 1, 600), ("empty", 0, 0, 0, 0, 0, 0)]
