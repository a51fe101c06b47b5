"""Native stores of clouds through a bad network: the contract holds, nothing acknowledged is lost, no byte is wrong."""

from __future__ import annotations

import asyncio
import os
import random
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from backends.base import StoreError, StoreUnavailable
from backends.native import ABSENT, ANYTHING, Expected, NativeStore, StateChanged
from backends.remote_native import NativeBucket, RemoteNative
from backends.retrying import Retries
from tests.contracts.native_store import MIB, PLAIN, SAID, NativeStoreContract, chunks, content, put, shown
from tests.e2e.harness import unique
from tests.faults import STATUSES, WEIGHTS, Faults, proxy

STUBBORN = Retries(attempts=20, patience=60, base=0.002, cap=0.05)
"""So that bad luck alone fails no test."""


@dataclass(frozen=True)
class Cloud:
    """A service, a way to it through a proxy, and how its native store is made."""

    direct: dict[str, str]
    faulty: dict[str, str]
    bucket: Callable[[dict[str, str]], NativeBucket]
    faults: Faults

    def store(self, retries: Retries = STUBBORN, timeout: float = 0.7) -> RemoteNative:
        config = {**self.faulty, "timeout": str(timeout)}
        return RemoteNative(self.bucket(config), f"{config['prefix']}/", timeout=timeout, retries=retries)

    def plain(self) -> RemoteNative:
        return RemoteNative(self.bucket(self.direct), f"{self.direct['prefix']}/", timeout=10)


def _s3(config: dict[str, str]) -> NativeBucket:
    from backends.s3_native import S3Native

    return S3Native(config)


def _gcs(config: dict[str, str]) -> NativeBucket:
    from tests.faithful_gcs import faithful

    return faithful(config, sessions=True)


def _azure(config: dict[str, str]) -> NativeBucket:
    from backends.azure_client import AzureClient
    from backends.azure_native import AzureNative

    return AzureNative(AzureClient(config))


CLOUDS: dict[str, tuple[str, str, Callable[[dict[str, str]], NativeBucket]]] = {
    "s3": ("moto", "endpoint_url", _s3),
    "gcs": ("fake_gcs", "endpoint", _gcs),
    "azure": ("azurite", "account_url", _azure),
}


@pytest.fixture(params=list(CLOUDS))
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    service, address, bucket = CLOUDS[request.param]
    direct = {**request.getfixturevalue(service), "prefix": unique("native")}
    faults = Faults(rate=0.15, seed=zlib.crc32(request.node.name.encode()))
    with proxy(direct[address], faults) as url:
        yield Cloud(direct, {**direct, address: url}, bucket, faults)


class TestContract(NativeStoreContract):
    """The whole contract, while one request in seven goes wrong."""

    @pytest.fixture
    async def store(self, cloud: Cloud) -> AsyncIterator[NativeStore]:
        store = cloud.store()
        yield store
        await store.close()

    async def test_nothing_is_there_at_first(self, store: NativeStore) -> None:
        """A probe is one attempt, so that it tells the truth about one."""
        assert await store.find("a") is None
        assert await shown(store) == []

    test_a_key_is_held_or_refused_never_changed = None
    """Asked of the service itself, elsewhere."""


async def test_no_acknowledged_change_is_lost_and_no_byte_is_wrong(cloud: Cloud) -> None:
    """Lives of keys with few attempts each, some of which fail; then the truth, without faults."""
    cloud.faults.rate = 0.5
    chance = random.Random(7)
    store = cloud.store(Retries(3, 10, 0.002, 0.01))
    truth: dict[str, set[bytes | None]] = {}
    failed = 0

    async def live(key: str) -> None:
        nonlocal failed
        for _ in range(3):
            new = os.urandom(chance.choice([1, 1000, 70_000])) if chance.random() < 0.9 else os.urandom(9 * MIB)
            possible = truth.setdefault(key, {None})
            try:
                if chance.random() < 0.25:
                    possible.add(None)
                    await store.delete(key)
                    truth[key] = {None}
                    continue
                found = await store.find(key)
                expected = chance.choice([ANYTHING, ABSENT if found is None else Expected(state=found.entry.state)])
                possible.add(new)
                made = await store.write(key, chunks(new[:10], new[10:]), PLAIN, expected)
                truth[key] = {new}
                seen = await store.find(key)
                assert seen is not None
                # A second may have passed between a write and the answer that tells its time.
                assert abs(seen.entry.modified_at - made.entry.modified_at) <= 1000
                assert seen == replace(made, entry=replace(made.entry, modified_at=seen.entry.modified_at))
                assert await content(store, key) == new
            except StateChanged:
                # Somebody wrote: it can only have been one of us, whose answer was lost.
                failed += 1
            except StoreError:
                failed += 1

    await asyncio.gather(*(live(f"key-{number}") for number in range(20)))
    await store.close()
    assert failed, "the faults were too few to try anything"
    plain = cloud.plain()
    for key, possible in truth.items():
        there = await content(plain, key) if await plain.find(key) is not None else None
        assert there in possible, key
    await plain.close()


@pytest.mark.parametrize("fault", sorted(set(WEIGHTS) - {"slow", "cut answer"}))
async def test_what_never_gets_better_is_told(cloud: Cloud, fault: str) -> None:
    plain = cloud.plain()
    made = await put(plain, "a", b"hello")
    cloud.faults.rate, cloud.faults.weights = 1.0, {fault: 1}
    store = cloud.store(Retries(2, 10, 0.002, 0.01), timeout=0.3)
    told = str(STATUSES[fault]) if fault in STATUSES else "cannot be reached or broke off"
    for operation in (
        lambda: store.find("a"),
        lambda: content(store, "a"),
        lambda: store.list("", "", "", 10),
        lambda: put(store, "b"),
        lambda: store.write("c", chunks(b"x" * 9 * MIB), PLAIN),
        lambda: store.describe("a", SAID, made.entry.state),
        lambda: store.delete("a", "0.0"),
    ):
        with pytest.raises(StoreUnavailable, match=told):
            await operation()
    await store.close()
    assert await content(plain, "a") == b"hello"
    await plain.close()


async def test_a_body_goes_on_where_it_broke_off(cloud: Cloud) -> None:
    whole = os.urandom(8 * MIB)
    plain = cloud.plain()
    await put(plain, "a", whole)
    await plain.close()
    cloud.faults.rate, cloud.faults.weights = 0.75, {"cut answer": 1}
    store = cloud.store()
    for _ in range(3):
        assert await content(store, "a") == whole
    assert cloud.faults.met["cut answer"]
    await store.close()


@pytest.mark.parametrize("size", [1, 9 * MIB])
@pytest.mark.parametrize("expected", ["anything", "absent", "state"])
async def test_a_write_whose_answer_was_lost_is_told_from_one_that_was_not_made(
    cloud: Cloud, size: int, expected: str
) -> None:
    plain = cloud.plain()
    cloud.faults.rate = 0.0
    wanted = ABSENT if expected == "absent" else ANYTHING
    if expected == "state":
        wanted = Expected(state=(await put(plain, "a", b"old")).entry.state)
    store = cloud.store()

    async def body() -> AsyncIterator[bytes]:
        yield b"n" * size
        cloud.faults.rate, cloud.faults.weights = 0.5, {"lost answer": 1}

    made = await store.write("a", body(), PLAIN, wanted)
    cloud.faults.rate = 0.0
    assert await plain.find("a") == made
    with pytest.raises(StateChanged):
        await put(store, "a", b"x", Expected(state="0.0"))
    await store.close()
    await plain.close()
