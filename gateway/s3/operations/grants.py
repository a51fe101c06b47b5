"""ACLs as requests tell them (canned, by ``x-amz-grant-*`` headers, as a document) and as answers show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway import acl as acls
from gateway.access import owner_of_new
from gateway.acl import Acl, Grant
from gateway.grantees import user_of_canonical_id, users_of_email
from gateway.public_access import is_public_acl, public_access_block
from gateway.s3.call import Call
from gateway.s3.errors import (
    AccessControlListNotSupported,
    AccessDenied,
    AmbiguousGrantByEmailAddress,
    InvalidArgument,
    InvalidRequest,
    MalformedACLError,
    UnresolvableGrantByEmailAddress,
)
from gateway.s3.operations.common import owner_of
from gateway.s3.operations.opening import permit_parts
from gateway.s3.parse import decode_header
from gateway.types import Bucket

_GRANTS = {
    b"x-amz-grant-read": acls.READ,
    b"x-amz-grant-write": acls.WRITE,
    b"x-amz-grant-read-acp": acls.READ_ACP,
    b"x-amz-grant-write-acp": acls.WRITE_ACP,
    b"x-amz-grant-full-control": acls.FULL_CONTROL,
}
_READ_TOGETHER = "read from the headers, all grants together"
OBJECT_GRANTS = dict.fromkeys(("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"), _READ_TOGETHER)
"""Members that handlers do not take one by one: ``requested_acl`` reads them."""
GRANTS = {**OBJECT_GRANTS, "GrantWrite": _READ_TOGETHER}
_VALUES = {acls.USER: "ID", acls.GROUP: "URI", acls.EMAIL: "EmailAddress"}
_OWNERS_OWN = "bucket-owner-full-control"
"""The canned ACL that may be told where ACLs are off: it is so anyway.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ensure-object-ownership.html
"""


def asks_for_acl(call: Call, canned: str | None) -> bool:
    """Whether a request tells an ACL in its headers."""
    return canned is not None or not call.headers.keys().isdisjoint(_GRANTS)


async def new_object_access(call: Call, bucket: Bucket, canned: str | None) -> tuple[str, Acl | None]:
    """The owner's user id and the ACL of an object that this request is about to write.

    Raises AccessControlListNotSupported, NotAllowed where a policy denies to set it, what ``requested_acl`` raises.
    """
    asks, tags = asks_for_acl(call, canned), bool(call.members.get("Tagging"))
    if asks or tags:
        permit_parts(call, bucket, call.members["Key"], tags=tags, acl=asks)
    owner_id = owner_of_new(call.principal, bucket, canned)
    if not asks:
        return owner_id, None
    return owner_id, await object_acl(call, bucket, owner_id, canned)


async def object_acl(call: Call, bucket: Bucket, owner_id: str, canned: str | None) -> Acl | None:
    """The ACL that the headers tell for an object of ``owner_id``."""
    owner = (await owner_of(call, owner_id))["ID"]
    bucket_owner = owner if bucket.owner_id == owner_id else (await owner_of(call, bucket.owner_id))["ID"]
    found = await requested_acl(call, canned, owner, bucket_owner)
    refuse_where_off(bucket, canned, found, owner)
    refuse_public(bucket, found)
    return found


async def requested_acl(call: Call, canned: str | None, owner: str, bucket_owner: str | None = None) -> Acl | None:
    """The ACL that a request's headers tell, for an owner's canonical id; ``bucket_owner`` is None for a bucket.

    Raises InvalidRequest for both forms at once, InvalidArgument, UnresolvableGrantByEmailAddress.
    """
    granted = [(name, permission) for name, permission in _GRANTS.items() if name in call.headers]
    if canned is not None:
        if granted:
            raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
        return acls.canned(canned, owner, bucket_owner)
    found = []
    for name, permission in granted:
        header = decode_header(call.headers[name])
        for kind, value in acls.parse_grantees(header, name.decode()):
            found.append(await _grant(call, kind, value, permission, _IN_HEADERS))
    return _bounded(found)


async def acl_from_document(call: Call, document: dict[str, Any], owner: str) -> Acl:
    """The ACL of an AccessControlPolicy. Raises MalformedACLError; AccessDenied when it names another owner."""
    told = (document.get("Owner") or {}).get("ID")
    if told is None or "Grants" not in document:
        raise MalformedACLError
    if told != owner:
        if await user_of_canonical_id(call.core.catalog, told) is None:
            raise InvalidArgument("Invalid id", ArgumentName="CanonicalUser/ID", ArgumentValue=told)
        raise AccessDenied
    return _bounded([await grant_from_document(call, entry, acls.PERMISSIONS) for entry in document["Grants"]])


async def grant_from_document(call: Call, entry: dict[str, Any], permissions: frozenset[str]) -> Grant:
    """One grant of a document. Raises MalformedACLError, and for a grantee who does not exist."""
    grantee, permission = entry.get("Grantee") or {}, entry.get("Permission")
    kind: str = grantee.get("Type", "")
    value = grantee.get(_VALUES.get(kind, ""))
    if value is None or permission not in permissions:
        raise MalformedACLError
    return await _grant(call, kind, value, permission)


def _bounded(grants: Iterable[Grant]) -> Acl:
    """Each grant once. Raises MalformedACLError for more than an ACL may have."""
    found = tuple(dict.fromkeys(grants))
    if len(found) > acls.MAX_GRANTS:
        raise MalformedACLError
    return found


_IN_DOCUMENTS = {acls.USER: "CanonicalUser/ID", acls.GROUP: "Group/URI"}
_IN_HEADERS = {acls.USER: "id", acls.GROUP: "uri"}
"""What errors call a grantee's value."""


