"""The in-memory store is a real one: it keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.memory import MemoryStore
from tests.contracts.blob_store import BlobStoreContract


class TestMemory(BlobStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore()
        yield store
        await store.close()
