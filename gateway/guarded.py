"""Stores behind a breaker: each of their two faces again, every call through ``gateway.guard``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

from backends.base import Blob, BlobName, BlobNotFound, BlobStore, ByteRange, Stage, StreamingWrites
from backends.native import (
    ANYTHING,
    Expected,
    NativeAttributes,
    NativeObject,
    NativePage,
    NativeStore,
)
from gateway.guard import Guard

NOBODY = BlobName("default", "0" * 64)
"""No blob has this name."""


async def look(store: BlobStore) -> None:
    """Probe a store that has no probe of its own: any answer about any blob will do."""
    with suppress(BlobNotFound):
        await store.stat(NOBODY)


class GuardedStore:
    """A BlobStore over another one. Removals are not cut: a late one may take away what was stored since."""

    def __init__(self, store: BlobStore, guard: Guard) -> None:
        self._store = store
        self._guard = guard

    async def put(self, name: BlobName, content: bytes) -> None:
        await self._guard.call(self._store.put, name, content)

    async def get(self, name: BlobName, span: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        async for chunk in _chunks(self._store.get(name, span), self._guard):
            yield chunk

    async def stat(self, name: BlobName) -> Blob | None:
        return await self._guard.call(self._store.stat, name)

    async def delete(self, name: BlobName) -> None:
        await self._guard.call_uncut(self._store.delete, name)

    async def scan(self) -> AsyncGenerator[Blob, None]:
        async for blob in _chunks(self._store.scan(), self._guard):
            yield blob

    async def probe(self) -> None:
        await self._guard.probe()

    async def close(self) -> None:
        await self._guard.close()
        await self._store.close()


class GuardedStreams:
    """The StreamingWrites of a store, behind its breaker."""

    def __init__(self, store: StreamingWrites, guard: Guard) -> None:
        self._store = store
        self._guard = guard

    def stage(self) -> Stage:
        return _GuardedStage(self._store.stage(), self._guard)


class _GuardedStage:
    def __init__(self, stage: Stage, guard: Guard) -> None:
        self._stage = stage
        self._guard = guard
        self.write = stage.write
        self.discard = stage.discard

    async def publish(self, name: BlobName) -> None:
        await self._guard.call(self._stage.publish, name)


class GuardedNative:
    """A NativeStore over another one. What changes an object is not cut: it must not happen after it was given up."""

    def __init__(self, store: NativeStore, guard: Guard) -> None:
        self._store = store
        self._guard = guard

    async def find(self, key: str) -> NativeObject | None:
        return await self._guard.call(self._store.find, key)

    def read(self, key: str, span: ByteRange, state: str) -> AsyncIterator[bytes]:
        return _chunks(self._store.read(key, span, state), self._guard)

    async def list(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        return await self._guard.call(self._store.list, prefix, delimiter, after, limit)

    async def write(
        self, key: str, body: AsyncIterator[bytes], attributes: NativeAttributes, expected: Expected = ANYTHING
    ) -> NativeObject:
        return await self._guard.call_uncut(self._store.write, key, body, attributes, expected)

    async def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        return await self._guard.call_uncut(self._store.describe, key, attributes, state)

    async def delete(self, key: str, state: str | None = None) -> None:
        await self._guard.call_uncut(self._store.delete, key, state)

    async def probe(self) -> None:
        await self._guard.probe()

    async def close(self) -> None:
        await self._guard.close()
        await self._store.close()


async def _chunks(source: AsyncIterator[Any], guard: Guard) -> AsyncGenerator[Any, None]:
    """What comes of a store piece by piece, each piece a call."""
    chunks = aiter(source)
    try:
        while True:
            try:
                chunk = await guard.call(_next, chunks)
            except _End:
                return
            yield chunk
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


class _End(Exception):
    """A stream ended: StopAsyncIteration cannot leave a coroutine."""


async def _next(chunks: AsyncIterator[Any]) -> Any:
    try:
        return await anext(chunks)
    except StopAsyncIteration:
        raise _End from None
