"""Programs over the versions of a key.

``objects`` holds what a key shows; ``versions`` holds what it no longer shows, and delete markers. A key whose latest
version is a marker has no row in ``objects``. A bucket that was never versioned has no row in ``versions``, and its
writes do not come here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.catalog import rows
from gateway.catalog.base import Program
from gateway.catalog.blobs import release
from gateway.errors import IsDeleteMarker, ObjectNotFound, VersionNotFound
from gateway.locks import check_removal, check_retention_change
from gateway.types import Bucket, Lock, ObjectInfo
from gateway.versioning import NULL, shown_id

_BY_ID = "WHERE bucket_id = ? AND key = ? AND version_id = ?"


class Latest(NamedTuple):
    """The last of the versions that a key does not show: a delete marker, or what goes back to being shown."""

    version: int
    version_id: str
    is_marker: bool
    modified_at: int


def find_version(bucket_id: int, key: str, version_id: str) -> Program[ObjectInfo | None]:
    """A version by its id, be it the one that is shown, another, or a delete marker."""
    where = (bucket_id, key.encode(), version_id)
    found = yield f"SELECT {rows.OBJECT} FROM objects {_BY_ID}", where
    if found:
        return rows.object_info(found[0])
    found = yield f"SELECT {rows.OBJECT}, is_marker FROM versions {_BY_ID}", where
    return rows.object_info(found[0][:-1], bool(found[0][-1])) if found else None


def latest(bucket_id: int, key: bytes) -> Program[Latest | None]:
    """The last version of a key that shows nothing, or of one whose shown version was just taken away."""
    found = yield (
        "SELECT version, version_id, is_marker, modified_at FROM versions WHERE bucket_id = ? AND key = ?"
        " ORDER BY version DESC LIMIT 1",
        (bucket_id, key),
    )
    return Latest(found[0][0], found[0][1], bool(found[0][2]), found[0][3]) if found else None


def keep(bucket_id: int, key: bytes, now: int) -> Program[None]:
    """Copy the version that a key shows among those that it does not; the caller replaces it."""
    yield (
        f"INSERT INTO versions ({rows.OBJECT}, is_marker, noncurrent_since) SELECT {rows.OBJECT}, 0, ? FROM objects"
        " WHERE bucket_id = ? AND key = ?",
        (now, bucket_id, key),
    )


def supersede(bucket_id: int, key: bytes, version: int, now: int) -> Program[None]:
    """Note that a delete marker is no longer the latest."""
    yield (
        "UPDATE versions SET noncurrent_since = ? WHERE bucket_id = ? AND key = ? AND version = ?",
        (now, bucket_id, key, version),
    )


def drop_null(bucket_id: int, key: bytes, now: int) -> Program[None]:
    """Remove the null version from those that are not shown, for a new null version takes its place.

    Raises ObjectLocked.
    """
    yield from drop(bucket_id, key, NULL, now, bypass=False)


class Dropped(NamedTuple):
    is_marker: bool
    was_latest: bool


def drop(bucket_id: int, key: bytes, version_id: str, now: int, *, bypass: bool) -> Program[Dropped | None]:
    """Remove one of the versions that are not shown. Raises ObjectLocked."""
    found = yield (
        "SELECT version, is_marker, noncurrent_since, store_id, scope, digest, manifest_id,"
        f" lock_mode, lock_until, legal_hold FROM versions {_BY_ID}",
        (bucket_id, key, version_id),
    )
    if not found:
        return None
    version, is_marker, since, store_id, scope, digest, manifest_id, *locked = found[0]
    check_removal(rows.lock(*locked), now, bypass)
    yield "DELETE FROM versions WHERE bucket_id = ? AND key = ? AND version = ?", (bucket_id, key, version)
    yield from release(store_id, scope, digest, manifest_id, now)
    return Dropped(bool(is_marker), since is None)


def promote(bucket_id: int, key: bytes) -> Program[None]:
    """After the latest version is gone: let the key show the one before, unless that is a delete marker."""
    last = yield from latest(bucket_id, key)
    if last is None:
        return
    where = (bucket_id, key, last.version)
    if last.is_marker:
        yield "UPDATE versions SET noncurrent_since = NULL WHERE bucket_id = ? AND key = ? AND version = ?", where
        return
    yield (
        f"INSERT INTO objects ({rows.OBJECT}) SELECT {rows.OBJECT} FROM versions"
        " WHERE bucket_id = ? AND key = ? AND version = ?",
        where,
    )
    yield "DELETE FROM versions WHERE bucket_id = ? AND key = ? AND version = ?", where


def add_marker(bucket_id: int, key: bytes, version: int, version_id: str, owner_id: str, now: int) -> Program[None]:
    """Make a delete marker the latest version of a key that shows nothing any more."""
    yield (
        "INSERT INTO versions (bucket_id, key, version, version_id, is_marker, store_id, scope, size, etag,"
        " modified_at, created_at, owner_id, content_type, storage_class, parts)"
        " VALUES (?, ?, ?, ?, 1, 0, '', 0, '', ?, ?, ?, '', 'STANDARD', 0)",
        (bucket_id, key, version, version_id, now, now, owner_id),
    )


# -- changing what is said of a version


def _change(
    bucket: Bucket, key: str, version_id: str | None, sets: str, values: tuple[Any, ...]
) -> Program[Lock | None]:
    """Set columns of a version (None: of what the key shows); the lock that it had before.

    Raises ObjectNotFound, VersionNotFound, IsDeleteMarker.
    """
    encoded = key.encode()
    condition, known = ("", ()) if version_id is None else (" AND version_id = ?", (version_id,))
    columns = "version, lock_mode, lock_until, legal_hold"
    table, is_marker, modified_at = "objects", 0, 0
    found = yield (
        f"SELECT {columns} FROM objects WHERE bucket_id = ? AND key = ?{condition}",
        (bucket.id, encoded, *known),
    )
    if not found:
        table = "versions"
        found = yield (
            f"SELECT {columns}, is_marker, modified_at FROM versions WHERE bucket_id = ? AND key = ?{condition}"
            " ORDER BY version DESC LIMIT 1",
            (bucket.id, encoded, *known),
        )
        if not found:
            raise absent(bucket.name, key, version_id)
        is_marker, modified_at = found[0][4:]
    if is_marker:
        raise IsDeleteMarker(bucket.name, key, shown_id(version_id or ""), modified_at)
    yield (
        f"UPDATE {table} SET {sets} WHERE bucket_id = ? AND key = ? AND version = ?",
        (*values, bucket.id, encoded, found[0][0]),
    )
    return rows.lock(*found[0][1:4])


def absent(bucket: str, key: str, version_id: str | None) -> ObjectNotFound:
    """The error for a key, or a version of one, that is not there."""
    return ObjectNotFound(bucket, key) if version_id is None else VersionNotFound(bucket, key, shown_id(version_id))


def set_tags(bucket: Bucket, key: str, version_id: str | None, tags: tuple[tuple[str, str], ...]) -> Program[None]:
    """Replace a version's tags; its bytes, ETag and time stay. Raises as ``_change``."""
    yield from _change(bucket, key, version_id, "tags = ?", (rows.to_json(tags),))


def set_legal_hold(bucket: Bucket, key: str, version_id: str | None, held: bool) -> Program[None]:
    yield from _change(bucket, key, version_id, "legal_hold = ?", (int(held),))


def set_retention(
    bucket: Bucket, key: str, version_id: str | None, mode: str | None, until: int | None, now: int, bypass: bool
) -> Program[None]:
    """Replace a version's retention. Raises ObjectLocked where the one in force forbids it."""
    before = yield from _change(bucket, key, version_id, "lock_mode = ?, lock_until = ?", (mode, until))
    check_retention_change(before, mode, until, now, bypass)
