"""Encrypted content over a real catalog and store: exact ranges, and the collector and rotations among the puts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.base import BlobName, ByteRange
from gateway.app import open_core
from gateway.bodies import Checks
from gateway.bucket_configs import LIFECYCLE
from gateway.catalog.objects import Removal
from gateway.core import Core
from gateway.encryption import BY_SERVER, SSE_C, SSE_KMS, CustomerKey, Encryption, Wanted
from gateway.errors import ContentUnavailable, CustomerKeyNeeded, Overloaded
from gateway.lifecycle.rules import Filter, Lifecycle, Rule, Transition, When
from gateway.settings import Settings
from gateway.types import Attributes, Bucket, ObjectInfo, Principal
from tests.test_content import Body

ADMIN = Principal("admin", "Administrator", "0" * 64, "default", True, "")
BLOCK = 256 * 1024
CUSTOMER = CustomerKey(b"c" * 32, "")
S3 = Wanted(BY_SERVER)
MODES = [S3, Wanted(Encryption(SSE_KMS)), Wanted(Encryption(SSE_C, verifier=CUSTOMER.new_verifier()), CUSTOMER)]


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(Settings(data_dir=tmp_path / "data", durability="none", block_size=BLOCK)) as core:
        await core.mounts.add("/", "local", {"data_dir": str(tmp_path / "store")}, owner=ADMIN)
        await core.users.create_user("admin", is_admin=True)
        yield core


@pytest.fixture
async def bucket(core: Core) -> Bucket:
    return await core.buckets.create("bucket", ADMIN)


async def put(core: Core, bucket: Bucket, key: str, content: bytes, wanted: Wanted | None = S3) -> ObjectInfo:
    return await core.objects.put(bucket, key, Body(content), Attributes(), Checks(), owner_id="admin", wanted=wanted)


async def get(core: Core, bucket: Bucket, key: str, start: int = 0, stop: int | None = None, **more: Any) -> bytes:
    info = await core.objects.find(bucket, key)
    span = ByteRange(start, info.size if stop is None else stop)
    opened = await core.objects.open(bucket, key, info, span, **more)
    if isinstance(opened.body, bytes):
        return opened.body
    return b"".join([chunk async for chunk in opened.body])


@pytest.mark.parametrize("wanted", MODES, ids=["sse-s3", "sse-kms", "sse-c"])
async def test_every_range_is_that_of_the_plain_object(core: Core, bucket: Bucket, wanted: Wanted) -> None:
    content = os.urandom(3 * BLOCK + 12_345)
    await put(core, bucket, "sealed", content, wanted)
    await put(core, bucket, "plain", content, None)
    edges = st.sampled_from([0, 1, 65_535, 65_536, 65_537, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 65_536])
    places = edges | st.integers(0, len(content) - 1)
    spans: list[tuple[int, int]] = []

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
    @given(one=places, other=places)
    def draw(one: int, other: int) -> None:
        spans.append((min(one, other), min(max(one, other), len(content))))

    draw()
    for start, stop in spans:
        sealed = await get(core, bucket, "sealed", start, stop, customer=wanted.customer)
        assert sealed == await get(core, bucket, "plain", start, stop) == content[start:stop]


async def test_domains_share_no_blob_and_a_copy_between_them_is_real(core: Core, bucket: Bucket) -> None:
    content = os.urandom(5000)
    for number, wanted in enumerate([None, *MODES]):
        await put(core, bucket, f"k{number}", content, wanted)
    scopes = {(await core.objects.find(bucket, f"k{number}")).content.scope for number in range(4)}
    assert len(scopes) == 4 and {scope.partition(".")[0] for scope in scopes} == {"default"}
    assert (await core.stats())[0].blobs == 4
    with pytest.raises(CustomerKeyNeeded):
        await get(core, bucket, "k3")


@pytest.mark.parametrize("size", [4000, 3 * BLOCK])
async def test_a_collection_between_putting_and_naming_takes_nothing_that_is_named(
    core: Core, bucket: Bucket, size: int
) -> None:
    """Puts of one content, deletions of it and collections without grace, all at once."""
    content = os.urandom(size)
    stop = asyncio.Event()

    async def collect() -> None:
        while not stop.is_set():
            await core.collector.run(0)

    async def write(worker: int) -> None:
        for turn in range(12):
            key = f"{worker}"
            try:
                await put(core, bucket, key, content)
            except Overloaded:  # bytes that only another had were collected: the client sends its own again
                continue
            assert await get(core, bucket, key) == content
            if turn % 2:
                await core.objects.delete(bucket, Removal(key))

    collecting = asyncio.create_task(collect())
    try:
        await asyncio.gather(*(write(worker) for worker in range(4)))
    finally:
        stop.set()
        await collecting
    await put(core, bucket, "last", content)
    assert await get(core, bucket, "last") == content
    await core.collector.run(0)
    report = await core.checker.run(rehash=True)
    assert not report.findings
    assert await get(core, bucket, "last") == content


async def test_a_rotation_between_storing_and_naming_loses_no_key(core: Core, bucket: Bucket) -> None:
    names = [f"k{number}" for number in range(30)]
    contents = {name: os.urandom(2000 if number % 3 else 2 * BLOCK) for number, name in enumerate(names)}

    async def rotate() -> None:
        for _ in range(5):
            assert not await core.encryption.begin_rotation()
            done = await core.encryption.rewrap(10, 0)
            assert (done.remaining, done.problems) == (0, [])
            await asyncio.sleep(0)

    await put(core, bucket, "first", b"x")
    await asyncio.gather(rotate(), *(put(core, bucket, name, content) for name, content in contents.items()))
    assert not await core.encryption.begin_rotation()
    await core.encryption.rewrap(10, 0)
    assert [count for key, count in await core.encryption.ring() if key.retired_at is not None] == []
    for name, content in contents.items():
        assert await get(core, bucket, name) == content


async def test_a_rotation_while_objects_move_holds_up_none(core: Core, bucket: Bucket, tmp_path: Path) -> None:
    await core.mounts.add("/cold", "local", {"data_dir": str(tmp_path / "cold")}, owner=ADMIN)
    await core.mounts.bind_class("COLD", "/cold")
    rule = Rule("r", True, Filter(), transitions=(Transition("COLD", When(days=1)),))
    await core.buckets.set_config(bucket, LIFECYCLE, Lifecycle((rule,)).dump())
    contents = {f"k{number}": os.urandom(2 * BLOCK) for number in range(40)}
    for name, content in contents.items():
        await put(core, bucket, name, content)
    moving = asyncio.ensure_future(core.lifecycle.run(at=2**42))
    while not moving.done():
        assert not await core.encryption.begin_rotation()
        await core.encryption.rewrap(10, 3600)
    report = await moving
    assert report.problems == [] and report.counts == {"Transition": 40}
    for name, content in contents.items():
        assert await get(core, bucket, name) == content


async def test_a_rotation_that_was_interrupted_goes_on_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", durability="none", block_size=BLOCK)
    contents = {f"k{number}": os.urandom(100 + number) for number in range(10)}
    async with open_core(settings) as core:
        await core.mounts.add("/", "local", {"data_dir": str(tmp_path / "store")}, owner=ADMIN)
        await core.users.create_user("admin", is_admin=True)
        bucket = await core.buckets.create("bucket", ADMIN)
        for number, (key, content) in enumerate(contents.items()):
            await put(core, bucket, key, content, MODES[number % 2])
        assert not await core.encryption.begin_rotation()
        interrupted = await core.encryption.rewrap(-1, 0)  # no time at all
        assert (interrupted.rewrapped, interrupted.remaining) == (0, 10)
        await put(core, bucket, "new", b"new")
    async with open_core(settings) as core:
        bucket = await core.buckets.find("bucket")
        for key, content in contents.items():
            assert await get(core, bucket, key) == content
        done = await core.encryption.rewrap(10, 0)
        assert (done.rewrapped, done.remaining, done.problems) == (10, 0, [])
        assert len(await core.encryption.ring()) == 2  # those that wrapped the ten are destroyed
        for key, content in contents.items():
            assert await get(core, bucket, key) == content


async def test_a_rotation_passes_over_what_is_lost_and_drops_keys_that_wrap_nothing(core: Core, bucket: Bucket) -> None:
    for number in range(3):
        await put(core, bucket, f"k{number}", bytes([number]) * 100)
    await put(core, bucket, "gone", b"gone", MODES[1])
    await core.objects.delete(bucket, Removal("gone"))
    await core.collector.run(0)
    lost = (await core.objects.find(bucket, "k1")).content.digest or ""

    def spoil() -> Any:
        yield "UPDATE blobs SET sealed_key = zeroblob(65) WHERE digest = ?", (bytes.fromhex(lost),)

    await core.catalog.write(spoil)
    assert not await core.encryption.begin_rotation()
    done = await core.encryption.rewrap(10, 0)
    assert (done.rewrapped, done.remaining) == (2, 1) and lost in done.problems[0]
    assert [key.kind for key, _ in await core.encryption.ring()] == ["s3", "s3"]
    assert await get(core, bucket, "k2") == b"\2" * 100
    with pytest.raises(ContentUnavailable):
        await get(core, bucket, "k1")


async def test_a_small_damaged_blob_is_mended_by_the_next_put(core: Core, bucket: Bucket) -> None:
    content = os.urandom(3000)
    info = await put(core, bucket, "one", content)
    store = (await core.names.current()).stores[info.content.store_id].use()
    name = BlobName(info.content.scope, info.content.digest or "")
    await store.delete(name)
    await core.checker.run()
    with pytest.raises(ContentUnavailable):
        await get(core, bucket, "one")
    await put(core, bucket, "two", content)
    assert await get(core, bucket, "one") == await get(core, bucket, "two") == content
    await core.collector.run(0)
    assert not (await core.checker.run(rehash=True)).findings


async def test_a_lost_key_of_the_ring_is_found_by_fsck(core: Core, bucket: Bucket) -> None:
    await put(core, bucket, "k", b"content")

    def lose() -> Any:
        yield "DELETE FROM encryption_keys", ()

    await core.catalog.write(lose)
    report = await core.checker.run()
    assert [(finding.kind, finding.paths) for finding in report.findings] == [("damaged", ["/bucket/k"])]
    assert report.exit_code == 2
