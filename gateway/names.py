"""What this worker knows of the configuration: mounts, their open stores, and buckets.

A snapshot belongs to one generation of the catalog. Each request asks for the current one, so a change made
through any worker is seen by the next request on every other; a write checks the generation again inside its
transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from backends.base import (
    DEFAULT_SCOPE,
    BlobStore,
    GroupedWrites,
    InlineReads,
    Probing,
    Remote,
    StoreError,
    StreamingWrites,
)
from backends.native import NativeStore
from gateway.catalog import config
from gateway.catalog.base import Catalog
from gateway.errors import (
    BackendNotFound,
    BucketNotFound,
    Conflict,
    ContentUnavailable,
    NotHeld,
    ReadOnlyMount,
    UnknownStorageClass,
)
from gateway.generation import Generation
from gateway.guard import DEADLINE, UNUSABLE, Guard, Health
from gateway.guarded import GuardedNative, GuardedStore, GuardedStreams, look
from gateway.layouts import LAYOUT, NATIVE
from gateway.mounts import MountTable
from gateway.storage_classes import STANDARD, TRANSITIONS
from gateway.types import Bucket, Mount, StoreInfo

log = logging.getLogger("nexus.mounts")

MAX_CACHED_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A configured store and the object that does its I/O, or why it could not be opened."""

    info: StoreInfo
    blobs: BlobStore | None
    problem: str = ""
    inline: InlineReads | None = None
    """The same store, where it hands out small blobs at once."""
    grouped: GroupedWrites | None = None
    """The same store, where it keeps many small blobs with one sync."""
    streaming: StreamingWrites | None = None
    """The same store, where it takes blobs piece by piece."""
    remote: Remote | None = None
    """The same store, where it is behind a network."""
    native: NativeStore | None = None
    """The store's other face, where its layout is native: its own keys. ``blobs`` are parts of uploads under way."""
    is_native: bool = False
    """Whether its layout is native, be it open or not."""
    guard: Guard | None = None
    """The breaker that its calls go through, where it may be out of order by itself: all but those on this machine."""

    def scope_for(self, bucket: Bucket) -> str:
        """Whose content a bucket's is: contents are shared within a scope only."""
        return bucket.tenant if self.info.dedup_scope == "tenant" else DEFAULT_SCOPE

    def use(self) -> BlobStore:
        if self.blobs is None:
            raise ContentUnavailable(f"the store {self.info.id} cannot be opened: {self.problem}")
        return self.blobs

    def health(self) -> Health:
        """How it is, as this process knows it."""
        if self.guard is not None:
            return self.guard.health()
        return Health(UNUSABLE, last_error=self.problem) if self.blobs is None else Health()

    def use_native(self) -> NativeStore:
        if self.native is None:
            raise ContentUnavailable(f"the store {self.info.id} cannot be opened: {self.problem}")
        return self.native


class NativeMount(NamedTuple):
    """A mount of a native store, as one bucket sees it."""

    mount: Mount
    store: OpenStore
    below: str
    """What those keys of the bucket begin with that it covers."""
    base: str
    """What they begin with in the store instead."""

    def key_of(self, key: str) -> str | None:
        """The store's name of a key; None where it is not covered, or is the mount point itself."""
        if not key.startswith(self.below) or len(key) == len(self.below):
            return None
        return self.base + key[len(self.below) :]


