"""Listing the objects of a bucket, in its three forms."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from typing import Any

from gateway.catalog.base import Row
from gateway.catalog.listing import Page
from gateway.s3.call import Call
from gateway.s3.columns import Columns
from gateway.s3.errors import InvalidArgument
from gateway.s3.operations.common import owner_of
from gateway.s3.operations.opening import open_listing
from gateway.s3.operations.registry import operation
from gateway.types import Bucket
from gateway.versioning import parse_version_id, shown_id

MAX_KEYS = 1000
_NO_RESTORES = {"OptionalObjectAttributes": "the only optional attribute is RestoreStatus, and nothing is archived"}


@operation(ignores=_NO_RESTORES)
async def list_objects(
    call: Call,
    *,
    Bucket: str,
    Delimiter: str | None = None,
    EncodingType: str | None = None,
    Marker: str | None = None,
    MaxKeys: int | None = None,
    Prefix: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Version 1: pages by marker, owners shown to everybody who is somebody."""
    bucket = await _open(call, "s3:ListBucket", Bucket, Prefix, EncodingType, ExpectedBucketOwner)
    limit = page_size(MaxKeys, "max-keys")
    after = _past_rolled_up(Marker or "", Prefix or "", Delimiter or "")
    owners = Owners(call) if call.principal is not None else None
    page = await call.core.objects.list(
        bucket, Prefix or "", Delimiter or "", after, limit, owners=call.principal is not None
    )
    return {
        "Name": Bucket,
        "Prefix": Prefix or "",
        "Marker": Marker or "",
        "MaxKeys": limit,
        "Delimiter": Delimiter or None,
        "EncodingType": EncodingType,
        "IsTruncated": page.truncated,
        # AWS tells the next marker only with a delimiter: without, the last key is it.
        "NextMarker": page.last.decode() if page.truncated and Delimiter else None,
        "Contents": await _contents(page, owners),
        "CommonPrefixes": common_prefixes(page),
    }


def _past_rolled_up(marker: str, prefix: str, delimiter: str) -> str:
    """Where a page begins: a marker within a common prefix is past all of it, as that was listed before."""
    if not delimiter or not marker.startswith(prefix):
        return marker
    cut = marker.find(delimiter, len(prefix))
    return marker if cut < 0 else marker[: cut + len(delimiter)]


@operation(ignores=_NO_RESTORES)
async def list_objects_v2(
    call: Call,
    *,
    Bucket: str,
    Delimiter: str | None = None,
    EncodingType: str | None = None,
    MaxKeys: int | None = None,
    Prefix: str | None = None,
    ContinuationToken: str | None = None,
    FetchOwner: bool | None = None,
    StartAfter: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Version 2: pages by an opaque token."""
    bucket = await _open(call, "s3:ListBucket", Bucket, Prefix, EncodingType, ExpectedBucketOwner)
    limit = page_size(MaxKeys, "max-keys")
    after = StartAfter or ""
    if ContinuationToken:
        after = decode_token(ContinuationToken)
    page = await call.core.objects.list(bucket, Prefix or "", Delimiter or "", after, limit, owners=bool(FetchOwner))
    return {
        "Name": Bucket,
        "Prefix": Prefix or "",
        "StartAfter": StartAfter or None,
        "ContinuationToken": ContinuationToken,
        "NextContinuationToken": encode_token(page.last) if page.truncated else None,
        "KeyCount": len(page.rows) + len(page.prefixes),
        "MaxKeys": limit,
        "Delimiter": Delimiter or None,
        "EncodingType": EncodingType,
        "IsTruncated": page.truncated,
        "Contents": await _contents(page, Owners(call) if FetchOwner else None),
        "CommonPrefixes": common_prefixes(page),
    }


@operation(ignores=_NO_RESTORES)
async def list_object_versions(
    call: Call,
    *,
    Bucket: str,
    Delimiter: str | None = None,
    EncodingType: str | None = None,
    KeyMarker: str | None = None,
    MaxKeys: int | None = None,
    Prefix: str | None = None,
    VersionIdMarker: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Versions and delete markers, of each key the latest first; what was never versioned is a ``null`` version."""
    bucket = await _open(call, "s3:ListBucketVersions", Bucket, Prefix, EncodingType, ExpectedBucketOwner)
    limit = page_size(MaxKeys, "max-keys")
    past = parse_version_id(VersionIdMarker) if VersionIdMarker else None
    if VersionIdMarker and past is None:
        raise InvalidArgument(
            "Invalid version id specified", ArgumentName="version-id-marker", ArgumentValue=VersionIdMarker
        )
    if VersionIdMarker is not None and not KeyMarker:
        raise InvalidArgument(
            "A version-id marker cannot be specified without a key marker.",
            ArgumentName="version-id-marker",
            ArgumentValue=VersionIdMarker,
        )
    page = await call.core.objects.list_versions(bucket, Prefix or "", Delimiter or "", KeyMarker or "", past, limit)
    owners = Owners(call)
    versions = await _versions([row for row in page.rows if not row[3]], owners)
    markers = await _markers([row for row in page.rows if row[3]], owners)
    markers.places = [at for at, row in enumerate(page.rows) if row[3]]
    ends_in_version = bool(page.rows) and page.last == page.rows[-1][0]
    return {
        "Name": Bucket,
        "Prefix": Prefix or "",
        "KeyMarker": KeyMarker or "",
        "VersionIdMarker": VersionIdMarker or "",
        "NextKeyMarker": page.last.decode() if page.truncated else None,
        "NextVersionIdMarker": shown_id(page.rows[-1][2]) if page.truncated and ends_in_version else None,
        "MaxKeys": limit,
        "Delimiter": Delimiter or None,
        "EncodingType": EncodingType,
        "IsTruncated": page.truncated,
        "Versions": versions,
        "DeleteMarkers": markers,
        "CommonPrefixes": common_prefixes(page),
    }


async def _markers(rows: Sequence[Row], owners: Owners) -> Columns:
    """Delete markers, and what versions have in common with them."""
    if not rows:
        return Columns(0)
    keys, _, ids, _, since, _, _, times, _, owner_ids, _, _ = zip(*rows, strict=True)
    return Columns(
        len(keys),
        Key=[key.decode() for key in keys],
        VersionId=[shown_id(version_id) for version_id in ids],
        IsLatest=[when is None for when in since],
        LastModified=times,
        Owner=await owners.all(owner_ids),
    )


async def _versions(rows: Sequence[Row], owners: Owners) -> Columns:
    if not rows:
        return Columns(0)
    _, _, _, _, _, sizes, etags, _, classes, _, algorithms, kinds = zip(*rows, strict=True)
    return Columns(
        len(rows),
        **(await _markers(rows, owners)).columns,
        ETag=[f'"{etag}"' for etag in etags],
        Size=sizes,
        StorageClass=classes,
        ChecksumAlgorithm=listed(algorithms),
        ChecksumType=kinds,
    )


async def _open(
    call: Call,
    action: str,
    name: str,
    prefix: str | None,
    encoding_type: str | None,
    expected_owner: str | None,
) -> Bucket:
    if encoding_type not in (None, "url"):
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request",
            ArgumentName="encoding-type",
            ArgumentValue=encoding_type,
        )
    return await open_listing(call, action, name, prefix, expected_owner)


