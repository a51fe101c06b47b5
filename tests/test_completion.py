"""Completing an upload names the blocks of its parts as those of the whole, whatever the parts are made of."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.base import ByteRange
from gateway.app import open_core
from gateway.bodies import Checks
from gateway.core import Core
from gateway.settings import Settings
from gateway.types import Attributes, Bucket, Principal
from gateway.uploads import ChosenPart
from tests.test_content import Body

BLOCK = 1024 * 1024
ADMIN = Principal("admin", "Administrator", "0" * 64, "default", True, "")


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    settings = Settings(data_dir=tmp_path / "data", durability="none", block_size=BLOCK, min_part_size=1)
    async with open_core(settings) as core:
        await core.users.create_user("admin", is_admin=True)
        await core.mounts.add("/", "local", {"data_dir": str(tmp_path / "store")}, owner=ADMIN)
        yield core


@pytest.fixture
async def bucket(core: Core) -> Bucket:
    return await core.buckets.create("bucket", ADMIN)


@pytest.mark.parametrize(
    "sizes",
    [
        {1: 3 * BLOCK + 5, 2: 700, 3: 2 * BLOCK, 7: 2 * BLOCK + 1, 9: 0},
        {4: 700, 5: 3 * BLOCK, 6: 700},
        {2: 10},
        {3: 0},
    ],
)
async def test_the_whole_reads_as_its_parts_in_order(core: Core, bucket: Bucket, sizes: dict[int, int]) -> None:
    upload = await core.uploads.create(
        bucket, "key", Attributes(), owner_id="admin", checksum_algorithm=None, checksum_type=None
    )
    contents = {number: os.urandom(size) for number, size in sizes.items()}
    contents[4000] = os.urandom(2 * BLOCK)  # uploaded, and not named by the completion
    chosen = []
    for number, content in reversed(contents.items()):
        part = await core.uploads.put_part(bucket, upload, number, Body(content), Checks())
        if number != 4000:
            chosen.insert(0, ChosenPart(number, part.etag, None))
    info = await core.uploads.complete(bucket, upload, chosen, whole=None, size=None)
    expected = b"".join(contents[part.number] for part in chosen)
    assert info.size == len(expected) and info.parts == len(chosen)
    found = await core.objects.find(bucket, "key")
    await core.collector.run(0)
    for span in (ByteRange(0, len(expected)), ByteRange(len(expected) // 3, len(expected) * 2 // 3)):
        body = (await core.objects.open(bucket, "key", found, span)).body
        read = body if isinstance(body, bytes) else b"".join([chunk async for chunk in body])
        assert read == expected[span.start : span.stop]
    assert (await core.checker.run()).exit_code == 0
