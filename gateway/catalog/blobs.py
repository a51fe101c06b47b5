"""Programs that tie names to blobs, and the collector's side of the same promise.

The promise: *a live row in ``blobs`` means that the store holds the bytes.* A put makes bytes durable first and
then claims them here, in the transaction that gives them a name. The collector marks a row dying in a
transaction that saw no reference, deletes the bytes, and only then drops the row. A claim therefore knows:

- row live: the bytes are there and stay, because the claim's own name now refers to them;
- row dying: the bytes are about to go, store them again later;
- no row: the bytes were stored by this put, unless a collector ran in between. Each marking raises the store's
  epoch, so an unchanged epoch proves that none did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.catalog.base import Many, Program, Row
from gateway.errors import GatewayError, MountsChanged
from gateway.types import Block, Content

LIVE, DYING, DAMAGED = 0, 1, 2
MAX_PARAMETERS = 500
"""Digests looked up in one statement; both engines allow thousands, plans stay cached."""


class Standing(NamedTuple):
    """What the catalog said of a store's blob before its bytes were stored."""

    epoch: int
    state: int | None


class Claim(NamedTuple):
    """What a write relies on: the configuration's generation and the store's collector epoch it saw."""

    generation: int
    epoch: int


class ClaimLost(GatewayError):
    """The collector may have removed bytes that this write relies on; look again. Never leaves the core."""


class Garbage(NamedTuple):
    """A blob that may have lost its last reference, and since when (Unix milliseconds)."""

    store_id: int
    scope: str
    digest: bytes
    since: int


def standing(store_id: int, scope: str, digest: str) -> Program[Standing]:
    """A store's epoch and the state of one of its blobs, read together."""
    rows = yield (
        "SELECT gc_epoch, (SELECT state FROM blobs WHERE store_id = ?1 AND scope = ?2 AND digest = ?3)"
        " FROM stores WHERE id = ?1",
        (store_id, scope, bytes.fromhex(digest)),
    )
    return Standing(*rows[0]) if rows else Standing(-1, None)


def epoch(store_id: int) -> Program[int]:
    rows = yield "SELECT gc_epoch FROM stores WHERE id = ?", (store_id,)
    return int(rows[0][0]) if rows else -1


def states(store_id: int, scope: str, digests: Sequence[str]) -> Program[dict[str, int]]:
    """The states of those blobs that have a row."""
    found: dict[str, int] = {}
    for at in range(0, len(digests), MAX_PARAMETERS):
        some = [bytes.fromhex(digest) for digest in digests[at : at + MAX_PARAMETERS]]
        rows = yield (
            f"SELECT digest, state FROM blobs WHERE store_id = ? AND scope = ? AND digest IN ({_marks(some)})",
            (store_id, scope, *some),
        )
        found.update((digest.hex(), state) for digest, state in rows)
    return found


def claim(content: Content, blocks: Sequence[Block], seen: Claim) -> Program[None]:
    """Make sure that the blocks of a new content are the catalog's from here on.

    Raises MountsChanged when the configuration moved on, ClaimLost when bytes may be gone.
    """
    if len(blocks) == 1:  # the hot path: one look answers all three questions
        block = blocks[0]
        digest = bytes.fromhex(block.digest)
        rows = yield (
            "SELECT value, (SELECT gc_epoch FROM stores WHERE id = ?1),"
            " (SELECT state FROM blobs WHERE store_id = ?1 AND scope = ?2 AND digest = ?3)"
            " FROM meta WHERE name = 'generation'",
            (content.store_id, content.scope, digest),
        )
        now, current, state = rows[0]
        _check(now, current, state is None or state == DYING, state == DYING, seen)
        if state is None:
            yield (
                "INSERT INTO blobs (store_id, scope, digest, size, crc, state) VALUES (?, ?, ?, ?, ?, 0)",
                (content.store_id, content.scope, digest, block.size, block.crc),
            )
        return
    rows = yield (
        "SELECT value, (SELECT gc_epoch FROM stores WHERE id = ?) FROM meta WHERE name = 'generation'",
        (content.store_id,),
    )
    now, current = rows[0]
    by_digest = {block.digest: block for block in blocks}
    known = yield from states(content.store_id, content.scope, list(by_digest))
    fresh = [block for digest, block in by_digest.items() if digest not in known]
    _check(now, current, bool(fresh), DYING in known.values(), seen)
    yield Many(
        "INSERT INTO blobs (store_id, scope, digest, size, crc, state) VALUES (?, ?, ?, ?, ?, 0)",
        [(content.store_id, content.scope, bytes.fromhex(block.digest), block.size, block.crc) for block in fresh],
    )


def _check(generation: int, epoch: int, fresh: bool, dying: bool, seen: Claim) -> None:
    if generation != seen.generation:
        raise MountsChanged
    if dying or (fresh and epoch != seen.epoch):
        raise ClaimLost


