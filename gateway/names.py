"""What this worker knows of the configuration: mounts, their open stores, and buckets.

A snapshot belongs to one generation of the catalog. Each request asks for the current one, so a change made
through any worker is seen by the next request on every other; a write checks the generation again inside its
transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
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
from gateway.acl import ENFORCED
from gateway.catalog import config
from gateway.catalog.base import Catalog
from gateway.catalog.placement import Held, held_by
from gateway.errors import (
    BackendNotFound,
    BadMount,
    BadRequest,
    BucketNotFound,
    Conflict,
    ContentUnavailable,
    MountNotFound,
    NotHeld,
    ReadOnlyMount,
    UnknownStorageClass,
)
from gateway.generation import Generation
from gateway.guard import DEADLINE, OK, OPEN, UNUSABLE, Guard, Health
from gateway.guarded import GuardedNative, GuardedStore, GuardedStreams, look
from gateway.layouts import LAYOUT, NATIVE, with_layout
from gateway.mount_trial import Trial, try_blobs, try_native, unusable
from gateway.mounts import MountTable, bucket_of, check_mount_point, reasons
from gateway.public_access import configs_of_new_bucket
from gateway.storage_classes import STANDARD, TRANSITIONS, check_class_name
from gateway.types import Bucket, Mount, Principal, StoreInfo

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
        mount = next((mount for mount in self.table.mounts if mount.mount_point == point), None)
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
class MountView:
    """A mount as people see it; secrets in its configuration are masked."""

    mount_point: str
    backend_type: str
    priority: int
    readonly: bool
    store_id: int
    config: dict[str, str]
    created_at: int
    problem: str = ""
    state: str = OK
    """``ok``, ``degraded`` (the last call failed), ``open`` (the breaker: it is not asked) or ``unusable``."""
    open_until: int | None = None
    """Unix milliseconds; of the process that answers, as the rest below."""
    last_error: str = ""
    last_error_at: int | None = None
    latency_ms: float | None = None
    """Of the last probe that was answered."""
    managed_by: str | None = None
    """The file that declares it."""


@dataclass(frozen=True, slots=True)
class Depending:
    """What depends on a mount. Nothing in its store does, where others mount that as well."""

    mount_point: str
    native: bool
    """Whether its store's own keys are shown as long as it is mounted, which are not counted."""
    also_mounted_at: list[str]
    storage_classes: list[str]
    objects: int
    versions: int
    parts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ClassView:
    """A storage class that is bound to a store, as people see it."""

    storage_class: str
    mount_point: str
    store_id: int | None
    problem: str = ""


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
        self._snapshot = Snapshot(0, MountTable(()), {})
        self._loading = asyncio.Lock()

    async def current(self) -> Snapshot:
        if await self._generation.current() != self._snapshot.generation:
            await self._reload()
        return self._snapshot

    def forget(self) -> None:
        """Look again at once: a change was committed here just now."""
        self._generation.forget()

    async def bucket(self, name: str) -> Bucket:
        """Raises BucketNotFound."""
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

    @property
    def at_hand(self) -> Snapshot:
        """The configuration as it was at the last look: whoever found a bucket has looked just now."""
        return self._snapshot

    def known(self, name: str) -> Bucket | None:
        """A bucket that this worker has at hand; as it was, should it have changed just now."""
        return self._snapshot.buckets.get(name)

    async def _reload(self) -> None:
        async with self._loading:
            # Read anew, and before the rows: a change in between makes the snapshot look old, never new.
            self._generation.forget()
            generation = await self._generation.current()
            if generation == self._snapshot.generation:
                return
            mounts = await self._catalog.read(config.load_mounts)
            mounted = {mount.store_id for mount in mounts}
            stores = {}
            for row in await self._catalog.read(config.load_stores):
                if row.id in mounted:
                    stores[row.id] = await asyncio.to_thread(self._open, row)
            classes = {**self._classes, **await self._catalog.read(config.load_classes)}
            has_natives = any(store.is_native for store in stores.values())
            for store in stores.values():
                if store.guard is not None:
                    store.guard.points = tuple(each.mount_point for each in mounts if each.store_id == store.info.id)
            self._snapshot = Snapshot(generation, MountTable(mounts), stores, {}, classes, has_natives)

    def _open(self, row: config.StoreRow) -> OpenStore:
        settings = self._factory.unseal(row.sealed_config)
        known = self._opened.get(row.id)
        if known and known.blobs is not None and known.info.config == settings:
            return known
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


