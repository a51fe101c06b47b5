"""Tenants: who they are, what they may use and what they use. Only admins come here: the doors see to that."""

from __future__ import annotations

import math
import time

from gateway.catalog import tenants as verbs
from gateway.catalog.base import Catalog
from gateway.catalog.tenants import Drift
from gateway.errors import BadRequest, TenantNotFound
from gateway.identity import check_tenant
from gateway.names import Names
from gateway.types import Quota, Tenant

MOST = 2**62


class Tenants:
    """Tenants by name."""

    def __init__(self, catalog: Catalog, names: Names) -> None:
        self._catalog = catalog
        self._names = names

    async def create(self, tenant: str, quota: Quota, rate: float | None) -> Tenant:
        """Raises TenantExists, BadRequest."""
        check_tenant(tenant)
        _check_limits(quota, rate)
        await self._catalog.write(verbs.create_tenant, tenant, quota, rate, time.time_ns() // 1_000_000)
        return await self.get(tenant)

    async def get(self, tenant: str) -> Tenant:
        """Raises TenantNotFound."""
        found = await self._catalog.read(verbs.find_tenant, tenant)
        if found is None:
            raise TenantNotFound(tenant)
        return found

    async def set_limits(self, tenant: str, quota: Quota, rate: float | None) -> Tenant:
        """Replace what a tenant may use: what it has stays, and only what grows is refused.

        Raises TenantNotFound, BadRequest.
        """
        _check_limits(quota, rate)
        await self._catalog.write(verbs.set_limits, tenant, quota, rate)
        self._names.forget()
        return await self.get(tenant)

    async def delete(self, tenant: str) -> None:
        """Remove a tenant without users, groups and buckets. Raises TenantNotFound, BadRequest."""
        await self._catalog.write(verbs.delete_tenant, tenant)

    async def recount(self, *, mend: bool) -> list[Drift]:
        """Count what tenants use, row by row, and tell where the sums kept are others; ``mend`` corrects them."""
        if mend:
            return await self._catalog.write(verbs.count_usage, mend=True)
        return await self._catalog.scan(verbs.count_usage, mend=False)

    async def list(self) -> list[Tenant]:
        return await self._catalog.scan(verbs.list_tenants)


def _check_limits(quota: Quota, rate: float | None) -> None:
    for name, limit in (("quota_bytes", quota.bytes), ("quota_objects", quota.objects)):
        if limit is not None and not 0 <= limit <= MOST:
            raise BadRequest("a quota is not negative", name, str(limit))
    if rate is not None and not (math.isfinite(rate) and 0 < rate <= 1e6):
        raise BadRequest("a rate is more than 0 and at most a million requests per second", "rate", str(rate))