def make_manifest(content: Content, blocks: Iterable[Block], parts: str | None = None) -> Program[int]:
    """Write down the blocks of a longer content; its id."""
    rows = yield (
        "INSERT INTO manifests (store_id, scope, size, parts) VALUES (?, ?, ?, ?) RETURNING id",
        (content.store_id, content.scope, content.size, parts),
    )
    manifest_id = int(rows[0][0])
    yield Many(
        "INSERT INTO manifest_blocks (manifest_id, start, size, digest) VALUES (?, ?, ?, ?)",
        [(manifest_id, block.offset, block.size, bytes.fromhex(block.digest)) for block in blocks],
    )
    return manifest_id


def release(store_id: int, scope: str, digest: bytes | None, manifest_id: int | None, now: int) -> Program[None]:
    """Note that a name let go of a content; the collector finds out whether it was the last."""
    if digest is not None:
        yield (
            "INSERT INTO garbage (store_id, scope, digest, since) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (store_id, scope, digest) DO UPDATE SET since = excluded.since",
            (store_id, scope, digest, now),
        )
    elif manifest_id is not None:
        yield (
            "UPDATE manifests SET dead_since = ? WHERE id = ?",
            (now, manifest_id),
        )


def release_all(contents: Iterable[tuple[int, str, bytes | None, int | None]], now: int) -> Program[None]:
    """The same for many contents: (store, scope, digest, manifest) of each."""
    every = list(contents)
    yield Many(
        "INSERT INTO garbage (store_id, scope, digest, since) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (store_id, scope, digest) DO UPDATE SET since = excluded.since",
        [(store_id, scope, digest, now) for store_id, scope, digest, _ in every if digest is not None],
    )
    yield Many(
        "UPDATE manifests SET dead_since = ? WHERE id = ?",
        [(now, manifest_id) for _, _, digest, manifest_id in every if digest is None and manifest_id is not None],
    )


def abandon(store_id: int, scope: str, digests: Sequence[str], now: int) -> Program[None]:
    """Note blobs that a refused write may have stored already, for the collector.

    No row is made live here: whether the bytes are there is not certain.
    """
    yield Many(
        "INSERT INTO garbage (store_id, scope, digest, since) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (store_id, scope, digest) DO NOTHING",
        [(store_id, scope, bytes.fromhex(digest), now) for digest in digests],
    )


def blocks_between(manifest_id: int, start: int, stop: int, limit: int) -> Program[list[Block]]:
    """At most ``limit`` blocks of a manifest that touch bytes [start, stop), in order."""
    rows = yield (
        "SELECT k.start, k.size, k.digest, coalesce(x.crc, 0) FROM manifest_blocks AS k"
        " JOIN manifests AS m ON m.id = k.manifest_id LEFT JOIN blobs AS x ON x.store_id = m.store_id"
        " AND x.scope = m.scope AND x.digest = k.digest WHERE k.manifest_id = ?1 AND k.start < ?3 AND k.start >="
        " (SELECT max(start) FROM manifest_blocks WHERE manifest_id = ?1 AND start <= ?2) ORDER BY k.start LIMIT ?4",
        (manifest_id, start, stop, limit),
    )
    return [Block(offset, size, digest.hex(), crc) for offset, size, digest, crc in rows]


def crc_of(store_id: int, scope: str, digest: str) -> Program[int | None]:
    """The CRC-64/NVME of a blob's bytes, None without a row."""
    rows = yield (
        "SELECT crc FROM blobs WHERE store_id = ? AND scope = ? AND digest = ?",
        (store_id, scope, bytes.fromhex(digest)),
    )
    return rows[0][0] if rows else None


def manifest_parts(manifest_id: int) -> Program[str | None]:
    rows = yield "SELECT parts FROM manifests WHERE id = ?", (manifest_id,)
    return rows[0][0] if rows else None


# -- the collector's side


def dead_manifests(before: int, limit: int) -> Program[list[int]]:
    rows = yield (
        "SELECT id FROM manifests WHERE dead_since IS NOT NULL AND dead_since <= ? ORDER BY dead_since LIMIT ?",
        (before, limit),
    )
    return [row[0] for row in rows]


