"""Moves a version's content to the store that its new storage class is bound to.

The copy is durable before the catalog names it, in one transaction that looks again whether the version is still the
one that was read; readers find the former bytes until then, and for a grace period after.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from backends.base import ByteRange
from gateway.bodies import Checks
from gateway.carrier import Carrier
from gateway.catalog import objects as verbs
from gateway.catalog import placement, versions
from gateway.catalog.base import Catalog
from gateway.catalog.blobs import ClaimLost
from gateway.catalog.lifecycle import Done, Mandate
from gateway.content import ContentStore, Stored
from gateway.errors import Conflict, MountsChanged, Overloaded, StorageFull
from gateway.names import Names, OpenStore, Snapshot
from gateway.objects import ATTEMPTS, Bytes
from gateway.types import Bucket, ObjectInfo

Look = Callable[[], Awaitable[Mandate]]


class _Move(NamedTuple):
    """What is to be moved, and where."""

    look: Look
    info: ObjectInfo
    target: str
    replaced: bool
    """Whether it is among the versions that are not shown."""


class Mover:
    """Moves versions, one call each."""

    def __init__(
        self, catalog: Catalog, names: Names, content: ContentStore, carrier: Carrier, *, max_object: int
    ) -> None:
        self._catalog = catalog
        self._names = names
        self._content = content
        self._carrier = carrier
        self._max_object = max_object

    async def move(self, look: Look, key: str, version_id: str | None, target: str) -> tuple[Done, int] | None:
        """Move what a key shows, or one of its former versions, to a storage class; the bytes that were copied.

        ``look`` tells the bucket and its rules as they are now. None where the version, or what is to be done with it,
        changed meanwhile. Raises BackendNotFound, ReadOnlyMount, ContentUnavailable, StorageFull, Overloaded.
        """
        bucket = (await look()).bucket
        if version_id is None:
            info = await self._catalog.find(verbs.find_object(bucket.id, key))
        else:
            info = await self._catalog.read(versions.find_version, bucket.id, key, version_id)
        if info is None:
            return None
        snapshot = await self._names.current()
        store = snapshot.writable(bucket, key, target)
        place = (store.info.id, info.content.scope_below(store.scope_for(bucket)))
        move = _Move(look, info, target, version_id is not None)
        try:
            if not info.size or place == (info.content.store_id, info.content.scope):
                return await self._relabel(move), 0
            return await self._carry(move, bucket, store, snapshot), info.size
        except Conflict:
            return None

    async def _relabel(self, move: _Move) -> Done:
        for _ in range(ATTEMPTS):
            mandate = await move.look()
            try:
                return await self._catalog.write(placement.relabel, mandate, move.info, move.target, move.replaced)
            except MountsChanged:
                continue
        raise Overloaded("the configuration keeps changing")

    async def _carry(self, move: _Move, bucket: Bucket, store: OpenStore, snapshot: Snapshot) -> Done:
        info = move.info
        origin = snapshot.holding(info.content.store_id, f"/{bucket.name}/{info.key}")
        base = store.scope_for(bucket)
        if info.content.sealed:
            stored = await self._carrier.carry(info.content, origin, store, info.content.scope_below(base))
        else:
            body = Bytes(self._content.read(origin, info.content, ByteRange(0, info.size)), info.size)
            stored = await self._content.store(body, store, base, self._checks(info))
        try:
            return await self._name(move, stored)
        except StorageFull:
            raise  # noting garbage needs the room that is not there; a sweep finds it
        except BaseException:
            await self._content.abandon(stored.store, stored.scope, stored.blocks)
            raise

    def _checks(self, info: ObjectInfo) -> Checks:
        """The copy must have the checksum that the object has, where that is one of the whole."""
        known = info.checksum
        if known is None or known.type != "FULL_OBJECT":
            return Checks(limit=self._max_object)
        return Checks(algorithm=known.algorithm, value=known.value, limit=self._max_object)

    async def _name(self, move: _Move, stored: Stored) -> Done:
        for _ in range(ATTEMPTS):
            mandate = await move.look()
            snapshot = await self._names.current()
            if snapshot.writable(mandate.bucket, move.info.key, move.target).info.id != stored.store.info.id:
                raise Conflict("the storage class lies elsewhere now")
            claim = stored.claim(mandate.generation)
            arguments = (mandate, move.info, move.target, move.replaced, stored.content, stored.blocks, claim)
            try:
                return await self._content.name(placement.relocate, *arguments)
            except MountsChanged:
                continue
            except ClaimLost:
                await self._content.reclaim(stored)
                await self._carrier.renew(stored)
        raise Overloaded("the configuration keeps changing")
