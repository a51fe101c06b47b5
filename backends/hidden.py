"""What the gateway keeps of its own in a native store is not shown: whatever lies below ``.nexus/``."""

from __future__ import annotations

from collections.abc import AsyncIterator

from backends.base import ByteRange
from backends.native import (
    ANYTHING,
    Expected,
    KeyRefused,
    NativeAttributes,
    NativeObject,
    NativePage,
    NativeStore,
    StateChanged,
)

HIDDEN = ".nexus/"
_PAST = HIDDEN + "\U0010ffff"
"""After every key below it."""


class Hidden:
    """A NativeStore without that part of another."""

    def __init__(self, store: NativeStore) -> None:
        self._store = store

    async def find(self, key: str) -> NativeObject | None:
        return None if _is_ours(key) else await self._store.find(key)

    def read(self, key: str, span: ByteRange, state: str) -> AsyncIterator[bytes]:
        if _is_ours(key):
            raise StateChanged(f"there is no {key}")
        return self._store.read(key, span, state)

    async def list(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        if prefix.startswith(HIDDEN):
            return NativePage([], [])
        page = await self._store.list(prefix, delimiter, after, limit)
        entries = [entry for entry in page.entries if not _is_ours(entry.key)]
        # What lies below rolls up into nothing but itself: a key of others may begin with ".n" as well.
        prefixes = [found for found in page.prefixes if not _is_ours(found)]
        if len(entries) == len(page.entries) and len(prefixes) == len(page.prefixes):
            return page
        last = _PAST if _is_ours(page.last) else page.last
        return NativePage(entries, prefixes, last)

    async def write(
        self, key: str, body: AsyncIterator[bytes], attributes: NativeAttributes, expected: Expected = ANYTHING
    ) -> NativeObject:
        _check(key)
        return await self._store.write(key, body, attributes, expected)

    async def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        _check(key)
        return await self._store.describe(key, attributes, state)

    async def delete(self, key: str, state: str | None = None) -> None:
        if not _is_ours(key):
            await self._store.delete(key, state)

    async def probe(self) -> None:
        await self._store.probe()

    async def close(self) -> None:
        await self._store.close()


def _is_ours(key: str) -> bool:
    return key.startswith(HIDDEN) or key == HIDDEN[:-1]


def _check(key: str) -> None:
    if _is_ours(key):
        raise KeyRefused(f"keys below {HIDDEN} are the gateway's own")
