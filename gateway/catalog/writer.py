"""The one writer of a catalog file: whatever was asked for since the last commit goes into the next.

A group of programs is one transaction and one sync. Two threads share its work, one after the other. The event loop
runs the programs that say they are ``brief``: a few point statements each, which cost less there than the interpreter's
lock would, were it handed to and fro with each statement. The writer's thread does all that waits: other processes'
turn, longer programs, preludes, the commit.

One refusal undoes only itself: most refuse before they change anything; where one did change something, or a prelude
failed, the group is run again with a savepoint for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.catalog.base import Many, Prelude, Program, Step, is_brief
from gateway.errors import ContentUnavailable, StorageFull

T = TypeVar("T")

MAX_GROUP = 128
"""Most programs in one transaction: bounds how long the first of them waits, and how long the event loop is kept."""
LINGER = 0.001
"""Seconds that a group waits for who was answered last: of two half groups in turns, each would cost a sync."""
ENOUGH = 16
"""Programs from which on a group does not wait for more: each has but a small share of its sync by then."""
BRIEF_ROWS = 32
"""Rows of one statement from which on it is not for the event loop."""
PATIENCE = 30.0
"""Seconds to wait for a writer that takes no turns, such as somebody's SQL shell."""


@dataclass(slots=True, eq=False)
class _Job:
    make: Callable[[], Program[Any]]
    brief: bool
    future: asyncio.Future[Any]
    preludes: list[Prelude] = field(default_factory=list)
    """What it asked for."""
    result: Any = None
    error: BaseException | None = None
    lost: bool = False
    """Whether a prelude of it failed."""

    def renew(self) -> None:
        """As if it had not run."""
        self.result = self.error = None
        self.preludes.clear()


@dataclass(slots=True, eq=False)
class _Group:
    jobs: list[_Job]
    begun: bool = False
    """Whether its transaction is open, and the turn taken."""
    ran: int = 0
    """How many jobs have run in it."""
    under_way: tuple[Program[Any], Step, int] | None = None
    """A program that turned out to be long, its next step, and the changes before it: it is the next to run."""
    spoiled: bool = False
    """Whether changes are in the transaction that must not stay."""


