"""Blobs in memory: a real store for tests, under the same contract."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator

from backends.base import Blob, BlobDamaged, BlobName, BlobNotFound, ByteRange, check_name

CHUNK = 1024 * 1024


class MemoryStore:
    """A BlobStore whose blobs go with the process."""

    def __init__(self) -> None:
        self._blobs: dict[BlobName, tuple[bytes, float]] = {}

    async def put(self, name: BlobName, content: bytes) -> None:
        check_name(name)
        self._blobs.setdefault(name, (content, time.time()))

    async def get(self, name: BlobName, span: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        if name not in self._blobs:
            raise BlobNotFound(name)
        content = self._blobs[name][0]
        start, stop = span or (0, len(content))
        if stop > len(content):
            raise BlobDamaged(name, f"it has {len(content)} bytes")
        for at in range(start, stop, CHUNK):
            yield content[at : min(at + CHUNK, stop)]

    async def stat(self, name: BlobName) -> Blob | None:
        found = self._blobs.get(name)
        return Blob(name, len(found[0]), found[1]) if found else None

    async def delete(self, name: BlobName) -> None:
        self._blobs.pop(name, None)

    async def scan(self) -> AsyncIterator[Blob]:
        for name, (content, stored_at) in list(self._blobs.items()):
            yield Blob(name, len(content), stored_at)

    async def close(self) -> None:
        self._blobs.clear()
