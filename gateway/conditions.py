"""Conditional requests: pure functions over what is stored now.

RFC 9110 section 13 for reads; S3's conditional writes and deletes
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html) for the rest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from gateway.errors import NotModified, ObjectNotFound, PreconditionFailed


@dataclass(frozen=True, slots=True)
class ReadConditions:
    """Conditions of GET, HEAD and of a copy's source. Times are Unix milliseconds, full seconds."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: int | None = None
    if_unmodified_since: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class WriteConditions:
    """Conditions of PUT, COPY, complete and DELETE on the object that is there now."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_match_modified_at: int | None = None
    if_match_size: int | None = None

    def __bool__(self) -> bool:
        return (
            self.if_match is not None
            or self.if_none_match is not None
            or self.if_match_modified_at is not None
            or self.if_match_size is not None
        )


UNCONDITIONAL = WriteConditions()


def matches(header: str, etag: str) -> bool:
    """Whether an If-Match style list of quoted or bare ETags, or ``*``, names ``etag``."""
    if header.strip() == "*":
        return True
    return any(_bare(item) == etag for item in header.split(","))


def _bare(item: str) -> str:
    item = item.strip()
    if item.startswith("W/"):
        item = item[2:]
    return item[1:-1] if len(item) >= 2 and item[0] == item[-1] == '"' else item


def check_read(conditions: ReadConditions, etag: str, modified_at: int) -> None:
    """Raise PreconditionFailed or NotModified unless the conditions allow the read (RFC 9110, 13.2.2)."""
    second = modified_at // 1000 * 1000
    if conditions.if_match is not None:
        if not matches(conditions.if_match, etag):
            raise PreconditionFailed("If-Match")
    elif conditions.if_unmodified_since is not None and second > conditions.if_unmodified_since:
        raise PreconditionFailed("If-Unmodified-Since")
    if conditions.if_none_match is not None:
        if matches(conditions.if_none_match, etag):
            raise NotModified(etag, modified_at)
    elif (
        conditions.if_modified_since is not None
        # RFC 9110, 13.1.3: a date that is yet to come says nothing.
        and second <= conditions.if_modified_since <= time.time() * 1000
    ):
        raise NotModified(etag, modified_at)


def check_copy_source(conditions: ReadConditions, etag: str, modified_at: int) -> None:
    """As ``check_read``, but a copy has no 304: each failure is PreconditionFailed."""
    try:
        check_read(conditions, etag, modified_at)
    except NotModified:
        name = "If-None-Match" if conditions.if_none_match is not None else "If-Modified-Since"
        raise PreconditionFailed(f"x-amz-copy-source-{name}") from None
    except PreconditionFailed as error:
        raise PreconditionFailed(f"x-amz-copy-source-{error.condition}") from None


def check_write(conditions: WriteConditions, bucket: str, key: str, present: tuple[str, int, int] | None) -> None:
    """Raise unless a write may replace ``present``, the (etag, size, modified_at) that is there, or None.

    If-Match on an absent object is ObjectNotFound, as S3 has it.
    """
    if conditions.if_match is not None:
        if present is None:
            raise ObjectNotFound(bucket, key)
        if not matches(conditions.if_match, present[0]):
            raise PreconditionFailed("If-Match")
    if conditions.if_none_match is not None and present is not None and matches(conditions.if_none_match, present[0]):
        raise PreconditionFailed("If-None-Match")
    if present is None:
        return
    if conditions.if_match_size is not None and conditions.if_match_size != present[1]:
        raise PreconditionFailed("x-amz-if-match-size")
    if conditions.if_match_modified_at is not None and conditions.if_match_modified_at // 1000 != present[2] // 1000:
        raise PreconditionFailed("x-amz-if-match-last-modified-time")
