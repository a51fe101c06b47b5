"""Who may do what. One place decides, for both doors; what is not allowed here is refused.

An admin may do everything, an owner what concerns their buckets; where a bucket's ACLs are in force, they let others
in, of whatever tenant, and an object that somebody else wrote is its writer's.
"""

from __future__ import annotations

from gateway.acl import ENFORCED, PREFERRED, READ, READ_ACP, WRITE, WRITE_ACP, permits
from gateway.errors import NotAllowed
from gateway.types import Bucket, ObjectInfo, Principal

READS = frozenset(
    {
        "s3:GetBucketAcl",
        "s3:GetObject",
        "s3:GetObjectAcl",
        "s3:GetObjectAttributes",
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionAttributes",
        "s3:GetObjectVersionTagging",
        "s3:GetBucketLocation",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketRequestPayment",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:ListAllMyBuckets",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
    }
)


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
) -> None:
    """Raise NotAllowed unless ``principal`` (None: nobody known) may do ``action`` (AWS's name of it) there.

    The actions in ``BY_OBJECT_ACL`` are decided with the object, ``info``, at hand. Whether a key is absent may learn
    who may list the bucket.
    """
    if principal is None:
        if not _granted(None, action, bucket, info):
            raise NotAllowed
        return
    if not (
        principal.is_admin
        or (bucket.owner_id == principal.user_id and (info is None or not _foreign(bucket, info)))
        or _granted(principal, action, bucket, info)
    ):
        raise NotAllowed
    if principal.readonly and action not in READS:
        raise NotAllowed("The key is read-only.")
    if principal.prefixes:
        _confine(principal, bucket, key)


def open_to_anybody(bucket: Bucket) -> bool:
    """Whether anything in a bucket may be open to callers nobody knows; if not, they are refused unheard."""
    return bucket.ownership != ENFORCED


def _foreign(bucket: Bucket, info: ObjectInfo) -> bool:
    """Whether an object is another's than the bucket's owner's."""
    return info.owner_id != bucket.owner_id and bucket.ownership != ENFORCED


def _granted(principal: Principal | None, action: str, bucket: Bucket, info: ObjectInfo | None) -> bool:
    """What ACLs, and owning the object, allow."""
    if bucket.ownership == ENFORCED:
        return False
    caller = principal.canonical_id if principal is not None else None
    on_object = BY_OBJECT_ACL.get(action)
    if on_object is None:
        on_bucket = BY_BUCKET_ACL.get(action)
        return on_bucket is not None and permits(bucket.acl, caller, on_bucket)
    if info is None:
        return False
    if principal is not None and principal.user_id == info.owner_id:
        return True
    return permits(info.acl, caller, on_object)


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


def _confine(principal: Principal, bucket: Bucket, key: str | None) -> None:
    """A confined key reaches objects below its prefixes; a listing must be of a prefix below one of them."""
    path = f"/{bucket.name}/{key or ''}"
    if not any(path.startswith(_whole(prefix)) or path == prefix for prefix in principal.prefixes):
        raise NotAllowed("The key is confined to other paths.")


def _whole(prefix: str) -> str:
    return prefix if prefix.endswith("/") else prefix + "/"
