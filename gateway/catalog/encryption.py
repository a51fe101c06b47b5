"""Programs over the keys of encryption: the ring that wraps data keys, and the built-in key management service's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.catalog.base import Many, Program
from gateway.errors import KmsKeyExists, KmsKeyNotFound

_RING = "id, kind, key_id, context, sealed, created_at, retired_at"


class RingKey(NamedTuple):
    """A key of the ring, sealed."""

    id: int
    kind: str
    """``s3``: sealed by the master key. ``kms``: by the key ``key_id`` of a key management service."""
    key_id: str
    context: str
    sealed: bytes
    created_at: int
    retired_at: int | None


class KmsKey(NamedTuple):
    """A key of the built-in key management service, sealed by the master key."""

    key_id: str
    sealed: bytes
    created_at: int
    disabled_at: int | None


class Wrapped(NamedTuple):
    """A data key as a blob's row has it."""

    store_id: int
    scope: str
    digest: bytes
    sealed_key: bytes


def key_in_use(kind: str, key_id: str, context: str) -> Program[RingKey | None]:
    rows = yield (
        f"SELECT {_RING} FROM encryption_keys WHERE kind = ? AND key_id = ? AND context = ? AND retired_at IS NULL",
        (kind, key_id, context),
    )
    return RingKey(*rows[0]) if rows else None


def ring_key(ring_id: int) -> Program[RingKey | None]:
    rows = yield f"SELECT {_RING} FROM encryption_keys WHERE id = ?", (ring_id,)
    return RingKey(*rows[0]) if rows else None


def put_in_use(new: RingKey, instead_of: int | None) -> Program[RingKey]:
    """Let a new key wrap from now on, instead of a given one; the key in use.

    That is another where somebody was faster.
    """
    present = yield from key_in_use(new.kind, new.key_id, new.context)
    if present is not None:
        if present.id != instead_of:
            return present
        yield "UPDATE encryption_keys SET retired_at = ? WHERE id = ?", (new.created_at, present.id)
    rows = yield (
        "INSERT INTO encryption_keys (kind, key_id, context, sealed, created_at) VALUES (?, ?, ?, ?, ?) RETURNING id",
        (new.kind, new.key_id, new.context, new.sealed, new.created_at),
    )
    return new._replace(id=int(rows[0][0]))


def ring() -> Program[list[tuple[RingKey, int]]]:
    """Every key of the ring, and how many blobs' keys it wraps."""
    rows = yield (
        f"SELECT {_RING}, (SELECT count(*) FROM blobs WHERE ring_key = k.id) FROM encryption_keys AS k ORDER BY id",
        (),
    )
    return [(RingKey(*row[:-1]), row[-1]) for row in rows]


def retire(ring_id: int, now: int) -> Program[None]:
    yield "UPDATE encryption_keys SET retired_at = ? WHERE id = ? AND retired_at IS NULL", (now, ring_id)


def wrapped_by(ring_id: int, after: tuple[int, str, bytes], limit: int) -> Program[list[Wrapped]]:
    """Data keys that a key of the ring wraps, in the order of their blobs, past one."""
    rows = yield (
        "SELECT store_id, scope, digest, sealed_key FROM blobs WHERE ring_key = ?"
        " AND (store_id, scope, digest) > (?, ?, ?) ORDER BY store_id, scope, digest LIMIT ?",
        (ring_id, *after, limit),
    )
    return [Wrapped(*row) for row in rows]


def rewrap(changes: Sequence[tuple[Wrapped, bytes]], ring_id: int) -> Program[None]:
    """Keep data keys as another key wraps them; a blob that went meanwhile stays as it is."""
    yield Many(
        "UPDATE blobs SET sealed_key = ?, ring_key = ? WHERE store_id = ? AND scope = ? AND digest = ?"
        " AND sealed_key = ?",
        [(now, ring_id, was.store_id, was.scope, was.digest, was.sealed_key) for was, now in changes],
    )


def drop_unused(before: int) -> Program[None]:
    """Destroy keys that were retired before a time and wrap nothing any more."""
    yield (
        "DELETE FROM encryption_keys WHERE retired_at <= ?"
        " AND NOT EXISTS (SELECT 1 FROM blobs WHERE ring_key = encryption_keys.id)",
        (before,),
    )


def blobs_without_keys(store_id: int, limit: int) -> Program[list[tuple[str, bytes]]]:
    """(scope, digest) of blobs whose data key is wrapped by a key that is not in the ring."""
    rows = yield (
        "SELECT scope, digest FROM blobs WHERE store_id = ? AND ring_key IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM encryption_keys WHERE id = blobs.ring_key) LIMIT ?",
        (store_id, limit),
    )
    return [(scope, digest) for scope, digest in rows]


# -- the built-in key management service


def kms_key(key_id: str) -> Program[KmsKey | None]:
    rows = yield "SELECT key_id, sealed, created_at, disabled_at FROM kms_keys WHERE key_id = ?", (key_id,)
    return KmsKey(*rows[0]) if rows else None


def kms_keys() -> Program[list[KmsKey]]:
    rows = yield "SELECT key_id, sealed, created_at, disabled_at FROM kms_keys ORDER BY key_id", ()
    return [KmsKey(*row) for row in rows]


def add_kms_key(key_id: str, sealed: bytes, now: int) -> Program[None]:
    """Raises KmsKeyExists."""
    if (yield from kms_key(key_id)) is not None:
        raise KmsKeyExists(key_id, "it exists")
    yield "INSERT INTO kms_keys (key_id, sealed, created_at) VALUES (?, ?, ?)", (key_id, sealed, now)


def set_kms_key_state(key_id: str, disabled_at: int | None) -> Program[None]:
    """Disable a key or enable it again. Raises KmsKeyNotFound."""
    changed = yield "UPDATE kms_keys SET disabled_at = ? WHERE key_id = ? RETURNING 1", (disabled_at, key_id)
    if not changed:
        raise KmsKeyNotFound(key_id, f"Invalid keyId '{key_id}'")
