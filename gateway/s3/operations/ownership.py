"""Object ownership: who owns what is written to a bucket, and whether its ACLs are in force.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
"""

from __future__ import annotations

from typing import Any

from gateway.acl import ENFORCED, OWNERSHIPS, effective
from gateway.s3.call import Call
from gateway.s3.errors import (
    InvalidBucketAclWithObjectOwnership,
    MalformedXML,
    OwnershipControlsNotFoundError,
)
from gateway.s3.operations.common import owner_of
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation


@operation
async def put_bucket_ownership_controls(
    call: Call, *, Bucket: str, OwnershipControls: dict[str, Any], ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Change the ownership. ACLs can be turned off only where the bucket's own grants nothing to others."""
    bucket = await open_bucket(call, "s3:PutBucketOwnershipControls", Bucket, None, ExpectedBucketOwner)
    rules = OwnershipControls.get("Rules") or []
    if len(rules) != 1 or rules[0].get("ObjectOwnership") not in OWNERSHIPS:
        raise MalformedXML
    ownership = rules[0]["ObjectOwnership"]
    owner = (await owner_of(call, bucket.owner_id))["ID"]
    if ownership == ENFORCED and effective(bucket.acl, owner) != effective(None, owner):
        raise InvalidBucketAclWithObjectOwnership
    await call.core.buckets.set_ownership(bucket, ownership)
    return {}


@operation
async def get_bucket_ownership_controls(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """The ownership, where one was told."""
    bucket = await open_bucket(call, "s3:GetBucketOwnershipControls", Bucket, None, ExpectedBucketOwner)
    if not bucket.ownership:
        raise OwnershipControlsNotFoundError(BucketName=Bucket)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": bucket.ownership}]}}


@operation
async def delete_bucket_ownership_controls(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Forget the ownership: ACLs are in force again, and objects are their writers'."""
    bucket = await open_bucket(call, "s3:PutBucketOwnershipControls", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_ownership(bucket, "")
    return {}