async def _grant(call: Call, kind: str, value: str, permission: str, names: Mapping[str, str] = _IN_DOCUMENTS) -> Grant:
    """A grant to a grantee that exists."""
    if kind == acls.GROUP:
        if value not in acls.GROUPS:
            raise InvalidArgument("Invalid group uri", ArgumentName=names[kind], ArgumentValue=value)
        return Grant(acls.GROUP, value, permission)
    if kind == acls.EMAIL:
        users = await users_of_email(call.core.catalog, value)
        if len(users) > 1:
            raise AmbiguousGrantByEmailAddress
        if not users:
            raise UnresolvableGrantByEmailAddress
        return Grant(acls.USER, users[0].canonical_id, permission)
    if await user_of_canonical_id(call.core.catalog, value) is None:
        raise InvalidArgument("Invalid id", ArgumentName=names[kind], ArgumentValue=value)
    return Grant(acls.USER, value, permission)


def refuse_where_off(bucket: Bucket, canned: str | None, acl: Acl | None, owner: str) -> None:
    """Raise AccessControlListNotSupported for an ACL that says anything in a bucket whose ACLs are off."""
    if bucket.ownership != acls.ENFORCED or canned == _OWNERS_OWN:
        return
    if canned is not None or (acl is not None and acl != acls.effective(None, owner)):
        raise AccessControlListNotSupported


def refuse_public(bucket: Bucket, acl: Acl | None) -> None:
    """Raise AccessDenied for a public ACL where public ACLs are blocked."""
    if is_public_acl(acl) and public_access_block(bucket).block_public_acls:
        raise AccessDenied("Access Denied because of the BlockPublicAcls setting in S3 Block Public Access.")


async def shown_acl(call: Call, bucket: Bucket, owner_id: str, acl: Acl | None) -> dict[str, Any]:
    """An ACL as an answer, with its owner."""
    off = bucket.ownership == acls.ENFORCED
    owner = await owner_of(call, bucket.owner_id if off else owner_id)
    found = acls.effective(None if off else acl, owner["ID"])
    return {"Owner": owner, "Grants": await shown_grants(call, found, owner)}


async def shown_grants(call: Call, grants: Acl, owner: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Grants as an answer. Groups come first, whatever the order in which they were granted."""
    shown: dict[str, dict[str, str]] = {} if owner is None else {owner["ID"]: owner}
    found = []
    for kind, value, permission in sorted(grants, key=lambda grant: grant.kind != acls.GROUP):
        if kind == acls.GROUP:
            grantee = {"Type": acls.GROUP, "URI": value}
        else:
            if value not in shown:
                user = await user_of_canonical_id(call.core.catalog, value)
                shown[value] = {"ID": value, "DisplayName": user.display_name} if user else {"ID": value}
            grantee = {"Type": acls.USER, **shown[value]}
        found.append({"Grantee": grantee, "Permission": permission})
    return found
