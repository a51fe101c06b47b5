"""The mounts of a server. They need an admin's key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nexus.results import Mount


class MountManager:
    """Adds, changes, removes and lists mounts while the server runs."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def add_mount(
        self,
        mount_point: str,
        backend_type: str,
        backend_config: Mapping[str, Any],
        priority: int = 0,
        readonly: bool = False,
    ) -> str:
        """Mount a store; the mount's id. Raises ValidationError."""
        return str(self._call("add_mount", **_added(mount_point, backend_type, backend_config, priority, readonly)))

    def update_mount(
        self,
        mount_point: str,
        *,
        priority: int | None = None,
        readonly: bool | None = None,
        backend_config: Mapping[str, Any] | None = None,
    ) -> Mount:
        """Change what is given of a mount; settings are those of the same store, such as new credentials."""
        return Mount(self._call("update_mount", **_updated(mount_point, priority, readonly, backend_config)))

    def remove_mount(self, mount_point: str) -> bool:
        """Remove a mount; its content stays in its store. Raises NexusFileNotFoundError."""
        return bool(self._call("remove_mount", mount_point=mount_point)["removed"])

    def list_mounts(self) -> list[Mount]:
        return [Mount(mount) for mount in self._call("list_mounts")]

    def get_mount(self, mount_point: str) -> Mount | None:
        """The mount of exactly that point, or None."""
        return _one(self._call("get_mount", mount_point=mount_point))

    def has_mount(self, mount_point: str) -> bool:
        return bool(self._call("has_mount", mount_point=mount_point))

    def serving(self, path: str) -> Mount | None:
        """The mount that serves a path, or None."""
        covering = self._call("explain_mounts", path=path)
        return _one(covering[0]) if covering else None


class AsyncMountManager:
    """The same for asyncio."""

    def __init__(self, call: Callable[..., Awaitable[Any]]) -> None:
        self._call = call

    async def add_mount(
        self,
        mount_point: str,
        backend_type: str,
        backend_config: Mapping[str, Any],
        priority: int = 0,
        readonly: bool = False,
    ) -> str:
        params = _added(mount_point, backend_type, backend_config, priority, readonly)
        return str(await self._call("add_mount", **params))

    async def update_mount(
        self,
        mount_point: str,
        *,
        priority: int | None = None,
        readonly: bool | None = None,
        backend_config: Mapping[str, Any] | None = None,
    ) -> Mount:
        return Mount(await self._call("update_mount", **_updated(mount_point, priority, readonly, backend_config)))

    async def remove_mount(self, mount_point: str) -> bool:
        return bool((await self._call("remove_mount", mount_point=mount_point))["removed"])

    async def list_mounts(self) -> list[Mount]:
        return [Mount(mount) for mount in await self._call("list_mounts")]

    async def get_mount(self, mount_point: str) -> Mount | None:
        return _one(await self._call("get_mount", mount_point=mount_point))

    async def has_mount(self, mount_point: str) -> bool:
        return bool(await self._call("has_mount", mount_point=mount_point))

    async def serving(self, path: str) -> Mount | None:
        covering = await self._call("explain_mounts", path=path)
        return _one(covering[0]) if covering else None


def _added(
    mount_point: str, backend_type: str, config: Mapping[str, Any], priority: int, readonly: bool
) -> dict[str, Any]:
    return {
        "mount_point": mount_point,
        "backend_type": backend_type,
        "backend_config": dict(config),
        "priority": priority,
        "readonly": readonly,
    }


def _updated(
    mount_point: str, priority: int | None, readonly: bool | None, config: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "mount_point": mount_point,
        "priority": priority,
        "readonly": readonly,
        "backend_config": None if config is None else dict(config),
    }


def _one(found: dict[str, Any] | None) -> Mount | None:
    return Mount(found) if found else None
