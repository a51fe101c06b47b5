"""Programs over the objects of a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway import acl
from gateway.acl import Acl
from gateway.catalog import rows
from gateway.catalog.base import Program
from gateway.catalog.blobs import Claim, claim, make_manifest, release
from gateway.conditions import UNCONDITIONAL, WriteConditions, check_write
from gateway.errors import Conflict, MountsChanged, ObjectNotFound
from gateway.types import Attributes, Block, Bucket, Checksum, Content, ObjectInfo

_FIND = f"SELECT {rows.OBJECT} FROM objects WHERE bucket_id = ? AND key = ?"
_PRESENT = (
    "SELECT id, etag, size, modified_at, created_at, version, store_id, scope, digest, manifest_id"
    " FROM objects WHERE bucket_id = ? AND key = ?"
)
_INSERT = (
    "INSERT INTO objects (bucket_id, key, store_id, scope, size, digest, manifest_id, etag, modified_at, created_at,"
    " owner_id, content_type, headers, metadata, storage_class, tags, checksum_algorithm, checksum_value,"
    " checksum_type, version, parts, acl) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " RETURNING id"
)
_UPDATE = (
    "UPDATE objects SET store_id = ?, scope = ?, size = ?, digest = ?, manifest_id = ?, etag = ?, modified_at = ?,"
    " owner_id = ?, content_type = ?, headers = ?, metadata = ?, storage_class = ?, tags = ?, checksum_algorithm = ?,"
    " checksum_value = ?, checksum_type = ?, version = ?, parts = ?, acl = ? WHERE id = ?"
)


@dataclass(frozen=True, slots=True)
class NewObject:
    """A version about to be named. ``content.manifest_id`` is set when it shares a manifest that exists."""

    bucket: Bucket
    key: str
    content: Content
    etag: str
    owner_id: str
    attributes: Attributes
    checksum: Checksum | None
    now: int
    conditions: WriteConditions = UNCONDITIONAL
    parts: int = 0
    layout: str | None = None
    """JSON of the parts' [number, size, checksum], for an object of several parts."""
    acl: Acl | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """One object to remove, if its conditions hold."""

    key: str
    conditions: WriteConditions = UNCONDITIONAL


def find_object(bucket_id: int, key: str) -> Program[ObjectInfo | None]:
    found = yield _FIND, (bucket_id, key.encode())
    return rows.object_info(found[0]) if found else None


def put_object(new: NewObject, blocks: Sequence[Block], seen: Claim) -> Program[ObjectInfo]:
    """Name stored blocks, replacing what the key named before.

    Raises PreconditionFailed or ObjectNotFound by the conditions, MountsChanged and ClaimLost as ``claim`` does.
    """
    yield from claim(new.content, blocks, seen)
    return (yield from name_object(new, blocks))


def name_object(new: NewObject, blocks: Sequence[Block] = ()) -> Program[ObjectInfo]:
    """The naming half of a put, for content that is claimed already."""
    present = yield _PRESENT, (new.bucket.id, new.key.encode())
    old = present[0] if present else None
    if new.conditions:
        check_write(new.conditions, new.bucket.name, new.key, old[1:4] if old else None)
    content = new.content
    if len(blocks) == 1 and new.layout is None:
        content = Content(content.store_id, content.scope, content.size, blocks[0].digest)
    elif blocks:
        manifest_id = yield from make_manifest(content, blocks, new.layout)
        content = Content(content.store_id, content.scope, content.size, None, manifest_id)
    return (yield from _store(new, content, old))


def _store(new: NewObject, content: Content, old: tuple[Any, ...] | None) -> Program[ObjectInfo]:
    attributes, checksum = new.attributes, new.checksum
    digest = bytes.fromhex(content.digest) if content.digest else None
    place = (content.store_id, content.scope, content.size, digest, content.manifest_id, new.etag)
    # Modification times of a key rise: a clock set back must not make an overwrite look older.
    now = max(new.now, old[3]) if old else new.now
    created_at, version = (old[4], old[5] + 1) if old else (now, 1)
    rest = (
        new.owner_id,
        attributes.content_type,
        rows.to_json(attributes.headers),
        rows.to_json(attributes.metadata),
        attributes.storage_class,
        rows.to_json(attributes.tags),
        *((checksum.algorithm, checksum.value, checksum.type) if checksum else (None, None, None)),
        version,
        new.parts,
        acl.dump(new.acl),
    )
    if old:
        object_id = old[0]
        yield _UPDATE, (*place, now, *rest, object_id)
        if (old[8], old[9]) != (digest, content.manifest_id) or old[6:8] != (content.store_id, content.scope):
            yield from release(old[6], old[7], old[8], old[9], new.now)
    else:
        made = yield _INSERT, (new.bucket.id, new.key.encode(), *place, now, created_at, *rest)
        object_id = made[0][0]
    return ObjectInfo(
        object_id,
        new.bucket.id,
        new.key,
        content,
        new.etag,
        now,
        created_at,
        new.owner_id,
        attributes,
        checksum,
        version,
        new.parts,
        new.acl,
    )


def copy_object(
    new: NewObject, source_id: int, source_etag: str, source_content: Content, seen: int
) -> Program[ObjectInfo]:
    """Name the content of another object of the same store; no byte moves.

    Raises Conflict when the source changed meanwhile, MountsChanged when the configuration did.
    """
    found = yield (
        "SELECT etag, digest, manifest_id, (SELECT value FROM meta WHERE name = 'generation')"
        " FROM objects WHERE id = ?",
        (source_id,),
    )
    digest = bytes.fromhex(source_content.digest) if source_content.digest else None
    if not found or found[0][:3] != (source_etag, digest, source_content.manifest_id):
        raise Conflict("the source changed while it was copied")
    if found[0][3] != seen:
        raise MountsChanged
    return (yield from name_object(new))


def delete_object(bucket: Bucket, removal: Removal, now: int, seen: int) -> Program[bool]:
    """Remove a key; whether it was there. Conditions apply to what is there; raises as ``check_write``."""
    present = yield _PRESENT, (bucket.id, removal.key.encode())
    generation = yield "SELECT value FROM meta WHERE name = 'generation'", ()
    if generation[0][0] != seen:
        raise MountsChanged
    old = present[0] if present else None
    if removal.conditions:
        check_write(removal.conditions, bucket.name, removal.key, old[1:4] if old else None)
    if old is None:
        return False
    yield "DELETE FROM objects WHERE id = ?", (old[0],)
    yield from release(old[6], old[7], old[8], old[9], now)
    return True


def set_acl(bucket: Bucket, seen: ObjectInfo, grants: Acl | None) -> Program[None]:
    """Replace the ACL of an object that was just found. Raises Conflict when it was overwritten meanwhile."""
    changed = yield (
        "UPDATE objects SET acl = ? WHERE id = ? AND bucket_id = ? AND version = ? RETURNING id",
        (acl.dump(grants), seen.id, bucket.id, seen.version),
    )
    if not changed:
        raise Conflict("the object changed while its ACL was set")


def set_tags(bucket: Bucket, key: str, tags: tuple[tuple[str, str], ...]) -> Program[None]:
    """Replace an object's tags; its bytes, ETag and time stay. Raises ObjectNotFound."""
    changed = yield (
        "UPDATE objects SET tags = ? WHERE bucket_id = ? AND key = ? RETURNING id",
        (rows.to_json(tags), bucket.id, key.encode()),
    )
    if not changed:
        raise ObjectNotFound(bucket.name, key)
