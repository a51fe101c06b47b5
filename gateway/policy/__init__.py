"""Bucket policies: read, checked and evaluated. Pure values; ``gateway.access`` asks, and decides with the rest.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from gateway.policy.actions import ACTIONS, BUCKET_ACTIONS
from gateway.policy.document import MAX_POLICY_BYTES, Policy, load_policy, parse_policy
from gateway.policy.public import is_public
from gateway.policy.request import (
    ALLOW,
    DENY,
    Caller,
    Context,
    PolicyRequest,
    Verdict,
    decide,
    judge,
    nothing,
    statements_about,
    verdict_of,
)

__all__ = [
    "ACTIONS",
    "ALLOW",
    "BUCKET_ACTIONS",
    "DENY",
    "MAX_POLICY_BYTES",
    "Caller",
    "Context",
    "Policy",
    "PolicyRequest",
    "Verdict",
    "decide",
    "is_public",
    "judge",
    "load_policy",
    "nothing",
    "parse_policy",
    "statements_about",
    "verdict_of",
]
