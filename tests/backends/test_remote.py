"""Removals that are late: what no emulator does, and a network may."""

from __future__ import annotations

import pytest

from backends.base import StoreError, StoreUnavailable
from backends.remote import Entry, RemoteStore
from backends.retrying import Retries
from tests.contracts.blob_store import name_of

NAME = name_of(b"x")


class Late:
    """A container whose first removal gets lost, and where somebody writes the same bytes again meanwhile."""

    def __init__(self, *versions: str) -> None:
        self._versions = list(versions)
        self.removed: list[str] = []

    def head(self, key: str) -> Entry | None:
        return Entry(key, 1, 0.0, self._versions.pop(0)) if self._versions else None

    def remove(self, key: str, version: str) -> None:
        self.removed.append(version)
        if len(self.removed) == 1:
            raise StoreUnavailable("no answer")

    def close(self) -> None:
        return None


def store_on(container: Late) -> RemoteStore:
    return RemoteStore(container, "", timeout=1, retries=Retries(5, 5, 0.001))  # type: ignore[arg-type]


async def test_a_removal_is_repeated_for_the_write_that_is_there_now() -> None:
    container = Late("one", "two")
    store = store_on(container)
    await store.delete(NAME)
    assert container.removed == ["one", "two"]
    await store.close()


async def test_a_removal_that_may_hit_a_later_write_is_not_repeated() -> None:
    container = Late("", "")
    store = store_on(container)
    with pytest.raises(StoreError, match="may have happened, or happen yet: no answer"):
        await store.delete(NAME)
    assert container.removed == [""]
    await store.close()


async def test_what_is_absent_is_not_removed() -> None:
    container = Late()
    store = store_on(container)
    await store.delete(NAME)
    assert container.removed == []
    await store.close()
