"""What look-ups found is kept while nothing changes, and never a moment longer, whoever changes it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog.base import Lookup, Program, Row
from gateway.catalog.sqlite import MOST_KEPT, SqliteCatalog


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[SqliteCatalog]:
    catalog = SqliteCatalog(tmp_path / "catalog.db", kept_lookups=4)
    yield catalog
    await catalog.close()


@pytest.fixture
async def other(catalog: SqliteCatalog, tmp_path: Path) -> AsyncIterator[SqliteCatalog]:
    other = SqliteCatalog(tmp_path / "catalog.db")
    yield other
    await other.close()


def _first(rows: list[Row]) -> int | None:
    return rows[0][0] if rows else None


def value(name: str) -> Lookup[int | None]:
    return Lookup("SELECT value FROM meta WHERE name = ?", (name,), _first)


def put(name: str, number: int) -> Program[None]:
    yield "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2", (name, number)


def drop(name: str) -> Program[None]:
    yield "DELETE FROM meta WHERE name = ?", (name,)


def asked(catalog: SqliteCatalog) -> list[str]:
    """The statements that look-ups run from now on."""
    statements: list[str] = []
    catalog._reader.set_trace_callback(lambda sql: statements.append(sql) if sql.startswith("SELECT") else None)
    return statements


async def next_turn() -> None:
    await asyncio.sleep(0)


async def test_the_same_look_up_is_asked_once(catalog: SqliteCatalog) -> None:
    await catalog.write(put, "a", 1)
    statements = asked(catalog)
    for _ in range(3):
        assert await catalog.find(value("a")) == 1
        assert await catalog.find(value("none")) is None
        await next_turn()
    assert len(statements) == 2


async def test_what_one_s_own_writer_and_others_change_is_seen(catalog: SqliteCatalog, other: SqliteCatalog) -> None:
    for number in range(20):
        for writer in (catalog, other):
            assert await catalog.find(value("a")) == await other.find(value("a"))
            await writer.write(put, "a", number)
            assert await catalog.find(value("a")) == await other.find(value("a")) == number
            await writer.write(drop, "a")
            assert await catalog.find(value("a")) is await other.find(value("a")) is None


async def test_changes_are_seen_across_restarts_of_the_log(
    catalog: SqliteCatalog, other: SqliteCatalog, tmp_path: Path
) -> None:
    shell = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
    for number in range(50):
        for mode in ("PASSIVE", "RESTART", "TRUNCATE"):
            await next_turn()  # nobody reads: the log can begin anew
            shell.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            assert await catalog.find(value("a")) == await other.find(value("a"))
            await other.write(put, "a", number)
            assert await catalog.find(value("a")) == number
            await next_turn()
            shell.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            assert await catalog.find(value("a")) == await other.find(value("a")) == number
    shell.close()


async def test_a_change_of_the_schema_and_a_file_written_anew_are_seen(catalog: SqliteCatalog, tmp_path: Path) -> None:
    shell = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
    for number, change in enumerate(("ALTER TABLE meta ADD COLUMN more", "VACUUM", "CREATE TABLE extra (a)"), 1):
        await next_turn()
        shell.execute(change)
        shell.execute("INSERT INTO meta (name, value) VALUES ('a', ?1) ON CONFLICT DO UPDATE SET value = ?1", (number,))
        assert await catalog.find(value("a")) == number
    shell.close()


async def test_a_write_that_was_undone_changes_nothing(catalog: SqliteCatalog) -> None:
    def put_and_fail() -> Program[None]:
        yield from put("a", 7)
        raise LookupError

    assert await catalog.find(value("a")) is None
    with pytest.raises(LookupError):
        await catalog.write(put_and_fail)
    assert await catalog.find(value("a")) is None


async def test_those_used_last_are_kept(catalog: SqliteCatalog) -> None:
    for name in "abcd":
        await catalog.find(value(name))
    await catalog.find(value("a"))
    await catalog.find(value("e"))
    statements = asked(catalog)
    for name in "eadc":
        await catalog.find(value(name))
    assert not statements
    await catalog.find(value("b"))
    assert len(statements) == 1 and len(catalog._kept) == 4


async def test_what_is_large_is_not_kept(catalog: SqliteCatalog) -> None:
    large = Lookup("SELECT hex(zeroblob(?))", (MOST_KEPT,), _first)
    assert await catalog.find(large) and not catalog._kept


async def test_nothing_is_kept_where_none_may_be(tmp_path: Path) -> None:
    catalog = SqliteCatalog(tmp_path / "catalog.db", kept_lookups=0)
    await catalog.find(value("a"))
    assert not catalog._kept
    await catalog.close()


async def test_what_cannot_be_asked_for_changes_is_forgotten(catalog: SqliteCatalog, other: SqliteCatalog) -> None:
    class Failing:
        """The reader's connection, on a disk that fails."""

        def __init__(self, inner: sqlite3.Connection) -> None:
            self.inner, self.fails = inner, True

        def execute(self, sql: str, *more: Any) -> Any:
            if self.fails and sql.startswith("PRAGMA"):
                raise sqlite3.OperationalError("disk I/O error")
            return self.inner.execute(sql, *more)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    assert await catalog.find(value("a")) is None
    await other.write(put, "a", 1)
    failing: Any = Failing(catalog._reader)
    catalog._reader = failing
    with pytest.raises(sqlite3.OperationalError):
        await catalog.find(value("a"))
    assert await catalog.find(value("a")) == 1  # in the turn whose snapshot was not taken
    failing.fails = False
    await next_turn()
    assert await catalog.find(value("a")) == 1


async def test_many_tasks_see_what_was_acknowledged(catalog: SqliteCatalog, other: SqliteCatalog) -> None:
    """Registers that only grow, written and read through two catalogs at once: no read is older than what is known."""
    chance = random.Random(1)
    known: dict[str, int] = {}

    async def work() -> None:
        for _ in range(150):
            name = chance.choice("abcdefgh")
            if chance.random() < 0.2:
                number = known.get(name, 0)
                done = await chance.choice((catalog, other)).write(grow, name)
                assert done > number
                known[name] = max(done, known.get(name, 0))
            else:
                number = known.get(name, 0)
                found = await chance.choice((catalog, other)).find(value(name))
                assert (found or 0) >= number
                known[name] = max(found or 0, known.get(name, 0))
            await next_turn()

    await asyncio.gather(*(work() for _ in range(8)))


def grow(name: str) -> Program[int]:
    sql = "INSERT INTO meta VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
    rows = yield sql, (name,)
    return int(rows[0][0])
