"""Groups of writes in which anything fails at random: everybody is told, and told the truth.

Programs are brief and long, refuse before and after they changed something, ask for preludes that fail; clients leave;
and statements of every kind, the writer's own too, fail as they do on a disk that is full or broken: the statement
alone, or the whole transaction with it.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog.base import Many, Prelude, Program, brief
from gateway.catalog.sqlite import SqliteCatalog

WRITES = 400


class Refused(Exception):
    """What a program says no with."""


class Faulty:
    """A connection some of whose statements fail, and sometimes end the transaction by that."""

    def __init__(self, conn: sqlite3.Connection, rng: random.Random) -> None:
        self._conn = conn
        self._rng = rng
        self.rate = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self._perhaps_fail()
        return self._conn.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        self._perhaps_fail()
        return self._conn.executemany(sql, parameters)

    def _perhaps_fail(self) -> None:
        if self._rng.random() >= self.rate:
            return
        if self._rng.random() < 0.5 and self._conn.in_transaction:
            self._conn.execute("ROLLBACK")
        raise sqlite3.OperationalError(self._rng.choice(["disk I/O error", "database or disk is full"]))


@dataclass
class Store:
    """What preludes make durable."""

    rng: random.Random
    kept: set[int] = field(default_factory=set)
    rate: float = 0.0

    def keep(self, items: list[int]) -> None:
        if self.rng.random() < self.rate:
            raise OSError("the store fails")
        self.kept.update(items)


def _verb(kind: int) -> Callable[..., Program[int]]:
    def program(number: int, store: Store) -> Program[int]:
        found = yield "SELECT count(*) FROM rows", ()
        if kind == 1:
            raise Refused(number)
        yield "INSERT INTO rows VALUES (?)", (number,)
        yield "UPDATE total SET value = value + ?", (number,)
        if kind == 2:
            yield Prelude(store.keep, number)
        if kind == 3:
            raise Refused(number)
        if kind == 4:
            yield Many("INSERT INTO more VALUES (?, ?)", [(number, n) for n in range(50)])
        if kind == 5:
            yield "INSERT INTO rows VALUES (?)", (number,)  # is there already
        return number + 0 * len(found)

    return program


PLAIN = [_verb(kind) for kind in range(6)]
BRIEF = [brief(_verb(kind)) for kind in range(6)]


@pytest.mark.parametrize("seed", range(4))
async def test_everybody_is_told_the_truth(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    catalog = SqliteCatalog(tmp_path / "catalog.db", fsync=False)
    conn = catalog._writer
    conn.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY)")
    conn.execute("CREATE TABLE more (number INTEGER, n INTEGER)")
    conn.execute("CREATE TABLE total AS SELECT 0 AS value")
    faulty, store = Faulty(conn, rng), Store(rng)
    catalog._writing.conn = faulty  # type: ignore[assignment]
    told: dict[int, str] = {}
    to_keep: set[int] = set()

    async def client(number: int) -> None:
        kind = rng.choice([0, 0, 0, 1, 2, 2, 3, 4, 5])
        if kind == 2:
            to_keep.add(number)
        write = catalog.write(rng.choice([PLAIN, BRIEF])[kind], number, store)
        try:
            patience = rng.choice([None, None, None, 0.0, 0.001])
            assert await asyncio.wait_for(write, patience) == number
            told[number] = "done"
        except TimeoutError:
            told[number] = "left"
        except Exception:
            told[number] = "failed"

    for first in range(0, WRITES, 40):
        faulty.rate, store.rate = rng.choice([(0.0, 0.0), (0.0, 0.4), (0.02, 0.0), (0.1, 0.2)])
        await asyncio.wait_for(asyncio.gather(*(client(n) for n in range(first, first + 40))), 20)
    faulty.rate = store.rate = 0.0
    await asyncio.wait_for(client(WRITES), 20)
    await asyncio.wait_for(catalog.close(), 20)
    with sqlite3.connect(tmp_path / "catalog.db") as look:
        rows = {number for (number,) in look.execute("SELECT number FROM rows")}
        more = {number for (number,) in look.execute("SELECT number FROM more GROUP BY number HAVING count(*) = 50")}
        assert {number for (number,) in look.execute("SELECT DISTINCT number FROM more")} == more <= rows
        assert look.execute("SELECT value FROM total").fetchall() == [(sum(rows),)]
    look.close()
    assert len(told) == WRITES + 1
    assert {number for number, what in told.items() if what == "done"} <= rows
    assert not {number for number, what in told.items() if what == "failed"} & rows
    assert rows & to_keep <= store.kept
    assert len({what for what in told.values()}) == 3
