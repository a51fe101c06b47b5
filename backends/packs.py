"""Small blobs of a local store, in one SQLite file: a 4 KiB put costs no file and shares its sync with others."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.base import Blob, BlobDamaged, BlobName, StoreError, StoreFull

PAGE_SIZE = 16384
"""Of new packs: three blobs of 4 KiB fill one; of half that size they would leave half of each empty."""
MAX_GROUP = 256
CHECKPOINT_PAGES = 1000
VACUUM_PAGES = 32
SCAN_ROWS = 1000

_PUT = (
    "INSERT INTO blobs (scope, digest, stored_at, content) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (scope, digest) DO UPDATE SET content = excluded.content WHERE blobs.content <> excluded.content"
)
"""The same bytes again mend a damaged copy."""


@dataclass(slots=True)
class _Job:
    name: BlobName
    content: bytes | None
    """What to keep, or None to delete."""
    future: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop
    error: Exception | None = None


class Packs:
    """Blobs as rows. One writer thread groups what queued up into one transaction; processes take turns by a lock."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self._path = path
        self._fsync = fsync
        self._turn = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with _locked(self._turn):
            self._writer = self._connect()
            self._writer.execute(
                "CREATE TABLE IF NOT EXISTS blobs (scope TEXT NOT NULL, digest BLOB NOT NULL, stored_at REAL NOT NULL,"
                " content BLOB NOT NULL, PRIMARY KEY (scope, digest))"
            )
            os.chmod(path, 0o600)
        self._reader = self._connect()
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._write_loop, name="packs-writer", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        conn.execute(f"PRAGMA page_size={PAGE_SIZE}")
        conn.execute("PRAGMA auto_vacuum=INCREMENTAL")
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(f"PRAGMA synchronous={'FULL' if self._fsync else 'OFF'}")
        conn.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return conn

    # -- reading

    def read(self, name: BlobName) -> bytes | None:
        """A blob, verified, or None. Raises BlobDamaged."""
        with self._reading:
            row = self._reader.execute(
                "SELECT content FROM blobs WHERE scope = ? AND digest = ?", (name.scope, bytes.fromhex(name.digest))
            ).fetchone()
        if row is None:
            return None
        content: bytes = row[0]
        if hashlib.sha256(content).hexdigest() != name.digest:
            raise BlobDamaged(name, "its bytes in the pack have another hash")
        return content

    def stat(self, name: BlobName) -> Blob | None:
        with self._reading:
            row = self._reader.execute(
                "SELECT length(content), stored_at FROM blobs WHERE scope = ? AND digest = ?",
                (name.scope, bytes.fromhex(name.digest)),
            ).fetchone()
        return Blob(name, row[0], row[1]) if row else None

    def page(self, after: BlobName) -> list[Blob]:
        """Some blobs past one, in (scope, digest) order."""
        with self._reading:
            rows = self._reader.execute(
                "SELECT scope, digest, length(content), stored_at FROM blobs WHERE (scope, digest) > (?, ?)"
                " ORDER BY scope, digest LIMIT ?",
                (after.scope, bytes.fromhex(after.digest), SCAN_ROWS),
            ).fetchall()
        return [Blob(BlobName(scope, digest.hex()), size, at) for scope, digest, size, at in rows]

    # -- writing

    async def put(self, name: BlobName, content: bytes) -> None:
        await self._submit(name, content)

    async def delete(self, name: BlobName) -> None:
        await self._submit(name, None)

    async def _submit(self, name: BlobName, content: bytes | None) -> None:
        if self._closed:
            raise StoreError("the store is closed")
        loop = asyncio.get_running_loop()
        job = _Job(name, content, loop.create_future(), loop)
        self._jobs.put(job)
        await job.future

    def _write_loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            group, ended = [job], False
            while len(group) < MAX_GROUP and not ended:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                ended = more is None
                if more is not None:
                    group.append(more)
            self._commit(group)
            _answer(group)
            if ended:
                return

    def _commit(self, group: list[_Job]) -> None:
        try:
            self.apply([(job.name, job.content) for job in group])
        except Exception as error:  # whatever it is, the thread goes on: nobody else answers those who wait
            for job in group:
                job.error = error

    def apply(self, changes: Sequence[tuple[BlobName, bytes | None]]) -> None:
        """Put blobs, or delete those without content, in one transaction. Blocks. Raises StoreFull, StoreError."""
        conn = self._writer
        with self._writing:
            try:
                with _locked(self._turn):
                    conn.execute("BEGIN IMMEDIATE")
                    _apply(conn, changes)
                    conn.execute("COMMIT")
                    if any(content is None for _, content in changes):
                        with contextlib.suppress(sqlite3.Error):  # what was asked for is done
                            conn.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
            except (sqlite3.Error, OSError) as error:
                with contextlib.suppress(sqlite3.Error):
                    if conn.in_transaction:
                        conn.execute("ROLLBACK")
                if "full" in str(error):
                    raise StoreFull("the store has no room") from error
                raise StoreError(f"the pack failed: {error}") from error

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._reader.close()
        self._writer.close()
        os.close(self._turn)


def _apply(conn: sqlite3.Connection, changes: Sequence[tuple[BlobName, bytes | None]]) -> None:
    """Changes in their order, puts that follow one another at once."""
    now, puts = time.time(), []
    for name, content in changes:
        place = name.scope, bytes.fromhex(name.digest)
        if content is not None:
            puts.append((*place, now, content))
            continue
        conn.executemany(_PUT, puts)
        puts = []
        conn.execute("DELETE FROM blobs WHERE scope = ? AND digest = ?", place)
    conn.executemany(_PUT, puts)


@contextlib.contextmanager
def _locked(fd: int) -> Iterator[None]:
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _answer(group: list[_Job]) -> None:
    for loop in {job.loop for job in group}:
        jobs = [job for job in group if job.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever asked
            loop.call_soon_threadsafe(_settle, jobs)


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if not job.future.done():
            if job.error is None:
                job.future.set_result(None)
            else:
                job.future.set_exception(job.error)
