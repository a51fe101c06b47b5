"""Programs over tenants: their quotas, and what they use.

Triggers keep the sums with every row of an object, a version or a part, in its own transaction; here they are read,
held against the quota, and counted anew.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.catalog.base import Program, Row, T
from gateway.catalog.config import BUMP
from gateway.errors import BadRequest, QuotaExceeded, TenantExists, TenantNotFound
from gateway.types import Bucket, Quota, Tenant, Usage

_USAGE = "objects, object_bytes, versions, version_bytes, parts, part_bytes"
_TENANT = f"id, created_at, quota_bytes, quota_objects, rate, {_USAGE}"
_NONE = Usage(0, 0, 0, 0, 0, 0)
_COUNT = (
    "SELECT (SELECT count(*) FROM objects AS o JOIN buckets AS b ON b.id = o.bucket_id WHERE b.tenant = ?1),"
    " (SELECT coalesce(sum(o.size), 0) FROM objects AS o JOIN buckets AS b ON b.id = o.bucket_id WHERE b.tenant = ?1),"
    " (SELECT count(*) FROM versions AS v JOIN buckets AS b ON b.id = v.bucket_id"
    " WHERE b.tenant = ?1 AND v.is_marker = 0),"
    " (SELECT coalesce(sum(v.size), 0) FROM versions AS v JOIN buckets AS b ON b.id = v.bucket_id WHERE b.tenant = ?1),"
    " (SELECT count(*) FROM parts AS p JOIN uploads AS u ON u.id = p.upload_id JOIN buckets AS b ON b.id = u.bucket_id"
    " WHERE b.tenant = ?1),"
    " (SELECT coalesce(sum(p.size), 0) FROM parts AS p JOIN uploads AS u ON u.id = p.upload_id"
    " JOIN buckets AS b ON b.id = u.bucket_id WHERE b.tenant = ?1)"
)


def create_tenant(tenant: str, quota: Quota, rate: float | None, now: int) -> Program[None]:
    """Raises TenantExists."""
    if (yield "SELECT 1 FROM tenants WHERE id = ?", (tenant,)):
        raise TenantExists(tenant)
    yield (
        "INSERT INTO tenants (id, created_at, quota_bytes, quota_objects, rate) VALUES (?, ?, ?, ?, ?)",
        (tenant, now, *quota, rate),
    )
    yield BUMP


def find_tenant(tenant: str) -> Program[Tenant | None]:
    rows = yield f"SELECT {_TENANT} FROM tenants WHERE id = ?", (tenant,)
    return _tenant(rows[0]) if rows else None


def list_tenants() -> Program[list[Tenant]]:
    return [_tenant(row) for row in (yield f"SELECT {_TENANT} FROM tenants ORDER BY id", ())]


def set_limits(tenant: str, quota: Quota, rate: float | None) -> Program[None]:
    """Replace what a tenant may use. Raises TenantNotFound."""
    found = yield (
        "UPDATE tenants SET quota_bytes = ?, quota_objects = ?, rate = ? WHERE id = ? RETURNING 1",
        (*quota, rate, tenant),
    )
    if not found:
        raise TenantNotFound(tenant)
    yield BUMP


def delete_tenant(tenant: str) -> Program[None]:
    """Remove a tenant that has nothing. Raises TenantNotFound, BadRequest."""
    if not (yield "SELECT 1 FROM tenants WHERE id = ?", (tenant,)):
        raise TenantNotFound(tenant)
    for what, select in (
        ("users", "SELECT id FROM users WHERE tenant = ? ORDER BY id LIMIT 1"),
        ("buckets", "SELECT name FROM buckets WHERE tenant = ? ORDER BY name LIMIT 1"),
        ("groups", "SELECT id FROM user_groups WHERE tenant = ? ORDER BY id LIMIT 1"),
    ):
        if found := (yield select, (tenant,)):
            raise BadRequest(f"the tenant has {what} ({found[0][0]} is one); delete those first", "tenant", tenant)
    yield "DELETE FROM path_grants WHERE tenant = ?", (tenant,)
    yield "DELETE FROM tenant_configs WHERE tenant = ?", (tenant,)
    yield "DELETE FROM tenants WHERE id = ?", (tenant,)
    yield BUMP


# -- usage


def usage(tenant: str) -> Program[Usage]:
    rows = yield f"SELECT {_USAGE} FROM tenants WHERE id = ?", (tenant,)
    return Usage(*rows[0]) if rows else _NONE


def within_quota(bucket: Bucket, program: Program[T]) -> Program[T]:
    """Run a program that stores something in a bucket; it is undone where its tenant has no room for it.

    What makes nothing grow is let through, also where the quota was lowered below what is used already.
    Raises QuotaExceeded.
    """
    if bucket.quota is None:
        return (yield from program)
    before = yield from usage(bucket.tenant)
    result = yield from program
    check_quota(bucket.quota, before, (yield from usage(bucket.tenant)))
    return result


def check_quota(quota: Quota, before: Usage, after: Usage) -> None:
    """Raise QuotaExceeded where something grows past its limit."""
    if quota.bytes is not None and after.total_bytes > quota.bytes and after.total_bytes > before.total_bytes:
        raise QuotaExceeded("bytes", quota.bytes)
    if quota.objects is not None and after.total_objects > quota.objects and after.total_objects > before.total_objects:
        raise QuotaExceeded("objects", quota.objects)


class Drift(NamedTuple):
    """Where the sums kept for a tenant are not what its rows add up to."""

    tenant: str
    kept: Usage
    counted: Usage


def count_usage(*, mend: bool) -> Program[list[Drift]]:
    """Count every tenant's rows; with ``mend`` the sums become what was counted."""
    drifts = []
    for tenant in (yield from list_tenants()):
        counted = Usage(*(yield _COUNT, (tenant.id,))[0])
        if counted == tenant.usage:
            continue
        drifts.append(Drift(tenant.id, tenant.usage, counted))
        if mend:
            columns = _USAGE.replace(",", " = ?,") + " = ?"
            yield f"UPDATE tenants SET {columns} WHERE id = ?", (*counted, tenant.id)
    return drifts


def _tenant(row: Row) -> Tenant:
    tenant, created_at, quota_bytes, quota_objects, rate, *used = row
    return Tenant(tenant, created_at, Quota(quota_bytes, quota_objects), rate, Usage(*used))
