"""Listings of the catalog and of native stores, merged: held against the plain truth, for many random name spaces."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from backends.native import NativeEntry, NativePage
from gateway.catalog.base import Row
from gateway.catalog.listing import Page
from gateway.names import NativeMount, OpenStore
from gateway.native_listing import CATALOG, catalog_feed, list_objects, native_feeds
from gateway.types import Mount, StoreInfo


def rolled_up(keys: list[str], prefix: str, delimiter: str, after: str) -> list[str]:
    """What a listing shows past ``after``, which is a key or a common prefix."""
    shown: list[str] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if cut < 0 else key[: cut + len(delimiter)]
        if name.encode() > after.encode() and (not shown or shown[-1] != name):
            shown.append(name)
    return shown


@dataclass
class Listed:
    """A store that does nothing but list; it may give less than it is asked for."""

    keys: list[str]
    most: int
    calls: list[int] = field(default_factory=list)

    async def list(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        assert prefix.isprintable() and limit > 0
        self.calls.append(limit)
        names = rolled_up(self.keys, prefix, delimiter, after)
        page = names[: min(limit, self.most)]
        entries = [NativeEntry(name, 1, "e-1", 0, "s") for name in page if name in self.keys]
        prefixes = [name for name in page if name not in self.keys]
        return NativePage(entries, prefixes, page[-1] if len(names) > len(page) else "")


def native(keys: list[str], below: str, most: int = 1000) -> NativeMount:
    info = StoreInfo(1, "local", {}, 1, "tenant")
    store = OpenStore(info, None, native=cast(Any, Listed(keys, most)), is_native=True)
    return NativeMount(Mount("/b/" + below, 1, 0, False, 0), store, below, "")


def row_of(mount: NativeMount, name: bytes, entry: NativeEntry) -> Row:
    return name, mount.below


async def whole(natives: list[NativeMount], catalog: list[str], prefix: str, delimiter: str, size: int) -> list[str]:
    """All pages; of keys that several have, the deepest mount's is shown, then the catalog's."""

    async def pages(after: bytes, most: int) -> Page:
        names = rolled_up(catalog, prefix, delimiter, after.decode())
        page = names[:most]
        rows: list[Row] = [(name.encode(), "catalog") for name in page if name in catalog]
        prefixes = [name.encode() for name in page if name not in catalog]
        return Page(rows, prefixes, len(names) > most, page[-1].encode() if page else b"")

    def order(key: str) -> list[int]:
        return [*range(len(natives)), CATALOG]

    found: list[str] = []
    after = ""
    while True:
        feeds = [*native_feeds(natives, prefix, delimiter, after, size, row_of)]
        feeds.append(catalog_feed(pages, after.encode(), size))
        page = await list_objects(feeds, size, order)
        names = sorted(
            [row[0].decode() for row in page.rows] + [name.decode() for name in page.prefixes], key=str.encode
        )
        for name, shown_by in ((row[0].decode(), row[1]) for row in page.rows):
            holders = [mount for mount in natives if name.startswith(mount.below)]
            expected = next((mount.below for mount in holders if name[len(mount.below) :] in _keys(mount)), "catalog")
            assert shown_by == expected
        found += names
        if not page.truncated:
            return found
        assert len(names) == size and page.last.decode() == names[-1]
        after = names[-1]


def _keys(mount: NativeMount) -> list[str]:
    return cast(Listed, mount.store.native).keys


@pytest.mark.parametrize("seed", range(150))
async def test_merged_listings_are_the_union(seed: int) -> None:
    rng = random.Random(seed)

    def some_keys() -> list[str]:
        letters = "ab/-./é"
        keys = {"".join(rng.choices(letters, k=rng.randint(1, 5))) for _ in range(rng.randint(0, 12))}
        return sorted(keys)

    mounts = sorted(rng.sample(["", "a/", "a/b/", "b/"], rng.randint(1, 3)), key=len, reverse=True)
    natives = [native(some_keys(), below, rng.choice([1, 2, 1000])) for below in mounts]
    catalog = some_keys() + [key for key in ("a/a", "a/b/b", "b") if rng.random() < 0.5]
    everything = {*catalog, *(mount.below + key for mount in natives for key in _keys(mount))}
    for _ in range(6):
        prefix = rng.choice(["", "a", "a/", "a/b", "a/b/", "b/", "-", "é"])
        delimiter = rng.choice(["", "/", "/", "-", "b/", "/a", "é"])
        size = rng.choice([1, 2, 3, 7, 1000])
        found = await whole(natives, sorted(set(catalog)), prefix, delimiter, size)
        assert found == rolled_up(sorted(everything), prefix, delimiter, ""), (prefix, delimiter, size)


async def test_a_page_asks_each_store_once() -> None:
    mount = native([f"{number:04}" for number in range(3000)], "", most=1000)
    feeds = native_feeds([mount], "", "", "", 1000, row_of)
    page = await list_objects(feeds, 1000, lambda key: [0])
    assert (len(page.rows), page.truncated) == (1000, True)
    assert cast(Listed, mount.store.native).calls == [1001]
