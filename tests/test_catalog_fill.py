"""The benchmarks' short way to a large bucket makes what as many PUTs would have made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.base import ByteRange
from benchmarks.catalog_fill import fill, prefix_of
from gateway.app import CATALOG_FILE, open_core
from gateway.bodies import Checks
from gateway.settings import Settings
from gateway.types import Attributes, Principal
from tests.test_content import Body

ADMIN = Principal("admin", "Administrator", "0" * 64, "default", True, "")


async def test_keys_are_listed_read_and_checked_as_if_they_had_been_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.catalog_fill.BATCH", 1100)
    content = os.urandom(100)
    async with open_core(Settings(data_dir=tmp_path, durability="none")) as core:
        await core.users.create_user("admin", is_admin=True)
        await core.mounts.add("/", "local", {"data_dir": str(tmp_path / "store")}, owner=ADMIN)
        bucket = await core.buckets.create("bucket", ADMIN)
        await core.objects.put(bucket, "pattern", Body(content), Attributes(), Checks(), owner_id="admin")
        fill(tmp_path / CATALOG_FILE, "bucket", "pattern", 2500)
        page = await core.objects.list(bucket, prefix_of(2), "", "", 1000)
        assert [row[0] for row in page.rows] == [f"p00002/k{number:06d}".encode() for number in range(500)]
        info = await core.objects.find(bucket, "p00001/k000999")
        assert (await core.objects.open(bucket, info.key, info, ByteRange(0, 100))).body == content
        assert (await core.tenants.get("default")).usage.objects == 2501
        assert (await core.checker.run()).exit_code == 0


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="are free"):
        fill(tmp_path / CATALOG_FILE, "bucket", "pattern", 10**15)
