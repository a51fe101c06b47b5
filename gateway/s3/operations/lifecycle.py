"""The lifecycle configuration of a bucket, and what answers about objects and uploads say of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from gateway.bucket_configs import LIFECYCLE
from gateway.lifecycle import Calendar, Lifecycle, lifecycle_of
from gateway.lifecycle.decide import Facts, abort, expiration
from gateway.lifecycle.rules import ALL_128K, DEFAULT_MINIMUMS
from gateway.s3.call import Call
from gateway.s3.errors import InvalidRequest, NoSuchLifecycleConfiguration
from gateway.s3.operations.lifecycle_rules import read_rules, rule_members
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation
from gateway.s3.values import http_date
from gateway.types import Bucket, ObjectInfo, Upload

_CALENDAR = Calendar()
"""Answers tell calendar days, whatever the worker takes for one."""
_PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"\\')


@operation
async def put_bucket_lifecycle_configuration(
    call: Call,
    *,
    Bucket: str,
    LifecycleConfiguration: dict[str, Any] | None = None,
    TransitionDefaultMinimumObjectSize: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Replace the bucket's rules; they are about what it holds already, too."""
    bucket = await open_bucket(call, "s3:PutLifecycleConfiguration", Bucket, None, ExpectedBucketOwner)
    minimum = TransitionDefaultMinimumObjectSize or ALL_128K
    if minimum not in DEFAULT_MINIMUMS:
        raise InvalidRequest(f"Invalid TransitionDefaultMinimumObjectSize found: {minimum}")
    bound = (await call.core.names.current()).classes
    rules = read_rules((LifecycleConfiguration or {}).get("Rules") or [], bound)
    await call.core.buckets.set_config(bucket, LIFECYCLE, Lifecycle(rules, minimum).dump())
    return {"TransitionDefaultMinimumObjectSize": minimum}


@operation
async def get_bucket_lifecycle_configuration(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """The bucket's rules, as they were put."""
    bucket = await open_bucket(call, "s3:GetLifecycleConfiguration", Bucket, None, ExpectedBucketOwner)
    lifecycle = lifecycle_of(bucket)
    if lifecycle is None:
        raise NoSuchLifecycleConfiguration(BucketName=Bucket)
    return {
        "Rules": [rule_members(rule) for rule in lifecycle.rules],
        "TransitionDefaultMinimumObjectSize": lifecycle.default_minimum,
    }


@operation
async def delete_bucket_lifecycle(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Remove the bucket's rules; there may be none."""
    # AWS asks for the same permission as for the Put.
    bucket = await open_bucket(call, "s3:PutLifecycleConfiguration", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, LIFECYCLE, None)
    return {}


# -- what answers say


def expiration_member(bucket: Bucket, info: ObjectInfo) -> dict[str, str]:
    """When what a key shows will expire, and by which rule: ``x-amz-expiration``."""
    lifecycle = lifecycle_of(bucket)
    if lifecycle is None or info.native is not None:  # no rule touches what lies in a native store
        return {}
    attributes = info.attributes
    facts = Facts(info.key, info.size, attributes.tags, attributes.storage_class, info.modified_at)
    due = expiration(lifecycle, _CALENDAR, facts)
    if due is None:
        return {}
    return {"Expiration": f'expiry-date="{http_date(due.at).decode()}", rule-id="{_header_text(due.rule.id)}"'}


def abort_members(bucket: Bucket, upload: Upload) -> dict[str, Any]:
    """When an upload will be aborted, and by which rule, if it is not completed before."""
    lifecycle = lifecycle_of(bucket)
    due = None if lifecycle is None else abort(lifecycle, _CALENDAR, upload.key, upload.initiated_at)
    return {} if due is None else {"AbortDate": due.at, "AbortRuleId": _header_text(due.rule.id)}


def _header_text(rule_id: str) -> str:
    """A rule's id as a header can carry it: AWS sends it as it is, and URL-encoded where that cannot be."""
    return quote(rule_id, safe=_PLAIN)
