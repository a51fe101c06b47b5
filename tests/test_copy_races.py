"""A copy whose source is replaced, or moves to another store, under its hands looks again."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.app import open_core
from gateway.bodies import Checks
from gateway.conditions import ReadConditions
from gateway.core import Core
from gateway.errors import ContentUnavailable, ObjectReplaced, Overloaded
from gateway.s3.operations import copying
from gateway.settings import Settings
from gateway.types import Attributes, Bucket, ObjectInfo, Principal
from tests.test_content import Body

ADMIN = Principal("admin", "Administrator", "0" * 64, "default", True, "")


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(Settings(data_dir=tmp_path / "data", durability="none")) as core:
        await core.users.create_user("admin", is_admin=True)
        for point in ("/", "/elsewhere"):
            await core.mounts.add(point, "local", {"data_dir": str(tmp_path / f"store{point[1:]}")}, owner=ADMIN)
        yield core


@pytest.fixture
async def bucket(core: Core) -> Bucket:
    return await core.buckets.create("bucket", ADMIN)


async def put(core: Core, bucket: Bucket, content: bytes) -> ObjectInfo:
    return await core.objects.put(bucket, "key", Body(content), Attributes(), Checks(), owner_id="admin")


async def copy(core: Core, source: ObjectInfo, bucket: Bucket, goal: Bucket, **more: Any) -> ObjectInfo:
    options: dict[str, Any] = {"owner_id": "admin", "attributes": None, "algorithm": None, **more}
    return await core.copies.copy(source, bucket, goal, "copy", source_conditions=ReadConditions(), **options)


async def test_within_a_store_what_was_replaced_is_not_copied(core: Core, bucket: Bucket) -> None:
    seen = await put(core, bucket, b"first")
    now = await put(core, bucket, b"second")
    with pytest.raises(ObjectReplaced):
        await copy(core, seen, bucket, bucket)
    assert (await copy(core, now, bucket, bucket)).etag == now.etag


async def test_between_stores_bytes_that_are_gone_mean_that_it_is_another_by_now(core: Core, bucket: Bucket) -> None:
    seen = await put(core, bucket, os.urandom(300_000))
    now = await put(core, bucket, b"second")
    await core.collector.run(0)
    goal = await core.buckets.find("elsewhere")
    with pytest.raises(ObjectReplaced):
        await copy(core, seen, bucket, goal)
    with pytest.raises(ObjectReplaced):
        await copy(core, seen, bucket, bucket, algorithm="SHA256")
    assert (await copy(core, now, bucket, goal)).etag == now.etag


async def test_what_is_damaged_is_not_taken_for_replaced(core: Core, bucket: Bucket, tmp_path: Path) -> None:
    seen = await put(core, bucket, os.urandom(300_000))
    (damaged,) = (path for path in (tmp_path / "store").rglob("cas/*/*/*") if path.is_file())
    damaged.unlink()
    with pytest.raises(ContentUnavailable):
        await copy(core, seen, bucket, await core.buckets.find("elsewhere"))


async def test_the_door_looks_again_but_not_for_ever() -> None:
    call: Any = SimpleNamespace(notes=None)
    results = [ObjectReplaced("moved"), ObjectReplaced("moved"), {"ETag": "x"}]

    async def attempt() -> dict[str, Any]:
        result = results.pop(0) if results else ObjectReplaced("again")
        if isinstance(result, Exception):
            raise result
        return result

    assert await copying._looking_again(call, attempt) == {"ETag": "x"}
    with pytest.raises(Overloaded):
        await copying._looking_again(call, attempt)
