"""Putting, getting, heading and deleting objects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backends.base import ByteRange
from gateway.bucket_configs import LIFECYCLE
from gateway.catalog.objects import Removal, Removed
from gateway.conditions import WriteConditions, check_read
from gateway.encryption import CustomerKey
from gateway.errors import GatewayError, NotAllowed, ObjectReplaced, Overloaded, RangeNotSatisfiable
from gateway.ranges import parse_range, resolve_range
from gateway.s3.call import Call
from gateway.s3.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidPart,
    InvalidRequest,
    MalformedXML,
    NoSuchVersion,
    S3Error,
)
from gateway.s3.from_domain import to_s3_error
from gateway.s3.operations.common import (
    attributes_from,
    checks_from,
    checksum_members,
    millis,
    object_members,
    parse_tag_header,
    read_conditions,
    version_in,
    version_of,
    written_version,
)
from gateway.s3.operations.encrypting import encryption_members, reader_key, wanted_encryption
from gateway.s3.operations.grants import OBJECT_GRANTS, new_object_access
from gateway.s3.operations.lifecycle import expiration_member
from gateway.s3.operations.locking import new_object_lock
from gateway.s3.operations.opening import expect_owner, open_bucket, open_for, open_object, permit, version_action
from gateway.s3.operations.registry import operation
from gateway.types import Bucket, Checksum, ObjectInfo
from gateway.versioning import shown_id, versioning_of

MAX_DELETES = 1000
LOOKS = 3
"""How often an object is looked at that is replaced, and its content collected, before it can be read."""


@operation(ignores=OBJECT_GRANTS)
async def put_object(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    Body: Any = None,
    ACL: str | None = None,
    CacheControl: str | None = None,
    ContentDisposition: str | None = None,
    ContentEncoding: str | None = None,
    ContentLanguage: str | None = None,
    ContentLength: int | None = None,
    ContentMD5: str | None = None,
    ContentType: str | None = None,
    ChecksumAlgorithm: str | None = None,
    ChecksumCRC32: str | None = None,
    ChecksumCRC32C: str | None = None,
    ChecksumCRC64NVME: str | None = None,
    ChecksumSHA1: str | None = None,
    ChecksumSHA256: str | None = None,
    ChecksumSHA512: str | None = None,
    ChecksumMD5: str | None = None,
    ChecksumXXHASH64: str | None = None,
    ChecksumXXHASH3: str | None = None,
    ChecksumXXHASH128: str | None = None,
    Expires: str | None = None,
    IfMatch: str | None = None,
    IfNoneMatch: str | None = None,
    Metadata: dict[str, str] | None = None,
    StorageClass: str | None = None,
    WebsiteRedirectLocation: str | None = None,
    Tagging: str | None = None,
    ObjectLockMode: str | None = None,
    ObjectLockRetainUntilDate: datetime | None = None,
    ObjectLockLegalHoldStatus: str | None = None,
    ServerSideEncryption: str | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    SSEKMSKeyId: str | None = None,
    SSEKMSEncryptionContext: str | None = None,
    BucketKeyEnabled: bool | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Store the body under the key, replacing what was there."""
    members = call.members  # those that were sent: mostly few
    bucket = await open_bucket(call, "s3:PutObject", Bucket, Key, ExpectedBucketOwner)
    call.body.require_length()
    owner_id, acl = await new_object_access(call, bucket, ACL)
    lock = await new_object_lock(call, bucket, members)
    wanted = wanted_encryption(call, bucket, members)
    info = await call.core.objects.put(
        bucket,
        Key,
        call.body,
        attributes_from(members, parse_tag_header(Tagging)),
        checks_from(call, members, limit=call.core.settings.max_put_size),
        owner_id=owner_id,
        acl=acl,
        lock=lock,
        wanted=wanted,
        conditions=WriteConditions(IfMatch, IfNoneMatch),
    )
    result: dict[str, Any] = {"ETag": f'"{info.etag}"'}
    if info.checksum is not None:
        result.update(checksum_members(info.checksum))
    if info.version_id:
        result.update(written_version(info.version_id))
    if LIFECYCLE in bucket.configs:
        result.update(expiration_member(bucket, info))
    if info.encryption is not None:
        result.update(encryption_members(info.encryption, wanted.customer if wanted else None, context=True))
    return result


