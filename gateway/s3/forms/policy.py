"""The policy of a form: what its signer demands of the fields and of the file. Pure values.

Every field has to be named by a condition, and every condition has to hold; sizes are for the file, which comes last.
Grammar and words are those of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from gateway.s3.errors import AccessDenied, InvalidPolicyDocument

UNCOVERED = frozenset({"file", "policy", "x-amz-signature", "signature", "awsaccesskeyid"})
"""Fields that no condition has to name; and neither those that begin with IGNORED."""
IGNORED = "x-ignore-"

_EXPIRATION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z").fullmatch
_ESCAPE = re.compile(r"\\(.)", re.S)
_MORE_ESCAPES = {"$": "$", "v": "\\u000b"}
"""What may be escaped in a policy and not in JSON at large."""
_NUMBER = re.compile(r"-?[0-9]{1,18}").fullmatch
_RANGE, _EQUALS, _STARTS = "content-length-range", "eq", "starts-with"


@dataclass(frozen=True, slots=True)
class SizeRange:
    """How many bytes the file may have, both ends included; None for no bound."""

    least: int = 0
    most: int | None = None

    def __and__(self, other: SizeRange) -> SizeRange:
        bounds = [bound for bound in (self.most, other.most) if bound is not None]
        return SizeRange(max(self.least, other.least), min(bounds) if bounds else None)


ANY_SIZE = SizeRange()


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: what it asks, and of what. A range has its bounds in place of field and value."""

    operation: str
    first: str | int
    second: str | int
    told: Sequence[Any]
    """As the policy has it, for refusals to show."""

    @property
    def field(self) -> str | None:
        """The field that it names, in lower case."""
        name = str(self.first)
        return name[1:].lower() if self.operation != _RANGE and name.startswith("$") else None

    def failed(self) -> AccessDenied:
        return AccessDenied(
            f"Invalid according to Policy: Policy Condition failed: {json.dumps(self.told, ensure_ascii=False)}"
        )


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A policy that is well-formed."""

    expires: datetime
    conditions: tuple[Condition, ...]

    def check(self, fields: Mapping[str, tuple[str, str]], bucket: str, now: datetime) -> SizeRange:
        """How large the file may be, once everything else holds.

        ``fields`` are name as sent and value by the name in lower case; ``bucket`` is what the form was sent to, and
        no field can say otherwise. Raises AccessDenied.
        """
        if now >= self.expires:
            raise AccessDenied("Invalid according to Policy: Policy expired.")
        allowed = ANY_SIZE
        for condition in self.conditions:
            if condition.operation == _RANGE:
                allowed &= _size_range(condition)
            elif not _holds(condition, fields, bucket):
                raise condition.failed()
        named = {condition.field for condition in self.conditions}
        shown = {"bucket": "bucket", **{name: sent for name, (sent, _) in fields.items()}}
        extra = [shown[name] for name in shown if name not in named | UNCOVERED and not name.startswith(IGNORED)]
        if extra:
            raise AccessDenied(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")
        return allowed


def _holds(condition: Condition, fields: Mapping[str, tuple[str, str]], bucket: str) -> bool:
    name, wanted = condition.field, str(condition.second)
    if name is None:
        return False
    values = [fields[name][1]] if name in fields else []
    if name == "bucket":
        values.append(bucket)
    if not values:
        # AWS fails what is said of an absent field, even that it begins with nothing; but what is said so of an x-amz-
        # field leaves it to the bucket's defaults.
        return condition.operation == _STARTS and wanted == "" and name.startswith("x-amz-")
    if condition.operation == _EQUALS:
        return all(value == wanted for value in values)
    if name == "content-type":
        values = values[0].split(",")
    return all(value.startswith(wanted) for value in values)


def _size_range(condition: Condition) -> SizeRange:
    least, most = condition.first, condition.second
    if any(isinstance(bound, str) and not _NUMBER(bound) for bound in (least, most)):
        raise condition.failed()
    return SizeRange(int(least), int(most))


# -- reading


def read_policy(text: str) -> PostPolicy:
    """The policy that a field holds in base64. Raises InvalidPolicyDocument, and AccessDenied as AWS does."""
    document = _decode(text)
    if not isinstance(document, tuple):
        _refuse("Invalid JSON.")
    for name, _ in document:
        if name not in ("expiration", "conditions"):
            _refuse(f"Unexpected: '{name.lower()}'")
    members = dict(document)
    if len(members) < len(document):
        _refuse("Invalid JSON.")
    for name in ("expiration", "conditions"):
        if name not in members:
            _refuse(f"Policy missing {name}.")
    conditions = members["conditions"]
    if not isinstance(conditions, list):
        _refuse("Invalid 'conditions' value: must be a List.")
    return PostPolicy(_expiration(members["expiration"]), tuple(map(_condition, conditions)))


def _decode(text: str) -> Any:
    """A JSON document, its objects as tuples of pairs: so a name that is given twice still shows."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        _refuse("invalid Base64 encoding.")
    try:
        document = json.loads(
            _ESCAPE.sub(lambda found: _MORE_ESCAPES.get(found[1], found[0]), raw),
            object_pairs_hook=tuple,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
        json.dumps(document, ensure_ascii=False).encode()  # half a character could not be told again
    except (ValueError, RecursionError):
        _refuse("Invalid JSON.")
    return document


def _expiration(value: Any) -> datetime:
    if isinstance(value, str) and _EXPIRATION(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return _refuse(f"Invalid 'expiration' value: '{value}'")


def _condition(told: Any) -> Condition:
    if isinstance(told, tuple):
        return _simple_condition(told)
    if not isinstance(told, list):
        _refuse("Invalid condition test: must be a List or Object.")
    if not told:
        _refuse("Invalid Condition: missing operation identifier.")
    operation, operands = told[0], told[1:]
    if not isinstance(operation, str) or any(type(each) not in (str, int) for each in operands):
        _refuse("Invalid JSON.")
    operation = operation.lower()
    if operation not in (_EQUALS, _STARTS, _RANGE):
        _refuse(f"Invalid Condition: unknown operation '{told[0]}'.")
    if len(operands) != 2:
        _refuse(f"Invalid {operation}: wrong number of arguments.")
    if operation != _RANGE and not all(isinstance(each, str) for each in operands):
        _refuse("Invalid JSON.")
    return Condition(operation, operands[0], operands[1], told)


def _simple_condition(pairs: tuple[tuple[str, Any], ...]) -> Condition:
    if len(pairs) != 1:
        _refuse("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
    [(name, value)] = pairs
    if value is None:
        _refuse("Invalid JSON.")
    if not isinstance(value, str):
        _refuse("Invalid Simple-Condition: value must be a string.")
    return Condition(_EQUALS, f"${name}", value, [_EQUALS, f"${name}", value])


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _refuse(why: str) -> NoReturn:
    raise InvalidPolicyDocument(f"Invalid Policy: {why}")
