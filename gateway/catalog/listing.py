"""Listing as index ranges: the cost of a page follows the page, not the bucket.

Without a delimiter a page is one range of keys. With one, each common prefix costs one seek past all that it rolls up,
and those that follow one another are found by one statement: seeking is cheap, asking for it is not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.catalog.base import Program, Row

FEW, MANY = 2, 1000
"""Rows fetched after a seek, and at most at once while keys rather than common prefixes come."""

OWNED = "key, size, etag, modified_at, storage_class, owner_id, checksum_algorithm, checksum_type"
UNOWNED = OWNED.replace("owner_id", "NULL")
"""For a listing that does not tell owners: the same, and a tenth of the cost less."""
_OBJECTS = "SELECT {0} FROM objects WHERE bucket_id = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
_UPLOADS = (
    "SELECT key, id, initiated_at, owner_id, attributes, checksum_algorithm, checksum_type FROM uploads"
    " WHERE completed_at IS NULL AND bucket_id = ? AND (key, id) > (?, ?) AND key < ? ORDER BY key, id LIMIT ?"
)
_VERSION = (
    "key, version, version_id, is_marker, noncurrent_since, size, etag, modified_at, storage_class, owner_id,"
    " checksum_algorithm, checksum_type"
)
_SHOWN = _VERSION.replace("is_marker, noncurrent_since", "0 AS is_marker, NULL AS noncurrent_since")
# Both halves are read in the order of an index and merged; neither is sorted.
_VERSIONS = (
    f"SELECT {_SHOWN} FROM objects WHERE bucket_id = ?1 AND key >= ?2 AND key < ?3 UNION ALL SELECT {_VERSION}"
    " FROM versions WHERE bucket_id = ?1 AND key >= ?2 AND key < ?3 ORDER BY key, version DESC LIMIT ?4"
)
# What a key shows may be older than a version that is gone by now.
_OLDER = (
    f"SELECT {_SHOWN} FROM objects WHERE bucket_id = ?1 AND key = ?2 AND version < ?3 UNION ALL SELECT {_VERSION}"
    " FROM versions WHERE bucket_id = ?1 AND key = ?2 AND version < ?3 ORDER BY version DESC LIMIT ?4"
)
_NEXT_OBJECT = "(SELECT key FROM objects WHERE bucket_id = ?1 AND key >= {0} AND key < ?3 ORDER BY key LIMIT 1)"
_NEXT_VERSION = _NEXT_OBJECT.replace("objects", "versions")
_NEXT_UPLOAD = _NEXT_OBJECT.replace("objects WHERE", "uploads WHERE completed_at IS NULL AND")
_OBJECT_OR_VERSION = f"coalesce(min({_NEXT_OBJECT}, {_NEXT_VERSION}), {_NEXT_OBJECT}, {_NEXT_VERSION})"


def _walk(next_key: str) -> str:
    """A statement that goes from common prefix to common prefix, up to the first key that is in none.

    From a key with the delimiter at byte ``cut`` on, the next one is past all that begins as it does up to there. What
    is found comes as one value: a row of its own for each would have the interpreter's lock change hands as often.
    """
    cut = "instr(substr(key, ?4), ?5)"
    past = f"CAST(substr(key, 1, ?4 + {cut} - 2) || ?6 AS BLOB)"
    return (
        f"WITH RECURSIVE walk (key) AS (SELECT {next_key.format('?2')}"
        f" UNION ALL SELECT {next_key.format(past.replace('key', 'walk.key'))} FROM walk WHERE {cut} LIMIT ?7)"
        " SELECT CAST(group_concat(key, x'ff') AS BLOB) FROM walk"
    )


_OBJECT_WALK, _VERSION_WALK, _UPLOAD_WALK = map(_walk, (_NEXT_OBJECT, _OBJECT_OR_VERSION, _NEXT_UPLOAD))
END = b"\xff"
"""Past every key: no UTF-8 text has this byte."""


class Page(NamedTuple):
    """One page of a listing. ``rows`` are as selected, their first column the key; ``last`` is the last entry."""

    rows: list[Row]
    prefixes: list[bytes]
    truncated: bool
    last: bytes


def successor(prefix: bytes) -> bytes:
    """The least byte string greater than every string that starts with ``prefix``."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else END


def list_objects(
    bucket_id: int, prefix: bytes, delimiter: bytes, after: bytes, limit: int, columns: str = OWNED
) -> Program[Page]:
    """Keys with ``prefix`` past ``after``, at most ``limit`` of keys and common prefixes together.

    ``after`` is exclusive; when it is itself a common prefix, all that this rolls up is past. The first of ``columns``
    is the key.
    """
    objects = _OBJECTS.format(columns)
    start, end = max(prefix, after + b"\0" if after else b""), successor(prefix)
    if delimiter and after.startswith(prefix) and after.endswith(delimiter):
        cut = after.find(delimiter, len(prefix)) + len(delimiter)
        if cut == len(after) and cut > len(prefix):
            start = successor(after)
    if not delimiter:
        found = yield objects, (bucket_id, start, end, limit + 1)
        page = found[:limit]
        return Page(page, [], len(found) > limit, page[-1][0] if page else b"")
    return (yield from _rolled_up(objects, bucket_id, prefix, delimiter, start, end, limit))


