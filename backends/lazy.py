"""A store that is opened when a blob is first kept in it: until then nothing is made, and nothing is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from backends.base import Blob, BlobName, BlobNotFound, BlobStore, ByteRange


class LazyStore:
    """A BlobStore over one that making changes something, such as a directory that may be read-only."""

    def __init__(self, make: Callable[[], BlobStore], is_there: Callable[[], bool]) -> None:
        """``is_there`` tells whether somebody made it before; it may block for a moment."""
        self._make = make
        self._is_there = is_there
        self._store: BlobStore | None = None
        self._opening = asyncio.Lock()

    async def _made(self) -> BlobStore:
        if self._store is None:
            async with self._opening:
                if self._store is None:
                    self._store = await asyncio.to_thread(self._make)
        return self._store

    async def _present(self) -> BlobStore | None:
        if self._store is None and not await asyncio.to_thread(self._is_there):
            return None
        return await self._made()

    async def put(self, name: BlobName, content: bytes) -> None:
        await (await self._made()).put(name, content)

    async def get(self, name: BlobName, span: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        store = await self._present()
        if store is None:
            raise BlobNotFound(name)
        async for chunk in store.get(name, span):
            yield chunk

    async def stat(self, name: BlobName) -> Blob | None:
        store = await self._present()
        return None if store is None else await store.stat(name)

    async def delete(self, name: BlobName) -> None:
        store = await self._present()
        if store is not None:
            await store.delete(name)

    async def scan(self) -> AsyncGenerator[Blob, None]:
        store = await self._present()
        if store is not None:
            async for blob in store.scan():
                yield blob

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()