def dissolve_manifest(manifest_id: int, limit: int) -> Program[bool]:
    """Drop up to ``limit`` blocks of a manifest that nothing names; whether it is gone altogether.

    A manifest that turns out to be named again is left as it is.
    """
    rows = yield "SELECT store_id, scope, dead_since FROM manifests WHERE id = ?", (manifest_id,)
    if not rows or rows[0][2] is None:
        return True
    store_id, scope, since = rows[0]
    named = yield (
        "SELECT 1 FROM objects WHERE manifest_id = ?1 UNION ALL SELECT 1 FROM versions WHERE manifest_id = ?1"
        " UNION ALL SELECT 1 FROM parts WHERE manifest_id = ?1 LIMIT 1",
        (manifest_id,),
    )
    if named:
        yield "UPDATE manifests SET dead_since = NULL WHERE id = ?", (manifest_id,)
        return True
    blocks = yield (
        "SELECT start, digest FROM manifest_blocks WHERE manifest_id = ? ORDER BY start LIMIT ?",
        (manifest_id, limit),
    )
    yield Many(
        "INSERT INTO garbage (store_id, scope, digest, since) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (store_id, scope, digest) DO NOTHING",
        [(store_id, scope, digest, since) for _, digest in blocks],
    )
    yield Many(
        "DELETE FROM manifest_blocks WHERE manifest_id = ? AND start = ?", [(manifest_id, start) for start, _ in blocks]
    )
    if len(blocks) == limit:
        return False
    yield "DELETE FROM manifests WHERE id = ?", (manifest_id,)
    return True


def due_garbage(before: int, after: tuple[int, str, bytes], limit: int) -> Program[list[Garbage]]:
    """Marks set before a time, in the order of (store, scope, digest), past ``after``."""
    rows = yield (
        "SELECT store_id, scope, digest, since FROM garbage WHERE (store_id, scope, digest) > (?, ?, ?)"
        " AND since <= ? ORDER BY store_id, scope, digest LIMIT ?",
        (*after, before, limit),
    )
    return [Garbage(*row) for row in rows]


def mark_dying(marks: Sequence[Garbage]) -> Program[list[Garbage]]:
    """Mark those blobs dying that nothing refers to, forget the others' marks, and raise the stores' epochs.

    Returns the dying ones; their bytes may be deleted once this is committed.
    """
    dying: list[Garbage] = []
    for mark in marks:
        if not (yield from _referenced(mark.store_id, mark.scope, mark.digest)):
            dying.append(mark)
            yield (
                "INSERT INTO blobs (store_id, scope, digest, size, crc, state) VALUES (?, ?, ?, 0, 0, ?)"
                " ON CONFLICT (store_id, scope, digest) DO UPDATE SET state = excluded.state",
                (mark.store_id, mark.scope, mark.digest, DYING),
            )
    yield Many(
        "DELETE FROM garbage WHERE store_id = ? AND scope = ? AND digest = ?",
        [(mark.store_id, mark.scope, mark.digest) for mark in marks],
    )
    for store_id in {mark.store_id for mark in dying}:
        yield "UPDATE stores SET gc_epoch = gc_epoch + 1 WHERE id = ?", (store_id,)
    return dying


def _referenced(store_id: int, scope: str, digest: bytes) -> Program[bool]:
    rows = yield (
        "SELECT 1 FROM objects WHERE digest = ?3 AND store_id = ?1 AND scope = ?2"
        " UNION ALL SELECT 1 FROM versions WHERE digest = ?3 AND store_id = ?1 AND scope = ?2"
        " UNION ALL SELECT 1 FROM parts WHERE digest = ?3 AND store_id = ?1 AND scope = ?2"
        " UNION ALL SELECT 1 FROM manifest_blocks AS b JOIN manifests AS m ON m.id = b.manifest_id"
        " WHERE b.digest = ?3 AND m.store_id = ?1 AND m.scope = ?2 LIMIT 1",
        (store_id, scope, digest),
    )
    return bool(rows)


def dying_blobs(limit: int) -> Program[list[Garbage]]:
    """Blobs whose removal was decided, and perhaps interrupted."""
    rows = yield "SELECT store_id, scope, digest, 0 FROM blobs WHERE state = ? LIMIT ?", (DYING, limit)
    return [Garbage(*row) for row in rows]


def forget(gone: Sequence[Garbage]) -> Program[None]:
    """Drop the rows of blobs whose bytes are deleted."""
    yield Many(
        "DELETE FROM blobs WHERE store_id = ? AND scope = ? AND digest = ? AND state = 1",
        [(mark.store_id, mark.scope, mark.digest) for mark in gone],
    )


def set_state(store_id: int, scope: str, digest: str, old: int, new: int) -> Program[None]:
    yield (
        "UPDATE blobs SET state = ? WHERE store_id = ? AND scope = ? AND digest = ? AND state = ?",
        (new, store_id, scope, bytes.fromhex(digest), old),
    )


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def rows_after(store_id: int, scope: str, digest: bytes, limit: int) -> Program[list[Row]]:
    """(scope, digest, size, state) of a store's blobs in order, past a given one."""
    return (
        yield (
            "SELECT scope, digest, size, state FROM blobs WHERE store_id = ? AND (scope, digest) > (?, ?)"
            " ORDER BY scope, digest LIMIT ?",
            (store_id, scope, digest, limit),
        )
    )
