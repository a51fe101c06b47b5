"""Who may do what. One place decides, for both doors; what is not allowed here is refused.

Until grants and policies say more: an admin may do everything, anybody else what concerns the buckets they own.
"""

from __future__ import annotations

from gateway.errors import NotAllowed
from gateway.types import Bucket, Principal

READS = frozenset(
    {
        "s3:GetObject",
        "s3:GetObjectAttributes",
        "s3:GetObjectTagging",
        "s3:GetBucketLocation",
        "s3:ListAllMyBuckets",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
    }
)


def authorize(principal: Principal | None, action: str, bucket: Bucket, key: str | None = None) -> None:
    """Raise NotAllowed unless ``principal`` may do ``action`` (AWS's name of it) there."""
    if principal is None:
        raise NotAllowed
    if not principal.is_admin and bucket.owner_id != principal.user_id:
        raise NotAllowed
    if principal.readonly and action not in READS:
        raise NotAllowed("The key is read-only.")
    if principal.prefixes:
        _confine(principal, bucket, key)


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
