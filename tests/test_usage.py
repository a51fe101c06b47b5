"""What tenants use is counted along; where the sums should ever be wrong, that is found and mended."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import CATALOG_FILE, open_core
from gateway.bodies import Checks
from gateway.core import Core
from gateway.errors import QuotaExceeded
from gateway.objects import Bytes
from gateway.settings import Settings
from gateway.types import Attributes, Bucket, Principal, Quota

LIMIT = Checks(limit=10**6)


async def _put(core: Core, bucket: Bucket, key: str, size: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * size

    await core.objects.put(bucket, key, Bytes(chunks(), size), Attributes(), LIMIT, owner_id="ann")


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(Settings(data_dir=tmp_path, durability="none")) as core:
        user = await core.users.create_user("ann", tenant="acme")
        ann = Principal("ann", "Ann", user.canonical_id, "acme", False, "")
        await core.mounts.add("/", "local", {"data_dir": str(tmp_path / "store")}, owner=ann)
        await core.buckets.create("bucket", ann)
        yield core


async def test_sums_that_are_wrong_are_found_and_mended(core: Core, tmp_path: Path) -> None:
    await _put(core, await core.buckets.find("bucket"), "k", 10)
    assert (await core.tenants.get("acme")).usage.total_bytes == 10
    assert await core.tenants.recount(mend=False) == [] and (await core.checker.run()).exit_code == 0
    with sqlite3.connect(tmp_path / CATALOG_FILE) as meddler:
        meddler.execute("UPDATE tenants SET object_bytes = 99 WHERE id = 'acme'")
    meddler.close()
    report = await core.checker.run()
    assert report.exit_code == 1 and "the tenant acme uses 10 bytes, not 99" in report.findings[0].detail
    assert [drift.tenant for drift in await core.tenants.recount(mend=True)] == ["acme"]
    assert (await core.tenants.get("acme")).usage.total_bytes == 10 and (await core.checker.run()).exit_code == 0


async def test_a_body_that_will_not_fit_is_not_read(core: Core) -> None:
    await core.tenants.set_limits("acme", Quota(20, None), None)
    bucket = await core.buckets.find("bucket")

    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    await _put(core, bucket, "k", 15)
    for key, size in (("new", 6), ("k", 21)):
        with pytest.raises(QuotaExceeded):
            await core.objects.put(bucket, key, Bytes(unread(), size), Attributes(), LIMIT, owner_id="ann")
    await _put(core, bucket, "k", 20)


async def test_a_quota_that_comes_while_a_write_is_under_way_counts(core: Core) -> None:
    """The write began where there was none; its transaction looks again."""
    bucket = await core.buckets.find("bucket")

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 5
        await core.tenants.set_limits("acme", Quota(7, None), None)
        yield b"x" * 5

    with pytest.raises(QuotaExceeded):
        await core.objects.put(bucket, "k", Bytes(slow(), 10), Attributes(), LIMIT, owner_id="ann")
    assert (await core.tenants.get("acme")).usage.total_bytes == 0
