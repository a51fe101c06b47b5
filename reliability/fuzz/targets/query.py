"""Request lines: raw path and query, through signatures, routing and the arguments of every operation.

A case is lines: method, host, raw path, raw query, and headers. Whatever was signed is what is acted upon: both
readings of a query agree, and a canonical form is its own canonical form.
"""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway import ranges
from gateway.auth import canonical
from gateway.auth.errors import AuthError
from gateway.auth.sigv4 import Identity, RequestHead, Verifier
from gateway.s3 import operations as _handlers  # noqa: F401  (importing it fills the registry)
from gateway.s3.endpoint import compile_endpoints
from gateway.s3.errors import S3Error
from gateway.s3.hosts import Domains
from gateway.s3.model import Operation, operations
from gateway.s3.operations.common import parse_tag_header
from gateway.s3.operations.registry import REGISTRY
from gateway.s3.parse import header_map, hoisted, parse_query, split_copy_source, split_path, without_conditions
from gateway.s3.route import Routes
from reliability.fuzz.mutate import Mutator, number, pick
from reliability.fuzz.signing import NOW, find, request, signed_by_version_2, signed_in_header, signed_in_query
from reliability.fuzz.target import Finding, Pure

DOMAINS = Domains(("s3.test",))
Headers = list[tuple[bytes, bytes]]

_PATHS = (
    *(
        b"/",
        b"/bucket",
        b"/bucket/",
        b"/bucket/key",
        b"/bucket/a/b/c",
        b"//key",
        b"/bucket//",
        b"/bucket/../x",
        b"/%2e",
    ),
    *(b"/bucket/%E2%82%AC", b"/bucket/a%2Fb", b"/bucket/%ff", b"/bucket/%00", b"/b%75cket/k", b"/bucket/a+b", b"/.."),
    *(b"/bucket/" + b"k" * 1024, b"/bucket/" + b"%41" * 1025, b"/bucket/k;a=b", b"/bucket/\xe2\x82\xac", b"/api/nfs/x"),
)
_VALUES = (
    *(b"", b"1", b"a", b"url", b"/", b"%2F", b"a+b", b"%E2%82%AC", b"%00", b"null", b"2", b"REPLACE", b"x" * 2000),
    *(b"bytes=0-1", b"bytes=-5", b"%0d%0aX:%20y", b"Thu%2C%2001%20Jan%202026%2000%3A00%3A00%20GMT", b"-1"),
)
_HEADER_VALUES = (
    *(b"", b"a", b"*", b"true", b"COPY", b"/bucket/key", b"bucket/key?versionId=null", b"bytes=0-9", b"bytes=9-0"),
    *(b"Thu, 01 Jan 2026 00:00:00 GMT", b"Thu, 01 Jan 0001 00:00:00 +9999", b"2026-01-01T00:00:00Z", b"a=b&c=d"),
    *(b"=?UTF-8?B?4oKs?=", b"=?utf-8?q?=E2=82=AC?=", b"\xff\xfe", b"\xe2\x82\xac", b"%0d%0a", b"a,b,,c", b'"etag"'),
    *(b"AES256", b"aws:kms", b"uri=http://acs.amazonaws.com/groups/global/AllUsers", b'id="x"', b"x" * 3000),
    *(b"AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=host,Signature=0", b"Bearer x", b"AWS a:b", b"Basic eDp5"),
    *(b"UNSIGNED-PAYLOAD", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"0" * 64, b"%2Fbucket%2Fkey", b"arn:aws:s3:::b"),
)
_MORE_HEADERS = (
    *(b"authorization", b"x-amz-date", b"date", b"x-amz-content-sha256", b"x-amz-meta-a", b"x-amz-security-token"),
    *(b"content-length", b"transfer-encoding", b"x-amz-trailer", b"x-amz-decoded-content-length", b"origin", b"host"),
    *(b"content-type", b"content-md5", b"x-amz-unknown", b"x-amz-copy-source", b"x-amz-tagging", b"range"),
)
_SIGNING = (
    *(b"X-Amz-Algorithm", b"X-Amz-Credential", b"X-Amz-Date", b"X-Amz-Expires", b"X-Amz-SignedHeaders"),
    *(b"X-Amz-Signature", b"AWSAccessKeyId", b"Signature", b"Expires", b"X-Amz-Security-Token"),
    *(b"X-Amz-Content-Sha256", b"if-match", b"x-amz-acl", b"x-amz-meta-x", b"response-content-type"),
)
_METHODS = (b"GET", b"PUT", b"POST", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"get")
_TOKENS = (*_PATHS[:14], *_VALUES[:12], *_HEADER_VALUES[:12], *_SIGNING, b"\n", b"&", b"=", b"uploads", b"versionId")


