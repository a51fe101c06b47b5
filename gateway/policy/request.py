"""Deciding a request by a policy: an explicit deny wins, then any allow; else the policy says nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from gateway.policy.document import Numbered, Policy, Statement

Context = Callable[[str], Sequence[str] | None]
"""The values of a condition key (``gateway.policy.keys``, folded) in a request; None where it has none."""

ALLOW: Literal["Allow"] = "Allow"
DENY: Literal["Deny"] = "Deny"
MAX_ABOUT = 1000
"""Pairs of caller and action that a policy remembers its statements for."""


def nothing(key: str) -> None:
    """The context of a request that tells nothing."""


class Caller(NamedTuple):
    """Who asks, as policies name callers; nobody known has nothing, a service only its name."""

    account: str | None = None
    user: str | None = None
    canonical_id: str | None = None
    service: str | None = None

    @property
    def arn(self) -> str | None:
        """As ``aws:PrincipalArn`` tells it."""
        return None if self.user is None else f"arn:aws:iam::{self.account}:user/{self.user}"


class PolicyRequest(NamedTuple):
    caller: Caller
    action: str
    """AWS's name, such as ``s3:GetObject``."""
    resource: str
    """The ARN of the bucket or of the object."""
    context: Context


class Verdict(NamedTuple):
    """What a policy says of a request, and which of its statements says it: their number, from 1."""

    effect: Literal["Allow", "Deny"]
    number: int
    sid: str


def judge(policy: Policy, request: PolicyRequest) -> Verdict | None:
    """What a policy says of a request; None where it says nothing.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    caller, action, resource, context = request
    return verdict_of(statements_about(policy, caller, action), resource, context)


def verdict_of(statements: Numbered, resource: str, context: Context) -> Verdict | None:
    """What statements that are about the caller and the action say of the rest of a request."""
    allowed: Verdict | None = None
    for number, statement in statements:
        if (allowed is not None and statement.allows) or not _concerns(statement, resource, context):
            continue
        if not statement.allows:
            return Verdict(DENY, number, statement.sid)
        allowed = Verdict(ALLOW, number, statement.sid)
    return allowed


def decide(policy: Policy, request: PolicyRequest) -> Literal["Allow", "Deny"] | None:
    """The effect alone."""
    verdict = judge(policy, request)
    return verdict.effect if verdict is not None else None


def statements_about(policy: Policy, caller: Caller, action: str) -> Numbered:
    """The statements, and their numbers, that are about a caller and an action, whatever else the request is.

    Neither changes from one request to the next, so that this is worked out once.
    """
    at = (caller, action)
    found = policy.about.get(at)
    if found is None:
        found = tuple(
            (number, statement)
            for number, statement in enumerate(policy.statements, 1)
            if any(pattern.fullmatch(action) for pattern in statement.actions) != statement.not_actions
            and statement.principals.include(*caller) != statement.not_principals
        )
        if len(policy.about) < MAX_ABOUT:
            policy.about[at] = found
    return found


def _concerns(statement: Statement, resource: str, context: Context) -> bool:
    """Whether a statement that is about the caller and the action holds for the rest of the request."""
    named = resource.startswith(statement.starts) or resource in statement.wholes
    if not named and statement.patterns:
        named = any(pattern.matches(resource, context) for pattern in statement.patterns)
    if named == statement.not_resources:
        return False
    for condition in statement.conditions:  # noqa: SIM110  (a generator costs more than the one condition of most)
        if not condition.holds(context):
            return False
    return True
