"""Programs that carry out lifecycle rules.

Pages of what may be due are read first, each one range of an index. What is done then is done in batches, and each
looks again: at the configuration, at the rows as they are by now, at what the rules say of them, at the locks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from gateway.bucket_configs import LIFECYCLE
from gateway.catalog import rows, uploads
from gateway.catalog.base import Many, Program, Row
from gateway.catalog.blobs import release_all
from gateway.catalog.objects import PRESENT, Present, Removal, check_generation, hide
from gateway.lifecycle import Calendar, Lifecycle
from gateway.lifecycle.decide import (
    Facts,
    abort,
    expiration,
    marker_expiration,
    most_newer,
    noncurrent_expiration,
)
from gateway.locks import is_locked
from gateway.types import Bucket, Lock
from gateway.versioning import versioning_of

_FACTS = "key, size, tags, storage_class"
_REPLACED = (
    f"{_FACTS}, noncurrent_since, modified_at, version, version_id, is_marker, lock_mode, lock_until, legal_hold"
)


class Mandate(NamedTuple):
    """What a batch acts on and by: a bucket with its rules as they were seen, and the time to judge by.

    ``at`` decides what is due, ``now`` is the real time: it decides of locks, and is what is written.
    """

    bucket: Bucket
    lifecycle: Lifecycle
    calendar: Calendar
    at: int
    now: int
    generation: int


class Done(NamedTuple):
    """What was done to a key, by which rule."""

    key: str
    version_id: str
    rule: str


class Shown(NamedTuple):
    """A row of ``objects``: what a key shows."""

    facts: Facts
    version_id: str


class Replaced(NamedTuple):
    """A row of ``versions``: what is not shown, or a delete marker."""

    facts: Facts
    version: int
    version_id: str
    is_marker: bool
    is_latest: bool
    lock: Lock | None


class UploadRow(NamedTuple):
    key: str
    id: str
    initiated_at: int


def buckets_with_rules(after: str, limit: int) -> Program[list[str]]:
    """Names of buckets that have lifecycle rules, in order, past ``after``."""
    found = yield (
        "SELECT b.name FROM buckets AS b JOIN bucket_configs AS c ON c.bucket_id = b.id"
        " WHERE c.name = ? AND b.name > ? ORDER BY b.name LIMIT ?",
        (LIFECYCLE, after, limit),
    )
    return [name for (name,) in found]


# -- reading pages


def shown_page(
    bucket_id: int, start: bytes, end: bytes, latest: int, limit: int
) -> Program[tuple[list[Shown], bytes | None]]:
    """Of a page of ``limit`` keys, those whose object was written no later than ``latest``; where the next page begins.

    The page is counted over the index alone, so that a bucket in which nothing is due costs little.
    """
    edge = yield (
        "SELECT key FROM objects WHERE bucket_id = ? AND key >= ? AND key < ? ORDER BY key LIMIT 1 OFFSET ?",
        (bucket_id, start, end, limit),
    )
    stop = edge[0][0] if edge else end
    found = yield (
        f"SELECT {_FACTS}, modified_at, version_id FROM objects WHERE bucket_id = ? AND key >= ? AND key < ?"
        " AND modified_at <= ? ORDER BY key",
        (bucket_id, start, stop, latest),
    )
    return [Shown(_facts(row[:4], row[4]), row[5]) for row in found], stop if edge else None


def replaced_page(bucket_id: int, after: bytes, past: int, end: bytes, limit: int) -> Program[list[Replaced]]:
    """Versions that are not shown, and delete markers, in the order of keys and of each the latest first.

    The page begins past version number ``past`` of the key ``after``.
    """
    found = yield (
        f"SELECT {_REPLACED} FROM versions WHERE bucket_id = ? AND key = ? AND version < ? AND key < ?"
        " ORDER BY version DESC LIMIT ?",
        (bucket_id, after, past, end, limit),
    )
    if len(found) < limit:
        found += yield (
            f"SELECT {_REPLACED} FROM versions WHERE bucket_id = ? AND key > ? AND key < ?"
            " ORDER BY key, version DESC LIMIT ?",
            (bucket_id, after, end, limit - len(found)),
        )
    return [_replaced(row) for row in found]


def upload_page(bucket_id: int, after: bytes, after_id: str, end: bytes, limit: int) -> Program[list[UploadRow]]:
    """Uploads under way in the order of keys and ids, past (``after``, ``after_id``)."""
    found = yield (
        "SELECT key, id, initiated_at FROM uploads WHERE completed_at IS NULL AND bucket_id = ? AND (key, id) > (?, ?)"
        " AND key < ? ORDER BY key, id LIMIT ?",
        (bucket_id, after, after_id, end, limit),
    )
    return [UploadRow(key.decode(), upload_id, at) for key, upload_id, at in found]


def _facts(row: Row, since: int) -> Facts:
    key, size, tags, storage_class = row
    pairs = tuple((name, value) for name, value in json.loads(tags)) if tags else ()
    return Facts(key.decode(), size, pairs, storage_class, since)


def _replaced(row: Row) -> Replaced:
    since, modified_at, version, version_id, is_marker, *locked = row[4:]
    facts = _facts(row[:4], modified_at if since is None else since)
    return Replaced(facts, version, version_id, bool(is_marker), since is None, rows.lock(*locked))


# -- acting


def expire_shown(mandate: Mandate, keys: Sequence[str]) -> Program[list[Done]]:
    """Expire what those keys show: remove it, or hide it under a delete marker where the bucket is versioned.

    Raises MountsChanged.
    """
    yield from check_generation(mandate.generation)
    bucket_id, status = mandate.bucket.id, versioning_of(mandate.bucket)
    found = yield (
        f"SELECT {_FACTS}, {PRESENT} FROM objects WHERE bucket_id = ? AND key IN ({','.join('?' * len(keys))})",
        (bucket_id, *(key.encode() for key in keys)),
    )
    done: list[Done] = []
    removed: list[Present] = []
    for row in found:
        present = Present(*row[4:])
        facts = _facts(row[:4], present.modified_at)
        due = expiration(mandate.lifecycle, mandate.calendar, facts)
        if due is None or due.at > mandate.at:
            continue
        done.append(Done(facts.key, present.version_id, due.rule.id))
        if status is None:
            removed.append(present)
        else:
            removal = Removal(facts.key, owner_id=mandate.bucket.owner_id)
            yield from hide(bucket_id, removal, present, status, mandate.now)
    if removed:
        yield Many(
            "DELETE FROM objects WHERE bucket_id = ? AND key = ?", [(bucket_id, each.key.encode()) for each in done]
        )
        yield from release_all([present[6:10] for present in removed], mandate.now)
    return done


class Expired(NamedTuple):
    done: list[Done]
    locked: int
    """How many stay because of their locks."""


def expire_replaced(mandate: Mandate, versions: Sequence[tuple[str, int]]) -> Program[Expired]:
    """Remove versions that are not shown: (key, number) of each. Raises MountsChanged."""
    yield from check_generation(mandate.generation)
    done: list[Done] = []
    contents = []
    locked = 0
    for key, version in versions:
        where = (mandate.bucket.id, key.encode(), version)
        found = yield (
            f"SELECT {_REPLACED}, store_id, scope, digest, manifest_id FROM versions WHERE bucket_id = ? AND key = ?"
            " AND version = ? AND noncurrent_since IS NOT NULL",
            where,
        )
        if not found:
            continue
        row = _replaced(found[0][:-4])
        newer = yield from newer_than(mandate, key.encode(), version)
        rule = noncurrent_expiration(mandate.lifecycle, mandate.calendar, row.facts, newer, mandate.at)
        if rule is None:
            continue
        if is_locked(row.lock, mandate.now):
            locked += 1
            continue
        yield "DELETE FROM versions WHERE bucket_id = ? AND key = ? AND version = ?", where
        contents.append(found[0][-4:])
        done.append(Done(key, row.version_id, rule.id))
    yield from release_all(contents, mandate.now)
    return Expired(done, locked)


def newer_than(mandate: Mandate, key: bytes, version: int) -> Program[int]:
    """How many versions were replaced after one, as far as any rule counts."""
    most = most_newer(mandate.lifecycle)
    if not most:
        return 0
    found = yield (
        "SELECT count(*) FROM (SELECT 1 FROM versions WHERE bucket_id = ? AND key = ? AND version > ?"
        " AND noncurrent_since IS NOT NULL LIMIT ?) AS few",
        (mandate.bucket.id, key, version, most),
    )
    return int(found[0][0])


def expire_markers(mandate: Mandate, keys: Sequence[str]) -> Program[list[Done]]:
    """Remove delete markers that are all that is left of their keys. Raises MountsChanged."""
    yield from check_generation(mandate.generation)
    done: list[Done] = []
    for key in keys:
        found = yield (
            f"SELECT {_REPLACED} FROM versions WHERE bucket_id = ? AND key = ? ORDER BY version DESC LIMIT 2",
            (mandate.bucket.id, key.encode()),
        )
        row = _replaced(found[0]) if len(found) == 1 else None
        if row is None or not (row.is_marker and row.is_latest):
            continue
        rule = marker_expiration(mandate.lifecycle, mandate.calendar, row.facts, mandate.at)
        if rule is None:
            continue
        yield (
            "DELETE FROM versions WHERE bucket_id = ? AND key = ? AND version = ?",
            (mandate.bucket.id, key.encode(), row.version),
        )
        done.append(Done(key, row.version_id, rule.id))
    return done


def abort_due(mandate: Mandate, ids: Sequence[str]) -> Program[list[Done]]:
    """End uploads that took too long; their parts go. Raises MountsChanged."""
    yield from check_generation(mandate.generation)
    done: list[Done] = []
    for upload_id in ids:
        found = yield (
            "SELECT key, initiated_at FROM uploads WHERE id = ? AND bucket_id = ? AND completed_at IS NULL",
            (upload_id, mandate.bucket.id),
        )
        if not found:
            continue
        due = abort(mandate.lifecycle, mandate.calendar, found[0][0].decode(), found[0][1])
        if due is not None and due.at <= mandate.at:
            yield from uploads.abort_upload(upload_id, mandate.now)
            done.append(Done(found[0][0].decode(), upload_id, due.rule.id))
    return done
