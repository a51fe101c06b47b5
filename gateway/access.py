"""Who may do what. One place decides, for both doors; what is not allowed here is refused.

A bucket's policy denies first, whomever it concerns. Then an admin may do everything, an owner what concerns their
buckets; policies, and ACLs where they are in force, let others in, of whatever tenant. Where ACLs are in force, an
object that somebody else wrote is its writer's, and the bucket's policy cannot give it away.
"""

from __future__ import annotations

from typing import Literal

from gateway.acl import ENFORCED, PREFERRED, READ, READ_ACP, WRITE, WRITE_ACP, permits
from gateway.bucket_configs import POLICY
from gateway.errors import NotAllowed
from gateway.policy import (
    ALLOW,
    BUCKET_ACTIONS,
    DENY,
    Caller,
    Context,
    PolicyRequest,
    decide,
    is_public,
    nothing,
)
from gateway.public_access import policy_of, public_access_block
from gateway.types import Bucket, ObjectInfo, Principal

_READING = ("s3:Get", "s3:List")
"""How the names of actions begin that change nothing."""
POLICY_ACTIONS = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
"""What no policy can take from a bucket's owner, so that one who is locked out can undo it."""

BY_BUCKET_ACL = {
    "s3:ListBucket": READ,
    "s3:ListBucketVersions": READ,
    "s3:ListBucketMultipartUploads": READ,
    "s3:PutObject": WRITE,
    "s3:DeleteObject": WRITE,
    "s3:AbortMultipartUpload": WRITE,
    "s3:ListMultipartUploadParts": WRITE,
    "s3:GetBucketAcl": READ_ACP,
    "s3:PutBucketAcl": WRITE_ACP,
}
"""The permission on the bucket that lets others than its owner act; what is not here, no ACL can give."""

BY_OBJECT_ACL = {
    "s3:GetObject": READ,
    "s3:GetObjectVersion": READ,
    "s3:GetObjectAttributes": READ,
    "s3:GetObjectVersionAttributes": READ,
    "s3:GetObjectAcl": READ_ACP,
    "s3:GetObjectVersionAcl": READ_ACP,
    "s3:PutObjectAcl": WRITE_ACP,
    "s3:PutObjectVersionAcl": WRITE_ACP,
}
"""The same on the object: these actions are decided with the object at hand."""


def authorize(
    principal: Principal | None,
    action: str,
    bucket: Bucket,
    key: str | None = None,
    info: ObjectInfo | None = None,
    context: Context = nothing,
) -> bool:
    """Raise NotAllowed unless ``principal`` (None: nobody known) may do ``action`` (AWS's name of it) there.

    True where nothing but an ACL allows it.

    The actions in ``BY_OBJECT_ACL`` are decided with the object, ``info``, at hand. Whether a key is absent may learn
    who may list the bucket. ``context`` tells a policy's conditions of the request.
    """
    verdict = _by_policy(principal, action, bucket, key, context)
    if verdict == DENY and not (action in POLICY_ACTIONS and principal is not None and _owns(principal, bucket)):
        raise NotAllowed
    without_acl = (principal is not None and _entitled(principal, bucket, info)) or (
        verdict == ALLOW and not _foreign(bucket, info) and not _restricted(principal, bucket)
    )
    if not without_acl and not _granted(principal, action, bucket, info):
        raise NotAllowed
    if principal is None:
        return not without_acl
    if principal.readonly and not action.startswith(_READING):
        raise NotAllowed("The key is read-only.")
    if principal.prefixes:
        _confine(principal, bucket, key)
    return not without_acl


