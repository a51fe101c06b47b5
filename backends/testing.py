"""What every store promises: one suite, run by each implementation, ours and others' (docs/plugins.md).

Subclass ``BlobStoreContract``, or ``RemoteStoreContract`` for a ``Container``, and give it a fixture ``store`` of an
empty store. Wants pytest and pytest-asyncio, with ``asyncio_mode = "auto"``.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from typing import Protocol

import pytest

from backends.base import (
    BlobDamaged,
    BlobName,
    BlobNotFound,
    BlobStore,
    ByteRange,
    GroupedWrites,
    InlineReads,
    Probing,
    Remote,
    StoreError,
    StreamingWrites,
    read_all,
)

KIB, MIB = 1024, 1024 * 1024
SIZES = [0, 1, 4 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, MIB + 1, 8 * MIB + 1]


def name_of(content: bytes, scope: str = "default") -> BlobName:
    return BlobName(scope, hashlib.sha256(content).hexdigest())


async def names_in(store: BlobStore) -> set[BlobName]:
    return {blob.name async for blob in store.scan()}


class BlobStoreContract:
    async def test_an_empty_store_has_nothing(self, store: BlobStore) -> None:
        name = name_of(b"absent")
        assert await names_in(store) == set()
        assert await store.stat(name) is None
        with pytest.raises(BlobNotFound):
            await read_all(store, name)
        await store.delete(name)

    @pytest.mark.parametrize("size", SIZES)
    async def test_what_was_put_comes_back(self, store: BlobStore, size: int) -> None:
        content = os.urandom(size)
        name = name_of(content)
        for _ in range(2):
            await store.put(name, content)
            assert await read_all(store, name) == content
        blob = await store.stat(name)
        assert blob is not None and (blob.name, blob.size) == (name, size) and blob.stored_at > 1e9
        assert [found.size async for found in store.scan()] == [size]

    @pytest.mark.parametrize("size", [10, 3 * MIB + 7])
    async def test_spans(self, store: BlobStore, size: int) -> None:
        content = os.urandom(size)
        name = name_of(content)
        await store.put(name, content)
        for start, stop in [(0, size), (0, 1), (size - 1, size), (3, 3), (2, size - 2), (size // 2, size)]:
            chunks = [chunk async for chunk in store.get(name, ByteRange(start, stop))]
            assert b"".join(chunks) == content[start:stop]
            assert all(len(chunk) <= MIB for chunk in chunks)
        with pytest.raises(BlobDamaged):
            _ = [chunk async for chunk in store.get(name, ByteRange(0, size + 1))]

    async def test_deleting_is_idempotent_and_can_be_undone(self, store: BlobStore) -> None:
        for content in (b"small", os.urandom(200 * KIB)):
            name = name_of(content)
            await store.put(name, content)
            await store.delete(name)
            await store.delete(name)
            assert await store.stat(name) is None
            await store.put(name, content)
            assert await read_all(store, name) == content

    async def test_scopes_are_apart(self, store: BlobStore) -> None:
        for content in (b"small", os.urandom(200 * KIB)):
            ours, theirs = name_of(content), name_of(content, "acme")
            await store.put(ours, content)
            assert await store.stat(theirs) is None
            await store.put(theirs, content)
            await store.delete(ours)
            assert await store.stat(ours) is None
            assert await read_all(store, theirs) == content

    async def test_many_at_once(self, store: BlobStore) -> None:
        contents = [os.urandom(size) for size in (10, 5000, 100 * KIB) for _ in range(40)]
        await asyncio.gather(*(store.put(name_of(each), each) for each in contents * 3))
        assert await names_in(store) == {name_of(each) for each in contents}
        for each in contents:
            assert await read_all(store, name_of(each)) == each

    @pytest.mark.parametrize("size", [100, 2 * MIB])
    async def test_a_cancelled_put_leaves_all_or_nothing(self, store: BlobStore, size: int) -> None:
        for delay in (0, 0.0005, 0.005):
            content = os.urandom(size)
            task = asyncio.ensure_future(store.put(name_of(content), content))
            await asyncio.sleep(delay)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if await store.stat(name_of(content)) is not None:
                assert await read_all(store, name_of(content)) == content
            await store.put(name_of(content), content)
            assert await read_all(store, name_of(content)) == content

    @pytest.mark.parametrize("size", [0, 1, 64 * KIB, 3 * MIB])
    async def test_stages(self, store: BlobStore, size: int) -> None:
        if not isinstance(store, StreamingWrites):
            return
        content = os.urandom(size)
        name = name_of(content)
        dropped = store.stage()
        dropped.write(content)
        await dropped.discard()
        await dropped.discard()
        assert await names_in(store) == set()
        for _ in range(2):
            stage = store.stage()
            for at in range(0, size, 100_000):
                stage.write(memoryview(content)[at : at + 100_000])
            await stage.publish(name)
            await stage.discard()
            assert await read_all(store, name) == content
        assert await names_in(store) == {name}

    async def test_groups_and_inline_reads(self, store: BlobStore) -> None:
        if not isinstance(store, GroupedWrites) or not isinstance(store, InlineReads):
            return
        contents = [os.urandom(100 + n) for n in range(50)]
        await asyncio.to_thread(store.put_group, [(name_of(each), each) for each in contents + contents])
        for each in contents:
            assert store.read_inline(name_of(each)) == each
        assert store.read_inline(name_of(b"absent")) is None

    @pytest.mark.parametrize(
        "name",
        [
            BlobName("..", "0" * 64),
            BlobName("", "0" * 64),
            BlobName("a/b", "0" * 64),
            BlobName("UPPER", "0" * 64),
            BlobName("default", "../../etc/passwd"),
            BlobName("default", "0" * 63),
            BlobName("default", "G" * 64),
            BlobName("default", "A" * 64),
            BlobName("default", "0" * 64 + "\n"),
        ],
    )
    async def test_what_is_no_name_is_refused(self, store: BlobStore, name: BlobName) -> None:
        for content in (b"small", b"x" * 200 * KIB):
            with pytest.raises(StoreError):
                await store.put(name, content)
        assert await names_in(store) == set()


class Bucket(Protocol):
    """What lies below a store's prefix, as others see it: by the service's own client, where there is one."""

    def keys(self) -> list[str]: ...

    def put(self, key: str, content: bytes) -> None: ...


class RemoteStoreContract(BlobStoreContract):
    """What stores behind a network promise beyond that; wants a ``bucket`` fixture, too."""

    async def test_foreign_objects_are_left_alone(self, store: BlobStore, bucket: Bucket) -> None:
        name = name_of(b"ours")
        await store.put(name, b"ours")
        (key,) = bucket.keys()
        assert key.endswith(f"cas/{name.digest[:2]}/{name.digest[2:4]}/{name.digest}")
        for foreign in (
            key[:-1],
            f"{key}0",
            key.replace("cas/", "cas/x/"),
            key.replace("cas", "CAS"),
            key.replace("cas/", "tenants/.../cas/"),
        ):
            bucket.put(foreign, b"theirs")
        assert await names_in(store) == {name}

    @pytest.mark.parametrize("there", [b"", b"0123456789", b"longer than what is said"])
    async def test_what_is_not_the_blob_under_its_name_is_replaced(
        self, store: BlobStore, bucket: Bucket, there: bytes
    ) -> None:
        content = b"ten bytes!"
        name = name_of(content)
        await store.put(name, content)
        (key,) = bucket.keys()
        bucket.put(key, there)
        await store.put(name, content)
        assert await read_all(store, name) == content

    async def test_scopes_of_tenants_lie_apart(self, store: BlobStore, bucket: Bucket) -> None:
        name = name_of(b"x", "acme")
        await store.put(name, b"x")
        (key,) = bucket.keys()
        assert key.endswith(f"tenants/acme/cas/{name.digest[:2]}/{name.digest[2:4]}/{name.digest}")

    async def test_it_is_well(self, store: BlobStore) -> None:
        assert isinstance(store, Probing) and isinstance(store, Remote)
        await store.probe()
        assert store.parallel > 1
