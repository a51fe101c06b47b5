"""Roles below paths, and the buckets of tokens: pure rules, in tables."""

from __future__ import annotations

import pytest

from gateway.access import judge
from gateway.errors import TooManyRequests
from gateway.policy import ACTIONS
from gateway.rates import Rates
from gateway.roles import EDITOR, LEVELS, OWNER, VIEWER, by_bucket, is_below, level_of
from gateway.standing import Decision
from gateway.types import Bucket, PathGrant, Principal


def grant(prefix: str, role: str, bucket_id: int = 1, tenant: str = "acme") -> PathGrant:
    return PathGrant(tenant, bucket_id, prefix, "user", "ann", role)


def caller(*grants: PathGrant, tenant: str = "acme", rate: float | None = None, is_admin: bool = False) -> Principal:
    return Principal("ann", "Ann", "c" * 64, tenant, is_admin, "KEY", grants=by_bucket(grants), rate=rate)


def bucket(tenant: str = "acme") -> Bucket:
    return Bucket(1, "b", "olga", tenant, 0, "us-east-1")


@pytest.mark.parametrize(
    ("key", "prefix", "below"),
    [
        ("team/x", "team", True),
        ("team", "team", True),
        ("team/", "team", True),
        ("teamx", "team", False),
        ("tea", "team", False),
        ("", "team", False),
        ("anything", "", True),
        ("team//x", "team", True),
        ("TEAM/x", "team", False),
        ("../team/x", "team", False),
    ],
)
def test_whole_segments(key: str, prefix: str, below: bool) -> None:
    assert is_below(key, prefix) is below


@pytest.mark.parametrize(
    ("action", "role"),
    [
        ("s3:GetObject", VIEWER),
        ("s3:GetObjectVersionTagging", VIEWER),
        ("s3:ListBucketVersions", VIEWER),
        ("s3:GetLifecycleConfiguration", VIEWER),
        ("s3:PutObject", EDITOR),
        ("s3:DeleteObjectVersion", EDITOR),
        ("s3:PutObjectTagging", EDITOR),
        ("s3:AbortMultipartUpload", EDITOR),
        ("s3:GetObjectAcl", OWNER),
        ("s3:GetBucketPolicy", OWNER),
        ("s3:PutObjectRetention", OWNER),
        ("s3:BypassGovernanceRetention", OWNER),
        ("s3:PutLifecycleConfiguration", OWNER),
        ("s3:DeleteBucket", OWNER),
    ],
)
def test_what_a_role_may(action: str, role: str) -> None:
    assert action in ACTIONS and level_of(action) == LEVELS[role]


@pytest.mark.parametrize(
    ("action", "key", "yes"),
    [
        ("s3:GetObject", "team/a", True),
        ("s3:GetObject", "teamx", False),
        ("s3:ListBucket", "team/", True),
        ("s3:ListBucket", None, False),
        ("s3:ListBucket", "tea", False),
        ("s3:GetBucketLocation", None, True),
        ("s3:GetBucketVersioning", None, False),
        ("s3:PutBucketTagging", None, False),
        ("s3:DeleteBucket", None, False),
    ],
)
def test_a_role_below_a_prefix_is_none_on_the_bucket(action: str, key: str | None, yes: bool) -> None:
    def may(*grants: PathGrant) -> bool:
        return judge(caller(*grants), action, bucket(), key).allowed

    assert may(grant("team", OWNER)) is yes
    assert may(grant("", OWNER))
    assert may(grant("", OWNER, 0))
    assert not may(grant("", OWNER, 2))


def test_what_a_bucket_remembers_of_a_caller_is_of_that_caller_alone() -> None:
    where = bucket()
    viewer, nobody = caller(grant("team", VIEWER)), caller()  # the same key, before and after a grant was taken away
    assert judge(viewer, "s3:GetObject", where, "team/a").allowed
    assert not judge(viewer, "s3:GetObject", where, "other/a").allowed
    assert not judge(viewer, "s3:PutObject", where, "team/a").allowed
    assert not judge(nobody, "s3:GetObject", where, "team/a").allowed
    assert not judge(None, "s3:GetObject", where, "team/a").allowed
    assert judge(viewer, "s3:GetObject", where, "team/a").allowed


def test_a_role_is_within_its_tenant() -> None:
    everywhere = grant("", OWNER, 0)
    assert judge(caller(everywhere), "s3:GetObject", bucket(), "k") == Decision(True, "grant", everywhere)
    assert not judge(caller(everywhere), "s3:GetObject", bucket("other"), "k").allowed
    assert not judge(caller(grant("", OWNER)), "s3:GetObject", bucket("other"), "k").allowed


def test_tokens_come_back_with_time() -> None:
    now = [0.0]
    rates = Rates(2, lambda: now[0])
    ann = caller(rate=8)  # four a second in each of two workers
    for _ in range(4):
        rates.take(ann)
    with pytest.raises(TooManyRequests) as told:
        rates.take(ann)
    assert told.value.seconds == pytest.approx(0.25)
    now[0] += 0.25
    rates.take(ann)
    with pytest.raises(TooManyRequests):
        rates.take(ann)
    for _ in range(50):
        rates.take(caller(tenant="other"))
        rates.take(caller(rate=0.001, is_admin=True))
