"""Tags of objects."""

from __future__ import annotations

from typing import Any

from gateway.s3.call import Call
from gateway.s3.operations.common import check_tags, check_version, open_bucket
from gateway.s3.operations.registry import operation


@operation
async def put_object_tagging(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    Tagging: dict[str, Any],
    VersionId: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Replace an object's tags; its bytes stay."""
    bucket = await open_bucket(call, "s3:PutObjectTagging", Bucket, Key, ExpectedBucketOwner)
    check_version(VersionId, Bucket, Key)
    pairs = [(tag["Key"], tag.get("Value") or "") for tag in Tagging.get("TagSet") or []]
    await call.core.objects.set_tags(bucket, Key, check_tags(pairs))
    return {}


@operation
async def get_object_tagging(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    VersionId: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """An object's tags."""
    bucket = await open_bucket(call, "s3:GetObjectTagging", Bucket, Key, ExpectedBucketOwner)
    check_version(VersionId, Bucket, Key)
    info = await call.core.objects.find(bucket, Key)
    return {"TagSet": [{"Key": name, "Value": value} for name, value in info.attributes.tags]}


@operation
async def delete_object_tagging(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    VersionId: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Remove all tags of an object."""
    bucket = await open_bucket(call, "s3:DeleteObjectTagging", Bucket, Key, ExpectedBucketOwner)
    check_version(VersionId, Bucket, Key)
    await call.core.objects.set_tags(bucket, Key, ())
    return {}
