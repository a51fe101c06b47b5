"""Rules for requests of pages of other origins; ``gateway.s3.cross_origin`` applies them.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.bucket_configs import CORS
from gateway.cors import METHODS, CorsRule, dump, load
from gateway.s3.call import Call
from gateway.s3.errors import InvalidRequest, MalformedXML, MaxMessageLengthExceeded, NoSuchCORSConfiguration
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation

MAX_RULES, MAX_ID, MAX_BYTES = 100, 255, 64 * 1024
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*")


@operation
async def put_bucket_cors(
    call: Call, *, Bucket: str, CORSConfiguration: dict[str, Any] | None = None, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Replace the bucket's rules."""
    bucket = await open_bucket(call, "s3:PutBucketCORS", Bucket, None, ExpectedBucketOwner)
    told = (CORSConfiguration or {}).get("CORSRules")
    if not told:
        raise MalformedXML
    if len(told) > MAX_RULES:
        raise InvalidRequest(f"The number of CORS rules should not exceed allowed limit of {MAX_RULES} rules.")
    text = dump([_rule(each) for each in told])
    if len(text) > MAX_BYTES:
        raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(MAX_BYTES))
    await call.core.buckets.set_config(bucket, CORS, text)
    return {}


@operation
async def get_bucket_cors(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """The bucket's rules, as they were put."""
    bucket = await open_bucket(call, "s3:GetBucketCORS", Bucket, None, ExpectedBucketOwner)
    rules = bucket.config(CORS, load)
    if rules is None:
        raise NoSuchCORSConfiguration(BucketName=Bucket)
    return {"CORSRules": [_shown(rule) for rule in rules.rules]}


@operation
async def delete_bucket_cors(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Remove the bucket's rules; there may be none."""
    # AWS asks for the same permission as for the Put.
    bucket = await open_bucket(call, "s3:PutBucketCORS", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, CORS, None)
    return {}


def _rule(told: Mapping[str, Any]) -> CorsRule:
    """Raises InvalidRequest, MalformedXML."""
    rule = CorsRule(
        origins=tuple(told["AllowedOrigins"]),
        methods=tuple(told["AllowedMethods"]),
        headers=tuple(told.get("AllowedHeaders") or ()),
        exposed=tuple(told.get("ExposeHeaders") or ()),
        max_age=told.get("MaxAgeSeconds"),
        id=told.get("ID"),
    )
    for method in rule.methods:
        if method not in METHODS:
            raise InvalidRequest(f"Found unsupported HTTP method in CORS config. Unsupported method is {method}")
    _check_wildcards("AllowedOrigin", rule.origins)
    _check_wildcards("AllowedHeader", rule.headers)
    for header in rule.exposed:
        if "*" in header:
            raise InvalidRequest(
                f'ExposeHeader "{header}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            )
    for element, headers in (("AllowedHeader", rule.headers), ("ExposeHeader", rule.exposed)):
        for header in headers:
            if not _HEADER.fullmatch(header):
                raise InvalidRequest(f'{element} "{header}" contains invalid character.')
    if rule.max_age is not None and rule.max_age < 0:
        raise MalformedXML
    if rule.id is not None and len(rule.id) > MAX_ID:
        raise InvalidRequest(f"ID length should not exceed allowed limit of {MAX_ID}")
    return rule


def _check_wildcards(element: str, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        if pattern.count("*") > 1:
            raise InvalidRequest(f'{element} "{pattern}" can not have more than one wildcard.')


def _shown(rule: CorsRule) -> dict[str, Any]:
    return {
        "ID": rule.id,
        "AllowedHeaders": list(rule.headers),
        "AllowedMethods": list(rule.methods),
        "AllowedOrigins": list(rule.origins),
        "ExposeHeaders": list(rule.exposed),
        "MaxAgeSeconds": rule.max_age,
    }