class Mounts:
    """Adding, removing and explaining mounts. Admins only: the doors see to that."""

    def __init__(
        self,
        catalog: Catalog,
        names: Names,
        factory: StoreFactory,
        *,
        block_size: int,
        region: str,
        ownership: str = ENFORCED,
    ) -> None:
        self._catalog = catalog
        self._names = names
        self._factory = factory
        self.block_size = block_size
        self._region = region
        self._ownership = ownership

    async def add(
        self,
        mount_point: str,
        backend_type: str,
        settings: Mapping[str, str],
        priority: int = 0,
        readonly: bool = False,
        *,
        owner: Principal,
    ) -> MountView:
        """Mount a store at a prefix; makes the bucket it names. Raises BadMount, MountExists."""
        mount_point = check_mount_point(mount_point)
        options = dict(settings)
        scope = options.pop("dedup_scope", "tenant")
        if scope not in ("tenant", "store"):
            raise BadMount("dedup_scope is 'tenant' or 'store'")
        try:
            snapshot = await self._names.current()
            backend_type, options = await with_layout(self._factory, snapshot, backend_type, options, readonly)
            identity = await asyncio.to_thread(self._factory.identity, backend_type, options)
            await self.try_store(backend_type, options)
        except StoreError as error:
            raise BadMount(str(error)) from error
        now = time.time_ns() // 1_000_000
        name = bucket_of(mount_point)
        bucket = self.new_bucket(name, owner, now) if name else None
        row = config.StoreRow(0, backend_type, self._factory.seal(options), self.block_size, scope)
        mount = await self._catalog.write(
            config.add_mount, Mount(mount_point, 0, priority, readonly, now), row, identity, bucket
        )
        self._names.forget()
        return self._view(mount, await self._names.current())

    async def update(
        self,
        mount_point: str,
        *,
        priority: int | None = None,
        readonly: bool | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> MountView:
        """Change what is not None of a mount in place; ``settings`` are those of its store to replace.

        The store must be the same one afterwards. Raises BadMount, MountNotFound.
        """
        point = check_mount_point(mount_point)
        snapshot = await self._names.current()
        mount = next((mount for mount in snapshot.table.mounts if mount.mount_point == point), None)
        if mount is None:
            raise MountNotFound(point)
        sealed = None
        if settings:
            info = snapshot.stores[mount.store_id].info
            sealed = self._factory.seal(await self._same_store(info, {**info.config, **settings}))
        await self._catalog.write(config.update_mount, mount, priority, readonly, sealed)
        self._names.forget()
        snapshot = await self._names.current()
        return self._view(next(each for each in snapshot.table.mounts if each.mount_point == point), snapshot)

    async def _same_store(self, info: StoreInfo, options: dict[str, str]) -> dict[str, str]:
        """New settings of a store, once they open it and no other. Raises BadMount."""
        try:
            before = await asyncio.to_thread(self._factory.identity, info.backend_type, info.config)
            if await asyncio.to_thread(self._factory.identity, info.backend_type, options) != before:
                raise BadMount("these settings mean another store: add a mount for it")
            await self.try_store(info.backend_type, options)
        except StoreError as error:
            raise BadMount(str(error)) from error
        return options

    async def test(self, mount_point: str) -> Trial:
        """Try the store of a mount, by a connection of its own. Raises MountNotFound."""
        point = check_mount_point(mount_point)
        snapshot = await self._names.current()
        mount = next((mount for mount in snapshot.table.mounts if mount.mount_point == point), None)
        if mount is None:
            raise MountNotFound(point)
        info = snapshot.stores[mount.store_id].info
        return await self.test_store(info.backend_type, info.config, readonly=mount.readonly)

    async def test_store(self, backend_type: str, settings: Mapping[str, str], *, readonly: bool) -> Trial:
        """Try a store that need not be mounted."""
        options = {name: value for name, value in settings.items() if name != "dedup_scope"}
        try:
            backend_type, options = self._factory.resolve(backend_type, options)
            await self._check(backend_type, options)
            native = await asyncio.to_thread(self._factory.open_native, backend_type, options)
            blobs = await asyncio.to_thread(self._factory.open, backend_type, options) if native is None else None
        except StoreError as error:
            return unusable(error)
        try:
            if native is not None:
                return await try_native(native, readonly=readonly)
            assert blobs is not None
            return await try_blobs(blobs, readonly=readonly)
        finally:
            for opened in (native, blobs):
                if opened is not None:
                    await opened.close()

    def kinds(self) -> list[StoreKind]:
        """The kinds of stores there are."""
        return self._factory.kinds()

    async def try_store(self, backend_type: str, options: Mapping[str, str]) -> None:
        """Open a store before it is recorded, so that a wrong configuration is refused here and now."""
        await self._check(backend_type, options)
        trial: NativeStore | BlobStore | None
        trial = await asyncio.to_thread(self._factory.open_native, backend_type, options)
        if trial is None:
            trial = await asyncio.to_thread(self._factory.open, backend_type, options)
        try:
            if isinstance(trial, Probing):
                await trial.probe()
        finally:
            await trial.close()

    async def _check(self, backend_type: str, options: Mapping[str, str]) -> None:
        stores = (await self._names.current()).stores.values()
        others: list[tuple[str, Mapping[str, str]]] = [(each.info.backend_type, each.info.config) for each in stores]
        await asyncio.to_thread(self._factory.check_new, backend_type, options, others)

    def new_bucket(self, name: str, owner: Principal, now: int) -> Bucket:
        """The bucket that a mount makes where it is missing."""
        ownership = ENFORCED if self._ownership == ENFORCED else ""
        configs = configs_of_new_bucket(self._ownership)
        return Bucket(0, name, owner.user_id, owner.tenant, now, self._region, ownership, configs=configs)

    async def remove(self, mount_point: str) -> None:
        """Forget a mount; what its store holds stays. Raises MountNotFound."""
        await self._catalog.write(config.remove_mount, check_mount_point(mount_point))
        self._names.forget()

    async def depending(self, mount_point: str) -> Depending:
        """What cannot be reached any more once a mount is removed. Raises MountNotFound."""
        point = check_mount_point(mount_point)
        snapshot = await self._names.current()
        mount = next((mount for mount in snapshot.table.mounts if mount.mount_point == point), None)
        if mount is None:
            raise MountNotFound(point)
        others = [each for each in snapshot.table.mounts if each.store_id == mount.store_id and each is not mount]
        held = Held(0, 0, 0, 0) if others else await self._catalog.scan(held_by, mount.store_id)
        classes = [name for name, bound in snapshot.classes.items() if bound == point]
        points = [each.mount_point for each in others]
        return Depending(point, snapshot.stores[mount.store_id].is_native, points, classes, *held)

    async def explain(self, path: str) -> list[tuple[MountView, str]]:
        """The mounts that cover a path, and why each stands where it does; the first serves it."""
        snapshot = await self._names.current()
        mounts = snapshot.table.covering(path)
        return [(self._view(mount, snapshot), why) for mount, why in zip(mounts, reasons(mounts), strict=True)]

    async def holders(self, store_id: int) -> list[MountView]:
        """The mounts of a store."""
        return [view for view in await self.list() if view.store_id == store_id]

    async def bind_class(self, storage_class: str, mount_point: str) -> None:
        """Place what is written with a storage class, from now on, at a mount. Raises BadRequest, MountNotFound."""
        name, point = check_class_name(storage_class), check_mount_point(mount_point)
        snapshot = await self._names.current()
        if any(
            mount.mount_point == point and snapshot.stores[mount.store_id].is_native for mount in snapshot.table.mounts
        ):
            raise BadRequest(
                "a native store gives each key its place: no storage class is bound to it", "mount_point", point
            )
        await self._catalog.write(config.bind_class, name, point, time.time_ns() // 1_000_000)
        self._names.forget()

    async def unbind_class(self, storage_class: str) -> None:
        """Forget such a binding; what it placed stays where it is. Raises BadRequest where there is none."""
        if not await self._catalog.write(config.unbind_class, storage_class):
            raise BadRequest("no such storage class was set here", "storage_class", storage_class)
        self._names.forget()

    async def classes(self) -> list[ClassView]:
        """The storage classes that are bound."""
        snapshot = await self._names.current()
        views = []
        for name, point in sorted(snapshot.classes.items()):
            try:
                views.append(ClassView(name, point, snapshot.bound(name, point).store_id))
            except (BackendNotFound, ReadOnlyMount, NotHeld) as error:
                views.append(ClassView(name, point, None, str(error)))
        return views

    def _view(self, mount: Mount, snapshot: Snapshot) -> MountView:
        store = snapshot.stores[mount.store_id]
        health = store.health()
        return MountView(
            mount.mount_point,
            store.info.backend_type,
            mount.priority,
            mount.readonly,
            mount.store_id,
            self._factory.mask(store.info.backend_type, store.info.config),
            mount.created_at,
            store.problem,
            health.state,
            time.time_ns() // 1_000_000 + round(health.retry_after * 1000) if health.state == OPEN else None,
            health.last_error,
            health.last_error_at or None,
            None if health.latency is None else round(health.latency * 1000, 3),
            mount.managed_by,
        )

    async def list(self, *, probe: bool = False) -> list[MountView]:
        """All mounts; with ``probe``, once each store that has a breaker was asked whether it is well."""
        snapshot = await self._names.current()
        if probe:
            guards = [store.guard for store in snapshot.stores.values() if store.guard is not None]
            await asyncio.gather(*(guard.ask() for guard in guards))
        return [self._view(mount, snapshot) for mount in sorted(snapshot.table.mounts, key=lambda m: m.mount_point)]
