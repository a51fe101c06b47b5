"""What several operations share: attributes and checksums in, object headers out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from gateway import checksums
from gateway.auth.chunked import strip_aws_chunked
from gateway.bodies import Checks
from gateway.bucket_configs import VERSIONING
from gateway.conditions import ReadConditions
from gateway.errors import UserNotFound
from gateway.s3.call import Call
from gateway.s3.errors import (
    BadDigest,
    InvalidArgument,
    InvalidDigest,
    InvalidRedirectLocation,
    InvalidRequest,
    InvalidTag,
    MetadataTooLarge,
)
from gateway.storage_classes import STANDARD
from gateway.types import Attributes, Bucket, Checksum, Lock, ObjectInfo
from gateway.versioning import parse_version_id, shown_id, versioning_of

_CHECKSUMS = tuple((f"Checksum{name}", name) for name in checksums.ALGORITHMS)
_CHECKING = frozenset({"ContentMD5", "ChecksumAlgorithm", *(member for member, _ in _CHECKSUMS)})
"""Members that say what a body must turn out to be."""
_PLAIN_HEADERS = ("CacheControl", "ContentDisposition", "ContentLanguage", "Expires")
_MORE_ATTRIBUTES = frozenset(
    {"ContentEncoding", "Metadata", "StorageClass", "WebsiteRedirectLocation", *_PLAIN_HEADERS}
)

MAX_METADATA = 2048
MAX_REDIRECT = 2048
MAX_TAGS = 10
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 256


async def owner_of(call: Call, user_id: str) -> dict[str, str]:
    """A user as S3 shows an owner."""
    principal = call.principal
    if principal is not None and principal.user_id == user_id:
        return {"DisplayName": principal.display_name, "ID": principal.canonical_id}
    try:
        user = await call.core.users.get_user(user_id)
    except UserNotFound:
        return {"DisplayName": user_id, "ID": user_id}
    return {"DisplayName": user.display_name, "ID": user.canonical_id}


def version_of(text: str | None) -> str | None:
    """The version that a request names, in the catalog's form; None where it names none. Raises InvalidArgument."""
    if text is None:
        return None
    version_id = parse_version_id(text)
    if version_id is None:
        raise InvalidArgument(
            "Invalid version id specified" if text else "Version id cannot be the empty string",
            ArgumentName="versionId",
            ArgumentValue=text,
        )
    return version_id


def version_in(bucket: Bucket, text: str | None) -> str | None:
    """The same, for a bucket: one that was never versioned has null versions only. Raises InvalidArgument."""
    version_id = version_of(text)
    if version_id and versioning_of(bucket) is None:
        raise InvalidArgument("Invalid version id specified", ArgumentName="versionId", ArgumentValue=text or "")
    return version_id


def version_member(bucket: Bucket, info: ObjectInfo) -> dict[str, str]:
    """The version id that an answer shows: none in a bucket that was never versioned."""
    return {} if versioning_of(bucket) is None else {"VersionId": shown_id(info.version_id)}


def written_version(version_id: str) -> dict[str, str]:
    """The version id that the answer to a write shows: none unless versioning made one."""
    return {"VersionId": version_id} if version_id else {}


def millis(when: datetime | None) -> int | None:
    return None if when is None else int(when.timestamp()) * 1000


def read_conditions(
    if_match: str | None, if_none_match: str | None, modified: datetime | None, unmodified: datetime | None
) -> ReadConditions:
    return ReadConditions(if_match, if_none_match, millis(modified), millis(unmodified))


def attributes_from(members: Mapping[str, Any], tags: tuple[tuple[str, str], ...] = ()) -> Attributes:
    """The attributes that a put, copy or upload gives an object, by S3's member names.

    Raises MetadataTooLarge. Whether the storage class is one, the mounts know.
    """
    content_type = members.get("ContentType") or "binary/octet-stream"
    if _MORE_ATTRIBUTES.isdisjoint(members):
        return Attributes(content_type, tags=tags)
    metadata: dict[str, str] = members.get("Metadata") or {}
    if sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()) > MAX_METADATA:
        raise MetadataTooLarge(MaxSizeAllowed=str(MAX_METADATA))
    storage_class = members.get("StorageClass") or STANDARD
    headers = {name: value for name in _PLAIN_HEADERS if (value := members.get(name)) is not None}
    encoding = members.get("ContentEncoding")
    if encoding is not None and (stripped := strip_aws_chunked(encoding)):
        headers["ContentEncoding"] = stripped
    redirect = members.get("WebsiteRedirectLocation")
    if redirect is not None:
        if not redirect.startswith(("/", "http://", "https://")):
            raise InvalidRedirectLocation
        if len(redirect) > MAX_REDIRECT:
            raise InvalidRedirectLocation(
                f"The length of website redirect location cannot exceed {MAX_REDIRECT:,} characters."
            )
        headers["WebsiteRedirectLocation"] = redirect
    return Attributes(content_type, headers, metadata, storage_class, tags)


