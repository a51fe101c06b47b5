"""Conditions of a statement: ``{"StringLike": {"s3:prefix": ["home/*"]}}``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.policy.keys import fold, is_known
from gateway.policy.patterns import Lookup, Pattern

Test = Callable[[str, Lookup], bool]
"""Whether one value of a request fits one value of the policy."""

FOR_ALL, FOR_ANY = "ForAllValues:", "ForAnyValue:"
IF_EXISTS = "IfExists"


class BadCondition(ValueError):
    """A condition that makes no sense; the message is AWS's."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator over one key; it holds where any of its values does, or for a negated one where none does."""

    operator: str
    """Without quantifier and ``IfExists``."""
    quantifier: str
    if_exists: bool
    key: str
    values: tuple[str, ...]
    negated: bool
    tests: tuple[Test, ...]

    def holds(self, lookup: Lookup) -> bool:
        """Whether the condition is met by a request."""
        found = lookup(self.key)
        if self.operator == "Null":
            return any((found is None) == (value == "true") for value in self.values)
        if not found:
            if self.if_exists or self.quantifier == FOR_ALL:
                return True
            return self.negated and not self.quantifier
        negated = self.negated
        every = self.quantifier == FOR_ALL or (negated and not self.quantifier)
        for value in found:
            fits = negated
            for test in self.tests:
                if test(value, lookup):
                    fits = not negated
                    break
            if fits != every:
                return not every
        return every


def compile_condition(operator: str, key: str, values: Sequence[str], *, variables: bool) -> Condition:
    """Raises BadCondition for an operator, a key or a value that is none."""
    name, quantifier = operator, ""
    for prefix in (FOR_ALL, FOR_ANY):
        if name.startswith(prefix):
            name, quantifier = name[len(prefix) :], prefix
    if_exists = name.endswith(IF_EXISTS)
    name = name.removesuffix(IF_EXISTS)
    if name == "Null" and (if_exists or quantifier):
        raise BadCondition(f"Invalid Condition type : {operator}")
    if name not in _OPERATORS:
        raise BadCondition(f"Invalid Condition type : {operator}")
    if not is_known(fold(key)):
        raise BadCondition("Policy has an invalid condition key")
    negated, make = _OPERATORS[name]
    try:
        tests = tuple(make(value, variables) for value in values)
    except ValueError:
        raise BadCondition(f"Invalid value for the condition operator {operator}") from None
    return Condition(name, quantifier, if_exists, fold(key), tuple(values), negated, tests)


# -- one test per value of the policy


def _text(*, wild: bool = False, ignore_case: bool = False) -> Callable[[str, bool], Test]:
    def make(text: str, variables: bool) -> Test:
        return Pattern(text, variables=variables, wild=wild, ignore_case=ignore_case).matches

    return make


def _arn(text: str, variables: bool) -> Test:
    # Each of an ARN's six parts is held against its own: a star does not reach over a colon.
    parts = [Pattern(part, variables=variables) for part in _arn_parts(text)]
    if len(parts) != 6:
        raise ValueError(text)

    def test(value: str, lookup: Lookup) -> bool:
        found = value.split(":", 5)
        return len(found) == 6 and all(part.matches(one, lookup) for part, one in zip(parts, found, strict=True))

    return test


def _arn_parts(text: str) -> list[str]:
    """The parts of an ARN; the colons within variables are none of its own."""
    parts: list[str] = []
    start = depth = 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == ":" and depth == 0 and len(parts) < 5:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _ordered(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Callable[[str, bool], Test]:
    def make(text: str, variables: bool) -> Test:
        bound = read(text)

        def test(value: str, lookup: Lookup) -> bool:
            try:
                return compare(read(value), bound)
            except ValueError:
                return False

        return test

    return make


def moment(text: str) -> float:
    """Unix seconds of an ISO 8601 date or of a number. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _bool(text: str, variables: bool) -> Test:
    wanted = text.lower()
    if wanted not in ("true", "false"):
        raise ValueError(text)
    return lambda value, lookup: value.lower() == wanted


def _null(text: str, variables: bool) -> Test:
    if text not in ("true", "false"):
        raise ValueError(text)
    return lambda value, lookup: False


def _address(text: str, variables: bool) -> Test:
    network = ipaddress.ip_network(text, strict=False)
    version, mask, base = network.version, int(network.netmask), int(network.network_address)

    def test(value: str, lookup: Lookup) -> bool:
        found = _number_of(value)
        return found is not None and found[0] == version and found[1] & mask == base

    return test


@functools.lru_cache(maxsize=4096)
def _number_of(text: str) -> tuple[int, int] | None:
    """The version and the number of an address, of IPv4 where it only looks like IPv6; None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return address.version, int(address)


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda value, bound: value == bound,
    "LessThan": lambda value, bound: value < bound,
    "LessThanEquals": lambda value, bound: value <= bound,
    "GreaterThan": lambda value, bound: value > bound,
    "GreaterThanEquals": lambda value, bound: value >= bound,
}

_OPERATORS: dict[str, tuple[bool, Callable[[str, bool], Test]]] = {
    "StringEquals": (False, _text()),
    "StringNotEquals": (True, _text()),
    "StringEqualsIgnoreCase": (False, _text(ignore_case=True)),
    "StringNotEqualsIgnoreCase": (True, _text(ignore_case=True)),
    "StringLike": (False, _text(wild=True)),
    "StringNotLike": (True, _text(wild=True)),
    "BinaryEquals": (False, _text()),
    "ArnEquals": (False, _arn),
    "ArnLike": (False, _arn),
    "ArnNotEquals": (True, _arn),
    "ArnNotLike": (True, _arn),
    "Bool": (False, _bool),
    "Null": (False, _null),
    "IpAddress": (False, _address),
    "NotIpAddress": (True, _address),
    "NumericNotEquals": (True, _ordered(float, _COMPARISONS["Equals"])),
    "DateNotEquals": (True, _ordered(moment, _COMPARISONS["Equals"])),
    **{f"Numeric{name}": (False, _ordered(float, compare)) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": (False, _ordered(moment, compare)) for name, compare in _COMPARISONS.items()},
}
"""By name: whether it is negated, and what makes the test of a value."""
