"""A body into blocks and back.

Writing: a body is cut every ``block_size`` bytes, hashed once for every digest that anybody wants (MD5 for the
ETag, SHA-256 for the blob's name, the client's checksum), and each block is made durable in the store while the
next one arrives. Nothing here names anything: until the catalog does, the blocks are garbage.

Memory per upload is a few batches of ``cutter.BATCH`` bytes for stores that take streams; blocks from a shared budget
for those that need them whole. Reading streams, and reads ahead from stores behind a network (``gateway.ahead``).

Encrypted content goes the same way (``gateway.sealing``): each block is encrypted under a data key of its own while it
is hashed, and its blob is named by what the store holds. Where the catalog knows a blob of the same plaintext in the
same scope, that one is used and the new one dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import md5 as md5_of
from hashlib import sha256
from typing import Any

from awscrt.checksums import crc64nvme

from backends.base import (
    BlobDamaged,
    BlobName,
    ByteRange,
    Stage,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from gateway import checksums, sealing
from gateway.ahead import ReadAhead
from gateway.bodies import Checks, Source, signed, verify
from gateway.buffers import Buffers
from gateway.catalog import blobs
from gateway.catalog.base import Catalog, P, Prelude, T, Verb
from gateway.catalog.blobs import Claim
from gateway.cutter import Cutter, WholeBlock
from gateway.encryption import CustomerKey
from gateway.encryption_keys import Domain, EncryptionKeys
from gateway.errors import (
    ContentUnavailable,
    EntityTooLarge,
    GatewayError,
    IncompleteBody,
    Overloaded,
    StorageFull,
    StoreUnreachable,
)
from gateway.names import OpenStore
from gateway.sealing import Opener, Tampered, sealed_size
from gateway.types import Block, Checksum, Content, Seal

SMALL = 64 * 1024
"""Bodies up to this size are handled whole and on the loop: a thread would cost more than hashing them."""
BLOCK_PAGE = 64
PATIENCE = 200
"""How often, every 25 ms, a put looks again at a blob that the collector is removing."""


@dataclass(slots=True)
class Stored:
    """Blocks that are durable in a store, not yet named."""

    store: OpenStore
    scope: str
    size: int
    blocks: list[Block]
    md5: bytes
    checksum: Checksum
    epoch: int
    small: bytes | None = field(default=None, repr=False)
    """The content itself where it was small, so that it can be stored again."""
    keep: Prelude | None = field(default=None, repr=False)
    """What has yet to be done, in the catalog's group of writes, to make a small content durable."""
    domain: Domain | None = None
    """Where it is encrypted."""

    @property
    def content(self) -> Content:
        return Content(self.store.info.id, self.scope, self.size)

    def claim(self, generation: int) -> Claim:
        """What a write that names it relies on."""
        return Claim(generation, self.epoch, self.keep)

    @property
    def etag(self) -> str:
        """The MD5, or what stands for it where the encryption hides that."""
        if self.domain is not None and self.domain.encryption.hides_md5:
            return self.domain.key.etag(self.md5)
        return self.md5.hex()


