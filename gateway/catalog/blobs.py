"""Programs that tie names to blobs, and the collector's side of the same promise.

The promise: *a live row in ``blobs`` means that the store holds the bytes.* A put makes bytes durable first and
then claims them here, in the transaction that gives them a name. The collector marks a row dying in a
transaction that saw no reference, deletes the bytes, and only then drops the row. A claim therefore knows:

- row live: the bytes are there and stay, because the claim's own name now refers to them;
- row dying: the bytes are about to go, store them again later;
- no row: the bytes were stored by this put, unless a collector ran in between. Each marking raises the store's
  epoch, so an unchanged epoch proves that none did. Or they are yet to be stored, as a prelude: then no collector
  can run in between, for nobody else writes until the commit.

An encrypted blob is named by the digest of what the store holds, as all are, so all of that is true of it too. Which
plaintext it holds is a column (``plain``), unique among the blobs of a scope that are not dying: a put looks its blocks
up by it, and the claim looks again. Of two puts of one new plaintext, which made two ciphertexts, the claim that comes
second takes the first one's blob and leaves its own to the collector. A damaged blob is replaced by the next put of
its plaintext: all that names the old one names the new one from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gateway.catalog.base import Many, Prelude, Program, Row
from gateway.errors import GatewayError, MountsChanged
from gateway.types import Block, Content, Seal

LIVE, DYING, DAMAGED = 0, 1, 2
_FOREVER_AGO = 0
"""Since when a blob is garbage that no name ever pointed at, or none will again."""
MAX_PARAMETERS = 500
"""Digests looked up in one statement; both engines allow thousands, plans stay cached."""


class Standing(NamedTuple):
    """What the catalog said of a store's blob before its bytes were stored."""

    epoch: int
    state: int | None


class SealedStanding(NamedTuple):
    """What the catalog said of an encrypted blob, found by its plaintext."""

    epoch: int
    state: int | None
    digest: str


class Claim(NamedTuple):
    """What a write relies on: the configuration's generation and the store's collector epoch it saw."""

    generation: int
    epoch: int
    keep: Prelude | None = None
    """What makes the one block of a small content durable, where that has not been done."""


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


def standing_of_plain(store_id: int, scope: str, plain: str) -> Program[SealedStanding]:
    """A store's epoch, and the blob that holds a plaintext, if one does."""
    rows = yield (
        "SELECT s.gc_epoch, x.state, x.digest FROM stores AS s LEFT JOIN blobs AS x"
        " ON x.store_id = s.id AND x.scope = ? AND x.plain = ? WHERE s.id = ?",
        (scope, bytes.fromhex(plain), store_id),
    )
    if not rows:
        return SealedStanding(-1, None, "")
    epoch, state, digest = rows[0]
    return SealedStanding(epoch, state, digest.hex() if digest else "")


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


STANDING = (
    "value, (SELECT gc_epoch FROM stores WHERE id = ?1),"
    " (SELECT state FROM blobs WHERE store_id = ?1 AND scope = ?2 AND digest = ?3)"
)
"""What ``claim_one`` has to know of a blob, beside ``meta``'s generation: store, scope and digest are parameters."""


def claim_one(content: Content, block: Block, standing: Row, seen: Claim) -> Program[None]:
    """``claim`` of a content that is one block, as it stands in this transaction."""
    generation, epoch, state = standing
    keep = seen.keep
    _check(generation, epoch, state is None and keep is None, state == DYING, seen)
    if keep is not None and state is None:
        yield keep
    elif keep is not None and state == DAMAGED:
        raise ClaimLost  # to be mended: more than a prelude does
    if state is None:
        yield (
            "INSERT INTO blobs (store_id, scope, digest, size, crc, state) VALUES (?, ?, ?, ?, ?, 0)",
            (content.store_id, content.scope, bytes.fromhex(block.digest), block.size, block.crc),
        )


def claim(content: Content, blocks: Sequence[Block], seen: Claim) -> Program[Sequence[Block]]:
    """Make sure that the blocks of a new content are the catalog's from here on; the blocks to name.

    Raises MountsChanged when the configuration moved on, ClaimLost when bytes may be gone.
    """
    if blocks and blocks[0].seal is not None:
        return (yield from _claim_sealed(content, blocks, seen))
    if len(blocks) == 1:
        digest = bytes.fromhex(blocks[0].digest)
        rows = yield f"SELECT {STANDING} FROM meta WHERE name = 'generation'", (content.store_id, content.scope, digest)
        yield from claim_one(content, blocks[0], rows[0], seen)
        return blocks
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
    return blocks


def _claim_sealed(content: Content, blocks: Sequence[Block], seen: Claim) -> Program[Sequence[Block]]:
    """As ``claim``: blocks are known by their plaintext, and the blob that holds it already is the one to name."""
    rows = yield (
        "SELECT value, (SELECT gc_epoch FROM stores WHERE id = ?) FROM meta WHERE name = 'generation'",
        (content.store_id,),
    )
    generation, epoch = rows[0]
    by_plain = {block.seal.plain: block for block in blocks if block.seal is not None}
    known = yield from _sealed(content.store_id, content.scope, list(by_plain))
    _check(generation, epoch, seen.keep is None and any(plain not in known for plain in by_plain), False, seen)
    if seen.keep is not None:
        yield seen.keep
    named: dict[str, str] = {}
    for plain, block in by_plain.items():
        digest, state = known.get(plain, (b"", None))
        assert block.seal is not None
        if state is not None and (state != DAMAGED or block.seal.key is None):
            named[plain] = digest.hex()
            continue
        if block.seal.key is None or not (yield from _in_use(block.seal.ring_key)):
            raise ClaimLost
        if state == DAMAGED:
            yield from _replace(content, digest, bytes.fromhex(block.digest))
        yield from _insert_sealed(content, block, block.seal)
        named[plain] = block.digest
    if lost := [block.digest for plain, block in by_plain.items() if block.digest != named[plain]]:
        yield from abandon(content.store_id, content.scope, lost, _FOREVER_AGO)
    return [block._replace(digest=named[block.seal.plain]) for block in blocks if block.seal is not None]


