"""A body into blocks and back.

Writing: a body is cut every ``block_size`` bytes, hashed once for every digest that anybody wants (MD5 for the
ETag, SHA-256 for the blob's name, the client's checksum), and each block is made durable in the store while the
next one arrives. Nothing here names anything: until the catalog does, the blocks are garbage.

Memory per upload is two batches of ``BATCH`` bytes for stores that take streams; blocks from a shared budget for
those that need them whole. Reading streams, and reads ahead from stores behind a network (``gateway.ahead``).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from awscrt.checksums import crc64nvme

from backends.base import (
    BlobDamaged,
    BlobName,
    BlobStore,
    ByteRange,
    Stage,
    StoreError,
    StoreFull,
)
from gateway import checksums
from gateway.ahead import ReadAhead
from gateway.catalog import blobs
from gateway.catalog.base import Catalog, Prelude, T, Verb
from gateway.errors import (
    ContentUnavailable,
    DigestMismatch,
    EntityTooLarge,
    IncompleteBody,
    Overloaded,
    StorageFull,
)
from gateway.names import OpenStore
from gateway.types import Block, Checksum, Content

SMALL = 64 * 1024
"""Bodies up to this size are handled whole and on the loop: a thread would cost more than hashing them."""
BATCH = 512 * 1024
"""Bytes handed to a worker thread at once."""
PUBLISHING = 2
"""Blocks of one body that may be on their way to the disk while the next one arrives; a remote store says itself."""
BLOCK_PAGE = 64
PATIENCE = 200
"""How often, every 25 ms, a put looks again at a blob that the collector is removing."""


class Source(Protocol):
    """A body: its bytes in order, and what its sender said of it."""

    @property
    def length(self) -> int | None:
        """Declared number of bytes, None when the sender did not know."""

    @property
    def sha256(self) -> str | None:
        """Hex SHA-256 that the whole body must have, None when it was not signed."""

    @property
    def trailers(self) -> Mapping[str, str]:
        """Headers sent after the body; complete once the body is."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Checks:
    """What a body must turn out to be. A digest that does not match stores nothing."""

    md5: bytes | None = None
    algorithm: str = "CRC64NVME"
    """The checksum to compute, and to check when ``value`` or a trailer tells it."""
    value: str | None = None
    trailer: str | None = None
    """The name of the trailer that tells ``value``."""
    limit: int = 5 * 1024**3


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
    prelude: Prelude | None = field(default=None, repr=False)
    """What has yet to be done, in the catalog's group of writes, to make a small content durable."""

    @property
    def content(self) -> Content:
        return Content(self.store.info.id, self.scope, self.size)

    @property
    def etag(self) -> str:
        return self.md5.hex()


