"""Signature Version 2 in the query, for one purpose: presigned URLs.

boto3 and aws-cli 1 still make them by default for us-east-1. Of Version 2 only forms are spoken besides. It signs less
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

from gateway.auth.errors import AccessDenied, AuthError, InvalidArgument, InvalidToken, SignatureDoesNotMatch

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
COPIES = frozenset({b"content-type", b"content-md5"})
"""Headers of which boto3 puts a copy into the query; what is signed is the header alone."""

_AMZ = b"x-amz-"
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
        if name == b"x-amz-security-token":
            raise InvalidToken
        if name not in PARAMETERS and name not in SIGNED_KEYS and name not in COPIES and not name.startswith(_AMZ):
            raise AccessDenied(f"The query parameter {name.decode('latin-1')} is not signed by this kind of URL")
        if name in found:
            raise InvalidArgument("A query parameter was sent twice", ArgumentName=name.decode("latin-1"))
        found[name] = value
    if not found.keys() >= PARAMETERS:
        raise AccessDenied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    if not _DIGITS(found[b"Expires"]):
        raise AccessDenied("Invalid date (should be seconds since epoch)")
    return Presigned(found[b"AWSAccessKeyId"].decode("latin-1"), int(found[b"Expires"]), found[b"Signature"])


def strings_to_sign(
    method: str, resource: bytes, pairs: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes], expires: int
) -> list[bytes]:
    """What may have been signed: method, digest, type, expiry, every ``x-amz-`` header, path and sub-resources.

    ``resource`` is the raw path with the bucket in front. A bucket may be signed with or without a slash at its end. An
    ``x-amz-`` header may stand in the query; one that was sent as such counts.
    """
    amz = {name: value for name, value in (*pairs, *headers.items()) if name.startswith(_AMZ)}
    signed = sorted(pair for pair in pairs if pair[0] in SIGNED_KEYS)
    query = b"&".join(name + b"=" + value if value else name for name, value in signed)
    resources = [resource, resource + b"/"] if resource.count(b"/") == 1 else [resource]
    return [
        b"\n".join(
            (
                method.encode(),
                headers.get(b"content-md5", b""),
                headers.get(b"content-type", b""),
                b"%d" % expires,
                *(name + b":" + amz[name] for name in sorted(amz)),
                each + b"?" + query if query else each,
            )
        )
        for each in resources
    ]


def check(presigned: Presigned, secret: str, strings: Sequence[bytes]) -> AuthError | None:
    """None when the signature is right for any of the strings, else the refusal; in constant time."""
    key = secret.encode()
    matches = [
        hmac.compare_digest(base64.b64encode(hmac.digest(key, string, "sha1")), presigned.signature)
        for string in strings
    ]
    if any(matches):
        return None
    return SignatureDoesNotMatch(
        AWSAccessKeyId=presigned.access_key,
        StringToSign=strings[0].decode("utf-8", "replace"),
        SignatureProvided=presigned.signature.decode("latin-1"),
        StringToSignBytes=strings[0].hex(" "),
    )