def parse_tag_header(text: str | None) -> tuple[tuple[str, str], ...]:
    """Tags from ``x-amz-tagging: a=1&b=2``. Raises InvalidTag, InvalidArgument."""
    if not text:
        return ()
    pairs = []
    for item in text.split("&"):
        name, _, value = item.partition("=")
        if not item:
            continue
        try:
            if "=" in value:
                raise ValueError(item)
            pairs.append((unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")))
        except ValueError:
            raise _bad_tag_header(text) from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise _bad_tag_header(text)
    return check_tags(pairs)


def _bad_tag_header(text: str) -> InvalidArgument:
    return InvalidArgument(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates.",
        ArgumentName="x-amz-tagging",
        ArgumentValue=text,
    )


_TAG_TEXT = re.compile(r"[\w\s+\-=.:/@]*")
"""Letters and digits of any script, spaces and some marks."""


def check_tags(
    pairs: list[tuple[str, str]], most: int = MAX_TAGS, *, system: str = "Your TagKey cannot be prefixed with aws:"
) -> tuple[tuple[str, str], ...]:
    """Tags within S3's limits, in the order of their keys; ``system`` says why none may be AWS's. Raises InvalidTag.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    if len(pairs) > most:
        raise InvalidTag(f"Object tags cannot be greater than {most}")
    seen = set()
    for name, value in pairs:
        if name in seen:
            raise InvalidTag("Cannot provide multiple Tags with the same key", TagKey=name)
        seen.add(name)
        if not 1 <= len(name) <= MAX_TAG_KEY or not _TAG_TEXT.fullmatch(name):
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=name)
        if len(value) > MAX_TAG_VALUE or not _TAG_TEXT.fullmatch(value):
            raise InvalidTag("The TagValue you have provided is invalid", TagKey=name, TagValue=value)
        if name.startswith("aws:"):
            raise InvalidTag(system, TagKey=name)
    return tuple(sorted(pairs))


def checks_from(call: Call, members: Mapping[str, Any], *, limit: int, algorithm: str | None = None) -> Checks:
    """What a body must turn out to be: its MD5, and the one checksum sent before or after it.

    ``algorithm`` is what to compute when the request names none. Raises InvalidDigest, InvalidRequest.
    """
    if _CHECKING.isdisjoint(members) and b"x-amz-trailer" not in call.headers:
        return Checks(None, algorithm or "CRC64NVME", None, None, limit)
    md5 = content_md5(members.get("ContentMD5"))
    sent = {name: value for member, name in _CHECKSUMS if (value := members.get(member)) is not None}
    trailer = call.headers.get(b"x-amz-trailer", b"").decode("latin-1").strip().lower()
    trailing = checksums.HEADERS.get(trailer) if trailer else None
    if trailer and trailing is None:
        raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    if len(sent) + (trailing is not None) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    named = members.get("ChecksumAlgorithm")
    if named is not None and named not in checksums.ALGORITHMS:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    if named is not None and not sent and trailing is None:
        raise InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
            "headers were found."
        )
    if trailing is not None:
        return Checks(md5, trailing, None, trailer, limit)
    for name, value in sent.items():
        try:
            checksums.decode(name, value)
        except ValueError:
            # What is no digest cannot be that of the body.
            raise BadDigest(f"The {name} you specified did not match the calculated checksum.") from None
        return Checks(md5, name, value, None, limit)
    return Checks(md5, algorithm or "CRC64NVME", None, None, limit)


def content_md5(text: str | None) -> bytes | None:
    """The digest of a Content-MD5 header. Raises InvalidDigest."""
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise InvalidDigest(**{"Content-MD5": text})
    return digest


def checksum_members(checksum: Checksum | None, *, with_type: bool = True) -> dict[str, str]:
    """A checksum as result members."""
    if checksum is None:
        return {}
    members = {f"Checksum{checksum.algorithm}": checksum.value}
    if with_type:
        members["ChecksumType"] = checksum.type
    return members


def chosen_checksum(members: Mapping[str, Any], kind: str = "FULL_OBJECT") -> Checksum | None:
    """The checksum that a request's members tell, if any."""
    for member, name in _CHECKSUMS:
        if (value := members.get(member)) is not None:
            return Checksum(name, value, kind)
    return None


def quoted(etag: str) -> str:
    return f'"{etag}"'


def object_members(bucket: Bucket, info: ObjectInfo) -> dict[str, Any]:
    """What GET and HEAD tell of an object, whole or in part."""
    attributes = info.attributes
    members: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": info.modified_at,
        "ETag": f'"{info.etag}"',
        "ContentType": attributes.content_type,
    }
    if attributes.headers:
        members.update(attributes.headers)
    if attributes.metadata:
        members["Metadata"] = attributes.metadata
    if attributes.storage_class != "STANDARD":
        members["StorageClass"] = attributes.storage_class
    if attributes.tags:
        members["TagCount"] = len(attributes.tags)
    if VERSIONING in bucket.configs:
        members["VersionId"] = shown_id(info.version_id)
    if info.lock is not None:
        members.update(lock_members(info.lock))
    return members


def lock_members(lock: Lock) -> dict[str, Any]:
    """A lock as answers show it."""
    members: dict[str, Any] = {}
    if lock.mode is not None:
        members["ObjectLockMode"] = lock.mode
        members["ObjectLockRetainUntilDate"] = lock.until
    if lock.legal_hold is not None:
        members["ObjectLockLegalHoldStatus"] = "ON" if lock.legal_hold else "OFF"
    return members
