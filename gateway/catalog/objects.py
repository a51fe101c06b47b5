"""Programs over the objects of a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway import acl, encryption
from gateway.acl import Acl
from gateway.catalog import rows, versions
from gateway.catalog.base import Lookup, Program, brief
from gateway.catalog.blobs import STANDING, Claim, claim, claim_one, make_manifest, release
from gateway.catalog.tenants import within_quota
from gateway.conditions import UNCONDITIONAL, WriteConditions, check_write
from gateway.encryption import Encryption
from gateway.errors import Conflict, MountsChanged, ObjectReplaced
from gateway.locks import check_removal, lock_of_new
from gateway.types import Attributes, Block, Bucket, Checksum, Content, Lock, ObjectInfo
from gateway.versioning import ENABLED, NULL, SUSPENDED, new_version_id, versioning_of

_FIND = f"SELECT {rows.OBJECT} FROM objects WHERE bucket_id = ? AND key = ?"
PRESENT = (
    "version, etag, size, modified_at, created_at, version_id, store_id, scope, digest, manifest_id,"
    " lock_mode, lock_until, legal_hold"
)
_PRESENT = f"SELECT {PRESENT} FROM objects WHERE bucket_id = ? AND key = ?"
_LOOK = (
    f"SELECT {STANDING}, {PRESENT} FROM meta LEFT JOIN objects ON bucket_id = ?4 AND key = ?5"
    " WHERE meta.name = 'generation'"
)
_FOUND = f"SELECT value, {PRESENT} FROM meta LEFT JOIN objects ON bucket_id = ? AND key = ? WHERE name = 'generation'"
_PLACED = "etag, store_id, scope, digest, manifest_id"
_WRITTEN = (
    "store_id, scope, size, digest, manifest_id, etag, modified_at, owner_id, content_type, headers, metadata,"
    " storage_class, tags, checksum_algorithm, checksum_value, checksum_type, version, parts, acl, version_id,"
    " lock_mode, lock_until, legal_hold, encryption"
)
_INSERT = f"INSERT INTO objects ({_WRITTEN}, bucket_id, key, created_at) VALUES ({', '.join('?' * 27)})"
_UPDATE = f"UPDATE objects SET {_WRITTEN.replace(',', ' = ?,')} = ? WHERE bucket_id = ? AND key = ?"


class Present(NamedTuple):
    """What a key shows now, as far as a change needs to know."""

    version: int
    etag: str
    size: int
    modified_at: int
    created_at: int
    version_id: str
    store_id: int
    scope: str
    digest: bytes | None
    manifest_id: int | None
    lock_mode: str | None
    lock_until: int | None
    legal_hold: int | None

    def facts(self) -> tuple[str, int, int]:
        """What conditions are about: ETag, size, modification time."""
        return self.etag, self.size, self.modified_at


@dataclass(slots=True)
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
    lock: Lock | None = None
    """As the request asks; the bucket's default completes it."""
    encryption: Encryption | None = None


@dataclass(slots=True)
class Removal:
    """An object, or one version of it, to remove if its conditions hold."""

    key: str
    conditions: WriteConditions = UNCONDITIONAL
    version_id: str | None = None
    """None: what the key shows, which a versioned bucket hides under a delete marker."""
    owner_id: str = ""
    """Whose the delete marker is."""
    bypass: bool = False
    """Whether a GOVERNANCE retention is overridden."""


@dataclass(slots=True)
class Removed:
    """What a removal did."""

    existed: bool
    version_id: str | None = None
    """The version that was made or removed; None in a bucket that was never versioned."""
    is_marker: bool = False
    """Whether that version is, or was, a delete marker."""


def find_object(bucket_id: int, key: str) -> Lookup[ObjectInfo | None]:
    return Lookup(_FIND, (bucket_id, key.encode()), rows.first_object)


@brief
def put_object(new: NewObject, blocks: Sequence[Block], seen: Claim) -> Program[ObjectInfo]:
    """Name stored blocks, replacing what the key named before.

    Raises PreconditionFailed or ObjectNotFound by the conditions, MountsChanged and ClaimLost as ``claim`` does,
    QuotaExceeded.
    """
    if len(blocks) == 1 and blocks[0].seal is None:  # the hot path: one look answers all questions
        content, block = new.content, blocks[0]
        found = yield (
            _LOOK,
            (content.store_id, content.scope, bytes.fromhex(block.digest), new.bucket.id, new.key.encode()),
        )
        yield from claim_one(content, block, found[0][:3], seen)
        old = Present(*found[0][3:]) if found[0][3] is not None else None
        naming = _name_over(new, blocks, old)
    else:
        blocks = yield from claim(new.content, blocks, seen)
        naming = name_object(new, blocks)
    return (yield from (naming if new.bucket.quota is None else within_quota(new.bucket, naming)))


