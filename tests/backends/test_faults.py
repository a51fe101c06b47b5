"""Cloud stores through a bad network: no wrong byte, no lost acknowledged write, and errors that say what happened."""

from __future__ import annotations

import asyncio
import os
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from backends.base import BlobName, BlobNotFound, BlobStore, ByteRange, StoreError, StoreUnavailable, read_all
from backends.registry import open_store
from backends.remote import Container, RemoteStore
from backends.retrying import Retries
from tests import services
from tests.contracts.blob_store import RemoteStoreContract, name_of, names_in
from tests.e2e.harness import unique
from tests.faults import STATUSES, WEIGHTS, Faults, proxy

MIB = 1024 * 1024
STUBBORN = Retries(attempts=20, patience=60, base=0.002, cap=0.05)
"""So that bad luck alone fails no test."""


class Stubborn(RemoteStore):
    """Repeats removals, too, as the collector does the next time."""

    async def delete(self, name: BlobName) -> None:
        for _ in range(STUBBORN.attempts):
            with suppress(StoreError):
                await super().delete(name)
                return


@dataclass(frozen=True)
class Cloud:
    """A service, a way to it through a proxy, and how its store is made."""

    backend_type: str
    direct: dict[str, str]
    faulty: dict[str, str]
    container: Callable[[dict[str, str]], Container]
    keys: Callable[[dict[str, str]], services.Keys]
    faults: Faults

    def stubborn(self) -> RemoteStore:
        return Stubborn(self.container(self.faulty), f"{self.faulty['prefix']}/", timeout=1, retries=STUBBORN)


def _s3(config: dict[str, str]) -> Container:
    from backends.s3 import S3Bucket

    return S3Bucket(config)


def _gcs(config: dict[str, str]) -> Container:
    from backends.gcs import GcsBucket

    return GcsBucket(config)


def _azure(config: dict[str, str]) -> Container:
    from backends.azure import AzureContainer

    return AzureContainer(config)


def _webdav(config: dict[str, str]) -> Container:
    from backends.webdav import WebdavFolder

    return WebdavFolder(config)


CLOUDS = {
    "s3": ("moto", "endpoint_url", _s3, services.S3Keys),
    "gcs": ("fake_gcs", "endpoint", _gcs, services.GcsKeys),
    "azure": ("azurite", "account_url", _azure, services.AzureKeys),
    "webdav": ("webdav", "url", _webdav, services.WebdavKeys),
}


@pytest.fixture(params=list(CLOUDS))
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    service, address, container, keys = CLOUDS[request.param]
    direct = {**request.getfixturevalue(service), "prefix": unique("test")}
    faults = Faults(rate=0.15, seed=zlib.crc32(request.node.name.encode()))
    with proxy(direct[address], faults) as url:
        yield Cloud(request.param, direct, {**direct, address: url, "timeout": "0.7"}, container, keys, faults)


class TestContract(RemoteStoreContract):
    """The whole contract, while one request in seven goes wrong."""

    @pytest.fixture
    async def store(self, cloud: Cloud) -> AsyncIterator[BlobStore]:
        store = cloud.stubborn()
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, cloud: Cloud) -> services.Keys:
        return cloud.keys(cloud.direct)

    async def test_it_is_well(self, store: BlobStore) -> None:
        """A probe is one attempt, so that it tells the truth about one."""

    test_what_is_no_name_is_refused = None
    """Nothing is asked of a service then."""

    async def test_many_at_once(self, store: BlobStore) -> None:
        """Fewer than else: an emulator takes its time for a connection per request."""
        contents = [os.urandom(size) for size in (10, 100_000) for _ in range(10)]
        await asyncio.gather(*(store.put(name_of(each), each) for each in contents * 3))
        assert await names_in(store) == {name_of(each) for each in contents}


async def live_at_random(store: RemoteStore, plain: BlobStore, lives: int) -> None:
    """Puts, gets and deletes through faults, some of which fail; then the truth by ``plain``, without faults."""
    chance = random.Random(7)
    contents = [os.urandom(chance.choice([1, 100, 70_000, 2 * MIB])) + bytes([n]) for n in range(lives)]
    kept, failed = set(), 0

    async def live(content: bytes) -> None:
        nonlocal failed
        name = name_of(content)
        for _ in range(2):
            try:
                await store.put(name, content)
                kept.add(name)
                assert await read_all(store, name) == content
                start, stop = sorted((chance.randint(0, len(content)), chance.randint(0, len(content))))
                span = ByteRange(start, stop)
                assert b"".join([chunk async for chunk in store.get(name, span)]) == content[start:stop]
                if content[:1] < b"\x40":
                    kept.discard(name)
                    await store.delete(name)
                    assert await store.stat(name) is None
            except StoreError:
                failed += 1

    await asyncio.gather(*(live(content) for content in contents))
    await store.close()
    assert failed, "the faults were too few to try anything"
    there = await names_in(plain)
    assert kept <= there
    for content in contents:
        if name_of(content) in there:
            assert await read_all(plain, name_of(content)) == content
    await plain.close()


async def test_no_acknowledged_write_is_lost_and_no_byte_is_wrong(cloud: Cloud) -> None:
    cloud.faults.rate = 0.6
    retries = Retries(3, 10, 0.002, 0.01)
    store = RemoteStore(cloud.container(cloud.faulty), f"{cloud.faulty['prefix']}/", timeout=1, retries=retries)
    await live_at_random(store, open_store(cloud.backend_type, cloud.direct), 30)
    assert set(WEIGHTS) <= set(cloud.faults.met), cloud.faults.met


@pytest.mark.parametrize("fault", sorted(set(WEIGHTS) - {"slow"}))
async def test_what_never_gets_better_is_told(cloud: Cloud, fault: str) -> None:
    content = os.urandom(1000)
    plain = open_store(cloud.backend_type, cloud.direct)
    await plain.put(name_of(content), content)
    cloud.faults.rate, cloud.faults.weights = 1.0, {fault: 1}
    hasty = cloud.container({**cloud.faulty, "timeout": "0.3"})
    store = RemoteStore(hasty, f"{cloud.faulty['prefix']}/", timeout=0.3, retries=Retries(2, 10, 0.002, 0.01))
    told = str(STATUSES[fault]) if fault in STATUSES else "cannot be reached or broke off|does not|broke off a body"
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: read_all(store, name_of(content)),
        lambda: names_in(store),
    ]
    if fault != "cut answer":  # there may be nothing to cut in these answers
        operations += [lambda: store.put(name_of(b"new"), b"new"), lambda: store.stat(name_of(content))]
    for operation in operations:
        with pytest.raises(StoreUnavailable, match=told):
            await operation()
    await store.close()
    assert await read_all(plain, name_of(content)) == content
    await plain.close()


async def test_absence_is_no_failure_through_faults(cloud: Cloud) -> None:
    store = cloud.stubborn()
    with pytest.raises(BlobNotFound):
        await read_all(store, name_of(b"absent"))
    assert await store.stat(name_of(b"absent")) is None
    await store.close()


async def test_a_body_goes_on_where_it_broke_off(cloud: Cloud) -> None:
    contents = [os.urandom(8 * MIB) for _ in range(4)]
    plain = open_store(cloud.backend_type, cloud.direct)
    for content in contents:
        await plain.put(name_of(content), content)
    await plain.close()
    cloud.faults.rate, cloud.faults.weights = 0.75, {"cut answer": 1}
    store = cloud.stubborn()
    for content in contents:
        assert await read_all(store, name_of(content)) == content
    assert cloud.faults.met["cut answer"]
    await store.close()
