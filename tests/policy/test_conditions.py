"""Conditions over what a request tells, operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import pytest

from gateway.policy.conditions import compile_condition

HELD = [
    # (operator, values of the policy, values of the request or None, holds)
    ("StringEquals", ["a", "b"], ["b"], True),
    ("StringEquals", ["a"], ["A"], False),
    ("StringEquals", ["a*"], ["ab"], False),
    ("StringEquals", ["a"], None, False),
    ("StringEqualsIfExists", ["a"], None, True),
    ("StringEqualsIfExists", ["a"], ["b"], False),
    ("StringNotEquals", ["a", "b"], ["b"], False),
    ("StringNotEquals", ["a", "b"], ["c"], True),
    ("StringNotEquals", ["a"], None, True),
    ("StringEqualsIgnoreCase", ["AbC"], ["aBc"], True),
    ("StringNotEqualsIgnoreCase", ["AbC"], ["aBc"], False),
    ("StringLike", ["a*c?"], ["abbbcd"], True),
    ("StringLike", ["a*c?"], ["abbbc"], False),
    ("StringLike", ["${*}"], ["*"], True),
    ("StringLike", ["${*}"], ["x"], False),
    ("StringLike", ["a.c"], ["abc"], False),
    ("StringLike", ["*"], ["a\nb"], True),
    ("StringNotLike", ["a*"], ["abc"], False),
    ("NumericEquals", ["10"], ["10.0"], True),
    ("NumericLessThan", ["10"], ["9"], True),
    ("NumericLessThan", ["10"], ["10"], False),
    ("NumericLessThanEquals", ["10"], ["10"], True),
    ("NumericGreaterThan", ["10"], ["nothing"], False),
    ("NumericNotEquals", ["10"], ["11"], True),
    ("NumericNotEquals", ["10", "11"], ["11"], False),
    ("DateLessThan", ["2030-01-01T00:00:00Z"], ["2029-12-31T23:59:59Z"], True),
    ("DateGreaterThan", ["2030-01-01"], ["2029-12-31T23:59:59+00:00"], False),
    ("DateEquals", ["1893456000"], ["2030-01-01T00:00:00Z"], True),
    ("Bool", ["true"], ["true"], True),
    ("Bool", ["TRUE"], ["true"], True),
    ("Bool", ["false"], ["true"], False),
    ("IpAddress", ["10.0.0.0/8", "::1"], ["10.9.8.7"], True),
    ("IpAddress", ["10.0.0.0/8"], ["::ffff:10.1.1.1"], True),
    ("IpAddress", ["10.0.0.0/8"], ["11.0.0.1"], False),
    ("IpAddress", ["10.0.0.0/8"], ["no address"], False),
    ("NotIpAddress", ["10.0.0.0/8"], ["11.0.0.1"], True),
    ("NotIpAddress", ["10.0.0.0/8"], ["10.0.0.1"], False),
    ("ArnLike", ["arn:aws:iam::*:user/a*"], ["arn:aws:iam::acme:user/alice"], True),
    ("ArnLike", ["arn:aws:*"], ["arn:aws:iam::acme:user/alice"], None),
    ("ArnEquals", ["arn:aws:iam::a:user/b"], ["arn:aws:iam::a:user/b"], True),
    ("ArnNotLike", ["arn:aws:iam::*:user/a*"], ["arn:aws:iam::acme:user/bob"], True),
    ("Null", ["true"], None, True),
    ("Null", ["true"], ["x"], False),
    ("Null", ["false"], ["x"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a"], None, True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
    ("ForAnyValue:StringEquals", ["a"], ["c"], False),
    ("ForAnyValue:StringEquals", ["a"], None, False),
    ("ForAnyValue:StringNotEquals", ["a"], None, False),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
]


@pytest.mark.parametrize(("operator", "values", "told", "holds"), HELD)
def test_conditions(operator: str, values: Sequence[str], told: Sequence[str] | None, holds: bool | None) -> None:
    def lookup(key: str) -> Sequence[str] | None:
        return told if key == "s3:prefix" else None

    if holds is None:
        with pytest.raises(ValueError, match="Invalid value"):
            compile_condition(operator, "s3:prefix", values, variables=True)
        return
    # Names of keys know no case.
    assert compile_condition(operator, "S3:Prefix", values, variables=True).holds(lookup) is holds


@pytest.mark.parametrize(
    ("value", "told", "holds"),
    [
        ("home/${aws:username}/*", ["home/alice/x"], True),
        ("home/${aws:username}/*", ["home/bob/x"], False),
        # A variable's value is text, whatever is in it.
        ("${aws:UserAgent}", ["anything"], False),
        ("${aws:referer, 'nobody'}", ["nobody"], True),
        ("${aws:referer}", [""], False),
    ],
)
def test_variables(value: str, told: list[str], holds: bool) -> None:
    known = {"s3:prefix": told, "aws:username": ["alice"], "aws:useragent": ["*"]}
    assert compile_condition("StringLike", "s3:prefix", [value], variables=True).holds(known.get) is holds


def test_variables_are_text_in_the_first_version() -> None:
    known = {"s3:prefix": ["${aws:username}"], "aws:username": ["alice"]}
    assert compile_condition("StringEquals", "s3:prefix", ["${aws:username}"], variables=False).holds(known.get)


def test_no_pattern_takes_long() -> None:
    condition = compile_condition("StringLike", "s3:prefix", ["*a" * 500 + "b"], variables=True)
    assert not condition.holds(lambda key: ["a" * 20_000])


U = "${aws:UserAgent}"


@pytest.mark.parametrize("operator", ["StringEquals", "StringLike", "StringNotEqualsIgnoreCase"])
@pytest.mark.parametrize("text", [U * 1000, f"*{U}*", f"?{U}*", "*" + "ab" * 9000 + "c*"])
def test_long_values_take_no_time(operator: str, text: str) -> None:
    request = {"aws:useragent": ["ab" * 20_000], "aws:referer": ["xx" + "ab" * 20_000]}
    condition = compile_condition(
        operator, "aws:Referer", [text + str(number) for number in range(100)], variables=True
    )
    began = perf_counter()
    assert condition.holds(request.get) is (operator == "StringNotEqualsIgnoreCase")
    assert perf_counter() - began < 2


@pytest.mark.parametrize(
    ("operator", "text", "value", "holds"),
    [
        ("StringEquals", "a-${aws:username}", "a-bob", True),
        ("StringEquals", "a-${aws:username}", "a-BOB", False),
        ("StringEqualsIgnoreCase", "A-${aws:username}", "a-BOB", True),
        ("StringLike", "${aws:username}*${aws:username}", "bob-bob", True),
        ("StringLike", "${aws:username}*${aws:username}", "bob", False),
        ("StringLike", "*/${aws:username}/*", "home/bob/x", True),
        ("StringLike", "*/${aws:username}/*/x", "home/bob/x", False),
        ("StringLike", "?${aws:username}*", "-bob", True),
        ("StringLike", "?${aws:username}*", "bob", False),
        ("StringLike", "*${s3:ExistingObjectTag/Who}", "its bob", True),
        ("StringLike", "*${s3:ExistingObjectTag/who}", "its bob", False),
    ],
)
def test_variables_in_every_kind_of_text(operator: str, text: str, value: str, holds: bool) -> None:
    request = {"aws:username": ["bob"], "s3:existingobjecttag/Who": ["bob"], "aws:referer": [value]}
    assert compile_condition(operator, "aws:Referer", [text], variables=True).holds(request.get) is holds
