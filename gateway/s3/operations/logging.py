"""Server access logging of a bucket into another.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html
"""

from __future__ import annotations

from typing import Any

from gateway import acl as acls
from gateway.acl import ENFORCED, Acl
from gateway.bucket_configs import LOGGING
from gateway.errors import BucketNotFound
from gateway.s3.call import Call
from gateway.s3.errors import (
    AccessDenied,
    CrossLocationLoggingProhibitted,
    InvalidArgument,
    InvalidTargetBucketForLogging,
    MalformedXML,
)
from gateway.s3.operations.buckets import CLASSIC
from gateway.s3.operations.grants import grant_from_document, shown_grants
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation
from gateway.server_logs import DATE_SOURCES, EVENT_TIME, SIMPLE, LogTarget, log_target, unfit_target
from gateway.types import Bucket

_PERMISSIONS = frozenset({acls.FULL_CONTROL, acls.READ, acls.WRITE, acls.READ_ACP, acls.WRITE_ACP})
"""AWS documents the first three, and takes all."""


@operation
async def put_bucket_logging(
    call: Call, *, Bucket: str, BucketLoggingStatus: dict[str, Any], ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Log the bucket's requests into a target, or no more where the status is empty.

    Whether the target lets the logs in is decided when they are delivered, as on AWS: its policy may come later.
    """
    bucket = await open_bucket(call, "s3:PutBucketLogging", Bucket, None, ExpectedBucketOwner)
    principal = call.principal
    # Whatever a policy says: only the bucket's own account sets where its logs go.
    if principal is None or not (principal.is_admin or principal.tenant == bucket.tenant):
        raise AccessDenied
    enabled = BucketLoggingStatus.get("LoggingEnabled")
    target = await _target(call, bucket, enabled) if enabled is not None else None
    await call.core.buckets.set_config(bucket, LOGGING, target.dump() if target is not None else None)
    return {}


async def _target(call: Call, source: Bucket, enabled: dict[str, Any]) -> LogTarget:
    name, prefix = enabled.get("TargetBucket"), enabled.get("TargetPrefix")
    if name is None or prefix is None:
        raise MalformedXML
    key_format = _key_format(enabled.get("TargetObjectKeyFormat"))
    target = await _target_bucket(call, source, name)
    grants = await _grants(call, enabled.get("TargetGrants") or [])
    if grants and target.ownership == ENFORCED:
        raise InvalidArgument(
            "Target grants are not supported for buckets with ObjectOwnership set to BucketOwnerEnforced",
            ArgumentName="TargetGrants",
        )
    return LogTarget(target.name, prefix, grants, key_format)


async def _target_bucket(call: Call, source: Bucket, name: str) -> Bucket:
    """The target, which must be of the same owner and in the same place."""
    try:
        target = await call.core.buckets.find(name)
    except BucketNotFound:
        raise InvalidTargetBucketForLogging("The target bucket for logging does not exist", TargetBucket=name) from None
    if (target.owner_id, target.tenant) != (source.owner_id, source.tenant):
        raise InvalidTargetBucketForLogging(
            "The owner for the bucket to be logged and the target bucket must be the same.", TargetBucket=name
        )
    if target.region != source.region:
        places = {} if source.region == CLASSIC else {"SourceBucketLocation": source.region}
        raise CrossLocationLoggingProhibitted(**places, TargetBucketLocation=target.region)
    if (reason := unfit_target(target)) is not None:
        raise InvalidTargetBucketForLogging(reason, TargetBucket=name)
    return target


def _key_format(told: dict[str, Any] | None) -> str | None:
    if told is None:
        return None
    if len(told) != 1:
        raise MalformedXML
    if "SimplePrefix" in told:
        return SIMPLE
    source: str = told["PartitionedPrefix"].get("PartitionDateSource") or EVENT_TIME
    if source not in DATE_SOURCES:
        raise MalformedXML
    return source


async def _grants(call: Call, told: list[dict[str, Any]]) -> Acl:
    return tuple([await grant_from_document(call, entry, _PERMISSIONS) for entry in told])


@operation
async def get_bucket_logging(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Where the bucket's requests are logged; nothing where they are not."""
    bucket = await open_bucket(call, "s3:GetBucketLogging", Bucket, None, ExpectedBucketOwner)
    target = log_target(bucket)
    if target is None:
        return {}
    enabled: dict[str, Any] = {"TargetBucket": target.bucket, "TargetPrefix": target.prefix}
    if target.grants:
        enabled["TargetGrants"] = await shown_grants(call, target.grants)
    if target.key_format == SIMPLE:
        enabled["TargetObjectKeyFormat"] = {"SimplePrefix": {}}
    elif target.key_format is not None:
        enabled["TargetObjectKeyFormat"] = {"PartitionedPrefix": {"PartitionDateSource": target.key_format}}
    return {"LoggingEnabled": enabled}
