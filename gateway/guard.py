"""A circuit breaker for each store behind a network: whoever asks a store that is out of order is told so at once.

A call that merely takes long is left alone, for lines are slow and blocks are large: what decides is whether the
store gives a sign of life. Where calls are under way and nothing came back for a while, or where one failed, the
store is *probed*; a probe that fails, or is not answered by the deadline, opens the breaker. Then nothing reaches
the store but probes, after growing pauses, and calls that hang are let go; the first probe that succeeds closes it.
So no request of a user is spent to find out, and a store that hangs holds neither memory nor tasks for long.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from backends.base import StoreError, StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

DEADLINE = 10.0
"""Seconds without a sign of life after which a store is probed, and within which a probe is answered."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Between probes of a store that is out of order."""
LIMIT = 5
"""Calls failing one after another that open the breaker even where probes succeed."""
LONGEST_ERROR = 300

OK, DEGRADED, OPEN, UNUSABLE = "ok", "degraded", "open", "unusable"

log = logging.getLogger("nexus.stores")
_QUERY = re.compile(r"\?\S+")


class StoreAway(StoreUnavailable):
    """The breaker of a store is open: it was not asked."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a store is, as this process knows it."""

    state: str = OK
    retry_after: float = 0.0
    """Seconds until an open breaker lets the next probe through."""
    last_error: str = ""
    last_error_at: int = 0
    """Unix milliseconds."""
    latency: float | None = None
    """Seconds that the last answered probe took; None where none was."""
    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    """That all calls took together."""
    opened: int = 0
    """How often the breaker opened."""


