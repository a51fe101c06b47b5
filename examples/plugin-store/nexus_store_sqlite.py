"""Blobs in one SQLite file: a template of a store that is a package of its own. docs/plugins.md explains it."""

import io
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.base import ByteRange, StoreFull, StoreMisconfigured, StoreUnavailable
from backends.registry import BackendType
from backends.remote import Body, Entry, RemoteStore

PAGE, PASSING = 1000, (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR)
TABLE = """CREATE TABLE IF NOT EXISTS blobs (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL, stored_at REAL NOT NULL)"""


class SqliteFile:
    """A Container: every method blocks, makes one attempt and may be called by many threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _run(self, statement: str, *values: Any) -> tuple[list[Any], int]:
        """What one statement finds and how many rows it changed, durably; failures told as the contract has them."""
        try:
            database = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            try:
                database.execute("PRAGMA synchronous = FULL")
                database.execute(TABLE)
                cursor = database.execute(statement, values)
                return cursor.fetchall(), cursor.rowcount
            finally:
                database.close()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise StoreFull(f"no room for {self._path}") from error
            if code in PASSING:
                raise StoreUnavailable(f"{self._path} cannot be used now: {error}") from error
            raise StoreMisconfigured(f"{self._path} cannot be used: {error}") from error

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        insert = "INSERT INTO blobs (key, content, stored_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        return self._run(insert, key, content, time.time())[1] == 1

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        self._run("REPLACE INTO blobs (key, content, stored_at) VALUES (?, ?, ?)", key, content, time.time())

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        return self._run("SELECT content = ? FROM blobs WHERE key = ?", content, key)[0] == [(1,)]

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        start, stop = span or (0, 1 << 30)
        found, _ = self._run("SELECT substr(content, ?, ?) FROM blobs WHERE key = ?", start + 1, stop - start, key)
        return Part(found[0][0] or b"") if found else None

    def head(self, key: str) -> Entry | None:
        select = "SELECT key, length(content), stored_at, CAST(id AS TEXT) FROM blobs WHERE key = ?"
        return next((Entry(*row) for row in self._run(select, key)[0]), None)

    def remove(self, key: str, version: str) -> None:
        _, removed = self._run("DELETE FROM blobs WHERE key = ? AND id = ?", key, int(version))
        if not removed and self.head(key) is not None:
            raise StoreUnavailable("a blob was written again while it was being removed")

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        select = "SELECT key, length(content), stored_at FROM blobs WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
        found, _ = self._run(select, token or prefix, prefix + "\U0010ffff", PAGE)
        return [Entry(*row) for row in found], found[-1][0] if len(found) == PAGE else ""

    def check(self) -> None:
        self._run("SELECT 1 FROM blobs")

    def close(self) -> None:
        """Nothing is open between two calls."""


class Part(io.BytesIO):
    """A Body. It may be in memory, since a blob has 8 MiB at most; from a slow service, read it as it comes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.size = len(content)


def _path(config: Mapping[str, str]) -> Path:
    path = Path(config["path"])
    if not path.is_absolute() or not path.parent.is_dir():
        raise StoreMisconfigured(f"path must be an absolute path in a directory that exists: {path}")
    return path.resolve()


backend = BackendType(
    open=lambda config: RemoteStore(SqliteFile(_path(config)), "", timeout=30, threads=4),
    identity=lambda config: str(_path(config)),
    required=frozenset({"path"}),
)
