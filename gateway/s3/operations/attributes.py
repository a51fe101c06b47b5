"""Chosen facts about an object, and what is known of the parts that it was put together from."""

from __future__ import annotations

from typing import Any

from gateway import checksums
from gateway.s3.call import Call
from gateway.s3.errors import InvalidArgument
from gateway.s3.operations.common import checksum_members, version_member
from gateway.s3.operations.encrypting import reader_key
from gateway.s3.operations.listing import page_size
from gateway.s3.operations.opening import open_object, permit, version_action
from gateway.s3.operations.registry import operation
from gateway.types import ObjectInfo, ObjectPart

_ATTRIBUTES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


@operation
async def get_object_attributes(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    ObjectAttributes: list[str],
    VersionId: str | None = None,
    MaxParts: int | None = None,
    PartNumberMarker: int | None = None,
    SSECustomerAlgorithm: str | None = None,
    SSECustomerKey: str | None = None,
    SSECustomerKeyMD5: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Chosen facts about an object: its ETag, checksum, parts, storage class and size."""
    members = locals()
    bucket, info = await open_object(call, "s3:GetObjectAttributes", Bucket, Key, ExpectedBucketOwner, VersionId)
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html: who may not read learns nothing.
    permit(call, version_action("s3:GetObject", VersionId), bucket, Key, info, VersionId)
    reader_key(call, info, members)
    wanted = {name.strip() for item in ObjectAttributes for name in item.split(",")}
    if not wanted <= _ATTRIBUTES or not wanted:
        raise InvalidArgument(
            "Invalid attribute name specified.",
            ArgumentName="x-amz-object-attributes",
            ArgumentValue=",".join(ObjectAttributes),
        )
    result: dict[str, Any] = {"LastModified": info.modified_at, **version_member(bucket, info)}
    if "ETag" in wanted:
        result["ETag"] = info.etag
    if "Checksum" in wanted and info.checksum is not None:
        result["Checksum"] = checksum_members(info.checksum)
    if "ObjectParts" in wanted and info.parts:
        result["ObjectParts"] = _object_parts(info, await call.core.objects.parts(info), PartNumberMarker, MaxParts)
    if "StorageClass" in wanted:
        result["StorageClass"] = info.attributes.storage_class
    if "ObjectSize" in wanted:
        result["ObjectSize"] = info.size
    return result


def _object_parts(info: ObjectInfo, parts: list[ObjectPart], marker: int | None, most: int | None) -> dict[str, Any]:
    """The parts of an object, each with its checksum where it has one."""
    algorithm = info.checksum.algorithm if info.checksum else ""
    if info.checksum is None or info.checksum.type != checksums.COMPOSITE:
        # Without checksums of parts no parts are shown:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributesParts.html
        return {"TotalPartsCount": len(parts)}
    limit = page_size(most, "max-parts")
    rest = [part for part in parts if part.number > (marker or 0)]
    page = rest[:limit]
    return {
        "TotalPartsCount": len(parts),
        "PartNumberMarker": marker or 0,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(rest) > limit,
        "Parts": [
            {
                "PartNumber": part.number,
                "Size": part.size,
                **({f"Checksum{algorithm}": part.checksum} if part.checksum else {}),
            }
            for part in page
        ],
    }
