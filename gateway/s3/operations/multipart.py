"""Multipart uploads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from gateway import checksums
from gateway.catalog.rows import attributes_from_json
from gateway.conditions import WriteConditions
from gateway.s3.call import Call
from gateway.s3.columns import Columns
from gateway.s3.errors import AccessDenied, InvalidArgument, InvalidRequest, MalformedXML
from gateway.s3.operations.common import (
    attributes_from,
    checks_from,
    checksum_members,
    chosen_checksum,
    owner_of,
    parse_tag_header,
    quoted,
    written_version,
)
from gateway.s3.operations.encrypting import encryption_members, new_part_key, part_key, wanted_encryption
from gateway.s3.operations.grants import OBJECT_GRANTS, new_object_access
from gateway.s3.operations.lifecycle import abort_members, expiration_member
from gateway.s3.operations.listing import Owners, common_prefixes, page_size
from gateway.s3.operations.locking import new_object_lock
from gateway.s3.operations.opening import open_bucket, open_listing
from gateway.s3.operations.registry import operation
from gateway.types import Bucket, Checksum, Part, Upload
from gateway.uploads import ChosenPart


@operation(ignores=OBJECT_GRANTS)
async def create_multipart_upload(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    ACL: str | None = None,
    CacheControl: str | None = None,
    ChecksumAlgorithm: str | None = None,
    ChecksumType: str | None = None,
    ContentDisposition: str | None = None,
    ContentEncoding: str | None = None,
    ContentLanguage: str | None = None,
    ContentType: str | None = None,
    Expires: str | None = None,
    Metadata: dict[str, str] | None = None,
    StorageClass: str | None = None,
    Tagging: str | None = None,
    WebsiteRedirectLocation: str | None = None,
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
    """Begin an upload; what describes the object is said here."""
    members = locals()
    bucket = await open_bucket(call, "s3:PutObject", Bucket, Key, ExpectedBucketOwner)
    if call.principal is None:
        raise AccessDenied("Anonymous users cannot initiate multipart uploads.  Please authenticate.")
    owner_id, acl = await new_object_access(call, bucket, ACL)
    lock = await new_object_lock(call, bucket, members, whole=False)
    wanted = wanted_encryption(call, bucket, members)
    upload = await call.core.uploads.create(
        bucket,
        Key,
        attributes_from(members, parse_tag_header(Tagging)),
        owner_id=owner_id,
        acl=acl,
        lock=lock,
        wanted=wanted,
        checksum_algorithm=ChecksumAlgorithm,
        checksum_type=_checksum_type(ChecksumAlgorithm, ChecksumType),
    )
    return {
        "Bucket": Bucket,
        "Key": Key,
        "UploadId": upload.id,
        "ChecksumAlgorithm": upload.checksum_algorithm,
        "ChecksumType": upload.checksum_type,
        **abort_members(bucket, upload),
        **encryption_members(upload.encryption, wanted.customer if wanted else None, context=True),
    }


def _checksum_type(algorithm: str | None, kind: str | None) -> str | None:
    """How the parts' checksums make the object's: the asked way, or the algorithm's usual one."""
    if algorithm is None:
        if kind is not None:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None
    if algorithm not in checksums.ALGORITHMS:
        raise InvalidRequest(checksums.unsupported())
    allowed = checksums.ALGORITHMS[algorithm].multipart_types
    if kind is None:
        return allowed[0]
    if kind not in allowed:
        raise InvalidRequest(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return kind


@operation
async def upload_part(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    PartNumber: int,
    UploadId: str,
    Body: Any = None,
    ContentLength: int | None = None,
    ContentMD5: str | None = None,
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
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Store one part, replacing one of the same number."""
    members = locals()
    bucket = await open_bucket(call, "s3:PutObject", Bucket, Key, ExpectedBucketOwner)
    check_part_number(call, PartNumber)
    call.body.require_length()
    upload = await call.core.uploads.find(bucket, Key, UploadId)
    customer = new_part_key(call, bucket, upload, members)
    checks = checks_from(call, members, limit=call.core.uploads.limits.max_part, algorithm=upload.checksum_algorithm)
    told = checks.value is not None or checks.trailer is not None
    if upload.checksum_algorithm is not None and checks.algorithm != upload.checksum_algorithm:
        raise InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.checksum_algorithm.lower()}, "
            f"actual checksum Type: {checks.algorithm.lower()}"
        )
    part = await call.core.uploads.put_part(bucket, upload, PartNumber, call.body, checks, customer)
    shown = checksum_members(part.checksum, with_type=False) if told or upload.checksum_algorithm else {}
    return {"ETag": quoted(part.etag), **shown, **encryption_members(upload.encryption, customer)}


def check_part_number(call: Call, number: int) -> None:
    """Raises InvalidArgument outside of 1 to 10,000."""
    most = call.core.uploads.limits.max_parts
    if not 1 <= number <= most:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {most}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )


def part_checksum(upload: Upload, part: Part) -> dict[str, str]:
    """A part's checksum, where the upload asked for one."""
    return checksum_members(part.checksum, with_type=False) if upload.checksum_algorithm else {}


def _part_checksums(upload: Upload, parts: Sequence[Part]) -> dict[str, list[str | None]]:
    """The column of the parts' checksums, where the upload asked for them."""
    if upload.checksum_algorithm is None:
        return {}
    return {f"Checksum{upload.checksum_algorithm}": [part.checksum.value if part.checksum else None for part in parts]}


@operation
async def complete_multipart_upload(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    UploadId: str,
    MultipartUpload: dict[str, Any] | None = None,
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
    ChecksumType: str | None = None,
    MpuObjectSize: int | None = None,
    IfMatch: str | None = None,
    IfNoneMatch: str | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Make the named parts one object. Repeating a completion answers the same."""
    members = locals()
    bucket = await open_bucket(call, "s3:PutObject", Bucket, Key, ExpectedBucketOwner)
    chosen = _chosen_parts(call, (MultipartUpload or {}).get("Parts") or [])
    done = await call.core.uploads.completed(bucket, Key, UploadId)
    if done is not None and [(part.number, part.etag) for part in chosen] == done.parts:
        part_key(done.upload, members)
        return _completion(call, done.upload, Bucket, done.etag, done.checksum) | written_version(done.version_id)
    upload = await call.core.uploads.find(bucket, Key, UploadId)
    part_key(upload, members)
    if MultipartUpload is None:
        raise MalformedXML
    if not chosen:
        raise InvalidRequest("You must specify at least one part")
    if ChecksumType is not None and ChecksumType != upload.checksum_type:
        raise InvalidRequest(
            f"The upload was created using the {upload.checksum_type or 'null'} checksum mode. "
            "The complete request must use the same checksum mode."
        )
    info = await call.core.uploads.complete(
        bucket,
        upload,
        chosen,
        whole=chosen_checksum(members),
        size=MpuObjectSize,
        conditions=WriteConditions(IfMatch, IfNoneMatch),
    )
    return {
        **_completion(call, upload, Bucket, info.etag, info.checksum),
        **written_version(info.version_id),
        **expiration_member(bucket, info),
    }


def _chosen_parts(call: Call, parts: list[dict[str, Any]]) -> list[ChosenPart]:
    if len(parts) > call.core.uploads.limits.max_parts:
        raise InvalidRequest("Part number must be an integer between 1 and 10000, inclusive")
    chosen = []
    for part in parts:
        if part.get("PartNumber") is None or part.get("ETag") is None:
            raise MalformedXML
        checksum = chosen_checksum(part) if len(part) > 2 else None
        chosen.append(ChosenPart(part["PartNumber"], part["ETag"].strip().strip('"'), checksum))
    return chosen


def _completion(call: Call, upload: Upload, bucket: str, etag: str, checksum: Checksum | None) -> dict[str, Any]:
    scheme = "https" if call.secure else "http"
    return {
        "Location": f"{scheme}://{call.host}/{quote(bucket)}/{quote(upload.key)}",
        "Bucket": bucket,
        "Key": upload.key,
        "ETag": quoted(etag),
        **checksum_members(checksum),
        **encryption_members(upload.encryption),
    }


@operation
async def abort_multipart_upload(
    call: Call, *, Bucket: str, Key: str, UploadId: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """End an upload; its parts go."""
    bucket = await open_bucket(call, "s3:AbortMultipartUpload", Bucket, Key, ExpectedBucketOwner)
    await call.core.uploads.abort(bucket, Key, UploadId)
    return {}


@operation
async def list_parts(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    UploadId: str,
    MaxParts: int | None = None,
    PartNumberMarker: int | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """The parts that were uploaded, in the order of their numbers."""
    members = locals()
    bucket = await open_bucket(call, "s3:ListMultipartUploadParts", Bucket, Key, ExpectedBucketOwner)
    upload = await call.core.uploads.find(bucket, Key, UploadId)
    part_key(upload, members)
    limit = page_size(MaxParts, "max-parts")
    after = PartNumberMarker or 0
    parts = await call.core.uploads.parts(upload, after, limit + 1) if limit else []
    page = parts[:limit]
    owner = await owner_of(call, upload.owner_id)
    return {
        "Bucket": Bucket,
        "Key": Key,
        "UploadId": UploadId,
        "PartNumberMarker": after,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(parts) > limit,
        "Parts": Columns(
            len(page),
            PartNumber=[part.number for part in page],
            LastModified=[part.modified_at for part in page],
            ETag=[quoted(part.etag) for part in page],
            Size=[part.size for part in page],
            **_part_checksums(upload, page),
        ),
        "Initiator": owner,
        "Owner": owner,
        "StorageClass": upload.attributes.storage_class,
        "ChecksumAlgorithm": upload.checksum_algorithm,
        "ChecksumType": upload.checksum_type,
        **abort_members(bucket, upload),
    }


@operation
async def list_multipart_uploads(
    call: Call,
    *,
    Bucket: str,
    Delimiter: str | None = None,
    EncodingType: str | None = None,
    KeyMarker: str | None = None,
    MaxUploads: int | None = None,
    Prefix: str | None = None,
    UploadIdMarker: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Uploads under way, in the order of their keys."""
    bucket = await open_listing(call, "s3:ListBucketMultipartUploads", Bucket, Prefix, ExpectedBucketOwner)
    if EncodingType not in (None, "url"):
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request", ArgumentName="encoding-type", ArgumentValue=EncodingType
        )
    limit = page_size(MaxUploads, "max-uploads")
    if KeyMarker and UploadIdMarker:
        await _check_marker(call, bucket, KeyMarker, UploadIdMarker)
    # Without an id marker, a key marker is past all uploads of that key.
    marker = (KeyMarker or "", (UploadIdMarker or "\U0010ffff") if KeyMarker else "")
    page = await call.core.uploads.list(bucket, Prefix or "", Delimiter or "", *marker, limit)
    owners = Owners(call)
    uploads = Columns(0)
    if page.rows:
        keys, ids, times, owner_ids, attributes, algorithms, kinds = zip(*page.rows, strict=True)
        uploads = Columns(
            len(keys),
            Key=[key.decode() for key in keys],
            UploadId=ids,
            Initiated=times,
            StorageClass=[attributes_from_json(each).storage_class for each in attributes],
            Owner=(whose := await owners.all(owner_ids)),
            Initiator=whose,
            ChecksumAlgorithm=algorithms,
            ChecksumType=kinds,
        )
    # AWS tells the last upload even where nothing follows. After a common prefix it tells nothing, and whoever pages by
    # that begins anew: here the prefix is told.
    ends_in_upload = bool(page.rows) and page.last == page.rows[-1][0]
    return {
        "Bucket": Bucket,
        "KeyMarker": KeyMarker or "",
        "UploadIdMarker": (UploadIdMarker or "") if KeyMarker else "",
        "NextKeyMarker": page.last.decode() if page.truncated or ends_in_upload else "",
        "NextUploadIdMarker": page.rows[-1][1] if ends_in_upload else "",
        "Prefix": Prefix or None,
        "Delimiter": Delimiter or None,
        "EncodingType": EncodingType,
        "MaxUploads": limit,
        "IsTruncated": page.truncated,
        "Uploads": uploads,
        "CommonPrefixes": common_prefixes(page),
    }


async def _check_marker(call: Call, bucket: Bucket, key: str, upload_id: str) -> None:
    """Raise InvalidArgument for an upload that is of another key; one that is over by now still marks a place."""
    if await call.core.uploads.key_of(bucket, upload_id) not in (None, key):
        raise InvalidArgument("Invalid uploadId marker", ArgumentName="upload-id-marker", ArgumentValue=upload_id)
