"""What buckets are: names with an owner. Which store serves a bucket's keys is the mounts' matter."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from gateway.access import open_to_anybody
from gateway.acl import ENFORCED, Acl
from gateway.bucket_configs import TENANT_PUBLIC_ACCESS_BLOCK
from gateway.catalog import config, uploads
from gateway.catalog.base import Catalog, Program
from gateway.errors import BadBucketName, BucketNotEmpty, ReadOnlyMount
from gateway.locks import DefaultRetention
from gateway.names import Names
from gateway.native_listing import has_keys
from gateway.public_access import PublicAccessBlock, configs_of_new_bucket
from gateway.public_access import load as load_block
from gateway.roles import EVERYWHERE
from gateway.types import Bucket, Principal
from gateway.versioning import versioning_of

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Raises BadBucketName for what AWS forbids.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if (
        not _NAME.fullmatch(name)
        or ".." in name
        or _ADDRESS.fullmatch(name)
        or name.startswith(_RESERVED_PREFIXES)
        or name.endswith(_RESERVED_SUFFIXES)
    ):
        raise BadBucketName(name)


class Buckets:
    """Buckets by name. Callers are authorised before they come here."""

    def __init__(self, catalog: Catalog, names: Names, region: str, default_ownership: str) -> None:
        self._catalog = catalog
        self._names = names
        self.find = names.bucket
        """The bucket of a name. Raises BucketNotFound."""
        self._region = region
        self._default_ownership = default_ownership

    def known(self, name: str) -> Bucket | None:
        """A bucket that was found before, as it was then."""
        return self._names.known(name)

    async def open_to_anybody(self, name: str) -> bool:
        """Whether a request without credentials may be worth a look. Raises BucketNotFound."""
        return open_to_anybody(await self._names.bucket(name))

    def ownership_of_new(self, told: str | None) -> str:
        """The ownership that a bucket is made with; empty where the default is that nobody says."""
        return told or (ENFORCED if self._default_ownership == ENFORCED else "")

    async def create(
        self,
        name: str,
        owner: Principal,
        *,
        ownership: str | None = None,
        acl: Acl | None = None,
        configs: Mapping[str, str] | None = None,
        region: str | None = None,
    ) -> Bucket:
        """Make a bucket, of the default ownership and region where none is given, with configurations from the start.

        Raises BadBucketName, BucketExists, and what no writable mount serves.
        """
        check_bucket_name(name)
        snapshot = await self._names.current()
        snapshot.table.resolve_writable(f"/{name}")
        now = time.time_ns() // 1_000_000
        configs = {**configs_of_new_bucket(self._default_ownership), **(configs or {})}
        ownership = self.ownership_of_new(ownership)
        bucket = Bucket(0, name, owner.user_id, owner.tenant, now, region or self._region, ownership, acl, configs)
        return await self._catalog.write(config.create_bucket, bucket)

    async def set_acl(self, bucket: Bucket, acl: Acl | None) -> None:
        """Replace the bucket's ACL. Raises BucketNotFound."""
        await self._catalog.write(config.set_bucket_acl, bucket, acl)

    async def set_config(self, bucket: Bucket, name: str, value: str | None) -> None:
        """Replace a configuration (``gateway.bucket_configs``); None removes it. Raises BucketNotFound."""
        await self._catalog.write(config.set_config, bucket, name, value)
        self._names.forget()

    async def tenant_block(self, tenant: str) -> PublicAccessBlock | None:
        """What is blocked for all buckets of a tenant, None where nothing was said."""
        text = await self._catalog.read(config.tenant_config, tenant, TENANT_PUBLIC_ACCESS_BLOCK)
        return None if text is None else load_block(text)

    async def set_tenant_block(self, tenant: str, block: PublicAccessBlock | None) -> None:
        """Replace what is blocked for all buckets of a tenant; None removes it. Raises TenantNotFound."""
        text = None if block is None else block.dump()
        await self._catalog.write(config.set_tenant_config, tenant, TENANT_PUBLIC_ACCESS_BLOCK, text)
        self._names.forget()

    async def set_versioning(self, bucket: Bucket, status: str) -> None:
        """Enable or suspend versioning. Raises BucketState, BucketNotFound."""
        await self._catalog.write(config.set_versioning, bucket, status)
        self._names.forget()

    async def set_object_lock(self, bucket: Bucket, default: DefaultRetention) -> None:
        """Turn object lock on, or change its default. Raises BucketState, BucketNotFound."""
        await self._catalog.write(config.set_object_lock, bucket, default.dump())
        self._names.forget()

    async def set_ownership(self, bucket: Bucket, ownership: str) -> None:
        """Change who owns what is written; empty to leave it unsaid. Raises BucketNotFound."""
        await self._catalog.write(config.set_ownership, bucket, ownership)
        self._names.forget()

    async def delete(self, bucket: Bucket) -> None:
        """Remove an empty bucket and end its uploads. Raises BucketNotEmpty, ReadOnlyMount."""
        snapshot = await self._names.current()
        mounts = snapshot.table.covering(f"/{bucket.name}")
        if mounts and mounts[0].readonly:
            raise ReadOnlyMount(f"/{bucket.name}", mounts[0].mount_point)
        for native in snapshot.natives(bucket.name):
            if await has_keys(native):
                raise BucketNotEmpty(bucket.name)
        try:
            await self._catalog.write(_delete, bucket, time.time_ns() // 1_000_000)
        except BucketNotEmpty as error:
            raise BucketNotEmpty(error.bucket, versioned=versioning_of(bucket) is not None) from None

    async def list(self, caller: Principal, prefix: str, after: str, limit: int) -> list[Bucket]:
        """The buckets that a caller is shown, in name order, past ``after``: their own, those in which they were
        granted something; to an admin all."""
        return await self._catalog.scan(config.list_buckets, _shown_to(caller), prefix, after, limit)


def _shown_to(caller: Principal) -> config.Whose | None:
    if caller.is_admin:
        return None
    everywhere = caller.tenant if EVERYWHERE in caller.grants else None
    return config.Whose(caller.user_id, everywhere, bool(caller.grants))


def _delete(bucket: Bucket, now: int) -> Program[None]:
    # While the bucket is there, so that what its parts took is given back to its tenant.
    yield from uploads.abort_all(bucket.id, now)
    yield from config.delete_bucket(bucket.id, bucket.name)
