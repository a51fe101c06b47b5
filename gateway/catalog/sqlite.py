"""The embedded catalog: one SQLite file, shared by the worker processes of one machine.

Invariants: a write is answered only after its transaction was synced (``synchronous=FULL``); readers use WAL
snapshots and never wait. Writers of one process share a transaction and a sync: whatever queued up while the
last commit was under way goes into the next. One refusal undoes only itself: most refuse before they change
anything; where one did change something, the group is run again with a savepoint for each. Between processes a
file lock, not SQLite's polling, decides whose turn it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.catalog.base import Busy, Many, P, Prelude, Program, Verb
from gateway.catalog.migrate import migrate
from gateway.errors import ContentUnavailable, StorageFull

T = TypeVar("T")

MAX_GROUP = 512
"""Most programs in one transaction: bounds how long the first of them waits."""
PAGE_SIZE = 8192
CACHE_KIB = 16 * 1024
CHECKPOINT_PAGES = 2000
SCAN_THREADS = 2


@dataclass(slots=True)
class _Job:
    make: Callable[[], Program[Any]]
    prelude: Prelude | None
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class SqliteCatalog:
    """Catalog on one SQLite file; see ``gateway.catalog.base.Catalog`` for what each method promises."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self._path = path
        self._fsync = fsync
        path.parent.mkdir(parents=True, exist_ok=True)
        self._turn = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._writer = self._connect()
        try:
            with _locked(self._turn):
                os.chmod(path, 0o600)
                migrate(self._writer)
        except BaseException:
            self._writer.close()
            os.close(self._turn)
            raise
        self._reader = self._connect(readonly=True)
        self._scanning = threading.local()
        self._scanners: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(SCAN_THREADS, thread_name_prefix="catalog-scan")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._write_loop, name="catalog-writer", daemon=True)
        self._thread.start()

    def _connect(self, readonly: bool = False) -> sqlite3.Connection:
        conn = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=30
        )
        conn.execute(f"PRAGMA page_size={PAGE_SIZE}")
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(f"PRAGMA synchronous={'FULL' if self._fsync else 'OFF'}")
        conn.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        conn.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        conn.execute("PRAGMA temp_store=MEMORY")
        if readonly:
            conn.execute("PRAGMA query_only=ON")
        return conn

    # -- reading

    async def read(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # A point look-up costs some 10 µs; a hop to a thread and back would cost several times that.
        return _run(self._reader, verb(*args, **kwargs))

    async def scan(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._scan, lambda: verb(*args, **kwargs))

    def _scan(self, make: Callable[[], Program[T]]) -> T:
        conn: sqlite3.Connection | None = getattr(self._scanning, "conn", None)
        if conn is None:
            conn = self._scanning.conn = self._connect(readonly=True)
            self._scanners.append(conn)
        conn.execute("BEGIN")
        try:
            return _run(conn, make())
        finally:
            conn.execute("COMMIT")

    # -- writing

    async def write(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(None, lambda: verb(*args, **kwargs))

    async def write_after(self, prelude: Prelude, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(prelude, lambda: verb(*args, **kwargs))

    def _submit(self, prelude: Prelude | None, make: Callable[[], Program[T]]) -> asyncio.Future[T]:
        if self._closed:
            raise ContentUnavailable("the catalog is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(make, prelude, future, loop))
        return future

    def _write_loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            ended = False
            while len(group) < MAX_GROUP:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                    break
                group.append(more)
            ready = _prepare(group)
            if ready:
                self._commit(ready)
            _answer(group)
            if ended:
                return

    def _commit(self, group: list[_Job]) -> None:
        conn = self._writer
        try:
            with _locked(self._turn):
                conn.execute("BEGIN IMMEDIATE")
                if not all([_attempt(conn, job) for job in group]):
                    conn.execute("ROLLBACK")
                    conn.execute("BEGIN IMMEDIATE")
                    for job in group:
                        _attempt_apart(conn, job)
                conn.execute("COMMIT")
        except BaseException as error:  # a lost commit is every member's loss, whatever the cause
            with contextlib.suppress(sqlite3.Error):
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
            for job in group:
                job.error = _translate(error)

    # -- exclusion

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[None]:
        # The kernel drops the lock with its holder, so a killed process never leaves it taken and a paused
        # one never loses it: stronger than a lease, on one machine.
        fd = os.open(f"{self._path}.{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(name) from None
            yield
        finally:
            os.close(fd)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._pool.shutdown(wait=True)
        for conn in (*self._scanners, self._reader, self._writer):
            conn.close()
        os.close(self._turn)


@contextlib.contextmanager
def _locked(fd: int) -> Iterator[None]:
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _run(conn: sqlite3.Connection, program: Program[T]) -> T:
    execute = conn.execute
    try:
        step = program.send(None)  # type: ignore[arg-type]  # starts the generator
        while True:
            if type(step) is Many:
                conn.executemany(step.sql, step.parameters)
                step = program.send([])
            else:
                step = program.send(execute(*step).fetchall())
    except StopIteration as done:
        value: T = done.value
        return value


def _prepare(group: list[_Job]) -> list[_Job]:
    """Do the group's preludes, each kind at once; the jobs that may go on."""
    acts: dict[Any, list[_Job]] = {}
    for job in group:
        if job.prelude is not None:
            acts.setdefault(job.prelude.act, []).append(job)
    for act, jobs in acts.items():
        try:
            act([job.prelude.item for job in jobs if job.prelude is not None])
        except Exception as error:
            for job in jobs:
                job.error = error
    return [job for job in group if job.error is None]


def _attempt(conn: sqlite3.Connection, job: _Job) -> bool:
    """Run one program of a group; False when it failed with changes made, which the group must not keep."""
    before = conn.total_changes
    try:
        job.result = _run(conn, job.make())
    except Exception as error:
        if not conn.in_transaction:  # SQLite gave the whole transaction up (disk full, I/O error)
            raise
        job.error = _translate(error)
        return conn.total_changes == before
    return True


def _attempt_apart(conn: sqlite3.Connection, job: _Job) -> None:
    """Run one program of a group in a savepoint; its failure undoes it alone."""
    job.result = job.error = None
    conn.execute("SAVEPOINT job")
    try:
        job.result = _run(conn, job.make())
    except Exception as error:
        if not conn.in_transaction:
            raise
        conn.execute("ROLLBACK TO job")
        job.error = _translate(error)
    conn.execute("RELEASE job")


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, sqlite3.OperationalError):
        text = str(error)
        if "full" in text:
            return StorageFull("the catalog has no room")
        if "I/O" in text:
            return ContentUnavailable("the catalog's disk fails")
    return error


def _answer(group: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in group:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever asked
            loop.call_soon_threadsafe(_settle, jobs)


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
