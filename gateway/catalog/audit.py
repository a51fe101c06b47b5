"""Programs that count and compare: what ``nexus stats`` and ``nexus fsck`` ask."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.catalog.base import Program, Row
from gateway.catalog.blobs import LIVE

_BY_DIGEST = (
    "SELECT b.name, o.key FROM {0} AS o JOIN buckets AS b ON b.id = o.bucket_id"
    " WHERE o.digest = ?3 AND o.store_id = ?1 AND o.scope = ?2"
)
_BY_MANIFEST = (
    "SELECT b.name, o.key FROM manifest_blocks AS k JOIN manifests AS m ON m.id = k.manifest_id"
    " JOIN {0} AS o ON o.manifest_id = m.id JOIN buckets AS b ON b.id = o.bucket_id"
    " WHERE k.digest = ?3 AND m.store_id = ?1 AND m.scope = ?2"
)
_NAMED_BY = (
    " UNION ".join(by.format(table) for by in (_BY_DIGEST, _BY_MANIFEST) for table in ("objects", "versions"))
    + " LIMIT ?4"
)


def usage() -> Program[list[Row]]:
    """(store id, backend type, mounted, objects, logical bytes, blobs, stored bytes) of each store."""
    return (
        yield (
            "SELECT s.id, s.backend_type, (SELECT count(*) FROM mounts WHERE store_id = s.id),"
            " (SELECT count(*) FROM objects WHERE store_id = s.id)"
            " + (SELECT count(*) FROM versions WHERE store_id = s.id),"
            " (SELECT coalesce(sum(size), 0) FROM objects WHERE store_id = s.id)"
            " + (SELECT coalesce(sum(size), 0) FROM versions WHERE store_id = s.id),"
            " (SELECT count(*) FROM blobs WHERE store_id = s.id AND state = 0),"
            " (SELECT coalesce(sum(size), 0) FROM blobs WHERE store_id = s.id AND state = 0)"
            " FROM stores AS s ORDER BY s.id",
            (),
        )
    )


def count_unmounted() -> Program[int]:
    """How many blobs lie in stores that no mount points at."""
    rows = yield (
        "SELECT count(*) FROM blobs WHERE state <> 1 AND NOT EXISTS"
        " (SELECT 1 FROM mounts WHERE mounts.store_id = blobs.store_id)",
        (),
    )
    return int(rows[0][0])


def count_objects() -> Program[int]:
    rows = yield "SELECT (SELECT count(*) FROM objects) + (SELECT count(*) FROM versions WHERE is_marker = 0)", ()
    return int(rows[0][0])


def objects_without_blobs(limit: int) -> Program[list[Row]]:
    """(store, scope, digest) of contents that objects name and no row of ``blobs`` promises."""
    missing = (
        "NOT EXISTS (SELECT 1 FROM blobs AS x WHERE x.store_id = {0}.store_id AND x.scope = {0}.scope"
        " AND x.digest = {1}.digest)"
    )
    return (
        yield (
            "SELECT o.store_id, o.scope, o.digest FROM objects AS o WHERE o.digest IS NOT NULL AND "
            + missing.format("o", "o")
            + " UNION SELECT v.store_id, v.scope, v.digest FROM versions AS v WHERE v.digest IS NOT NULL AND "
            + missing.format("v", "v")
            + " UNION SELECT p.store_id, p.scope, p.digest FROM parts AS p WHERE p.digest IS NOT NULL AND "
            + missing.format("p", "p")
            + " UNION SELECT m.store_id, m.scope, k.digest FROM manifest_blocks AS k JOIN manifests AS m"
            " ON m.id = k.manifest_id WHERE m.dead_since IS NULL AND " + missing.format("m", "k") + " LIMIT ?",
            (limit,),
        )
    )


def unreferenced(store_id: int, limit: int) -> Program[list[Row]]:
    """(scope, digest, size) of live blobs that nothing names and that no mark hands to the collector."""
    return (
        yield (
            "SELECT x.scope, x.digest, x.size FROM blobs AS x WHERE x.store_id = ? AND x.state = ?"
            " AND NOT EXISTS (SELECT 1 FROM garbage AS g WHERE g.store_id = x.store_id AND g.scope = x.scope"
            " AND g.digest = x.digest)"
            " AND NOT EXISTS (SELECT 1 FROM objects AS o WHERE o.digest = x.digest AND o.store_id = x.store_id"
            " AND o.scope = x.scope)"
            " AND NOT EXISTS (SELECT 1 FROM versions AS v WHERE v.digest = x.digest AND v.store_id = x.store_id"
            " AND v.scope = x.scope)"
            " AND NOT EXISTS (SELECT 1 FROM parts AS p WHERE p.digest = x.digest AND p.store_id = x.store_id"
            " AND p.scope = x.scope)"
            " AND NOT EXISTS (SELECT 1 FROM manifest_blocks AS k JOIN manifests AS m ON m.id = k.manifest_id"
            " WHERE k.digest = x.digest AND m.store_id = x.store_id AND m.scope = x.scope) LIMIT ?",
            (store_id, LIVE, limit),
        )
    )


def named_by(store_id: int, scope: str, digest: str, limit: int) -> Program[list[str]]:
    """Paths of objects that have a blob in them."""
    rows = yield _NAMED_BY, (store_id, scope, bytes.fromhex(digest), limit)
    return [f"/{bucket}/{key.decode()}" for bucket, key in rows]


def states_of(store_id: int, names: Sequence[tuple[str, str]]) -> Program[list[int | None]]:
    """The state of each of a few (scope, digest), None without a row."""
    found: list[int | None] = []
    for scope, digest in names:
        rows = yield (
            "SELECT state FROM blobs WHERE store_id = ? AND scope = ? AND digest = ?",
            (store_id, scope, bytes.fromhex(digest)),
        )
        found.append(rows[0][0] if rows else None)
    return found
