"""Tags of objects and buckets."""

from __future__ import annotations

import json
from typing import Any

from gateway.bucket_configs import TAGGING
from gateway.s3.call import Call
from gateway.s3.errors import NoSuchTagSet
from gateway.s3.operations.common import check_tags, version_member, version_of
from gateway.s3.operations.opening import open_bucket, open_object
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
    bucket, info = await open_object(call, "s3:PutObjectTagging", Bucket, Key, ExpectedBucketOwner, VersionId)
    pairs = [(tag["Key"], tag.get("Value") or "") for tag in Tagging.get("TagSet") or []]
    await call.core.objects.set_tags(bucket, Key, check_tags(pairs), version_of(VersionId))
    return version_member(bucket, info)


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
    bucket, info = await open_object(call, "s3:GetObjectTagging", Bucket, Key, ExpectedBucketOwner, VersionId)
    tags = [{"Key": name, "Value": value} for name, value in info.attributes.tags]
    return {"TagSet": tags, **version_member(bucket, info)}


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
    bucket, info = await open_object(call, "s3:DeleteObjectTagging", Bucket, Key, ExpectedBucketOwner, VersionId)
    await call.core.objects.set_tags(bucket, Key, (), version_of(VersionId))
    return version_member(bucket, info)


MAX_BUCKET_TAGS = 50


@operation
async def put_bucket_tagging(
    call: Call, *, Bucket: str, Tagging: dict[str, Any], ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Replace a bucket's tags."""
    bucket = await open_bucket(call, "s3:PutBucketTagging", Bucket, None, ExpectedBucketOwner)
    pairs = [(tag["Key"], tag.get("Value") or "") for tag in Tagging.get("TagSet") or []]
    await call.core.buckets.set_config(bucket, TAGGING, json.dumps(check_tags(pairs, MAX_BUCKET_TAGS)))
    return {}


@operation
async def get_bucket_tagging(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """A bucket's tags."""
    bucket = await open_bucket(call, "s3:GetBucketTagging", Bucket, None, ExpectedBucketOwner)
    tags = bucket.config(TAGGING, json.loads)
    if not tags:
        raise NoSuchTagSet(BucketName=Bucket)
    return {"TagSet": [{"Key": name, "Value": value} for name, value in tags]}


@operation
async def delete_bucket_tagging(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Remove a bucket's tags."""
    bucket = await open_bucket(call, "s3:PutBucketTagging", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, TAGGING, None)
    return {}
