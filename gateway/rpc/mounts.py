"""Methods about mounts: which store serves which paths."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.core import Core
from gateway.declared_mounts import Change
from gateway.errors import BadMount, NotAllowed
from gateway.mounting import MountView
from gateway.mounts_file import Declared, check_points, declared
from gateway.rpc import paths
from gateway.rpc.methods import may_administer, method, on_tree
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


@method(reads=True)
async def depending_on_mount(core: Core, principal: Principal, *, mount_point: str) -> dict[str, Any]:
    """How much cannot be reached any more once a mount is removed."""
    return asdict(await core.mounts.depending(mount_point))


@method
async def remove_mount(core: Core, principal: Principal, *, mount_point: str) -> dict[str, Any]:
    """Forget a mount; its content stays in its store."""
    await core.mounts.remove(mount_point)
    return {"removed": True, "directory_deleted": False, "permissions_cleaned": 0, "errors": []}


@on_tree
async def list_mounts(tree: Tree, *, probe: bool = False) -> list[dict[str, Any]]:
    """The mounts: an admin sees all of all, others those below which they may list, without their configurations.

    ``probe``, of an admin, asks the stores first whether they are well.
    """
    views = await tree.core.mounts.list(probe=probe and may_administer(tree.principal))
    return [_shown(tree, view) for view in views if await _sees(tree, view.mount_point)]


@on_tree
async def get_mount(tree: Tree, *, mount_point: str) -> dict[str, Any] | None:
    """The mount of exactly that point, or null."""
    views = [view for view in await tree.core.mounts.list() if view.mount_point == mount_point]
    return _shown(tree, views[0]) if views and await _sees(tree, mount_point) else None


@on_tree
async def has_mount(tree: Tree, *, mount_point: str) -> bool:
    return await get_mount(tree, mount_point=mount_point) is not None


@on_tree
async def explain_mounts(tree: Tree, *, path: str) -> list[dict[str, Any]]:
    """The mounts that cover a path, each with the ``reason`` for its place; the first serves it.

    None of a path that the caller may not see.
    """
    if not await _sees(tree, path):
        return []
    return [_shown(tree, view) | {"reason": why} for view, why in await tree.core.mounts.explain(path)]


@on_tree
async def locate(tree: Tree, *, path: str) -> dict[str, Any] | None:
    """Where the bytes of a file are: the mounts of the store that holds them. Null without a file.

    An admin is also told the store, and the key in it where it is a native one.
    """
    found = await tree.find(paths.parse(path))
    if found is None:
        return None
    info = found.info
    store_id = info.native.store_id if info.native is not None else info.content.store_id
    holders = await tree.core.mounts.holders(store_id)
    told = {
        "path": path,
        "size": info.size,
        "storage_class": info.attributes.storage_class,
        "mount_points": [view.mount_point for view in holders],
    }
    if may_administer(tree.principal):
        told |= {
            "store_id": store_id,
            "backend_type": holders[0].backend_type if holders else None,
            "key": info.native.key if info.native is not None else None,
            "blob": info.content.digest,
        }
    return told


@method
async def test_mount(
    core: Core,
    principal: Principal,
    *,
    mount_point: str | None = None,
    backend_type: str | None = None,
    backend_config: dict[str, Any] | None = None,
    readonly: bool = False,
) -> dict[str, Any]:
    """Write, read, list and delete a probe in the store of a mount, or in one that is not mounted."""
    if (mount_point is None) == (backend_type is None):
        raise BadMount("give either a mount_point or a backend_type with its backend_config")
    if mount_point is not None:
        trial = await core.mounts.test(mount_point)
    else:
        assert backend_type is not None
        trial = await core.mounts.test_store(backend_type, _settings(backend_config), readonly=readonly)
    return {**asdict(trial), "passed": trial.passed}


async def _sees(tree: Tree, path: str) -> bool:
    """Whether the caller may know what is at a path: they may list it, or read it."""
    if may_administer(tree.principal):
        return True
    place = paths.parse(path)
    try:
        return (
            not place.bucket
            or await tree.listable(place, quietly=True) is not None
            or await tree.find(place) is not None
        )
    except NotAllowed:
        return False


def _shown(tree: Tree, view: MountView) -> dict[str, Any]:
    mount = _mount(view)
    return mount if may_administer(tree.principal) else {name: mount[name] for name in _FOR_ALL}


_FOR_ALL = ("mount_point", "backend_type", "priority", "readonly")
"""What those may know of a mount who see what is below it."""


def _mount(view: MountView) -> dict[str, Any]:
    times = {"created_at": view.created_at, "open_until": view.open_until, "last_error_at": view.last_error_at}
    return {**asdict(view), **{name: None if at is None else iso(at) for name, at in times.items()}}


# -- mounts of a file


@method(reads=True)
async def plan_mounts(
    core: Core, principal: Principal, *, name: str, mounts: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What applying the mounts of a file of that name would change."""
    return [_change(change) for change in await core.declared_mounts.plan(name, _declared(mounts))]


@method
async def apply_mounts(
    core: Core, principal: Principal, *, name: str, mounts: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Make the mounts that a file of that name declares; what changed."""
    return [_change(change) for change in await core.declared_mounts.apply(name, _declared(mounts), principal)]


def _declared(mounts: list[dict[str, Any]]) -> tuple[Declared, ...]:
    return check_points([declared(each) for each in mounts])


def _change(change: Change) -> dict[str, Any]:
    return {
        "action": change.action,
        "mount_point": change.mount_point,
        "backend_type": change.backend_type,
        "differences": [asdict(each) for each in change.differences],
    }


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
