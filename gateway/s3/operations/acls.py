"""Reading and setting the ACLs of buckets and objects."""

from __future__ import annotations

from typing import Any

from gateway.acl import Acl
from gateway.s3.call import Call
from gateway.s3.errors import MissingSecurityHeader, UnexpectedContent
from gateway.s3.operations.common import owner_of
from gateway.s3.operations.grants import (
    GRANTS,
    acl_from_document,
    asks_for_acl,
    object_acl,
    refuse_public,
    refuse_where_off,
    requested_acl,
    shown_acl,
)
from gateway.s3.operations.opening import open_bucket, open_object
from gateway.s3.operations.registry import operation


@operation
async def get_bucket_acl(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Who was granted what on the bucket."""
    bucket = await open_bucket(call, "s3:GetBucketAcl", Bucket, None, ExpectedBucketOwner)
    return await shown_acl(call, bucket, bucket.owner_id, bucket.acl)


@operation(ignores=GRANTS)
async def put_bucket_acl(
    call: Call,
    *,
    Bucket: str,
    ACL: str | None = None,
    AccessControlPolicy: dict[str, Any] | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Replace the bucket's ACL by a canned one, by the grants of the headers or by those of the document."""
    bucket = await open_bucket(call, "s3:PutBucketAcl", Bucket, None, ExpectedBucketOwner)
    _check_form(call, ACL, AccessControlPolicy)
    owner = (await owner_of(call, bucket.owner_id))["ID"]
    found: Acl | None
    if AccessControlPolicy is not None:
        found = await acl_from_document(call, AccessControlPolicy, owner)
    else:
        found = await requested_acl(call, ACL, owner)
    refuse_where_off(bucket, ACL, found, owner)
    refuse_public(bucket, found)
    await call.core.buckets.set_acl(bucket, found)
    return {}


@operation
async def get_object_acl(
    call: Call, *, Bucket: str, Key: str, VersionId: str | None = None, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Who was granted what on the object."""
    bucket, info = await open_object(call, "s3:GetObjectAcl", Bucket, Key, ExpectedBucketOwner, VersionId)
    return await shown_acl(call, bucket, info.owner_id, info.acl)


@operation(ignores=GRANTS)
async def put_object_acl(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    ACL: str | None = None,
    AccessControlPolicy: dict[str, Any] | None = None,
    VersionId: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Replace the object's ACL; its bytes, metadata and time stay."""
    bucket, info = await open_object(call, "s3:PutObjectAcl", Bucket, Key, ExpectedBucketOwner, VersionId)
    _check_form(call, ACL, AccessControlPolicy)
    found: Acl | None
    if AccessControlPolicy is not None:
        owner = (await owner_of(call, info.owner_id))["ID"]
        found = await acl_from_document(call, AccessControlPolicy, owner)
        refuse_where_off(bucket, None, found, owner)
        refuse_public(bucket, found)
    else:
        found = await object_acl(call, bucket, info.owner_id, ACL)
    await call.core.objects.set_acl(bucket, info, found)
    return {}


def _check_form(call: Call, canned: str | None, document: dict[str, Any] | None) -> None:
    """An ACL comes in the headers or as the body. Raises UnexpectedContent for both, MissingSecurityHeader for none."""
    in_headers = asks_for_acl(call, canned)
    if in_headers and document is not None:
        raise UnexpectedContent
    if not in_headers and document is None:
        raise MissingSecurityHeader(MissingHeaderName="x-amz-acl")
