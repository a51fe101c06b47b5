"""Integrity of request bodies that are documents: what the client says of its XML must be so before it is parsed."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from gateway import checksums
from gateway.s3.errors import BadDigest, InvalidDigest, InvalidRequest, NotImplemented_
from gateway.s3.model import Operation

_PREFIX = b"x-amz-checksum-"
_ABOUT_THE_CHECKSUM = frozenset({b"x-amz-checksum-algorithm", b"x-amz-checksum-type", b"x-amz-checksum-mode"})


def verify_document(
    operation: Operation, body: bytes, headers: Mapping[bytes, bytes], trailers: Mapping[str, str]
) -> None:
    """Check Content-MD5 and every checksum, sent before or after the body.

    Raises InvalidDigest, BadDigest, InvalidRequest, and NotImplemented for an algorithm that cannot be checked.
    """
    told = _told_checksums(operation, headers, trailers)
    md5 = headers.get(b"content-md5")
    if md5 is not None:
        _verify_md5(md5, body)
    for header, text in told.items():
        _verify_checksum(header, text, body)
    if operation.checksum_required and md5 is None and not told:
        raise InvalidRequest("Missing required header for this request: Content-MD5")


def _told_checksums(
    operation: Operation, headers: Mapping[bytes, bytes], trailers: Mapping[str, str]
) -> dict[str, str]:
    """Checksums by header name; those that are members of the operation are about an object, not about the body."""
    told = {name: text for name, text in trailers.items() if name in checksums.HEADERS}
    for name in headers:
        if name.startswith(_PREFIX) and name not in _ABOUT_THE_CHECKSUM:
            told[name.decode("latin-1")] = headers[name].decode("latin-1")
    if told:
        for member in operation.inputs:
            told.pop(member.wire.lower(), None)
    return told


def _verify_md5(text: bytes, body: bytes) -> None:
    try:
        expected = base64.b64decode(text, validate=True)
    except binascii.Error:
        expected = b""
    if len(expected) != 16:
        raise InvalidDigest(**{"Content-MD5": text.decode("latin-1")})
    computed = hashlib.md5(body, usedforsecurity=False).digest()
    if computed != expected:
        raise BadDigest(ExpectedDigest=text.decode("latin-1"), CalculatedDigest=base64.b64encode(computed).decode())


def _verify_checksum(header: str, text: str, body: bytes) -> None:
    algorithm = checksums.HEADERS.get(header)
    if algorithm is None:
        raise NotImplemented_(Header=header)
    try:
        expected = checksums.decode(algorithm, text)
    except ValueError:
        raise InvalidRequest(f"Value for {header} header is invalid.") from None
    hasher = checksums.new(algorithm)
    hasher.update(body)
    if hasher.digest() != expected:
        raise BadDigest(f"The {algorithm} you specified did not match the calculated checksum.")
