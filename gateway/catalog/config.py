"""Programs for what workers cache: the generation, stores, mounts and buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway import acl
from gateway.bucket_configs import OBJECT_LOCK, VERSIONING
from gateway.catalog.base import Lookup, Many, Program, Row
from gateway.errors import (
    BucketExists,
    BucketNotEmpty,
    BucketNotFound,
    BucketState,
    MountExists,
    MountNotFound,
    MountsChanged,
    TenantNotFound,
)
from gateway.types import Bucket, Mount, Quota
from gateway.versioning import ENABLED

BUMP = ("UPDATE meta SET value = value + 1 WHERE name = 'generation'", ())
_BUCKET = "id, name, owner_id, tenant, region, created_at, ownership, acl"


class StoreRow(NamedTuple):
    """A store as the catalog keeps it: its configuration is sealed under the master key."""

    id: int
    backend_type: str
    sealed_config: bytes
    block_size: int
    dedup_scope: str


def _number(rows: list[Row]) -> int:
    return int(rows[0][0])


GENERATION = Lookup("SELECT value FROM meta WHERE name = 'generation'", (), _number)
"""Finds a number that is one more after each change of mounts, stores, keys, users or buckets."""


# -- stores and mounts


def load_stores() -> Program[list[StoreRow]]:
    rows = yield "SELECT id, backend_type, sealed_config, block_size, dedup_scope FROM stores ORDER BY id", ()
    return [StoreRow(*row) for row in rows]


def load_mounts() -> Program[list[Mount]]:
    rows = yield (
        "SELECT mount_point, store_id, priority, readonly, created_at, managed_by FROM mounts ORDER BY mount_point",
        (),
    )
    return [Mount(point, store, priority, bool(readonly), at, by) for point, store, priority, readonly, at, by in rows]


def add_mount(mount: Mount, store: StoreRow, identity: str, bucket: Bucket | None) -> Program[Mount]:
    """Point a mount at a store, known or new (``identity`` decides), and make its bucket where that is missing.

    Raises MountExists.
    """
    if (yield "SELECT 1 FROM mounts WHERE mount_point = ?", (mount.mount_point,)):
        raise MountExists(mount.mount_point)
    rows = yield "SELECT id FROM stores WHERE identity = ?", (identity,)
    if rows:
        store_id = rows[0][0]
        yield "UPDATE stores SET sealed_config = ? WHERE id = ?", (store.sealed_config, store_id)
    else:
        rows = yield (
            "INSERT INTO stores (backend_type, identity, sealed_config, block_size, dedup_scope, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            (store.backend_type, identity, store.sealed_config, store.block_size, store.dedup_scope, mount.created_at),
        )
        store_id = rows[0][0]
    yield (
        "INSERT INTO mounts (mount_point, store_id, priority, readonly, created_at, managed_by)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (mount.mount_point, store_id, mount.priority, int(mount.readonly), mount.created_at, mount.managed_by),
    )
    if bucket is not None and not (yield "SELECT 1 FROM buckets WHERE name = ?", (bucket.name,)):
        yield from _insert_bucket(bucket)
    yield BUMP
    return replace(mount, store_id=store_id)


def update_mount(mount: Mount, priority: int | None, readonly: bool | None, sealed: bytes | None) -> Program[None]:
    """Change what is not None of a mount, and of its store's configuration. Raises MountNotFound."""
    found = yield (
        "UPDATE mounts SET priority = coalesce(?, priority), readonly = coalesce(?, readonly) WHERE mount_point = ?"
        " AND store_id = ? RETURNING 1",
        (priority, None if readonly is None else int(readonly), mount.mount_point, mount.store_id),
    )
    if not found:
        raise MountNotFound(mount.mount_point)
    if sealed is not None:
        yield "UPDATE stores SET sealed_config = ? WHERE id = ?", (sealed, mount.store_id)
    yield BUMP


class MountStep(NamedTuple):
    """What one mount becomes; nothing, where there is no ``mount``."""

    mount_point: str
    mount: Mount | None = None
    store: StoreRow | None = None
    identity: str = ""
    bucket: Bucket | None = None


def reconcile_mounts(generation: int, steps: Sequence[MountStep]) -> Program[None]:
    """Change several mounts at once, as they were decided at a generation. Raises MountsChanged."""
    if (yield "SELECT value FROM meta WHERE name = 'generation'", ())[0][0] != generation:
        raise MountsChanged
    for step in steps:
        found = yield "DELETE FROM mounts WHERE mount_point = ? RETURNING created_at", (step.mount_point,)
        if step.mount is None or step.store is None:
            continue
        mount = replace(step.mount, created_at=found[0][0]) if found else step.mount
        yield from add_mount(mount, step.store, step.identity, step.bucket)
    yield BUMP


