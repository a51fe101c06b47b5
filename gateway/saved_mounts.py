"""Mounts that are kept to be mounted later. Mounts themselves last as they are: nothing need be saved for that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from backends.base import StoreError
from gateway.catalog import saved_mounts as verbs
from gateway.catalog.base import Catalog
from gateway.errors import BadMount
from gateway.mounting import Mounts, MountView
from gateway.mounts import check_mount_point
from gateway.names import StoreFactory
from gateway.types import Principal


@dataclass(frozen=True, slots=True)
class SavedMount:
    """A saved mount as people see it; secrets in its configuration are masked."""

    mount_point: str
    backend_type: str
    config: dict[str, str]
    priority: int
    readonly: bool
    owner_user_id: str | None
    tenant_id: str | None
    description: str | None
    created_at: int


class SavedMounts:
    """Saving, mounting and forgetting. Admins only: the doors see to that."""

    def __init__(self, catalog: Catalog, mounts: Mounts, factory: StoreFactory) -> None:
        self._catalog = catalog
        self._mounts = mounts
        self._factory = factory

    async def save(
        self,
        mount_point: str,
        backend_type: str,
        settings: Mapping[str, str],
        priority: int,
        readonly: bool,
        *,
        owner_user_id: str | None = None,
        tenant_id: str | None = None,
        description: str | None = None,
    ) -> str:
        """Keep a mount; its mount point. Raises BadMount, MountExists where one is kept for that."""
        point = check_mount_point(mount_point)
        options = {name: value for name, value in settings.items() if name != "dedup_scope"}
        try:
            await asyncio.to_thread(self._factory.identity, backend_type, options)
        except StoreError as error:
            raise BadMount(str(error)) from error
        sealed, now = self._factory.seal(settings), time.time_ns() // 1_000_000
        row = verbs.SavedRow(
            point, backend_type, sealed, priority, int(readonly), owner_user_id, tenant_id, description, now
        )
        await self._catalog.write(verbs.save, row)
        return point

    async def mount(self, mount_point: str, owner: Principal) -> MountView:
        """Mount what was saved. Raises MountNotFound, BadMount, MountExists."""
        row = await self._catalog.read(verbs.load, check_mount_point(mount_point))
        settings = self._factory.unseal(row.sealed_config)
        return await self._mounts.add(
            row.mount_point, row.backend_type, settings, row.priority, bool(row.readonly), owner=owner
        )

    async def list(self) -> list[SavedMount]:
        return [self._view(row) for row in await self._catalog.scan(verbs.list_saved)]

    async def delete(self, mount_point: str) -> bool:
        """Forget a saved mount, mounted or not; whether it was there."""
        return await self._catalog.write(verbs.delete, check_mount_point(mount_point))

    def _view(self, row: verbs.SavedRow) -> SavedMount:
        config = self._factory.mask(row.backend_type, self._factory.unseal(row.sealed_config))
        return SavedMount(
            row.mount_point,
            row.backend_type,
            config,
            row.priority,
            bool(row.readonly),
            row.owner_user_id,
            row.tenant_id,
            row.description,
            row.created_at,
        )
