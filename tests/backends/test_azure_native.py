"""A container of Azure as it stands, against Azurite: the contract, and what only Azure does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backends import azure_native, registry
from backends.azure_client import AzureClient
from backends.azure_said import said_of, sent_of
from backends.base import ByteRange, StoreMisconfigured, StoreUnavailable
from backends.bookmarks import Bookmarks
from backends.header_text import from_header, to_header
from backends.http import HttpBody
from backends.native import ABSENT, Expected, KeyRefused, NativeAttributes, NativeStore, StateChanged
from backends.ordered_md5 import OrderedMd5
from tests import services
from tests.contracts.native_store import PLAIN, SAID, NativeStoreContract, chunks, content, put, shown
from tests.e2e.harness import unique
from tests.faults import Faults, proxy

MIB = 1024 * 1024


def opened(config: dict[str, str]) -> NativeStore:
    store = registry.open_native("azure", {**config, "layout": "native"})
    assert store is not None
    return store


@pytest.fixture
def config(azurite: dict[str, str]) -> dict[str, str]:
    return {**azurite, "prefix": unique("native")}


@pytest.fixture
async def store(config: dict[str, str]) -> AsyncIterator[NativeStore]:
    native = opened(config)
    yield native
    await native.close()


class TestAzurite(NativeStoreContract):
    pass


class TestWithoutPrefix(NativeStoreContract):
    """A container of its own, served from its root."""

    @pytest.fixture
    async def store(self, azurite: dict[str, str]) -> AsyncIterator[NativeStore]:
        name = unique("container")
        services.azure_client(azurite["account_url"]).create_container(name)
        native = opened({**azurite, "container": name})
        yield native
        await native.close()


def container(config: dict[str, str]):  # type: ignore[no-untyped-def]
    return services.azure_client(config["account_url"]).get_container_client(config["container"])


async def test_azures_own_client_sees_the_same(store: NativeStore, config: dict[str, str]) -> None:
    whole = os.urandom(17 * MIB + 3)
    said = NativeAttributes("text/x", {"CacheControl": "no-cache", "Expires": "0"}, {"a": "ü", "b-c": "d"})
    made = await store.write("dir/ü +%2F", chunks(whole), said)
    assert made.entry.etag == hashlib.md5(whole).hexdigest()
    blob = container(config).get_blob_client(f"{config['prefix']}/dir/ü +%2F")
    assert blob.download_blob().readall() == whole
    told = blob.get_blob_properties()
    assert (told.content_settings.content_type, told.content_settings.cache_control) == ("text/x", "no-cache")
    assert set(told.metadata) == {"a", "x_nexus_b_2dc", "x_nexus__header_expires"}
    found = await store.find("dir/ü +%2F")
    assert found == made and found.attributes == said


async def test_what_azures_own_client_writes_is_served(store: NativeStore, config: dict[str, str]) -> None:
    blob = container(config).get_blob_client(f"{config['prefix']}/theirs")
    blob.upload_blob(b"", overwrite=True)
    blob.stage_block("YQ==", b"one ")
    blob.stage_block("Yg==", b"two")
    blob.commit_block_list(["YQ==", "Yg=="], metadata={"Author": "x"})
    found = await store.find("theirs")
    assert found is not None and found.attributes.metadata == {"author": "x"}
    assert found.entry.etag == f"{found.entry.state}-1", "blocks of others have no MD5"
    assert (await store.list("", "", "", 9)).entries == [found.entry]
    assert await content(store, "theirs") == b"one two"
    described = await store.describe("theirs", SAID, found.entry.state)
    assert described.entry.etag.endswith("-1") and described.attributes == SAID


async def test_describing_keeps_the_md5(store: NativeStore) -> None:
    made = await put(store, "a", b"hello")
    for said in (SAID, NativeAttributes("text/plain", {}, SAID.metadata), PLAIN):
        made = await store.describe("a", said, made.entry.state)
        assert made == await store.find("a")
        assert (made.entry.etag, made.attributes) == (hashlib.md5(b"hello").hexdigest(), said)


@pytest.mark.parametrize("overtaken", [False, True])
async def test_a_second_step_whose_answer_was_lost_is_looked_for(
    store: NativeStore, config: dict[str, str], monkeypatch: pytest.MonkeyPatch, overtaken: bool
) -> None:
    """It was made, which must not be told as somebody else's change; what somebody else wrote since must be."""
    say, lost = azure_native.AzureNative._changing, []
    blob = services.azure_client(config["account_url"]).get_blob_client("blobs", f"{config['prefix']}/a")

    @contextmanager
    def losing(bucket: azure_native.AzureNative, *call: Any, **more: Any) -> Iterator[Any]:
        with say(bucket, *call, **more) as answer:
            if {"comp": "properties"} in call and not lost:
                lost.append(call)
                if overtaken:
                    blob.upload_blob(b"theirs", overwrite=True)
                raise StoreUnavailable("the answer was lost")
            yield answer

    made = await put(store, "a", b"hello")
    monkeypatch.setattr(azure_native.AzureNative, "_changing", losing)
    if overtaken:
        with pytest.raises(StateChanged):
            await store.describe("a", SAID, made.entry.state)
        assert await content(store, "a") == b"theirs"
    else:
        described = await store.describe("a", SAID, made.entry.state)
        assert described.attributes == SAID and described == await store.find("a")
    assert lost


