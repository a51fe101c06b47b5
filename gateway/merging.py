"""Several listings of one name space as one: in the order of their keys, page by page, each name once.

A *feed* is one of the listings. Of several that have a key, somebody else decides which of them it shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from gateway.catalog.base import Row
from gateway.catalog.listing import Page


class Item(NamedTuple):
    """A key's row, or a common prefix where there is none."""

    name: bytes
    row: Row | None


Fetch = Callable[[], Awaitable[tuple[list[Item], bool]]]
"""The next page of a listing, and whether there are more."""


class Feed:
    """One listing. ``rank`` is the caller's name for it."""

    def __init__(self, rank: int, fetch: Fetch) -> None:
        self.rank = rank
        self.head: Item | None = None
        """What comes next, once ``fill`` was called; None at the end."""
        self._fetch = fetch
        self._items: list[Item] = []
        self._at = 0
        self._more = True

    async def fill(self) -> None:
        """Have the next item at hand, if there is one."""
        while self._at == len(self._items) and self._more:
            self._items, self._more = await self._fetch()
            self._at = 0
        self._look()

    def advance(self) -> None:
        """Go on to the next item; ``fill`` it before it is asked for."""
        self._at += 1
        self._look()

    def _look(self) -> None:
        self.head = self._items[self._at] if self._at < len(self._items) else None

    @property
    def is_dry(self) -> bool:
        """Whether the next item, if there is one, has yet to be fetched."""
        return self.head is None and self._more


Choose = Callable[[bytes, Sequence[Feed]], tuple[Row | None, Sequence[Feed]]]
"""Of the feeds whose next item is a key: the row to show next, or none, and the feeds that are done with theirs."""


async def merge(feeds: Sequence[Feed], limit: int, choose: Choose) -> Page:
    """A page of at most ``limit`` keys and common prefixes.

    A listing that says it has more is believed: what comes next is not fetched only to know that it is there.
    """
    await asyncio.gather(*(feed.fill() for feed in feeds))
    rows: list[Row] = []
    prefixes: list[bytes] = []
    last = b""
    while True:
        full = len(rows) + len(prefixes) == limit
        if full and any(feed.is_dry for feed in feeds):
            return Page(rows, prefixes, True, last)
        for feed in feeds:
            if feed.is_dry:
                await feed.fill()
        heads = [(feed.head.name, feed) for feed in feeds if feed.head is not None]
        if not heads:
            return Page(rows, prefixes, False, last)
        name = min(heads, key=lambda head: head[0])[0]
        same = [feed for found, feed in heads if found == name]
        row, done = (None, same) if _is_prefix(same) else choose(name, same)
        if row is not None or _is_prefix(same):
            if full:
                return Page(rows, prefixes, True, last)
            last = name
            if row is None:
                prefixes.append(name)
            else:
                rows.append(row)
        for feed in done:
            feed.advance()


def _is_prefix(feeds: Sequence[Feed]) -> bool:
    return any(feed.head is not None and feed.head.row is None for feed in feeds)


def items_of(page: Page) -> list[Item]:
    """What is on a page, in order."""
    items = [Item(row[0], row) for row in page.rows] + [Item(prefix, None) for prefix in page.prefixes]
    return sorted(items, key=lambda item: item.name) if page.prefixes else items
