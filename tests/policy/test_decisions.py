"""Decisions of whole policies, and which policies are public."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.policy import Caller, PolicyRequest, decide, is_public, parse_policy

ALICE = Caller("acme", "alice", "a" * 64)
BOB = Caller("globex", "bob", "b" * 64)
NOBODY = Caller()
LOGGING = Caller(service="logging.s3.amazonaws.com")

EVERYTHING = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]}


def decided(statements: list[dict[str, Any]], caller: Caller, action: str, resource: str = "b/k", **told: str) -> Any:
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), "b")
    keys = {name.replace("_", ":"): [value] for name, value in told.items()}
    return decide(policy, PolicyRequest(caller, action, f"arn:aws:s3:::{resource}", keys.get))


def test_an_explicit_deny_wins() -> None:
    deny = {**EVERYTHING, "Effect": "Deny", "Action": "s3:Delete*"}
    for statements in ([EVERYTHING, deny], [deny, EVERYTHING]):
        assert decided(statements, BOB, "s3:GetObject") == "Allow"
        assert decided(statements, BOB, "s3:DeleteObject") == "Deny"
        assert decided(statements, BOB, "s3:DeleteObjectVersion") == "Deny"


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("*", {ALICE, BOB, NOBODY, LOGGING}),
        ({"AWS": "*"}, {ALICE, BOB, NOBODY, LOGGING}),
        ({"AWS": "acme"}, {ALICE}),
        ({"AWS": "arn:aws:iam::acme:root"}, {ALICE}),
        ({"AWS": "arn:aws:iam::acme:user/alice"}, {ALICE}),
        ({"AWS": "arn:aws:iam::globex:user/alice"}, set()),
        ({"AWS": "arn:aws:iam:::user/bob"}, {BOB}),
        ({"CanonicalUser": "b" * 64}, {BOB}),
        ({"Service": "logging.s3.amazonaws.com"}, {LOGGING}),
    ],
)
def test_principals(principal: Any, allowed: set[Caller]) -> None:
    statement = {**EVERYTHING, "Principal": principal}
    callers = (ALICE, BOB, NOBODY, LOGGING)
    assert {caller for caller in callers if decided([statement], caller, "s3:GetObject")} == allowed


def test_everybody_else_is_denied() -> None:
    deny = {name: value for name, value in EVERYTHING.items() if name != "Principal"}
    deny |= {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::acme:user/alice"}}
    assert decided([EVERYTHING, deny], ALICE, "s3:GetObject") == "Allow"
    assert decided([EVERYTHING, deny], BOB, "s3:GetObject") == "Deny"
    assert decided([EVERYTHING, deny], NOBODY, "s3:GetObject") == "Deny"


@pytest.mark.parametrize(
    ("changes", "action", "resource", "verdict"),
    [
        ({"Action": "s3:getobject"}, "s3:GetObject", "b/k", "Allow"),
        ({"Action": "s3:Get?bject"}, "s3:GetObject", "b/k", "Allow"),
        ({"Action": "s3:GetObject"}, "s3:GetObjectVersion", "b/k", None),
        ({"Action": None, "NotAction": "s3:Put*"}, "s3:GetObject", "b/k", "Allow"),
        ({"Action": None, "NotAction": "s3:Put*"}, "s3:PutObject", "b/k", None),
        ({"Resource": "arn:aws:s3:::b/a/*"}, "s3:GetObject", "b/a/../k", "Allow"),
        ({"Resource": "arn:aws:s3:::b/a/*"}, "s3:GetObject", "b/ab", None),
        ({"Resource": "arn:aws:s3:::b/*"}, "s3:ListBucket", "b", None),
        ({"Resource": "arn:aws:s3:::b"}, "s3:ListBucket", "b", "Allow"),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/secret/*"}, "s3:GetObject", "b/open", "Allow"),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/secret/*"}, "s3:GetObject", "b/secret/x", None),
    ],
)
def test_actions_and_resources(changes: dict[str, Any], action: str, resource: str, verdict: str | None) -> None:
    statement = {name: value for name, value in {**EVERYTHING, **changes}.items() if value is not None}
    assert decided([statement], BOB, action, resource) == verdict


def test_all_conditions_must_hold() -> None:
    statement = {
        **EVERYTHING,
        "Condition": {
            "StringLike": {"s3:prefix": "a*", "aws:UserAgent": "cli*"},
            "Bool": {"aws:SecureTransport": "true"},
        },
    }
    told = {"s3_prefix": "abc", "aws_useragent": "cli/1", "aws_securetransport": "true"}
    assert decided([statement], BOB, "s3:ListBucket", "b", **told) == "Allow"
    for name in told:
        assert decided([statement], BOB, "s3:ListBucket", "b", **{**told, name: "other"}) is None


@pytest.mark.parametrize(
    ("changes", "public"),
    [
        ({}, True),
        ({"Effect": "Deny"}, False),
        ({"Principal": {"AWS": "acme"}}, False),
        ({"Principal": {"AWS": ["acme", "*"]}}, True),
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": "acme"}}}, False),
        ({"Condition": {"StringLike": {"aws:PrincipalAccount": "a*"}}}, True),
        ({"Condition": {"StringEqualsIfExists": {"aws:PrincipalAccount": "acme"}}}, True),
        ({"Condition": {"StringNotEquals": {"aws:PrincipalAccount": "acme"}}}, True),
        ({"Condition": {"StringEquals": {"aws:Referer": "x"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}}}, True),
        ({"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::acme:user/*"}}}, False),
        ({"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/x"}}}, True),
    ],
)
def test_public_policies(changes: dict[str, Any], public: bool) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": {**EVERYTHING, **changes}})
    assert is_public(parse_policy(text, "b")) is public
