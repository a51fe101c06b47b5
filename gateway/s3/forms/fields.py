"""The fields of a form that come before its file.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.auth.form import missing_field
from gateway.s3.errors import InvalidArgument, MalformedPOSTRequest, MaxPostPreDataLengthExceeded, PreconditionFailed
from gateway.s3.forms.file import FILE, FormFile, one_file_only
from gateway.s3.forms.framing import Framing, Part, is_form
from gateway.s3.forms.policy import read_policy

MAX_BEFORE_FILE = 20_480

_FILENAME = "${filename}"
_LITERAL = frozenset({"policy", "signature", "awsaccesskeyid", "x-amz-signature"})
"""Fields that are taken as they are: what was signed must not change."""
_AROUND_THE_LAST = len(b"\r\n----\r\n")
"""What stands around the boundary that ends a form."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, expanded, and its file, which is still to come."""

    sent: Mapping[str, tuple[str, str]]
    """Name as sent and value, by the name in lower case."""
    file: FormFile

    def get(self, name: str) -> str | None:
        field = self.sent.get(name)
        return None if field is None else field[1]

    @property
    def values(self) -> dict[str, str]:
        return {name: value for name, (_, value) in self.sent.items()}

    def check_policy(self, bucket: str) -> None:
        """Hold the form against its policy, if it has one: whatever it claims to be, it promised to be so.

        Raises InvalidPolicyDocument, AccessDenied.
        """
        policy = self.get("policy")
        if policy is not None:
            self.file.allowed = read_policy(policy).check(self.sent, bucket, datetime.now(UTC))

    @property
    def key(self) -> str:
        """The key of the object. Raises InvalidArgument where there is none."""
        key = self.get("key")
        if key is None:
            raise missing_field("key")
        if not key:
            raise InvalidArgument("User key must have a length greater than 0.", ArgumentName="key", ArgumentValue="")
        return key


def posts_form(raw_query: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a POST to a bucket, of none of its sub-resources, is a form. It has to prove itself by its fields alone.

    Raises PreconditionFailed, InvalidArgument.
    """
    multipart = is_form(headers.get(b"content-type", b""))
    if not raw_query and b"authorization" not in headers:
        if not multipart:
            raise PreconditionFailed(Condition="Bucket POST must be of the enclosure-type multipart/form-data")
        return True
    if multipart:
        name = "Authorization" if b"authorization" in headers else "query"
        raise InvalidArgument("A form is signed by its own fields and takes no query", ArgumentName=name)
    return False


async def read_form(body: AsyncIterator[bytes], boundary: bytes, length: int | None) -> Form:
    """Read up to where the file begins. ``length`` is the body's, where it is known.

    Raises MalformedPOSTRequest, MaxPostPreDataLengthExceeded, InvalidArgument.
    """
    framing = Framing(boundary)
    parts: list[tuple[Part, list[bytes]]] = []
    async for chunk in body:
        events = iter(framing.feed(chunk))
        for event in events:
            if isinstance(event, bytes):
                parts[-1][1].append(event)
                continue
            if event.offset > MAX_BEFORE_FILE:
                raise _too_long()
            if event.name.lower() == FILE:
                expected = None if length is None else length - event.offset - len(boundary) - _AROUND_THE_LAST
                return Form(_expand(_joined(parts), event.filename), FormFile(framing, list(events), body, expected))
            parts.append((event, []))
        if framing.offset > MAX_BEFORE_FILE:
            raise _too_long()
    framing.finish()
    raise one_file_only(0)


def _too_long() -> MaxPostPreDataLengthExceeded:
    return MaxPostPreDataLengthExceeded(MaxPostPreDataLengthBytes=str(MAX_BEFORE_FILE))


def _joined(parts: list[tuple[Part, list[bytes]]]) -> dict[str, tuple[str, str]]:
    """Fields by the name in lower case; values of one name are joined by commas, as policies expect it."""
    fields: dict[str, tuple[str, str]] = {}
    for part, pieces in parts:
        try:
            value = b"".join(pieces).decode()
        except UnicodeDecodeError:
            raise MalformedPOSTRequest from None
        name = part.name.lower()
        if name in fields:
            value = f"{fields[name][1]},{value}"
        fields[name] = (part.name, value)
    return fields


def _expand(fields: dict[str, tuple[str, str]], path: str | None) -> dict[str, tuple[str, str]]:
    """The fields with the file's name in them; as they are where the client told none."""
    if path is None:
        return fields
    filename = re.split(r"[/\\]", path)[-1]
    expanded = {
        name: (sent, value if name in _LITERAL else value.replace(_FILENAME, filename))
        for name, (sent, value) in fields.items()
    }
    # One name many times makes much of little.
    if sum(len(value) for _, value in expanded.values()) > MAX_BEFORE_FILE:
        raise _too_long()
    return expanded
