"""Making, finding, listing and removing buckets."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gateway.access import authorize_creation
from gateway.acl import ENFORCED, OWNERSHIPS, Acl
from gateway.bucket_configs import OBJECT_LOCK, TAGGING, VERSIONING
from gateway.errors import BucketExists
from gateway.locks import DefaultRetention
from gateway.public_access import is_public_acl
from gateway.s3.call import Answer, Call
from gateway.s3.errors import (
    AccessDenied,
    BucketAlreadyExists,
    IllegalLocationConstraintException,
    InvalidArgument,
    InvalidBucketAclWithObjectOwnership,
    InvalidLocationConstraint,
    NotImplemented_,
)
from gateway.s3.operations.common import owner_of
from gateway.s3.operations.grants import GRANTS, asks_for_acl, requested_acl
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation
from gateway.s3.operations.tagging import bucket_tags
from gateway.types import Principal
from gateway.versioning import ENABLED

MAX_BUCKETS = 10_000
CLASSIC = "us-east-1"
"""The region that GetBucketLocation calls by no name, and where making one's bucket again succeeds."""


@operation
async def list_buckets(
    call: Call,
    *,
    MaxBuckets: int | None = None,
    ContinuationToken: str | None = None,
    Prefix: str | None = None,
    BucketRegion: str | None = None,
) -> dict[str, Any]:
    """The caller's buckets, in name order; an admin's are everybody's."""
    principal = call.principal
    if principal is None:
        raise AccessDenied
    limit = MAX_BUCKETS if MaxBuckets is None else MaxBuckets
    if not 1 <= limit <= MAX_BUCKETS:
        raise InvalidArgument(
            f"Argument max-buckets must be an integer between 1 and {MAX_BUCKETS}",
            ArgumentName="max-buckets",
            ArgumentValue=str(limit),
        )
    after = _decode_token(ContinuationToken) if ContinuationToken else ""
    buckets = await call.core.buckets.list(principal, Prefix or "", after, limit + 1)
    page = [bucket for bucket in buckets[:limit] if BucketRegion is None or bucket.region == BucketRegion]
    asked = any(told is not None for told in (MaxBuckets, ContinuationToken, Prefix, BucketRegion))
    return {
        "Buckets": [
            {
                "Name": bucket.name,
                "CreationDate": bucket.created_at,
                "BucketRegion": bucket.region if asked else None,
                "BucketArn": arn_of(bucket.name),
            }
            for bucket in page
        ],
        "Owner": await owner_of(call, principal.user_id),
        "ContinuationToken": _encode_token(buckets[limit - 1].name) if len(buckets) > limit else None,
        "Prefix": Prefix,
    }


def _encode_token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        ) from None


@operation(ignores=GRANTS)
async def create_bucket(
    call: Call,
    *,
    Bucket: str,
    ACL: str | None = None,
    CreateBucketConfiguration: dict[str, Any] | None = None,
    ObjectLockEnabledForBucket: bool | None = None,
    ObjectOwnership: str | None = None,
) -> dict[str, Any]:
    """Make a bucket that the caller owns."""
    owner = authorize_creation(call.principal, Bucket)
    # Object lock needs versions, so it turns versioning on.
    configs = {VERSIONING: ENABLED, OBJECT_LOCK: DefaultRetention().dump()} if ObjectLockEnabledForBucket else {}
    if tags := (CreateBucketConfiguration or {}).get("Tags"):
        configs[TAGGING] = bucket_tags(tags, created=True)
    ownership, acl = await _access(call, owner, ObjectOwnership, ACL)
    region = _region(CreateBucketConfiguration, call.core.settings.regions)
    try:
        await call.core.buckets.create(Bucket, owner, ownership=ownership, acl=acl, configs=configs, region=region)
    except BucketExists as error:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html: in us-east-1 making one's own
        # bucket again is no error.
        if not (error.by_caller and region == CLASSIC):
            raise
        if tags:
            raise
        # There it also resets the ACL. Nobody who makes a bucket again means to open or to close it: refused.
        if (await call.core.buckets.find(Bucket)).acl != acl:
            raise BucketAlreadyExists(BucketName=Bucket) from error
    return {"Location": _location(call, Bucket, CreateBucketConfiguration), "BucketArn": arn_of(Bucket)}


