"""When something is tried again, and when it is not."""

from __future__ import annotations

import asyncio
import time

import pytest

from backends.base import StoreError, StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.retrying import Retries

QUICK = Retries(attempts=4, patience=5, base=0.001, cap=0.002)


class Failing:
    """Fails as told, then succeeds."""

    def __init__(self, *errors: StoreError) -> None:
        self._errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


async def test_what_may_pass_is_tried_again() -> None:
    attempt = Failing(*[StoreUnavailable("busy")] * 3)
    assert await QUICK.call(attempt) == "done"
    assert attempt.calls == 4


async def test_attempts_have_an_end() -> None:
    attempt = Failing(*[StoreUnavailable("busy")] * 9)
    with pytest.raises(StoreUnavailable):
        await QUICK.call(attempt)
    assert attempt.calls == 4


@pytest.mark.parametrize(
    "error", [StoreFull("full"), StoreRefused("no"), StoreMisconfigured("wrong"), StoreError("odd")]
)
async def test_what_does_not_pass_is_told_at_once(error: StoreError) -> None:
    attempt = Failing(error)
    with pytest.raises(type(error)):
        await QUICK.call(attempt)
    assert attempt.calls == 1


async def test_patience_has_an_end_before_attempts_have() -> None:
    attempt = Failing(*[StoreUnavailable("busy", retry_after=20)] * 9)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await QUICK.call(attempt)
    assert attempt.calls == 1
    assert time.monotonic() - started < 1


async def test_a_store_that_names_a_time_is_given_it() -> None:
    started = time.monotonic()
    assert await QUICK.call(Failing(StoreUnavailable("busy", retry_after=0.1))) == "done"
    assert time.monotonic() - started >= 0.1


async def test_waits_are_drawn_at_random_and_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    for _ in range(200):
        await Retries(attempts=6, patience=1000, base=1, cap=8).call(Failing(*[StoreUnavailable("busy")] * 5))
    for step, most in enumerate([2, 4, 8, 8, 8]):
        drawn = waits[step::5]
        assert max(drawn) <= most
        assert max(drawn) - min(drawn) > most / 2