@dataclass(slots=True)
class Snapshot:
    """The configuration at one generation."""

    generation: int
    table: MountTable
    stores: Mapping[int, OpenStore]
    buckets: dict[str, Bucket] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    """The mount points that storage classes are bound to."""
    has_natives: bool = False
    """Whether any store is native: where none is, nobody pays for there being such."""
    _natives: dict[str, tuple[NativeMount, ...]] = field(default_factory=dict)

    def natives(self, bucket: str) -> tuple[NativeMount, ...]:
        """The native stores that are mounted over or in a bucket, in the order in which they win."""
        if not self.has_natives:
            return ()
        found = self._natives.get(bucket)
        if found is None:
            found = tuple(self._natives_of(bucket))
            if len(self._natives) < MAX_CACHED_BUCKETS:
                self._natives[bucket] = found
        return found

    def _natives_of(self, bucket: str) -> Iterator[NativeMount]:
        for mount in self.table.mounts:
            store = self.stores[mount.store_id]
            if not store.is_native:
                continue
            name, _, rest = mount.mount_point[1:].partition("/")
            if not name:
                yield NativeMount(mount, store, "", f"{bucket}/")
            elif name == bucket:
                yield NativeMount(mount, store, f"{rest}/" if rest else "", "")

    def writable(self, bucket: Bucket, key: str, storage_class: str = STANDARD) -> OpenStore:
        """The store that takes new content of a key: its path's, or the one its storage class is bound to.

        Raises BackendNotFound, ReadOnlyMount, UnknownStorageClass.
        """
        path = f"/{bucket.name}/{key}"
        mount = self.table.resolve_writable(path)
        if storage_class != STANDARD and self.stores[mount.store_id].is_native:
            raise NotHeld("This path is in a native store, whose objects have no other storage class than STANDARD.")
        if storage_class != STANDARD:
            if storage_class in self.classes:
                mount = self.bound(storage_class, path)
            elif storage_class not in TRANSITIONS:
                raise UnknownStorageClass(storage_class)
        return self.stores[mount.store_id]

    def bound(self, storage_class: str, path: str) -> Mount:
        """The mount that a bound class places content at. Raises BackendNotFound, ReadOnlyMount."""
        point = self.classes[storage_class]
        mount = self.table.find(point)
        if mount is None:
            raise BackendNotFound(point)
        if mount.readonly:
            raise ReadOnlyMount(path, point)
        if self.stores[mount.store_id].is_native:
            raise NotHeld(f"the storage class {storage_class} is bound to a native store, where each key has its place")
        return mount

    def holding(self, store_id: int, path: str) -> OpenStore:
        """The store that holds a placed content. Raises BackendNotFound while it is not mounted."""
        store = self.stores.get(store_id)
        if store is None:
            raise BackendNotFound(path)
        return store


@dataclass(frozen=True, slots=True)
class StoreKind:
    """A backend type, and the settings that a store of it needs and may have."""

    name: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoreFactory:
    """How stores come to be: given by the composition root, so that the core names no backend.

    ``open`` makes the store, ``identity`` tells whether two configurations mean the same store, ``mask`` hides
    secrets; ``seal`` and ``unseal`` keep a configuration encrypted at rest.
    """

    open: Callable[[str, Mapping[str, str]], BlobStore]
    identity: Callable[[str, Mapping[str, str]], str]
    mask: Callable[[str, Mapping[str, str]], dict[str, str]]
    seal: Callable[[Mapping[str, str]], bytes]
    unseal: Callable[[bytes], dict[str, str]]
    kinds: Callable[[], list[StoreKind]]
    open_native: Callable[[str, Mapping[str, str]], NativeStore | None]
    """Opens a store by its own keys; None where its layout is another."""
    resolve: Callable[[str, Mapping[str, str]], tuple[str, dict[str, str]]]
    """A type and configuration as they are kept, of those that people may say."""
    has_native: Callable[[str], bool]
    """Whether stores of a type have the layout ``native``."""
    check_new: Callable[[str, Mapping[str, str], list[tuple[str, Mapping[str, str]]]], None]
    """Raises StoreError for a store that must not be mounted beside others, of which it is told. Blocks."""
    is_here: Callable[[str], bool]
    """Whether stores of a type are on this machine, so that they are not out of order by themselves."""
    is_near: Callable[[GroupedWrites], bool]
    """Whether a store is on the catalog's own disk. The catalog's writer does the group writes of such stores alone:
    one on another disk, which may hang by itself, must not hold up the writes of all."""


