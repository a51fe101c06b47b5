"""Access control lists: who was granted what on a bucket or an object. Pure values; ``gateway.access`` decides.

An ACL only ever adds to what owners may do: ``None`` is private to the owner, and so is what cannot be understood.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple, TypeAlias

from gateway.errors import BadRequest

ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
"""Object ownership of a bucket: ACLs off; the bucket's owner where a writer leaves it to them; the writer."""
OWNERSHIPS = frozenset({ENFORCED, PREFERRED, WRITER})

READ, WRITE, READ_ACP, WRITE_ACP, FULL_CONTROL = "READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"
PERMISSIONS = frozenset({READ, WRITE, READ_ACP, WRITE_ACP, FULL_CONTROL})

USER, GROUP, EMAIL = "CanonicalUser", "Group", "AmazonCustomerByEmail"
"""Kinds of grantee. A grantee by e-mail is turned into its user before it is kept."""
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = frozenset({ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY})

MAX_GRANTS = 100


class Grant(NamedTuple):
    """One permission of one grantee: a canonical user id, or a group's URI."""

    kind: str
    grantee: str
    permission: str


Acl: TypeAlias = tuple[Grant, ...]

_BY_GROUP: dict[str, Acl] = {
    "public-read": (Grant(GROUP, ALL_USERS, READ),),
    "public-read-write": (Grant(GROUP, ALL_USERS, READ), Grant(GROUP, ALL_USERS, WRITE)),
    "authenticated-read": (Grant(GROUP, AUTHENTICATED_USERS, READ),),
}
_OF_BUCKETS: dict[str, Acl] = {
    "log-delivery-write": (Grant(GROUP, LOG_DELIVERY, WRITE), Grant(GROUP, LOG_DELIVERY, READ_ACP)),
}
_TO_BUCKET_OWNER = {"bucket-owner-read": READ, "bucket-owner-full-control": FULL_CONTROL}
_GRANTEE_KINDS = {"id": USER, "uri": GROUP, "emailaddress": EMAIL}
_GRANTEE = re.compile(r'\s*(?P<kind>[A-Za-z]+)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^",]*))\s*(?:,|$)')


def canned(name: str, owner: str, bucket_owner: str | None = None) -> Acl | None:
    """The ACL that a canned name stands for. ``bucket_owner`` is None for the ACL of a bucket itself.

    Raises BadRequest for an unknown name.
    """
    if name == "private":
        return None
    groups = _BY_GROUP.get(name)
    if groups is None and bucket_owner is None:
        groups = _OF_BUCKETS.get(name)
    if groups is not None:
        return (*groups, Grant(USER, owner, FULL_CONTROL))
    permission = _TO_BUCKET_OWNER.get(name)
    if permission is None:
        raise BadRequest("", "x-amz-acl", name)  # AWS says no more
    if bucket_owner in (None, owner):
        return None
    return (Grant(USER, owner, FULL_CONTROL), Grant(USER, bucket_owner or owner, permission))


def parse_grantees(header: str, name: str) -> list[tuple[str, str]]:
    """Kind and value of each grantee in ``id="…", uri="…", emailAddress="…"``. Raises BadRequest.

    ``name`` is the header's, for the error.
    """
    grantees = []
    position = 0
    while position < len(header):
        found = _GRANTEE.match(header, position)
        kind = _GRANTEE_KINDS.get(found["kind"].lower()) if found else None
        if found is None or kind is None:
            raise BadRequest("Argument format not recognized", name, header)
        value = found["quoted"] if found["quoted"] is not None else found["bare"].strip()
        grantees.append((kind, value))
        position = found.end()
    return grantees


def permits(acl: Acl | None, caller: str | None, permission: str, *, public: bool = True) -> Grant | None:
    """What in an ACL grants a permission to the user of a canonical id, or to nobody in particular (None), if anything.

    ``public`` tells whether grants to groups count.
    """
    for grant in acl or ():
        kind, grantee, granted = grant
        if granted != permission and granted != FULL_CONTROL:
            continue
        if kind == GROUP:
            if public and (grantee == ALL_USERS or (grantee == AUTHENTICATED_USERS and caller is not None)):
                return grant
        elif kind == USER and caller is not None and grantee == caller:
            return grant
    return None


def effective(acl: Acl | None, owner: str) -> Acl:
    """An ACL as it is shown: the one of an owner who set none is their own full control."""
    return (Grant(USER, owner, FULL_CONTROL),) if acl is None else acl


def dump(acl: Acl | None) -> str | None:
    """The form kept in the catalog."""
    return None if acl is None else json.dumps(acl, separators=(",", ":"))


def load(text: str | None) -> Acl | None:
    return None if text is None else tuple(Grant(*grant) for grant in json.loads(text))
