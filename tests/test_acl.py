"""Canned ACLs, grant headers, and who may do what by them: tables of values."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.access import authorize, owner_of_new
from gateway.acl import (
    ALL_USERS,
    AUTHENTICATED_USERS,
    EMAIL,
    ENFORCED,
    GROUP,
    LOG_DELIVERY,
    PREFERRED,
    USER,
    WRITER,
    Acl,
    Grant,
    canned,
    dump,
    effective,
    load,
    parse_grantees,
    permits,
)
from gateway.errors import BadRequest, NotAllowed
from gateway.types import Attributes, Bucket, Content, ObjectInfo, Principal

OWNER, WRITING, OTHER = "0a" * 32, "0b" * 32, "0c" * 32


def principal(user: str, canonical: str, **more: Any) -> Principal:
    return Principal(user, user, canonical, f"tenant-of-{user}", more.pop("is_admin", False), "KEY", **more)


ALICE, BOB, CAROL = principal("alice", OWNER), principal("bob", WRITING), principal("carol", OTHER)
ADMIN = principal("root", "0d" * 32, is_admin=True)


def bucket(acl: Acl | None = None, ownership: str = WRITER) -> Bucket:
    return Bucket(1, "b", "alice", "tenant-of-alice", 0, "us-east-1", ownership, acl)


def written_by(owner: str, acl: Acl | None = None) -> ObjectInfo:
    return ObjectInfo(1, "k", Content(1, "s", 0), "e", 0, 0, owner, Attributes(), None, 1, 0, acl)


def allowed(who: Principal | None, action: str, at: Bucket, info: ObjectInfo | None = None) -> bool:
    try:
        authorize(who, action, at, "k", info)
    except NotAllowed:
        return False
    return True


def test_private_is_no_acl() -> None:
    assert canned("private", OWNER) is None
    assert effective(None, OWNER) == (Grant(USER, OWNER, "FULL_CONTROL"),)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("public-read", [Grant(GROUP, ALL_USERS, "READ")]),
        ("public-read-write", [Grant(GROUP, ALL_USERS, "READ"), Grant(GROUP, ALL_USERS, "WRITE")]),
        ("authenticated-read", [Grant(GROUP, AUTHENTICATED_USERS, "READ")]),
        ("log-delivery-write", [Grant(GROUP, LOG_DELIVERY, "WRITE"), Grant(GROUP, LOG_DELIVERY, "READ_ACP")]),
    ],
)
def test_canned_acls_of_buckets(name: str, others: list[Grant]) -> None:
    assert canned(name, OWNER) == (*others, Grant(USER, OWNER, "FULL_CONTROL"))


def test_canned_acls_for_the_buckets_owner() -> None:
    full = Grant(USER, WRITING, "FULL_CONTROL")
    assert canned("bucket-owner-read", WRITING, OWNER) == (full, Grant(USER, OWNER, "READ"))
    assert canned("bucket-owner-full-control", WRITING, OWNER) == (full, Grant(USER, OWNER, "FULL_CONTROL"))
    assert canned("bucket-owner-full-control", OWNER, OWNER) is None
    assert canned("bucket-owner-read", OWNER) is None


@pytest.mark.parametrize(("name", "bucket_owner"), [("public", None), ("", OWNER), ("log-delivery-write", OWNER)])
def test_unknown_canned_acls(name: str, bucket_owner: str | None) -> None:
    with pytest.raises(BadRequest):
        canned(name, OWNER, bucket_owner)


@pytest.mark.parametrize(
    ("header", "grantees"),
    [
        ("id=abc", [(USER, "abc")]),
        ('id="abc", uri="http://x/y"', [(USER, "abc"), (GROUP, "http://x/y")]),
        (' emailAddress = "a@b.c" ,id=1', [(EMAIL, "a@b.c"), (USER, "1")]),
        ("", []),
    ],
)
def test_grant_headers(header: str, grantees: list[tuple[str, str]]) -> None:
    assert parse_grantees(header, "x-amz-grant-read") == grantees


@pytest.mark.parametrize("header", ["abc", "name=x", 'id="a', 'id="a"b', "id=a id=b,,"])
def test_malformed_grant_headers(header: str) -> None:
    with pytest.raises(BadRequest):
        parse_grantees(header, "x-amz-grant-read")


def test_the_catalogs_form() -> None:
    for acl in (None, (), canned("public-read", OWNER)):
        assert load(dump(acl)) == acl
    assert dump(None) is None


@pytest.mark.parametrize(
    ("grant", "caller", "permission", "yes"),
    [
        (Grant(GROUP, ALL_USERS, "READ"), None, "READ", True),
        (Grant(GROUP, ALL_USERS, "READ"), None, "WRITE", False),
        (Grant(GROUP, ALL_USERS, "FULL_CONTROL"), None, "WRITE_ACP", True),
        (Grant(GROUP, AUTHENTICATED_USERS, "READ"), None, "READ", False),
        (Grant(GROUP, AUTHENTICATED_USERS, "READ"), OTHER, "READ", True),
        (Grant(GROUP, LOG_DELIVERY, "WRITE"), OTHER, "WRITE", False),
        (Grant(USER, OTHER, "READ_ACP"), OTHER, "READ_ACP", True),
        (Grant(USER, OTHER, "READ_ACP"), OTHER, "READ", False),
        (Grant(USER, OTHER, "FULL_CONTROL"), OTHER, "READ", True),
        (Grant(USER, OTHER, "FULL_CONTROL"), OWNER, "READ", False),
        (Grant(USER, OTHER, "FULL_CONTROL"), None, "READ", False),
    ],
)
def test_permissions(grant: Grant, caller: str | None, permission: str, yes: bool) -> None:
    assert permits((grant,), caller, permission) == (grant if yes else None)


PUBLIC = canned("public-read-write", OWNER)


@pytest.mark.parametrize(
    ("who", "action", "at", "info", "yes"),
    [
        # A bucket of another tenant opens by its ACL alone, and only what ACLs are about.
        (CAROL, "s3:ListBucket", bucket(), None, False),
        (CAROL, "s3:ListBucket", bucket(PUBLIC), None, True),
        (None, "s3:ListBucket", bucket(PUBLIC), None, True),
        (None, "s3:PutObject", bucket(PUBLIC), None, True),
        (None, "s3:GetBucketAcl", bucket(PUBLIC), None, False),
        (CAROL, "s3:DeleteBucket", bucket(PUBLIC), None, False),
        (CAROL, "s3:PutObjectTagging", bucket(PUBLIC), None, False),
        (CAROL, "s3:GetBucketLocation", bucket(PUBLIC), None, False),
        # ACLs that are off say nothing.
        (None, "s3:ListBucket", bucket(PUBLIC, ENFORCED), None, False),
        (None, "s3:GetObject", bucket(PUBLIC, ENFORCED), written_by("alice", PUBLIC), False),
        (ALICE, "s3:GetObject", bucket(None, ENFORCED), written_by("bob"), True),
        # A readable bucket does not make its objects readable, nor the other way round.
        (None, "s3:GetObject", bucket(PUBLIC), written_by("alice"), False),
        (None, "s3:GetObject", bucket(), written_by("alice", PUBLIC), True),
        (None, "s3:GetObjectAcl", bucket(), written_by("alice", PUBLIC), False),
        (None, "s3:GetObject", bucket(PUBLIC), None, False),
        # An object is its writer's: the bucket's owner may delete it, and no more.
        (ALICE, "s3:GetObject", bucket(), written_by("bob"), False),
        (ALICE, "s3:PutObjectAcl", bucket(), written_by("bob"), False),
        (ALICE, "s3:GetObject", bucket(), written_by("bob", canned("bucket-owner-read", WRITING, OWNER)), True),
        (ALICE, "s3:DeleteObject", bucket(), None, True),
        (BOB, "s3:GetObject", bucket(), written_by("bob"), True),
        (BOB, "s3:PutObjectAcl", bucket(), written_by("bob", ()), True),
        (BOB, "s3:DeleteObject", bucket(), None, False),
        (ADMIN, "s3:GetObject", bucket(), written_by("bob"), True),
        # What a key is confined to holds in others' buckets too.
        (principal("carol", OTHER, readonly=True), "s3:PutObject", bucket(PUBLIC), None, False),
        (principal("carol", OTHER, prefixes=("/elsewhere/",)), "s3:ListBucket", bucket(PUBLIC), None, False),
    ],
)
def test_who_may(who: Principal | None, action: str, at: Bucket, info: ObjectInfo | None, yes: bool) -> None:
    assert allowed(who, action, at, info) is yes


@pytest.mark.parametrize(
    ("ownership", "who", "name", "owner"),
    [
        (ENFORCED, BOB, None, "alice"),
        (WRITER, BOB, None, "bob"),
        (WRITER, BOB, "bucket-owner-full-control", "bob"),
        (PREFERRED, BOB, None, "bob"),
        (PREFERRED, BOB, "bucket-owner-full-control", "alice"),
        (WRITER, None, None, "alice"),
    ],
)
def test_who_owns_what_is_written(ownership: str, who: Principal | None, name: str | None, owner: str) -> None:
    assert owner_of_new(who, bucket(None, ownership), name) == owner
