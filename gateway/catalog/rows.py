"""How value objects lie in the catalog's rows."""

from __future__ import annotations

import json
from typing import Any

from gateway import acl, encryption
from gateway.types import Attributes, Checksum, Content, Lock, ObjectInfo, Part, Upload

OBJECT = (
    "bucket_id, key, store_id, scope, size, digest, manifest_id, etag, modified_at, created_at, owner_id,"
    " content_type, headers, metadata, storage_class, tags, checksum_algorithm, checksum_value, checksum_type,"
    " version, parts, acl, version_id, lock_mode, lock_until, legal_hold, encryption"
)
"""The columns that ``objects`` and ``versions`` share."""
FILE = f"key, {OBJECT}"
"""The same for a listing, whose rows begin with the key."""
PART = "number, store_id, scope, size, digest, manifest_id, etag, modified_at, checksum_algorithm, checksum_value"
UPLOAD = (
    "id, bucket_id, key, initiated_at, owner_id, store_id, scope, attributes, checksum_algorithm, checksum_type, acl,"
    " lock_mode, lock_until, legal_hold, encryption"
)


def to_json(value: Any) -> str | None:
    """Compact JSON, or None for what is empty."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else None


def object_info(row: tuple[Any, ...], is_marker: bool = False) -> ObjectInfo:
    (
        bucket_id, key, store_id, scope, size, digest, manifest_id, etag, modified_at, created_at, owner_id,
        content_type, headers, metadata, storage_class, tags, algorithm, value, kind, version, parts, grants,
        version_id, lock_mode, lock_until, legal_hold, sealed,
    ) = row  # fmt: skip
    return ObjectInfo(
        bucket_id,
        key.decode(),
        Content(store_id, scope, size, digest.hex() if digest else None, manifest_id),
        etag,
        modified_at,
        created_at,
        owner_id,
        Attributes(
            content_type,
            json.loads(headers) if headers else {},
            json.loads(metadata) if metadata else {},
            storage_class,
            tuple((name, text) for name, text in json.loads(tags)) if tags else (),
        ),
        Checksum(algorithm, value, kind) if algorithm else None,
        version,
        parts,
        None if grants is None else acl.load(grants),
        version_id,
        None if lock_mode is None and legal_hold is None else lock(lock_mode, lock_until, legal_hold),
        is_marker,
        None if sealed is None else encryption.load(sealed),
    )


def first_object(found: list[tuple[Any, ...]]) -> ObjectInfo | None:
    """The object that a look-up found, if it did."""
    return object_info(found[0]) if found else None


def file_info(row: tuple[Any, ...]) -> ObjectInfo:
    """What a listing by ``FILE`` found."""
    return object_info(row[1:])


def lock(mode: str | None, until: int | None, legal_hold: int | None) -> Lock | None:
    if mode is None and legal_hold is None:
        return None
    return Lock(mode, until, None if legal_hold is None else bool(legal_hold))


def lock_columns(lock: Lock | None) -> tuple[str | None, int | None, int | None]:
    if lock is None:
        return None, None, None
    return lock.mode, lock.until, None if lock.legal_hold is None else int(lock.legal_hold)


def part(row: tuple[Any, ...]) -> Part:
    number, store_id, scope, size, digest, manifest_id, etag, modified_at, algorithm, value = row
    return Part(
        number,
        Content(store_id, scope, size, digest.hex() if digest else None, manifest_id),
        etag,
        modified_at,
        Checksum(algorithm, value) if algorithm else None,
    )


def is_part(row: tuple[Any, ...], part: Part) -> bool:
    """Whether a row is that of a part as it was when it was read; many are compared while others wait."""
    content, checksum = part.content, part.checksum
    return row == (
        *(part.number, content.store_id, content.scope, content.size),
        *(bytes.fromhex(content.digest) if content.digest else None, content.manifest_id, part.etag, part.modified_at),
        *((checksum.algorithm, checksum.value) if checksum else (None, None)),
    )


def upload(row: tuple[Any, ...]) -> Upload:
    (
        upload_id, bucket_id, key, initiated_at, owner_id, store_id, scope, attributes, algorithm, kind, grants,
        *locked, sealed,
    ) = row  # fmt: skip
    return Upload(
        upload_id,
        bucket_id,
        key.decode(),
        initiated_at,
        owner_id,
        store_id,
        scope,
        attributes_from_json(attributes),
        algorithm,
        kind,
        acl.load(grants),
        lock(*locked),
        encryption.load(sealed),
    )


def attributes_to_json(attributes: Attributes) -> str:
    return json.dumps(
        [
            attributes.content_type,
            attributes.headers,
            attributes.metadata,
            attributes.storage_class,
            attributes.tags,
        ],
        ensure_ascii=False,
    )


def attributes_from_json(text: str) -> Attributes:
    content_type, headers, metadata, storage_class, tags = json.loads(text)
    return Attributes(content_type, headers, metadata, storage_class, tuple((name, value) for name, value in tags))
