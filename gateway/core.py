"""The core, assembled: what both doors stand on."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.admission import Admission
from gateway.audit.log import AuditLog
from gateway.auth.keyring import KeyRing
from gateway.buckets import Buckets
from gateway.catalog.base import Catalog
from gateway.checker import Checker, StoreStats
from gateway.collector import Collector
from gateway.content import ContentStore
from gateway.copies import Copies
from gateway.declared_mounts import DeclaredMounts
from gateway.encryption_keys import EncryptionKeys
from gateway.files import Files
from gateway.grants import Grants, Groups
from gateway.identity import Users
from gateway.kms.local import LocalKms
from gateway.lifecycle.worker import LifecycleWorker
from gateway.mounting import Mounts
from gateway.names import Names
from gateway.objects import Objects
from gateway.rates import Rates
from gateway.saved_mounts import SavedMounts
from gateway.settings import Settings
from gateway.tenants import Tenants
from gateway.types import Principal
from gateway.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Core:
    """Every part that a door may call. Doors name no store and no SQL."""

    settings: Settings
    catalog: Catalog
    names: Names
    mounts: Mounts
    saved_mounts: SavedMounts
    declared_mounts: DeclaredMounts
    content: ContentStore
    buckets: Buckets
    objects: Objects
    copies: Copies
    files: Files
    uploads: Uploads
    users: Users
    tenants: Tenants
    groups: Groups
    grants: Grants
    rates: Rates
    admission: Admission
    keyring: KeyRing
    collector: Collector
    lifecycle: LifecycleWorker
    checker: Checker
    encryption: EncryptionKeys
    audit: AuditLog
    local_kms: LocalKms | None
    """The key management service that is built in, where it is the one in use."""

    def count(self, caller: Principal) -> None:
        """Note a request of a caller who proved who they are. Raises TooManyRequests."""
        self.keyring.used(caller)
        if caller.rate is not None:
            self.rates.take(caller)

    async def stats(self) -> list[StoreStats]:
        """What every store holds."""
        return await self.checker.stats()
