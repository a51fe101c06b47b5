"""One authenticated request on its way to a handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gateway.bodies import Source
from gateway.bucket_configs import LOGGING
from gateway.s3.model import Operation
from gateway.types import Bucket, Principal

if TYPE_CHECKING:
    from gateway.core import Core


class Body(Source, Protocol):
    """What a request brings to be stored: its own body, or a part of it."""

    def require_length(self) -> None:
        """Raise MissingContentLength when the request does not tell where the body ends."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a request did besides what it is called after: it has a line of its own in access logs."""

    bucket: Bucket
    action: str
    key: str
    status: int
    error: str
    size: int | None
    version_id: str


@dataclass(slots=True)
class Call:
    """What a handler may know of the request besides the members it declares."""

    operation: Operation
    principal: Principal | None
    core: Core
    method: str
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    """By lower-case name, undecoded."""
    body: Body
    request_id: str
    host: str
    """As the Host header says."""
    secure: bool
    client: str = ""
    """The address that the request came from."""
    auth_type: str = ""
    """How it is signed: REST-HEADER, REST-QUERY-STRING or POST; empty where it is not."""
    signature_version: str = ""
    signed_at: float | None = None
    """Unix seconds."""
    members: Mapping[str, Any] = field(default_factory=dict)
    """What the handler is called with, and what it need not take."""
    charged: bool = False
    """Whether the answer tells the requester that they pay."""
    acl_required: bool = False
    """Whether nothing but an ACL allowed the request."""
    notes: list[Note] | None = None

    def note(
        self,
        bucket: Bucket,
        action: str,
        key: str,
        status: int,
        error: str = "",
        *,
        size: int | None = None,
        version_id: str | None = None,
    ) -> None:
        """Leave word for the access log of a bucket, if it keeps one, of what this request does there besides."""
        if LOGGING in bucket.configs:
            if self.notes is None:
                self.notes = []
            self.notes.append(Note(bucket, action, key, status, error, size, version_id or ""))


@dataclass(slots=True, frozen=True)
class Answer:
    """A result with another status than the operation's own, or with headers that are no members of its output."""

    result: Mapping[str, Any]
    status: int | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


Result = Mapping[str, Any] | Answer
"""What a handler returns: boto3's output shape."""
