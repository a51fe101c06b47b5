"""When to try again, how often, and how long to wait: one policy for every store behind a network."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from backends.base import StoreError, StoreUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retries:
    """At most ``attempts`` calls, the last begun within ``patience`` seconds of the first.

    Waits grow twofold from ``base`` to ``cap`` seconds and are drawn at random below that (full jitter), so that
    many callers of a store in distress do not come back all at once. A store that names a time is given it.
    """

    attempts: int = 6
    patience: float = 30.0
    base: float = 0.1
    cap: float = 5.0

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of the first attempt that succeeds; only for what may be done twice.

        Raises StoreUnavailable when time or attempts have run out, any other StoreError at once.
        """
        retrying = self.start()
        while True:
            try:
                return await attempt()
            except StoreError as error:
                await retrying.wait(error)

    def start(self) -> Retrying:
        return Retrying(self, time.monotonic() + self.patience)


@dataclass(slots=True)
class Retrying:
    """The retries of one call."""

    policy: Retries
    deadline: float
    failures: int = 0

    async def wait(self, error: StoreError) -> None:
        """Sleep until the next attempt; raises the error when there shall be none."""
        self.failures += 1
        if not isinstance(error, StoreUnavailable) or self.failures >= self.policy.attempts:
            raise error
        pause = error.retry_after + random.uniform(0, min(self.policy.cap, self.policy.base * 2**self.failures))
        if time.monotonic() + pause >= self.deadline:
            raise error
        await asyncio.sleep(pause)

    def progressed(self) -> None:
        """Something was had since the last failure: what comes now is a new trouble."""
        self.failures = 0
        self.deadline = time.monotonic() + self.policy.patience