async def test_of_many_long_bodies_for_a_free_key_one_wins(store: NativeStore) -> None:
    bodies = [bytes([number]) * (9 * MIB) for number in range(3)]
    outcomes = await asyncio.gather(*(put(store, "a", body, ABSENT) for body in bodies), return_exceptions=True)
    won = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    assert len(won) == 1
    assert await content(store, "a") == bodies[won[0]]


@pytest.mark.parametrize("key", ["a/..", "../a", ".", "a./b", "a.", "a\\b", "x" * 1025, "a/" * 255 + "b"])
async def test_names_that_azure_would_change_are_refused(store: NativeStore, key: str) -> None:
    with pytest.raises(KeyRefused):
        await put(store, key)
    assert await store.find(key) is None
    await store.delete(key)


@pytest.mark.parametrize(
    "said",
    [
        NativeAttributes(headers={"ContentDisposition": "ü"}),
        NativeAttributes(headers={"Odd": "x"}),
        NativeAttributes(content_type="a\r\nb"),
        NativeAttributes(metadata={"a": "x" * 9000}),
        NativeAttributes(metadata={"": "x"}),
    ],
)
async def test_what_azure_cannot_hold_is_refused(store: NativeStore, said: NativeAttributes) -> None:
    with pytest.raises(KeyRefused):
        await store.write("a", chunks(b"x"), said)
    assert await shown(store) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"a-b": "1", "a_b": "2", "x_nexus_a": "3", "1": "4", "a.b!": "5"},
        {"v": "", "w": " padded ", "x": "=?UTF-8?B?YQ==?=", "y": "日本語 🎈", "z": "line\nbreak"},
    ],
)
async def test_metadata_of_any_kind_comes_back(store: NativeStore, metadata: dict[str, str]) -> None:
    said = NativeAttributes("text/plain", {}, metadata)
    assert said_of(sent_of(said) | {"content-type": "text/plain"}) == said
    await store.write("a", chunks(b"x"), said)
    found = await store.find("a")
    assert found is not None and found.attributes == said


def test_text_in_headers_comes_back_and_others_is_left_alone() -> None:
    for text in ("", "plain", " ", "ü", "=?utf-8?b?YQ==?=", "\x7f"):
        assert to_header(text).isprintable() and from_header(to_header(text)) == text
    for foreign in ("=?UTF-8?Q?a?=", "=?UTF-8?B?/w==?=", "=?UTF-8?B?a?="):
        assert from_header(foreign) == foreign


# -- listing


async def test_going_on_is_one_short_request_a_page(config: dict[str, str], azurite: dict[str, str]) -> None:
    faults = Faults()
    with proxy(azurite["account_url"], faults) as url:
        store = opened({**config, "account_url": url})
        for number in range(7):
            await put(store, f"k{number}/x")
        for delimiter in ("", "/"):
            faults.heads.clear()
            assert len(await shown(store, delimiter=delimiter, size=2)) == 7
            assert len(faults.heads) == 4
            assert all(b"maxresults=2" in head for head in faults.heads)
        await store.close()


async def test_a_listing_begun_elsewhere_walks_there(store: NativeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_native, "WALK", 2)
    for number in range(9):
        await put(store, f"k{number}")
    page = await store.list("", "", "k5x", 2)
    assert ([entry.key for entry in page.entries], page.last) == (["k6", "k7"], "k7") or page.last == "k6"
    assert await shown(store, after="k3", size=2) == [f"k{number}" for number in range(4, 9)]


