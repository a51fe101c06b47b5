"""What the engine promises, beyond what single programs do."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.catalog.base import Busy, Program
from gateway.catalog.config import generation
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


def bump_and_fail() -> Program[None]:
    yield from bump(1000)
    raise LookupError("no")


async def test_a_failure_undoes_only_itself_within_a_group(catalog: SqliteCatalog) -> None:
    results = await asyncio.gather(
        *(catalog.write(bump_and_fail if n % 3 == 0 else bump) for n in range(30)), return_exceptions=True
    )
    assert sum(isinstance(result, LookupError) for result in results) == 10
    assert await catalog.read(generation) == 1 + 20


async def test_writes_that_queue_up_share_commits(catalog: SqliteCatalog) -> None:
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    catalog._writer.set_trace_callback(count)
    await asyncio.gather(*(catalog.write(bump) for _ in range(300)))
    assert await catalog.read(generation) == 301
    assert commits < 30


async def test_reads_see_what_was_acknowledged_and_go_on_during_writes(catalog: SqliteCatalog) -> None:
    for expected in range(2, 20):
        assert await catalog.write(bump) == expected
        assert await catalog.read(generation) == expected
        assert await catalog.scan(generation) == expected


async def test_a_turns_snapshot_is_never_older_than_what_was_acknowledged(
    catalog: SqliteCatalog, tmp_path: Path
) -> None:
    other = SqliteCatalog(tmp_path / "catalog.db")
    ended = False

    async def write(by: SqliteCatalog) -> None:
        for _ in range(40):
            done = await by.write(bump)
            assert await catalog.read(generation) >= done
            assert await other.read(generation) >= done

    async def read() -> None:
        seen = 0
        while not ended:
            now = await catalog.read(generation)
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
        before = _in_loop(catalog.read(generation))  # its turn never ends: the loop does
        other_after = _in_loop(other.write(bump))
        assert other_after == before + 1
        assert _in_loop(catalog.read(generation)) == other_after
        _in_loop(catalog.close())
        _in_loop(other.close())

    await asyncio.to_thread(run_both)


def _in_loop(coroutine: Coroutine[object, object, T]) -> T:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


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
    assert await catalog.read(generation) == 901


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
