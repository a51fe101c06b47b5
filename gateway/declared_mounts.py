"""Mounts as a file declares them: what would change, and the change, in one transaction or not at all.

Mounts that a file made are known by its name. What it no longer declares is removed; what was mounted by hand, or by
another file, is left alone, unless the file declares it: then it is the file's from then on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backends.base import StoreError
from gateway.catalog import config as verbs
from gateway.catalog.base import Catalog
from gateway.errors import BadMount, MountsChanged, Overloaded
from gateway.layouts import CAS, LAYOUT, with_layout
from gateway.mounting import Mounts
from gateway.mounts import bucket_of
from gateway.mounts_file import Declared
from gateway.names import Names, OpenStore, Snapshot, StoreFactory
from gateway.types import Mount, Principal

ADD, UPDATE, REPLACE, REMOVE = "add", "update", "replace", "remove"
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that changes; secrets are masked."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one mount."""

    action: str
    mount_point: str
    backend_type: str
    differences: tuple[Difference, ...] = ()
    wanted: Declared | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    identity: str = ""


class DeclaredMounts:
    """Planning and applying. Admins only: the doors see to that."""

    def __init__(self, catalog: Catalog, names: Names, mounts: Mounts, factory: StoreFactory) -> None:
        self._catalog = catalog
        self._names = names
        self._mounts = mounts
        self._factory = factory

    async def plan(self, name: str, wanted: Sequence[Declared]) -> list[Change]:
        """What applying would do, in the order of mount points. Raises BadMount."""
        return await self._plan(await self._names.current(), name, wanted)

    async def apply(self, name: str, wanted: Sequence[Declared], owner: Principal) -> list[Change]:
        """Make the mounts what they shall be. Raises BadMount, and then nothing was changed."""
        for _ in range(ATTEMPTS):
            snapshot = await self._names.current()
            changes = await self._plan(snapshot, name, wanted)
            if not changes:
                return []
            await self._try(changes)
            now = time.time_ns() // 1_000_000
            steps = [self._step(change, name, owner, now) for change in changes]
            try:
                await self._catalog.write(verbs.reconcile_mounts, snapshot.generation, steps)
            except MountsChanged:
                self._names.forget()
                continue
            self._names.forget()
            return changes
        raise Overloaded("the configuration keeps changing")

    # -- planning

    async def _plan(self, snapshot: Snapshot, name: str, wanted: Sequence[Declared]) -> list[Change]:
        present = {mount.mount_point: mount for mount in snapshot.table.mounts}
        changes: list[Change] = []
        stores: dict[str, tuple[Declared, Mapping[str, str]]] = {}
        for each in wanted:
            mount = present.get(each.mount_point)
            try:
                change = await self._change(snapshot, name, each, mount)
            except (StoreError, BadMount) as error:
                raise BadMount(f"{each.where}: {error}") from error
            other, options = stores.setdefault(change.identity, (each, change.options))
            if options != change.options or other.dedup_scope != each.dedup_scope:
                raise BadMount(f"{each.where}: the same store as {other.where}, with other settings")
            if change.action != UPDATE or change.differences:
                changes.append(change)
        declared = {each.mount_point for each in wanted}
        for point, mount in present.items():
            if mount.managed_by == name and point not in declared:
                changes.append(Change(REMOVE, point, snapshot.stores[mount.store_id].info.backend_type))
        return sorted(changes, key=lambda change: change.mount_point)

    async def _change(self, snapshot: Snapshot, name: str, wanted: Declared, mount: Mount | None) -> Change:
        store = snapshot.stores[mount.store_id] if mount is not None else None
        kind, options = await self._resolved(snapshot, wanted, store)
        identity = await asyncio.to_thread(self._factory.identity, kind, options)
        self._check_scope(snapshot, wanted, identity)
        shown = self._factory.mask(kind, options)
        if mount is None or store is None:
            told = {"priority": str(wanted.priority), "readonly": _said(wanted.readonly), **shown}
            differences = tuple(Difference(key, None, value) for key, value in told.items())
            return Change(ADD, wanted.mount_point, kind, differences, wanted, options, identity)
        before = {"priority": str(mount.priority), "readonly": _said(mount.readonly), "managed_by": mount.managed_by}
        after = {"priority": str(wanted.priority), "readonly": _said(wanted.readonly), "managed_by": name}
        differences = tuple(Difference(key, before[key], after[key]) for key in after if before[key] != after[key])
        differences += self._settings(store, kind, options)
        action = UPDATE if self._identity_of(store) == identity else REPLACE
        return Change(action, wanted.mount_point, kind, differences, wanted, options, identity)

    async def _resolved(
        self, snapshot: Snapshot, wanted: Declared, store: OpenStore | None
    ) -> tuple[str, dict[str, str]]:
        """Type and configuration as they are kept. A layout that is not declared stays what it is."""
        kind, options = self._factory.resolve(wanted.backend_type, wanted.config)
        if store is not None and LAYOUT not in options and store.info.backend_type == kind:
            layout = store.info.config.get(LAYOUT)
            kept = options if layout is None else {**options, LAYOUT: layout}
            if await asyncio.to_thread(self._factory.identity, kind, kept) == self._identity_of(store):
                return kind, kept
        return await with_layout(self._factory, snapshot, kind, options, wanted.readonly)

    def _identity_of(self, store: OpenStore) -> str | None:
        try:
            return self._factory.identity(store.info.backend_type, store.info.config)
        except StoreError:
            return None  # its type went, say: it is another store then

    def _check_scope(self, snapshot: Snapshot, wanted: Declared, identity: str) -> None:
        for store in snapshot.stores.values():
            if wanted.dedup_scope not in (None, store.info.dedup_scope) and self._identity_of(store) == identity:
                raise BadMount(f"dedup_scope of a store stays what it was made with: {store.info.dedup_scope}")

    def _settings(self, store: OpenStore, kind: str, options: Mapping[str, str]) -> tuple[Difference, ...]:
        before, after = _plain(store.info.config), _plain(options)
        shown_before = self._factory.mask(store.info.backend_type, before)
        shown_after = self._factory.mask(kind, after)
        found = [
            Difference(key, shown_before.get(key), shown_after.get(key))
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ]
        if store.info.backend_type != kind:
            found.insert(0, Difference("type", store.info.backend_type, kind))
        return tuple(found)

    # -- applying

    async def _try(self, changes: Sequence[Change]) -> None:
        """Open every store that is new or has new settings, before anything is changed. Tells all that is wrong."""
        settled = ("priority", "readonly", "managed_by")
        trials = [
            change
            for change in changes
            if change.wanted and (change.action != UPDATE or {d.name for d in change.differences}.difference(settled))
        ]

        async def attempt(change: Change) -> str | None:
            beside = [(other.backend_type, other.options) for other in trials if other is not change]
            try:
                await self._mounts.try_store(change.backend_type, change.options, beside)
            except (StoreError, BadMount) as error:
                assert change.wanted is not None
                return f"{change.wanted.where}: {error}"
            return None

        problems = [problem for problem in await asyncio.gather(*map(attempt, trials)) if problem]
        if problems:
            raise BadMount("; ".join(problems))

    def _step(self, change: Change, name: str, owner: Principal, now: int) -> verbs.MountStep:
        if change.wanted is None:
            return verbs.MountStep(change.mount_point)
        wanted = change.wanted
        bucket = bucket_of(change.mount_point)
        return verbs.MountStep(
            change.mount_point,
            Mount(change.mount_point, 0, wanted.priority, wanted.readonly, now, name),
            verbs.StoreRow(
                *(0, change.backend_type, self._factory.seal(change.options)),
                *(self._mounts.block_size, wanted.dedup_scope or "tenant"),
            ),
            change.identity,
            self._mounts.new_bucket(bucket, owner, now) if bucket else None,
        )


def _plain(options: Mapping[str, str]) -> dict[str, str]:
    """Without a layout that goes without saying."""
    return {key: value for key, value in options.items() if (key, value) != (LAYOUT, CAS)}


def _said(value: bool) -> str:
    return "yes" if value else "no"
