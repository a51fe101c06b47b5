"""Which layout a new mount's store has: as its configuration says, or as what is in the store tells."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from backends.base import StoreError
from backends.native import NativeStore

if TYPE_CHECKING:
    from gateway.names import Snapshot, StoreFactory

LAYOUT = "layout"
NATIVE, CAS = "native", "cas"
_MARKER = "nexus-store.json"
_BLOBS = ("cas/", "tenants/")
_BLOB = re.compile(r"(tenants/[a-z0-9._-]+/)?cas/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}")


async def with_layout(
    factory: StoreFactory, snapshot: Snapshot, backend_type: str, settings: Mapping[str, str], readonly: bool
) -> tuple[str, dict[str, str]]:
    """A type and configuration as they are kept. What is mounted read-only, and is no store of ours, is native.

    Raises StoreError, also where there is nothing yet that could be read.
    """
    backend_type, options = factory.resolve(backend_type, settings)
    if not readonly or LAYOUT in options or not factory.has_native(backend_type):
        return backend_type, options
    identity = await asyncio.to_thread(factory.identity, backend_type, options)
    for store in snapshot.stores.values():
        if await asyncio.to_thread(_identity, factory, store.info.backend_type, store.info.config) == identity:
            return backend_type, options
    native = {**options, LAYOUT: NATIVE}
    # To see what is in it, it is asked: nothing is, that may not be mounted.
    others: list[tuple[str, Mapping[str, str]]]
    others = [(store.info.backend_type, store.info.config) for store in snapshot.stores.values()]
    await asyncio.to_thread(factory.check_new, backend_type, native, others)
    opened = await asyncio.to_thread(factory.open_native, backend_type, native)
    assert opened is not None
    try:
        await opened.probe()
        return backend_type, options if await _is_ours(opened) else native
    finally:
        await opened.close()


def _identity(factory: StoreFactory, backend_type: str, config: Mapping[str, str]) -> str | None:
    try:
        return factory.identity(backend_type, config)
    except StoreError:
        return None


async def _is_ours(store: NativeStore) -> bool:
    """Whether a store carries our marker, or blobs."""
    if await store.find(_MARKER) is not None:
        return True
    for prefix in _BLOBS:
        page = await store.list(prefix, "", "", 1)
        if any(_BLOB.fullmatch(entry.key) for entry in page.entries):
            return True
    return False