def test_bookmarks_are_bounded_and_the_nearest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.bookmarks.PLACES", 4)
    monkeypatch.setattr("backends.bookmarks.LISTINGS", 2)
    marks = Bookmarks()
    for name in "gaceb":
        marks.keep(("", ""), name, name.upper())
    assert marks.nearest(("", ""), "0") == ("", "")
    assert marks.nearest(("", ""), "a") == ("a", "A")
    assert marks.nearest(("", ""), "zz")[0] == "g"
    marks.keep(("", "/"), "x", "1")
    marks.keep(("p", ""), "x", "2")
    assert marks.nearest(("", ""), "a") == ("", ""), "the longest unused listing is forgotten"


async def test_parts_are_hashed_in_order() -> None:
    md5 = OrderedMd5()
    await asyncio.gather(*(asyncio.to_thread(md5.take, number, b"%d" % number) for number in (2, 1, 3, 0, 0, 2)))
    assert (md5.digest(), md5.size) == (hashlib.md5(b"0123").digest(), 4)


# -- what goes wrong


async def test_a_lost_answer_to_a_change_is_looked_up(config: dict[str, str], azurite: dict[str, str]) -> None:
    """Half of all answers get lost: what is acknowledged is there, once, and creators do not hear of themselves."""
    faults = Faults(rate=0.4, seed=5, weights={"lost answer": 1, "throttled": 1, "cut answer": 1, "cut request": 1})
    plain = opened(config)
    with proxy(azurite["account_url"], faults) as url:
        store = opened({**config, "account_url": url, "timeout": "2"})
        for number in range(12):
            body = os.urandom(9 * MIB if number % 4 == 0 else 1000)
            try:
                made = await store.write(f"k{number}", chunks(body), SAID, ABSENT)
                assert await content(store, f"k{number}") == body
            except StoreUnavailable:
                continue
            found = await plain.find(f"k{number}")
            assert found == made and await content(plain, f"k{number}") == body
            if number % 3 == 0:
                await store.delete(f"k{number}", made.entry.state)
                assert await plain.find(f"k{number}") is None
        await store.close()
    assert faults.met["lost answer"]
    await plain.close()


async def test_a_body_that_breaks_off_is_never_mixed(store: NativeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await put(store, "a", b"1" * 3 * MIB)
    reading = aiter(store.read("a", ByteRange(0, 3 * MIB), made.entry.state))
    assert set(await anext(reading)) == {ord("1")}
    await put(store, "a", b"2" * 3 * MIB)

    def broken(body: HttpBody, amount: int) -> bytes:
        raise StoreUnavailable("broke off")

    monkeypatch.setattr(HttpBody, "read", broken)
    with pytest.raises(StateChanged):
        await anext(reading)


async def test_what_is_wrong_is_said(azurite: dict[str, str]) -> None:
    for wrong, message in [
        ({"container": "nonesuch"}, "there is no container 'nonesuch' at http"),
        ({"account_key": base64.b64encode(b"k").decode()}, "refuses access .AuthorizationFailure.: the credentials"),
    ]:
        store = opened({**azurite, **wrong})
        for attempt in (store.probe(), store.find("a"), put(store, "a"), store.list("", "", "", 1), store.delete("a")):
            with pytest.raises(StoreMisconfigured, match=message):
                await attempt
        await store.close()


async def test_a_signature_that_may_only_read_reads(store: NativeStore, config: dict[str, str]) -> None:
    from tests.backends.test_azure import sas

    made = await put(store, "a", b"hello")
    bare = {name: value for name, value in config.items() if name != "account_key"}
    reader = opened({**bare, "sas": sas(config, read=True, list=True)})
    await reader.probe()
    assert await reader.find("a") == made and await content(reader, "a") == b"hello"
    refused = [
        put(reader, "b"),
        put(reader, "b", b"x" * 9 * MIB),
        put(reader, "b", b"x", Expected(state=made.entry.state)),
        reader.describe("a", SAID, made.entry.state),
    ]
    for change in refused:
        with pytest.raises(StoreMisconfigured, match="need the permission to write blobs of the container 'blobs'"):
            await change
    with pytest.raises(StoreMisconfigured, match="need the permission to delete blobs"):
        await reader.delete("a")
    assert await shown(store) == ["a"]
    await reader.close()


def test_a_container_in_another_order_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.base import StoreRefused

    bucket = azure_native.AzureNative(AzureClient({"account_url": "http://h", "account_key": "a2V5", "container": "c"}))
    pages = {"": ({"a/b": None}, "1"), "1": ({"a-b": None}, "")}
    monkeypatch.setattr(bucket, "_ask", lambda prefix, delimiter, marker, size: pages[marker])
    bucket.page("", "", "", 1)
    with pytest.raises(StoreRefused, match="hierarchical"):
        bucket.page("", "", "a/b", 1)