def _sealed(store_id: int, scope: str, plains: Sequence[str]) -> Program[dict[str, tuple[bytes, int]]]:
    """(digest, state) of the blobs that hold plaintexts."""
    found: dict[str, tuple[bytes, int]] = {}
    for at in range(0, len(plains), MAX_PARAMETERS):
        some = [bytes.fromhex(plain) for plain in plains[at : at + MAX_PARAMETERS]]
        rows = yield (
            f"SELECT plain, digest, state FROM blobs WHERE store_id = ? AND scope = ? AND plain IN ({_marks(some)})",
            (store_id, scope, *some),
        )
        found.update((plain.hex(), (digest, state)) for plain, digest, state in rows)
    return found


def _in_use(ring_key: int | None) -> Program[bool]:
    """Whether data keys may be wrapped by a key of the ring: not once it is retired, so that a rotation ends."""
    if ring_key is None:
        return True
    return bool((yield "SELECT 1 FROM encryption_keys WHERE id = ? AND retired_at IS NULL", (ring_key,)))


def _insert_sealed(content: Content, block: Block, seal: Seal) -> Program[None]:
    # There is a row only where a blob was carried here that nothing finds by its plaintext any more.
    yield (
        "INSERT INTO blobs (store_id, scope, digest, size, crc, state, plain, sealed_key, ring_key)"
        " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?) ON CONFLICT (store_id, scope, digest) DO UPDATE SET"
        " state = 0, plain = excluded.plain, sealed_key = excluded.sealed_key, ring_key = excluded.ring_key",
        (
            *(content.store_id, content.scope, bytes.fromhex(block.digest), seal.size, block.crc),
            *(bytes.fromhex(seal.plain), seal.key, seal.ring_key),
        ),
    )


def _replace(content: Content, old: bytes, new: bytes) -> Program[None]:
    """Let all that names a damaged blob name another one of the same plaintext."""
    where = (new, old, content.store_id, content.scope)
    for table in ("objects", "versions", "parts"):
        yield f"UPDATE {table} SET digest = ? WHERE digest = ? AND store_id = ? AND scope = ?", where
    yield (
        "UPDATE manifest_blocks SET digest = ? WHERE digest = ?"
        " AND manifest_id IN (SELECT id FROM manifests WHERE store_id = ? AND scope = ?)",
        where,
    )
    yield (
        "UPDATE blobs SET plain = NULL WHERE store_id = ? AND scope = ? AND digest = ?",
        (content.store_id, content.scope, old),
    )
    yield from abandon(content.store_id, content.scope, [old.hex()], _FOREVER_AGO)


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


_FACTS = "coalesce(x.crc, 0), x.plain, x.sealed_key, x.ring_key, x.size"


def _block(offset: int, size: int, digest: str, facts: Sequence[Any]) -> Block:
    crc, plain, key, ring_key, stored = facts
    if key is None:
        return Block(offset, size, digest, crc)
    return Block(offset, size, digest, crc, Seal(plain.hex() if plain else "", key, ring_key, stored))


def blocks_between(manifest_id: int, start: int, stop: int, limit: int) -> Program[list[Block]]:
    """At most ``limit`` blocks of a manifest that touch bytes [start, stop), in order."""
    rows = yield (
        f"SELECT k.start, k.size, k.digest, {_FACTS} FROM manifest_blocks AS k"
        " JOIN manifests AS m ON m.id = k.manifest_id LEFT JOIN blobs AS x ON x.store_id = m.store_id"
        " AND x.scope = m.scope AND x.digest = k.digest WHERE k.manifest_id = ?1 AND k.start < ?3 AND k.start >="
        " (SELECT max(start) FROM manifest_blocks WHERE manifest_id = ?1 AND start <= ?2) ORDER BY k.start LIMIT ?4",
        (manifest_id, start, stop, limit),
    )
    return [_block(offset, size, digest.hex(), facts) for offset, size, digest, *facts in rows]


def only_block(content: Content) -> Program[Block]:
    """The block of a content that is one."""
    assert content.digest is not None
    rows = yield (
        f"SELECT {_FACTS} FROM blobs AS x WHERE store_id = ? AND scope = ? AND digest = ?",
        (content.store_id, content.scope, bytes.fromhex(content.digest)),
    )
    return _block(0, content.size, content.digest, rows[0] if rows else (0, None, None, None, 0))


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

    A dying blob is found by its plaintext no more, and its key is gone for good. Returns the dying ones; their bytes
    may be deleted once this is committed.
    """
    dying: list[Garbage] = []
    for mark in marks:
        if not (yield from _referenced(mark.store_id, mark.scope, mark.digest)):
            dying.append(mark)
            yield (
                "INSERT INTO blobs (store_id, scope, digest, size, crc, state) VALUES (?, ?, ?, 0, 0, ?)"
                " ON CONFLICT (store_id, scope, digest)"
                " DO UPDATE SET state = excluded.state, plain = NULL, sealed_key = NULL, ring_key = NULL",
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
