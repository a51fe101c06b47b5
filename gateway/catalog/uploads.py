"""Programs over multipart uploads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway import acl, encryption
from gateway.catalog import rows
from gateway.catalog.base import Many, Program
from gateway.catalog.blobs import Claim, claim, make_manifest, release, release_all
from gateway.catalog.objects import NewObject, name_object
from gateway.catalog.tenants import within_quota
from gateway.errors import InvalidPart, MountsChanged, UploadNotFound
from gateway.types import Block, Bucket, Checksum, Content, ObjectInfo, Part, Upload


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished upload answered, kept so that a repeated completion answers the same."""

    upload: Upload
    etag: str
    checksum: Checksum | None
    parts: list[tuple[int, str]]
    version_id: str = ""


def create_upload(upload: Upload, seen: int) -> Program[None]:
    generation = yield "SELECT value FROM meta WHERE name = 'generation'", ()
    if generation[0][0] != seen:
        raise MountsChanged
    yield (
        f"INSERT INTO uploads ({rows.UPLOAD}) VALUES ({', '.join('?' * 15)})",
        (
            upload.id,
            upload.bucket_id,
            upload.key.encode(),
            upload.initiated_at,
            upload.owner_id,
            upload.store_id,
            upload.scope,
            rows.attributes_to_json(upload.attributes),
            upload.checksum_algorithm,
            upload.checksum_type,
            acl.dump(upload.acl),
            *rows.lock_columns(upload.lock),
            encryption.dump(upload.encryption),
        ),
    )


def find_upload(upload_id: str) -> Program[Upload | None]:
    """An upload under way."""
    found = yield f"SELECT {rows.UPLOAD} FROM uploads WHERE id = ? AND completed_at IS NULL", (upload_id,)
    return rows.upload(found[0]) if found else None


def find_completed(upload_id: str) -> Program[Completed | None]:
    found = yield (
        f"SELECT {rows.UPLOAD}, completed FROM uploads WHERE id = ? AND completed_at IS NOT NULL",
        (upload_id,),
    )
    if not found:
        return None
    answer = json.loads(found[0][-1])
    checksum = Checksum(*answer["checksum"]) if answer["checksum"] else None
    return Completed(
        rows.upload(found[0][:-1]),
        answer["etag"],
        checksum,
        [(number, etag) for number, etag in answer["parts"]],
        answer.get("version_id", ""),
    )


def put_part(
    bucket: Bucket, upload_id: str, part: Part, blocks: Sequence[Block], seen: Claim, now: int
) -> Program[Part]:
    """Keep a part, replacing one of the same number. Raises UploadNotFound, MountsChanged, ClaimLost, QuotaExceeded."""
    blocks = yield from claim(part.content, blocks, seen)
    return (yield from within_quota(bucket, name_part(upload_id, part, blocks, now)))


def name_part(upload_id: str, part: Part, blocks: Sequence[Block], now: int) -> Program[Part]:
    """The naming half of ``put_part``, for content that is claimed already."""
    if not (yield "SELECT 1 FROM uploads WHERE id = ? AND completed_at IS NULL", (upload_id,)):
        raise UploadNotFound(upload_id)
    old = yield (
        "SELECT store_id, scope, digest, manifest_id FROM parts WHERE upload_id = ? AND number = ?",
        (upload_id, part.number),
    )
    content = part.content
    if len(blocks) == 1:
        content = Content(content.store_id, content.scope, content.size, blocks[0].digest)
    elif blocks:
        content = Content(
            content.store_id, content.scope, content.size, None, (yield from make_manifest(content, blocks))
        )
    digest = bytes.fromhex(content.digest) if content.digest else None
    if old:
        yield "DELETE FROM parts WHERE upload_id = ? AND number = ?", (upload_id, part.number)
        if old[0] != (content.store_id, content.scope, digest, content.manifest_id):
            store_id, scope, digest_then, manifest_then = old[0]
            yield from release(store_id, scope, digest_then, manifest_then, now)
    checksum = part.checksum
    yield (
        f"INSERT INTO parts (upload_id, {rows.PART}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            upload_id,
            part.number,
            content.store_id,
            content.scope,
            content.size,
            digest,
            content.manifest_id,
            part.etag,
            part.modified_at,
            checksum.algorithm if checksum else None,
            checksum.value if checksum else None,
        ),
    )
    return Part(part.number, content, part.etag, part.modified_at, checksum)


def list_parts(upload_id: str, after: int, limit: int) -> Program[list[Part]]:
    found = yield (
        f"SELECT {rows.PART} FROM parts WHERE upload_id = ? AND number > ? ORDER BY number LIMIT ?",
        (upload_id, after, limit),
    )
    return [rows.part(row) for row in found]


def complete_upload(upload: Upload, new: NewObject, chosen: Sequence[Part], seen: int) -> Program[ObjectInfo]:
    """Make the chosen parts one object, drop the others, and remember the answer: no byte moves.

    One of complete and abort wins: raises UploadNotFound when it is over, InvalidPart when a part was replaced
    meanwhile, QuotaExceeded.
    """
    generation = yield "SELECT value FROM meta WHERE name = 'generation'", ()
    if generation[0][0] != seen:
        raise MountsChanged
    return (yield from within_quota(new.bucket, _complete(upload, new, chosen)))


