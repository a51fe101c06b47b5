"""One long body on its way into a store: cut into blocks, hashed, encrypted where it is to be, and made durable."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from awscrt.checksums import crc64nvme

from backends.base import BlobName, BlobStore, Stage
from gateway import checksums
from gateway.bodies import Checks, Source, signed, verify, whole_crc
from gateway.encryption_keys import Domain
from gateway.errors import EntityTooLarge, IncompleteBody
from gateway.names import OpenStore
from gateway.sealing import Sealer, new_key, sealed_size
from gateway.types import Block, Checksum, Seal

if TYPE_CHECKING:
    from gateway.content import ContentStore

BATCH = 512 * 1024
"""Bytes handed to a worker thread at once."""
PUBLISHING = 2
"""Blocks of one body that may be on their way to the disk while the next one arrives; a remote store says itself."""


class Cutter:
    """Takes a body and leaves its blocks; with a domain, encrypted."""

    def __init__(
        self,
        content: ContentStore,
        store: OpenStore,
        scope: str,
        source: Source,
        checks: Checks,
        domain: Domain | None,
    ) -> None:
        self._content = content
        self._store = store
        self._scope = scope
        self._source = source
        self._checks = checks
        self._domain = domain
        self.size = 0
        self.blocks: list[Block] = []
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksum = None if checks.algorithm == "CRC64NVME" else checksums.new(checks.algorithm)
        """None where the CRCs of the blocks tell it."""
        self._sha256: hashlib._Hash | None = None
        """Of the whole body where that was signed, from the end of its first block, whose digest it is until then."""
        block_size = store.info.block_size
        self._block_sha256 = hashlib.sha256()
        self._block_crc = 0
        self._block_start = 0
        self._block_room = block_size
        self._parallel = store.remote.parallel if store.remote is not None else PUBLISHING
        self._stage: Stage | None = None
        self._sealing: _Sealing | None = None
        self._working: asyncio.Future[None] | None = None
        self._publishing: list[asyncio.Task[Block]] = []
        self._stored: dict[str, Block] = {}
        """By the digest of their plaintext, the encrypted blocks as the store has them."""

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
        self._published(await asyncio.shield(asyncio.gather(*self._publishing)))  # ``abandon`` waits for them
        if self._source.length is not None and self.size != self._source.length:
            raise IncompleteBody(f"{self.size} of {self._source.length} bytes came")
        if self._domain is not None:
            self.blocks = [self._as_stored(block) for block in self.blocks]

    def _as_stored(self, block: Block) -> Block:
        assert block.seal is not None
        stored = self._stored[block.seal.plain]
        return block._replace(digest=stored.digest, seal=stored.seal)

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
                self._sealing = _Sealing() if self._domain is not None else None
            self._working = self._content.begin(self._digest, self._stage, now)
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
        if self._checksum is not None:
            self._checksum.update(joined)
        stage.write(joined if self._sealing is None else self._sealing.write(joined))

    async def _idle(self) -> None:
        """Wait for the worker. Who is cancelled meanwhile waits again, in ``abandon``: the worker has the stage."""
        if self._working is not None:
            await asyncio.shield(self._working)
            self._working = None

    async def _end_block(self) -> None:
        assert self._stage is not None
        block = await self._block(self._stage)
        self.blocks.append(block)
        while len(running := [task for task in self._publishing if not task.done()]) >= self._parallel:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        # A failed block fails the body at once.
        self._published([task.result() for task in self._publishing if task.done()])
        self._publishing = [task for task in self._publishing if not task.done()]
        stage, self._stage = self._stage, None
        if self._source.sha256 is not None and self._sha256 is None:
            self._sha256 = self._block_sha256.copy()
        self._block_sha256, self._block_crc = hashlib.sha256(), 0
        self._block_start, self._block_room = self.size, self._store.info.block_size
        if block.seal is not None:
            if block.seal.plain in self._stored:  # this body has the same block twice
                await stage.discard()
                return
            self._stored[block.seal.plain] = block
        self._publishing.append(asyncio.ensure_future(self._publish(stage, block)))

    async def _block(self, stage: Stage) -> Block:
        """The block that ends here."""
        digest = self._block_sha256.hexdigest()
        size = self.size - self._block_start
        block = Block(self._block_start, size, digest, signed(self._block_crc))
        if self._domain is None or self._sealing is None:
            return block
        self._working = self._content.begin(self._sealing.end, stage)
        await self._idle()
        wrapping = self._domain.key
        key = wrapping.wrap(self._sealing.key, self._scope)
        seal = Seal(digest, key, wrapping.ring_id, sealed_size(size))
        return block._replace(digest=self._sealing.hexdigest(), seal=seal)

    async def _publish(self, stage: Stage, block: Block) -> Block:
        try:
            if block.seal is not None:
                return await self._content.publish_sealed(stage, self._store, self._scope, block, block.seal)
            await self._content.publish(stage, self._store, BlobName(self._scope, block.digest))
            return block
        finally:
            await stage.discard()

    def _published(self, blocks: list[Block]) -> None:
        self._stored.update((block.seal.plain, block) for block in blocks if block.seal is not None)

    def finish(self) -> tuple[bytes, Checksum]:
        md5 = self._md5.digest()
        sha256 = hashlib.sha256(b"") if self._sha256 is None else self._sha256
        checksum = whole_crc(self.blocks) if self._checksum is None else self._checksum.digest()
        return md5, verify(self._source, self._checks, md5, checksum, sha256.hexdigest())

    async def abandon(self) -> None:
        """Drop what is staged and leave what is published to the collector."""
        with contextlib.suppress(Exception):  # the error that led here is the one to tell
            await self._idle()
        if self._stage is not None:
            await self._stage.discard()
        await asyncio.gather(*self._publishing, return_exceptions=True)
        await self._content.abandon(self._store, self._scope, self.blocks)


class _Sealing:
    """One block being encrypted. Blocks: for a worker thread."""

    def __init__(self) -> None:
        self.key = new_key()
        self._sealer = Sealer(self.key)
        self._sha256 = hashlib.sha256()

    def write(self, piece: bytes | memoryview) -> bytes:
        sealed = b"".join(self._sealer.write(piece))
        self._sha256.update(sealed)
        return sealed

    def end(self, stage: Stage) -> None:
        sealed = self._sealer.end()
        self._sha256.update(sealed)
        stage.write(sealed)

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


class WholeBlock:
    """A stage for stores that must know a blob's name first: one block in memory, from a shared budget."""

    def __init__(self, store: BlobStore, give_back: Callable[[], None]) -> None:
        self._store = store
        self._give_back: Callable[[], None] | None = give_back
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
        if self._give_back is not None:
            self._give_back()
            self._give_back = None


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
