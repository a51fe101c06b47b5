"""Tags of objects and buckets."""

from __future__ import annotations

import json
from typing import Any

from gateway.bucket_configs import TAGGING
from gateway.s3.call import Call
from gateway.s3.errors import InvalidTag, NoSuchTagSet
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
    await call.core.objects.set_tags(bucket, Key, check_tags(_pairs(Tagging.get("TagSet"))), version_of(VersionId))
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
_BUCKETS_OWN = "System tags cannot be added/updated by requester"
_AT_CREATION = (
    'User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. '
    'Remove "aws:" from your tag keys and try again.'
)


def _pairs(tags: list[dict[str, Any]] | None) -> list[tuple[str, str]]:
    return [(tag["Key"], tag["Value"]) for tag in tags or []]


def bucket_tags(tags: list[dict[str, Any]] | None, *, created: bool = False) -> str:
    """A bucket's tags as they are kept; ``created`` where they come with the bucket itself. Raises InvalidTag."""
    try:
        return json.dumps(check_tags(_pairs(tags), MAX_BUCKET_TAGS, system=_AT_CREATION if created else _BUCKETS_OWN))
    except InvalidTag as error:
        if created and error.message == _AT_CREATION:
            error.detail = {}
        raise


@operation
async def put_bucket_tagging(
    call: Call, *, Bucket: str, Tagging: dict[str, Any], ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Replace a bucket's tags."""
    bucket = await open_bucket(call, "s3:PutBucketTagging", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, TAGGING, bucket_tags(Tagging.get("TagSet")))
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
