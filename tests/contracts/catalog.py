"""What every catalog promises about programs and names: one suite, run by each engine (give a ``catalog`` fixture)."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from gateway.catalog import blobs, config, objects, uploads
from gateway.catalog.base import Catalog, Prelude, Program
from gateway.catalog.blobs import Claim, ClaimLost, Garbage
from gateway.catalog.config import StoreRow
from gateway.catalog.objects import NewObject, Removal
from gateway.conditions import WriteConditions
from gateway.errors import (
    BucketExists,
    BucketNotEmpty,
    BucketNotFound,
    Conflict,
    MountExists,
    MountsChanged,
    ObjectNotFound,
    PreconditionFailed,
    UploadNotFound,
)
from gateway.types import Attributes, Block, Bucket, Checksum, Content, Mount, Part, Upload

BUCKET = Bucket(0, "bucket", "alice", "default", 1, "us-east-1")
CHECKSUM = Checksum("CRC64NVME", "AAAAAAAAAAA=")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def block(text: str, offset: int = 0) -> Block:
    return Block(offset, len(text), digest(text), 7)


class World:
    """A catalog with a mounted store and a bucket."""

    def __init__(self, catalog: Catalog, bucket: Bucket) -> None:
        self.catalog = catalog
        self.bucket = bucket

    async def seen(self) -> Claim:
        return Claim(await self.catalog.find(config.GENERATION), await self.catalog.read(blobs.epoch, 1))

    def new(self, key: str, *texts: str) -> NewObject:
        size = sum(map(len, texts))
        content = Content(1, "default", size)
        return NewObject(self.bucket, key, content, digest("".join(texts))[:32], "alice", Attributes(), CHECKSUM, 1000)

    def blocks(self, *texts: str) -> list[Block]:
        found, offset = [], 0
        for text in texts:
            found.append(block(text, offset))
            offset += len(text)
        return found

    async def put(self, key: str, *texts: str, conditions: WriteConditions | None = None) -> None:
        new = replace(self.new(key, *texts), conditions=conditions or WriteConditions())
        await self.catalog.write(objects.put_object, new, self.blocks(*texts), await self.seen())

    async def garbage(self) -> list[str]:
        found = await self.catalog.scan(blobs.due_garbage, 10**15, (-1, "", b""), 1000)
        return sorted(mark.digest.hex() for mark in found)


@pytest.fixture
async def world(catalog: Catalog) -> World:
    mount = Mount("/", 0, 0, False, 1)
    await catalog.write(config.add_mount, mount, StoreRow(0, "local", b"sealed", 8, "tenant"), "local:/x", None)
    return World(catalog, await catalog.write(config.create_bucket, BUCKET))


class CatalogContract:
    async def test_a_bucket_keeps_its_configurations_until_it_is_deleted(self, world: World) -> None:
        made = await world.catalog.write(
            config.create_bucket, replace(BUCKET, name="configured", configs={"cors": "a", "policy": "b"})
        )
        before = await world.catalog.find(config.GENERATION)
        await world.catalog.write(config.set_config, made, "cors", "c")
        await world.catalog.write(config.set_config, made, "policy", None)
        found = await world.catalog.read(config.find_bucket, "configured")
        assert found is not None and found.configs == {"cors": "c"}
        assert found.config("cors", str.upper) == "C" and found.config("policy", str.upper) is None
        assert await world.catalog.find(config.GENERATION) == before + 2
        await world.catalog.write(config.delete_bucket, made.id, made.name)
        with pytest.raises(BucketNotFound):
            await world.catalog.write(config.set_config, made, "cors", "d")
        again = await world.catalog.write(config.create_bucket, replace(BUCKET, name="configured"))
        found = await world.catalog.read(config.find_bucket, "configured")
        assert found is not None and found.id == again.id and found.configs == {}

    async def test_names_of_buckets_and_mounts_are_unique_and_raise_the_generation(self, world: World) -> None:
        catalog = world.catalog
        before = await catalog.find(config.GENERATION)
        with pytest.raises(BucketExists) as refused:
            await catalog.write(config.create_bucket, BUCKET)
        assert refused.value.by_caller
        with pytest.raises(MountExists):
            row = StoreRow(0, "local", b"s", 8, "tenant")
            await catalog.write(config.add_mount, Mount("/", 0, 0, False, 1), row, "local:/y", None)
        assert await catalog.find(config.GENERATION) == before
        row = StoreRow(0, "local", b"other", 8, "tenant")
        mount = await catalog.write(config.add_mount, Mount("/a", 0, 5, True, 1), row, "local:/x", BUCKET)
        assert mount.store_id == 1, "one identity is one store"
        assert await catalog.find(config.GENERATION) > before
        await world.put("k", "x")
        with pytest.raises(BucketNotEmpty):
            await catalog.write(config.delete_bucket, world.bucket.id, "bucket")

    async def test_overwrites_keep_the_creation_and_count_versions(self, world: World) -> None:
        for text in ("one", "two", "three"):
            await world.put("key", text)
        found = await world.catalog.find(objects.find_object(world.bucket.id, "key"))
        assert found is not None and found.version == 3 and found.content.digest == digest("three")
        assert await world.garbage() == sorted([digest("one"), digest("two")])

    async def test_keys_are_bytes(self, world: World) -> None:
        keys = ["a", "a\x00b", "//", "../x", "é", "\U0010ffff", " ", "%41", "+"]
        for key in keys:
            await world.put(key, key)
        for key in keys:
            found = await world.catalog.find(objects.find_object(world.bucket.id, key))
            assert found is not None and found.key == key and found.content.digest == digest(key)

    async def test_one_winner_among_conditional_creates(self, world: World) -> None:
        only = WriteConditions(if_none_match="*")
        results = await asyncio.gather(
            *(world.put("key", f"text {n}", conditions=only) for n in range(20)), return_exceptions=True
        )
        assert [type(result) for result in results].count(PreconditionFailed) == 19
        with pytest.raises(ObjectNotFound):
            await world.put("absent", "x", conditions=WriteConditions(if_match="*"))

    async def test_a_refused_write_changes_nothing(self, world: World) -> None:
        await world.put("key", "old")
        with pytest.raises(PreconditionFailed):
            await world.put("key", "new", conditions=WriteConditions(if_match='"no"'))
        stale = Claim((await world.seen()).generation - 1, 0)
        with pytest.raises(MountsChanged):
            await world.catalog.write(objects.put_object, world.new("key", "new"), world.blocks("new"), stale)
        found = await world.catalog.find(objects.find_object(world.bucket.id, "key"))
        assert found is not None and found.content.digest == digest("old")
        assert await world.catalog.scan(blobs.states, 1, "default", [digest("new")]) == {}

    async def test_the_collector_and_claims_see_each_other(self, world: World) -> None:
        catalog = world.catalog
        await world.put("key", "text")
        mark = Garbage(1, "default", bytes.fromhex(digest("text")), 0)
        assert await catalog.write(blobs.mark_dying, [mark]) == [], "it is named"
        seen = await world.seen()
        await catalog.write(objects.delete_object, world.bucket, Removal("key"), 2000, seen.generation)
        assert await world.garbage() == [digest("text")]
        assert await catalog.write(blobs.mark_dying, [mark]) == [mark]
        for attempt in (seen, await world.seen()):  # it is dying, whatever epoch was seen
            with pytest.raises(ClaimLost):
                await catalog.write(objects.put_object, world.new("k", "text"), world.blocks("text"), attempt)
        await catalog.write(blobs.forget, [mark])
        with pytest.raises(ClaimLost):  # stored before the marking, perhaps deleted since
            await catalog.write(objects.put_object, world.new("k", "text"), world.blocks("text"), seen)
        await world.put("k", "text")

    async def test_blocks_of_a_manifest_are_found_by_range(self, world: World) -> None:
        texts = ["aaaa", "bbbb", "cc"]
        await world.put("key", *texts)
        found = await world.catalog.find(objects.find_object(world.bucket.id, "key"))
        assert found is not None and found.content.manifest_id is not None
        for start, stop, expected in [
            (0, 10, texts),
            (3, 5, texts[:2]),
            (4, 8, ["bbbb"]),
            (9, 10, ["cc"]),
            (0, 1, ["aaaa"]),
        ]:
            page = await world.catalog.read(blobs.blocks_between, found.content.manifest_id, start, stop, 64)
            assert [each.digest for each in page] == [digest(text) for text in expected]

    async def test_a_copied_manifest_outlives_its_first_name(self, world: World) -> None:
        catalog = world.catalog
        await world.put("first", "aaaa", "bb")
        source = await catalog.find(objects.find_object(world.bucket.id, "first"))
        assert source is not None
        generation = (await world.seen()).generation
        new = replace(world.new("copy"), content=source.content)
        await catalog.write(objects.copy_object, new, source, generation)
        await catalog.write(objects.delete_object, world.bucket, Removal("first"), 2000, generation)
        (manifest,) = await catalog.scan(blobs.dead_manifests, 10**15, 10)
        assert await catalog.write(blobs.dissolve_manifest, manifest, 1000)
        assert len(await catalog.read(blobs.blocks_between, manifest, 0, 6, 64)) == 2
        await catalog.write(objects.delete_object, world.bucket, Removal("copy"), 2000, generation)
        while not await catalog.write(blobs.dissolve_manifest, manifest, 1):
            pass
        assert await world.garbage() == sorted([digest("aaaa"), digest("bb")])

    async def test_a_copy_of_what_lies_elsewhere_by_now_is_refused(self, world: World) -> None:
        """Moved or written anew, it may have the same digest; the bytes where it was seen may be collected."""
        catalog = world.catalog
        await world.put("key", "text")
        source = await catalog.find(objects.find_object(world.bucket.id, "key"))
        assert source is not None
        seen = await world.seen()
        await catalog.write(objects.delete_object, world.bucket, Removal("key"), 2000, seen.generation)
        elsewhere = replace(world.new("key", "text"), content=Content(1, "another", 4))
        again = await catalog.write(objects.put_object, elsewhere, world.blocks("text"), seen)
        assert (again.version, again.etag, again.content.digest) == (source.version, source.etag, source.content.digest)
        with pytest.raises(Conflict):
            new = replace(world.new("copy"), content=source.content)
            await catalog.write(objects.copy_object, new, source, seen.generation)

    async def test_complete_and_abort_have_one_winner(self, world: World) -> None:
        catalog, generation = world.catalog, (await world.seen()).generation
        for _ in range(5):
            upload = Upload("u", world.bucket.id, "key", 1, "alice", 1, "default", Attributes(), None, None)
            await catalog.write(uploads.create_upload, upload, generation)
            part = Part(1, Content(1, "default", 4), "e", 1, CHECKSUM)
            part = await catalog.write(
                uploads.put_part, world.bucket, "u", part, [block("part")], await world.seen(), 1
            )
            new = replace(world.new("key"), content=Content(1, "default", 4), parts=1, layout="[[1,4,null]]")
            results = await asyncio.gather(
                catalog.write(uploads.complete_upload, upload, new, [part], generation),
                catalog.write(uploads.abort_upload, "u", 1),
                return_exceptions=True,
            )
            assert [isinstance(result, UploadNotFound) for result in results].count(True) == 1
            await catalog.write(uploads.forget_completed, 10**15)

    async def test_preludes_are_done_once_for_a_group_and_before_it_commits(self, world: World) -> None:
        catalog, done = world.catalog, list[list[int]]()

        def act(items: list[int]) -> None:
            done.append(items)
            if 13 in items:
                raise OSError("unlucky")

        def note(item: int) -> Program[int]:
            assert not any(item in items for items in done)
            yield Prelude(act, item)
            yield "UPDATE meta SET value = value + 1 WHERE name = 'generation'", ()
            return item

        before = await catalog.find(config.GENERATION)
        assert await catalog.write(note, 1) == 1
        with pytest.raises(OSError, match="unlucky"):
            await catalog.write(note, 13)
        assert await catalog.find(config.GENERATION) == before + 1
        assert await asyncio.gather(*(catalog.write(note, n) for n in range(20, 60))) == [*range(20, 60)]
        assert sorted(item for items in done for item in items) == [1, 13, *range(20, 60)]
        assert len(done) < 10

    async def test_a_prelude_that_fails_undoes_its_programs_and_no_others(self, world: World) -> None:
        def act(items: list[int]) -> None:
            raise OSError("unlucky")

        def bump(unlucky: bool) -> Program[None]:
            if unlucky:
                yield Prelude(act, 1)
            yield "UPDATE meta SET value = value + 1 WHERE name = 'generation'", ()

        before = await world.catalog.find(config.GENERATION)
        results = await asyncio.gather(
            *(world.catalog.write(bump, n % 3 == 0) for n in range(12)), return_exceptions=True
        )
        assert [isinstance(result, OSError) for result in results] == [n % 3 == 0 for n in range(12)]
        assert await world.catalog.find(config.GENERATION) == before + 8

    async def test_what_is_refused_because_of_a_lost_write_gets_another_chance(self, world: World) -> None:
        def act(items: list[int]) -> None:
            raise OSError("unlucky")

        def take(unlucky: bool) -> Program[bool]:
            if (yield "SELECT 1 FROM meta WHERE name = 'taken'", ()):
                raise LookupError("taken")
            if unlucky:
                yield Prelude(act, 1)
            yield "INSERT INTO meta (name, value) VALUES ('taken', 1)", ()
            return unlucky

        results = await asyncio.gather(*(world.catalog.write(take, n == 0) for n in range(3)), return_exceptions=True)
        assert isinstance(results[0], OSError) and results[1] is False and isinstance(results[2], LookupError)
