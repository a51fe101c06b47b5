"""How cases are signed: with one key, at one moment, so that a case stays what it is."""

from __future__ import annotations

import base64
import hashlib
import hmac

from gateway.auth import canonical, sigv2
from gateway.auth.errors import AuthError
from gateway.auth.sigv4 import Credential
from gateway.types import Principal

NOW = 1767268800.0
"""2026-01-01, noon."""
STAMP = b"20260101T120000Z"
SCOPE = b"20260101/us-east-1/s3/aws4_request"
ACCESS_KEY, SECRET = "NXGFUZZFUZZFUZZFUZZF", "secret"
USER = Principal("fuzz", "Fuzz", "7b" * 32, "default", False, ACCESS_KEY)
Headers = list[tuple[bytes, bytes]]

KEY = b"AWS4" + SECRET.encode()
for _part in SCOPE.split(b"/"):
    KEY = hmac.digest(KEY, _part, "sha256")


async def find(access_key: str) -> Credential | None:
    """What a verifier is told of an access key."""
    return Credential(SECRET, USER) if access_key == ACCESS_KEY else None


def _signature(method: bytes, path: bytes, query: Headers, headers: Headers, content: bytes) -> tuple[bytes, bytes]:
    fields = canonical.merge_headers(headers)
    signed = b";".join(sorted(fields))
    try:
        pairs = canonical.parse_query(b"&".join(name + b"=" + value for name, value in query))
        request = canonical.layout(signed).request(
            method, canonical.canonical_path(path), canonical.canonical_query(pairs), fields, content
        )
    except AuthError:
        request = b""
    text = b"\n".join((b"AWS4-HMAC-SHA256", STAMP, SCOPE, hashlib.sha256(request).hexdigest().encode()))
    return signed, hmac.digest(KEY, text, "sha256").hex().encode()


def signed_in_query(method: bytes, path: bytes, query: Headers, headers: Headers) -> None:
    names = b"%3B".join(sorted({name for name, _ in headers}))
    query += (
        (b"X-Amz-Algorithm", b"AWS4-HMAC-SHA256"),
        (b"X-Amz-Credential", f"{ACCESS_KEY}/".encode() + SCOPE),
        (b"X-Amz-Date", STAMP),
        (b"X-Amz-Expires", b"600"),
        (b"X-Amz-SignedHeaders", names),
    )
    query.append((b"X-Amz-Signature", _signature(method, path, query, headers, b"UNSIGNED-PAYLOAD")[1]))


def signed_in_header(
    method: bytes, path: bytes, query: Headers, headers: Headers, content: bytes = b"UNSIGNED-PAYLOAD"
) -> bytes:
    """Returns the signature, at which a chain of chunks starts."""
    headers += ((b"x-amz-date", STAMP), (b"x-amz-content-sha256", content))
    signed, signature = _signature(method, path, query, headers, content)
    credential = f"{ACCESS_KEY}/".encode() + SCOPE
    text = b"AWS4-HMAC-SHA256 Credential=%b, SignedHeaders=%b, Signature=%b" % (credential, signed, signature)
    headers.append((b"authorization", text))
    return signature


def signed_by_version_2(method: bytes, path: bytes, query: Headers, headers: Headers, hosted: str | None) -> None:
    expires = int(NOW) + 600
    resource = path if hosted is None else f"/{hosted}".encode() + path
    try:
        pairs = canonical.parse_query(b"&".join(name + b"=" + value for name, value in query))
    except AuthError:
        pairs = []
    fields = canonical.merge_headers(headers)
    string = sigv2.strings_to_sign(method.decode("latin-1"), resource, pairs, fields, expires)[0]
    signature = base64.b64encode(hmac.digest(SECRET.encode(), string, "sha1"))
    query += (
        (b"AWSAccessKeyId", ACCESS_KEY.encode()),
        (b"Expires", b"%d" % expires),
        (b"Signature", signature.replace(b"+", b"%2B")),
    )


def request(method: bytes, path: bytes, query: Headers, headers: Headers, body: bytes) -> bytes:
    """A request as it is sent."""
    raw = b"&".join(name + b"=" + value if value else name for name, value in query)
    line = b"%b %b%b%b HTTP/1.1\r\n" % (method, path, b"?" if raw else b"", raw)
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return line + lines + b"content-length: %d\r\n\r\n" % len(body) + body


def signed_request(method: bytes, path: bytes, query: Headers, headers: Headers, body: bytes) -> bytes:
    """A request that was signed in its headers, but for its body."""
    headers = [(b"host", b"localhost"), *headers]
    signed_in_header(method, path, query, headers)
    return request(method, path, query, headers, body)
