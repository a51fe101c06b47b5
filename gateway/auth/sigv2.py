"""Signature Version 2 in the query, for one purpose: presigned URLs.

boto3 and aws-cli 1 still make them by default for us-east-1. Nothing else of Version 2 is spoken here. It signs less
than Version 4, so what it leaves out may not be there: a query key that it does not sign refuses the request. The host
is not signed, but the bucket that it names is.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.auth.errors import AccessDenied, AuthError, InvalidArgument, SignatureDoesNotMatch

PARAMETERS = frozenset({b"AWSAccessKeyId", b"Signature", b"Expires"})
SIGNED_KEYS = frozenset(
    {
        *(b"acl", b"cors", b"delete", b"lifecycle", b"location", b"logging", b"notification", b"object-lock"),
        *(b"partNumber", b"policy", b"requestPayment", b"restore", b"tagging", b"torrent", b"uploadId", b"uploads"),
        *(b"versionId", b"versioning", b"versions", b"website"),
        *(b"response-cache-control", b"response-content-disposition", b"response-content-encoding"),
        *(b"response-content-language", b"response-content-type", b"response-expires"),
    }
)
"""Query keys that are part of what is signed."""

_DIGITS = re.compile(rb"[0-9]{1,12}").fullmatch


class Presigned(NamedTuple):
    """What a presigned request says of its signature."""

    access_key: str
    expires: int
    """Unix seconds."""
    signature: bytes


def read(pairs: Sequence[tuple[bytes, bytes]]) -> Presigned:
    """The parameters, each sent once. Raises AccessDenied for what is missing or not signed, InvalidArgument."""
    found: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name not in PARAMETERS and name not in SIGNED_KEYS:
            raise AccessDenied(f"The query parameter {name.decode('latin-1')} is not signed by this kind of URL")
        if name in found:
            raise InvalidArgument("A query parameter was sent twice", ArgumentName=name.decode("latin-1"))
        found[name] = value
    if not found.keys() >= PARAMETERS:
        raise AccessDenied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    if not _DIGITS(found[b"Expires"]):
        raise AccessDenied("Invalid date (should be seconds since epoch)")
    return Presigned(found[b"AWSAccessKeyId"].decode("latin-1"), int(found[b"Expires"]), found[b"Signature"])


def string_to_sign(
    method: str, path: bytes, pairs: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes], expires: int
) -> bytes:
    """What was signed: method, digest, type, expiry, every ``x-amz-`` header, path from the bucket on, its keys."""
    amz = sorted((name, value) for name, value in headers.items() if name.startswith(b"x-amz-"))
    resource = path
    signed = sorted(pair for pair in pairs if pair[0] in SIGNED_KEYS)
    if signed:
        resource += b"?" + b"&".join(name + b"=" + value if value else name for name, value in signed)
    return b"\n".join(
        (
            method.encode(),
            headers.get(b"content-md5", b""),
            headers.get(b"content-type", b""),
            b"%d" % expires,
            *(name + b":" + value for name, value in amz),
            resource,
        )
    )


def check(presigned: Presigned, secret: str, string: bytes) -> AuthError | None:
    """None when the signature is right, else the refusal; in constant time."""
    expected = base64.b64encode(hmac.digest(secret.encode(), string, "sha1"))
    if hmac.compare_digest(expected, presigned.signature):
        return None
    return SignatureDoesNotMatch(
        AWSAccessKeyId=presigned.access_key,
        StringToSign=string.decode("utf-8", "replace"),
        SignatureProvided=presigned.signature.decode("latin-1"),
        StringToSignBytes=string.hex(" "),
    )
