"""A catalog whose writes may have company: a program that goes into the same transaction as the next write.

Whoever starts an action says what is to be written along with it; the parts that do it need not know. The companion
goes with the first write of the action that commits, or with none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any

from gateway.catalog.base import Catalog, P, Program, T, Verb


@dataclass(slots=True)
class Companion:
    """What goes along; ``gone`` once it has, or is under way."""

    make: Callable[[], Program[Any]]
    gone: bool = False
    result: Any = None
    """What it returned."""


_waiting: ContextVar[Companion | None] = ContextVar("companion", default=None)


@contextmanager
def accompanied_by(make: Callable[[], Program[Any]]) -> Iterator[Companion]:
    """Let ``make``'s program go with the next write that commits, of this task or of those that it starts."""
    companion = Companion(make)
    token = _waiting.set(companion)
    try:
        yield companion
    finally:
        _waiting.reset(token)
        companion.gone = True  # a task that outlives the action takes nothing along


class Accompanied:
    """A Catalog over another one; see ``gateway.catalog.base.Catalog``."""

    def __init__(self, inner: Catalog) -> None:
        self._inner = inner
        self._under_way = 0
        self._moved_at = 0.0
        """When a write ended last, or the first of those under way began."""
        self.read = inner.read
        self.find = inner.find
        self.scan = inner.scan
        self.exclusive = inner.exclusive
        self.close = inner.close

    def hangs(self, seconds: float) -> bool:
        """Whether writes wait, and none ended for so long."""
        return self._under_way > 0 and monotonic() - self._moved_at > seconds

    async def write(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        companion = _waiting.get()
        if not self._under_way:
            self._moved_at = monotonic()
        self._under_way += 1
        try:
            if companion is None or companion.gone:
                return await self._inner.write(verb, *args, **kwargs)
            with _leaving(companion):
                return await self._inner.write(_together, companion, lambda: verb(*args, **kwargs))
        finally:
            self._under_way -= 1
            self._moved_at = monotonic()


@contextmanager
def _leaving(companion: Companion) -> Iterator[None]:
    companion.gone = True
    try:
        yield
    except Exception:  # not a cancellation, which leaves the write done or undone, and nobody to say which
        companion.gone = False
        raise


def _together(companion: Companion, make: Callable[[], Program[T]]) -> Program[T]:
    result = yield from make()
    companion.result = yield from companion.make()
    return result
