"""Public access block: what keeps a bucket from becoming public by mistake. Pure values.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass
from operator import or_
from typing import TYPE_CHECKING

from gateway.acl import ALL_USERS, AUTHENTICATED_USERS, ENFORCED, Acl
from gateway.bucket_configs import POLICY, PUBLIC_ACCESS_BLOCK, TENANT_PUBLIC_ACCESS_BLOCK
from gateway.policy import Policy, is_public, load_policy

if TYPE_CHECKING:
    from gateway.types import Bucket


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """The four switches, named as S3 names them, in its order."""

    block_public_acls: bool = False
    """Requests that would set a public ACL are refused."""
    ignore_public_acls: bool = False
    """Grants to everybody count for nothing."""
    block_public_policy: bool = False
    """A public policy is refused."""
    restrict_public_buckets: bool = False
    """A public policy lets in only users of the bucket's tenant."""

    def __or__(self, other: PublicAccessBlock) -> PublicAccessBlock:
        """Both at once: what either blocks is blocked."""
        return PublicAccessBlock(*map(or_, astuple(self), astuple(other)))

    def dump(self) -> str:
        return json.dumps(asdict(self))


NOTHING = PublicAccessBlock()
EVERYTHING = PublicAccessBlock(True, True, True, True)


def load(text: str) -> PublicAccessBlock:
    return PublicAccessBlock(**json.loads(text))


def configs_of_new_bucket(default_ownership: str) -> dict[str, str]:
    """What a new bucket is configured with: all public access blocked where ACLs are off by default, as AWS has it."""
    return {PUBLIC_ACCESS_BLOCK: EVERYTHING.dump()} if default_ownership == ENFORCED else {}


def public_access_block(bucket: Bucket) -> PublicAccessBlock:
    """What is in force for a bucket: its own block and its tenant's, or everything where the server blocks for all."""
    if bucket.blocked:
        return EVERYTHING
    if not bucket.configs:
        return NOTHING
    own = bucket.config(PUBLIC_ACCESS_BLOCK, load) or NOTHING
    tenants = bucket.config(TENANT_PUBLIC_ACCESS_BLOCK, load)
    return own if tenants is None else own | tenants


def policy_of(bucket: Bucket) -> Policy | None:
    """The bucket's policy, compiled."""
    if POLICY not in bucket.configs:
        return None
    known: Policy | None = bucket.read.get(POLICY)
    return known or bucket.config(POLICY, lambda text: load_policy(text, bucket.name))


def is_public_acl(acl: Acl | None) -> bool:
    """Whether an ACL grants anything to everybody, or to every user."""
    return acl is not None and any(grant.grantee in (ALL_USERS, AUTHENTICATED_USERS) for grant in acl)


def is_public_bucket(bucket: Bucket) -> bool:
    """Whether a bucket is public by its policy or by its ACL."""
    policy = policy_of(bucket)
    if policy is not None and is_public(policy):
        return True
    return bucket.ownership != ENFORCED and is_public_acl(bucket.acl)
