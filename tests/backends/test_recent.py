"""Small blobs in memory: only what is read again, no more than was allowed, and nothing that was deleted."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.base import BlobDamaged, BlobName, read_all
from backends.local import LocalStore
from backends.recent import OVERHEAD, SEEN, Recent
from tests.contracts.blob_store import BlobStoreContract, name_of

PLENTY = 1024 * 1024


def keep(recent: Recent, *names: BlobName, size: int = 100) -> None:
    for name in names:
        for _ in range(2):
            recent.offer(name, b"x" * size)


def names(count: int) -> list[BlobName]:
    return [BlobName("default", hashlib.sha256(b"%d" % number).hexdigest()) for number in range(count)]


def test_a_blob_is_kept_when_it_is_read_again() -> None:
    recent, (name, other) = Recent(PLENTY), names(2)
    recent.offer(name, b"content")
    assert recent.get(name) is None
    recent.offer(name, b"content")
    assert recent.get(name) == b"content"
    assert recent.get(other) is None


def test_scopes_share_nothing() -> None:
    recent, name = Recent(PLENTY), names(1)[0]
    recent.offer(BlobName("acme", name.digest), b"content")
    recent.offer(name, b"content")
    assert recent.get(name) is None
    recent.offer(name, b"content")
    assert recent.get(BlobName("acme", name.digest)) is None


def test_those_read_last_stay_within_the_limit() -> None:
    recent, (a, b, c, d) = Recent(3 * (100 + OVERHEAD)), names(4)
    keep(recent, a, b, c)
    recent.get(a)
    keep(recent, d)
    assert [recent.get(name) is not None for name in (a, b, c, d)] == [True, False, True, True]
    keep(recent, b, size=2 * (100 + OVERHEAD))
    assert recent._size == sum(len(content) + OVERHEAD for content in recent._kept.values()) <= recent._limit
    keep(recent, a, size=4 * (100 + OVERHEAD))
    assert recent.get(a) is None, "what is larger than all of it takes nothing of it"
    for name in (a, b, c, d):
        recent.forget(name)
    assert recent._size == 0


def test_reading_everything_once_pushes_nothing_out_and_grows_nothing() -> None:
    recent, (hot, *many) = Recent(PLENTY), names(4 * SEEN)
    keep(recent, hot)
    for name in many:
        recent.offer(name, b"x" * 100)
    assert recent.get(hot) is not None
    assert list(recent._kept) == [hot]
    assert len(recent._seen) + len(recent._seen_before) <= 2 * SEEN


def test_without_room_nothing_is_kept() -> None:
    recent, name = Recent(0), names(1)[0]
    keep(recent, name)
    assert recent.get(name) is None and not recent._seen


class TestLocalWithMemory(BlobStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[LocalStore]:
        store = LocalStore(tmp_path / "store", hot_bytes=PLENTY)
        yield store
        await store.close()


async def test_a_blob_read_again_is_not_looked_for(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, hot_bytes=PLENTY)
    content = os.urandom(1000)
    name = name_of(content)
    await store.put(name, content)
    for _ in range(2):
        assert store.read_inline(name) == content
    damage(tmp_path)
    assert store.read_inline(name) == content
    with pytest.raises(BlobDamaged):  # who checks the disk is told what the disk has
        await read_all(store, name)
    await store.delete(name)
    assert store.read_inline(name) is None
    await store.close()


async def test_damaged_bytes_are_never_kept(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, hot_bytes=PLENTY)
    content = os.urandom(1000)
    name = name_of(content)
    await store.put(name, content)
    damage(tmp_path)
    for _ in range(3):
        with pytest.raises(BlobDamaged):
            store.read_inline(name)
    await store.put(name, content)
    assert store.read_inline(name) == content
    await store.close()


def damage(root: Path) -> None:
    with sqlite3.connect(root / "packs.db") as pack:
        pack.execute("UPDATE blobs SET content = x'00'")
    pack.close()
