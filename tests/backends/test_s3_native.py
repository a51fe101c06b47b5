"""Buckets of S3 services as they stand: the contract, against services that others wrote and our own gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.native import NativeStore
from backends.registry import open_native
from tests.contracts.native_store import NativeStoreContract
from tests.e2e.harness import Server, unique


class S3NativeContract(NativeStoreContract):
    @pytest.fixture
    async def store(self, service: dict[str, str]) -> AsyncIterator[NativeStore]:
        store = open_native("s3", {**service, "prefix": unique("native"), "layout": "native"})
        assert store is not None
        yield store
        await store.close()


class TestMoto(S3NativeContract):
    @pytest.fixture
    def service(self, moto: dict[str, str]) -> dict[str, str]:
        return moto


class TestGateway(S3NativeContract):
    @pytest.fixture
    def service(self, other_gateway: tuple[Server, dict[str, str]]) -> dict[str, str]:
        return other_gateway[1]


class TestVersity(S3NativeContract):
    """Its keys are paths, and what was said of an object's predecessor clings to it: neither is S3."""

    test_writing_replaces_content_and_what_is_said = None
    test_describing_leaves_the_bytes_alone = None
    test_a_key_is_held_or_refused_never_changed = None

    @pytest.fixture
    def service(self, versity: dict[str, str]) -> dict[str, str]:
        return versity
