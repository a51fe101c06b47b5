"""Programs for what a file system asks of objects: their versions by number, hashes of long contents, metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.catalog import rows
from gateway.catalog.base import Program
from gateway.catalog.blobs import Claim
from gateway.catalog.objects import NewObject, put_object
from gateway.errors import BadRequest, ObjectNotFound
from gateway.types import Block, Bucket, Content, ObjectInfo

_HASH_PAGE = 10_000
NOTHING = hashlib.sha256(b"").hexdigest()
"""The hash of no bytes."""


class ToName(NamedTuple):
    """A stored body on its way to its name."""

    new: NewObject
    blocks: Sequence[Block]
    seen: Claim


def put_all(files: Sequence[ToName]) -> Program[list[ObjectInfo]]:
    """Name several stored bodies, all or none. Raises as ``put_object``."""
    named = []
    for file in files:
        named.append((yield from put_object(file.new, file.blocks, file.seen)))
    return named


def hash_contents(contents: Sequence[Content]) -> Program[list[str]]:
    """The SHA-256 of each content of one block; of longer ones that over the digests of their blocks, in order.

    It is always that of the bytes themselves, be they encrypted or not.
    """
    hashes = []
    for content in contents:
        if content.manifest_id is not None:
            hashes.append((yield from _hash_manifest(content, content.manifest_id)))
        elif content.digest is None:
            hashes.append(NOTHING)
        else:
            hashes.append((yield from _plain(content, content.digest)) if content.sealed else content.digest)
    return hashes


def _hash_manifest(content: Content, manifest_id: int) -> Program[str]:
    hasher, last = hashlib.sha256(), -1
    select = (
        "SELECT k.start, coalesce(x.plain, k.digest) FROM manifest_blocks AS k LEFT JOIN blobs AS x"
        " ON x.store_id = ? AND x.scope = ? AND x.digest = k.digest WHERE k.manifest_id = ? AND k.start > ?"
        " ORDER BY k.start LIMIT ?"
    )
    while True:
        page = yield select, (content.store_id, content.scope, manifest_id, last, _HASH_PAGE)
        for _, digest in page:
            hasher.update(digest)
        if len(page) < _HASH_PAGE:
            return hasher.hexdigest()
        last = page[-1][0]


def _plain(content: Content, digest: str) -> Program[str]:
    """The digest of an encrypted block's own bytes."""
    found = yield (
        "SELECT plain FROM blobs WHERE store_id = ? AND scope = ? AND digest = ?",
        (content.store_id, content.scope, bytes.fromhex(digest)),
    )
    return found[0][0].hex() if found and found[0][0] else digest


def numbered_versions(bucket_id: int, key: str, below: int, limit: int) -> Program[list[ObjectInfo]]:
    """The versions of a key with numbers under ``below``, the latest first; no delete markers."""
    found = yield (
        f"SELECT {rows.OBJECT} FROM objects WHERE bucket_id = ?1 AND key = ?2 AND version < ?3 UNION ALL"
        f" SELECT {rows.OBJECT} FROM versions WHERE bucket_id = ?1 AND key = ?2 AND version < ?3 AND is_marker = 0"
        " ORDER BY version DESC LIMIT ?4",
        (bucket_id, key.encode(), below, limit),
    )
    return [rows.object_info(row) for row in found]


def change_metadata(bucket: Bucket, key: str, changes: Mapping[str, str | None], limit: int) -> Program[None]:
    """Set user metadata of what a key shows, and remove that with None; its bytes, ETag, version and time stay.

    Raises ObjectNotFound, BadRequest over ``limit`` bytes.
    """
    where = (bucket.id, key.encode())
    found = yield "SELECT metadata FROM objects WHERE bucket_id = ? AND key = ?", where
    if not found:
        raise ObjectNotFound(bucket.name, key)
    merged = merge_metadata(json.loads(found[0][0]) if found[0][0] else {}, changes, limit)
    yield "UPDATE objects SET metadata = ? WHERE bucket_id = ? AND key = ?", (rows.to_json(merged), *where)


def merge_metadata(present: Mapping[str, str], changes: Mapping[str, str | None], limit: int) -> dict[str, str]:
    """Metadata after changes. Raises BadRequest over ``limit`` bytes of names and values."""
    merged = {name: value for name, value in {**present, **changes}.items() if value is not None}
    if (size := sum(len(name.encode()) + len(value.encode()) for name, value in merged.items())) > limit:
        raise BadRequest(f"metadata has at most {limit} bytes, not {size}", "metadata", str(size))
    return merged
