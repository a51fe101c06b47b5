"""Methods about tenants and groups, and what tenants use. For admins."""

from __future__ import annotations

from typing import Any

from gateway.core import Core
from gateway.identity import DEFAULT_TENANT
from gateway.rpc.methods import method
from gateway.rpc.values import iso
from gateway.types import Group, Principal, Quota, Tenant, Usage


@method
async def admin_create_tenant(
    core: Core,
    principal: Principal,
    *,
    tenant_id: str,
    quota_bytes: int | None = None,
    quota_objects: int | None = None,
    rate: float | None = None,
) -> dict[str, Any]:
    """Make a tenant; what is null is without limit."""
    return _tenant(await core.tenants.create(tenant_id, Quota(quota_bytes, quota_objects), rate))


@method
async def admin_update_tenant(
    core: Core,
    principal: Principal,
    *,
    tenant_id: str,
    quota_bytes: int | None = None,
    quota_objects: int | None = None,
    rate: float | None = None,
) -> dict[str, Any]:
    """Change the limits that are told; -1 takes one away."""
    found = await core.tenants.get(tenant_id)
    quota = Quota(_limit(quota_bytes, found.quota.bytes), _limit(quota_objects, found.quota.objects))
    changed = found.rate if rate is None else None if rate == -1 else rate
    return _tenant(await core.tenants.set_limits(tenant_id, quota, changed))


def _limit(told: int | None, before: int | None) -> int | None:
    return before if told is None else None if told == -1 else told


@method(reads=True)
async def admin_list_tenants(core: Core, principal: Principal) -> dict[str, Any]:
    return {"tenants": [_tenant(each) for each in await core.tenants.list()]}


@method
async def admin_delete_tenant(core: Core, principal: Principal, *, tenant_id: str) -> dict[str, Any]:
    """Remove a tenant that has no users, groups and buckets."""
    await core.tenants.delete(tenant_id)
    return {"success": True, "tenant_id": tenant_id}


@method(reads=True)
async def admin_usage(core: Core, principal: Principal, *, tenant_id: str | None = None) -> dict[str, Any]:
    """What tenants use, by the sums that are kept with every change."""
    found = [await core.tenants.get(tenant_id)] if tenant_id is not None else await core.tenants.list()
    return {"tenants": [_tenant(each) for each in found]}


@method
async def admin_recount_usage(core: Core, principal: Principal, *, mend: bool = True) -> dict[str, Any]:
    """Count every row, tell where the sums kept are others, and correct them."""
    drifts = await core.tenants.recount(mend=mend)
    return {
        "drifts": [
            {"tenant_id": each.tenant, "kept": each.kept._asdict(), "counted": each.counted._asdict()}
            for each in drifts
        ],
        "mended": mend,
    }


def _tenant(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.id,
        "created_at": iso(tenant.created_at),
        "quota_bytes": tenant.quota.bytes,
        "quota_objects": tenant.quota.objects,
        "rate": tenant.rate,
        "usage": _usage(tenant.usage),
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {"total_bytes": usage.total_bytes, "total_objects": usage.total_objects, **usage._asdict()}


# -- groups


@method
async def admin_create_group(
    core: Core, principal: Principal, *, group_id: str, tenant_id: str = DEFAULT_TENANT
) -> dict[str, Any]:
    return _group(await core.groups.create(group_id, tenant_id))


@method(reads=True)
async def admin_list_groups(core: Core, principal: Principal) -> dict[str, Any]:
    return {"groups": [_group(each) for each in await core.groups.list()]}


@method
async def admin_delete_group(core: Core, principal: Principal, *, group_id: str) -> dict[str, Any]:
    """Remove a group and what it was granted."""
    await core.groups.delete(group_id)
    return {"success": True, "group_id": group_id}


@method
async def admin_add_to_group(core: Core, principal: Principal, *, group_id: str, user_id: str) -> dict[str, Any]:
    await core.groups.add(group_id, user_id)
    return {"success": True, "group_id": group_id, "user_id": user_id}


@method
async def admin_remove_from_group(core: Core, principal: Principal, *, group_id: str, user_id: str) -> dict[str, Any]:
    await core.groups.remove(group_id, user_id)
    return {"success": True, "group_id": group_id, "user_id": user_id}


def _group(group: Group) -> dict[str, Any]:
    return {
        "group_id": group.id,
        "tenant_id": group.tenant,
        "created_at": iso(group.created_at),
        "members": list(group.members),
    }
