"""What every native store promises (``backends.native``), run against each of them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from backends.base import ByteRange
from backends.native import (
    ABSENT,
    ANYTHING,
    Expected,
    KeyRefused,
    NativeAttributes,
    NativeObject,
    NativeStore,
    StateChanged,
)

MIB = 1024 * 1024
PLAIN = NativeAttributes("text/plain")
SAID = NativeAttributes(
    "application/x-thing",
    {"CacheControl": "no-cache", "ContentDisposition": "inline", "ContentEncoding": "x", "ContentLanguage": "de"},
    {"colour": "blue", "a-b": "c d"},
)


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def broken(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    raise ValueError("the body is not what it should be")


async def put(store: NativeStore, key: str, content: bytes = b"x", expected: Expected = ANYTHING) -> NativeObject:
    return await store.write(key, chunks(content), PLAIN, expected)


async def content(store: NativeStore, key: str, span: ByteRange | None = None) -> bytes:
    found = await store.find(key)
    assert found is not None
    span = span or ByteRange(0, found.entry.size)
    return b"".join([chunk async for chunk in store.read(key, span, found.entry.state)])


async def shown(
    store: NativeStore, prefix: str = "", delimiter: str = "", after: str = "", size: int = 1000
) -> list[str]:
    """A whole listing, page by page, in the order in which it came."""
    names: list[str] = []
    while True:
        page = await store.list(prefix, delimiter, after, size)
        assert len(page.entries) + len(page.prefixes) <= size
        keys = [entry.key for entry in page.entries]
        assert keys == sorted(keys, key=str.encode) and page.prefixes == sorted(page.prefixes, key=str.encode)
        names += sorted(keys + page.prefixes, key=str.encode)
        if not page.last:
            return names
        assert page.last.encode() > after.encode(), "each page goes on"
        assert not names or names[-1].encode() <= page.last.encode()
        after = page.last


class NativeStoreContract:
    """Subclasses have a fixture ``store``: an empty native store of its own."""

    # -- reading and writing

    async def test_nothing_is_there_at_first(self, store: NativeStore) -> None:
        assert await store.find("a") is None
        assert await shown(store) == []
        await store.probe()

    async def test_what_was_written_is_found_and_read(self, store: NativeStore) -> None:
        made = await store.write("dir/a.thing", chunks(b"hel", b"", b"lo"), SAID)
        assert made == await store.find("dir/a.thing")
        assert (made.entry.key, made.entry.size) == ("dir/a.thing", 5)
        assert made.attributes == SAID
        assert made.entry.etag == hashlib.md5(b"hello").hexdigest() or "-" in made.entry.etag
        assert await content(store, "dir/a.thing") == b"hello"
        listed = (await store.list("dir/", "", "", 10)).entries
        assert listed == [made.entry]

    async def test_an_empty_object_is_one(self, store: NativeStore) -> None:
        made = await store.write("empty", chunks(), PLAIN)
        assert made.entry.size == 0
        assert await content(store, "empty") == b""

    @pytest.mark.parametrize("span", [(0, 1), (1, 3), (4, 5), (0, 5)])
    async def test_a_range_is_exact(self, store: NativeStore, span: tuple[int, int]) -> None:
        await put(store, "a", b"01234")
        assert await content(store, "a", ByteRange(*span)) == b"01234"[span[0] : span[1]]

    async def test_a_large_body_goes_in_pieces_and_comes_in_pieces(self, store: NativeStore) -> None:
        whole = os.urandom(20 * MIB + 7)
        pieces = [whole[at : at + 700_000] for at in range(0, len(whole), 700_000)]
        made = await store.write("large", chunks(*pieces), PLAIN)
        assert made.entry.size == len(whole)
        sizes, hasher = [], hashlib.sha256()
        async for chunk in store.read("large", ByteRange(0, len(whole)), made.entry.state):
            sizes.append(len(chunk))
            hasher.update(chunk)
        assert max(sizes) <= MIB
        assert hasher.digest() == hashlib.sha256(whole).digest()
        span = ByteRange(9 * MIB - 3, 17 * MIB + 3)
        assert await content(store, "large", span) == whole[span.start : span.stop]

    async def test_writing_replaces_content_and_what_is_said(self, store: NativeStore) -> None:
        first = await store.write("a", chunks(b"one"), SAID)
        second = await put(store, "a", b"two")
        assert second.entry.state != first.entry.state
        found = await store.find("a")
        assert found == second and found.attributes.metadata == {}
        assert await content(store, "a") == b"two"

    async def test_reading_a_former_state_is_refused(self, store: NativeStore) -> None:
        first = await put(store, "a", b"one")
        await put(store, "a", b"two")
        with pytest.raises(StateChanged):
            await anext(aiter(store.read("a", ByteRange(0, 3), first.entry.state)))
        await store.delete("a")
        with pytest.raises(StateChanged):
            await anext(aiter(store.read("a", ByteRange(0, 3), first.entry.state)))

    @pytest.mark.parametrize("size", [10, 9 * MIB])
    async def test_a_body_that_fails_leaves_nothing(self, store: NativeStore, size: int) -> None:
        await put(store, "old", b"old")
        for key in ("old", "new/a"):
            with pytest.raises(ValueError, match="not what it should be"):
                await store.write(key, broken(b"x" * (size // 2), b"x" * (size // 2)), PLAIN)
        assert await content(store, "old") == b"old"
        assert await shown(store) == ["old"]

    async def test_nothing_shows_before_the_body_has_ended(self, store: NativeStore) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 9 * MIB
            assert await store.find("a") is None
            yield b"x"
            assert await store.find("a") is None

        await store.write("a", body(), PLAIN)
        assert await store.find("a") is not None

    async def test_a_cancelled_write_leaves_nothing(self, store: NativeStore) -> None:
        waiting = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 9 * MIB
            waiting.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(store.write("a", body(), PLAIN))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.find("a") is None
        assert await shown(store) == []

    # -- conditions

    @pytest.mark.parametrize("size", [1, 9 * MIB])
    async def test_only_where_nothing_is(self, store: NativeStore, size: int) -> None:
        await put(store, "a", b"1" * size, ABSENT)
        with pytest.raises(StateChanged):
            await put(store, "a", b"2" * size, ABSENT)
        assert await content(store, "a") == b"1" * size

    @pytest.mark.parametrize("size", [1, 9 * MIB])
    async def test_only_in_place_of_one_state(self, store: NativeStore, size: int) -> None:
        with pytest.raises(StateChanged):
            await put(store, "b", b"1", Expected(state="1"))
        first = await put(store, "a", b"1")
        second = await put(store, "a", b"2" * size, Expected(state=first.entry.state))
        with pytest.raises(StateChanged):
            await put(store, "a", b"3" * size, Expected(state=first.entry.state))
        assert await store.find("a") == second
        await store.delete("a")
        with pytest.raises(StateChanged):
            await put(store, "a", b"4" * size, Expected(state=second.entry.state))
        assert await shown(store) == []

    async def test_of_many_creators_one_wins(self, store: NativeStore) -> None:
        outcomes = await asyncio.gather(
            *(put(store, "a", b"%d" % number, ABSENT) for number in range(8)), return_exceptions=True
        )
        made = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        assert len(made) == 1
        assert all(isinstance(outcome, StateChanged) for outcome in outcomes if isinstance(outcome, BaseException))
        assert await store.find("a") == made[0]

    # -- describing

    async def test_describing_leaves_the_bytes_alone(self, store: NativeStore) -> None:
        first = await store.write("a.thing", chunks(b"same"), SAID)
        new = replace(SAID, metadata={"colour": "red"}, headers={})
        made = await store.describe("a.thing", new, first.entry.state)
        assert made.attributes == new
        assert await store.find("a.thing") == made
        assert made.entry.size == 4
        assert await content(store, "a.thing") == b"same"

    async def test_describing_another_state_is_refused(self, store: NativeStore) -> None:
        first = await put(store, "a", b"one")
        second = await put(store, "a", b"two")
        with pytest.raises(StateChanged):
            await store.describe("a", SAID, first.entry.state)
        assert await store.find("a") == second
        with pytest.raises(StateChanged):
            await store.describe("absent", SAID, first.entry.state)

    # -- deleting

    async def test_deleting_is_repeatable(self, store: NativeStore) -> None:
        await put(store, "a/b/c")
        await store.delete("a/b/c")
        await store.delete("a/b/c")
        await store.delete("never/there")
        assert await store.find("a/b/c") is None
        assert await shown(store) == []

    async def test_deleting_one_state_leaves_another(self, store: NativeStore) -> None:
        first = await put(store, "a", b"one")
        second = await put(store, "a", b"two")
        with pytest.raises(StateChanged):
            await store.delete("a", first.entry.state)
        assert await store.find("a") == second
        await store.delete("a", second.entry.state)
        assert await store.find("a") is None

    # -- listing

    KEYS = ("a", "a.b", "a0", "b/", "c/d/e", "c/d/f", "c/dd", "c0", "d-e-f", "d-g", "ä/ö", "\U0001f600")

    @pytest.fixture
    async def filled(self, store: NativeStore) -> NativeStore:
        for key in self.KEYS:
            await store.write(key, chunks(b"" if key.endswith("/") else b"x"), PLAIN)
        return store

    @pytest.mark.parametrize("size", [1, 2, 3, 1000])
    async def test_all_keys_in_the_order_of_their_bytes(self, filled: NativeStore, size: int) -> None:
        assert await shown(filled, size=size) == sorted(self.KEYS, key=str.encode)

    @pytest.mark.parametrize("size", [1, 2, 3, 1000])
    async def test_common_prefixes(self, filled: NativeStore, size: int) -> None:
        rolled = ["a", "a.b", "a0", "b/", "c/", "c0", "d-e-f", "d-g", "ä/", "\U0001f600"]
        assert await shown(filled, delimiter="/", size=size) == rolled
        assert await shown(filled, "c/", "/", size=size) == ["c/d/", "c/dd"]
        assert await shown(filled, "c/d", "/", size=size) == ["c/d/", "c/dd"]
        assert await shown(filled, "c/d/", "/", size=size) == ["c/d/e", "c/d/f"]
        assert await shown(filled, "d", "-", size=size) == ["d-"]

    @pytest.mark.parametrize(
        ("after", "first"),
        [
            ("", "a"),
            ("a", "a.b"),
            ("a/", "a0"),
            ("b", "b/"),
            ("b/", "c/d/e"),
            ("c/d/e", "c/d/f"),
            ("c/e", "c0"),
            ("ä", "ä/ö"),
        ],
    )
    async def test_a_listing_goes_on_after_any_text(self, filled: NativeStore, after: str, first: str) -> None:
        assert (await filled.list("", "", after, 1)).entries[0].key == first

    async def test_after_the_last_there_is_nothing(self, filled: NativeStore) -> None:
        page = await filled.list("", "", "\U0001f600", 10)
        assert (page.entries, page.prefixes, page.last) == ([], [], "")
        assert await shown(filled, "nothing/like/it") == []
        assert await shown(filled, "c/d/e", after="c/d/e") == []

    async def test_a_common_prefix_is_told_once(self, filled: NativeStore) -> None:
        page = await filled.list("", "/", "c/", 10)
        assert page.prefixes == ["ä/"]
        assert [entry.key for entry in page.entries] == ["c0", "d-e-f", "d-g", "\U0001f600"]

    # -- keys

    @pytest.mark.parametrize(
        "key", ["with space", "plus+and%20percent", "ünï/cödé", "a?b&c=d#e", "quote'\"", "x" * 200]
    )
    async def test_keys_are_kept_as_they_are(self, store: NativeStore, key: str) -> None:
        await put(store, key, b"1")
        assert await shown(store) == [key]
        assert await content(store, key) == b"1"
        await store.delete(key)
        assert await shown(store) == []

    @pytest.mark.parametrize("key", ["a//b", "../a", "a/./b", "/a", "n" * 300, "a/b/c" * 150])
    async def test_a_key_is_held_or_refused_never_changed(self, store: NativeStore, key: str) -> None:
        try:
            await put(store, key, b"1")
        except KeyRefused:
            assert await store.find(key) is None
            assert await shown(store) == []
            return
        assert await shown(store) == [key]
        assert await content(store, key) == b"1"
