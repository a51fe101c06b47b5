"""The breaker opens when a store gives no sign of life, lets hanging calls go, and closes when a probe succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from backends.base import BlobName, StoreMisconfigured, StoreUnavailable
from backends.memory import MemoryStore
from gateway.guard import DEGRADED, OK, OPEN, Guard, StoreAway
from gateway.guarded import GuardedStore
from tests.contracts.blob_store import BlobStoreContract

DEADLINE = 0.03


class Service:
    """A store that is as it is told to be."""

    def __init__(self) -> None:
        self.probe_error: Exception | None = None
        self.hangs = False
        self.probes = 0

    async def probe(self) -> None:
        self.probes += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.probe_error is not None:
            raise self.probe_error

    async def call(self, error: Exception | None = None) -> str:
        if self.hangs:
            await asyncio.sleep(60)
        if error is not None:
            raise error
        return "done"


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def guard(service: Service) -> AsyncIterator[Guard]:
    made = Guard(service.probe, deadline=DEADLINE, secrets=["s3cr3t"])
    yield made
    await made.close()


async def until(guard: Guard, state: str) -> None:
    async with asyncio.timeout(5):
        while guard.health().state != state:  # noqa: ASYNC110  (nobody tells of it)
            await asyncio.sleep(0.005)


async def test_a_store_that_hangs_is_given_up_and_found_again(service: Service, guard: Guard) -> None:
    service.hangs = True
    for error in await asyncio.gather(*(guard.call(service.call) for _ in range(20)), return_exceptions=True):
        assert isinstance(error, StoreAway)
    assert guard.health().state == OPEN
    with pytest.raises(StoreAway) as refusal:
        await guard.call(service.call)
    assert 1 <= refusal.value.retry_after <= 2
    service.hangs = False
    await until(guard, OK if not guard.health().last_error else DEGRADED)
    assert await guard.call(service.call) == "done"
    assert guard.health().state == OK
    assert "within 0.03 seconds" in guard.health().last_error


async def test_a_slow_call_is_left_alone_while_probes_are_answered(service: Service, guard: Guard) -> None:
    async def slow() -> str:
        await asyncio.sleep(DEADLINE * 4)
        return "at last"

    assert await guard.call(slow) == "at last"
    assert service.probes >= 1
    assert guard.health().state == OK


async def test_one_failure_asks_the_store(service: Service, guard: Guard) -> None:
    service.probe_error = StoreUnavailable("away, too")
    with pytest.raises(StoreUnavailable, match="reset"):
        await guard.call(service.call, StoreUnavailable("reset s3cr3t https://x/y?sig=abc"))
    assert "s3cr3t" not in guard.health().last_error and "abc" not in guard.health().last_error
    await until(guard, OPEN)


async def test_failures_of_a_store_that_answers_probes_open_it_after_some(service: Service, guard: Guard) -> None:
    for _ in range(4):
        with pytest.raises(StoreUnavailable, match="throttled"):
            await guard.call(service.call, StoreUnavailable("throttled", 7))
    await asyncio.sleep(0.01)
    assert guard.health().state == DEGRADED
    with pytest.raises(StoreUnavailable, match="throttled"):
        await guard.call(service.call, StoreUnavailable("throttled", 7))
    assert guard.health().state == OPEN
    assert guard.health().retry_after == 7


async def test_wrong_credentials_are_told_and_break_nothing(service: Service, guard: Guard) -> None:
    service.probe_error = wrong = StoreMisconfigured("the key is wrong")
    for _ in range(9):
        with pytest.raises(StoreMisconfigured):
            await guard.call(service.call, wrong)
    assert guard.health().state == DEGRADED
    assert guard.health().last_error == "the key is wrong"


async def test_a_removal_is_left_to_the_stores_own_deadlines(service: Service, guard: Guard) -> None:
    ended = asyncio.Event()
    removal = asyncio.create_task(guard.call_uncut(ended.wait))
    service.hangs = True
    with pytest.raises(StoreAway):
        await guard.call(service.call)
    assert not removal.done()
    ended.set()
    assert await removal


async def test_a_store_that_is_mounted_no_more_is_not_probed(service: Service, guard: Guard) -> None:
    service.probe_error = StoreUnavailable("away")
    await guard.ask()
    assert guard.health().state == OPEN
    guard.retired, probes = True, service.probes
    await until(guard, DEGRADED)
    assert service.probes == probes


async def test_who_leaves_is_no_failure(service: Service, guard: Guard) -> None:
    service.hangs = True
    leaving = asyncio.create_task(guard.call(service.call))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert guard.health().failures == 0


class TestGuarded(BlobStoreContract):
    """A guarded store is a store."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[GuardedStore]:
        inner = MemoryStore()

        async def probe() -> None:
            await inner.stat(BlobName("default", "0" * 64))

        made = GuardedStore(inner, Guard(probe))
        yield made
        await made.close()