class ContentStore:
    """Stores bodies and reads contents, over all mounted stores."""

    def __init__(self, catalog: Catalog, keys: EncryptionKeys, *, threads: int, buffer_blocks: int) -> None:
        self._catalog = catalog
        self._keys = keys
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="content")
        self.buffers = Buffers(buffer_blocks)
        self._ahead = ReadAhead(Buffers(buffer_blocks))

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    # -- writing

    async def store(
        self, source: Source, store: OpenStore, scope: str, checks: Checks, domain: Domain | None = None
    ) -> Stored:
        """Make a body durable, encrypted where a domain is told (``scope`` is in it then).

        What is raised leaves nothing behind. Raises DigestMismatch, IncompleteBody, EntityTooLarge, StorageFull,
        ContentUnavailable.
        """
        if source.length is not None and source.length > checks.limit:
            raise EntityTooLarge(source.length, checks.limit)
        try:
            if source.length is not None and source.length <= SMALL:
                return await self._store_small(source, store, scope, checks, domain)
            return await self._store_long(source, store, scope, checks, domain)
        except StoreError as error:
            raise told(error) from error

    async def _store_small(
        self, source: Source, store: OpenStore, scope: str, checks: Checks, domain: Domain | None
    ) -> Stored:
        body = await source.whole()
        size = len(body)
        if size != source.length:
            raise IncompleteBody(f"{size} of {source.length} bytes came")
        digest = sha256(body).hexdigest()
        md5 = md5_of(body, usedforsecurity=False).digest()
        crc = crc64nvme(body)
        if checks.algorithm == "CRC64NVME":
            value = crc.to_bytes(8)
        else:
            hasher = checksums.new(checks.algorithm)
            hasher.update(body)
            value = hasher.digest()
        checksum = verify(source, checks, md5, value, digest)
        blocks = [Block(0, size, digest, signed(crc))] if body else []
        if domain is not None:
            blocks = [block._replace(seal=Seal(digest, None, None, 0)) for block in blocks]
        stored = Stored(store, scope, size, blocks, md5, checksum, 0, body, domain=domain)
        grouped = store.grouped
        if body and domain is None and grouped is not None and size <= grouped.group_limit:
            # Whether the store has it already, the transaction sees that names it.
            stored.keep = Prelude(grouped.put_group, (BlobName(scope, digest), body))
        elif body:
            await self._keep_small(stored)
        return stored

    async def _keep_small(self, stored: Stored) -> None:
        """See to it that a small content is in its store, and note the epoch at which that was so."""
        if stored.domain is not None:
            await self._keep_small_sealed(stored, stored.domain)
            return
        store, scope, digest = stored.store, stored.scope, stored.blocks[0].digest
        seen = await self._settled(store, scope, digest)
        stored.epoch = seen.epoch
        stored.keep = None
        if seen.state == blobs.LIVE:
            return
        assert stored.small is not None
        name = BlobName(scope, digest)
        grouped = store.grouped
        if seen.state is None and grouped is not None and stored.size <= grouped.group_limit:
            stored.keep = Prelude(grouped.put_group, (name, stored.small))
            return
        if seen.state == blobs.DAMAGED:
            await store.use().delete(name)
        await store.use().put(name, stored.small)
        if seen.state == blobs.DAMAGED:
            await self._catalog.write(blobs.set_state, store.info.id, *name, blobs.DAMAGED, blobs.LIVE)

    async def _keep_small_sealed(self, stored: Stored, domain: Domain) -> None:
        store, scope, block = stored.store, stored.scope, stored.blocks[0]
        assert block.seal is not None and stored.small is not None
        seen = await self._catalog.read(blobs.standing_of_plain, store.info.id, scope, block.seal.plain)
        stored.epoch = seen.epoch
        stored.keep = None
        if seen.state == blobs.LIVE:
            stored.blocks = [block._replace(digest=seen.digest, seal=Seal(block.seal.plain, None, None, 0))]
            return
        data_key = sealing.new_key()
        content = sealing.seal(data_key, stored.small)
        seal = Seal(block.seal.plain, domain.key.wrap(data_key, scope), domain.key.ring_id, len(content))
        name = BlobName(scope, sha256(content).hexdigest())
        stored.blocks = [block._replace(digest=name.digest, seal=seal)]
        grouped = store.grouped
        if grouped is not None and len(content) <= grouped.group_limit:
            stored.keep = Prelude(grouped.put_group, (name, content))
        else:
            await store.use().put(name, content)

    async def _settled(self, store: OpenStore, scope: str, digest: str) -> blobs.Standing:
        """What the catalog says of a blob, once no removal of it is under way."""
        for _ in range(PATIENCE):
            seen = await self._catalog.read(blobs.standing, store.info.id, scope, digest)
            if seen.state != blobs.DYING:
                return seen
            await asyncio.sleep(0.025)
        raise Overloaded("a blob of the same content is being removed")

    async def _store_long(
        self, source: Source, store: OpenStore, scope: str, checks: Checks, domain: Domain | None
    ) -> Stored:
        epoch = await self._catalog.read(blobs.epoch, store.info.id)
        cutter = Cutter(self, store, scope, source, checks, domain)
        try:
            await cutter.run()
            md5, checksum = cutter.finish()
        except BaseException:
            await asyncio.shield(cutter.abandon())
            raise
        return Stored(store, scope, cutter.size, cutter.blocks, md5, checksum, epoch, domain=domain)

    def begin(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Have a worker thread call a function."""
        return asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        return await self.begin(function, *args)

    async def publish(self, stage: Stage, store: OpenStore, name: BlobName) -> None:
        """Make one staged block durable, unless the store is known to have it."""
        seen = await self._settled(store, *name)
        if seen.state == blobs.LIVE:
            await stage.discard()
            return
        if seen.state == blobs.DAMAGED:  # a store would keep what it has under that name
            await store.use().delete(name)
        await stage.publish(name)
        if seen.state == blobs.DAMAGED:
            await self._catalog.write(blobs.set_state, store.info.id, *name, blobs.DAMAGED, blobs.LIVE)

    async def publish_sealed(self, stage: Stage, store: OpenStore, scope: str, block: Block, seal: Seal) -> Block:
        """As ``publish``; the encrypted block as it is in the store, perhaps as somebody else encrypted it before."""
        seen = await self._catalog.read(blobs.standing_of_plain, store.info.id, scope, seal.plain)
        if seen.state == blobs.LIVE:
            await stage.discard()
            return block._replace(digest=seen.digest, seal=Seal(seal.plain, None, None, 0))
        await stage.publish(BlobName(scope, block.digest))
        return block

    async def open_stage(self, store: OpenStore) -> Stage:
        if store.streaming is not None:
            return store.streaming.stage()
        blob_store, owner = store.use(), store.info.id
        if store.guard is None:
            await self.buffers.take(owner)
        else:
            await store.guard.wait(self.buffers.take, owner)
        return WholeBlock(blob_store, lambda: self.buffers.give_back(owner))

    async def abandon(self, store: OpenStore, scope: str, blocks: Sequence[Block]) -> None:
        """Leave blocks that nothing will name to the collector."""
        if blocks:
            now = time.time_ns() // 1_000_000
            await self._catalog.write(blobs.abandon, store.info.id, scope, [block.digest for block in blocks], now)

    async def name(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the program that names stored contents; bytes that are not durable yet are made so along with it."""
        try:
            return await self._catalog.write(verb, *args, **kwargs)
        except StoreError as error:
            raise told(error) from error

    async def reclaim(self, stored: Stored) -> None:
        """Make sure, after a collector ran in between, that every block is still there; note the new epoch.

        Raises Overloaded when bytes are gone that this process no longer has: the client sends them again.
        """
        store, scope = stored.store, stored.scope
        if stored.domain is not None:
            await self._renew(stored, stored.domain)
        if stored.small:
            await self._keep_small(stored)
            return
        epoch = await self._catalog.read(blobs.epoch, store.info.id)
        known = await self._catalog.read(blobs.states, store.info.id, scope, [b.digest for b in stored.blocks])
        for block in stored.blocks:
            state = known.get(block.digest)
            if state == blobs.DYING:
                state = (await self._settled(store, scope, block.digest)).state
            lent = block.seal is not None and block.seal.key is None
            if state is None and (lent or await store.use().stat(BlobName(scope, block.digest)) is None):
                raise Overloaded("a block was removed before it was named")
        stored.epoch = epoch

    async def _renew(self, stored: Stored, domain: Domain) -> None:
        """After a claim was lost: wrap the data keys by the key in use now, and let a small content be stored again."""
        stored.domain = renewed = await self._keys.renew(domain)
        if stored.small:
            await self.abandon(stored.store, stored.scope, stored.blocks)
            return
        for at, block in enumerate(stored.blocks):
            if block.seal is not None and block.seal.key is not None:
                data_key = domain.key.unwrap(block.seal.key, stored.scope)
                key = renewed.key.wrap(data_key, stored.scope)
                stored.blocks[at] = block._replace(seal=block.seal._replace(key=key, ring_key=renewed.key.ring_id))

    # -- reading

    def read_small(self, store: OpenStore, content: Content) -> bytes | None:
        """A one-block content at once, where the store can; else None."""
        inline = store.inline
        if inline is None or content.digest is None or content.size > inline.inline_limit:
            return None
        try:
            return inline.read_inline(BlobName(content.scope, content.digest))
        except StoreError as error:
            raise told(error) from error

    async def read_small_sealed(
        self, store: OpenStore, content: Content, span: ByteRange, customer: CustomerKey | None
    ) -> bytes | None:
        """As ``read_small``, of an encrypted content: the bytes [start, stop) of it."""
        inline = store.inline
        if inline is None or content.digest is None or sealed_size(content.size) > inline.inline_limit:
            return None
        block = await self._catalog.read(blobs.only_block, content)
        data_key = await self._keys.data_key(content.scope, block.seal, customer)
        name = BlobName(content.scope, content.digest)
        try:
            stored = inline.read_inline(name)
            return None if stored is None else sealing.open_sealed(data_key, content.size, stored, span)
        except StoreError as error:
            raise told(error) from error
        except Tampered as error:
            raise ContentUnavailable(str(await self._damaged(store, name, str(error)))) from error

    async def read(
        self, store: OpenStore, content: Content, span: ByteRange, customer: CustomerKey | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes [start, stop) of a content; blocks read whole are checked against their CRC, encrypted ones
        whatever is read of them. ``customer`` is the key of one that is encrypted with a customer's.

        Raises ContentUnavailable, before the first byte where it can be known by then, and before the last byte of
        a block whose bytes are not what was stored.
        """
        try:
            if content.digest is not None:
                block = await self._catalog.read(blobs.only_block, content)
                async with aclosing(self._read_block(store, content.scope, block, span, customer)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            elif content.manifest_id is not None:

                def fetch(block: Block) -> AsyncGenerator[bytes, None]:
                    within = ByteRange(max(span.start - block.offset, 0), min(span.stop - block.offset, block.size))
                    return self._read_block(store, content.scope, block, within, customer)

                depth = store.remote.parallel if store.remote is not None else 0
                async with aclosing(self._blocks(content.manifest_id, span)) as blocks:
                    async with aclosing(self._ahead.read(blocks, fetch, depth, store.info.id)) as chunks:
                        async for chunk in chunks:
                            yield chunk
        except StoreError as error:
            raise told(error) from error

    async def _read_block(
        self, store: OpenStore, scope: str, block: Block, span: ByteRange, customer: CustomerKey | None
    ) -> AsyncGenerator[bytes, None]:
        name = BlobName(scope, block.digest)
        if "." in scope:
            async with aclosing(self._read_sealed(store, name, block, span, customer)) as opened:
                async for chunk in opened:
                    yield chunk
            return
        if span != (0, block.size):
            async for chunk in store.use().get(name, span):
                yield chunk
            return
        # Each chunk goes out when the next one is here, the last when the whole was checked.
        crc, held = 0, b""
        async for chunk in store.use().get(name):
            if held:
                yield held
            crc, held = crc64nvme(chunk, crc), chunk
        if signed(crc) != block.crc:
            raise await self._damaged(store, name, "its CRC is not the one it was stored with")
        yield held

    async def _read_sealed(
        self, store: OpenStore, name: BlobName, block: Block, span: ByteRange, customer: CustomerKey | None
    ) -> AsyncGenerator[bytes, None]:
        """Only the segments that the span touches are read, and nothing is told of one before it proved true."""
        opener = Opener(await self._keys.data_key(name.scope, block.seal, customer), block.size, span)
        try:
            async for stored in store.use().get(name, opener.stored_span):
                if chunk := opener.open(stored):
                    yield chunk
            if rest := opener.end():
                yield rest
        except Tampered as error:
            raise await self._damaged(store, name, str(error)) from error

    async def _damaged(self, store: OpenStore, name: BlobName, reason: str) -> BlobDamaged:
        """Mark a blob, so that the next put of its content repairs it."""
        await self._catalog.write(blobs.set_state, store.info.id, *name, blobs.LIVE, blobs.DAMAGED)
        return BlobDamaged(name, reason)

    async def blocks(self, content: Content) -> AsyncIterator[Block]:
        """The blocks of a content, in order."""
        if content.digest is not None:
            yield await self._catalog.read(blobs.only_block, content)
        elif content.manifest_id is not None:
            async for block in self._blocks(content.manifest_id, ByteRange(0, content.size)):
                yield block

    async def _blocks(self, manifest_id: int, span: ByteRange) -> AsyncGenerator[Block, None]:
        at = span.start
        while at < span.stop:
            page = await self._catalog.read(blobs.blocks_between, manifest_id, at, span.stop, BLOCK_PAGE)
            if not page:
                raise ContentUnavailable(f"manifest {manifest_id} has no block at byte {at}")
            for block in page:
                yield block
            at = page[-1].offset + page[-1].size


def told(error: StoreError) -> GatewayError:
    """What a store's failure means to whoever wanted a content."""
    if isinstance(error, StoreFull):
        return StorageFull(str(error))
    if isinstance(error, StoreUnavailable):
        return StoreUnreachable(str(error), error.retry_after)
    return ContentUnavailable(str(error))