class Guard:
    """The breaker of one store. Used from one event loop; ``probe`` is the store's own, unguarded."""

    def __init__(
        self, probe: Callable[[], Awaitable[None]], *, deadline: float = DEADLINE, secrets: Sequence[str] = ()
    ) -> None:
        self.points: tuple[str, ...] = ()
        """Where the store is mounted, for messages."""
        self.retired = False
        """Whether it is mounted no more, or under another configuration: it is not probed then."""
        self._probe = probe
        self._deadline = deadline
        self._secrets = [secret for secret in secrets if secret]
        self._under_way = 0
        self._cuttable: set[asyncio.Timeout] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._open_until: float | None = None
        self._pause = FIRST_PAUSE
        self._sign = 0.0
        self._row = 0
        self._trouble = False
        self._last_error, self._last_error_at = "", 0
        self._latency: float | None = None
        self._calls = self._failures = self._opened = 0
        self._seconds = 0.0

    # -- calls

    async def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the store. Raises StoreAway, without a call or while one hangs, when the breaker is open."""
        return await self._call(True, function, *args, **kwargs)

    async def call_uncut(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """As ``call``, but one that is under way is left to the store's own deadlines.

        For what must not happen late: a removal that was given up may take away what was written since.
        """
        return await self._call(False, function, *args, **kwargs)

    async def _call(self, cut: bool, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self._admit()
        started = time.monotonic()
        if not self._under_way:
            self._sign = started
        self._under_way += 1
        self._start("watch", self._watch)
        limit = asyncio.timeout(None)
        try:
            async with limit:
                with self._among(self._cuttable if cut else set(), limit):
                    result = await function(*args, **kwargs)
        except TimeoutError as error:
            if limit.expired():
                raise self._away() from error
            raise
        except StoreError as error:
            self._note(error)
            raise
        finally:
            self._under_way -= 1
            self._calls += 1
            self._seconds += time.monotonic() - started
        self._lives()
        return result

    async def wait(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Wait for something that others of this store hold; not when its breaker opens."""
        self._admit()
        limit = asyncio.timeout(None)
        try:
            async with limit:
                with self._among(self._cuttable, limit):
                    return await function(*args, **kwargs)
        except TimeoutError as error:
            if limit.expired():
                raise self._away() from error
            raise

    @staticmethod
    @contextmanager
    def _among(calls: set[asyncio.Timeout], limit: asyncio.Timeout) -> Iterator[None]:
        calls.add(limit)
        try:
            yield
        finally:
            calls.discard(limit)

    def _admit(self) -> None:
        if self._open_until is not None:
            raise self._away()

    def _away(self) -> StoreAway:
        seconds = self.retry_after
        where = " and ".join(self.points) or "this path"
        return StoreAway(f"the store mounted at {where} is out of order; try again in {seconds:.0f} seconds", seconds)

    @property
    def retry_after(self) -> float:
        left = 0.0 if self._open_until is None else self._open_until - time.monotonic()
        return float(max(1, math.ceil(left)))

    # -- what comes of them

    def _lives(self) -> None:
        self._sign = time.monotonic()
        self._row, self._pause, self._trouble = 0, FIRST_PAUSE, False

    def _note(self, error: StoreError) -> None:
        self._sign = time.monotonic()
        if not isinstance(error, StoreUnavailable | StoreMisconfigured | StoreRefused | StoreFull):
            return  # an answer about a blob
        self._remember(str(error))
        if not isinstance(error, StoreUnavailable):
            return  # it answers
        self._failures += 1
        self._row += 1
        if self._row >= LIMIT:
            self._open(error)
        else:
            self._start("ask", self.ask)

    def _remember(self, reason: str) -> None:
        for secret in self._secrets:
            reason = reason.replace(secret, "********")
        self._last_error = _QUERY.sub("?…", reason)[:LONGEST_ERROR]
        self._last_error_at = time.time_ns() // 1_000_000
        self._trouble = True

    async def probe(self) -> None:
        """Ask the store whether it is well. Raises what its probe does, StoreUnavailable by the deadline."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline):
                await self._probe()
        except TimeoutError:
            error = StoreUnavailable(f"the store did not answer within {self._deadline:g} seconds")
            self._remember(str(error))
            raise error from None
        except StoreError as error:
            self._remember(str(error))
            if not isinstance(error, StoreUnavailable):
                self._latency = time.monotonic() - started
            raise
        self._latency = time.monotonic() - started

    async def ask(self) -> None:
        """Probe the store, and open the breaker where it does not answer."""
        try:
            await self.probe()
        except StoreUnavailable as error:
            self._open(error)
        except StoreError:
            self._sign = time.monotonic()  # it says what an operator must mend: better told to each who asks
        else:
            self._sign = time.monotonic()

    async def _watch(self) -> None:
        """Probe the store when calls are under way and nothing came of any for a while."""
        while self._under_way:
            await asyncio.sleep(max(self._sign + self._deadline - time.monotonic(), 0.01))
            if not self._under_way or self._open_until is not None:
                return
            if time.monotonic() >= self._sign + self._deadline:
                await self.ask()

    def _open(self, reason: StoreUnavailable) -> None:
        if self._open_until is not None:
            return
        self._pause = max(self._pause, reason.retry_after)
        self._opened += 1
        self._trouble = True
        self._open_until = time.monotonic() + self._pause
        log.warning("the store mounted at %s is out of order: %s", " and ".join(self.points), self._last_error)
        for limit in list(self._cuttable):
            limit.reschedule(asyncio.get_running_loop().time())
        self._start("recover", self._recover)

    async def _recover(self) -> None:
        while self._open_until is not None:
            await asyncio.sleep(max(self._open_until - time.monotonic(), 0.0))
            if self.retired:
                self._open_until = None
                return
            try:
                await self.probe()
            except StoreUnavailable:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
                self._open_until = time.monotonic() + self._pause * random.uniform(0.8, 1.0)
                continue
            except StoreError:
                pass  # as in ``ask``: it answers, and says what an operator must mend
            self._open_until = None
            # What fails again at once opens it again at once, for longer.
            self._row, self._pause = LIMIT - 1, min(self._pause * 2, LONGEST_PAUSE)
            self._sign = time.monotonic()
            log.warning("the store mounted at %s answers again", " and ".join(self.points))

    # -- being

    def health(self) -> Health:
        state = OPEN if self._open_until is not None else DEGRADED if self._trouble else OK
        return Health(
            state,
            self.retry_after if state == OPEN else 0.0,
            self._last_error,
            self._last_error_at,
            self._latency,
            self._calls,
            self._failures,
            self._seconds,
            self._opened,
        )

    def _start(self, name: str, function: Callable[[], Awaitable[None]]) -> None:
        """Begin a task of that name, unless one is under way."""
        running = self._tasks.get(name)
        if running is None or running.done():
            self._tasks[name] = asyncio.ensure_future(function())

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