def arn_of(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


def _location(call: Call, bucket: str, configuration: dict[str, Any] | None) -> str:
    """Where a new bucket is: its path, or its own host where a region was asked for and hosts are buckets."""
    host = call.host.lower()
    domains = [domain.lower().strip(".") for domain in call.core.settings.s3_domains]
    if (configuration or {}).get("LocationConstraint") and host.partition(":")[0] in domains:
        return f"{'https' if call.secure else 'http'}://{bucket}.{host}/"
    return f"/{bucket}"


async def _access(call: Call, owner: Principal, ownership: str | None, canned: str | None) -> tuple[str, Acl | None]:
    """Ownership and ACL of a bucket to be made. Raises InvalidBucketAclWithObjectOwnership, InvalidArgument."""
    if ownership is not None and ownership not in OWNERSHIPS:
        raise InvalidArgument(
            "Invalid x-amz-object-ownership header: " + ownership, ArgumentName="x-amz-object-ownership"
        )
    chosen = call.core.buckets.ownership_of_new(ownership)
    if not asks_for_acl(call, canned):
        return chosen, None
    acl = await requested_acl(call, canned, owner.canonical_id)
    if chosen == ENFORCED and acl is not None:
        raise InvalidBucketAclWithObjectOwnership
    if is_public_acl(acl) and await _blocks_public_acls(call, owner.tenant):
        raise AccessDenied("Access Denied because of the BlockPublicAcls setting in S3 Block Public Access.")
    return chosen, acl


async def _blocks_public_acls(call: Call, tenant: str) -> bool:
    """Whether a bucket of a tenant's that is to be made may have no public ACL."""
    if call.core.settings.block_public_access:
        return True
    block = await call.core.buckets.tenant_block(tenant)
    return block is not None and block.block_public_acls


def _region(configuration: dict[str, Any] | None, regions: tuple[str, ...]) -> str:
    """Where a bucket is to be made: in the first of the regions, or in the one that the request names.

    Raises when the request asks for a region that there is not, or for more than a region.
    """
    if not configuration:
        return regions[0]
    for name in ("Location", "Bucket"):
        if configuration.get(name):
            raise NotImplemented_(Header=name)
    constraint: str | None = configuration.get("LocationConstraint")
    if not constraint:
        return regions[0]
    if constraint in regions and constraint != CLASSIC:
        return constraint
    if regions[0] == CLASSIC:
        raise InvalidLocationConstraint(LocationConstraint=constraint)
    raise IllegalLocationConstraintException(
        f"The {constraint} location constraint is incompatible for the region specific endpoint this request "
        "was sent to."
    )


@operation
async def head_bucket(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> Answer:
    """Whether the bucket is there and the caller may list it."""
    bucket = await open_bucket(call, "s3:ListBucket", Bucket, None, ExpectedBucketOwner)
    told = {"BucketRegion": bucket.region, "BucketArn": arn_of(bucket.name), "AccessPointAlias": False}
    return Answer(told, headers=[(b"content-type", b"application/xml")])


@operation
async def delete_bucket(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Remove an empty bucket."""
    bucket = await open_bucket(call, "s3:DeleteBucket", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.delete(bucket)
    return {}


@operation
async def get_bucket_location(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """The bucket's region; empty for us-east-1."""
    bucket = await open_bucket(call, "s3:GetBucketLocation", Bucket, None, ExpectedBucketOwner)
    return {"LocationConstraint": "" if bucket.region == CLASSIC else bucket.region}
