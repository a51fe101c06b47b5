"""Puts that are given up, or fail, at any point: nothing half is left, and nothing stays open."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.base import ByteRange
from gateway.app import open_core
from gateway.bodies import Checks
from gateway.core import Core
from gateway.errors import GatewayError, ObjectNotFound
from gateway.objects import Bytes
from gateway.settings import Settings
from gateway.types import Attributes, Bucket, Principal

ADMIN = Principal("admin", "Administrator", "0" * 64, "default", True, "")
BLOCK = 256 * 1024
SIZES = [100, 70_000, 3 * BLOCK + 17]
"""Of a small body, of one that is staged, of one of several blocks."""


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    settings = Settings(data_dir=tmp_path / "data", durability="none", block_size=BLOCK)
    async with open_core(settings) as core:
        await core.mounts.add("/", "local", {"data_dir": str(tmp_path / "store")}, owner=ADMIN)
        yield core


@pytest.fixture
async def bucket(core: Core) -> Bucket:
    await core.users.create_user("admin", is_admin=True)
    return await core.buckets.create("bucket", ADMIN)


def body_of(content: bytes, known: bool) -> Bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 50_000):
            yield content[at : at + 50_000]

    body = Bytes(chunks(), len(content))
    if not known:
        body.length = None
    return body


async def put(core: Core, bucket: Bucket, key: str, content: bytes, known: bool) -> None:
    await core.objects.put(bucket, key, body_of(content, known), Attributes(), Checks(), owner_id="admin")


async def read(core: Core, bucket: Bucket, key: str) -> bytes | None:
    try:
        info = await core.objects.find(bucket, key)
    except ObjectNotFound:
        return None
    opened = await core.objects.open(bucket, key, info, ByteRange(0, info.size))
    return opened.body if isinstance(opened.body, bytes) else b"".join([chunk async for chunk in opened.body])


def files_open(store: Path) -> set[str]:
    """What this process has open of a store's files, besides its pack."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return {path for path in found if path.startswith((f"{store}/staging/", f"{store}/cas/"))}


async def nothing_is_left(tmp_path: Path) -> None:
    """Wait for threads that are at it still."""
    left: object = None
    for _ in range(200):
        left = [*(tmp_path / "store" / "staging").iterdir(), *files_open(tmp_path / "store")]
        if not left:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"left: {left}")


@pytest.mark.parametrize("size", SIZES)
async def test_puts_that_are_given_up(core: Core, bucket: Bucket, tmp_path: Path, size: int) -> None:
    rng = random.Random(size)
    contents = {f"key {number}": rng.randbytes(size) for number in range(60)}
    for number, (key, content) in enumerate(contents.items()):
        putting = asyncio.create_task(put(core, bucket, key, content, rng.random() < 0.7))
        for _ in range(number):
            await asyncio.sleep(0 if number < 30 else rng.uniform(0, 0.0004))
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
    await nothing_is_left(tmp_path)
    found = {key: await read(core, bucket, key) for key in contents}
    assert all(content is None or content == contents[key] for key, content in found.items())
    assert None in found.values()
    await put(core, bucket, "key 0", contents["key 0"], True)
    assert await read(core, bucket, "key 0") == contents["key 0"]


@pytest.mark.parametrize("call", ["rename", "mkdir", "fstat", "statvfs", "write", "open"])
async def test_puts_whose_store_fails(
    core: Core, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real, rng = getattr(os, call), random.Random(call)

    def fail(*arguments: object, **options: object) -> object:
        if rng.random() < 0.5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **options)

    for number, (size, known) in enumerate(itertools.product(SIZES * 2, (True, False))):
        content = rng.randbytes(size)
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            outcome = (await asyncio.gather(put(core, bucket, f"{number}", content, known), return_exceptions=True))[0]
        await nothing_is_left(tmp_path)
        assert outcome is None or isinstance(outcome, GatewayError), outcome
        assert await read(core, bucket, f"{number}") == (content if outcome is None else None)
