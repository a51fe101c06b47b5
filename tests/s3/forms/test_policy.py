"""Form policies: what they let through, and how AWS words what they do not."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import AccessDenied, InvalidPolicyDocument, S3Error
from gateway.s3.forms.policy import ANY_SIZE, SizeRange, read_policy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = "2026-01-01T00:00:01Z"
BUCKET = {"bucket": "b"}


def encoded(document: Any) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode()).decode()


def check(conditions: list[Any], fields: Mapping[str, str] | None = None, bucket: str = "b") -> SizeRange:
    policy = read_policy(encoded({"expiration": LATER, "conditions": conditions}))
    return policy.check({name.lower(): (name, value) for name, value in (fields or {}).items()}, bucket, NOW)


HOLDING: dict[str, tuple[list[Any], dict[str, str]]] = {
    "exact": ([BUCKET, {"acl": "private"}], {"acl": "private"}),
    "eq": ([BUCKET, ["eq", "$acl", "private"]], {"acl": "private"}),
    "bucket-by-eq": ([["eq", "$bucket", "b"]], {}),
    "bucket-as-a-field": ([BUCKET], {"bucket": "b"}),
    "starts-with": ([BUCKET, ["starts-with", "$key", "user/"]], {"key": "user/x"}),
    "anything": ([BUCKET, ["starts-with", "$key", ""]], {"key": "x"}),
    "several": ([BUCKET, ["starts-with", "$key", "a"], ["starts-with", "$key", "ab"]], {"key": "abc"}),
    "any-case": (
        [{"bUcKeT": "b"}, ["StArTs-WiTh", "$KeY", "f"], {"X-Amz-Date": "d"}],
        {"kEy": "foo", "x-amz-date": "d"},
    ),
    "types": ([BUCKET, ["starts-with", "$Content-Type", "image/"]], {"Content-Type": "image/png,image/jpeg"}),
    "commas-elsewhere": ([BUCKET, ["starts-with", "$x-amz-meta-a", "N"]], {"x-amz-meta-a": "Ninja,Stallman"}),
    "exempt": (
        [BUCKET],
        {"policy": "p", "x-amz-signature": "s", "signature": "s", "AWSAccessKeyId": "a", "x-ignore-me": "i"},
    ),
    "left-to-defaults": ([BUCKET, ["starts-with", "$x-amz-server-side-encryption", ""]], {}),
    "empty": ([BUCKET, {"Content-Type": ""}], {"Content-Type": ""}),
}


@pytest.mark.parametrize("name", HOLDING)
def test_what_holds(name: str) -> None:
    assert check(*HOLDING[name]) == ANY_SIZE


FAILING: dict[str, tuple[list[Any], dict[str, str], str]] = {
    "other-value": ([BUCKET, {"acl": "private"}], {"acl": "public-read"}, '["eq", "$acl", "private"]'),
    "case-of-values": ([BUCKET, {"acl": "private"}], {"acl": "Private"}, '["eq", "$acl", "private"]'),
    "absent": ([BUCKET, {"acl": "private"}], {}, '["eq", "$acl", "private"]'),
    "absent-anything": ([["starts-with", "$Content-Type", ""]], {}, '["starts-with", "$Content-Type", ""]'),
    "absent-prefix": ([["starts-with", "$x-amz-meta-a", "b"]], {}, '["starts-with", "$x-amz-meta-a", "b"]'),
    "absent-empty": ([{"x-amz-meta-a": ""}], {}, '["eq", "$x-amz-meta-a", ""]'),
    "prefix": ([["starts-with", "$key", "a"]], {"key": "b"}, '["starts-with", "$key", "a"]'),
    "one-type": (
        [["starts-with", "$Content-Type", "image/"]],
        {"Content-Type": "image/png,text/html"},
        '["starts-with", "$Content-Type", "image/"]',
    ),
    "no-dollar": ([["eq", "acl", "private"]], {"acl": "private"}, '["eq", "acl", "private"]'),
    "other-bucket": ([{"bucket": "c"}], {}, '["eq", "$bucket", "c"]'),
    "bucket-field": ([BUCKET], {"bucket": "c"}, '["eq", "$bucket", "b"]'),
    "range": ([["content-length-range", "test", "10"]], {}, '["content-length-range", "test", "10"]'),
    "in-order": ([{"acl": "a"}, {"key": "k"}], {}, '["eq", "$acl", "a"]'),
    "quotes": ([{"acl": 'a"b'}], {}, '["eq", "$acl", "a\\"b"]'),
}


@pytest.mark.parametrize("name", FAILING)
def test_what_does_not_hold(name: str) -> None:
    conditions, fields, shown = FAILING[name]
    with pytest.raises(AccessDenied) as caught:
        check(conditions, fields)
    assert caught.value.message == f"Invalid according to Policy: Policy Condition failed: {shown}"
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("conditions", "fields", "extra"),
    [
        ([BUCKET], {"key": "k"}, "key"),
        ([BUCKET, {"key": "k"}], {"key": "k", "X-Amz-Meta-A": "b"}, "X-Amz-Meta-A"),
        ([{"key": "k"}], {"key": "k"}, "bucket"),
        ([BUCKET], {"filename": "a", "acl": "b"}, "filename, acl"),
        ([BUCKET], {"x-amz-date": "d"}, "x-amz-date"),
        ([BUCKET], {"x-amz-checksum-sha256": "c"}, "x-amz-checksum-sha256"),
        ([BUCKET, ["eq", "$x-amz-meta-", "a"]], {"x-amz-meta-": "a", "x-amz-meta-b": "a"}, "x-amz-meta-b"),
    ],
)
def test_every_field_has_to_be_named(conditions: list[Any], fields: dict[str, str], extra: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        check(conditions, fields)
    assert caught.value.message == f"Invalid according to Policy: Extra input fields: {extra}"


@pytest.mark.parametrize(
    ("ranges", "allowed"),
    [
        ([[0, 10]], SizeRange(0, 10)),
        ([["5", "10"]], SizeRange(5, 10)),
        ([[0, 10], [5, 20]], SizeRange(5, 10)),
        ([[-1, 0]], SizeRange(0, 0)),
        ([[10, 5]], SizeRange(10, 5)),
    ],
)
def test_sizes(ranges: list[list[Any]], allowed: SizeRange) -> None:
    assert check([BUCKET, *(["content-length-range", *bounds] for bounds in ranges)]) == allowed


@pytest.mark.parametrize(
    ("expiration", "expired"),
    [
        (LATER, False),
        ("2026-01-01T00:00:00.001Z", False),
        ("2026-01-01T00:00:00Z", True),
        ("2025-12-31T23:59:59.999Z", True),
    ],
)
def test_expiration(expiration: str, expired: bool) -> None:
    policy = read_policy(encoded({"expiration": expiration, "conditions": [BUCKET]}))
    if not expired:
        policy.check({}, "b", NOW)
        return
    with pytest.raises(AccessDenied, match="Policy expired"):
        policy.check({}, "b", NOW)


def document(*conditions: Any) -> dict[str, Any]:
    return {"expiration": LATER, "conditions": list(conditions)}


MALFORMED: dict[str, tuple[Any, str]] = {
    "no-expiration": ({"conditions": []}, "Policy missing expiration."),
    "no-conditions": ({"expiration": LATER}, "Policy missing conditions."),
    "case-of-conditions": ({"expiration": LATER, "CONDITIONS": []}, "Unexpected: 'conditions'"),
    "case-of-expiration": ({"EXPIRATION": LATER, "conditions": []}, "Unexpected: 'expiration'"),
    "bucket-policy": ({"Version": "2012-10-17", "Statement": []}, "Unexpected: 'version'"),
    "conditions": ({"expiration": LATER, "conditions": {}}, "Invalid 'conditions' value: must be a List."),
    "offset": (
        {"expiration": "2027-09-13T07:52:58+02:00", "conditions": []},
        "Invalid 'expiration' value: '2027-09-13T07:52:58+02:00'",
    ),
    "space": (
        {"expiration": "2027-10-17 03:15:59Z", "conditions": []},
        "Invalid 'expiration' value: '2027-10-17 03:15:59Z'",
    ),
    "month": (
        {"expiration": "2027-13-17T03:15:59Z", "conditions": []},
        "Invalid 'expiration' value: '2027-13-17T03:15:59Z'",
    ),
    "seconds": ({"expiration": 1800000000, "conditions": []}, "Invalid 'expiration' value: '1800000000'"),
    "two-properties": (
        document({"acl": "a", "key": "k"}),
        "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
    ),
    "no-property": (
        document({}),
        "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
    ),
    "number": (document({"Content-Length": 6199034}), "Invalid Simple-Condition: value must be a string."),
    "null": (document({"acl": None}), "Invalid JSON."),
    "float": (document(["content-length-range", 0, 512.5]), "Invalid JSON."),
    "boolean": (document(["content-length-range", False, True]), "Invalid JSON."),
    "nothing": (document([]), "Invalid Condition: missing operation identifier."),
    "operation": (document(["in", "$key", "a"]), "Invalid Condition: unknown operation 'in'."),
    "few": (document(["content-length-range", 0]), "Invalid content-length-range: wrong number of arguments."),
    "many": (document(["eq", "$key", "a", "b"]), "Invalid eq: wrong number of arguments."),
    "operand": (document(["eq", "$key", 5]), "Invalid JSON."),
    "nested": (document(["eq", "$key", ["a"]]), "Invalid JSON."),
    "kind": (document("eq"), "Invalid condition test: must be a List or Object."),
    "not-json": ("{", "Invalid JSON."),
    "trailing-comma": ('{"expiration": "x", "conditions": [],}', "Invalid JSON."),
    "not-an-object": ([], "Invalid JSON."),
    "text": ('"a"', "Invalid JSON."),
    "twice": ('{"expiration": "x", "conditions": [], "conditions": []}', "Invalid JSON."),
    "deep": ("[" * 9000, "Invalid JSON."),
    "half-a-character": ('{"expiration": "x", "conditions": [{"acl": "\\ud800"}]}', "Invalid JSON."),
    "huge-number": (
        '{"expiration": "x", "conditions": [["content-length-range", 0, %s]]}' % ("9" * 9000),
        "Invalid JSON.",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_policy(name: str) -> None:
    document, why = MALFORMED[name]
    with pytest.raises(InvalidPolicyDocument) as caught:
        read_policy(encoded(document))
    assert caught.value.message == f"Invalid Policy: {why}"
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["%", "e30", "e3\u00e9", "/w=="])
def test_what_is_no_base64_of_text(text: str) -> None:
    with pytest.raises(InvalidPolicyDocument, match="invalid Base64 encoding"):
        read_policy(text)


def test_base64_in_lines() -> None:
    text = encoded(document(BUCKET))
    assert read_policy(f"{text[:30]}\r\n{text[30:]}\r\n").check({}, "b", NOW) == ANY_SIZE


@pytest.mark.parametrize(
    ("written", "means"), [(r"\$foo", "$foo"), (r"\\$foo", r"\$foo"), (r"a\vb", "a\vb"), (r"\u0041", "A")]
)
def test_escapes(written: str, means: str) -> None:
    policy = read_policy(
        encoded(f'{{"expiration": "{LATER}", "conditions": [{{"bucket": "b"}}, {{"key": "{written}"}}]}}')
    )
    assert policy.check({"key": ("key", means)}, "b", NOW) == ANY_SIZE


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    conditions=st.lists(
        json_values | st.lists(st.sampled_from(["eq", "starts-with", "content-length-range", "$key", "0", "9"]))
    )
)
def test_nothing_worse_than_a_refusal(conditions: list[Any]) -> None:
    try:
        check(conditions, {"key": "k"})
    except S3Error as error:
        assert error.status in (400, 403)
        error.message.encode()
