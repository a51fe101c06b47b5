"""Server access logging: where the records of a bucket's requests go, and under which keys. Pure values.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from gateway.acl import FULL_CONTROL, GROUP, LOG_DELIVERY, WRITE, Acl, Grant
from gateway.bucket_configs import LOGGING, REQUEST_PAYMENT
from gateway.locks import lock_config
from gateway.types import Bucket

EVENT_TIME, DELIVERY_TIME = "EventTime", "DeliveryTime"
DATE_SOURCES = frozenset({EVENT_TIME, DELIVERY_TIME})
SIMPLE = "Simple"
"""The key format that says in words what holds without any."""


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Where a bucket's records go."""

    bucket: str
    prefix: str = ""
    grants: Acl = ()
    """Who may read the logs besides the owner of the target, where ACLs are in force."""
    key_format: str | None = None
    """``Simple``, ``EventTime`` or ``DeliveryTime``; None where nobody said."""

    def dump(self) -> str:
        return json.dumps([self.bucket, self.prefix, self.grants, self.key_format])

    def day_of(self, event: float) -> int | None:
        """The day whose records share an object with one of this moment; None where any may."""
        return int(event // 86_400) if self.key_format == EVENT_TIME else None


def load_target(text: str) -> LogTarget:
    bucket, prefix, grants, key_format = json.loads(text)
    return LogTarget(bucket, prefix, tuple(Grant(*grant) for grant in grants), key_format)


def log_target(bucket: Bucket) -> LogTarget | None:
    """Where the bucket's records go; None where it keeps none."""
    return bucket.config(LOGGING, load_target) if bucket.configs else None


def log_key(target: LogTarget, source: Bucket, day: int | None, now: float, unique: str) -> str:
    """The key of a log object.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PartitionedPrefix.html: by the time of the event an object holds
    one day, whose hour is written as zero.
    """
    moment = time.gmtime(now if day is None else day * 86_400)
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S", moment)
    if target.key_format in DATE_SOURCES:
        folder = f"{source.tenant}/{source.region}/{source.name}/{time.strftime('%Y/%m/%d', moment)}/"
        return f"{target.prefix}{folder}{stamp}-{unique}"
    return f"{target.prefix}{stamp}-{unique}"


def unfit_target(target: Bucket) -> str | None:
    """Why no logs can be delivered to a bucket, if so.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html: neither Requester Pays nor a default
    retention period.
    """
    if target.configs.get(REQUEST_PAYMENT):
        return "The target bucket for logging must not have Requester Pays enabled"
    lock = lock_config(target)
    if lock is not None and lock.mode is not None:
        return "The target bucket for logging must not have a default retention period"
    return None


def acl_lets_logs_in(target: Bucket) -> bool:
    """Whether the ACL lets the log delivery group write; the caller knows whether ACLs are in force."""
    return any(
        grant.kind == GROUP and grant.grantee == LOG_DELIVERY and grant.permission in (WRITE, FULL_CONTROL)
        for grant in target.acl or ()
    )
