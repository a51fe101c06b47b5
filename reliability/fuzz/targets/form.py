"""Browsers' forms: framing, fields, the policy, and the file below them.

A case is a line with the Content-Type, and the body. It is taken apart whole and in pieces, with the same result; what
is taken keeps what its policy says.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator, Iterable
from random import Random
from typing import Any

from gateway.auth.errors import AuthError
from gateway.auth.sigv4 import Verifier
from gateway.s3.errors import S3Error
from gateway.s3.forms.answer import object_url, redirect_to
from gateway.s3.forms.fields import read_form
from gateway.s3.forms.framing import boundary_of, is_form
from gateway.s3.forms.headers import object_headers
from gateway.s3.model import operations
from gateway.s3.parse import compile_parser
from reliability.fuzz.mutate import Mutator, below, number, pick
from reliability.fuzz.signing import ACCESS_KEY, NOW, SECRET, find, request
from reliability.fuzz.target import Finding, Pure, split
from reliability.fuzz.targets.query import driven

BUCKET = "bucket"
_TYPES = (
    *(b"multipart/form-data; boundary=xyz", b'multipart/form-data; boundary="x y"', b"multipart/form-data"),
    *(
        b"multipart/form-data; charset=utf-8; boundary=xyz; a=b",
        b"text/plain; boundary=xyz",
        b"multipart/form-data; boundary=",
    ),
    *(b"multipart/form-data;boundary=" + b"x" * 200, b"multipart/form-data" + b"; " * 500 + b"boundary=xyz"),
)
_FIELDS = (
    *(("key", "a/${filename}"), ("acl", "private"), ("Content-Type", "text/plain"), ("success_action_status", "201")),
    *(("success_action_redirect", "http://x/y?z#f"), ("x-amz-meta-a", "\u20ac"), ("x-amz-meta-b", "=?UTF-8?B?4oKs?=")),
    *(("tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"), ("x-ignore-a", "b")),
    *(("x-amz-storage-class", "STANDARD"), ("Expires", "x"), ("Cache-Control", "a\r\nb"), ("if-match", "*")),
    *(("x-amz-checksum-crc32", "AAAAAA=="), ("bucket", "other"), ("key", ""), ("submit", "x" * 2000)),
    *(("x-amz-copy-source", "/b/k"), ("x-amz-security-token", "t"), ("\u212aey", "k"), ("redirect", "javascript:x")),
)
_FILENAMES = (b"a.txt", b"C:\\x\\y.txt", b"../../etc", b'a\\"b', b"\xff", b"", b"${filename}", b"x" * 300)
_TOKENS = (
    *(
        b"--xyz",
        b"\r\n--xyz\r\n",
        b"--xyz--",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; ",
        b'name="key"',
        b'name="file"',
    ),
    *(
        b'; filename="a"',
        b"; filename*=UTF-8''a",
        b"Content-Type: text/plain\r\n",
        b"boundary=",
        b'\\"',
        b"${filename}",
    ),
    *(b"\r\n--xy", b"\r", b"\n--xyz\n", b";" * 100, b'="' * 50, b" " * 100, b"Transfer-Encoding: base64\r\n"),
)
_CONDITIONS: tuple[Any, ...] = (
    *({"bucket": BUCKET}, ["starts-with", "$key", ""], ["starts-with", "$key", "a/"], {"acl": "private"}),
    *(
        ["eq", "$Content-Type", "text/plain"],
        ["starts-with", "$content-type", "text/"],
        ["content-length-range", 0, 100],
    ),
    *(
        ["content-length-range", "1", "5"],
        ["content-length-range", 10**30, -1],
        ["starts-with", "$tagging", ""],
        [],
        {},
    ),
    *(["eq", "$key"], {"key": 1}, ["eq", "$x-amz-meta-a", "\u20ac"], None, "x", ["EQ", "$bucket", "bucket"], [1, 2, 3]),
    *(
        ["starts-with", "", ""],
        ["starts-with", "$", ""],
        {"a": "b", "c": "d"},
        [[[[]]]],
        ["content-length-range", None, 1],
    ),
)


class FormTarget(Pure):
    """gateway/s3/forms and gateway/auth/form.py."""

    name = "form"

    def __init__(self) -> None:
        self._verifier = Verifier(find, clock=lambda: NOW)
        self._parse = compile_parser(
            operations()["PutObject"], frozenset({"Metadata", "Tagging", "ACL", "ContentType"})
        )
        rng = Random("form")
        self._mutate = Mutator([_body(rng) for _ in range(60)], _TOKENS)

    def generate(self, rng: Random) -> bytes:
        kind = _TYPES[below(rng, 2) if rng.random() < 0.93 else below(rng, len(_TYPES))]
        body = _body(rng)
        if b"x y" in kind:
            body = body.replace(b"--xyz", b"--x y")
        if rng.random() < 0.55:
            body = self._mutate(rng, body)
        if rng.random() < 0.05:
            kind = self._mutate(rng, kind).replace(b"\n", b"")
        return kind + b"\n" + body

    def check(self, case: bytes) -> None:
        kind, _, body = case.partition(b"\n")
        if not is_form(kind):
            return
        whole, pieces = self._taken(kind, body, [body]), self._taken(kind, body, split(body))
        if whole != pieces and not (isinstance(whole, str) and isinstance(pieces, str)):  # which of two faults is first
            raise Finding(f"whole it is {whole!r:.300}, in pieces {pieces!r:.300}")

    def request(self, case: bytes) -> bytes:
        """The case as a form that is sent."""
        kind, _, body = case.partition(b"\n")
        kind = kind.replace(b"\r", b"").replace(b"\x00", b"")
        headers = [(b"host", b"localhost"), (b"content-type", kind)]
        return request(b"POST", b"/bucket", [], headers, body)

    def _taken(self, kind: bytes, body: bytes, pieces: Iterable[bytes]) -> Any:
        try:
            return driven(self._post(kind, body, pieces))
        except (S3Error, AuthError) as error:
            if error.status >= 500 and error.code != "NotImplemented":
                raise Finding(f"a form was refused with {error.code}") from error
            return error.code

    async def _post(self, kind: bytes, body: bytes, pieces: Iterable[bytes]) -> Any:
        """What the door does with a form, up to where the core would store it."""
        form = await read_form(_stream(pieces), boundary_of(kind), len(body))
        key = form.key
        identity = await self._verifier.verify_form(form.values)
        form.check_policy(BUCKET)
        headers = object_headers(form, {b"content-type": kind, b"content-length": b"%d" % len(body), b"host": b"x"})
        members = self._parse(BUCKET, key, {}, headers)
        await form.file.begin()
        content = b"".join([piece async for piece in form.file])
        least, most = form.file.allowed.least, form.file.allowed.most
        if len(content) < least or (most is not None and len(content) > most) or form.file.length != len(content):
            raise Finding(f"a file of {len(content)} bytes passed {form.file.allowed}")
        if content and content not in body:
            raise Finding("the file is not in the form")
        page = redirect_to(form.get("success_action_redirect"), BUCKET, key, '"e"')
        place = object_url(key, BUCKET, "h", secure=False, in_path=True)
        if any(ord(char) < 32 for char in (page or "") + place):
            raise Finding("a location has a control character")
        return key, identity.principal, sorted(headers.items()), str(members), content, page


async def _stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _body(rng: Random) -> bytes:
    fields = [_FIELDS[0]] if rng.random() < 0.9 else []
    fields += [_FIELDS[below(rng, 10 if rng.random() < 0.8 else len(_FIELDS))] for _ in range(below(rng, 4))]
    if rng.random() < 0.7:
        fields += _signed(rng, fields)
    parts = [_part(rng, b'name="%b"' % name.encode(), value.encode()) for name, value in fields]
    filename = b'name="file"; filename="%b"' % pick(rng, _FILENAMES) if rng.random() < 0.9 else b'name="file"'
    content = pick(rng, (b"", b"bar", b"\r\n--xy", b"x" * 100, b"\r\n\r\n", bytes(range(256))))
    parts.append(_part(rng, filename, content))
    if rng.random() < 0.1:
        parts.append(_part(rng, b'name="below"', b"1"))
    return b"".join(parts) + b"--xyz--" + (b"\r\n" if rng.random() < 0.8 else b"")


def _part(rng: Random, parameters: bytes, value: bytes) -> bytes:
    more = b"\r\nContent-Type: text/plain" if rng.random() < 0.3 else b""
    return b"--xyz\r\nContent-Disposition: form-data; %b%b\r\n\r\n%b\r\n" % (parameters, more, value)


def _signed(rng: Random, fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    conditions: list[Any] = [{"bucket": BUCKET}, ["starts-with", "$key", ""]]
    if rng.random() < 0.7:
        conditions += [["starts-with", f"${name}", ""] for name, _ in fields]
    if rng.random() < 0.5:
        conditions += [pick(rng, _CONDITIONS) for _ in range(below(rng, 4))]
    policy: dict[str, Any] = {"expiration": "2999-01-01T00:00:00Z", "conditions": conditions}
    text = json.dumps(policy).encode()
    chance = rng.random()
    if chance < 0.25:
        start = below(rng, len(text))
        token = pick(rng, (number(rng), b"\\v", b"\\$", b"[" * 2000, b"\\ud800", b'"a":1,', b"NaN", b"\xff", b"null"))
        text = text[:start] + token + text[start + below(rng, 8) :]
    encoded = base64.b64encode(text).decode()
    if rng.random() < 0.05:
        encoded = encoded[: below(rng, len(encoded))] + pick(rng, ("=", "*", " ", "\u0661", "A"))
    signature = base64.b64encode(hmac.digest(SECRET.encode(), encoded.encode(), "sha1")).decode()
    return [("AWSAccessKeyId", ACCESS_KEY), ("policy", encoded), ("signature", signature)]
