"""The local store: the contract, and what a disk adds to it."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.base import BlobDamaged, BlobName, StoreError, StoreFull, StoreMisconfigured, read_all
from backends.local import LocalStore
from tests.contracts.blob_store import BlobStoreContract, name_of

LARGE = 200 * 1024


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    store = LocalStore(tmp_path / "store")
    yield store
    await store.close()


class TestLocal(BlobStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[LocalStore]:
        store = LocalStore(tmp_path / "store")
        yield store
        await store.close()


def path_of(root: Path, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    return root / "cas" / digest[:2] / digest[2:4] / digest


async def test_a_store_opened_again_sees_everything(tmp_path: Path) -> None:
    contents = [b"small", os.urandom(LARGE)]
    first = LocalStore(tmp_path)
    for content in contents:
        await first.put(name_of(content), content)
    await first.close()
    second = LocalStore(tmp_path)
    for content in contents:
        assert await read_all(second, name_of(content)) == content
    await second.close()


async def test_files_are_synced_before_they_are_named(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for function in ("fdatasync", "rename", "fsync"):
        real = getattr(os, function)

        def note(*args: object, _real: object = real, _name: str = function) -> object:
            calls.append(_name)
            return _real(*args)  # type: ignore[operator]

        monkeypatch.setattr(os, function, note)
    content = os.urandom(LARGE)
    await store.put(name_of(content), content)
    assert calls[0] == "fdatasync"
    assert calls[-2:] == ["rename", "fsync"]
    assert path_of(tmp_path / "store", content).stat().st_mode & 0o077 == 0
    calls.clear()
    await store.put(name_of(content), content)
    assert calls == ["fsync"], "who renamed it may not have come to that"


async def test_a_failed_sync_is_a_lost_write(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "injected")

    content = os.urandom(LARGE)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreError):
            await store.put(name_of(content), content)
    assert await store.stat(name_of(content)) is None
    assert list((tmp_path / "store" / "staging").iterdir()) == []
    await store.put(name_of(content), content)
    assert await read_all(store, name_of(content)) == content


async def test_a_full_disk_is_said_and_gets_over(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "injected")

    content = os.urandom(LARGE)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(StoreFull):
            await store.put(name_of(content), content)
    await store.put(name_of(content), content)


async def test_damage_in_the_pack_is_found(store: LocalStore, tmp_path: Path) -> None:
    content = b"precious"
    name = name_of(content)
    await store.put(name, content)
    with sqlite3.connect(tmp_path / "store" / "packs.db") as pack:
        pack.execute("UPDATE blobs SET content = x'00'")
    pack.close()
    with pytest.raises(BlobDamaged):
        store.read_inline(name)
    await store.put(name, content)
    assert store.read_inline(name) == content


async def test_a_shortened_file_is_found_and_mended(store: LocalStore, tmp_path: Path) -> None:
    content = os.urandom(LARGE)
    name = name_of(content)
    await store.put(name, content)
    os.truncate(path_of(tmp_path / "store", content), 1000)
    with pytest.raises(BlobDamaged):
        _ = [chunk async for chunk in store.get(name, (0, LARGE))]  # type: ignore[arg-type]
    await store.put(name, content)
    assert await read_all(store, name) == content


async def test_only_old_leftovers_are_swept(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    for name, age in (("old", 2 * 86400), ("new", 60)):
        (staging / name).write_bytes(b"x")
        os.utime(staging / name, (time.time() - age,) * 2)
    await LocalStore(tmp_path).close()
    assert [path.name for path in staging.iterdir()] == ["new"]


async def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nexus-store.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(StoreMisconfigured, match="99"):
        LocalStore(tmp_path)


async def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreMisconfigured):
        LocalStore(tmp_path / "file")


def _put_many(root: Path, seed: int) -> None:
    async def run() -> None:
        store = LocalStore(root, fsync=False)
        contents = [f"{seed}-{n}".encode() for n in range(150)] + [f"both-{n}".encode() for n in range(150)]
        await asyncio.gather(*(store.put(name_of(content), content) for content in contents))
        await store.close()

    asyncio.run(run())


async def test_two_processes_share_a_pack(store: LocalStore, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_many, args=(tmp_path / "store", seed)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        await asyncio.to_thread(worker.join, 60)
        assert worker.exitcode == 0
    assert len([blob async for blob in store.scan()]) == 450
    name = BlobName("default", hashlib.sha256(b"both-7").hexdigest())
    assert store.read_inline(name) == b"both-7"


async def test_a_reserve_is_left_for_deleting(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.put(name_of(b"kept"), b"kept")
    real = os.statvfs(store._root)
    almost_full = os.statvfs_result((*real[:4], 100, *real[5:]))
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda path: almost_full)
        for content in (b"small", os.urandom(LARGE)):
            with pytest.raises(StoreFull):
                await store.put(name_of(content), content)
        with pytest.raises(StoreFull):
            store.put_group([(name_of(b"small"), b"small")])
        assert await read_all(store, name_of(b"kept")) == b"kept"
        await store.delete(name_of(b"kept"))
    await store.put(name_of(b"small"), b"small")


async def test_a_pack_whose_lock_fails_says_so_and_hangs_nobody(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", fail)
        with pytest.raises(StoreError, match="no locks here"):
            await asyncio.wait_for(store.put(name_of(b"small"), b"small"), 10)
    await asyncio.wait_for(store.put(name_of(b"small"), b"small"), 10)
    assert await read_all(store, name_of(b"small")) == b"small"
