"""The catalog contract on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.catalog.sqlite import SqliteCatalog
from tests.contracts.catalog import CatalogContract, world

__all__ = ["world"]


class TestSqlite(CatalogContract):
    @pytest.fixture
    async def catalog(self, tmp_path: Path) -> AsyncIterator[SqliteCatalog]:
        catalog = SqliteCatalog(tmp_path / "catalog.db", fsync=False)
        yield catalog
        await catalog.close()
