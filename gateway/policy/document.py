"""A policy document, read and checked: what could not be enforced is refused here.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.errors import BadPolicy
from gateway.policy.actions import compile_action
from gateway.policy.conditions import BadCondition, Condition, compile_condition
from gateway.policy.patterns import Pattern
from gateway.policy.principals import BadPrincipal, Principals, compile_principals

MAX_POLICY_BYTES = 20 * 1024
VERSIONS = ("2012-10-17", "2008-10-17")
ARN = "arn:aws:s3:::"
_MEMBERS = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset(
    {
        *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
        *("Resource", "NotResource", "Condition"),
    }
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; ``not_*`` tell that it is about all but those."""

    allows: bool
    principals: Principals
    not_principals: bool
    actions: tuple[re.Pattern[str], ...]
    not_actions: bool
    resources: tuple[Pattern, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]
    sid: str = ""
    starts: tuple[str, ...] = field(init=False, repr=False)
    """The resources that are a text and a star, sorted out so that they cost little: the text."""
    wholes: frozenset[str] = field(init=False, repr=False)
    """Those that are a text alone."""
    patterns: tuple[Pattern, ...] = field(init=False, repr=False)
    """And the others."""

    def __post_init__(self) -> None:
        others = [each for each in self.resources if each.start is None and each.whole is None]
        object.__setattr__(self, "starts", tuple(each.start for each in self.resources if each.start is not None))
        object.__setattr__(self, "wholes", frozenset(each.whole for each in self.resources if each.whole is not None))
        object.__setattr__(self, "patterns", tuple(others))

    @property
    def asks(self) -> bool:
        """Whether it is about more than caller, action and resource."""
        return bool(self.conditions or self.patterns)


Numbered = tuple[tuple[int, Statement], ...]


@dataclass(frozen=True, slots=True)
class Policy:
    statements: tuple[Statement, ...]
    about: dict[object, Numbered] = field(default_factory=dict, compare=False, repr=False)
    """Statements with their numbers by the caller and the action that they are about, of those that came before."""


def parse_policy(text: str, bucket: str) -> Policy:
    """The policy of a bucket. Raises BadPolicy with AWS's words for what is wrong."""
    if len(text.encode()) > MAX_POLICY_BYTES:
        raise BadPolicy("Policy exceeds the maximum allowed document size.")
    try:
        document = json.loads(text, object_pairs_hook=_members_once)
    except (ValueError, RecursionError):
        raise BadPolicy("Policies must be valid JSON and the first byte must be '{'") from None
    if not isinstance(document, dict):
        raise BadPolicy("Policies must be valid JSON and the first byte must be '{'")
    for name in document:
        if name not in _MEMBERS:
            raise BadPolicy(f"Unknown field {name}")
    version = document.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise BadPolicy("The policy must contain a valid version string")
    if not isinstance(document.get("Id", ""), str):
        raise BadPolicy("Invalid policy syntax.")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise BadPolicy("Missing required field Statement")
    return Policy(tuple(_statement(each, bucket, version == VERSIONS[0]) for each in statements))


@functools.lru_cache(maxsize=256)
def load_policy(text: str, bucket: str) -> Policy:
    """A policy that was checked when it was put; compiled once."""
    return parse_policy(text, bucket)


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _statement(value: object, bucket: str, variables: bool) -> Statement:
    if not isinstance(value, dict):
        raise BadPolicy("Invalid policy syntax.")
    for name in value:
        if name not in _STATEMENT:
            raise BadPolicy(f"Unknown field {name}")
    if not isinstance(value.get("Sid", ""), str):
        raise BadPolicy("Invalid policy syntax.")
    effect = value.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise BadPolicy(f"Invalid effect: {effect}" if effect is not None else "Missing required field Effect")
    principals, not_principals = _either(value, "Principal", _principals)
    if not_principals and effect == "Allow":
        raise BadPolicy("Allow with NotPrincipal is not allowed.")
    actions, not_actions = _either(value, "Action", lambda found: tuple(map(_action, _texts(found))))
    resources, not_resources = _either(
        value, "Resource", lambda found: tuple(_resource(text, bucket, variables) for text in _texts(found))
    )
    conditions = _conditions(value.get("Condition", {}), variables)
    return Statement(
        effect == "Allow",
        principals,
        not_principals,
        actions,
        not_actions,
        resources,
        not_resources,
        conditions,
        value.get("Sid", ""),
    )


def _either(statement: dict[str, Any], name: str, read: Callable[[object], T]) -> tuple[T, bool]:
    """The value of ``name`` or of its negation, one of which must be there."""
    positive, negative = name in statement, "Not" + name in statement
    if positive == negative:
        raise BadPolicy(f"Missing required field {name}" if not positive else "Invalid policy syntax.")
    return read(statement[name] if positive else statement["Not" + name]), negative


def _principals(value: object) -> Principals:
    try:
        return compile_principals(value)
    except BadPrincipal:
        raise BadPolicy("Invalid principal in policy") from None


def _texts(value: object) -> list[str]:
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text]
    if not texts or (isinstance(value, list) and len(texts) != len(value)):
        raise BadPolicy("Invalid policy syntax.")
    return texts


def _action(text: str) -> re.Pattern[str]:
    compiled = compile_action(text)
    if compiled is None or not (text == "*" or text.lower().startswith("s3:")):
        raise BadPolicy("Policy has invalid action")
    return compiled


def _resource(text: str, bucket: str, variables: bool) -> Pattern:
    """A resource must be the bucket, something in it, or a pattern that the bucket fits."""
    if text == "*":
        return Pattern(ARN + "*")
    if not text.startswith(ARN):
        raise BadPolicy("Policy has invalid resource")
    name = text[len(ARN) :].partition("/")[0]
    if not Pattern(name, variables=False).matches(bucket, lambda key: None) and "${" not in name:
        raise BadPolicy("Policy has invalid resource")
    return Pattern(text, variables=variables)


def _conditions(value: object, variables: bool) -> tuple[Condition, ...]:
    if not isinstance(value, dict):
        raise BadPolicy("Invalid policy syntax.")
    found = []
    for operator, keys in value.items():
        if not isinstance(keys, dict):
            raise BadPolicy("Invalid policy syntax.")
        for key, values in keys.items():
            try:
                found.append(compile_condition(operator, key, _values(values), variables=variables))
            except BadCondition as error:
                raise BadPolicy(str(error)) from None
    return tuple(found)


def _values(value: object) -> list[str]:
    """Condition values as texts: JSON's numbers and booleans stand for what they look like."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, str | int | float) for each in values):
        raise BadPolicy("Invalid policy syntax.")
    return [each if isinstance(each, str) else json.dumps(each) for each in values]
