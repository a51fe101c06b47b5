"""Buckets of S3 services as they stand: the contract, against services that others wrote and our own gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends import s3_native
from backends.base import ByteRange, StoreMisconfigured, StoreRefused
from backends.native import ABSENT, Expected, KeyRefused, NativeAttributes, NativeStore, StateChanged
from backends.registry import open_native
from backends.remote_native import RemoteNative
from backends.s3_client import Unsupported
from backends.s3_native import S3Native
from tests import services
from tests.contracts.native_store import MIB, PLAIN, SAID, NativeStoreContract, broken, chunks, content, put, shown
from tests.e2e.harness import Server, unique


class S3NativeContract(NativeStoreContract):
    @pytest.fixture
    async def store(self, service: dict[str, str]) -> AsyncIterator[NativeStore]:
        store = open_native("s3", {**service, "prefix": unique("native"), "layout": "native"})
        assert store is not None
        yield store
        await store.close()


class TestMoto(S3NativeContract):
    """It looks at a condition and writes in two steps, between which others write: of many creators several may win."""

    test_of_many_creators_one_wins = None

    @pytest.fixture
    def service(self, moto: dict[str, str]) -> dict[str, str]:
        return moto


class TestGateway(S3NativeContract):
    @pytest.fixture
    def service(self, other_gateway: tuple[Server, dict[str, str]]) -> dict[str, str]:
        return other_gateway[1]


class TestVersity(S3NativeContract):
    """Its keys are paths, and what was said of an object's predecessor clings to it: neither is S3."""

    test_writing_replaces_content_and_what_is_said = None
    test_describing_leaves_the_bytes_alone = None
    test_a_key_is_held_or_refused_never_changed = None

    @pytest.fixture
    def service(self, versity: dict[str, str]) -> dict[str, str]:
        return versity


@pytest.fixture
def config(moto: dict[str, str]) -> dict[str, str]:
    return {**moto, "prefix": unique("native")}


def opened(config: dict[str, str]) -> NativeStore:
    store = open_native("s3", {**config, "layout": "native"})
    assert store is not None
    return store


async def test_what_is_wrong_is_said(other_gateway: tuple[Server, dict[str, str]]) -> None:
    server, config = other_gateway
    stranger = server.user(unique("stranger"))
    theirs = {"access_key_id": stranger.access_key, "secret_access_key": stranger.secret_key}
    for wrong, message in [
        ({"bucket": "nonesuch"}, "there is no bucket 'nonesuch' at http"),
        ({"secret_access_key": "x"}, "does not accept the credentials .SignatureDoesNotMatch."),
        (theirs, "the credentials need the permission s3:ListBucket on the bucket 'blobs'"),
    ]:
        store = opened({**config, **wrong})
        with pytest.raises(StoreMisconfigured, match=message):
            await store.probe()
        await store.close()
    store = opened({**config, **theirs})
    for size in (1, 9 * MIB):
        with pytest.raises(StoreMisconfigured, match="need the permission s3:PutObject"):
            await put(store, "a", b"x" * size)
    await store.close()


async def test_what_is_no_object_of_ours_has_no_key(config: dict[str, str]) -> None:
    keys = services.S3Keys(config)
    for key in (f"{config['prefix']}/", f"{config['prefix']}-other", f"{config['prefix']}/a"):
        keys.put(key, b"1")
    store = opened(config)
    assert await shown(store, size=1) == ["a"]
    assert await shown(store, delimiter="/") == ["a"]
    assert await store.find("") is None
    with pytest.raises(KeyRefused):
        await put(store, "../other")
    await store.close()


async def test_uploads_that_are_not_to_be_leave_no_parts(config: dict[str, str]) -> None:
    store = opened(config)
    with pytest.raises(ValueError, match="not what it should be"):
        await store.write("a", broken(*[b"x" * MIB] * 30), PLAIN)
    await put(store, "b", b"1")
    with pytest.raises(StateChanged):
        await put(store, "b", b"2" * 20 * MIB, ABSENT)
    await store.close()
    client = services.s3_client(config["endpoint_url"], config["access_key_id"], config["secret_access_key"])
    assert "Uploads" not in client.list_multipart_uploads(Bucket=config["bucket"], Prefix=config["prefix"])


async def test_what_is_said_of_large_objects_changes_part_by_part(
    config: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_native, "COPIED", 5 * MIB)
    store = opened(config)
    made = await put(store, "a", b"x" * 12 * MIB)
    now = await store.describe("a", SAID, made.entry.state)
    assert now == await store.find("a")
    assert (now.attributes, now.entry.size) == (SAID, 12 * MIB)
    assert await content(store, "a", ByteRange(5 * MIB - 1, 5 * MIB + 1)) == b"xx"
    await store.close()


async def test_attributes_come_back_or_are_refused(config: dict[str, str]) -> None:
    store = opened(config)
    said = NativeAttributes(
        "a/b", {"Expires": "Wed, 21 Oct 2026 07:28:00 GMT"}, {"a": "größer", "b": "=?UTF-8?B?YQ==?="}
    )
    assert (await store.write("a", chunks(b"1"), said)).attributes == said
    for wrong in (
        NativeAttributes("a/b", {"Expires": "0"}),
        NativeAttributes("a/ß"),
        NativeAttributes("a/b", {"Colour": "red"}),
        NativeAttributes("a/b", {}, {"ß": "1"}),
    ):
        with pytest.raises(KeyRefused):
            await store.write("a", chunks(b"2"), wrong)
    assert await content(store, "a") == b"1"
    await store.close()


async def test_a_service_that_knows_no_start_is_listed_all_the_same(config: dict[str, str]) -> None:
    bucket = S3Native(config)
    api, asked = bucket._client.api, bucket._client.api.list_objects_v2
    api.list_objects_v2 = lambda StartAfter="", MaxKeys=2, **options: asked(MaxKeys=min(MaxKeys, 2), **options)
    store = RemoteNative(bucket, f"{config['prefix']}/", timeout=5)
    for key in ("a", "b/c", "b/d", "e", "f"):
        await put(store, key)
    assert await shown(store) == ["a", "b/c", "b/d", "e", "f"]
    assert await shown(store, delimiter="/") == ["a", "b/", "e", "f"]
    assert await shown(store, delimiter="/", after="b/c") == ["e", "f"]
    await store.close()


async def test_conditions_that_a_service_does_not_know_are_refused(
    config: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(config)
    made = await put(store, "a", b"1")

    def older(expected: Expected) -> dict[str, str]:
        if expected != Expected():
            raise Unsupported("NotImplemented")
        return {}

    monkeypatch.setattr(s3_native, "_condition", older)
    await put(store, "a", b"1")
    with pytest.raises(StoreRefused):
        await put(store, "a", b"2", Expected(state=made.entry.state))
    assert await content(store, "a") == b"1"
    await store.close()
