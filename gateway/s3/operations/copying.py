"""Copying objects, whole or as parts of an upload."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from backends.base import ByteRange
from gateway import checksums
from gateway.conditions import ReadConditions, WriteConditions
from gateway.errors import EntityTooLarge, IsDeleteMarker, ObjectReplaced, Overloaded
from gateway.objects import check_key
from gateway.s3.call import Call
from gateway.s3.errors import InvalidArgument, InvalidRange, InvalidRequest
from gateway.s3.operations.common import (
    attributes_from,
    checksum_members,
    parse_tag_header,
    quoted,
    read_conditions,
    version_member,
)
from gateway.s3.operations.encrypting import TOLD, encryption_members, new_part_key, source_key, wanted_encryption
from gateway.s3.operations.grants import OBJECT_GRANTS, new_object_access
from gateway.s3.operations.lifecycle import expiration_member
from gateway.s3.operations.locking import new_object_lock
from gateway.s3.operations.multipart import check_part_number, part_checksum
from gateway.s3.operations.opening import open_bucket, open_object, permit, permit_parts, version_action
from gateway.s3.operations.registry import operation
from gateway.s3.parse import split_copy_source
from gateway.types import Attributes, Bucket, ObjectInfo
from gateway.versioning import shown_id, versioning_of

LOOKS = 10

_RANGE = re.compile(r"bytes=(\d{1,19})-(\d{1,19})")


class Source(NamedTuple):
    """What a copy is made of."""

    bucket: Bucket
    info: ObjectInfo
    version_id: str | None
    """As the request names it."""

    def shown_version(self) -> str | None:
        """None for a null version that nobody named."""
        if versioning_of(self.bucket) is None or not (self.info.version_id or self.version_id):
            return None
        return shown_id(self.info.version_id)


@operation(ignores=OBJECT_GRANTS)
async def copy_object(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    CopySource: str,
    ACL: str | None = None,
    AnnotationDirective: str | None = None,
    CacheControl: str | None = None,
    ChecksumAlgorithm: str | None = None,
    ContentDisposition: str | None = None,
    ContentEncoding: str | None = None,
    ContentLanguage: str | None = None,
    ContentType: str | None = None,
    CopySourceIfMatch: str | None = None,
    CopySourceIfModifiedSince: datetime | None = None,
    CopySourceIfNoneMatch: str | None = None,
    CopySourceIfUnmodifiedSince: datetime | None = None,
    Expires: str | None = None,
    IfMatch: str | None = None,
    IfNoneMatch: str | None = None,
    Metadata: dict[str, str] | None = None,
    MetadataDirective: str | None = None,
    StorageClass: str | None = None,
    Tagging: str | None = None,
    TaggingDirective: str | None = None,
    WebsiteRedirectLocation: str | None = None,
    ObjectLockMode: str | None = None,
    ObjectLockRetainUntilDate: datetime | None = None,
    ObjectLockLegalHoldStatus: str | None = None,
    CopySourceSSECustomerAlgorithm: str | None = None,
    CopySourceSSECustomerKey: str | None = None,
    CopySourceSSECustomerKeyMD5: str | None = None,
    ServerSideEncryption: str | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    SSEKMSKeyId: str | None = None,
    SSEKMSEncryptionContext: str | None = None,
    BucketKeyEnabled: bool | None = None,
    ExpectedBucketOwner: str | None = None,
    ExpectedSourceBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Copy an object, with its metadata or with new; onto itself to change them."""
    members = locals()
    return await _looking_again(call, lambda: _copy(call, members))


