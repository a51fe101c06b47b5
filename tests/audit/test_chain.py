"""The chain finds whatever somebody with the catalog, but without the key, does to the log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.app import CATALOG_FILE, open_core
from gateway.audit.chain import GENESIS, canonical, head_proof, link
from gateway.audit.deeds import Deed, judged
from gateway.audit.log import Head
from gateway.catalog.audit_log import Wanted
from gateway.core import Core
from gateway.errors import UserExists
from gateway.settings import Settings

Tamper = Callable[[sqlite3.Connection], object]


def deed(action: str, user: str = "alice") -> Deed:
    return Deed(action, user, "NXKEY", "default", "127.0.0.1", "R1", "/x", {"secret": "hush"})


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(Settings(data_dir=tmp_path / "data", durability="none")) as opened:
        yield opened


async def fill(core: Core, count: int = 5) -> None:
    for number in range(count):
        async with core.audit.recording(deed(f"act-{number}"), judged):
            await core.users.create_user(f"user-{number}")


def _unlocked(conn: sqlite3.Connection) -> None:
    """Somebody with the file takes the triggers off first."""
    conn.execute("DROP TRIGGER audit_log_keeps")
    conn.execute("DROP TRIGGER audit_log_lasts")


def _swap(conn: sqlite3.Connection) -> None:
    conn.execute("UPDATE audit_log SET seq = 100 WHERE seq = 3")
    conn.execute("UPDATE audit_log SET seq = 3 WHERE seq = 4")
    conn.execute("UPDATE audit_log SET seq = 4 WHERE seq = 100")


def _rewrite_all(conn: sqlite3.Connection) -> None:
    """A whole chain, made anew under a key that somebody made up."""
    key, former = b"k" * 32, GENESIS
    rows = conn.execute("SELECT seq, entry FROM audit_log ORDER BY seq").fetchall()
    for seq, entry in rows:
        former = link(key, former, entry)
        conn.execute("UPDATE audit_log SET hash = ? WHERE seq = ?", (former, seq))
    conn.execute("UPDATE audit_head SET proof = ?", (head_proof(key, rows[-1][0], former),))


TAMPERINGS: list[tuple[str, Tamper, int]] = [
    ("changed", lambda conn: conn.execute("UPDATE audit_log SET entry = replace(entry, 'act-1', 'act-9')"), 3),
    ("its columns changed", lambda conn: conn.execute("UPDATE audit_log SET user_id = 'bob' WHERE seq = 4"), 4),
    ("its hash changed", lambda conn: conn.execute("UPDATE audit_log SET hash = zeroblob(32) WHERE seq = 2"), 2),
    ("removed", lambda conn: conn.execute("DELETE FROM audit_log WHERE seq = 3"), 3),
    ("the first removed", lambda conn: conn.execute("DELETE FROM audit_log WHERE seq = 1"), 1),
    ("reordered", _swap, 3),
    ("tail cut", lambda conn: conn.execute("DELETE FROM audit_log WHERE seq > 4"), 5),
    ("all cut", lambda conn: conn.execute("DELETE FROM audit_log"), 1),
    ("the head gone", lambda conn: conn.execute("DELETE FROM audit_head"), 6),
    (
        "tail and head cut",
        lambda conn: (
            conn.execute("DELETE FROM audit_log WHERE seq > 4"),
            conn.execute("UPDATE audit_head SET seq = 4, proof = (SELECT hash FROM audit_log WHERE seq = 4)"),
        ),
        4,
    ),
    ("made anew", _rewrite_all, 1),
]


@pytest.mark.parametrize(("what", "tamper", "at"), TAMPERINGS, ids=[each[0] for each in TAMPERINGS])
async def test_verifying_finds_what_was_done_to_the_log(
    core: Core, tmp_path: Path, what: str, tamper: Tamper, at: int
) -> None:
    await fill(core)
    sound = await core.audit.verify()
    assert (sound.entries, sound.complaints) == (6, [])

    with sqlite3.connect(tmp_path / "data" / CATALOG_FILE) as conn:
        _unlocked(conn)
        tamper(conn)
    found = await core.audit.verify()
    assert found.complaints and found.complaints[0][0] == at, (what, found)


async def test_the_catalog_itself_refuses_to_change_entries(core: Core, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "data" / CATALOG_FILE) as conn:
        for statement in ("UPDATE audit_log SET at = 0", "DELETE FROM audit_log"):
            with pytest.raises(sqlite3.IntegrityError, match="only added to"):
                conn.execute(statement)


async def test_a_noted_head_proves_what_came_before_it(core: Core) -> None:
    await fill(core, 2)
    noted = await core.audit.head()
    await fill_more(core)
    assert not (await core.audit.verify(noted)).complaints
    assert (await core.audit.verify(Head(noted.seq, "0" * 64))).complaints == [(noted.seq, "is not what was noted")]
    assert (await core.audit.verify(Head(99, noted.hash))).complaints == [(99, "is not what was noted")]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda conn: conn.execute("DELETE FROM audit_log WHERE seq > 4"),
        lambda conn: conn.execute("DELETE FROM audit_log"),
        lambda conn: (
            conn.execute("DELETE FROM audit_log WHERE seq > 4"),
            conn.execute("UPDATE audit_head SET seq = 4"),
        ),
        lambda conn: (
            conn.execute("DELETE FROM audit_log"),
            conn.execute("UPDATE audit_head SET seq = 0, proof = x''"),
        ),
    ],
    ids=["tail", "all", "tail and number of the head", "all and the head emptied"],
)
async def test_what_was_cut_off_is_missing_after_more_entries_too(core: Core, tmp_path: Path, tamper: Tamper) -> None:
    await fill(core)
    with sqlite3.connect(tmp_path / "data" / CATALOG_FILE) as conn:
        _unlocked(conn)
        tamper(conn)
    for _ in range(3):
        await fill_more(core)
        found = (await core.audit.verify()).complaints
        assert len(found) == 1 and "missing" in found[0][1], found


async def test_a_noted_head_finds_an_older_one_put_back(core: Core, tmp_path: Path) -> None:
    """Which is all that can: to who kept it, an older head is as good as it was."""
    await fill(core, 2)
    with sqlite3.connect(tmp_path / "data" / CATALOG_FILE) as conn:
        older = conn.execute("SELECT seq, proof FROM audit_head").fetchone()
    await fill_more(core)
    noted = await core.audit.head()
    with sqlite3.connect(tmp_path / "data" / CATALOG_FILE) as conn:
        _unlocked(conn)
        conn.execute("DELETE FROM audit_log WHERE seq > ?", (older[0],))
        conn.execute("UPDATE audit_head SET seq = ?, proof = ?", older)
    assert not (await core.audit.verify()).complaints
    assert (await core.audit.verify(noted)).complaints == [(noted.seq, "is not what was noted")]


async def fill_more(core: Core) -> None:
    async with core.audit.recording(deed("nothing"), judged):
        pass


async def test_the_entry_is_in_the_transaction_of_the_change(core: Core) -> None:
    await fill(core, 1)
    with pytest.raises(UserExists):
        async with core.audit.recording(deed("again"), judged):
            await core.users.create_user("user-0")
    await fill_more(core)
    entries = await core.audit.list(Wanted(after=1), 10, newest=False)
    assert [(each.action, each.outcome) for each in entries] == [
        ("act-0", "done"),
        ("again", "failed"),
        ("nothing", "done"),
    ]
    assert "hush" not in "".join(each.entry for each in entries)


async def test_of_several_changes_the_first_carries_the_one_entry(core: Core) -> None:
    async with core.audit.recording(deed("both"), judged):
        await asyncio.gather(core.users.create_user("one"), core.users.create_user("two"))
        await core.users.create_user("three")
    assert [each.action for each in await core.audit.list(Wanted(after=1), 10, newest=False)] == ["both"]


async def test_several_processes_add_to_one_chain(core: Core, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", durability="none")
    async with open_core(settings) as second, open_core(settings) as third:

        async def act(core: Core, number: int) -> None:
            async with core.audit.recording(deed(f"act-{number}"), judged):
                if number % 2:
                    await core.users.create_user(f"user-{number}")

        await asyncio.gather(*(act((core, second, third)[number % 3], number) for number in range(90)))
        verdict = await second.audit.verify()
    assert (verdict.entries, verdict.complaints) == (91, [])
    done = await core.audit.list(Wanted(after=1), 100, newest=False)
    assert {each.action for each in done} == {f"act-{number}" for number in range(90)}


async def test_nobody_fills_the_log_with_refusals(core: Core) -> None:
    for _ in range(70):
        await core.audit.refuse(deed("admin_create_user", "mallory"), "no")
    assert len(await core.audit.list(Wanted(user="mallory"), 100, newest=False)) <= 60 * 2
    await core.audit.refuse(Deed("x", None, None, None, "1.2.3.4", "R"), "no")
    assert not await core.audit.list(Wanted(action="x"), 1, newest=False)


def test_an_entry_has_one_text() -> None:
    assert canonical({"b": 1, "a": "ä"}) == '{"a":"ä","b":1}'
