"""What the door adds for pages of other origins: headers on answers, and the answers to preflights.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html

As on AWS, Access-Control-Request-Method stands for the method and Access-Control-Request-Headers is held against the
rules on every request that carries them, preflight or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.bucket_configs import CORS
from gateway.cors import METHODS, CorsRule, CorsRules, load
from gateway.errors import BucketNotFound
from gateway.s3.errors import AccessForbidden, BadRequestError
from gateway.types import Bucket

if TYPE_CHECKING:
    from gateway.core import Core
    from gateway.s3.render import Response

Headers = list[tuple[bytes, bytes]]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)
_VARY = (b"vary", b"Origin, Access-Control-Request-Headers, Access-Control-Request-Method")


async def allowance(core: Core, bucket: str, method: str, headers: Mapping[bytes, bytes]) -> Headers:
    """The headers that let the page of the request's origin see the answer; none where no rule does."""
    try:
        rules = _rules_of(await core.buckets.find(bucket))
    except BucketNotFound:
        return []
    if rules is None:
        return []
    asked = headers.get(b"access-control-request-method", method.encode()).decode("latin-1")
    requested = _requested_headers(headers)
    rule = rules.match(headers[b"origin"].decode("latin-1"), asked, requested)
    if rule is None or not all(map(_TOKEN.fullmatch, requested)):
        return []
    return _headers(rule, headers[b"origin"], requested)


async def preflight(core: Core, bucket: str, key: str, headers: Mapping[bytes, bytes]) -> Response:
    """The answer to a browser that asks, without credentials, what a page may send.

    Raises BadRequest, and AccessForbidden where the page may not.
    """
    origin = headers.get(b"origin")
    if not origin:
        raise BadRequestError("Insufficient information. Origin request header needed.")
    told = headers.get(b"access-control-request-method")
    method = told.decode("latin-1") if told is not None else None
    try:
        rules = _rules_of(await core.buckets.find(bucket)) if bucket else None
    except BucketNotFound:
        raise _forbidden("CORSResponse: Bucket not found", method) from None
    if rules is None:
        raise _forbidden(AccessForbidden.message, method)
    if method not in METHODS:
        raise BadRequestError(f"Invalid Access-Control-Request-Method: {'null' if method is None else method}")
    requested = _requested_headers(headers)
    for name in requested:
        if not _TOKEN.fullmatch(name):
            raise BadRequestError(f'Access-Control-Request-Headers "{name}" contains invalid character.')
    rule = rules.match(origin.decode("latin-1"), method, requested)
    if rule is None:
        raise _forbidden(_NOT_ALLOWED, method, "OBJECT" if key else "BUCKET")
    return 200, [*_headers(rule, origin, requested), (b"content-length", b"0")], b""


def _rules_of(bucket: Bucket) -> CorsRules | None:
    return bucket.config(CORS, load) if bucket.configs else None


def _forbidden(message: str, method: str | None, resource: str = "BUCKET") -> AccessForbidden:
    return AccessForbidden(message, Method=method or "OPTIONS", ResourceType=resource)


def _requested_headers(headers: Mapping[bytes, bytes]) -> list[str]:
    raw = headers.get(b"access-control-request-headers", b"").decode("latin-1")
    return [name for item in raw.split(",") if (name := item.strip().lower())]


def _headers(rule: CorsRule, origin: bytes, requested: Sequence[str]) -> Headers:
    anybody = rule.allows_anybody
    headers = [
        (b"access-control-allow-origin", b"*" if anybody else origin),
        (b"access-control-allow-methods", ", ".join(rule.methods).encode()),
    ]
    if requested:
        headers.append((b"access-control-allow-headers", ", ".join(requested).encode("latin-1")))
    if rule.exposed:
        headers.append((b"access-control-expose-headers", ", ".join(rule.exposed).encode()))
    if rule.max_age is not None:
        headers.append((b"access-control-max-age", b"%d" % rule.max_age))
    if not anybody:
        headers.append((b"access-control-allow-credentials", b"true"))
    return [*headers, _VARY]