async def _looking_again(call: Call, copy: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Copy; where the source was replaced or moved to another store meanwhile, decide on all of it anew."""
    for _ in range(LOOKS):
        call.notes = None
        try:
            return await copy()
        except ObjectReplaced:
            continue
    raise Overloaded("the source keeps changing")


async def _copy(call: Call, members: dict[str, Any]) -> dict[str, Any]:
    bucket = await open_bucket(call, "s3:PutObject", members["Bucket"], members["Key"], members["ExpectedBucketOwner"])
    owner_id, acl = await new_object_access(call, bucket, members["ACL"])
    check_key(members["Key"])
    if members["ChecksumAlgorithm"] is not None and members["ChecksumAlgorithm"] not in checksums.ALGORITHMS:
        raise InvalidRequest(checksums.unsupported())
    source = await open_source(call, members["CopySource"], members["ExpectedSourceBucketOwner"])
    replace_metadata = _replaces(members["MetadataDirective"], "metadata")
    replace_tags = _replaces(members["TaggingDirective"], "tagging")
    _check_annotations(members["AnnotationDirective"])
    if source.info.attributes.tags and not replace_tags:
        permit(
            call, version_action("s3:GetObjectTagging", source.version_id), source.bucket, source.info.key, source.info
        )
        permit_parts(call, bucket, members["Key"], tags=True, acl=False)
    lock = await new_object_lock(call, bucket, members, whole=False)
    wanted = wanted_encryption(call, bucket, members)
    read_with = source_key(source.info, members)
    named = ("StorageClass", "WebsiteRedirectLocation", "ChecksumAlgorithm")
    replaces = replace_metadata or replace_tags or any(members[name] for name in named)
    if not replaces and _stays_as_it_is(call, bucket, source, members):
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )
    try:
        info = await call.core.copies.copy(
            source.info,
            source.bucket,
            bucket,
            members["Key"],
            owner_id=owner_id,
            acl=acl,
            attributes=_attributes(members, source.info.attributes, replace_metadata, replace_tags),
            algorithm=members["ChecksumAlgorithm"],
            lock=lock,
            wanted=wanted,
            source_key=read_with,
            source_conditions=_source_conditions(members),
            conditions=WriteConditions(members["IfMatch"], members["IfNoneMatch"]),
        )
    except EntityTooLarge as error:
        raise InvalidRequest(
            f"The specified copy source is larger than the maximum allowable size for a copy source: {error.limit}"
        ) from None
    return {
        "CopyObjectResult": {
            "ETag": quoted(info.etag),
            "LastModified": info.modified_at,
            **checksum_members(info.checksum),
        },
        "CopySourceVersionId": source.shown_version(),
        **version_member(bucket, info),
        **expiration_member(bucket, info),
        **encryption_members(info.encryption, wanted.customer if wanted else None, context=True),
    }


def _stays_as_it_is(call: Call, bucket: Bucket, source: Source, members: dict[str, Any]) -> bool:
    """Whether a copy that replaces nothing else is one onto itself, encrypted as before."""
    if (source.bucket.id, source.info.key) != (bucket.id, members["Key"]):
        return False
    if source.version_id is not None:  # an old version brought back
        return False
    if any(members[name] is not None for name in TOLD):
        return False
    default, present = call.core.encryption.default_for(bucket), source.info.encryption
    return (default.encryption.kind if default else None) == (present.kind if present else None)


def _source_conditions(members: dict[str, Any]) -> ReadConditions:
    names = ("IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince")
    return read_conditions(*(members[f"CopySource{name}"] for name in names))


def _check_annotations(directive: str | None) -> None:
    """Either directive is obeyed, as no object here has annotations; aws-cli 2 sends one with each copy."""
    if directive not in (None, "COPY", "EXCLUDE"):
        raise InvalidArgument(
            "Unknown annotation directive.",
            ArgumentName="x-amz-object-annotation-directive",
            ArgumentValue=directive,
        )


def _replaces(directive: str | None, name: str) -> bool:
    if directive not in (None, "COPY", "REPLACE"):
        raise InvalidArgument(
            f"Unknown {name} directive.", ArgumentName=f"x-amz-{name}-directive", ArgumentValue=directive
        )
    return directive == "REPLACE"


def _attributes(members: dict[str, Any], source: Attributes, replace_metadata: bool, replace_tags: bool) -> Attributes:
    """The copy's attributes: what describes the content from the source or the request, the class from the request."""
    tags = parse_tag_header(members["Tagging"]) if replace_tags else source.tags
    if replace_metadata:
        return attributes_from(members, tags)
    # Storage class and redirect never travel with a copy.
    own = attributes_from({name: members[name] for name in ("StorageClass", "WebsiteRedirectLocation")})
    headers = {name: value for name, value in source.headers.items() if name != "WebsiteRedirectLocation"}
    return Attributes(source.content_type, {**headers, **own.headers}, source.metadata, own.storage_class, tags)


@operation
async def upload_part_copy(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    CopySource: str,
    PartNumber: int,
    UploadId: str,
    CopySourceIfMatch: str | None = None,
    CopySourceIfModifiedSince: datetime | None = None,
    CopySourceIfNoneMatch: str | None = None,
    CopySourceIfUnmodifiedSince: datetime | None = None,
    CopySourceRange: str | None = None,
    CopySourceSSECustomerAlgorithm: str | None = None,
    CopySourceSSECustomerKey: str | None = None,
    CopySourceSSECustomerKeyMD5: str | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    ExpectedBucketOwner: str | None = None,
    ExpectedSourceBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Make a part of an object, or of a range of it."""
    members = locals()
    return await _looking_again(call, lambda: _copy_part(call, members))


async def _copy_part(call: Call, members: dict[str, Any]) -> dict[str, Any]:
    bucket = await open_bucket(call, "s3:PutObject", members["Bucket"], members["Key"], members["ExpectedBucketOwner"])
    check_part_number(call, members["PartNumber"])
    upload = await call.core.uploads.find(bucket, members["Key"], members["UploadId"])
    customer = new_part_key(call, bucket, upload, members)
    source = await open_source(call, members["CopySource"], members["ExpectedSourceBucketOwner"])
    read_with = source_key(source.info, members)
    async with call.core.objects.reading(source.bucket, source.info):
        part = await call.core.uploads.copy_part(
            bucket,
            upload,
            members["PartNumber"],
            source.info,
            source.bucket,
            _copy_span(members["CopySourceRange"], source.info.size),
            _source_conditions(members),
            customer,
            read_with,
        )
    return {
        "CopyPartResult": {
            "ETag": quoted(part.etag),
            "LastModified": part.modified_at,
            **part_checksum(upload, part),
        },
        "CopySourceVersionId": source.shown_version(),
        **encryption_members(upload.encryption, customer),
    }


def _copy_span(header: str | None, size: int) -> ByteRange:
    if header is None:
        return ByteRange(0, size)
    found = _RANGE.fullmatch(header)
    first, last = (int(found[1]), int(found[2])) if found else (1, 0)
    if first > last:
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    if first >= size:
        raise InvalidRequest("The specified copy range is invalid for the source object size")
    if last >= size:
        raise InvalidRange(
            f"Range specified is not valid for source object of size: {size}",
            RangeRequested=header,
            ActualObjectSize=str(size),
        )
    return ByteRange(first, last + 1)


async def open_source(call: Call, copy_source: str, expected_owner: str | None) -> Source:
    """The object that ``x-amz-copy-source`` names, once the caller may read it.

    The header is decoded once; that one value decides both access and object.
    """
    try:
        name, key, version_id = split_copy_source(copy_source)
    except UnicodeDecodeError:
        name, key, version_id = "", "", None
    if not name or not key:
        raise InvalidArgument(
            "Invalid copy source object key", ArgumentName="x-amz-copy-source", ArgumentValue="x-amz-copy-source"
        )
    try:
        bucket, info = await open_object(call, "s3:GetObject", name, key, expected_owner, version_id)
    except IsDeleteMarker:
        raise InvalidRequest(
            "The source of a copy request may not specifically refer to a delete marker by version id."
        ) from None
    if bucket.configs:
        read = "REST.COPY.OBJECT_GET" if call.operation.name == "CopyObject" else "REST.COPY.PART_GET"
        call.note(bucket, read, key, 200, size=info.size, version_id=version_id)
    return Source(bucket, info, version_id)
