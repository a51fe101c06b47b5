"""Adding, changing, trying, explaining and removing mounts, and what people see of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.base import BlobStore, Probing, StoreError
from backends.native import NativeStore
from gateway.acl import ENFORCED
from gateway.catalog import config
from gateway.catalog.base import Catalog
from gateway.catalog.placement import Held, held_by
from gateway.errors import (
    BackendNotFound,
    BadMount,
    BadRequest,
    MountExists,
    NotHeld,
    ReadOnlyMount,
)
from gateway.guard import OK, OPEN
from gateway.layouts import with_layout
from gateway.mount_trial import Trial, try_blobs, try_native, unusable
from gateway.mounts import bucket_of, check_mount_point, reasons
from gateway.names import Names, Snapshot, StoreFactory, StoreKind
from gateway.public_access import configs_of_new_bucket
from gateway.storage_classes import check_class_name
from gateway.types import Bucket, Mount, Principal, StoreInfo

Configured = tuple[str, Mapping[str, str]]
"""A store by its type and its settings."""


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
        if (await self._names.current()).table.find(mount_point) is not None:
            raise MountExists(mount_point)
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
        mount = snapshot.table.at(point)
        sealed = None
        if settings:
            info = snapshot.stores[mount.store_id].info
            sealed = self._factory.seal(await self._same_store(info, {**info.config, **settings}))
        await self._catalog.write(config.update_mount, mount, priority, readonly, sealed)
        self._names.forget()
        snapshot = await self._names.current()
        return self._view(snapshot.table.at(point), snapshot)

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
        mount = snapshot.table.at(point)
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

    async def try_store(self, backend_type: str, options: Mapping[str, str], beside: Sequence[Configured] = ()) -> None:
        """Open a store before it is recorded, so that a wrong configuration is refused here and now.

        ``beside`` are those that are to be recorded with it.
        """
        await self._check(backend_type, options, beside)
        trial: NativeStore | BlobStore | None
        trial = await asyncio.to_thread(self._factory.open_native, backend_type, options)
        if trial is None:
            trial = await asyncio.to_thread(self._factory.open, backend_type, options)
        try:
            if isinstance(trial, Probing):
                await trial.probe()
        finally:
            await trial.close()

    async def _check(self, backend_type: str, options: Mapping[str, str], beside: Sequence[Configured] = ()) -> None:
        stores = (await self._names.current()).stores.values()
        others: list[Configured] = [(each.info.backend_type, each.info.config) for each in stores]
        await asyncio.to_thread(self._factory.check_new, backend_type, options, [*others, *beside])

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
        mount = snapshot.table.at(point)
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
        mount = snapshot.table.find(point)
        if mount is not None and snapshot.stores[mount.store_id].is_native:
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