def remove_mount(mount_point: str) -> Program[None]:
    """Forget a mount; its store and what the store holds stay. Raises MountNotFound."""
    if not (yield "SELECT 1 FROM mounts WHERE mount_point = ?", (mount_point,)):
        raise MountNotFound(mount_point)
    yield "DELETE FROM mounts WHERE mount_point = ?", (mount_point,)
    yield BUMP


# -- storage classes


def load_classes() -> Program[dict[str, str]]:
    """The mount points that storage classes are bound to, by class."""
    return dict((yield "SELECT name, mount_point FROM storage_classes ORDER BY name", ()))


def bind_class(name: str, mount_point: str, now: int) -> Program[None]:
    """Bind a storage class to the store at a mount point. Raises MountNotFound."""
    if not (yield "SELECT 1 FROM mounts WHERE mount_point = ?", (mount_point,)):
        raise MountNotFound(mount_point)
    yield (
        "INSERT INTO storage_classes (name, mount_point, created_at) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET mount_point = excluded.mount_point",
        (name, mount_point, now),
    )
    yield BUMP


def unbind_class(name: str) -> Program[bool]:
    """Forget what a storage class was bound to; whether it was."""
    found = yield "DELETE FROM storage_classes WHERE name = ? RETURNING name", (name,)
    yield BUMP
    return bool(found)


# -- buckets


def find_bucket(name: str) -> Program[Bucket | None]:
    rows = yield f"SELECT {_BUCKET} FROM buckets WHERE name = ?", (name,)
    if not rows:
        return None
    bucket = _bucket(rows[0])
    limits = yield "SELECT quota_bytes, quota_objects FROM tenants WHERE id = ?", (bucket.tenant,)
    if limits and limits[0] != (None, None):
        bucket = replace(bucket, quota=Quota(*limits[0]))
    configs = yield (
        "SELECT name, value FROM bucket_configs WHERE bucket_id = ?"
        " UNION ALL SELECT name, value FROM tenant_configs WHERE tenant = ?",
        (bucket.id, bucket.tenant),
    )
    return replace(bucket, configs=dict(configs)) if configs else bucket


# -- tenants


def tenant_config(tenant: str, name: str) -> Program[str | None]:
    """A configuration of a tenant, None where there is none."""
    rows = yield "SELECT value FROM tenant_configs WHERE tenant = ? AND name = ?", (tenant, name)
    return str(rows[0][0]) if rows else None


def set_tenant_config(tenant: str, name: str, value: str | None) -> Program[None]:
    """Replace a configuration of a tenant, or remove it. Raises TenantNotFound."""
    if not (yield "SELECT 1 FROM tenants WHERE id = ?", (tenant,)):
        raise TenantNotFound(tenant)
    if value is None:
        yield "DELETE FROM tenant_configs WHERE tenant = ? AND name = ?", (tenant, name)
    else:
        yield (
            "INSERT INTO tenant_configs (tenant, name, value) VALUES (?, ?, ?)"
            " ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value",
            (tenant, name, value),
        )
    yield BUMP


# -- lists and changes of buckets


class Whose(NamedTuple):
    """Whose buckets to list."""

    owner_id: str
    tenant: str | None = None
    """All of a tenant, too."""
    granted: bool = False
    """Those too in which the owner has a role."""


def list_buckets(whose: Whose | None, prefix: str, after: str, limit: int) -> Program[list[Bucket]]:
    """Somebody's buckets (None: all) in name order, at most ``limit``, with names past ``after``.

    They come without their configurations.
    """
    term, values = "", list[object]()
    if whose is not None:
        term, values = "owner_id = ?", [whose.owner_id]
        if whose.tenant is not None:
            term, values = f"{term} OR tenant = ?", [*values, whose.tenant]
        if whose.granted:
            term += (
                " OR id IN (SELECT bucket_id FROM path_grants WHERE (kind = 'user' AND subject = ?) OR (kind = 'group'"
                " AND subject IN (SELECT group_id FROM group_members WHERE user_id = ?)))"
            )
            values += [whose.owner_id, whose.owner_id]
    rows = yield (
        f"SELECT {_BUCKET} FROM buckets WHERE name > ? AND substr(name, 1, length(?)) = ?"
        + (f" AND ({term})" if term else "")
        + " ORDER BY name LIMIT ?",
        (after, prefix, prefix, *values, limit),
    )
    return [_bucket(row) for row in rows]


