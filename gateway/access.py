"""Who may do what. One place decides, for both doors; what is not allowed here is refused.

A bucket's policy denies first, whomever it concerns. Then an admin may do everything, an owner what concerns their
buckets; roles granted below paths let in others of the bucket's tenant; policies, and ACLs where they are in force,
others of whatever tenant. Where ACLs are in force, an object that somebody else wrote is its writer's, and neither the
bucket's policy nor a grant can give it away. At last the key that is used may narrow what its user may do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.acl import ENFORCED, GROUP, PREFERRED, READ, READ_ACP, WRITE, WRITE_ACP, permits
from gateway.errors import NotAllowed
from gateway.policy import ALLOW, DENY, Context, is_public, nothing
from gateway.public_access import policy_of, public_access_block
from gateway.roles import EVERYWHERE, OWNER, READING, is_below
from gateway.standing import Decision, Standing, standing_of
from gateway.types import Bucket, ObjectInfo, PathGrant, Principal

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

WITHOUT_OBJECT = frozenset(
    {
        *("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"),
        *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    }
)
"""What is decided by the bucket alone, whosever object is there: it may be replaced and removed, as on AWS."""


_ADMIN, _OWNER, _WRITER = Decision(True, "admin"), Decision(True, "owner"), Decision(True, "acl", "the object's owner")
_DEFAULT, _FOREIGN = Decision(False, "default"), Decision(False, "object-owner")
_BLOCKED = Decision(False, "public-access-block")
_READONLY = Decision(False, "key", "readonly", "The key is read-only.")
_CONFINED = Decision(False, "key", "prefixes", "The key is confined to other paths.")


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
    allowed, rule, _, reason = judge(principal, action, bucket, key, info, context)
    if not allowed:
        raise NotAllowed(reason)
    return rule == "acl"


def judge(
    principal: Principal | None,
    action: str,
    bucket: Bucket,
    key: str | None = None,
    info: ObjectInfo | None = None,
    context: Context = nothing,
) -> Decision:
    """What ``authorize`` decides, and by which rule."""
    standing = standing_of(principal, action, bucket)
    decision = _let_in(standing, action, bucket, key, info, context)
    if decision.allowed:
        if standing.writes_by_reader:
            return _READONLY
        if standing.prefixes and not _is_within(standing.prefixes, bucket, key):
            return _CONFINED
    return decision


def _let_in(
    standing: Standing, action: str, bucket: Bucket, key: str | None, info: ObjectInfo | None, context: Context
) -> Decision:
    """What is decided before the key narrows it."""
    verdict = standing.verdict(key, context)
    if (
        verdict is not None
        and verdict.effect == DENY
        and not (action in POLICY_ACTIONS and (standing.is_admin or standing.owns))
    ):
        return Decision(False, "policy", verdict)
    if standing.is_admin:
        return _ADMIN
    foreign = standing.acls and info is not None and info.owner_id != bucket.owner_id
    if standing.owns and not foreign:
        return _OWNER
    refusal = _FOREIGN if foreign else _DEFAULT
    if verdict is not None and verdict.effect == ALLOW and not foreign:
        if not _restricted(standing.caller, bucket):
            return Decision(True, "policy", verdict)
        refusal = _BLOCKED
    if not foreign and (granted := standing.grant(key)) is not None:
        return granted
    return _by_acl(standing.caller, action, bucket, info) or refusal


def authorize_part(
    principal: Principal | None, action: str, bucket: Bucket, key: str, context: Context = nothing
) -> None:
    """Raise NotAllowed for a part of a write that was allowed, its tags or its ACL, where the policy denies it.

    Tags need an allowance of their own where only the policy allowed the write; whoever owns the bucket, or may write
    by its ACL or a grant, needs none. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    standing = standing_of(principal, action, bucket)
    verdict = standing.verdict(key, context)
    if verdict is not None and verdict.effect == DENY:
        raise NotAllowed
    if action == "s3:PutObjectTagging" and verdict is None:
        lets_in = standing.is_admin or standing.owns or standing.grant(key) is not None
        if not lets_in and _by_acl(principal, "s3:PutObject", bucket, None) is None:
            raise NotAllowed


