"""The catalog's contract: small *programs* of SQL, run by an engine.

A program is a generator that yields statements and receives their rows. It holds no connection and does no
I/O, so the same program runs on SQLite inside a grouped commit and on PostgreSQL in a transaction of its own,
and may be run again from its start when a transaction has to be retried. What the catalog can do is therefore
written once, in the modules beside this one; an engine is only the three ways of running below.

Statements use ``?`` for parameters and SQL that SQLite and PostgreSQL (and what speaks its protocol) share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

RETRY_SECONDS = 0.05

Row: TypeAlias = tuple[Any, ...]


class Many(NamedTuple):
    """One statement run for each of several parameter lists; yields no rows."""

    sql: str
    parameters: list[Row]


Step: TypeAlias = "tuple[str, Row] | Many | Prelude"
Program: TypeAlias = Generator[Step, list[Row], T]
Verb: TypeAlias = Callable[P, Program[T]]


_brief: set[object] = set()


def brief(verb: Verb[P, T]) -> Verb[P, T]:
    """Say of a program that it is a few point statements: an engine need not take it to a thread."""
    _brief.add(verb)
    return verb


def is_brief(verb: object) -> bool:
    return verb in _brief


class Lookup(NamedTuple, Generic[T]):
    """A program of one statement: what to ask, and what the rows mean. It costs less to run than a generator.

    An engine may keep the answer for as long as the catalog does not change: nobody must change it. Equal look-ups have
    equal answers, so ``meaning`` is a function of the rows alone, and not made anew for each.
    """

    sql: str
    parameters: Row
    meaning: Callable[[list[Row]], T]


class Prelude(NamedTuple):
    """A step of a write: something that must be durable before it commits, done together with its like.

    ``act`` takes the items of all preludes of a group that share it; it blocks, and what it raises fails each of
    their writes. It is done once the programs have run, while nobody else writes, and may be done again.
    """

    act: Callable[[list[Any]], None]
    item: Any


class Busy(Exception):
    """Somebody else holds the exclusive right that was asked for."""


@asynccontextmanager
async def exclusively(catalog: Catalog, name: str, patience: float) -> AsyncIterator[None]:
    """Hold a named right, waiting up to ``patience`` seconds for who has it. Raises Busy."""
    deadline = time.monotonic() + patience
    async with AsyncExitStack() as stack:
        while True:
            try:
                await stack.enter_async_context(catalog.exclusive(name))
                break
            except Busy:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
        yield


class Catalog(Protocol):
    """Runs programs. Everything acknowledged by ``write`` is durable and seen by each later read, on any worker."""

    async def read(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a program of one short statement (a point look-up). Never waits for writers."""

    async def find(self, lookup: Lookup[T]) -> T:
        """The same, of a program that is no more than that."""

    async def scan(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a longer reading program on one snapshot, away from the event loop. Never waits for writers."""

    async def write(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a program in a transaction; what it or a prelude of it raises undoes it and is raised here.

        Returns after the commit is durable. Raises StorageFull when there is no room. Cancellation leaves the
        program done or undone, never half.
        """

    def exclusive(self, name: str) -> AbstractAsyncContextManager[None]:
        """Hold a named right that no other process holds meanwhile; raises Busy at once when it is taken."""

    async def close(self) -> None:
        """Finish what was accepted and release everything."""
