"""What is a policy, and what is refused when it is put."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest

from gateway.errors import BadPolicy
from gateway.policy import MAX_POLICY_BYTES, parse_policy

BUCKET = "photos"
STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::photos/*",
}


def policy(**changes: Any) -> str:
    """One statement, changed; a member given as None is left out."""
    statement = {name: value for name, value in {**STATEMENT, **changes}.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Sid": "one"},
        {"Effect": "Deny", "Principal": None, "NotPrincipal": {"AWS": "arn:aws:iam::acme:user/alice"}},
        {"Principal": {"AWS": ["acme", "arn:aws:iam::globex:root", "arn:aws:iam::globex:user/team/bob"]}},
        {"Principal": {"CanonicalUser": "a" * 64}},
        {"Principal": {"Service": "logging.s3.amazonaws.com"}},
        {"Action": ["s3:Get*", "S3:PUTOBJECT", "*"]},
        {"Action": None, "NotAction": "s3:DeleteObject"},
        {"Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::photos/a/${aws:username}/*", "*", "arn:aws:s3:::ph*"]},
        {"Resource": None, "NotResource": "arn:aws:s3:::photos/secret/*"},
        {"Condition": {"StringEquals": {"s3:prefix": ["a", "b"]}, "Bool": {"aws:SecureTransport": False}}},
        {"Condition": {"NumericLessThanEquals": {"s3:max-keys": 10}}},
        {"Condition": {"ForAnyValue:StringLike": {"s3:RequestObjectTagKeys": ["a*"]}}},
        {"Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}}},
    ],
)
def test_policies_that_are_taken(changes: dict[str, Any]) -> None:
    assert len(parse_policy(policy(**changes), BUCKET).statements) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Effect": "Maybe"}, "Invalid effect"),
        ({"Effect": None}, "Missing required field Effect"),
        ({"Principal": None}, "Missing required field Principal"),
        ({"Principal": {}}, "Invalid principal in policy"),
        ({"Principal": "alice"}, "Invalid principal in policy"),
        ({"Principal": {"AWS": "arn:aws:iam::acme:role/x"}}, "Invalid principal in policy"),
        ({"Principal": {"Service": "ec2.amazonaws.com"}}, "Invalid principal in policy"),
        ({"Principal": {"Federated": "x"}}, "Invalid principal in policy"),
        ({"NotPrincipal": "*", "Principal": None}, "Allow with NotPrincipal"),
        ({"Action": None}, "Missing required field Action"),
        ({"Action": []}, "Invalid policy syntax"),
        ({"Action": "s3:Fly"}, "Policy has invalid action"),
        ({"Action": "ec2:*"}, "Policy has invalid action"),
        ({"NotAction": "s3:GetObject"}, "Invalid policy syntax"),
        ({"Resource": None}, "Missing required field Resource"),
        ({"Resource": "arn:aws:s3:::other/*"}, "Policy has invalid resource"),
        ({"Resource": "photos/*"}, "Policy has invalid resource"),
        ({"Condition": []}, "Invalid policy syntax"),
        ({"Condition": {"StringAlmost": {"s3:prefix": "a"}}}, "Invalid Condition type : StringAlmost"),
        ({"Condition": {"NullIfExists": {"s3:prefix": "true"}}}, "Invalid Condition type"),
        ({"Condition": {"StringEquals": {"s3:mood": "a"}}}, "Policy has an invalid condition key"),
        ({"Condition": {"StringEquals": {"s3:ExistingObjectTag/": "a"}}}, "Policy has an invalid condition key"),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "300.0.0.1"}}}, "Invalid value"),
        ({"Condition": {"NumericEquals": {"s3:max-keys": "ten"}}}, "Invalid value"),
        ({"Condition": {"DateLessThan": {"aws:CurrentTime": "tomorrow"}}}, "Invalid value"),
        ({"Condition": {"StringEquals": {"s3:prefix": {}}}}, "Invalid policy syntax"),
        ({"Sid": 1}, "Invalid policy syntax"),
        ({"Extra": "x"}, "Unknown field Extra"),
    ],
)
def test_policies_that_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadPolicy, match=message):
        parse_policy(policy(**changes), BUCKET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"Version":"2012-10-17"}',
        '{"Version":"2012-10-17","Statement":[]}',
        '{"Version":"2013-01-01","Statement":[{}]}',
        '{"Statement":[{"Effect":"Allow","Effect":"Deny"}]}',
        "[" * 100_000,
        '{"a":' * 5_000,
        " " * (MAX_POLICY_BYTES + 1),
    ],
)
def test_texts_that_are_no_policy(text: str) -> None:
    with pytest.raises(BadPolicy):
        parse_policy(text, BUCKET)


@pytest.mark.parametrize(
    "changes",
    [
        {"Resource": "arn:aws:s3:::photos/" + "${" * 9000},
        {"Condition": {"StringLike": {"aws:userid": "${" * 9000}}},
        {"Condition": {"ArnLike": {"aws:principalarn": "a:b:c:d:e:" + "f" * 18_000}}},
    ],
)
def test_reading_a_policy_takes_no_longer_than_it_is_long(changes: dict[str, Any]) -> None:
    text, before = policy(**changes), process_time()
    parse_policy(text, BUCKET)
    assert process_time() - before < 0.1
