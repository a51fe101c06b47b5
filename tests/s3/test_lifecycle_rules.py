"""Lifecycle rules from S3's members and back, and each refusal with AWS's code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.lifecycle import Lifecycle, Rule
from gateway.lifecycle.rules import load
from gateway.s3.errors import S3Error
from gateway.s3.operations.lifecycle_rules import read_rules, rule_members

ALL = {"STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE", "COLD"}
EXPIRE = {"Expiration": {"Days": 1}}
TAG, TAG2 = {"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}


def rule(**told: Any) -> dict[str, Any]:
    """A rule that expires everything after a day, but for what is told."""
    actions = {} if any(name[0].isupper() and name not in _DESCRIBE for name in told) else EXPIRE
    base = {"ID": "id", "Status": "Enabled", **actions}
    return {**base, **({} if "Prefix" in told else {"Filter": {}}), **told}


_DESCRIBE = {"ID", "Status", "Filter", "Prefix"}


def date(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def move(storage_class: str, **when: Any) -> dict[str, Any]:
    return {**when, "StorageClass": storage_class}


SHAPES: list[dict[str, Any]] = [
    rule(),
    rule(Prefix=""),
    rule(Prefix="logs/", Status="Disabled"),
    rule(Filter={"Prefix": "logs/"}),
    rule(Filter={"Tag": TAG}),
    rule(Filter={"ObjectSizeGreaterThan": 0}),
    rule(Filter={"ObjectSizeLessThan": 1}),
    rule(Filter={"And": {"Prefix": "", "Tags": [TAG]}}),
    rule(Filter={"And": {"Tags": [TAG, TAG2]}}),
    rule(Filter={"And": {"ObjectSizeGreaterThan": 1, "ObjectSizeLessThan": 3}}),
    rule(Expiration={"Date": date("2030-01-01")}),
    rule(Expiration={"ExpiredObjectDeleteMarker": True}),
    rule(Expiration={"ExpiredObjectDeleteMarker": False}),
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 3}),
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 3, "NewerNoncurrentVersions": 500}),
    rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}),
    rule(Transitions=[move("GLACIER", Days=0)]),
    rule(Transitions=[move("COLD", Days=1), move("GLACIER", Days=0)]),
    rule(Transitions=[move("STANDARD_IA", Days=30), move("GLACIER", Days=60)], Expiration={"Days": 61}),
    rule(Transitions=[move("GLACIER", Date=date("2030-01-01"))], Expiration={"Date": date("2030-01-02")}),
    rule(
        NoncurrentVersionTransitions=[move("GLACIER", NoncurrentDays=2), move("DEEP_ARCHIVE", NoncurrentDays=4)],
        NoncurrentVersionExpiration={"NoncurrentDays": 6},
    ),
]


def plain(value: Any) -> Any:
    """Without the members that are not shown, and with dates as milliseconds."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if each is not None and each != []}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return int(value.timestamp() * 1000) if isinstance(value, datetime) else value


@pytest.mark.parametrize("told", SHAPES, ids=str)
def test_a_rule_is_shown_as_it_was_told(told: dict[str, Any]) -> None:
    lifecycle = Lifecycle(read_rules([told], ALL))
    kept = load(lifecycle.dump())
    assert kept == lifecycle
    assert plain(rule_members(kept.rules[0])) == plain(told)