class QueryTarget(Pure):
    """gateway/auth/canonical.py, sigv4.py and sigv2.py, gateway/s3/route.py and parse.py."""

    name = "query"

    def __init__(self) -> None:
        self._verifier = Verifier(find, clock=lambda: NOW)
        self._routes = Routes(operations().values())
        self._endpoints = compile_endpoints(operations(), REGISTRY.handlers)
        self._operations = tuple(operations().values())
        rng = Random("query")
        self._mutate = Mutator([self._request(rng) for _ in range(200)], _TOKENS)

    def generate(self, rng: Random) -> bytes:
        request = self._request(rng)
        return self._mutate(rng, request) if rng.random() < 0.5 else request

    def check(self, case: bytes) -> None:
        method, host, path, query, headers = _apart(case)
        self._check_canonical(path, query)
        hosted = DOMAINS.bucket_of(host)
        try:
            identity = driven(self._verifier.verify(RequestHead(method, path, query, headers, hosted)))
        except AuthError as error:
            _check_status(error.status, error.code)
            return
        try:
            self._act(method, path, query, headers, hosted, identity)
        except (S3Error, AuthError) as error:
            _check_status(error.status, error.code)

    def request(self, case: bytes) -> bytes:
        """The case as a request without a body."""
        method, _, path, query, headers = _apart(case)
        return request(method.encode(), path or b"/", [(query, b"")] if query else [], headers, b"")

    def _check_canonical(self, path: bytes, query: bytes) -> None:
        try:
            once = canonical.canonical_path(path)
            if canonical.canonical_path(once) != once:
                raise Finding(f"the canonical path {once!r} is not its own")
            pairs = canonical.parse_query(query)
            text = canonical.canonical_query(pairs)
            if canonical.canonical_query(canonical.parse_query(text)) != text:
                raise Finding(f"the canonical query {text!r} is not its own")
        except AuthError:
            return
        try:
            acted = parse_query(query)
        except S3Error:
            return
        if [(name.encode(), value.encode()) for name, value in acted.items()] != pairs:
            raise Finding(f"{pairs!r} is signed and {acted!r} is acted upon")

    def _act(
        self, method: str, path: bytes, query: bytes, headers: Headers, hosted: str | None, identity: Identity
    ) -> None:
        bucket, key = split_path(path, hosted)
        if unquote_to_bytes(path) not in (f"/{bucket}/{key}".encode(), f"/{bucket}".encode(), f"/{key}".encode()):
            raise Finding(f"{path!r} became {bucket!r} and {key!r}")
        told, parameters = header_map(headers), parse_query(query)
        if identity.auth_type == "REST-QUERY-STRING":
            parameters, told = without_conditions(parameters, hoisted(parameters, told))  # type: ignore[assignment]
        operation = self._routes.find(method, Routes.level(bucket, key), parameters, told)
        endpoint = self._endpoints.get(operation.name)
        if endpoint is None:
            return
        identity.payload.open(_nothing, told)
        members = endpoint.parse(bucket, key, parameters, told)
        if members.get("Range") is not None:
            ranges.parse_range(members["Range"])
        if "Tagging" in members and isinstance(members["Tagging"], str):
            parse_tag_header(members["Tagging"])
        if "CopySource" in members:
            try:
                split_copy_source(members["CopySource"])
            except ValueError:
                return  # what the handlers refuse

    # -- made from the model

    def _request(self, rng: Random) -> bytes:
        operation = pick(rng, self._operations)
        method = operation.method.encode() if rng.random() < 0.9 else pick(rng, _METHODS)
        host = b"localhost" if rng.random() < 0.8 else pick(rng, (b"bucket.s3.test", b".s3.test", b"s3.test:80", b""))
        path = {"service": b"/", "bucket": b"/bucket", "key": b"/bucket/key"}[operation.level]
        if rng.random() < 0.3:
            path = pick(rng, _PATHS)
        query, headers = _members(rng, operation)
        headers.append((b"host", host))
        chance = rng.random()
        if chance < 0.25:
            signed_in_query(method, path, query, headers)
        elif chance < 0.35:
            signed_by_version_2(method, path, query, headers, DOMAINS.bucket_of(host))
        elif chance < 0.6:
            signed_in_header(method, path, query, headers)
        raw = b"&".join(name + b"=" + value if value or rng.random() < 0.5 else name for name, value in query)
        lines = [method, host, path, raw, *(name + b":" + value for name, value in headers)]
        return b"\n".join(lines)


def _members(rng: Random, operation: Operation) -> tuple[Headers, Headers]:
    query: Headers = []
    headers: Headers = []
    query += [(key.encode(), (wanted or "").encode()) for key, wanted in operation.selectors]
    for member in operation.inputs:
        if rng.random() > (0.9 if member.required else 0.12):
            continue
        if member.location == "query":
            query.append((member.wire.encode(), number(rng) if rng.random() < 0.2 else pick(rng, _VALUES)))
        elif member.location == "header":
            value = number(rng) if rng.random() < 0.1 else pick(rng, _HEADER_VALUES)
            headers.append((member.wire.lower().encode(), value))
    if rng.random() < 0.2:
        query.append((pick(rng, _SIGNING), pick(rng, _VALUES)))
    if rng.random() < 0.2:
        headers.append((pick(rng, _MORE_HEADERS), pick(rng, _HEADER_VALUES)))
    return query, headers


def _apart(case: bytes) -> tuple[str, bytes, bytes, bytes, Headers]:
    lines = case.split(b"\n")
    method, host, path, query = (lines + [b""] * 4)[:4]
    headers = []
    for line in lines[4:]:
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value.replace(b"\r", b"").replace(b"\x00", b"")))
    # What httptools lets through: methods that it knows, and visible ASCII in the request line.
    known = method.decode("latin-1") if method in _METHODS[:7] else "GET"
    return (
        known,
        host,
        bytes(c for c in path if 32 < c < 127 and c != 63),
        bytes(c for c in query if 32 < c < 127),
        headers,
    )


async def _nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise Finding("it waits for something")


def _check_status(status: int, code: str) -> None:
    if status >= 500 and code != "NotImplemented":
        raise Finding(f"it was refused with {status} {code}")
