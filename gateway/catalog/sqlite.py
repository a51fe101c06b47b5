"""The embedded catalog: one SQLite file, shared by the worker processes of one machine.

Invariants: a write is answered only after its transaction was synced (``synchronous=FULL``); readers use WAL
snapshots and never wait. Writers of one process share a transaction and a sync (``gateway.catalog.writer``). Between
processes a file lock, not SQLite's polling, decides whose turn it is.

What look-ups found is kept for as long as nothing changes: each snapshot tells by a number whether anybody, in whatever
process, committed since the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from gateway.catalog.base import Busy, Lookup, P, Program, Row, Verb
from gateway.catalog.migrate import migrate
from gateway.catalog.writer import Writer, run

T = TypeVar("T")

PAGE_SIZE = 4096
"""Of new catalogs. A write changes a few rows, each on a page of its own, and each page goes to the log whole."""
CACHE_KIB = 16 * 1024
CHECKPOINT_PAGES = 4000
SCAN_THREADS = 2
KEPT_LOOKUPS = 8192
MOST_KEPT = 1024
"""Bytes of rows beyond which what they mean is not kept: a thousand tiny metadata take fifty times that in memory."""

_NOT_KEPT = object()


class SqliteCatalog:
    """Catalog on one SQLite file; see ``gateway.catalog.base.Catalog`` for what each method promises."""

    def __init__(self, path: Path, *, fsync: bool = True, kept_lookups: int = KEPT_LOOKUPS) -> None:
        """``kept_lookups`` is how many look-ups are remembered while nothing changes."""
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
        self._turn_of: asyncio.AbstractEventLoop | None = None
        """The event loop in whose current turn ``_reader`` holds a snapshot."""
        self._kept: OrderedDict[Lookup[Any], Any] = OrderedDict()
        """What look-ups found in the present version of the data, those used last at the end."""
        self._kept_most = kept_lookups
        self._kept_version = -1
        self._scanning = threading.local()
        self._scanners: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(SCAN_THREADS, thread_name_prefix="catalog-scan")
        self._closed = False
        self._writing = Writer(self._writer, self._turn)
        self._writing.start()

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
        self._begin_turn()
        return run(self._reader, verb(*args, **kwargs))

    async def find(self, lookup: Lookup[T]) -> T:
        self._begin_turn()
        kept = self._kept
        found: Any = kept.get(lookup, _NOT_KEPT)
        if found is not _NOT_KEPT:
            kept.move_to_end(lookup)
            return found  # type: ignore[no-any-return]  # what the same look-up gave before
        rows = self._reader.execute(lookup.sql, lookup.parameters).fetchall()
        found = lookup.meaning(rows)
        if _size(rows) <= MOST_KEPT:
            kept[lookup] = found
            if len(kept) > self._kept_most:
                kept.popitem(last=False)
        return found  # type: ignore[no-any-return]

    def _begin_turn(self) -> None:
        """See to the snapshot that all look-ups of one turn of the loop share: locking it is a good part of one.

        It is taken after everything that the turn knows of was committed; what is acknowledged later is handled in a
        later turn.
        """
        loop = asyncio.get_running_loop()
        if self._turn_of is not loop:
            self._end_turn()
            self._reader.execute("BEGIN")
            self._turn_of = loop
            loop.call_soon(self._end_turn)
            self._forget_changed()

    def _forget_changed(self) -> None:
        """Take the snapshot, and drop what is kept unless nobody committed anything since the last one was taken.

        https://www.sqlite.org/pragma.html#pragma_data_version: the number changes with each commit of another
        connection, and nobody writes by this one.
        """
        try:
            version = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            self._kept.clear()
            raise
        if version != self._kept_version:
            self._kept_version = version
            self._kept.clear()

    def _end_turn(self) -> None:
        if self._turn_of is not None:
            self._turn_of = None
            if self._reader.in_transaction:  # a disk that fails ends it by itself
                self._reader.execute("COMMIT")

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
            return run(conn, make())
        finally:
            if conn.in_transaction:  # a disk that fails ends it by itself
                conn.execute("COMMIT")

    # -- writing

    async def write(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._writing.submit(verb, lambda: verb(*args, **kwargs))

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
        await self._writing.close()
        self._pool.shutdown(wait=True)
        self._end_turn()
        for conn in (*self._scanners, self._reader, self._writer):
            conn.close()
        os.close(self._turn)


def _size(rows: list[Row]) -> int:
    """Bytes of text and blobs in rows."""
    return sum([len(each) for row in rows for each in row if each.__class__ is str or each.__class__ is bytes])


@contextlib.contextmanager
def _locked(fd: int) -> Iterator[None]:
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
