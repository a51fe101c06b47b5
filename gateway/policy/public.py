"""Whether a policy is public: whether it lets in callers that it does not fix.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
"""

from __future__ import annotations

import ipaddress

from gateway.policy.conditions import FOR_ALL, Condition
from gateway.policy.document import Policy, Statement

_FIXING = frozenset(
    {
        *("aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"),
        *("aws:sourcevpc", "aws:sourcevpce", "aws:sourcevpcarn", "aws:userid", "aws:username"),
    }
)
"""Keys whose values tell who may come, where they are told without wildcards."""
_WIDEST = {4: 8, 6: 32}
"""A range of addresses that is wider than this is everybody's."""


def is_public(policy: Policy) -> bool:
    return any(_opens(statement) for statement in policy.statements)


def _opens(statement: Statement) -> bool:
    if not statement.allows or not (statement.principals.anybody or statement.not_principals):
        return False
    return not any(_fixes(condition) for condition in statement.conditions)


def _fixes(condition: Condition) -> bool:
    """Whether a condition leaves only callers that it names."""
    if condition.negated or condition.if_exists or condition.quantifier == FOR_ALL:
        return False
    if condition.operator == "IpAddress" and condition.key == "aws:sourceip":
        networks = [ipaddress.ip_network(value, strict=False) for value in condition.values]
        return all(network.prefixlen >= _WIDEST[network.version] for network in networks)
    if condition.key not in _FIXING or not condition.operator.startswith(("String", "Arn")):
        return False
    return not any(_is_open(condition, value) for value in condition.values)


def _is_open(condition: Condition, value: str) -> bool:
    if "${" in value:
        return True
    if condition.operator not in ("StringLike", "ArnLike", "ArnEquals"):
        return False
    if condition.operator.startswith("Arn"):  # the account has to be told; what is in it may be any
        parts = value.split(":", 5)
        told = parts if len(parts) == 6 and not parts[4] else parts[:5]
        return len(parts) < 6 or any("*" in part or "?" in part for part in told)
    return "*" in value or "?" in value
