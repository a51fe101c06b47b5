"""Buckets of Google Cloud Storage as they stand, against fake-gcs-server, and what only Google answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.native import NativeStore
from backends.remote_native import RemoteNative
from tests.contracts.native_store import NativeStoreContract
from tests.e2e.harness import unique
from tests.faithful_gcs import faithful


class TestFakeGcs(NativeStoreContract):
    @pytest.fixture
    async def store(self, fake_gcs: dict[str, str]) -> AsyncIterator[NativeStore]:
        store = RemoteNative(faithful(fake_gcs), f"{unique('native')}/", timeout=10)
        yield store
        await store.close()
