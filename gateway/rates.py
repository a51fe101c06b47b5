"""How many requests a tenant may make: a bucket of tokens in each worker, of the worker's share.

Workers share nothing on the way of a request. Each lets pass its part of the tenant's rate, with a burst of what comes
together in a second, so that all of them never let pass more than the rate for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.errors import TooManyRequests
from gateway.types import Principal

MAX_TENANTS = 10_000


class Rates:
    """Counts the requests of tenants that have a limit; admins are not counted, so that they can lift it."""

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}
        """Tokens left, and when that was."""

    def take(self, caller: Principal) -> None:
        """Count a request. Raises TooManyRequests."""
        if caller.rate is None or caller.is_admin:
            return
        share = caller.rate / self._workers
        most = max(1.0, share)
        now = self._clock()
        if len(self._levels) >= MAX_TENANTS and caller.tenant not in self._levels:
            self._levels.clear()
        left, since = self._levels.get(caller.tenant, (most, now))
        left = min(most, left + (now - since) * share)
        if left < 1:
            self._levels[caller.tenant] = left, now
            raise TooManyRequests((1 - left) / share)
        self._levels[caller.tenant] = left - 1, now