def create_bucket(bucket: Bucket) -> Program[Bucket]:
    """Make a bucket; raises BucketExists."""
    rows = yield "SELECT owner_id FROM buckets WHERE name = ?", (bucket.name,)
    if rows:
        raise BucketExists(bucket.name, by_caller=rows[0][0] == bucket.owner_id)
    made = yield from _insert_bucket(bucket)
    yield BUMP
    return made


def _insert_bucket(bucket: Bucket) -> Program[Bucket]:
    rows = yield (
        "INSERT INTO buckets (name, owner_id, tenant, region, created_at, ownership, acl)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            bucket.name,
            bucket.owner_id,
            bucket.tenant,
            bucket.region,
            bucket.created_at,
            bucket.ownership,
            acl.dump(bucket.acl),
        ),
    )
    bucket_id = rows[0][0]
    yield Many(
        "INSERT INTO bucket_configs (bucket_id, name, value) VALUES (?, ?, ?)",
        [(bucket_id, name, value) for name, value in bucket.configs.items()],
    )
    return replace(bucket, id=bucket_id)


def set_bucket_acl(bucket: Bucket, grants: acl.Acl | None) -> Program[None]:
    """Replace a bucket's ACL. Raises BucketNotFound."""
    if not (yield "UPDATE buckets SET acl = ? WHERE id = ? RETURNING id", (acl.dump(grants), bucket.id)):
        raise BucketNotFound(bucket.name)
    yield BUMP


def set_ownership(bucket: Bucket, ownership: str) -> Program[None]:
    """Change who owns what is written to a bucket. Raises BucketNotFound."""
    if not (yield "UPDATE buckets SET ownership = ? WHERE id = ? RETURNING id", (ownership, bucket.id)):
        raise BucketNotFound(bucket.name)
    yield BUMP


def set_config(bucket: Bucket, name: str, value: str | None) -> Program[None]:
    """Replace one configuration of a bucket; None removes it. Raises BucketNotFound."""
    if not (yield "SELECT 1 FROM buckets WHERE id = ?", (bucket.id,)):
        raise BucketNotFound(bucket.name)
    if value is None:
        yield "DELETE FROM bucket_configs WHERE bucket_id = ? AND name = ?", (bucket.id, name)
    else:
        yield (
            "INSERT INTO bucket_configs (bucket_id, name, value) VALUES (?, ?, ?)"
            " ON CONFLICT (bucket_id, name) DO UPDATE SET value = excluded.value",
            (bucket.id, name, value),
        )
    yield BUMP


def set_versioning(bucket: Bucket, status: str) -> Program[None]:
    """Enable or suspend versioning. Raises BucketState where object lock needs it enabled."""
    configs = yield from _configs(bucket)
    if status != ENABLED and OBJECT_LOCK in configs:
        raise BucketState(
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
        )
    yield from set_config(bucket, VERSIONING, status)


def set_object_lock(bucket: Bucket, value: str) -> Program[None]:
    """Turn object lock on, with a default retention or none; it is never turned off. Raises BucketState."""
    configs = yield from _configs(bucket)
    if configs.get(VERSIONING) != ENABLED:
        raise BucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
    yield from set_config(bucket, OBJECT_LOCK, value)


def _configs(bucket: Bucket) -> Program[dict[str, str]]:
    return dict((yield "SELECT name, value FROM bucket_configs WHERE bucket_id = ?", (bucket.id,)))


def delete_bucket(bucket_id: int, name: str) -> Program[None]:
    """Remove an empty bucket; raises BucketNotEmpty, BucketNotFound."""
    if not (yield "SELECT 1 FROM buckets WHERE id = ?", (bucket_id,)):
        raise BucketNotFound(name)
    for table in ("objects", "versions"):
        if (yield f"SELECT 1 FROM {table} WHERE bucket_id = ? LIMIT 1", (bucket_id,)):
            raise BucketNotEmpty(name)
    yield "DELETE FROM bucket_configs WHERE bucket_id = ?", (bucket_id,)
    # Another bucket may have its name, or its number, one day.
    yield "DELETE FROM path_grants WHERE bucket_id = ?", (bucket_id,)
    yield "DELETE FROM buckets WHERE id = ?", (bucket_id,)
    yield BUMP


def _bucket(row: Row) -> Bucket:
    bucket_id, name, owner_id, tenant, region, created_at, ownership, grants = row
    return Bucket(bucket_id, name, owner_id, tenant, created_at, region, ownership, acl.load(grants))