def name_object(
    new: NewObject, blocks: Sequence[Block] = (), manifest: Program[int] | None = None
) -> Program[ObjectInfo]:
    """The naming half of a put, for content that is claimed already: of ``blocks``, or what ``manifest`` makes."""
    return (yield from _name_over(new, blocks, (yield from _present(new.bucket.id, new.key)), manifest))


def _name_over(
    new: NewObject, blocks: Sequence[Block], old: Present | None, manifest: Program[int] | None = None
) -> Program[ObjectInfo]:
    """``name_object``, where the key shows ``old``."""
    if new.conditions:
        check_write(new.conditions, new.bucket.name, new.key, old.facts() if old else None)
    content = new.content
    if len(blocks) == 1 and new.layout is None:
        content = Content(content.store_id, content.scope, content.size, blocks[0].digest)
    elif blocks:
        manifest_id = yield from make_manifest(content, blocks, new.layout)
        content = Content(content.store_id, content.scope, content.size, None, manifest_id)
    elif manifest is not None:
        content = Content(content.store_id, content.scope, content.size, None, (yield from manifest))
    return (yield from _store(new, content, old))


def _present(bucket_id: int, key: str) -> Program[Present | None]:
    found = yield _PRESENT, (bucket_id, key.encode())
    return Present(*found[0]) if found else None


def _store(new: NewObject, content: Content, old: Present | None) -> Program[ObjectInfo]:
    attributes, checksum = new.attributes, new.checksum
    digest = bytes.fromhex(content.digest) if content.digest else None
    # Modification times of a key rise: a clock set back must not make an overwrite look older.
    now = max(new.now, old.modified_at) if old else new.now
    version, version_id = old.version + 1 if old else 1, NULL
    released = old
    if (status := versioning_of(new.bucket)) is not None:
        released = old if old and status == SUSPENDED and old.version_id == NULL else None
        version, now = yield from _make_way(new.bucket.id, new.key.encode(), old, status, now)
        version_id = new_version_id(version) if status == ENABLED else NULL
    lock = lock_of_new(new.bucket, new.lock, now) if new.bucket.configs else None
    columns = (
        content.store_id,
        content.scope,
        content.size,
        digest,
        content.manifest_id,
        new.etag,
        now,
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
        version_id,
        *rows.lock_columns(lock),
        encryption.dump(new.encryption),
        new.bucket.id,
        new.key.encode(),
    )
    if old:
        yield _UPDATE, columns
    else:
        yield _INSERT, (*columns, now)
    if released and released[6:10] != (content.store_id, content.scope, digest, content.manifest_id):
        yield from release(*released[6:10], new.now)
    return ObjectInfo(
        new.bucket.id,
        new.key,
        content,
        new.etag,
        now,
        old.created_at if old else now,
        new.owner_id,
        attributes,
        checksum,
        version,
        new.parts,
        new.acl,
        version_id,
        lock,
        encryption=new.encryption,
    )


def _make_way(bucket_id: int, key: bytes, old: Present | None, status: str, now: int) -> Program[tuple[int, int]]:
    """Before a write to a versioned bucket: keep what must stay; the new version's number and its least time.

    A null version replaces the null version, wherever it is. Raises ObjectLocked where that is locked.
    """
    if old is None:
        last = yield from versions.latest(bucket_id, key)
        if last is not None:
            yield from versions.supersede(bucket_id, key, last.version, now)
        version, now = (last.version + 1, max(now, last.modified_at)) if last else (1, now)
    else:
        version = old.version + 1
        if status == SUSPENDED and old.version_id == NULL:
            check_removal(rows.lock(*old[10:]), now, bypass=False)
        else:
            yield from versions.keep(bucket_id, key, now)
    if status == SUSPENDED:
        yield from versions.drop_null(bucket_id, key, now)
    return version, now