def _complete(upload: Upload, new: NewObject, chosen: Sequence[Part]) -> Program[ObjectInfo]:
    if not (yield "SELECT 1 FROM uploads WHERE id = ? AND completed_at IS NULL", (upload.id,)):
        raise UploadNotFound(upload.id)
    present = yield f"SELECT {rows.PART} FROM parts WHERE upload_id = ?", (upload.id,)
    now = {row[0]: row for row in present}
    for part in chosen:
        row = now.get(part.number)
        if row is None or not rows.is_part(row, part):
            raise InvalidPart(upload.id, part.number, part.etag)
    manifest = _manifest_of(upload, new, chosen) if new.content.size else None
    made = yield from name_object(new, manifest=manifest)
    yield from _drop_parts(present, {part.number for part in chosen}, new.now)
    yield from _remember(upload.id, made, chosen, new.now)
    return made


def end_upload(upload_id: str, made: ObjectInfo, chosen: Sequence[Part], now: int) -> Program[None]:
    """As ``complete_upload``, for an object that was put together elsewhere: all parts go. Raises UploadNotFound."""
    if not (yield "SELECT 1 FROM uploads WHERE id = ? AND completed_at IS NULL", (upload_id,)):
        raise UploadNotFound(upload_id)
    present = yield f"SELECT {rows.PART} FROM parts WHERE upload_id = ?", (upload_id,)
    yield from _drop_parts(present, set(), now)
    yield from _remember(upload_id, made, chosen, now)


def _remember(upload_id: str, made: ObjectInfo, chosen: Sequence[Part], now: int) -> Program[None]:
    yield "DELETE FROM parts WHERE upload_id = ?", (upload_id,)
    checksum = made.checksum
    answer = {
        "etag": made.etag,
        "checksum": [checksum.algorithm, checksum.value, checksum.type] if checksum else None,
        "parts": [[part.number, part.etag] for part in chosen],
        "version_id": made.version_id,
    }
    yield (
        "UPDATE uploads SET completed_at = ?, completed = ? WHERE id = ?",
        (now, json.dumps(answer), upload_id),
    )


# As many blocks as there are parts, at least: they are put down where they lie, and not one by one.
_BLOCKS_OF_PARTS = (
    "WITH placed (at, size, digest, manifest_id) AS (SELECT sum(size) OVER (ORDER BY number) - size, size, digest,"
    " manifest_id FROM parts WHERE upload_id = ?2 AND number IN (SELECT value FROM json_each(?3)))"
    " INSERT INTO manifest_blocks (manifest_id, start, size, digest)"
    " SELECT ?1, at, size, digest FROM placed WHERE digest IS NOT NULL UNION ALL"
    " SELECT ?1, placed.at + b.start, b.size, b.digest FROM placed"
    " JOIN manifest_blocks AS b ON b.manifest_id = placed.manifest_id"
)


def _manifest_of(upload: Upload, new: NewObject, parts: Sequence[Part]) -> Program[int]:
    """Write down the blocks of the parts as those of the whole; what they name is claimed already."""
    manifest_id = yield from make_manifest(new.content, (), new.layout)
    yield _BLOCKS_OF_PARTS, (manifest_id, upload.id, json.dumps([part.number for part in parts]))
    return manifest_id


def _drop_parts(present: Sequence[tuple[Any, ...]], kept: set[int], now: int) -> Program[None]:
    # A kept part's blocks are named by the object now; its own manifest, if it had one, is not.
    yield from release_all(
        (
            (store_id, scope, digest, manifest_id)
            for number, store_id, scope, _, digest, manifest_id, *_ in present
            if number not in kept or manifest_id is not None
        ),
        now,
    )


def abort_upload(upload_id: str, now: int) -> Program[None]:
    """End an upload and let its parts go. Raises UploadNotFound when it is over."""
    if not (yield "SELECT 1 FROM uploads WHERE id = ? AND completed_at IS NULL", (upload_id,)):
        raise UploadNotFound(upload_id)
    present = yield f"SELECT {rows.PART} FROM parts WHERE upload_id = ?", (upload_id,)
    yield from _drop_parts(present, set(), now)
    yield "DELETE FROM parts WHERE upload_id = ?", (upload_id,)
    yield "DELETE FROM uploads WHERE id = ?", (upload_id,)


def abort_all(bucket_id: int, now: int) -> Program[None]:
    """End every upload of a bucket that is going away."""
    found = yield "SELECT id FROM uploads WHERE bucket_id = ? AND completed_at IS NULL", (bucket_id,)
    for (upload_id,) in found:
        yield from abort_upload(upload_id, now)


def forget_completed(before: int) -> Program[None]:
    """Drop the memory of uploads completed before a time."""
    yield Many("DELETE FROM uploads WHERE completed_at IS NOT NULL AND completed_at <= ?", [(before,)])
