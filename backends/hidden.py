"""What the gateway keeps of its own in a native store is not shown: whatever lies below a ``.nexus/``.

At any depth: a store may lie within another, and who may read the outer one must not see the inner one's uploads.
"""

from __future__ import annotations

import re
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
_OURS = re.compile(r"(?:^|/)\.nexus(/|\Z)")


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
        if (ours := _OURS.search(prefix)) is not None and ours[1]:
            return NativePage([], [])
        page = await self._store.list(prefix, delimiter, after, limit)
        entries = [entry for entry in page.entries if not _is_ours(entry.key)]
        # What lies below rolls up into nothing but itself: a key of others may begin with ".n" as well.
        prefixes = [found for found in page.prefixes if not _is_ours(found)]
        if len(entries) == len(page.entries) and len(prefixes) == len(page.prefixes):
            return page
        return NativePage(entries, prefixes, _past_ours(page.last))

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
    return _OURS.search(key) is not None


def _past_ours(last: str) -> str:
    """Where a listing goes on: where it stands at a key of ours, after every key below that ``.nexus/``."""
    ours = _OURS.search(last)
    return last[: ours.end()] + "\U0010ffff" if ours is not None and ours[1] else last


def _check(key: str) -> None:
    if _is_ours(key):
        raise KeyRefused(f"keys below a {HIDDEN} are the gateway's own")
