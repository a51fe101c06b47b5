"""Methods about users and their keys. For admins; only making a key ever shows one."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from gateway.core import Core
from gateway.errors import BadRequest, UserNotFound
from gateway.identity import DEFAULT_TENANT
from gateway.rpc.methods import method
from gateway.rpc.values import iso
from gateway.types import ApiKey, Principal, User

DAY_MS = 24 * 3600 * 1000
MOST_DAYS = 36_500


@method
async def admin_create_user(
    core: Core,
    principal: Principal,
    *,
    user_id: str,
    name: str = "",
    email: str = "",
    tenant_id: str = DEFAULT_TENANT,
    is_admin: bool = False,
) -> dict[str, Any]:
    return _user(await core.users.create_user(user_id, name, email, tenant_id, is_admin))


@method(reads=True)
async def admin_list_users(core: Core, principal: Principal) -> dict[str, Any]:
    return {"users": [_user(user) for user in await core.users.list_users()]}


@method(reads=True)
async def admin_get_user(core: Core, principal: Principal, *, user_id: str) -> dict[str, Any]:
    """A user, with its keys."""
    user = await core.users.get_user(user_id)
    return {**_user(user), "keys": [_key(key, user) for key in await core.users.list_keys(user_id)]}


@method
async def admin_delete_user(core: Core, principal: Principal, *, user_id: str) -> dict[str, Any]:
    await core.users.delete_user(user_id)
    return {"success": True, "user_id": user_id}


@method
async def admin_create_key(
    core: Core,
    principal: Principal,
    *,
    user_id: str,
    name: str = "",
    is_admin: bool = False,
    expires_days: int | None = None,
    tenant_id: str = DEFAULT_TENANT,
    subject_type: str = "user",
    subject_id: str | None = None,
    readonly: bool = False,
    prefixes: list[str] | None = None,
) -> dict[str, Any]:
    """Mint a key: the only answer that shows it. A user that is not there is made, as Nexus clients expect."""
    _check_subject(subject_type, subject_id, user_id)
    expires_at = _expiry(expires_days)
    user = await _user_for(core, user_id, name, tenant_id, is_admin)
    key = await core.users.create_key(user_id, name, expires_at, readonly, tuple(prefixes or ()))
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
        "expires_at": iso(expires_at),
    }


def _check_subject(subject_type: str, subject_id: str | None, user_id: str) -> None:
    """Keys are users' here: one that is to be another's would be his with other rights than were asked for."""
    if subject_type not in ("user", "agent") or subject_id not in (None, user_id):
        raise BadRequest("a key's subject is its user", "subject_type", subject_type)


def _expiry(days: int | None) -> int | None:
    if days is None:
        return None
    if not 1 <= days <= MOST_DAYS:
        raise BadRequest(f"expires_days is from 1 to {MOST_DAYS}", "expires_days", str(days))
    return int(time.time() * 1000) + days * DAY_MS


async def _user_for(core: Core, user_id: str, name: str, tenant: str, is_admin: bool) -> User:
    """The user that a key is for. Raises BadRequest where it is another than the caller thinks."""
    try:
        user = await core.users.get_user(user_id)
    except UserNotFound:
        return await core.users.create_user(user_id, name, "", tenant, is_admin)
    if is_admin and not user.is_admin:
        raise BadRequest(f"{user_id} is no admin", "is_admin", "true")
    if tenant not in (DEFAULT_TENANT, user.tenant):
        raise BadRequest(f"{user_id} is of the tenant {user.tenant}", "tenant_id", tenant)
    return user


@method(reads=True)
async def admin_list_keys(
    core: Core,
    principal: Principal,
    *,
    user_id: str | None = None,
    tenant_id: str | None = None,
    is_admin: bool | None = None,
    include_revoked: bool = True,
    include_expired: bool = True,
    limit: int = 100,
    offset: int = 0,
) -> dict[str, Any]:
    """Keys by their age, at most ``limit``; ``total`` counts all that match."""
    if limit < 1 or offset < 0:
        raise BadRequest("limit is at least 1 and offset not negative", "limit", str(limit))
    users = {user.id: user for user in await core.users.list_users()}
    now = int(time.time() * 1000)
    found = [
        _key(key, users[key.user_id])
        for key in await core.users.list_keys(user_id)
        if (include_revoked or key.revoked_at is None)
        and (include_expired or key.expires_at is None or key.expires_at > now)
        and (tenant_id is None or users[key.user_id].tenant == tenant_id)
        and (is_admin is None or users[key.user_id].is_admin == is_admin)
    ]
    return {"keys": found[offset : offset + limit], "total": len(found)}


@method(reads=True)
async def admin_get_key(core: Core, principal: Principal, *, key_id: str) -> dict[str, Any]:
    key = await core.users.get_key(key_id)
    return _key(key, await core.users.get_user(key.user_id))


@method
async def admin_revoke_key(core: Core, principal: Principal, *, key_id: str) -> dict[str, Any]:
    await core.users.revoke_key(key_id)
    return {"success": True, "key_id": key_id}


@method
async def admin_update_key(
    core: Core,
    principal: Principal,
    *,
    key_id: str,
    expires_days: int | None = None,
    is_admin: bool | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Change a key: its expiry from now on, its name, and whether its user is an admin."""
    await core.users.update_key(key_id, _expiry(expires_days), is_admin, name)
    return await admin_get_key(core, principal, key_id=key_id)


def _user(user: User) -> dict[str, Any]:
    return {**asdict(user), "created_at": iso(user.created_at)}


def _key(key: ApiKey, user: User) -> dict[str, Any]:
    return {
        "key_id": key.id,
        "user_id": key.user_id,
        "subject_type": "user",
        "subject_id": key.user_id,
        "name": key.name,
        "tenant_id": user.tenant,
        "is_admin": user.is_admin,
        "readonly": key.readonly,
        "prefixes": list(key.prefixes),
        "created_at": iso(key.created_at),
        "expires_at": iso(key.expires_at),
        "revoked": key.revoked_at is not None,
        "revoked_at": iso(key.revoked_at),
        "last_used_at": iso(key.last_used_at),
    }
