"""Brings encrypted content from one store to another as it is: nothing is opened, and no customer's key is needed."""

from __future__ import annotations

import hashlib

from backends.base import BlobDamaged, BlobName, Stage, StoreError, StoreFull
from gateway.catalog import blobs
from gateway.catalog.base import Catalog
from gateway.content import ContentStore, Stored
from gateway.encryption_keys import EncryptionKeys
from gateway.errors import ContentUnavailable, StorageFull
from gateway.names import OpenStore
from gateway.types import Block, Checksum, Content, Seal


class Carrier:
    """Carries one content at a time."""

    def __init__(self, catalog: Catalog, content: ContentStore, keys: EncryptionKeys) -> None:
        self._catalog = catalog
        self._content = content
        self._keys = keys

    async def carry(self, source: Content, origin: OpenStore, store: OpenStore, scope: str) -> Stored:
        """Make the blobs of a content durable in a store; what is raised leaves nothing behind.

        Raises ContentUnavailable, StorageFull, Overloaded.
        """
        epoch = await self._catalog.read(blobs.epoch, store.info.id)
        blocks: list[Block] = []
        try:
            async for block in self._content.blocks(source):
                blocks.append(await self._block(source.scope, block, origin, store, scope))
        except BaseException as error:
            await self._content.abandon(store, scope, blocks)
            if isinstance(error, StoreFull):
                raise StorageFull(str(error)) from error
            if isinstance(error, StoreError):
                raise ContentUnavailable(str(error)) from error
            raise
        return Stored(store, scope, source.size, blocks, b"", Checksum("", ""), epoch)

    async def renew(self, stored: Stored) -> None:
        """After a claim was lost: a rotation may have retired the keys that wrap what was carried."""
        for at, block in enumerate(stored.blocks):
            if block.seal is not None and block.seal.key is not None:
                stored.blocks[at] = block._replace(seal=await self._keys.renewed(block.seal, stored.scope))

    async def _block(self, scope: str, block: Block, origin: OpenStore, store: OpenStore, target: str) -> Block:
        if block.seal is None:
            raise ContentUnavailable("no key is recorded for an encrypted blob")
        plain = block.seal.plain
        if plain:
            seen = await self._catalog.read(blobs.standing_of_plain, store.info.id, target, plain)
            if seen.state == blobs.LIVE:
                return block._replace(digest=seen.digest, seal=Seal(plain, None, None, 0))
        seal = await self._keys.renewed(block.seal, scope)
        stage = await self._content.open_stage(store)
        try:
            await self._copy(BlobName(scope, block.digest), origin, stage)
            await self._content.publish(stage, store, BlobName(target, block.digest))
        finally:
            await stage.discard()
        return block._replace(seal=seal)

    async def _copy(self, name: BlobName, origin: OpenStore, stage: Stage) -> None:
        digest = hashlib.sha256()

        def take(chunk: bytes) -> None:
            digest.update(chunk)
            stage.write(chunk)

        async for chunk in origin.use().get(name):
            await self._content.run(take, chunk)
        if digest.hexdigest() != name.digest:
            raise BlobDamaged(name, f"its bytes hash to {digest.hexdigest()}")
