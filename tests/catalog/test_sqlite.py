"""What the engine promises, beyond what single programs do."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import multiprocessing
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.catalog.base import Busy, Many, Program, brief
from gateway.catalog.config import GENERATION
from gateway.catalog.migrate import CatalogTooNew
from gateway.catalog.sqlite import SqliteCatalog

T = TypeVar("T")


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[SqliteCatalog]:
    catalog = SqliteCatalog(tmp_path / "catalog.db")
    yield catalog
    await catalog.close()


def bump(by: int = 1) -> Program[int]:
    yield "UPDATE meta SET value = value + ? WHERE name = 'generation'", (by,)
    rows = yield "SELECT value FROM meta WHERE name = 'generation'", ()
    return int(rows[0][0])


def read_generation() -> Program[int]:
    rows = yield "SELECT value FROM meta WHERE name = 'generation'", ()
    return int(rows[0][0])


@brief
def brief_bump() -> Program[int]:
    return (yield from bump())


def bump_and_fail() -> Program[None]:
    yield from bump(1000)
    raise LookupError("no")


async def test_a_failure_undoes_only_itself_within_a_group(catalog: SqliteCatalog) -> None:
    results = await asyncio.gather(
        *(catalog.write(bump_and_fail if n % 3 == 0 else bump) for n in range(30)), return_exceptions=True
    )
    assert sum(isinstance(result, LookupError) for result in results) == 10
    assert await catalog.find(GENERATION) == 1 + 20


async def test_writes_that_queue_up_share_commits(catalog: SqliteCatalog) -> None:
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    catalog._writer.set_trace_callback(count)
    await asyncio.gather(*(catalog.write(bump) for _ in range(300)))
    assert await catalog.find(GENERATION) == 301
    assert commits < 30


async def test_writers_who_come_again_are_waited_for(catalog: SqliteCatalog) -> None:
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    async def client(late: int) -> None:
        for _ in range(late):  # so that two halves would take turns
            await asyncio.sleep(0)
        for _ in range(20):
            await catalog.write(brief_bump)

    catalog._writer.set_trace_callback(count)
    await asyncio.gather(*(client(n % 2 * 3) for n in range(8)))
    assert await catalog.find(GENERATION) == 161
    assert commits < 30


async def test_one_writer_waits_for_nobody(catalog: SqliteCatalog) -> None:
    started = asyncio.get_running_loop().time()
    for _ in range(20):
        await catalog.write(brief_bump)
        assert catalog._writing._lingering is None
    assert asyncio.get_running_loop().time() - started < 10


async def test_a_brief_program_that_turns_out_to_be_long_goes_on_in_the_thread(catalog: SqliteCatalog) -> None:
    threads = []

    @brief
    def long() -> Program[int]:
        yield from bump()
        threads.append(threading.current_thread())
        names = [(f"row {n}",) for n in range(1000)]
        yield Many("INSERT INTO meta (name, value) VALUES (?, 1)", names)
        threads.append(threading.current_thread())
        rows = yield "SELECT count(*) FROM meta WHERE name LIKE 'row%'", ()
        return int(rows[0][0])

    assert await asyncio.gather(catalog.write(brief_bump), catalog.write(long), catalog.write(brief_bump)) == [
        2,
        1000,
        4,
    ]
    assert threads[0] is threading.main_thread() and threads[1] is not threading.main_thread()


async def test_another_process_s_turn_is_waited_for_in_the_thread(catalog: SqliteCatalog, tmp_path: Path) -> None:
    turn = os.open(tmp_path / "catalog.db.lock", os.O_RDWR)
    fcntl.flock(turn, fcntl.LOCK_EX)
    writing = asyncio.ensure_future(catalog.write(brief_bump))
    await asyncio.sleep(0.05)
    assert await catalog.find(GENERATION) == 1
    assert not writing.done()
    os.close(turn)
    assert await writing == 2


async def test_a_lock_that_fails_is_told_and_hangs_nobody(
    catalog: SqliteCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", fail)
        for program in (brief_bump, bump):
            with pytest.raises(OSError, match="no locks here"):
                await asyncio.wait_for(catalog.write(program), 10)
    assert await asyncio.wait_for(catalog.write(brief_bump), 10) == 2


async def test_a_writer_that_takes_no_turns_is_waited_for_too(catalog: SqliteCatalog, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.db", isolation_level=None) as shell:
        shell.execute("BEGIN IMMEDIATE")
        writing = asyncio.ensure_future(catalog.write(brief_bump))
        await asyncio.sleep(0.05)
        assert await catalog.find(GENERATION) == 1
        shell.execute("ROLLBACK")
    shell.close()
    assert await writing == 2


async def test_reads_see_what_was_acknowledged_and_go_on_during_writes(catalog: SqliteCatalog) -> None:
    for expected in range(2, 20):
        assert await catalog.write(bump) == expected
        assert await catalog.find(GENERATION) == expected
        assert await catalog.scan(read_generation) == expected


async def test_a_turns_snapshot_is_never_older_than_what_was_acknowledged(
    catalog: SqliteCatalog, tmp_path: Path
) -> None:
    other = SqliteCatalog(tmp_path / "catalog.db")
    ended = False

    async def write(by: SqliteCatalog) -> None:
        for _ in range(40):
            done = await by.write(bump)
            assert await catalog.find(GENERATION) >= done
            assert await other.find(GENERATION) >= done

    async def read() -> None:
        seen = 0
        while not ended:
            now = await catalog.find(GENERATION)
            assert now >= seen
            seen = now
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read()) for _ in range(4)]
    await asyncio.gather(*(write(by) for by in (catalog, other) for _ in range(4)))
    ended = True
    await asyncio.gather(*readers)
    await other.close()


async def test_a_snapshot_of_a_loop_that_ended_is_not_kept(tmp_path: Path) -> None:
    def run_both() -> None:
        catalog = SqliteCatalog(tmp_path / "catalog.db")
        other = SqliteCatalog(tmp_path / "catalog.db")
        before = _in_loop(catalog.find(GENERATION))  # its turn never ends: the loop does
        other_after = _in_loop(other.write(bump))
        assert other_after == before + 1
        assert _in_loop(catalog.find(GENERATION)) == other_after
        _in_loop(catalog.close())
        _in_loop(other.close())

    await asyncio.to_thread(run_both)


def _in_loop(coroutine: Coroutine[object, object, T]) -> T:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


async def test_a_scan_tells_what_failed_and_not_what_that_led_to(catalog: SqliteCatalog) -> None:
    def fail() -> Program[None]:
        yield "ROLLBACK", ()  # as SQLite itself does when the disk fails
        raise LookupError("disk")

    with pytest.raises(LookupError, match="disk"):
        await catalog.scan(fail)
    assert await catalog.scan(read_generation) == 1


async def test_the_exclusive_right_is_exclusive(catalog: SqliteCatalog, tmp_path: Path) -> None:
    other = SqliteCatalog(tmp_path / "catalog.db")
    async with catalog.exclusive("job"):
        with pytest.raises(Busy):
            async with other.exclusive("job"):
                pass
        async with other.exclusive("another"):
            pass
    async with other.exclusive("job"):
        pass
    await other.close()


def _bump_many(path: Path, times: int) -> None:
    async def run() -> None:
        catalog = SqliteCatalog(path, fsync=False)
        await asyncio.gather(*(catalog.write(bump) for _ in range(times)))
        await catalog.close()

    asyncio.run(run())


async def test_two_processes_lose_no_update(catalog: SqliteCatalog, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_bump_many, args=(tmp_path / "catalog.db", 300)) for _ in range(2)]
    for worker in workers:
        worker.start()
    await asyncio.gather(*(catalog.write(bump) for _ in range(300)))
    for worker in workers:
        await asyncio.to_thread(worker.join, 60)
        assert worker.exitcode == 0
    assert await catalog.find(GENERATION) == 901


async def test_a_catalog_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    await SqliteCatalog(path).close()
    with sqlite3.connect(path) as conn:
        conn.execute("INSERT INTO schema_migrations VALUES (9999)")
    conn.close()
    with pytest.raises(CatalogTooNew, match="upgrade"):
        SqliteCatalog(path)


async def test_the_file_is_private(catalog: SqliteCatalog, tmp_path: Path) -> None:
    assert (tmp_path / "catalog.db").stat().st_mode & 0o077 == 0
