"""Methods about mounts: which store serves which paths."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.core import Core
from gateway.errors import BadMount
from gateway.names import MountView
from gateway.rpc.methods import method, on_tree
from gateway.rpc.tree import Tree
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
    config = _settings(backend_config)
    return (await core.mounts.add(mount_point, backend_type, config, priority, readonly, owner=principal)).mount_point


def _settings(config: dict[str, Any] | None) -> dict[str, str]:
    """A store's configuration as texts; what is null is as if it were not there. Raises BadMount."""
    settings = {}
    for name, value in (config or {}).items():
        if not isinstance(value, str | int | float | bool | None):
            raise BadMount(f"{name} is neither a text nor a number")
        if value is not None:
            settings[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return settings


@method
async def update_mount(
    core: Core,
    principal: Principal,
    *,
    mount_point: str,
    priority: int | None = None,
    readonly: bool | None = None,
    backend_config: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Change a mount in place: its priority, whether it is read-only, settings of its store such as credentials."""
    view = await core.mounts.update(
        mount_point, priority=priority, readonly=readonly, settings=_settings(backend_config)
    )
    return _mount(view)


@method
async def remove_mount(core: Core, principal: Principal, *, mount_point: str) -> dict[str, Any]:
    """Forget a mount; its content stays in its store."""
    await core.mounts.remove(mount_point)
    return {"removed": True, "directory_deleted": False, "permissions_cleaned": 0, "errors": []}


@method(reads=True)
async def list_mounts(core: Core, principal: Principal) -> list[dict[str, Any]]:
    return [_mount(view) for view in await core.mounts.list()]


@method(reads=True)
async def get_mount(core: Core, principal: Principal, *, mount_point: str) -> dict[str, Any] | None:
    """The mount of exactly that point, or null."""
    return next((_mount(view) for view in await core.mounts.list() if view.mount_point == mount_point), None)


@method(reads=True)
async def has_mount(core: Core, principal: Principal, *, mount_point: str) -> bool:
    return await get_mount(core, principal, mount_point=mount_point) is not None


@method(reads=True)
async def explain_mounts(core: Core, principal: Principal, *, path: str) -> list[dict[str, Any]]:
    """The mounts that cover a path; the first serves it."""
    return [_mount(view) for view in await core.mounts.explain(path)]


def _mount(view: MountView) -> dict[str, Any]:
    return {**asdict(view), "created_at": iso(view.created_at)}


# -- saved mounts


@method
async def save_mount(
    core: Core,
    principal: Principal,
    *,
    mount_point: str,
    backend_type: str,
    backend_config: dict[str, Any] | None = None,
    priority: int = 0,
    readonly: bool = False,
    owner_user_id: str | None = None,
    tenant_id: str | None = None,
    description: str | None = None,
) -> str:
    """Keep a mount to be mounted later; its id is its mount point. (Mounts themselves last without that.)"""
    return await core.saved_mounts.save(
        mount_point,
        backend_type,
        _settings(backend_config),
        priority,
        readonly,
        owner_user_id=owner_user_id,
        tenant_id=tenant_id,
        description=description,
    )


@method
async def load_mount(core: Core, principal: Principal, *, mount_point: str) -> str:
    """Mount what was saved."""
    return (await core.saved_mounts.mount(mount_point, principal)).mount_point


@method(reads=True)
async def list_saved_mounts(
    core: Core, principal: Principal, *, owner_user_id: str | None = None, tenant_id: str | None = None
) -> list[dict[str, Any]]:
    return [
        {**asdict(each), "created_at": iso(each.created_at)}
        for each in await core.saved_mounts.list()
        if owner_user_id in (None, each.owner_user_id) and tenant_id in (None, each.tenant_id)
    ]


@method
async def delete_saved_mount(core: Core, principal: Principal, *, mount_point: str) -> bool:
    """Forget a saved mount; whether it was there."""
    return await core.saved_mounts.delete(mount_point)


@on_tree
async def list_connectors(tree: Tree, *, category: str | None = None) -> list[dict[str, Any]]:
    """The kinds of stores that can be mounted, and the settings that each needs."""
    found = [
        {
            "name": kind.name,
            "description": f"needs {_and(kind.needs)}; takes {_and(kind.takes)}",
            "category": "storage",
            "requires": list(kind.needs),
            "user_scoped": False,
        }
        for kind in tree.core.mounts.kinds()
    ]
    return found if category in (None, "storage") else []


def _and(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nothing else"