def _rolled_up(
    objects: str, bucket_id: int, prefix: bytes, delimiter: bytes, start: bytes, end: bytes, limit: int
) -> Program[Page]:
    rows: list[Row] = []
    prefixes: list[bytes] = []
    last = b""
    fetch = FEW
    while start < end:
        found = yield objects, (bucket_id, start, end, fetch)
        rolled = False
        for row in found:
            key: bytes = row[0]
            rolled = key.find(delimiter, len(prefix)) >= 0
            if rolled:
                break
            if len(rows) + len(prefixes) == limit:
                return Page(rows, prefixes, True, last)
            rows.append(row)
            last = key
        if rolled:
            room = limit - len(rows) - len(prefixes)
            more, start = yield from _prefixes(_OBJECT_WALK, bucket_id, prefix, delimiter, key, end, room + 1)
            prefixes += more[:room]
            last = prefixes[-1] if more[:room] else last
            if len(more) > room:
                return Page(rows, prefixes, True, last)
            fetch = FEW
        elif len(found) < fetch:
            break
        else:
            start, fetch = found[-1][0] + b"\0", min(fetch * 4, MANY)
    return Page(rows, prefixes, False, last)


def _prefixes(
    walk: str, bucket_id: int, prefix: bytes, delimiter: bytes, start: bytes, end: bytes, limit: int
) -> Program[tuple[list[bytes], bytes]]:
    """Common prefixes that follow one another from ``start`` on, and the key that follows them, or the end."""
    found = yield walk, (bucket_id, start, end, len(prefix) + 1, delimiter, successor(delimiter), limit)
    keys: list[bytes] = found[0][0].split(END) if found[0][0] else []
    cuts = [key.find(delimiter, len(prefix)) for key in keys]
    rolled = [key[: cut + len(delimiter)] for key, cut in zip(keys, cuts, strict=True) if cut >= 0]
    return rolled, keys[-1] if len(rolled) < len(keys) else end


def list_versions(
    bucket_id: int, prefix: bytes, delimiter: bytes, after: bytes, past: int | None, limit: int
) -> Program[Page]:
    """Versions and delete markers with ``prefix``, of each key the latest first; rolled up as objects are.

    The page begins past version number ``past`` of the key ``after``, or past all of that key's.
    """
    rows: list[Row] = []
    prefixes: list[bytes] = []
    last = b""
    start, end = max(prefix, after + b"\0" if after else b""), successor(prefix)
    if delimiter and after.startswith(prefix) and (cut := after.find(delimiter, len(prefix))) >= 0:
        start = successor(after[: cut + len(delimiter)])  # what it rolls up was listed with it
    elif past is not None and after.startswith(prefix):
        rows = yield _OLDER, (bucket_id, after, past, limit + 1)
        if len(rows) > limit:
            return Page(rows[:limit], [], True, after)
        last = after if rows else b""
    fetch = FEW if delimiter else limit + 1
    while start < end:
        found = yield _VERSIONS, (bucket_id, start, end, fetch)
        rolled = False
        for row in found:
            key: bytes = row[0]
            rolled = bool(delimiter) and key.find(delimiter, len(prefix)) >= 0
            if rolled:
                break
            if len(rows) + len(prefixes) == limit:
                return Page(rows, prefixes, True, last)
            rows.append(row)
            last = key
        room = limit - len(rows) - len(prefixes)
        if rolled:
            more, start = yield from _prefixes(_VERSION_WALK, bucket_id, prefix, delimiter, key, end, room + 1)
            prefixes += more[:room]
            last = prefixes[-1] if more[:room] else last
            if len(more) > room:
                return Page(rows, prefixes, True, last)
            fetch = FEW
        elif len(found) < fetch:
            break
        else:
            older = yield _OLDER, (bucket_id, last, rows[-1][1], room + 1)
            rows += older[:room]
            if len(older) > room:
                return Page(rows, prefixes, True, last)
            start, fetch = last + b"\0", min(fetch * 4, MANY)
    return Page(rows, prefixes, False, last)


def list_uploads(
    bucket_id: int, prefix: bytes, delimiter: bytes, after: bytes, after_id: str, limit: int
) -> Program[Page]:
    """Uploads under way in (key, id) order past (``after``, ``after_id``); rolled up as objects are."""
    end = successor(prefix)
    start, past = (after, after_id) if after >= prefix else (prefix, "")
    if delimiter and after.startswith(prefix) and (cut := after.find(delimiter, len(prefix))) >= 0:
        start, past = successor(after[: cut + len(delimiter)]), ""  # what it rolls up was listed with it
    rows: list[Row] = []
    prefixes: list[bytes] = []
    last = b""
    fetch = FEW if delimiter else limit + 1
    while start < end:
        found: list[Any] = yield _UPLOADS, (bucket_id, start, past, end, fetch)
        rolled = False
        for row in found:
            rolled = bool(delimiter) and row[0].find(delimiter, len(prefix)) >= 0
            if rolled:
                break
            if len(rows) + len(prefixes) == limit:
                return Page(rows, prefixes, True, last)
            rows.append(row)
            last = row[0]
        if rolled:
            room = limit - len(rows) - len(prefixes)
            more, start = yield from _prefixes(_UPLOAD_WALK, bucket_id, prefix, delimiter, row[0], end, room + 1)
            prefixes += more[:room]
            last = prefixes[-1] if more[:room] else last
            if len(more) > room:
                return Page(rows, prefixes, True, last)
            past, fetch = "", FEW
        elif len(found) < fetch:
            break
        else:
            start, past, fetch = found[-1][0], found[-1][1], min(fetch * 4, MANY)
    return Page(rows, prefixes, False, last)