def authorize_listing(
    principal: Principal | None, action: str, bucket: Bucket, prefix: str, context: Context = nothing
) -> None:
    """Raise NotAllowed where a listing, allowed by ``authorize``, would show what lies beside the caller's paths.

    A key is confined to ``/b/a``, or a role was granted there: what begins with ``a`` may be ``ab`` as well.
    """
    if principal is None:
        return
    if principal.prefixes:
        path = f"/{bucket.name}/{prefix}"
        if not any(path.startswith(_whole(confined)) for confined in principal.prefixes):
            raise NotAllowed(_CONFINED.reason)
    if principal.grants:
        decision = judge(principal, action, bucket, prefix or None, None, context)
        grant = decision.detail
        if isinstance(grant, PathGrant) and grant.prefix and not prefix.startswith(grant.prefix + "/"):
            # What else would let them in, without the grants?
            authorize(
                replace(principal, grants=_beyond(principal, prefix)), action, bucket, prefix or None, None, context
            )


def _beyond(principal: Principal, prefix: str) -> dict[int, tuple[PathGrant, ...]]:
    """The grants that cover all that begins with a prefix."""
    return {
        number: tuple(grant for grant in grants if not grant.prefix or prefix.startswith(grant.prefix + "/"))
        for number, grants in principal.grants.items()
    }


def open_to_anybody(bucket: Bucket) -> bool:
    """Whether anything in a bucket may be open to callers nobody knows; if not, they are refused unheard."""
    if bucket.ownership != ENFORCED:
        return True
    policy = policy_of(bucket)
    return policy is not None and any(each.allows and each.principals.anybody for each in policy.statements)


def _restricted(principal: Principal | None, bucket: Bucket) -> bool:
    """Whether a public policy may not let a caller in, as public access is restricted to the bucket's tenant."""
    if principal is not None and principal.tenant == bucket.tenant:
        return False
    policy = policy_of(bucket)
    return public_access_block(bucket).restrict_public_buckets and policy is not None and is_public(policy)


def _by_acl(principal: Principal | None, action: str, bucket: Bucket, info: ObjectInfo | None) -> Decision | None:
    """What ACLs, and owning the object, decide."""
    if bucket.ownership == ENFORCED:
        return None
    caller = principal.canonical_id if principal is not None else None
    on_object = BY_OBJECT_ACL.get(action)
    if on_object is not None:
        if info is None:
            return None
        if principal is not None and principal.user_id == info.owner_id:
            return _WRITER
        acl, permission = info.acl, on_object
    elif (on_bucket := BY_BUCKET_ACL.get(action)) is not None:
        acl, permission = bucket.acl, on_bucket
    else:
        return None
    grant = permits(acl, caller, permission)
    if grant is None:
        return None
    if grant.kind == GROUP and public_access_block(bucket).ignore_public_acls:
        grant = permits(acl, caller, permission, public=False)
        return Decision(True, "acl", grant) if grant is not None else _BLOCKED
    return Decision(True, "acl", grant)


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
    if action.startswith(READING):
        return
    if not principal.is_admin or principal.prefixes:
        raise NotAllowed
    if principal.readonly:
        raise NotAllowed("The key is read-only.")


def authorize_granting(principal: Principal, bucket: Bucket | None, prefix: str) -> None:
    """Raise NotAllowed unless a caller may say who has which role below a prefix of a bucket.

    An admin may, the bucket's owner, and whoever was made an owner of all that lies there. ``bucket`` None is all of
    the caller's tenant.
    """
    name, number = (bucket.name, bucket.id) if bucket is not None else ("", EVERYWHERE)
    owns = principal.is_admin or (bucket is not None and bucket.owner_id == principal.user_id)
    if not owns and (bucket is None or bucket.tenant == principal.tenant):
        held = (grant for where in {number, EVERYWHERE} for grant in principal.grants.get(where, ()))
        owns = any(grant.role == OWNER and is_below(prefix, grant.prefix) for grant in held)
    if not owns:
        raise NotAllowed
    if principal.readonly:
        raise NotAllowed(_READONLY.reason)
    path = f"/{name}/{prefix}" if name else "/"
    if principal.prefixes and not any(is_below(path, each.rstrip("/")) for each in principal.prefixes):
        raise NotAllowed(_CONFINED.reason)


def _is_within(prefixes: Sequence[str], bucket: Bucket, key: str | None) -> bool:
    """A confined key reaches objects below its prefixes; a listing must be of a prefix below one of them."""
    path = f"/{bucket.name}/{key or ''}"
    return any(path.startswith(_whole(prefix)) or path == prefix for prefix in prefixes)


def _whole(prefix: str) -> str:
    return prefix if prefix.endswith("/") else prefix + "/"