@operation
async def get_object(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    IfMatch: str | None = None,
    IfModifiedSince: datetime | None = None,
    IfNoneMatch: str | None = None,
    IfUnmodifiedSince: datetime | None = None,
    Range: str | None = None,
    PartNumber: int | None = None,
    ResponseCacheControl: str | None = None,
    ResponseContentDisposition: str | None = None,
    ResponseContentEncoding: str | None = None,
    ResponseContentLanguage: str | None = None,
    ResponseContentType: str | None = None,
    ResponseExpires: str | None = None,
    VersionId: str | None = None,
    ChecksumMode: str | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """An object's bytes, or those of a range or a part."""
    for _ in range(LOOKS):
        bucket, info, span, key, result = await _look(call, "s3:GetObject", Bucket, Key)
        try:
            result["Body"] = (await call.core.objects.open(bucket, Key, info, span, key)).body
            return result
        except ObjectReplaced:
            continue
    raise Overloaded("the object keeps changing")


@operation
async def head_object(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    IfMatch: str | None = None,
    IfModifiedSince: datetime | None = None,
    IfNoneMatch: str | None = None,
    IfUnmodifiedSince: datetime | None = None,
    Range: str | None = None,
    PartNumber: int | None = None,
    ResponseCacheControl: str | None = None,
    ResponseContentDisposition: str | None = None,
    ResponseContentEncoding: str | None = None,
    ResponseContentLanguage: str | None = None,
    ResponseContentType: str | None = None,
    ResponseExpires: str | None = None,
    VersionId: str | None = None,
    ChecksumMode: str | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """What GET would tell, without the bytes."""
    return (await _look(call, "s3:GetObject", Bucket, Key))[-1]


async def _look(
    call: Call, action: str, name: str, key: str
) -> tuple[Bucket, ObjectInfo, ByteRange, CustomerKey | None, dict[str, Any]]:
    """The object that a GET or HEAD means, the span it wants, the key it brings and the headers it gets.

    Most requests bring nothing besides the bucket and the key: those skip what only others ask for.
    """
    members = call.members
    sent, plain = members.get, len(members) == 2
    bucket, info = await open_object(call, action, name, key, sent("ExpectedBucketOwner"), sent("VersionId"))
    span = ByteRange(0, info.content.size)
    part: dict[str, Any] = {}
    checked = not plain and (sent("ChecksumMode") or "").upper() == "ENABLED"
    if not plain and (number := sent("PartNumber")) is not None:
        if sent("Range") is not None:
            raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
        # Whether there is such a part is told before the key is asked for; nothing else is.
        span = await _part_span(call, info, number, part, checked)
    customer = reader_key(call, info, members)
    if not plain:
        conditions = read_conditions(
            sent("IfMatch"), sent("IfNoneMatch"), sent("IfModifiedSince"), sent("IfUnmodifiedSince")
        )
        check_read(conditions, info.etag, info.modified_at)
    result = object_members(bucket, info)
    if part:
        result.update(part)
    if LIFECYCLE in bucket.configs and sent("VersionId") is None:
        result.update(expiration_member(bucket, info))
    wanted = None if plain or (text := sent("Range")) is None else parse_range(text)
    if wanted is not None:
        found = resolve_range(wanted, info.content.size)
        if found is None:
            raise RangeNotSatisfiable(wanted.header, info.content.size)
        span = found
        result["ContentRange"] = f"bytes {span.start}-{span.stop - 1}/{info.content.size}"
    if checked and span == (0, info.content.size) and "PartsCount" not in result:
        result.update(checksum_members(info.checksum))
    if info.encryption is not None:
        result.update(encryption_members(info.encryption, customer))
    result["ContentLength"] = span.stop - span.start
    if not plain:
        result.update(_overrides(call, members))
    return bucket, info, span, customer, result


async def _part_span(call: Call, info: ObjectInfo, number: int, result: dict[str, Any], checked: bool) -> ByteRange:
    """The span of one part of an object; an object put whole is its own part 1."""
    if not 1 <= number <= call.core.settings.max_parts:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {call.core.settings.max_parts}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )
    parts = await call.core.objects.parts(info)
    size = info.content.size
    if not parts:
        if number != 1:
            raise InvalidPart(PartNumberRequested=str(number), ActualPartCount="1")
        span = ByteRange(0, size)
    else:
        result["PartsCount"] = len(parts)
        chosen = next((part for part in parts if part.number == number), None)
        if chosen is None:
            raise InvalidPart(PartNumberRequested=str(number), ActualPartCount=str(len(parts)))
        span = ByteRange(chosen.offset, chosen.offset + chosen.size)
        if checked and info.checksum is not None and chosen.checksum is not None:
            result.update(checksum_members(Checksum(info.checksum.algorithm, chosen.checksum, info.checksum.type)))
    if span.stop > span.start:
        result["ContentRange"] = f"bytes {span.start}-{span.stop - 1}/{size}"
    return span


_OVERRIDES = {
    f"Response{name}": name
    for name in (
        *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"),
    )
}


def _overrides(call: Call, members: Mapping[str, Any]) -> dict[str, Any]:
    """The ``response-*`` parameters: what the caller wants in place of the stored headers.

    They are for who signs: else a link would make a page of what anybody may read. Raises InvalidRequest.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    found = {name: value for told, name in _OVERRIDES.items() if (value := members.get(told)) is not None}
    if found and call.principal is None:
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
    return found


_NO_MFA = {"MFA": "no bucket here asks for it: MFA delete cannot be enabled"}


@operation(ignores=_NO_MFA)
async def delete_object(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    VersionId: str | None = None,
    BypassGovernanceRetention: bool | None = None,
    IfMatch: str | None = None,
    IfMatchLastModifiedTime: datetime | None = None,
    IfMatchSize: int | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Remove a key, or a version of it; removing an absent key succeeds, as S3 promises."""
    action = "s3:DeleteObject" if VersionId is None else "s3:DeleteObjectVersion"
    bucket = await open_bucket(call, action, Bucket, Key, ExpectedBucketOwner)
    if BypassGovernanceRetention:
        permit(call, "s3:BypassGovernanceRetention", bucket, Key)
    conditions = WriteConditions(
        if_match=IfMatch, if_match_modified_at=millis(IfMatchLastModifiedTime), if_match_size=IfMatchSize
    )
    removed = await call.core.objects.delete(
        bucket,
        Removal(
            Key, conditions, version_in(bucket, VersionId), _marker_owner(call, bucket), bool(BypassGovernanceRetention)
        ),
    )
    return _removal_members(removed)


def _marker_owner(call: Call, bucket: Bucket) -> str:
    return call.principal.user_id if call.principal is not None else bucket.owner_id


def _removal_members(removed: Removed) -> dict[str, Any]:
    if removed.version_id is None:
        return {}
    return {"VersionId": shown_id(removed.version_id), "DeleteMarker": True if removed.is_marker else None}


@operation(ignores=_NO_MFA)
async def delete_objects(
    call: Call,
    *,
    Bucket: str,
    Delete: dict[str, Any],
    BypassGovernanceRetention: bool | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Remove up to 1,000 keys or versions; each succeeds or fails on its own."""
    bucket = await call.core.buckets.find(Bucket)
    wanted = Delete.get("Objects") or []
    if not wanted or len(wanted) > MAX_DELETES or any(not item.get("Key") for item in wanted):
        raise MalformedXML
    if ExpectedBucketOwner is not None and any(_may_delete(call, bucket, item) for item in wanted):
        # Whoever may delete nothing there is not told whose it is.
        await expect_owner(call, bucket, ExpectedBucketOwner)
    outcomes = await asyncio.gather(
        *(_delete_one(call, bucket, item, bool(BypassGovernanceRetention)) for item in wanted)
    )
    deleted, errors = [], []
    for item, outcome in zip(wanted, outcomes, strict=True):
        entry = {"Key": item["Key"], "VersionId": item.get("VersionId")}
        if isinstance(outcome, S3Error):
            _note_removal(call, bucket, item, outcome.status, outcome.code)
            errors.append({**entry, "Code": outcome.code, "Message": outcome.message})
            continue
        _note_removal(call, bucket, item, 204)
        if outcome.is_marker:
            entry |= {"DeleteMarker": True, "DeleteMarkerVersionId": shown_id(outcome.version_id or "")}
        deleted.append(entry)
    return {"Deleted": [] if Delete.get("Quiet") else deleted, "Errors": errors}


def _note_removal(call: Call, bucket: Bucket, item: dict[str, Any], status: int, error: str = "") -> None:
    if bucket.configs:
        call.note(bucket, "BATCH.DELETE.OBJECT", item["Key"], status, error, version_id=item.get("VersionId"))


def _may_delete(call: Call, bucket: Bucket, item: dict[str, Any]) -> bool:
    version = item.get("VersionId")
    try:
        open_for(call, version_action("s3:DeleteObject", version), bucket, item["Key"], version_id=version)
    except (NotAllowed, AccessDenied):
        return False
    return True


async def _delete_one(call: Call, bucket: Bucket, item: dict[str, Any], bypass: bool) -> Removed | S3Error:
    conditions = WriteConditions(
        if_match=item.get("ETag"),
        if_match_modified_at=millis(item.get("LastModifiedTime")),
        if_match_size=item.get("Size"),
    )
    key, version = item["Key"], item.get("VersionId")
    try:
        open_for(call, version_action("s3:DeleteObject", version), bucket, key, version_id=version)
        if bypass:
            permit(call, "s3:BypassGovernanceRetention", bucket, key)
        if version not in (None, "null") and versioning_of(bucket) is None:
            raise NoSuchVersion
        removal = Removal(key, conditions, version_of(version), _marker_owner(call, bucket), bypass)
        return await call.core.objects.delete(bucket, removal)
    except (GatewayError, S3Error) as error:
        return to_s3_error(error)