def authorize_part(
    principal: Principal | None, action: str, bucket: Bucket, key: str, context: Context = nothing
) -> None:
    """Raise NotAllowed for a part of a write that was allowed, its tags or its ACL, where the policy denies it.

    Tags need an allowance of their own where only the policy allowed the write; whoever owns the bucket or may write
    by its ACL needs none. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    verdict = _by_policy(principal, action, bucket, key, context)
    if verdict == DENY:
        raise NotAllowed
    if action == "s3:PutObjectTagging" and verdict != ALLOW:
        owns = principal is not None and _entitled(principal, bucket, None)
        if not owns and not _granted(principal, "s3:PutObject", bucket, None):
            raise NotAllowed


def authorize_listing(principal: Principal | None, bucket: Bucket, prefix: str) -> None:
    """Raise NotAllowed where a listing, allowed by ``authorize``, would show a confined key what lies beside its paths.

    It is confined to ``/b/a``: what begins with ``a`` may be ``ab`` as well.
    """
    if principal is not None and principal.prefixes:
        path = f"/{bucket.name}/{prefix}"
        if not any(path.startswith(_whole(confined)) for confined in principal.prefixes):
            raise NotAllowed("The key is confined to other paths.")


def open_to_anybody(bucket: Bucket) -> bool:
    """Whether anything in a bucket may be open to callers nobody knows; if not, they are refused unheard."""
    return bucket.ownership != ENFORCED or POLICY in bucket.configs


def caller_of(principal: Principal | None) -> Caller:
    """A caller as policies name them."""
    if principal is None:
        return Caller()
    return Caller(principal.tenant, principal.user_id, principal.canonical_id)


def _by_policy(
    principal: Principal | None, action: str, bucket: Bucket, key: str | None, context: Context
) -> Literal["Allow", "Deny"] | None:
    if POLICY not in bucket.configs:
        return None
    policy = policy_of(bucket)
    assert policy is not None
    resource = f"arn:aws:s3:::{bucket.name}" if action in BUCKET_ACTIONS else f"arn:aws:s3:::{bucket.name}/{key or ''}"
    return decide(policy, PolicyRequest(caller_of(principal), action, resource, _with_owner(bucket, context)))


def _with_owner(bucket: Bucket, context: Context) -> Context:
    """A context that tells whose the bucket is, too."""
    return lambda key: [bucket.tenant] if key in ("aws:resourceaccount", "s3:resourceaccount") else context(key)


def _owns(principal: Principal, bucket: Bucket) -> bool:
    return principal.is_admin or bucket.owner_id == principal.user_id


def _entitled(principal: Principal, bucket: Bucket, info: ObjectInfo | None) -> bool:
    """Whether somebody needs nobody's leave: an admin, and an owner for what is theirs."""
    return principal.is_admin or (bucket.owner_id == principal.user_id and not _foreign(bucket, info))


def _restricted(principal: Principal | None, bucket: Bucket) -> bool:
    """Whether a public policy may not let a caller in, as public access is restricted to the bucket's tenant."""
    if principal is not None and principal.tenant == bucket.tenant:
        return False
    policy = policy_of(bucket)
    return public_access_block(bucket).restrict_public_buckets and policy is not None and is_public(policy)


def _foreign(bucket: Bucket, info: ObjectInfo | None) -> bool:
    """Whether an object is another's than the bucket's owner's."""
    return info is not None and info.owner_id != bucket.owner_id and bucket.ownership != ENFORCED


def _granted(principal: Principal | None, action: str, bucket: Bucket, info: ObjectInfo | None) -> bool:
    """What ACLs, and owning the object, allow."""
    if bucket.ownership == ENFORCED:
        return False
    caller = principal.canonical_id if principal is not None else None
    public = not public_access_block(bucket).ignore_public_acls
    on_object = BY_OBJECT_ACL.get(action)
    if on_object is None:
        on_bucket = BY_BUCKET_ACL.get(action)
        return on_bucket is not None and permits(bucket.acl, caller, on_bucket, public=public)
    if info is None:
        return False
    if principal is not None and principal.user_id == info.owner_id:
        return True
    return permits(info.acl, caller, on_object, public=public)


def owner_of_new(principal: Principal | None, bucket: Bucket, canned_acl: str | None) -> str:
    """Who will own an object that ``principal`` writes; what nobody known wrote is the bucket's owner's."""
    if bucket.ownership == ENFORCED or principal is None:
        return bucket.owner_id
    if bucket.ownership == PREFERRED and canned_acl == "bucket-owner-full-control":
        return bucket.owner_id
    return principal.user_id


def authorize_creation(principal: Principal | None, name: str) -> Principal:
    """The caller who may make a bucket of that name; raises NotAllowed."""
    if principal is None:
        raise NotAllowed
    if principal.readonly:
        raise NotAllowed("The key is read-only.")
    if principal.prefixes and not any(f"/{name}/".startswith(_whole(prefix)) for prefix in principal.prefixes):
        raise NotAllowed("The key is confined to other paths.")
    return principal


def authorize_tenant(principal: Principal | None, action: str, tenant: str) -> None:
    """Raise NotAllowed unless ``principal`` may do what concerns a whole tenant: an admin everything, its users read.

    A confined key speaks for paths, and not for a tenant.
    """
    if principal is None or not (principal.is_admin or principal.tenant == tenant):
        raise NotAllowed
    if action.startswith(_READING):
        return
    if not principal.is_admin or principal.prefixes:
        raise NotAllowed
    if principal.readonly:
        raise NotAllowed("The key is read-only.")


def _confine(principal: Principal, bucket: Bucket, key: str | None) -> None:
    """A confined key reaches objects below its prefixes; a listing must be of a prefix below one of them."""
    path = f"/{bucket.name}/{key or ''}"
    if not any(path.startswith(_whole(prefix)) or path == prefix for prefix in principal.prefixes):
        raise NotAllowed("The key is confined to other paths.")


def _whole(prefix: str) -> str:
    return prefix if prefix.endswith("/") else prefix + "/"
