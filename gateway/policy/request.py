"""Deciding a request by a policy: an explicit deny wins, then any allow; else the policy says nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gateway.policy.document import Policy, Statement

Context = Callable[[str], Sequence[str] | None]
"""The values of a condition key (``gateway.policy.keys``, folded) in a request; None where it has none."""

ALLOW: Literal["Allow"] = "Allow"
DENY: Literal["Deny"] = "Deny"


def nothing(key: str) -> None:
    """The context of a request that tells nothing."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as policies name callers; nobody known has nothing, a service only its name."""

    account: str | None = None
    user: str | None = None
    canonical_id: str | None = None
    service: str | None = None

    @property
    def arn(self) -> str | None:
        """As ``aws:PrincipalArn`` tells it."""
        return None if self.user is None else f"arn:aws:iam::{self.account}:user/{self.user}"


@dataclass(frozen=True, slots=True)
class PolicyRequest:
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
    allowed: Verdict | None = None
    for number, statement in enumerate(policy.statements, 1):
        if (allowed is not None and statement.allows) or not _concerns(statement, request):
            continue
        if not statement.allows:
            return Verdict(DENY, number, statement.sid)
        allowed = Verdict(ALLOW, number, statement.sid)
    return allowed


def decide(policy: Policy, request: PolicyRequest) -> Literal["Allow", "Deny"] | None:
    """The effect alone."""
    verdict = judge(policy, request)
    return verdict.effect if verdict is not None else None


def _concerns(statement: Statement, request: PolicyRequest) -> bool:
    caller, action, resource, context = request.caller, request.action, request.resource, request.context
    return (
        any(pattern.fullmatch(action) for pattern in statement.actions) != statement.not_actions
        and any(pattern.matches(resource, context) for pattern in statement.resources) != statement.not_resources
        and statement.principals.include(caller.account, caller.user, caller.canonical_id, caller.service)
        != statement.not_principals
        and all(condition.holds(context) for condition in statement.conditions)
    )