class ContentStore:
    """Stores bodies and reads contents, over all mounted stores."""

    def __init__(self, catalog: Catalog, *, threads: int, buffer_blocks: int) -> None:
        self._catalog = catalog
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="content")
        self._buffers = asyncio.Semaphore(buffer_blocks)
        self._ahead = ReadAhead(buffer_blocks)

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    # -- writing

    async def store(self, source: Source, store: OpenStore, scope: str, checks: Checks) -> Stored:
        """Make a body durable; what is raised leaves nothing behind.

        Raises DigestMismatch, IncompleteBody, EntityTooLarge, StorageFull, ContentUnavailable.
        """
        if source.length is not None and source.length > checks.limit:
            raise EntityTooLarge(source.length, checks.limit)
        try:
            if source.length is not None and source.length <= SMALL:
                return await self._store_small(source, store, scope, checks)
            return await self._store_long(source, store, scope, checks)
        except StoreFull as error:
            raise StorageFull(str(error)) from error
        except StoreError as error:
            raise ContentUnavailable(str(error)) from error

    async def _store_small(self, source: Source, store: OpenStore, scope: str, checks: Checks) -> Stored:
        chunks = [chunk async for chunk in source]
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(body) != source.length:
            raise IncompleteBody(f"{len(body)} of {source.length} bytes came")
        digest = hashlib.sha256(body).hexdigest()
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        hasher = checksums.new(checks.algorithm)
        hasher.update(body)
        checksum = _verify(source, checks, md5, hasher.digest(), digest)
        blocks = [Block(0, len(body), digest, _signed(crc64nvme(body)))] if body else []
        stored = Stored(store, scope, len(body), blocks, md5, checksum, 0, body)
        if body:
            await self._keep_small(stored)
        return stored

    async def _keep_small(self, stored: Stored) -> None:
        """See to it that a small content is in its store, and note the epoch at which that was so."""
        store, scope, digest = stored.store, stored.scope, stored.blocks[0].digest
        seen = await self._settled(store, scope, digest)
        stored.epoch = seen.epoch
        stored.prelude = None
        if seen.state == blobs.LIVE:
            return
        assert stored.small is not None
        name = BlobName(scope, digest)
        grouped = store.grouped
        if seen.state is None and grouped is not None and stored.size <= grouped.group_limit:
            stored.prelude = Prelude(grouped.put_group, (name, stored.small))
            return
        if seen.state == blobs.DAMAGED:
            await store.use().delete(name)
        await store.use().put(name, stored.small)
        if seen.state == blobs.DAMAGED:
            await self._catalog.write(blobs.set_state, store.info.id, *name, blobs.DAMAGED, blobs.LIVE)

    async def _settled(self, store: OpenStore, scope: str, digest: str) -> blobs.Standing:
        """What the catalog says of a blob, once no removal of it is under way."""
        for _ in range(PATIENCE):
            seen = await self._catalog.read(blobs.standing, store.info.id, scope, digest)
            if seen.state != blobs.DYING:
                return seen
            await asyncio.sleep(0.025)
        raise Overloaded("a blob of the same content is being removed")

    async def _store_long(self, source: Source, store: OpenStore, scope: str, checks: Checks) -> Stored:
        epoch = await self._catalog.read(blobs.epoch, store.info.id)
        cutter = _Cutter(self, store, scope, source, checks)
        try:
            await cutter.run()
            md5, checksum = cutter.finish()
        except BaseException:
            await asyncio.shield(cutter.abandon())
            raise
        return Stored(store, scope, cutter.size, cutter.blocks, md5, checksum, epoch)

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

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

    async def open_stage(self, store: OpenStore) -> Stage:
        if store.streaming is not None:
            return store.streaming.stage()
        blob_store = store.use()
        await self._buffers.acquire()
        return _WholeBlock(blob_store, self._buffers)

    async def abandon(self, store: OpenStore, scope: str, blocks: Sequence[Block]) -> None:
        """Leave blocks that nothing will name to the collector."""
        if blocks:
            now = time.time_ns() // 1_000_000
            await self._catalog.write(blobs.abandon, store.info.id, scope, [block.digest for block in blocks], now)

    async def name(self, stored: Stored, verb: Verb[..., T], *args: Any) -> T:
        """Run the program that names a stored content; bytes that are not durable yet are made so first."""
        if stored.prelude is None:
            return await self._catalog.write(verb, *args)
        try:
            return await self._catalog.write_after(stored.prelude, verb, *args)
        except StoreFull as error:
            raise StorageFull(str(error)) from error
        except StoreError as error:
            raise ContentUnavailable(str(error)) from error

    async def reclaim(self, stored: Stored) -> None:
        """Make sure, after a collector ran in between, that every block is still there; note the new epoch.

        Raises Overloaded when bytes are gone that this process no longer has: the client sends them again.
        """
        if stored.small:
            await self._keep_small(stored)
            return
        store, scope = stored.store, stored.scope
        epoch = await self._catalog.read(blobs.epoch, store.info.id)
        known = await self._catalog.read(blobs.states, store.info.id, scope, [b.digest for b in stored.blocks])
        for block in stored.blocks:
            state = known.get(block.digest)
            if state == blobs.DYING:
                state = (await self._settled(store, scope, block.digest)).state
            if state is None and await store.use().stat(BlobName(scope, block.digest)) is None:
                raise Overloaded("a block was removed before it was named")
        stored.epoch = epoch

    # -- reading

    def read_small(self, store: OpenStore, content: Content) -> bytes | None:
        """A one-block content at once, where the store can; else None."""
        inline = store.inline
        if inline is None or content.digest is None or content.size > inline.inline_limit:
            return None
        try:
            return inline.read_inline(BlobName(content.scope, content.digest))
        except StoreError as error:
            raise ContentUnavailable(str(error)) from error

    async def read(self, store: OpenStore, content: Content, span: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes [start, stop) of a content; blocks read whole are checked against their CRC.

        Raises ContentUnavailable, before the first byte where it can be known by then, and before the last byte of
        a block whose bytes are not what was stored.
        """
        try:
            if content.digest is not None:
                crc = await self._catalog.read(blobs.crc_of, store.info.id, content.scope, content.digest)
                block = Block(0, content.size, content.digest, crc or 0)
                async with aclosing(self._read_block(store, content.scope, block, span)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            elif content.manifest_id is not None:

                def fetch(block: Block) -> AsyncGenerator[bytes, None]:
                    within = ByteRange(max(span.start - block.offset, 0), min(span.stop - block.offset, block.size))
                    return self._read_block(store, content.scope, block, within)

                depth = store.remote.parallel if store.remote is not None else 0
                async with aclosing(self._blocks(content.manifest_id, span)) as blocks:
                    async with aclosing(self._ahead.read(blocks, fetch, depth)) as chunks:
                        async for chunk in chunks:
                            yield chunk
        except StoreError as error:
            raise ContentUnavailable(str(error)) from error

    async def _read_block(
        self, store: OpenStore, scope: str, block: Block, span: ByteRange
    ) -> AsyncGenerator[bytes, None]:
        name = BlobName(scope, block.digest)
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
        if _signed(crc) != block.crc:
            await self._catalog.write(blobs.set_state, store.info.id, *name, blobs.LIVE, blobs.DAMAGED)
            raise BlobDamaged(name, "its CRC is not the one it was stored with")
        yield held

    async def _blocks(self, manifest_id: int, span: ByteRange) -> AsyncGenerator[Block, None]:
        at = span.start
        while at < span.stop:
            page = await self._catalog.read(blobs.blocks_between, manifest_id, at, span.stop, BLOCK_PAGE)
            if not page:
                raise ContentUnavailable(f"manifest {manifest_id} has no block at byte {at}")
            for block in page:
                yield block
            at = page[-1].offset + page[-1].size


class _Cutter:
    """One long body on its way into a store."""

    def __init__(self, content: ContentStore, store: OpenStore, scope: str, source: Source, checks: Checks) -> None:
        self._content = content
        self._store = store
        self._scope = scope
        self._source = source
        self._checks = checks
        self.size = 0
        self.blocks: list[Block] = []
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksum = checksums.new(checks.algorithm)
        # A body of one block is named by the very digest that its sender signed: hash it once.
        block_size = store.info.block_size
        whole = source.sha256 is not None and (source.length is None or source.length > block_size)
        self._sha256 = hashlib.sha256() if whole else None
        self._block_sha256 = hashlib.sha256()
        self._block_crc = 0
        self._block_start = 0
        self._block_room = block_size
        self._parallel = store.remote.parallel if store.remote is not None else PUBLISHING
        self._stage: Stage | None = None
        self._working: Awaitable[None] | None = None
        self._publishing: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        batch: list[bytes | memoryview] = []
        pending = 0
        async for chunk in self._source:
            batch.append(chunk)
            pending += len(chunk)
            if pending >= BATCH:
                await self._take(batch, pending)
                batch, pending = [], 0
        await self._take(batch, pending)
        await self._idle()
        if self._stage is not None:
            await self._end_block()
        await asyncio.gather(*self._publishing)
        if self._source.length is not None and self.size != self._source.length:
            raise IncompleteBody(f"{self.size} of {self._source.length} bytes came")

    async def _take(self, batch: list[bytes | memoryview], size: int) -> None:
        """Hand bytes to a worker, cut where a block ends; waits for the bytes handed over before."""
        if self.size + size > self._checks.limit:
            raise EntityTooLarge(self.size + size, self._checks.limit)
        while size:
            await self._idle()
            now, later = _split(batch, self._block_room) if size > self._block_room else (batch, [])
            taken = min(size, self._block_room)
            if self._stage is None:
                self._stage = await self._content.open_stage(self._store)
            self._working = asyncio.ensure_future(self._content.run(self._digest, self._stage, now))
            self.size += taken
            self._block_room -= taken
            batch, size = later, size - taken
            if self._block_room == 0:
                await self._idle()
                await self._end_block()

    def _digest(self, stage: Stage, batch: list[bytes | memoryview]) -> None:
        """In a worker: hash and write; hashlib lets go of the interpreter meanwhile."""
        joined = batch[0] if len(batch) == 1 else b"".join(batch)
        self._md5.update(joined)
        self._block_sha256.update(joined)
        self._block_crc = crc64nvme(joined, self._block_crc)
        if self._sha256 is not None:
            self._sha256.update(joined)
        self._checksum.update(joined)
        stage.write(joined)

    async def _idle(self) -> None:
        if self._working is not None:
            working, self._working = self._working, None
            await working

    async def _end_block(self) -> None:
        assert self._stage is not None
        digest = self._block_sha256.hexdigest()
        size = self.size - self._block_start
        self.blocks.append(Block(self._block_start, size, digest, _signed(self._block_crc)))
        while len(running := [task for task in self._publishing if not task.done()]) >= self._parallel:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in self._publishing:
            if task.done():
                task.result()  # a failed block fails the body at once
        self._publishing = running
        stage, self._stage = self._stage, None
        self._publishing.append(
            asyncio.ensure_future(self._content.publish(stage, self._store, BlobName(self._scope, digest)))
        )
        self._block_sha256, self._block_crc = hashlib.sha256(), 0
        self._block_start, self._block_room = self.size, self._store.info.block_size

    def finish(self) -> tuple[bytes, Checksum]:
        md5 = self._md5.digest()
        if self._sha256 is not None:
            digest = self._sha256.hexdigest()
        else:
            digest = self.blocks[0].digest if len(self.blocks) == 1 else hashlib.sha256(b"").hexdigest()
        checksum = _verify(self._source, self._checks, md5, self._checksum.digest(), digest)
        return md5, checksum

    async def abandon(self) -> None:
        """Drop what is staged and leave what is published to the collector."""
        with contextlib.suppress(Exception):  # the error that led here is the one to tell
            await self._idle()
        if self._stage is not None:
            await self._stage.discard()
        await asyncio.gather(*self._publishing, return_exceptions=True)
        await self._content.abandon(self._store, self._scope, self.blocks)


class _WholeBlock:
    """A stage for stores that must know a blob's name first: one block in memory, from a shared budget."""

    def __init__(self, store: BlobStore, budget: asyncio.Semaphore) -> None:
        self._store = store
        self._budget: asyncio.Semaphore | None = budget
        self._buffer = bytearray()

    def write(self, chunk: bytes | memoryview) -> None:
        self._buffer += chunk

    async def publish(self, name: BlobName) -> None:
        try:
            content = await asyncio.to_thread(bytes, self._buffer)
            self._buffer = bytearray()  # once is enough, for the time that it takes
            await self._store.put(name, content)
        finally:
            await self.discard()

    async def discard(self) -> None:
        self._buffer = bytearray()
        if self._budget is not None:
            self._budget.release()
            self._budget = None


def _split(batch: list[bytes | memoryview], at: int) -> tuple[list[bytes | memoryview], list[bytes | memoryview]]:
    """A batch cut after ``at`` bytes."""
    head: list[bytes | memoryview] = []
    for index, chunk in enumerate(batch):
        if len(chunk) >= at:
            view = memoryview(chunk)
            rest: list[bytes | memoryview] = [view[at:]] if len(chunk) > at else []
            return [*head, view[:at]], rest + batch[index + 1 :]
        head.append(chunk)
        at -= len(chunk)
    return head, []


def _verify(source: Source, checks: Checks, md5: bytes, checksum: bytes, sha256: str) -> Checksum:
    """Compare a body's digests with all that was declared of it. Raises DigestMismatch."""
    if source.sha256 is not None and source.sha256 != sha256:
        raise DigestMismatch("sha256", source.sha256, sha256)
    if checks.md5 is not None and checks.md5 != md5:
        raise DigestMismatch("md5", _base64(checks.md5), _base64(md5))
    computed = _base64(checksum)
    declared = source.trailers.get(checks.trailer) if checks.trailer else checks.value
    if declared is not None and declared != computed:
        raise DigestMismatch(checks.algorithm, declared, computed)
    return Checksum(checks.algorithm, computed)


def default_checksum(blocks: Sequence[Block]) -> Checksum:
    """The checksum that S3 computes where nobody asks for another: CRC64NVME, of a content's blocks."""
    whole = bytes(8)
    for index, block in enumerate(blocks):
        digest = (block.crc & (1 << 64) - 1).to_bytes(8)
        whole = checksums.combine("CRC64NVME", whole, digest, block.size) if index else digest
    return Checksum("CRC64NVME", checksums.encode(whole))


def _signed(crc: int) -> int:
    """A 64-bit CRC as the signed number that databases keep."""
    return crc - (1 << 64) if crc >> 63 else crc


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
