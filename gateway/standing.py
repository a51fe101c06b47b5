"""What is known of a caller who wants to do something in a bucket before the key is looked at.

Neither caller, action nor bucket changes from one request to the next, so this is worked out once for as long as a
worker keeps all three. ``gateway.access`` decides with it.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.acl import ENFORCED
from gateway.policy import BUCKET_ACTIONS, Caller, Context, Verdict, statements_about, verdict_of
from gateway.public_access import policy_of
from gateway.roles import READING, granting
from gateway.types import Bucket, Principal

MAX_STANDINGS = 64
"""Pairs of key and action that a bucket remembers: few, for there may be thousands of buckets at hand."""


class Decision(NamedTuple):
    """Whether something is allowed, and what decided that."""

    allowed: bool
    rule: str
    """admin, owner, policy, grant, acl, key, public-access-block, object-owner or default."""
    detail: object = None
    """The statement of the policy, the grant, or what in the ACL it was."""
    reason: str = "Access Denied"
    """What a caller who is refused is told."""


class Standing:
    """One caller, one action, one bucket."""

    __slots__ = (
        *("_asks", "_grants", "_resource", "_statements", "_tenant", "_whole", "acls", "caller", "is_admin", "owns"),
        *("prefixes", "writes_by_reader"),
    )

    def __init__(self, caller: Principal | None, action: str, bucket: Bucket) -> None:
        self.caller = caller
        self.is_admin = caller is not None and caller.is_admin
        self.owns = caller is not None and caller.user_id == bucket.owner_id
        """Whether the bucket is the caller's own."""
        self.writes_by_reader = caller is not None and caller.readonly and not action.startswith(READING)
        self.prefixes = caller.prefixes if caller is not None else ()
        """The paths that the caller's key is confined to."""
        self.acls = bucket.ownership != ENFORCED
        """Whether ACLs count."""
        self._tenant = bucket.tenant
        policy = policy_of(bucket)
        self._statements = statements_about(policy, caller_of(caller), action) if policy is not None else ()
        self._asks = any(statement.asks for _, statement in self._statements)
        self._whole = action in BUCKET_ACTIONS
        self._resource = f"arn:aws:s3:::{bucket.name}" + ("" if self._whole else "/")
        within = caller is not None and caller.tenant == bucket.tenant  # a grant is one within a tenant
        found = granting(caller.grants, action, bucket.id) if caller is not None and within else ()
        self._grants = tuple((prefix, f"{prefix}/", Decision(True, "grant", grant)) for prefix, grant in found)

    def verdict(self, key: str | None, context: Context) -> Verdict | None:
        """What the bucket's policy says of a request; None where it says nothing."""
        if not self._statements:
            return None
        resource = self._resource if self._whole or key is None else self._resource + key
        return verdict_of(self._statements, resource, self._with_owner(context) if self._asks else context)

    def grant(self, key: str | None) -> Decision | None:
        """The decision by what the caller was granted, where that lets them do it."""
        for prefix, below, decision in self._grants:
            if not prefix or (key is not None and (key == prefix or key.startswith(below))):
                return decision
        return None

    def _with_owner(self, context: Context) -> Context:
        """A context that tells whose the bucket is, too."""
        tenant = self._tenant
        return lambda key: [tenant] if key in ("aws:resourceaccount", "s3:resourceaccount") else context(key)


def standing_of(caller: Principal | None, action: str, bucket: Bucket) -> Standing:
    """Where a caller stands. Buckets are made anew with each change of the configuration, and with them all this."""
    at = (caller.key_id if caller is not None else None, action)
    found: Standing | None = bucket.standings.get(at)
    # A caller who was read at another moment may have other grants: it must be the very same.
    if found is None or found.caller is not caller:
        if len(bucket.standings) >= MAX_STANDINGS:
            bucket.standings.clear()
        found = bucket.standings[at] = Standing(caller, action, bucket)
    return found


def caller_of(principal: Principal | None) -> Caller:
    """A caller as policies name them."""
    if principal is None:
        return Caller()
    return Caller(principal.tenant, principal.user_id, principal.canonical_id)
