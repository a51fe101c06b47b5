"""A store is done when it keeps what the contract promises."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nexus_store_sqlite import backend

from backends.base import BlobStore
from backends.testing import RemoteStoreContract


class Rows:
    """What lies in the file, as others see it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keys(self) -> list[str]:
        database = sqlite3.connect(self._path)
        found = [key for (key,) in database.execute("SELECT key FROM blobs")]
        database.close()
        return found

    def put(self, key: str, content: bytes) -> None:
        database = sqlite3.connect(self._path)
        with database:
            database.execute("REPLACE INTO blobs (key, content, stored_at) VALUES (?, ?, 0)", (key, content))
        database.close()


class TestSqlite(RemoteStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[BlobStore]:
        store = backend.open({"path": str(tmp_path / "blobs.db")})
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, tmp_path: Path) -> Rows:
        return Rows(tmp_path / "blobs.db")
