"""Bucket policies: documents, and what those that are taken say of requests.

A case is a document. One that is taken decides any request without an error, the same after it was written down again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from gateway.errors import BadPolicy
from gateway.policy import ACTIONS, Caller, PolicyRequest, is_public, judge, parse_policy
from gateway.policy.conditions import _OPERATORS as OPERATORS
from gateway.policy.keys import FAMILIES, KEYS
from reliability.fuzz.mutate import Mutator, below, number, pick
from reliability.fuzz.signing import signed_request
from reliability.fuzz.target import Finding, Pure

BUCKET = "bucket"
CALLERS = (
    *(Caller(), Caller("default", "alice", "a" * 64), Caller("acme", "bob", "b" * 64)),
    Caller(service="logging.s3.amazonaws.com"),
)
_ACTIONS = tuple(sorted(ACTIONS))
_KEYS = (*sorted(KEYS), *(family + "team" for family in FAMILIES))
_VALUES = (
    *("a", "A", "*", "?", "a*b?c", "${aws:username}", "${aws:userid, 'x'}", "${*}", "${", "}", "1", "1e400", "nan"),
    *("true", "false", "10.0.0.0/8", "::/0", "::ffff:10.0.0.1", "10.0.0.1", "2026-01-01T00:00:00Z", "0001-01-01"),
    *("9999-12-31T23:59:59-23:59", "arn:aws:iam::default:user/alice", "arn:*:*:*:*:*", "a:b:c:d:e:f:g", "", "\x00"),
    *("ß", "İ", "\ud800", "x" * 300, "home/${aws:username}/*", "1_0", "٣", "2026-W01", "fe80::1%eth0"),
)
_KINDS = tuple(OPERATORS)
_APT: dict[str, tuple[Any, ...]] = {
    "Numeric": ("1", "1e400", "-0", 1, 1.5, "nan", 10**300),
    "Date": ("2026-01-01T00:00:00Z", "0001-01-01", "9999-12-31T23:59:59-23:59", "1", "1e300", "2026-W01"),
    "Bool": ("true", "FALSE", True),
    "Null": ("true", "false", True),
    "IpAddress": ("10.0.0.0/8", "::/0", "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1/0.0.0.255"),
    "NotIpAddress": ("10.0.0.0/8", "fe80::1/10"),
    "Arn": (
        "arn:aws:iam::default:user/alice",
        "arn:*:*:*:*:*",
        "arn:aws:iam::${aws:username}:user/?*",
        "a:b:c:d:e:f:g",
    ),
}
_RESOURCES = (
    *("arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*", "*", "arn:aws:s3:::*", "arn:aws:s3:::b?cket/*a*b*", "arn:"),
    *("arn:aws:s3:::bucket/${aws:username}/*", "arn:aws:s3:::${aws:username}", "arn:aws:s3:::other/*", ""),
    "arn:aws:s3:::bucket/" + "*a" * 60,
)
_PRINCIPALS: tuple[Any, ...] = (
    *("*", {"AWS": "*"}, {"AWS": ["default", "arn:aws:iam::acme:user/bob"]}, {"CanonicalUser": "a" * 64}),
    *({"Service": "logging.s3.amazonaws.com"}, {}, {"AWS": []}, [], None, 1, {"AWS": {}}, "alice"),
)
_TOKENS = tuple(
    text.encode("utf-8", "surrogatepass")
    for text in (
        *(
            '"Effect"',
            '"Deny"',
            '"Allow"',
            '"NotPrincipal"',
            '"NotAction"',
            '"NotResource"',
            '"Condition":{',
            "[[",
            "{}",
        ),
        *(
            '"s3:*"',
            '"*"',
            "[" * 600,
            '{"a":' * 600,
            '"ForAnyValue:StringLike"',
            '"Null"',
            "\\u0000",
            "\\udfff",
            "1e999",
        ),
        *_RESOURCES[:4],
        *_VALUES[:20],
    )
)


class PolicyTarget(Pure):
    """The reader and the evaluation of gateway/policy."""

    name = "policy"

    def __init__(self) -> None:
        rng = Random("policy")
        self._mutate = Mutator([_document(rng) for _ in range(40)], _TOKENS, most=24 * 1024)

    def generate(self, rng: Random) -> bytes:
        document = _document(rng) if rng.random() < 0.6 else self._mutate.seed(rng)
        return self._mutate(rng, document) if rng.random() < 0.6 else document

    def check(self, case: bytes) -> None:
        try:
            text = case.decode()
            policy = parse_policy(text, BUCKET)
        except (BadPolicy, UnicodeDecodeError):
            return
        again = parse_policy(json.dumps(json.loads(text)), BUCKET)
        rng = Random(zlib.crc32(case))
        if type(is_public(policy)) is not bool:
            raise Finding("whether a policy is public is no yes or no")
        for _ in range(4):
            request = _request(rng)
            first, second = judge(policy, request), judge(again, request)
            if first != second:
                raise Finding(f"{first} became {second} when the document was written down again")

    def request(self, case: bytes) -> bytes:
        """The case as the policy of a bucket."""
        digest = base64.b64encode(hashlib.md5(case, usedforsecurity=False).digest())
        return signed_request(b"PUT", b"/bucket", [(b"policy", b"")], [(b"content-md5", digest)], case)


def _document(rng: Random) -> bytes:
    statements = [_statement(rng) for _ in range(1 + int(4 * rng.random() ** 2))]
    document: dict[str, Any] = {
        "Version": pick(rng, ("2012-10-17", "2012-10-17", "2008-10-17")),
        "Statement": statements,
    }
    if rng.random() < 0.2:
        document["Id"] = pick(rng, _VALUES)
    return json.dumps(document).encode()


def _statement(rng: Random) -> dict[str, Any]:
    denies = rng.random() < 0.4
    statement: dict[str, Any] = {"Effect": "Deny" if denies else "Allow"}
    principal = _PRINCIPALS[below(rng, 5 if rng.random() < 0.9 else len(_PRINCIPALS))]
    statement["NotPrincipal" if denies and rng.random() < 0.3 else "Principal"] = principal
    statement["NotAction" if rng.random() < 0.1 else "Action"] = _one_or_more(rng, _action)
    statement["NotResource" if rng.random() < 0.1 else "Resource"] = _one_or_more(
        rng, lambda rng: _RESOURCES[below(rng, 5 if rng.random() < 0.9 else len(_RESOURCES))]
    )
    if rng.random() < 0.5:
        kind = pick(rng, _KINDS)
        apt = next((values for prefix, values in _APT.items() if kind.startswith(prefix)), _VALUES)
        operator = kind if kind == "Null" else pick(rng, ("", "", "", "ForAllValues:", "ForAnyValue:")) + kind
        operator += "" if kind == "Null" else pick(rng, ("", "", "IfExists"))
        values = _one_or_more(rng, _value if rng.random() < 0.15 else lambda rng: pick(rng, apt))
        statement["Condition"] = {operator: {pick(rng, _KEYS): values}}
    if rng.random() < 0.1:
        statement["Sid"] = pick(rng, _VALUES)
    return statement


def _one_or_more(rng: Random, make: Callable[[Random], Any]) -> Any:
    return make(rng) if rng.random() < 0.6 else [make(rng) for _ in range(below(rng, 4) or below(rng, 2))]


def _action(rng: Random) -> str:
    action = pick(rng, _ACTIONS)
    return (
        action
        if rng.random() < 0.5
        else pick(rng, ("*", "s3:*", action[: 3 + below(rng, 12)] + "*", "s3:?et*", "S3:GETOBJECT"))
    )


def _value(rng: Random) -> Any:
    chance = rng.random()
    if chance < 0.1:
        return pick(rng, (1, True, 1.5, None, -(10**30), [], float("inf")))
    return number(rng).decode() if chance < 0.3 else pick(rng, _VALUES)


def _request(rng: Random) -> PolicyRequest:
    key = pick(rng, ("", "/k", "/home/alice/x", "/a*b", "/" + "ab" * 200, "/\x00", "/\ud800"))
    told: dict[str, Sequence[str] | None] = {}

    def context(name: str) -> Sequence[str] | None:
        if name not in told:
            count = below(rng, 4) - 1
            told[name] = None if count < 0 else [pick(rng, _VALUES) for _ in range(count)]
        return told[name]

    # What a key says must not depend on who asks first.
    for name in ("aws:username", "aws:userid"):
        context(name)
    known = {name: context(name) for name in _KEYS[:: 1 + below(rng, 9)]}
    known |= told
    return PolicyRequest(pick(rng, CALLERS), pick(rng, _ACTIONS), f"arn:aws:s3:::{BUCKET}{key}", known.get)
