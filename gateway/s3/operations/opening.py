"""Opening a bucket or an object for a caller who may do what is asked, and who pays for it."""

from __future__ import annotations

from gateway.access import authorize, authorize_listing, authorize_part
from gateway.bucket_configs import POLICY, REQUEST_PAYMENT
from gateway.errors import ObjectNotFound
from gateway.policy import nothing
from gateway.s3.call import Call
from gateway.s3.errors import AccessDenied, InvalidArgument, MethodNotAllowed
from gateway.s3.operations.common import owner_of, version_in, version_of
from gateway.s3.policy_context import context_of
from gateway.types import Bucket, ObjectInfo

BUCKET_OWNER, REQUESTER = "BucketOwner", "Requester"
"""Who pays for the requests to a bucket."""


async def open_bucket(
    call: Call, action: str, name: str, key: str | None = None, expected_owner: str | None = None
) -> Bucket:
    """The bucket, once the caller may do ``action`` there.

    Raises NoSuchBucket, AccessDenied; also when the caller expected another owner.
    """
    bucket = await call.core.buckets.find(name)
    open_for(call, action, bucket, key)
    if expected_owner is not None:
        await expect_owner(call, bucket, expected_owner)
    return bucket


async def open_listing(
    call: Call, action: str, name: str, prefix: str | None, expected_owner: str | None = None
) -> Bucket:
    """The bucket, once the caller may list what begins with ``prefix`` there. Raises as ``open_bucket``."""
    bucket = await open_bucket(call, action, name, prefix or None, expected_owner)
    context = context_of(call) if POLICY in bucket.configs else nothing
    authorize_listing(call.principal, action, bucket, prefix or "", context)
    return bucket


def open_for(
    call: Call,
    action: str,
    bucket: Bucket,
    key: str | None = None,
    info: ObjectInfo | None = None,
    version_id: str | None = None,
) -> None:
    """Let the caller do ``action``, and pay for it. Raises NotAllowed, AccessDenied."""
    permit(call, action, bucket, key, info, version_id)
    if REQUEST_PAYMENT in bucket.configs:
        _charge(call, bucket)


def permit(
    call: Call,
    action: str,
    bucket: Bucket,
    key: str | None = None,
    info: ObjectInfo | None = None,
    version_id: str | None = None,
) -> None:
    """Raise NotAllowed unless the caller may do ``action``; ``version_id`` where the query is not what names it."""
    context = context_of(call, info, version_id=version_id) if POLICY in bucket.configs else nothing
    if authorize(call.principal, action, bucket, key, info, context):
        call.acl_required = True


def permit_parts(call: Call, bucket: Bucket, key: str, *, tags: bool, acl: bool) -> None:
    """Raise NotAllowed where a policy does not let the caller set the tags or the ACL that a write carries."""
    if POLICY not in bucket.configs:
        return
    for carries, action in ((tags, "s3:PutObjectTagging"), (acl, "s3:PutObjectAcl")):
        if carries:
            authorize_part(call.principal, action, bucket, key, context_of(call))


VERSION_ACTIONS = {
    f"s3:{verb}Object{what}": f"s3:{verb}ObjectVersion{what}"
    for verb, whats in {
        "Get": ("", "Acl", "Attributes", "Tagging"),
        "Put": ("Acl", "Tagging"),
        "Delete": ("", "Tagging"),
    }.items()
    for what in whats
}
"""What an action is called when the request names a version."""


def version_action(action: str, version_id: str | None) -> str:
    """The name of an action on the version that a request names, if it names one."""
    return action if version_id is None else VERSION_ACTIONS.get(action, action)


_MARKERS_REFUSE = frozenset(
    {"PutObjectTagging", "GetObjectTagging", "DeleteObjectTagging", "PutObjectAcl", "PutObjectRetention"}
)
"""Operations that a delete marker answers with MethodNotAllowed even where the request names no version."""


async def open_object(
    call: Call, action: str, name: str, key: str, expected_owner: str | None = None, version_id: str | None = None
) -> tuple[Bucket, ObjectInfo]:
    """Bucket and object, once the caller may do ``action`` to it: one of those that an object's ACL decides.

    Raises NoSuchBucket, AccessDenied, and only to whom it may be told NoSuchKey or NoSuchVersion.
    """
    bucket = await call.core.buckets.find(name)
    if version_id is not None:
        version_of(version_id)
        action = version_action(action, version_id)
    try:
        found_by = None if version_id is None else version_in(bucket, version_id)
        info = await call.core.objects.find(bucket, key, found_by)
    except (ObjectNotFound, InvalidArgument) as error:
        # As if the caller listed what begins with the key. Whether there are versions at all is told no sooner.
        context = context_of(call, prefix=key) if POLICY in bucket.configs else nothing
        authorize(call.principal, "s3:ListBucket", bucket, key, None, context)
        await expect_owner(call, bucket, expected_owner)
        marker = error.marker if isinstance(error, ObjectNotFound) else None
        if marker is not None and call.operation.name in _MARKERS_REFUSE:
            raise MethodNotAllowed(Method=call.method, ResourceType="DeleteMarker").with_headers(
                (b"allow", b"DELETE"), (b"x-amz-delete-marker", b"true"), (b"x-amz-version-id", marker.encode())
            ) from None
        raise
    open_for(call, action, bucket, key, info, version_id)
    if expected_owner is not None:
        await expect_owner(call, bucket, expected_owner)
    return bucket, info


def _charge(call: Call, bucket: Bucket) -> None:
    """Raise AccessDenied where the requester pays and has not agreed to."""
    principal = call.principal
    if bucket.configs.get(REQUEST_PAYMENT) != REQUESTER or (
        principal is not None and (principal.is_admin or principal.user_id == bucket.owner_id)
    ):
        return
    payer = call.headers.get(b"x-amz-request-payer") or call.query.get("x-amz-request-payer", "").encode()
    if principal is None or payer.lower() != b"requester":
        raise AccessDenied
    call.charged = True


async def expect_owner(call: Call, bucket: Bucket, expected: str | None) -> None:
    """Raise AccessDenied when the bucket is not of the owner that the caller expects, if any."""
    if expected is None or expected in (bucket.tenant, bucket.owner_id):
        return
    if expected != (await owner_of(call, bucket.owner_id))["ID"]:
        raise AccessDenied
