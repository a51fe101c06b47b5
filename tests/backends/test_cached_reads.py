"""Reads that never wait: what they find is right, and what they do not find is left to threads."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends import local
from backends.base import ByteRange, StoreError, read_all
from backends.cached_reads import CachedReads
from backends.local import LocalStore
from tests.contracts.blob_store import name_of

CONTENT = os.urandom(3 * 1024 * 1024 + 77)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def _fails(code: int) -> Callable[..., int]:
    def preadv(*_: Any) -> int:
        raise OSError(code, os.strerror(code))

    return preadv


def _meagre(fd: int, buffers: tuple[bytearray], at: int, flags: int) -> int:
    """As where every third page was given back."""
    if at // 4096 % 3 == 2:
        raise BlockingIOError
    got = os.pread(fd, min(len(buffers[0]), 5000), at)
    buffers[0][: len(got)] = got
    return len(got)


def test_what_is_in_memory_is_read(fd: int) -> None:
    assert CachedReads().read(fd, 1000, 5) in (CONTENT[5:1005], b"")  # the kernel may have given it back
    assert CachedReads().read(fd, 1000, len(CONTENT)) == b""


def test_what_is_not_in_memory_is_left_alone(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = CachedReads()
    with monkeypatch.context() as patched:
        patched.setattr(os, "preadv", _fails(errno.EAGAIN))
        assert reads.read(fd, 10, 0) == b""
    calls: list[int] = []
    monkeypatch.setattr(os, "preadv", lambda *_: calls.append(1) or 10)
    reads.read(fd, 10, 0)
    assert calls  # it is asked again


def test_a_file_system_that_cannot_tell_is_not_asked_again(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = CachedReads()
    with monkeypatch.context() as patched:
        patched.setattr(os, "preadv", _fails(errno.EOPNOTSUPP))
        assert reads.read(fd, 10, 0) == b""
    monkeypatch.setattr(os, "preadv", _fails(errno.EIO))
    assert reads.read(fd, 10, 0) == b""


@pytest.mark.parametrize("preadv", [_fails(errno.EAGAIN), _fails(errno.EOPNOTSUPP), _meagre, None])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_blob_reads_the_same_whatever_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preadv: Callable[..., int] | None, busy: bool
) -> None:
    if preadv is not None:
        monkeypatch.setattr(os, "preadv", preadv)
    if busy:
        monkeypatch.setattr(local, "AMPLE", 0)
    store = LocalStore(tmp_path / "store")
    name = name_of(CONTENT)
    await store.put(name, CONTENT)
    assert await read_all(store, name) == CONTENT
    for span in (ByteRange(5, 2_500_000), ByteRange(len(CONTENT) - 1, len(CONTENT))):
        assert b"".join([chunk async for chunk in store.get(name, span)]) == CONTENT[span.start : span.stop]
    assert store._readers == 0
    await store.close()


async def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path / "store")
    await store.put(name_of(CONTENT), CONTENT)
    monkeypatch.setattr(os, "preadv", _fails(errno.EIO))
    with pytest.raises(StoreError, match="Input/output error"):
        await read_all(store, name_of(CONTENT))
    await store.close()


async def test_a_reader_that_gives_up_while_its_file_is_opened_leaves_none_open(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    await store.put(name_of(CONTENT), CONTENT)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        reading = asyncio.create_task(read_all(store, name_of(CONTENT)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await store.close()
    await asyncio.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before
