"""Bucket policies, whether a bucket is public, and what blocks public access.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from gateway.bucket_configs import POLICY, PUBLIC_ACCESS_BLOCK
from gateway.errors import BadPolicy, UserNotFound
from gateway.grantees import user_of_canonical_id
from gateway.policy import Policy, is_public, parse_policy
from gateway.public_access import PublicAccessBlock, is_public_bucket, load, public_access_block
from gateway.s3.call import Call
from gateway.s3.errors import (
    AccessDenied,
    MethodNotAllowed,
    NoSuchBucketPolicy,
    NoSuchPublicAccessBlockConfiguration,
)
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation
from gateway.types import Bucket

_SWITCHES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@operation(ignores={"ConfirmRemoveSelfBucketAccess": "a bucket's owner can always undo its policy"})
async def put_bucket_policy(
    call: Call, *, Bucket: str, Policy: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Replace the bucket's policy."""
    bucket = await _open(call, "s3:PutBucketPolicy", Bucket, ExpectedBucketOwner)
    policy = parse_policy(Policy, bucket.name)
    await _check_principals(call, bucket, policy)
    if public_access_block(bucket).block_public_policy and is_public(policy):
        raise AccessDenied("Public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.")
    await call.core.buckets.set_config(bucket, POLICY, Policy)
    return {}


async def _open(call: Call, action: str, name: str, expected_owner: str | None) -> Bucket:
    """The bucket, whose policy is for its own tenant to see and to change, whatever it allows to others.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
    """
    bucket = await open_bucket(call, action, name, None, expected_owner)
    principal = call.principal
    if principal is None or not (principal.is_admin or principal.tenant == bucket.tenant):
        raise MethodNotAllowed(Method=call.method, ResourceType="BUCKETPOLICY")
    return bucket


async def _check_principals(call: Call, bucket: Bucket, policy: Policy) -> None:
    """Raise BadPolicy for a user of the bucket's own tenant who does not exist: a mistake, or a name that may be
    somebody else's one day.

    Whether another tenant, or a user of it or of any, exists is not told: only admins make them.
    """
    for statement in policy.statements:
        for account, name in statement.principals.users:
            if account != bucket.tenant:
                continue
            try:
                user = await call.core.users.get_user(name)
            except UserNotFound:
                raise BadPolicy("Invalid principal in policy") from None
            if user.tenant != bucket.tenant:
                raise BadPolicy("Invalid principal in policy")
        for canonical_id in statement.principals.canonical:
            if await user_of_canonical_id(call.core.catalog, canonical_id) is None:
                raise BadPolicy("Invalid principal in policy")


@operation
async def get_bucket_policy(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """The bucket's policy, as it was put."""
    bucket = await _open(call, "s3:GetBucketPolicy", Bucket, ExpectedBucketOwner)
    if POLICY not in bucket.configs:
        raise NoSuchBucketPolicy(BucketName=Bucket)
    return {"Policy": bucket.configs[POLICY]}


@operation
async def delete_bucket_policy(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Remove the bucket's policy; it may be absent."""
    bucket = await _open(call, "s3:DeleteBucketPolicy", Bucket, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, POLICY, None)
    return {}


@operation
async def get_bucket_policy_status(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Whether the bucket is public, by policy or ACL."""
    bucket = await open_bucket(call, "s3:GetBucketPolicyStatus", Bucket, None, ExpectedBucketOwner)
    return {"PolicyStatus": {"IsPublic": is_public_bucket(bucket)}}


def block_from(members: Mapping[str, Any]) -> PublicAccessBlock:
    return PublicAccessBlock(*(bool(members.get(name)) for name in _SWITCHES))


def block_members(block: PublicAccessBlock) -> dict[str, bool]:
    return dict(zip(_SWITCHES, astuple(block), strict=True))


@operation
async def put_public_access_block(
    call: Call,
    *,
    Bucket: str,
    PublicAccessBlockConfiguration: dict[str, Any],
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Set the four switches; those that are not told are off."""
    bucket = await open_bucket(call, "s3:PutBucketPublicAccessBlock", Bucket, None, ExpectedBucketOwner)
    block = block_from(PublicAccessBlockConfiguration)
    await call.core.buckets.set_config(bucket, PUBLIC_ACCESS_BLOCK, block.dump())
    return {}


@operation
async def get_public_access_block(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """The bucket's own switches."""
    bucket = await open_bucket(call, "s3:GetBucketPublicAccessBlock", Bucket, None, ExpectedBucketOwner)
    block = bucket.config(PUBLIC_ACCESS_BLOCK, load)
    if block is None:
        raise NoSuchPublicAccessBlockConfiguration(BucketName=Bucket)
    return {"PublicAccessBlockConfiguration": block_members(block)}


@operation
async def delete_public_access_block(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Block nothing any more."""
    # AWS asks for the same permission as for the Put.
    bucket = await open_bucket(call, "s3:PutBucketPublicAccessBlock", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, PUBLIC_ACCESS_BLOCK, None)
    return {}