MALFORMED, ARGUMENT, REQUEST = "MalformedXML", "InvalidArgument", "InvalidRequest"
REFUSED: list[tuple[str, dict[str, Any]]] = [
    (MALFORMED, {"ID": "id", "Status": "Enabled", **EXPIRE}),
    (MALFORMED, {"ID": "id", "Status": "Enabled", "Prefix": "", "Filter": {}, **EXPIRE}),
    (MALFORMED, rule(Status="enabled")),
    (MALFORMED, rule(Filter={"Prefix": "a", "Tag": TAG})),
    (MALFORMED, rule(Filter={"Prefix": "", "ObjectSizeGreaterThan": 5})),
    (MALFORMED, rule(Filter={"Prefix": "a", "And": {"Tags": [TAG, TAG2]}})),
    (MALFORMED, rule(Filter={"And": {"Prefix": "a"}})),
    (MALFORMED, rule(Filter={"And": {"Tags": [TAG]}})),
    (MALFORMED, rule(Filter={"And": {}})),
    (MALFORMED, rule(Expiration={})),
    (MALFORMED, rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True})),
    (MALFORMED, rule(Expiration={"Days": 1, "Date": date("2030-01-01")})),
    (MALFORMED, rule(NoncurrentVersionExpiration={})),
    (MALFORMED, rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 5})),
    (MALFORMED, rule(AbortIncompleteMultipartUpload={})),
    (MALFORMED, rule(Transitions=[move("GLACIER")])),
    (MALFORMED, rule(Transitions=[move("GLACIER", Days=1, Date=date("2030-01-01"))])),
    (MALFORMED, rule(Transitions=[move("STANDARD", Days=1)])),
    (MALFORMED, rule(Transitions=[move("NOSUCH", Days=1)])),
    (MALFORMED, rule(Transitions=[{"Days": 1}])),
    (MALFORMED, rule(NoncurrentVersionTransitions=[move("GLACIER")])),
    ("NotImplemented", rule(Transitions=[move("INTELLIGENT_TIERING", Days=1)])),
    (ARGUMENT, rule(ID="a" * 256)),
    (ARGUMENT, rule(Expiration={"Days": 0})),
    (ARGUMENT, rule(Expiration={"Days": -1})),
    (ARGUMENT, rule(Expiration={"Date": date("2030-01-01T00:00:01")})),
    (ARGUMENT, rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})),
    (ARGUMENT, rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 0})),
    (ARGUMENT, rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 0})),
    (ARGUMENT, rule(Transitions=[move("GLACIER", Days=-1)])),
    (ARGUMENT, rule(Transitions=[move("GLACIER", Date=date("2030-01-01T12:00:00"))])),
    (ARGUMENT, rule(Transitions=[move("STANDARD_IA", Days=29)])),
    (ARGUMENT, rule(Transitions=[move("GLACIER", Days=9), move("DEEP_ARCHIVE", Days=9)])),
    (ARGUMENT, rule(Transitions=[move("DEEP_ARCHIVE", Days=5), move("GLACIER", Days=9)])),
    (ARGUMENT, rule(Transitions=[move("GLACIER", Days=3)], Expiration={"Days": 3})),
    (ARGUMENT, rule(Transitions=[move("COLD", Date=date("2031-01-01"))], Expiration={"Date": date("2030-01-01")})),
    (ARGUMENT, rule(NoncurrentVersionTransitions=[move("ONEZONE_IA", NoncurrentDays=3)])),
    (ARGUMENT, rule(NoncurrentVersionTransitions=[move("GLACIER", NoncurrentDays=-3)])),
    (
        ARGUMENT,
        rule(
            NoncurrentVersionTransitions=[move("GLACIER", NoncurrentDays=3)],
            NoncurrentVersionExpiration={"NoncurrentDays": 3},
        ),
    ),
    (REQUEST, {"ID": "id", "Status": "Enabled", "Filter": {}}),
    (REQUEST, rule(Filter={"And": {"Tags": [TAG, TAG]}})),
    (REQUEST, rule(Filter={"Prefix": "a" * 1025})),
    (REQUEST, rule(Filter={"ObjectSizeLessThan": 0})),
    (REQUEST, rule(Filter={"ObjectSizeGreaterThan": -1})),
    (REQUEST, rule(Filter={"And": {"ObjectSizeGreaterThan": 3, "ObjectSizeLessThan": 3}})),
    (REQUEST, rule(Filter={"Tag": TAG}, Expiration={"ExpiredObjectDeleteMarker": True})),
    (REQUEST, rule(Filter={"ObjectSizeLessThan": 9}, Expiration={"ExpiredObjectDeleteMarker": False})),
    (REQUEST, rule(Filter={"Tag": TAG}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})),
    (REQUEST, rule(Filter={"ObjectSizeLessThan": 9}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})),
    (REQUEST, rule(Prefix="", NoncurrentVersionExpiration={"NoncurrentDays": 3, "NewerNoncurrentVersions": 5})),
    (REQUEST, rule(Transitions=[move("GLACIER", Days=1), move("COLD", Date=date("2030-01-01"))])),
    (REQUEST, rule(Transitions=[move("GLACIER", Days=1)], Expiration={"Date": date("2030-01-01")})),
    (REQUEST, rule(Transitions=[move("COLD", Days=1), move("COLD", Days=2)])),
    ("InvalidTag", rule(Filter={"Tag": {"Key": "k" * 129, "Value": ""}})),
    ("InvalidTag", rule(Filter={"Tag": {"Key": "k", "Value": "v" * 257}})),
]


@pytest.mark.parametrize(("code", "told"), REFUSED, ids=str)
def test_what_aws_refuses_is_refused_with_its_code(code: str, told: dict[str, Any]) -> None:
    with pytest.raises(S3Error) as caught:
        read_rules([told], ALL)
    assert caught.value.code == code


SETS: list[tuple[str, list[dict[str, Any]]]] = [
    (REQUEST, []),
    (REQUEST, [rule(ID=str(number)) for number in range(1001)]),
    (ARGUMENT, [rule(), rule()]),
    (REQUEST, [rule(ID="1", Prefix="a"), rule(ID="2", Filter={"Prefix": "b"})]),
    (REQUEST, [rule(ID="1"), rule(ID="2", Prefix="b")]),
    (REQUEST, [rule(ID="1", Prefix="a"), rule(ID="2", Prefix="aa")]),
]


@pytest.mark.parametrize(("code", "told"), SETS, ids=lambda value: str(value)[:60])
def test_rules_that_do_not_go_together_are_refused(code: str, told: list[dict[str, Any]]) -> None:
    with pytest.raises(S3Error) as caught:
        read_rules(told, ALL)
    assert caught.value.code == code


def test_rules_that_go_together() -> None:
    other = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    assert read_rules([rule(ID="1", Prefix="a"), rule(ID="2", Prefix="b"), rule(ID="3", Prefix="a", **other)], ALL)
    assert read_rules([rule(ID="1"), rule(ID="2", Filter={"Prefix": "a"})], ALL)


def test_rules_without_an_id_get_one() -> None:
    nameless = [{key: value for key, value in rule(ID="", Filter={"Prefix": each}).items()} for each in "ab"]
    made: tuple[Rule, ...] = read_rules(nameless, ALL)
    assert len({each.id for each in made}) == 2 and all(len(each.id) == 48 for each in made)