class Names:
    """The name space: buckets and mounts, cached by generation."""

    def __init__(
        self,
        catalog: Catalog,
        generation: Generation,
        factory: StoreFactory,
        *,
        block_public_access: bool = False,
        classes: Mapping[str, str] | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._catalog = catalog
        self._generation = generation
        self._factory = factory
        self._deadline = deadline
        self._block_public_access = block_public_access
        self._classes = classes or {}
        self._opened: dict[int, OpenStore] = {}
        self.at_hand = Snapshot(0, MountTable(()), {})
        """The configuration as it was at the last look: whoever found a bucket has looked just now."""
        self._loading = asyncio.Lock()

    async def current(self) -> Snapshot:
        generation = self._generation.at_hand
        if generation is None:
            generation = await self._generation.current()
        if generation != self.at_hand.generation:
            await self._reload()
        return self.at_hand

    def forget(self) -> None:
        """Look again at once: a change was committed here just now."""
        self._generation.forget()

    async def bucket(self, name: str) -> Bucket:
        """Raises BucketNotFound."""
        snapshot = self.at_hand
        if self._generation.at_hand != snapshot.generation:
            snapshot = await self.current()
        found = snapshot.buckets.get(name)
        if found is None:
            found = await self._catalog.read(config.find_bucket, name)
            if found is None:
                raise BucketNotFound(name)
            if self._block_public_access:
                found = replace(found, blocked=True)
            if len(snapshot.buckets) < MAX_CACHED_BUCKETS:
                snapshot.buckets[name] = found
        return found

    def known(self, name: str) -> Bucket | None:
        """A bucket that this worker has at hand; as it was, should it have changed just now."""
        return self.at_hand.buckets.get(name)

    async def _reload(self) -> None:
        async with self._loading:
            # Read anew, and before the rows: a change in between makes the snapshot look old, never new.
            self._generation.forget()
            generation = await self._generation.current()
            if generation == self.at_hand.generation:
                return
            mounts = await self._catalog.read(config.load_mounts)
            mounted = {mount.store_id for mount in mounts}
            stores = {}
            for row in await self._catalog.read(config.load_stores):
                if row.id in mounted:
                    stores[row.id] = await asyncio.to_thread(self._open, row)
            classes = {**self._classes, **await self._catalog.read(config.load_classes)}
            has_natives = any(store.is_native for store in stores.values())
            for known in self._opened.values():
                if known.guard is not None:
                    known.guard.retired = known.info.id not in stores
                    known.guard.points = tuple(m.mount_point for m in mounts if m.store_id == known.info.id)
            self.at_hand = Snapshot(generation, MountTable(mounts), stores, {}, classes, has_natives)

    def _open(self, row: config.StoreRow) -> OpenStore:
        settings = self._factory.unseal(row.sealed_config)
        known = self._opened.get(row.id)
        if known and known.blobs is not None and known.info.config == settings:
            return known
        if known and known.guard is not None:
            known.guard.retired = True
        info = StoreInfo(row.id, row.backend_type, settings, row.block_size, row.dedup_scope)
        is_native = settings.get(LAYOUT) == NATIVE
        try:
            blobs = self._factory.open(row.backend_type, settings)
            native = self._factory.open_native(row.backend_type, settings)
            store = OpenStore(
                info,
                blobs,
                inline=blobs if isinstance(blobs, InlineReads) else None,
                grouped=blobs if isinstance(blobs, GroupedWrites) and self._factory.is_near(blobs) else None,
                streaming=blobs if isinstance(blobs, StreamingWrites) else None,
                remote=blobs if isinstance(blobs, Remote) else None,
                native=native,
                is_native=is_native,
            )
            if not self._factory.is_here(row.backend_type):
                shown = self._factory.mask(row.backend_type, settings)
                secrets = [value for name, value in settings.items() if shown[name] != value]
                store = guarded(store, secrets, self._deadline)
        except StoreError as error:
            # One store that is out of order must not take the others down.
            log.error("store %d (%s) cannot be opened: %s", row.id, row.backend_type, error)
            store = OpenStore(info, None, str(error), is_native=is_native)
        self._opened[row.id] = store
        return store

    async def close(self) -> None:
        for store in self._opened.values():
            if store.blobs is not None:
                await store.blobs.close()
            if store.native is not None:
                await store.native.close()
        self._opened.clear()


def guarded(store: OpenStore, secrets: Sequence[str], deadline: float) -> OpenStore:
    """A store whose calls go through a breaker of its own."""
    blobs = store.use()
    probing = store.native if store.native is not None else blobs
    probe = probing.probe if isinstance(probing, Probing) else partial(look, blobs)
    guard = Guard(probe, deadline=deadline, secrets=secrets)
    return replace(
        store,
        blobs=GuardedStore(blobs, guard),
        streaming=None if store.streaming is None else GuardedStreams(store.streaming, guard),
        native=None if store.native is None else GuardedNative(store.native, guard),
        guard=guard,
    )


async def same_bucket(names: Names, bucket: Bucket) -> Bucket:
    """A bucket as it is configured now. Raises BucketNotFound when it went, Conflict when it was made again."""
    found = await names.bucket(bucket.name)
    if found.id != bucket.id:
        raise Conflict("the bucket was deleted and made again meanwhile")
    return found