def copy_object(new: NewObject, source: ObjectInfo, seen: int) -> Program[ObjectInfo]:
    """Name the content of another object of the same store; no byte moves.

    Raises ObjectReplaced when the source changed or moved meanwhile, MountsChanged when the configuration did.
    """
    where = (source.bucket_id, source.key.encode(), source.version)
    found = yield (
        f"SELECT {_PLACED} FROM objects WHERE bucket_id = ?1 AND key = ?2 AND version = ?3"
        f" UNION ALL SELECT {_PLACED} FROM versions WHERE bucket_id = ?1 AND key = ?2 AND version = ?3",
        where,
    )
    content = source.content
    digest = bytes.fromhex(content.digest) if content.digest else None
    # Where it lies is part of it: a digest stays when an object moves, the bytes at the former place do not.
    if not found or found[0] != (source.etag, content.store_id, content.scope, digest, content.manifest_id):
        raise ObjectReplaced("the source changed while it was copied")
    yield from check_generation(seen)
    return (yield from within_quota(new.bucket, name_object(new)))


def check_generation(seen: int) -> Program[None]:
    """Raise MountsChanged unless the configuration is the one that was seen."""
    generation = yield "SELECT value FROM meta WHERE name = 'generation'", ()
    if generation[0][0] != seen:
        raise MountsChanged


@brief
def delete_object(bucket: Bucket, removal: Removal, now: int, seen: int) -> Program[Removed]:
    """Remove a key or a version of it. Conditions apply to what would go; raises as ``check_write``, ObjectLocked."""
    if removal.version_id is not None:
        yield from check_generation(seen)
        return (yield from _delete_version(bucket, removal, removal.version_id, now))
    found = yield _FOUND, (bucket.id, removal.key.encode())
    if found[0][0] != seen:
        raise MountsChanged
    old = Present(*found[0][1:]) if found[0][1] is not None else None
    if removal.conditions:
        check_write(removal.conditions, bucket.name, removal.key, old.facts() if old else None)
    status = versioning_of(bucket)
    if status is not None:
        return (yield from hide(bucket.id, removal, old, status, now))
    if old is None:
        return Removed(False)
    yield from _delete(bucket.id, removal.key.encode(), old, now)
    return Removed(True)


def _delete(bucket_id: int, key: bytes, old: Present, now: int) -> Program[None]:
    yield "DELETE FROM objects WHERE bucket_id = ? AND key = ?", (bucket_id, key)
    yield from release(*old[6:10], now)


def hide(bucket_id: int, removal: Removal, old: Present | None, status: str, now: int) -> Program[Removed]:
    """Put a delete marker over what the key shows; where versioning is suspended the null version goes."""
    key = removal.key.encode()
    version, now = yield from _make_way(bucket_id, key, old, status, max(now, old.modified_at) if old else now)
    if old and status == SUSPENDED and old.version_id == NULL:
        yield from _delete(bucket_id, key, old, now)
    elif old:
        yield "DELETE FROM objects WHERE bucket_id = ? AND key = ?", (bucket_id, key)
    version_id = new_version_id(version) if status == ENABLED else NULL
    yield from versions.add_marker(bucket_id, key, version, version_id, removal.owner_id, now)
    return Removed(old is not None, version_id, True)


def _delete_version(bucket: Bucket, removal: Removal, version_id: str, now: int) -> Program[Removed]:
    """Remove one version for good; what was before it is shown again if it was the latest."""
    key = removal.key.encode()
    shown = None if versioning_of(bucket) is None else version_id
    found = yield from versions.find_version(bucket.id, removal.key, version_id)
    if removal.conditions:
        facts = (found.etag, found.size, found.modified_at) if found else None
        check_write(removal.conditions, bucket.name, removal.key, facts)
    if found is None:
        return Removed(False, shown)
    dropped = yield from versions.drop(bucket.id, key, version_id, now, bypass=removal.bypass)
    if dropped is None:
        check_removal(found.lock, now, removal.bypass)
        old = yield from _present(bucket.id, removal.key)
        assert old is not None and old.version_id == version_id
        yield from _delete(bucket.id, key, old, now)
    if dropped is None or dropped.was_latest:
        yield from versions.promote(bucket.id, key)
    return Removed(True, shown, found.is_marker)


def set_acl(bucket: Bucket, seen: ObjectInfo, grants: Acl | None) -> Program[None]:
    """Replace the ACL of a version that was just found. Raises Conflict when it was replaced meanwhile."""
    for table in ("objects", "versions"):
        changed = yield (
            f"UPDATE {table} SET acl = ? WHERE bucket_id = ? AND key = ? AND version = ? AND modified_at = ?"
            " RETURNING 1",
            (acl.dump(grants), bucket.id, seen.key.encode(), seen.version, seen.modified_at),
        )
        if changed:
            return
    raise Conflict("the object changed while its ACL was set")
