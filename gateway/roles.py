"""Roles below paths: viewer, editor, owner. Pure values; ``gateway.access`` decides.

A role is inherited downwards, by whole segments: what is granted at ``/b/team`` reaches ``/b/team/x`` and the key
``team`` itself, not ``/b/teamx``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from gateway.policy import BUCKET_ACTIONS
from gateway.types import PathGrant

VIEWER, EDITOR, OWNER = "viewer", "editor", "owner"
LEVELS = {VIEWER: 1, EDITOR: 2, OWNER: 3}
USER, GROUP = "user", "group"
EVERYWHERE = 0
"""Stands for every bucket of a tenant."""

READING = ("s3:Get", "s3:List")
"""How the names of actions begin that change nothing."""
LISTING = frozenset({"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"})
_EDITING = frozenset(
    f"s3:{name}"
    for name in (
        *("PutObject", "DeleteObject", "DeleteObjectVersion", "AbortMultipartUpload", "RestoreObject"),
        *("PutObjectTagging", "PutObjectVersionTagging", "DeleteObjectTagging", "DeleteObjectVersionTagging"),
    )
)
_SHARING = ("Acl", "Policy")
"""What tells who may do what is for owners, to read it too."""


@functools.cache
def level_of(action: str) -> int:
    """The least role that may do an action."""
    if any(word in action for word in _SHARING):
        return LEVELS[OWNER]
    if action.startswith(READING):
        return LEVELS[VIEWER]
    return LEVELS[EDITOR if action in _EDITING else OWNER]


def is_below(key: str, prefix: str) -> bool:
    """Whether a key, or the prefix of a listing, lies below a prefix of whole segments."""
    return not prefix or key == prefix or key.startswith(prefix + "/")


def granting(
    grants: Mapping[int, tuple[PathGrant, ...]], action: str, bucket_id: int
) -> Iterator[tuple[str, PathGrant]]:
    """What lets its holder do an action in a bucket, and below which prefix the key must lie; "" is anywhere.

    A grant on part of a bucket is none on its configuration; where the bucket is, clients have to know.
    """
    level = level_of(action)
    on_bucket = action in BUCKET_ACTIONS and action not in LISTING
    for where in (bucket_id, EVERYWHERE):
        for grant in grants.get(where, ()):
            if LEVELS[grant.role] < level:
                continue
            if not on_bucket:
                yield grant.prefix, grant
            elif not grant.prefix or action == "s3:GetBucketLocation":
                yield "", grant


def by_bucket(grants: Iterable[PathGrant]) -> dict[int, tuple[PathGrant, ...]]:
    """Grants as a principal has them."""
    found: dict[int, tuple[PathGrant, ...]] = {}
    for grant in grants:
        found[grant.bucket_id] = (*found.get(grant.bucket_id, ()), grant)
    return found
