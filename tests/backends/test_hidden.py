"""What the gateway keeps in a native store stays its own, in stores within stores, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.hidden import Hidden
from backends.local_native import LocalNative
from backends.native import KeyRefused, NativeAttributes

SHOWN = ["a/.nexusx/f", "a/x.nexus/f", "a/z", "b"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Hidden]:
    """A directory that has another native store in it."""
    for key in [*SHOWN, ".nexus/1", "a/.nexus/cas/1", "a/.nexus/cas/2", "a/c/.nexus/3"]:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_text("here")
    store = Hidden(LocalNative(tmp_path))
    yield store
    await store.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_listings_pass_it_over_whatever_a_page_holds(store: Hidden, limit: int) -> None:
    found, after = [], ""
    while True:
        page = await store.list("", "", after, limit)
        found += [entry.key for entry in page.entries]
        if not page.last:
            break
        assert page.last > after
        after = page.last
    assert found == SHOWN
    for prefix in (".nexus/", "a/.nexus/", "a/.nexus/cas/"):
        assert (await store.list(prefix, "", "", limit)).entries == []
    prefixes = (await store.list("a/", "/", "", 1000)).prefixes
    assert prefixes == ["a/.nexusx/", "a/c/", "a/x.nexus/"]


@pytest.mark.parametrize("key", [".nexus/1", "a/.nexus/cas/1", "a/c/.nexus/3", "a/.nexus"])
async def test_nobody_reads_writes_or_removes_it(store: Hidden, tmp_path: Path, key: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"theirs"

    assert await store.find(key) is None
    with pytest.raises(KeyRefused):
        await store.write(key, body(), NativeAttributes())
    await store.delete(key)
    assert (tmp_path / "a/.nexus/cas/1").read_text() == (tmp_path / "a/c/.nexus/3").read_text() == "here"
