"""The method table: what each RPC method means. A method's keyword parameters are the names it takes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from gateway.core import Core
from gateway.errors import BadRequest, NotAllowed
from gateway.names import MountView
from gateway.types import ApiKey, Principal, User

Method = Callable[..., Awaitable[Any]]
METHODS: dict[str, Method] = {}
DAY_MS = 24 * 3600 * 1000


def method(function: Method) -> Method:
    """Register a method under its own name; admins only."""
    METHODS[function.__name__] = function
    return function


def require_admin(principal: Principal) -> None:
    if not principal.is_admin or principal.readonly or principal.prefixes:
        raise NotAllowed("this needs an unrestricted key of an admin")


# -- mounts


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
    return {**asdict(view), "created_at": _iso(view.created_at)}


# -- users and keys


@method
async def admin_create_user(
    core: Core,
    principal: Principal,
    *,
    user_id: str,
    name: str = "",
    email: str = "",
    tenant_id: str = "default",
    is_admin: bool = False,
) -> dict[str, Any]:
    require_admin(principal)
    return _user(await core.users.create_user(user_id, name, email, tenant_id, is_admin))


@method
async def admin_list_users(core: Core, principal: Principal) -> dict[str, Any]:
    require_admin(principal)
    return {"users": [_user(user) for user in await core.users.list_users()]}


@method
async def admin_delete_user(core: Core, principal: Principal, *, user_id: str) -> dict[str, Any]:
    require_admin(principal)
    await core.users.delete_user(user_id)
    return {"success": True, "user_id": user_id}


@method
async def admin_create_key(
    core: Core,
    principal: Principal,
    *,
    user_id: str,
    name: str = "",
    expires_days: int | None = None,
    readonly: bool = False,
    prefixes: list[str] | None = None,
) -> dict[str, Any]:
    """Mint a key: the only answer that shows it."""
    require_admin(principal)
    if expires_days is not None and expires_days < 1:
        raise BadRequest("expires_days is at least 1", "expires_days", str(expires_days))
    expires_at = None if expires_days is None else int(time.time() * 1000) + expires_days * DAY_MS
    key = await core.users.create_key(user_id, name, expires_at, readonly, tuple(prefixes or ()))
    user = await core.users.get_user(user_id)
    return {
        "key_id": key.id,
        "api_key": key.api_key,
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret,
        "user_id": user_id,
        "name": name,
        "subject_type": "user",
        "subject_id": user_id,
        "tenant_id": user.tenant,
        "is_admin": user.is_admin,
        "expires_at": _iso(expires_at),
    }


@method
async def admin_list_keys(
    core: Core, principal: Principal, *, user_id: str | None = None, include_revoked: bool = True
) -> dict[str, Any]:
    require_admin(principal)
    keys = [key for key in await core.users.list_keys(user_id) if include_revoked or key.revoked_at is None]
    return {"keys": [_key(key) for key in keys], "total": len(keys)}


@method
async def admin_revoke_key(core: Core, principal: Principal, *, key_id: str) -> dict[str, Any]:
    require_admin(principal)
    await core.users.revoke_key(key_id)
    return {"success": True, "key_id": key_id}


def _user(user: User) -> dict[str, Any]:
    return {**asdict(user), "created_at": _iso(user.created_at)}


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.id,
        "user_id": key.user_id,
        "name": key.name,
        "readonly": key.readonly,
        "prefixes": list(key.prefixes),
        "created_at": _iso(key.created_at),
        "expires_at": _iso(key.expires_at),
        "revoked": key.revoked_at is not None,
        "revoked_at": _iso(key.revoked_at),
    }


def _iso(millis: int | None) -> str | None:
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC).isoformat()


# -- maintenance


@method
async def stats(core: Core, principal: Principal) -> dict[str, Any]:
    """What every store holds."""
    require_admin(principal)
    return {"stores": [asdict(each) for each in await core.stats()]}


@method
async def gc(core: Core, principal: Principal, *, grace_seconds: float = 0.0) -> dict[str, Any]:
    """Remove blobs that nothing has named for a while."""
    require_admin(principal)
    if grace_seconds < 0:
        raise BadRequest("grace_seconds is not negative", "grace_seconds", str(grace_seconds))
    return asdict(await core.collector.run(grace_seconds))


@method
async def lifecycle_run(
    core: Core, principal: Principal, *, dry_run: bool = False, at: str | None = None
) -> dict[str, Any]:
    """Do what lifecycle rules want done at a time (ISO 8601; now, if none is told), or only tell what that is."""
    require_admin(principal)
    report = await core.lifecycle.run(at=None if at is None else _moment(at), dry_run=dry_run)
    return {**asdict(report), "at": _iso(report.at)}


def _moment(text: str) -> int:
    """A date, its midnight UTC, or a time, UTC where it does not say. Raises BadRequest."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest("at is a date or time in ISO 8601", "at", text) from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


# -- storage classes


@method
async def set_storage_class(
    core: Core, principal: Principal, *, storage_class: str, mount_point: str
) -> dict[str, Any]:
    """Bind a storage class to the store at a mount point."""
    require_admin(principal)
    await core.mounts.bind_class(storage_class, mount_point)
    return {"success": True, "storage_class": storage_class, "mount_point": mount_point}


@method
async def remove_storage_class(core: Core, principal: Principal, *, storage_class: str) -> dict[str, Any]:
    """Let a storage class be a label again; what lies in its store stays there."""
    require_admin(principal)
    await core.mounts.unbind_class(storage_class)
    return {"success": True, "storage_class": storage_class}


@method
async def list_storage_classes(core: Core, principal: Principal) -> list[dict[str, Any]]:
    """The storage classes that are bound, and where."""
    require_admin(principal)
    return [asdict(view) for view in await core.mounts.classes()]


@method
async def fsck(core: Core, principal: Principal, *, rehash: bool = False) -> dict[str, Any]:
    """Compare catalog and stores."""
    require_admin(principal)
    report = await core.checker.run(rehash)
    return {**asdict(report), "exit_code": report.exit_code}
