"""What native stores show in a bucket's listings, beside what the catalog shows there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from backends.base import StoreError
from backends.native import NativeEntry, NativePage
from gateway.catalog.base import Row
from gateway.catalog.listing import Page
from gateway.merging import Feed, Item, items_of, merge
from gateway.names import NativeMount
from gateway.native_errors import told

CATALOG = -1
"""The rank of the catalog's feed; those of the native ones are their places among the bucket's native mounts."""
RowOf = Callable[[NativeMount, bytes, NativeEntry], Row]
Pages = Callable[[bytes, int], Awaitable[Page]]
"""Reads a page of the catalog: keys past one, at most so many."""


def catalog_feed(pages: Pages, after: bytes, limit: int) -> Feed:
    at = after

    async def fetch() -> tuple[list[Item], bool]:
        nonlocal at
        page = await pages(at, limit + 1)
        at = page.last
        return items_of(page), page.truncated

    return Feed(CATALOG, fetch)


def native_feeds(
    natives: Sequence[NativeMount], prefix: str, delimiter: str, after: str, limit: int, row_of: RowOf
) -> list[Feed]:
    """A feed for each native mount that may have something to show."""
    feeds = []
    for rank, native in enumerate(natives):
        start = _start(native, after)
        if start is None:
            continue
        if prefix.startswith(native.below):
            within = native.base + prefix[len(native.below) :]
            feeds.append(Feed(rank, _Keys(native, within, delimiter, start, limit, row_of).fetch))
        elif native.below.startswith(prefix):
            cut = native.below.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                rolled = native.below[: cut + len(delimiter)]
                if rolled.encode() > after.encode():
                    feeds.append(Feed(rank, _Presence(native, rolled.encode()).fetch))
            elif len(delimiter) > 1:
                # It may begin in the mount point and end in the store's key, which only we see.
                rolling = _Rolling(native, prefix, delimiter, start, limit, row_of, after)
                feeds.append(Feed(rank, rolling.fetch))
            else:
                feeds.append(Feed(rank, _Keys(native, native.base, delimiter, start, limit, row_of).fetch))
    return feeds


def _start(native: NativeMount, after: str) -> str | None:
    """Where in a store a listing begins that goes on past ``after``; None where all of it is before."""
    if after.startswith(native.below):
        return native.base + after[len(native.below) :] if after else ""
    return "" if after.encode() < native.below.encode() else None


class _Keys:
    """A store's keys and common prefixes, as the bucket calls them."""

    def __init__(self, native: NativeMount, prefix: str, delimiter: str, after: str, limit: int, row_of: RowOf) -> None:
        self._native = native
        self._prefix = prefix
        self._delimiter = delimiter
        self._after = after
        self._limit = limit + 1
        self._row_of = row_of

    async def fetch(self) -> tuple[list[Item], bool]:
        page = await list_page(self._native, self._prefix, self._delimiter, self._after, self._limit)
        self._after = page.last
        base, row_of = self._native.base, self._row_of
        items = []
        for entry in page.entries:
            if entry.key != base:
                name = self._name(entry.key)
                items.append(Item(name, row_of(self._native, name, entry)))
        if page.prefixes:
            items += [Item(self._name(found), None) for found in page.prefixes]
            items.sort(key=lambda item: item.name)
        return items, bool(page.last)

    def _name(self, key: str) -> bytes:
        return (self._native.below + key[len(self._native.base) :]).encode()


class _Rolling(_Keys):
    """The same for delimiters that the store cannot be asked for: each page is rolled up here."""

    def __init__(
        self,
        native: NativeMount,
        prefix: str,
        delimiter: str,
        after: str,
        limit: int,
        row_of: RowOf,
        past: str,
    ) -> None:
        """``past`` is where the listing goes on in the bucket, as ``after`` is in the store."""
        super().__init__(native, native.base, "", after, limit, row_of)
        self._whole = prefix.encode()
        self._rolls_at = delimiter.encode()
        self._past = past.encode()

    async def fetch(self) -> tuple[list[Item], bool]:
        items, more = await super().fetch()
        rolled = []
        for item in items:
            cut = item.name.find(self._rolls_at, len(self._whole))
            if cut < 0:
                rolled.append(item)
            elif (name := item.name[: cut + len(self._rolls_at)]) > self._past:
                self._past = name
                rolled.append(Item(name, None))
        return rolled, more


class _Presence:
    """A common prefix that a store is part of, if it holds anything."""

    def __init__(self, native: NativeMount, name: bytes) -> None:
        self._native = native
        self._name = name

    async def fetch(self) -> tuple[list[Item], bool]:
        return [Item(self._name, None)] if await has_keys(self._native) else [], False


async def list_page(native: NativeMount, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
    """Raises ContentUnavailable, StoreUnreachable."""
    try:
        return await native.store.use_native().list(prefix, delimiter, after, limit)
    except StoreError as error:
        raise told(error) from error


async def has_keys(native: NativeMount) -> bool:
    """Whether a native store shows any key in the bucket."""
    after = ""
    while True:
        page = await list_page(native, native.base, "", after, 2)
        if any(entry.key != native.base for entry in page.entries):
            return True
        after = page.last
        if not after:
            return False


Order = Callable[[str], Sequence[int]]
"""The ranks of the feeds that may have a key, in the order in which they win."""


async def list_objects(feeds: Sequence[Feed], limit: int, order: Order) -> Page:
    """A page on which each key is shown once, by whoever wins."""

    def choose(name: bytes, same: Sequence[Feed]) -> tuple[Row | None, Sequence[Feed]]:
        return _winner(name, same, order).row, same

    return await merge(feeds, limit, choose)


def _winner(name: bytes, same: Sequence[Feed], order: Order) -> Item:
    chosen = same[0]
    if len(same) > 1:
        ranks = list(order(name.decode()))
        chosen = min(same, key=lambda feed: ranks.index(feed.rank))
    assert chosen.head is not None
    return chosen.head


NULL_VERSION, SINCE = 2, 4
"""Columns of a version's row: its id, and when it was replaced."""


async def list_versions(feeds: Sequence[Feed], limit: int, order: Order, told: bytes = b"") -> Page:
    """A page of versions: a native object is a null version, before all that the catalog has of its key.

    ``told`` is the key whose native object ended the page before.
    """
    shown = told

    def choose(name: bytes, same: Sequence[Feed]) -> tuple[Row | None, Sequence[Feed]]:
        nonlocal shown
        natives = [feed for feed in same if feed.rank != CATALOG]
        if not natives:
            item = same[0].head
            assert item is not None and item.row is not None
            # One null version a key: the other is not to be had.
            if name == shown and not item.row[NULL_VERSION]:
                return None, same
            return item.row, same
        shown = name
        row = _winner(name, natives, order).row
        assert row is not None
        if len(natives) < len(same) and order(name.decode())[0] == CATALOG:
            row = (*row[:SINCE], row[7], *row[SINCE + 1 :])
        return row, natives

    return await merge(feeds, limit, choose)