@dataclass(slots=True)
class Writer:
    """Runs programs in groups on a connection; ``turn`` is a file whose lock orders the processes."""

    conn: sqlite3.Connection
    turn: int
    _waiting: deque[_Job] = field(default_factory=deque)
    _busy: bool = False
    _closed: bool = False
    _loop: asyncio.AbstractEventLoop | None = None
    _idle: asyncio.Future[None] | None = None
    _expected: int = 1
    """How many writes were under way at the end of the last group: about so many will be again."""
    _lingering: asyncio.TimerHandle | None = None
    _handed: queue.SimpleQueue[_Group | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self.conn.execute("PRAGMA busy_timeout=0")  # the event loop must not wait; the thread has patience of its own
        self._thread = threading.Thread(target=self._work, name="catalog-writer", daemon=True)
        self._thread.start()

    # -- on the event loop

    def submit(self, verb: Callable[..., Program[T]], make: Callable[[], Program[T]]) -> asyncio.Future[T]:
        """Have a program run in the next group. ``verb`` is what it is of."""
        if self._closed:
            raise ContentUnavailable("the catalog is closed")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._adopt(loop)
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Job(make, is_brief(verb), future))
        if not self._busy:
            self._gather(loop)
        return future

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the next group when those are here again who were answered last, or after a moment."""
        if len(self._waiting) >= self._expected:
            loop.call_soon(self._next)
        elif self._lingering is None:
            self._lingering = loop.call_later(LINGER, self._next)

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("a catalog is written from one event loop")
        self._loop = loop

    def _next(self) -> None:
        """Begin the next group, and hand it over."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._busy or not self._waiting:
            return
        if len(self._waiting) <= MAX_GROUP:
            group = _Group(list(self._waiting))
            self._waiting.clear()
        else:
            group = _Group([self._waiting.popleft() for _ in range(MAX_GROUP)])
        self._busy = True
        if group.jobs[0].brief:
            self._begin_here(group)
        self._handed.put(group)

    def _begin_here(self, group: _Group) -> None:
        """Run the brief programs up to the first that is not, unless that would mean to wait."""
        try:
            fcntl.flock(self.turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process has its turn; what else it may be, the thread will meet again, and tell
            return
        try:
            self.conn.execute("BEGIN IMMEDIATE")
            group.begun = True
            for job in group.jobs:
                if not job.brief or group.under_way is not None or group.spoiled:
                    return
                _run(self.conn, job, group, BRIEF_ROWS)
        except BaseException:  # whatever it is, the thread will meet it again, and tell
            self._give_up(group)

    def _give_up(self, group: _Group) -> None:
        """Leave the transaction and the turn; nothing of the group has run."""
        with contextlib.suppress(sqlite3.Error):
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
        self._yield_turn()
        group.begun, group.spoiled, group.ran, group.under_way = False, False, 0, None
        for job in group.jobs:
            job.renew()

    def _settle(self, group: _Group) -> None:
        for job in group.jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        self._busy = False
        self._expected = min(len(group.jobs) + len(self._waiting), ENOUGH)
        if self._waiting and self._loop is not None:
            self._gather(self._loop)
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def close(self) -> None:
        """Finish what was accepted."""
        self._closed = True
        while self._busy or self._waiting:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._handed.put(None)
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    # -- in the thread

    def _work(self) -> None:
        while (group := self._handed.get()) is not None:
            self._finish(group)
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._settle, group)
            except RuntimeError:  # the loop is gone, and with it whoever asked
                self._busy = False

    def _finish(self, group: _Group) -> None:
        """Do what is left of a group, and commit it."""
        try:
            if not group.begun:
                fcntl.flock(self.turn, fcntl.LOCK_EX)
                group.begun = True
                self._begin()
            for job in group.jobs[group.ran :]:
                if not group.spoiled:
                    _run(self.conn, job, group)
            while group.spoiled or not _prepare(group):
                self._run_again(group)
            self.conn.execute("COMMIT")
        except BaseException as error:  # a lost commit is every member's loss, whatever the cause
            with contextlib.suppress(sqlite3.Error):
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")
                if group.begun:
                    self._overwrite()
            for job in group.jobs:
                job.error = translate(error)
        finally:
            if group.begun:
                self._yield_turn()

    def _yield_turn(self) -> None:
        with contextlib.suppress(OSError):  # a turn that cannot be given up ends with the process: no reason to hang
            fcntl.flock(self.turn, fcntl.LOCK_UN)

    def _overwrite(self) -> None:
        """Let a transaction that changes nothing take the place of one that failed.

        What a sync failed for lies in the log all the same: it would come back with the next start, though its writers
        were told that it failed.
        """
        # This writes a page although nothing changes, which an UPDATE to the same values does not.
        self.conn.execute("PRAGMA user_version = 0")

    def _begin(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.conn.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _run_again(self, group: _Group) -> None:
        """Run all programs anew that may succeed, each in a savepoint: some were refused because of what must go."""
        self.conn.execute("ROLLBACK")
        self._begin()
        group.spoiled = False
        for job in group.jobs:
            if not job.lost:
                job.renew()
                _run_apart(self.conn, job)


class _TooLong(Exception):
    """A program has more to do than the event loop should: its next step."""

    def __init__(self, step: Step) -> None:
        self.step = step


def run(
    conn: sqlite3.Connection,
    program: Program[T],
    preludes: list[Prelude] | None = None,
    step: Step | None = None,
    most: int | None = None,
) -> T:
    """Run a program to its end, from ``step`` on where it has begun, noting the preludes that it asks for.

    ``most`` is how many rows a step may write.
    """
    execute = conn.execute
    try:
        if step is None:
            step = program.send(None)  # type: ignore[arg-type]  # starts the generator
        while True:
            if type(step) is Many:
                if most is not None and len(step.parameters) > most:
                    raise _TooLong(step)
                conn.executemany(step.sql, step.parameters)
                step = program.send([])
            elif type(step) is Prelude:
                assert preludes is not None, "only a write has preludes"
                preludes.append(step)
                step = program.send([])
            else:
                step = program.send(execute(*step).fetchall())
    except StopIteration as done:
        value: T = done.value
        return value


def _run(conn: sqlite3.Connection, job: _Job, group: _Group, most: int | None = None) -> None:
    """Run the next program of a group; one that fails with changes made spoils it."""
    if group.under_way is not None:
        (program, step, before), group.under_way = group.under_way, None
    else:
        program, step, before = job.make(), None, conn.total_changes
    try:
        job.result = run(conn, program, job.preludes, step, most)
    except _TooLong as long:
        group.under_way = program, long.step, before
        return
    except Exception as error:
        if not conn.in_transaction:  # SQLite gave the whole transaction up (disk full, I/O error)
            raise
        job.error = translate(error)
        group.spoiled = conn.total_changes != before
    group.ran += 1


def _run_apart(conn: sqlite3.Connection, job: _Job) -> None:
    """Run one program of a group in a savepoint; its failure undoes it alone."""
    conn.execute("SAVEPOINT job")
    try:
        job.result = run(conn, job.make(), job.preludes)
    except Exception as error:
        if not conn.in_transaction:
            raise
        conn.execute("ROLLBACK TO job")
        job.error = translate(error)
    conn.execute("RELEASE job")


def _prepare(group: _Group) -> bool:
    """Do the preludes of all that succeeded, each kind at once; False where one failed, whose changes must go."""
    acts: dict[Callable[[list[Any]], None], list[tuple[_Job, Any]]] = {}
    for job in group.jobs:
        if job.error is None:
            for act, item in job.preludes:
                acts.setdefault(act, []).append((job, item))
    for act, wanted in acts.items():
        try:
            act([item for _, item in wanted])
        except Exception as error:
            for job, _ in wanted:
                job.error, job.lost = error, True
            return False
    return True


def translate(error: BaseException) -> BaseException:
    """What an engine's error means to whoever asked."""
    if isinstance(error, sqlite3.OperationalError):
        text = str(error)
        if "full" in text:
            return StorageFull("the catalog has no room")
        if "I/O" in text:
            return ContentUnavailable("the catalog's disk fails")
    return error
