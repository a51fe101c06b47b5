"""Object lock: which versions may not go, and how a lock may change. Pure functions of what is stored and the time.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from gateway.bucket_configs import OBJECT_LOCK
from gateway.errors import ObjectLocked
from gateway.types import Bucket, Lock

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
MODES = frozenset({GOVERNANCE, COMPLIANCE})
_DAY = 86_400_000
_YEAR = 365 * _DAY


@dataclass(frozen=True, slots=True)
class DefaultRetention:
    """What a bucket retains new versions by, where a request does not say."""

    mode: str | None = None
    days: int | None = None
    years: int | None = None

    def until(self, now: int) -> int:
        return now + (self.days * _DAY if self.days is not None else (self.years or 0) * _YEAR)

    def dump(self) -> str:
        return json.dumps([self.mode, self.days, self.years])


def load_default(text: str) -> DefaultRetention:
    return DefaultRetention(*json.loads(text))


def lock_config(bucket: Bucket) -> DefaultRetention | None:
    """The bucket's object lock configuration; None where object lock is off."""
    return bucket.config(OBJECT_LOCK, load_default) if bucket.configs else None


def lock_of_new(bucket: Bucket, asked: Lock | None, now: int) -> Lock | None:
    """The lock of a new version: as asked, the rest by the bucket's default."""
    default = lock_config(bucket)
    if default is None or default.mode is None or (asked is not None and asked.mode is not None):
        return asked
    return replace(asked or Lock(), mode=default.mode, until=default.until(now))


def check_removal(lock: Lock | None, now: int, bypass: bool) -> None:
    """Raise ObjectLocked for a version that may not be deleted. ``bypass`` overrides GOVERNANCE alone."""
    if lock is None:
        return
    if lock.legal_hold or (_in_force(lock, now) and not (lock.mode == GOVERNANCE and bypass)):
        raise ObjectLocked


def is_locked(lock: Lock | None, now: int) -> bool:
    """Whether nobody may delete a version without bypassing anything."""
    return lock is not None and (bool(lock.legal_hold) or _in_force(lock, now))


def check_retention_change(lock: Lock | None, mode: str | None, until: int | None, now: int, bypass: bool) -> None:
    """Raise ObjectLocked where a retention in force would be shortened, removed or weakened against its mode."""
    if lock is None or not _in_force(lock, now):
        return
    stays = mode == lock.mode and until is not None and lock.until is not None and until >= lock.until
    if not stays and not (lock.mode == GOVERNANCE and bypass):
        raise ObjectLocked


def _in_force(lock: Lock, now: int) -> bool:
    return lock.mode is not None and lock.until is not None and lock.until > now
