"""A catalog whose rows lay as they were put has every one of them afterwards, and counts on."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.catalog import migrate

NUMBER = 13
OBJECT = (
    "bucket_id, key, size, etag, modified_at, storage_class, owner_id, checksum_algorithm, checksum_type, version,"
    " version_id, store_id, scope, digest, manifest_id, created_at, content_type, checksum_value, parts, lock_mode,"
    " lock_until, legal_hold, encryption, acl, tags, headers, metadata"
)
VERSION = f"{OBJECT}, is_marker, noncurrent_since"


def _row(key: bytes, version: int) -> tuple[object, ...]:
    """A row whose columns all differ, so that none can be taken for another."""
    texts = [f"{key!r} {version} {column}" for column in range(27)]
    return (1, key, version * 10, *texts[3:9], version, f"v{version}", *texts[11:])


def test_a_large_catalog_is_sorted_on_disk_and_leaves_no_long_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "temp_store, secure_delete"
    watched = "CREATE TABLE seen AS SELECT * FROM pragma_temp_store, pragma_secure_delete;\n"
    log = tmp_path / "it's" / "catalog.db-wal"
    log.parent.mkdir()
    with closing(sqlite3.connect(log.parent / "catalog.db", isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA temp_store=MEMORY")
        before = conn.execute("SELECT * FROM pragma_temp_store, pragma_secure_delete").fetchall()
        everything = [*migrate.migrations(), (9999, watched)]
        monkeypatch.setattr(migrate, "migrations", lambda: everything)
        migrate.migrate(conn)
        assert conn.execute(f"SELECT {settings} FROM seen").fetchall() == [(1, 2)]
        assert conn.execute("SELECT * FROM pragma_temp_store, pragma_secure_delete").fetchall() == before
        assert conn.execute("PRAGMA temp_store_directory").fetchall() == []
        assert log.stat().st_size == 0


def test_a_full_disk_leaves_the_catalog_as_it_was_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = migrate.migrations()
    with closing(sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)) as conn:
        monkeypatch.setattr(migrate, "migrations", lambda: [each for each in everything if each[0] < NUMBER])
        migrate.migrate(conn)
        conn.executemany(
            f"INSERT INTO objects ({OBJECT}) VALUES ({', '.join('?' * 27)})", [_row(b"%d" % n, 9) for n in range(3000)]
        )
        monkeypatch.setattr(migrate, "migrations", lambda: everything)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "catalog.db").stat().st_size, limits[1]))
        try:
            with pytest.raises(migrate.CatalogNotMigrated, match="schema 13 and is as it was"):
                migrate.migrate(conn)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert conn.execute("SELECT max(number) FROM schema_migrations").fetchall() < [(NUMBER,)]
        migrate.migrate(conn)
        assert conn.execute("SELECT count(*) FROM objects").fetchall() == [(3000,)]


def test_every_row_and_every_sum_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = migrate.migrations()
    objects = [_row(key, 9) for key in (b"m", b"a\xff", b"z/\x00", b"a")]
    versions = [(*_row(key, version), 0, 7) for key in (b"m", b"a") for version in (1, 3, 2)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        monkeypatch.setattr(migrate, "migrations", lambda: [each for each in everything if each[0] < NUMBER])
        migrate.migrate(conn)
        conn.execute("INSERT INTO tenants (id, created_at) VALUES ('acme', 0)")
        conn.execute(
            "INSERT INTO buckets (id, name, owner_id, tenant, region, created_at, ownership)"
            " VALUES (1, 'b', 'ann', 'acme', 'us-east-1', 0, '')"
        )
        conn.executemany(f"INSERT INTO objects ({OBJECT}) VALUES ({', '.join('?' * 27)})", objects)
        conn.executemany(f"INSERT INTO versions ({VERSION}) VALUES ({', '.join('?' * 29)})", versions)
        monkeypatch.setattr(migrate, "migrations", lambda: everything)
        migrate.migrate(conn)
        assert conn.execute(f"SELECT {OBJECT} FROM objects").fetchall() == sorted(objects)
        assert sorted(conn.execute(f"SELECT {VERSION} FROM versions").fetchall()) == sorted(versions)
        conn.execute("UPDATE objects SET size = 5 WHERE key = x'61'")
        conn.execute("DELETE FROM objects WHERE key = x'6d'")
        conn.execute("DELETE FROM versions WHERE key = x'6d'")
        sums = "objects, object_bytes, versions, version_bytes"
        assert conn.execute(f"SELECT {sums} FROM tenants").fetchall() == [(3, 185, 3, 60)]
        with pytest.raises(sqlite3.IntegrityError):
            conn.execute(f"INSERT INTO objects ({OBJECT}) VALUES ({', '.join('?' * 27)})", _row(b"a", 4))
