"""Object lock: a bucket's default retention, a version's retention and legal hold.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.locks import MODES, DefaultRetention, lock_config, lock_of_new
from gateway.objects import now_ms
from gateway.s3.call import Call
from gateway.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    InvalidRetentionPeriod,
    MalformedXML,
    NoSuchObjectLockConfiguration,
    ObjectLockConfigurationNotFoundError,
)
from gateway.s3.operations.common import version_of
from gateway.s3.operations.opening import open_bucket, open_object, permit
from gateway.s3.operations.registry import operation
from gateway.types import Bucket, Lock

MAX_DAYS, MAX_YEARS = 36_500, 100
_MEMBERS = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
_ASKING = frozenset(_MEMBERS)
_NO_TOKEN = {"Token": "object lock is turned on without asking anybody else"}
_UNLOCKED = "Bucket is missing Object Lock Configuration"


@operation(ignores=_NO_TOKEN)
async def put_object_lock_configuration(
    call: Call,
    *,
    Bucket: str,
    ObjectLockConfiguration: dict[str, Any] | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Turn object lock on, with the retention that new versions get, or with none."""
    bucket = await open_bucket(call, "s3:PutBucketObjectLockConfiguration", Bucket, None, ExpectedBucketOwner)
    configuration = ObjectLockConfiguration or {}
    if configuration.get("ObjectLockEnabled") != "Enabled":
        raise MalformedXML
    rule = configuration.get("Rule")
    default = DefaultRetention() if rule is None else _default_retention(rule.get("DefaultRetention") or {})
    await call.core.buckets.set_object_lock(bucket, default)
    return {}


def _default_retention(told: Mapping[str, Any]) -> DefaultRetention:
    """Raises MalformedXML, InvalidArgument, InvalidRetentionPeriod."""
    mode, days, years = told.get("Mode"), told.get("Days"), told.get("Years")
    if mode not in MODES or (days is None) == (years is None):
        raise MalformedXML
    if (days or years or 0) <= 0:
        raise InvalidRetentionPeriod("Default retention period must be a positive integer value.")
    if (days or 0) > MAX_DAYS or (years or 0) > MAX_YEARS:
        raise InvalidRetentionPeriod("Default retention period is too large.")
    return DefaultRetention(mode, days, years)


