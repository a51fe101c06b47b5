"""Bodies into blocks and back, over a real catalog and a real store; and the collector among the puts."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.base import ByteRange
from gateway.app import open_core
from gateway.bodies import Checks
from gateway.catalog.objects import Removal
from gateway.core import Core
from gateway.errors import ContentUnavailable, DigestMismatch, EntityTooLarge, IncompleteBody, Overloaded
from gateway.objects import Bytes
from gateway.settings import Settings
from gateway.types import Attributes, Bucket, ObjectInfo, Principal

ADMIN = Principal("admin", "Administrator", "0" * 64, "default", True, "")
BLOCK = 256 * 1024


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


class Body(Bytes):
    """A body in chunks of a size, with what its sender says of it."""

    def __init__(self, content: bytes, chunk: int = 50_000, length: int | None = -1, sha256: str | None = None) -> None:
        super().__init__(self._chunks(content, chunk), len(content))
        self.length = len(content) if length == -1 else length
        self.sha256 = sha256

    @staticmethod
    async def _chunks(content: bytes, size: int) -> AsyncIterator[bytes]:
        for at in range(0, len(content), size):
            yield content[at : at + size]


async def put(core: Core, bucket: Bucket, key: str, body: Body | bytes, checks: Checks | None = None) -> ObjectInfo:
    source = Body(body) if isinstance(body, bytes) else body
    return await core.objects.put(bucket, key, source, Attributes(), checks or Checks(), owner_id="admin")


async def read(core: Core, bucket: Bucket, key: str, start: int = 0, stop: int | None = None) -> bytes:
    info = await core.objects.find(bucket, key)
    opened = await core.objects.open(bucket, key, info, ByteRange(start, info.size if stop is None else stop))
    if isinstance(opened.body, bytes):
        return opened.body
    return b"".join([chunk async for chunk in opened.body])


async def blobs_in(core: Core) -> int:
    (stats,) = await core.stats()
    return stats.blobs


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17])
async def test_bodies_come_back(core: Core, bucket: Bucket, size: int) -> None:
    content = os.urandom(size)
    for length in (-1, None):
        info = await put(core, bucket, "key", Body(content, length=length))
        assert (info.size, info.etag) == (size, hashlib.md5(content).hexdigest())
        assert await read(core, bucket, "key") == content
    for start, stop in [(0, 1), (size - 1, size), (BLOCK - 1, BLOCK + 1), (BLOCK, 2 * BLOCK), (1, size - 1)]:
        if 0 <= start < stop <= size:
            assert await read(core, bucket, "key", start, stop) == content[start:stop]


@pytest.mark.parametrize("size", [1000, 3 * BLOCK + 17])
async def test_what_is_not_as_declared_is_not_stored(core: Core, bucket: Bucket, size: int) -> None:
    content = os.urandom(size)
    await put(core, bucket, "key", b"before")
    for body, checks, error in (
        (Body(content, sha256="0" * 64), Checks(), DigestMismatch),
        (Body(content), Checks(md5=bytes(16)), DigestMismatch),
        (Body(content), Checks(algorithm="SHA256", value="AAAA"), DigestMismatch),
        (Body(content, length=size + 1), Checks(), IncompleteBody),
        (Body(content, length=size - 1), Checks(), IncompleteBody),
        (Body(content), Checks(limit=size - 1), EntityTooLarge),
        (Body(content, length=None), Checks(limit=size - 1), EntityTooLarge),
    ):
        with pytest.raises(error):
            await put(core, bucket, "key", body, checks)
    assert await read(core, bucket, "key") == b"before"
    await core.collector.run(0)
    assert await blobs_in(core) == 1
    report = await core.checker.run(rehash=True)
    assert report.findings == []


async def test_equal_blocks_are_stored_once(core: Core, bucket: Bucket) -> None:
    block = os.urandom(BLOCK)
    await put(core, bucket, "once", block)
    await put(core, bucket, "thrice", block * 3 + b"tail")
    await put(core, bucket, "copy", block * 3 + b"tail")
    assert await blobs_in(core) == 2


async def test_wrong_bytes_never_come_out(core: Core, bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(2 * BLOCK)
    await put(core, bucket, "key", content)
    digest = hashlib.sha256(content[BLOCK:]).hexdigest()
    path = tmp_path / "store" / "cas" / digest[:2] / digest[2:4] / digest
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ContentUnavailable):
        await read(core, bucket, "key")
    assert await read(core, bucket, "key", 0, BLOCK) == content[:BLOCK]
    report = await core.checker.run()
    report = await core.checker.run(rehash=True)
    assert [(finding.kind, finding.paths) for finding in report.findings] == [("damaged", ["/bucket/key"])]
    await put(core, bucket, "again", content[BLOCK:])  # the same bytes mend the blob for every name
    assert await read(core, bucket, "key") == content
    assert (await core.checker.run(rehash=True)).findings == []


async def test_the_collector_takes_only_garbage(core: Core, bucket: Bucket) -> None:
    """Few contents, many names, puts and deletes at once, and a collector without any grace among them."""
    rng = random.Random(7)
    contents = [bytes([n]) * size for n, size in enumerate((10, 2000, 70_000, BLOCK, 2 * BLOCK + 5))]
    truth: dict[str, bytes] = {}
    done = asyncio.Event()

    async def collect() -> None:
        while not done.is_set():
            await core.collector.run(0)
            await asyncio.sleep(0)

    async def work(worker: int) -> None:
        for step in range(60):
            key = f"{worker}/{step % 7}"
            if rng.random() < 0.4:
                await core.objects.delete(bucket, Removal(key))
                truth.pop(key, None)
                continue
            content = rng.choice(contents)
            try:
                await put(core, bucket, key, content)
                truth[key] = content
            except Overloaded:  # its bytes went before they were named: the client sends them again
                continue

    collecting = asyncio.create_task(collect())
    await asyncio.gather(*(work(worker) for worker in range(8)))
    done.set()
    await collecting
    for key, content in truth.items():
        assert await read(core, bucket, key) == content, key
    await core.collector.run(0)
    assert (await core.checker.run(rehash=True)).findings == []
    for key in truth:
        await core.objects.delete(bucket, Removal(key))
    await core.collector.run(0)
    assert await blobs_in(core) == 0


async def test_files_that_no_row_knows_are_swept(core: Core, bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    digest = hashlib.sha256(content).hexdigest()
    path = tmp_path / "store" / "cas" / digest[:2] / digest[2:4] / digest
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert [finding.kind for finding in (await core.checker.run()).findings] == ["orphan"]
    assert (await core.collector.run(3600)).orphans == 0
    assert (await core.collector.run(0)).orphans == 1
    assert not path.exists()
