"""Methods about mounts: which store serves which paths."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.core import Core
from gateway.names import MountView
from gateway.rpc.methods import method, require_admin
from gateway.rpc.values import iso
from gateway.types import Principal


@method
async def add_mount(
    core: Core,
    principal: Principal,
    *,
    mount_point: str,
    backend_type: str,
    backend_config: dict[str, Any] | None = None,
    priority: int = 0,
    readonly: bool = False,
) -> str:
    """Mount a store; the mount's id is its mount point."""
    require_admin(principal)
    config = {str(name): _text(value) for name, value in (backend_config or {}).items()}
    view = await core.mounts.add(mount_point, backend_type, config, priority, readonly, owner=principal)
    return view.mount_point


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@method
async def remove_mount(core: Core, principal: Principal, *, mount_point: str) -> dict[str, Any]:
    """Forget a mount; its content stays in its store."""
    require_admin(principal)
    await core.mounts.remove(mount_point)
    return {"removed": True, "directory_deleted": False, "permissions_cleaned": 0, "errors": []}


@method
async def list_mounts(core: Core, principal: Principal) -> list[dict[str, Any]]:
    require_admin(principal)
    return [_mount(view) for view in await core.mounts.list()]


@method
async def get_mount(core: Core, principal: Principal, *, mount_point: str) -> dict[str, Any] | None:
    """The mount of exactly that point, or null."""
    require_admin(principal)
    return next((_mount(view) for view in await core.mounts.list() if view.mount_point == mount_point), None)


@method
async def has_mount(core: Core, principal: Principal, *, mount_point: str) -> bool:
    return await get_mount(core, principal, mount_point=mount_point) is not None


@method
async def explain_mounts(core: Core, principal: Principal, *, path: str) -> list[dict[str, Any]]:
    """The mounts that cover a path; the first serves it."""
    require_admin(principal)
    return [_mount(view) for view in await core.mounts.explain(path)]


def _mount(view: MountView) -> dict[str, Any]:
    return {**asdict(view), "created_at": iso(view.created_at)}