@operation
async def get_object_lock_configuration(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Whether object lock is on, and the default retention."""
    bucket = await open_bucket(call, "s3:GetBucketObjectLockConfiguration", Bucket, None, ExpectedBucketOwner)
    default = lock_config(bucket)
    if default is None:
        raise ObjectLockConfigurationNotFoundError(BucketName=Bucket)
    shown: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
    if default.mode is not None:
        retention = {"Mode": default.mode, "Days": default.days, "Years": default.years}
        shown["Rule"] = {"DefaultRetention": retention}
    return {"ObjectLockConfiguration": shown}


@operation
async def put_object_retention(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    Retention: dict[str, Any] | None = None,
    VersionId: str | None = None,
    BypassGovernanceRetention: bool | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Retain a version, longer than before; an empty retention removes one that may be bypassed."""
    bucket, _ = await open_object(call, "s3:PutObjectRetention", Bucket, Key, ExpectedBucketOwner, VersionId)
    _require_lock(bucket)
    if BypassGovernanceRetention:
        permit(call, "s3:BypassGovernanceRetention", bucket, Key)
    mode, until = (Retention or {}).get("Mode"), (Retention or {}).get("RetainUntilDate")
    if (mode is None) != (until is None) or (mode is not None and mode not in MODES):
        raise MalformedXML
    await call.core.objects.set_retention(
        bucket,
        Key,
        version_of(VersionId),
        mode,
        None if until is None else _future(until),
        bypass=bool(BypassGovernanceRetention),
    )
    return {}


@operation
async def get_object_retention(
    call: Call, *, Bucket: str, Key: str, VersionId: str | None = None, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """A version's retention."""
    bucket, info = await open_object(call, "s3:GetObjectRetention", Bucket, Key, ExpectedBucketOwner, VersionId)
    _require_lock(bucket)
    if info.lock is None or info.lock.mode is None:
        raise NoSuchObjectLockConfiguration
    return {"Retention": {"Mode": info.lock.mode, "RetainUntilDate": info.lock.until}}


@operation
async def put_object_legal_hold(
    call: Call,
    *,
    Bucket: str,
    Key: str,
    LegalHold: dict[str, Any] | None = None,
    VersionId: str | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Put a version under a legal hold, or lift it."""
    bucket, _ = await open_object(call, "s3:PutObjectLegalHold", Bucket, Key, ExpectedBucketOwner, VersionId)
    status = (LegalHold or {}).get("Status")
    if status not in ("ON", "OFF"):
        raise MalformedXML
    _require_lock(bucket)
    await call.core.objects.set_legal_hold(bucket, Key, version_of(VersionId), status == "ON")
    return {}


@operation
async def get_object_legal_hold(
    call: Call, *, Bucket: str, Key: str, VersionId: str | None = None, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Whether a version is under a legal hold."""
    bucket, info = await open_object(call, "s3:GetObjectLegalHold", Bucket, Key, ExpectedBucketOwner, VersionId)
    _require_lock(bucket)
    if info.lock is None or info.lock.legal_hold is None:
        raise NoSuchObjectLockConfiguration
    return {"LegalHold": {"Status": "ON" if info.lock.legal_hold else "OFF"}}


def _require_lock(bucket: Bucket) -> None:
    if lock_config(bucket) is None:
        raise InvalidRequest(_UNLOCKED)


def _future(until: datetime) -> int:
    """A date to retain until, in Unix milliseconds. Raises InvalidArgument for the past."""
    when = int(until.timestamp() * 1000)
    if when <= now_ms():
        raise InvalidArgument("The retain until date must be in the future!", ArgumentName="RetainUntilDate")
    return when


# -- locks of what is being written


def _refuse_lock(members: Mapping[str, Any]) -> None:
    """Raise InvalidRequest when a write to a bucket without object lock asks for one."""
    if not _ASKING.isdisjoint(members) and any(members[name] is not None for name in _ASKING & members.keys()):
        raise InvalidRequest(_UNLOCKED)


async def new_object_lock(call: Call, bucket: Bucket, members: Mapping[str, Any], *, whole: bool = True) -> Lock | None:
    """The lock that a write asks for; its bucket's default completes it when the object is named.

    ``whole`` is for requests that carry the body: AWS wants a digest of what cannot be taken back.
    Raises InvalidRequest, InvalidArgument.
    """
    if lock_config(bucket) is None:
        _refuse_lock(members)
        return None
    mode, until, hold = map(members.get, _MEMBERS)
    if (mode is None) != (until is None):
        raise InvalidArgument(
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            ArgumentName="x-amz-object-lock-mode" if mode is None else "x-amz-object-lock-retain-until-date",
        )
    if mode is not None and mode not in MODES:
        raise InvalidArgument("Unknown wormMode directive.", ArgumentName="x-amz-object-lock-mode", ArgumentValue=mode)
    if hold not in (None, "ON", "OFF"):
        raise InvalidArgument(
            "Legal Hold must be either of 'ON' or 'OFF'",
            ArgumentName="x-amz-object-lock-legal-hold",
            ArgumentValue=hold,
        )
    if mode is not None:
        permit(call, "s3:PutObjectRetention", bucket, members["Key"])
    if hold is not None:
        permit(call, "s3:PutObjectLegalHold", bucket, members["Key"])
    asked = None
    if mode is not None or hold is not None:
        asked = Lock(mode, None if until is None else _future(until), None if hold is None else hold == "ON")
    if whole and lock_of_new(bucket, asked, 0) is not None and not _carries_digest(call):
        raise InvalidRequest(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
        )
    return asked


def _carries_digest(call: Call) -> bool:
    return any(
        name == b"content-md5" or name.startswith((b"x-amz-checksum-", b"x-amz-trailer")) for name in call.headers
    )