class Owners:
    """Owners as a listing shows them, each looked up once."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._known: dict[str, dict[str, str]] = {}

    async def get(self, user_id: str) -> dict[str, str]:
        found = self._known.get(user_id)
        if found is None:
            found = self._known[user_id] = await owner_of(self._call, user_id)
        return found

    async def all(self, user_ids: Sequence[str]) -> list[dict[str, str]]:
        known = {user_id: await self.get(user_id) for user_id in set(user_ids)}
        return [known[user_id] for user_id in user_ids]


async def _contents(page: Page, owners: Owners | None) -> Columns:
    if not page.rows:
        return Columns(0)
    keys, sizes, etags, times, classes, owner_ids, algorithms, kinds = zip(*page.rows, strict=True)
    columns: dict[str, Sequence[Any]] = {
        "Key": [key.decode() for key in keys],
        "LastModified": times,
        "ETag": [f'"{etag}"' for etag in etags],
        "Size": sizes,
        "StorageClass": classes,
        "ChecksumAlgorithm": listed(algorithms),
        "ChecksumType": kinds,
    }
    if owners is not None:
        columns["Owner"] = await owners.all(owner_ids)
    return Columns(len(keys), **columns)


def listed(values: Sequence[str | None]) -> list[list[str] | None]:
    """Each value as a list of one, or none."""
    lists = {value: None if value is None else [value] for value in set(values)}
    return [lists[value] for value in values]


def common_prefixes(page: Page) -> Columns:
    return Columns(len(page.prefixes), Prefix=[prefix.decode() for prefix in page.prefixes])


def page_size(wanted: int | None, argument: str) -> int:
    """How many entries a page may have; more than 1,000 are never given. Raises InvalidArgument."""
    if wanted is None:
        return MAX_KEYS
    if not 0 <= wanted <= 2**31 - 1:
        raise InvalidArgument(
            f"Argument {argument} must be an integer between 0 and 2147483647",
            ArgumentName=argument,
            ArgumentValue=str(wanted),
        )
    return min(wanted, MAX_KEYS)


def encode_token(last: bytes) -> str:
    """A continuation token: where to go on, with a checksum against made-up ones. It grants nothing."""
    return base64.urlsafe_b64encode(zlib.crc32(last).to_bytes(4, "big") + last).decode()


def decode_token(token: str) -> str:
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        if len(raw) > 4 and int.from_bytes(raw[:4], "big") == zlib.crc32(raw[4:]):
            return raw[4:].decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise InvalidArgument(
        "The continuation token provided is incorrect", ArgumentName="continuation-token", ArgumentValue=token
    )
