"""Connections of HTTP/1.1: requests, framing and everything between, in any pieces.

A case is what a client sends. The application behind answers by turns before the body, after it, and half-way. What it
is told is the same however the bytes were cut, and nothing of it can be read in two ways by another server in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random
from typing import Any

from reliability.fuzz.mutate import Mutator, below, number, pick
from reliability.fuzz.signing import signed_in_header
from reliability.fuzz.target import Finding, Pure, split
from reliability.fuzz.wire import Wires, statuses

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_SIGNABLE = re.compile(rb"([A-Z]+) /(b/k)? HTTP/1\.1\r\nHost: x\r\n")
_METHODS = (b"GET", b"PUT", b"POST", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"PRI", b"TRACE", b"g et")
_URLS = (
    *(
        b"/",
        b"/b/k",
        b"/b/k?acl&x=y",
        b"*",
        b"http://h/p?q",
        b"//h/p",
        b"/%zz",
        b"/\xe2\x82\xac",
        b"/a#f",
        b"",
        b"/a b",
    ),
    *(b"/b/k?a=b?c", b"?x", b"http://h", b"/" + b"k" * 3000, b"/b/k\x00", b"h:80", b"/..//%2e", b"https://u@h:1/"),
)
_HEADERS = (
    *(b"Host: x", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close"),
    *(
        b"Connection: keep-alive, upgrade",
        b"Upgrade: h2c",
        b"Content-Length: 0",
        b"Content-Length: 5, 5",
        b"X: " + b"y" * 200,
    ),
    *(b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked", b"TE: x"),
    *(
        b"Transfer-Encoding: identity",
        b" folded: x",
        b"\tx",
        b"NoColon",
        b": empty",
        b"Host: y",
        b"A: \x00",
        b"A: \xff",
    ),
    *(b"Content-Length: +5", b"Content-Length: 0x5", b"Content-Length: 5\r\nContent-Length: 6", b"A\x00: b", b"(a): b"),
    *(b"Authorization: Bearer x", b"Range: bytes=0-1", b"X-Amz-Date: 1", b"Cookie: a", b"Trailer: x", b"A: b\rc: d"),
)
_TOKENS = (
    *(
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b" HTTP/2.0\r\n",
        b" HTTP/0.9\r\n",
        b"0\r\n\r\n",
    ),
    *(b"5\r\nhello\r\n", b"5;a=b\r\n", b"ffffffffffffffff\r\n", b"Host: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    *_HEADERS,
)


class HttpTarget(Pure):
    """The protocol class of gateway/http."""

    name = "http"

    def __init__(self) -> None:
        rng = Random("http")
        self._mutate = Mutator([_request(rng) for _ in range(150)], _TOKENS)

    async def open(self) -> None:
        self._told: list[tuple[Any, ...]] = []
        self._wires = Wires(self._application)

    def generate(self, rng: Random) -> bytes:
        case = b"".join(_request(rng) for _ in range(1 + int(4 * rng.random() ** 3)))
        if rng.random() < 0.6:
            case = self._mutate(rng, case)
        if rng.random() < 0.004:
            case = case.replace(b"\r\n", b"\r\n" + b"".join(b"a%d: b\r\n" % at for at in range(below(rng, 300))), 1)
        if rng.random() < 0.002:
            case = case.replace(b"Host", b"y" * below(rng, 80_000), 1)
        return case

    async def check(self, case: bytes) -> None:
        whole = await self._play([case])
        pieces = await self._play(split(case))
        if whole != pieces:
            raise Finding(f"whole it is {whole!r:.400}, in pieces {pieces!r:.400}")

    def request(self, case: bytes) -> bytes:
        """The case, its first request signed where it can be."""
        case = case.replace(b"Bearer x", b"Bearer API-KEY")
        first = _SIGNABLE.match(case)
        if first is None:
            return case
        path = b"/bucket/key" if first[2] else b"/"
        headers = [(b"host", b"x")]
        signed_in_header(first[1], path, [], headers)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return b"%b %b HTTP/1.1\r\n%b" % (first[1], path, lines) + case[first.end() :]

    async def _play(self, pieces: Iterable[bytes]) -> list[tuple[Any, ...]]:
        """The requests that the application was told of, once the connection is over."""
        told: list[tuple[Any, ...]] = []
        self._told = told
        wire = await self._wires.play(pieces)
        for status in statuses(b"".join(wire.sent)):
            if status not in (100, 200, 400, 408, 431, 501):
                raise Finding(f"an answer of {status}")
        return sorted(told)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        told = self._told
        number, headers = len(told), scope["headers"]
        _check_head(scope)
        told.append((number, scope["method"], scope["raw_path"], scope["query_string"], tuple(headers), b"", False))
        body = [b""]
        whole = True
        while scope["method"] != "DELETE":  # which is answered before its body
            message = await receive()
            if message["type"] != "http.request":
                whole = False
                break
            body.append(message["body"])
            if not message["more_body"]:
                _check_body(headers, b"".join(body))
                break
        told[number] = (*told[number][:5], b"".join(body) if whole else b"", whole)
        answer = b"ok" if scope["method"] != "PATCH" else b"x" * 100_000
        length = [(b"content-length", b"%d" % len(answer))] if scope["method"] != "OPTIONS" else []
        if scope["method"] == "HEAD":
            length.append((b"x-no-body", b""))
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": answer, "more_body": not length})
        if not length:
            await send({"type": "http.response.body", "body": b"."})


def _check_head(scope: Any) -> None:
    headers = scope["headers"]
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    hosts = [value for name, value in headers if name == b"host"]
    if len(lengths) > 1 or (lengths and codings) or len(codings) > 1:
        raise Finding(f"a body is framed twice: {headers!r:.300}")
    if lengths and not (lengths[0].strip().isdigit() and len(lengths[0].strip().lstrip(b"0")) < 21):
        raise Finding(f"a length is no number: {lengths!r:.100}")
    if codings and codings[0].strip().lower() != b"chunked":
        raise Finding(f"a body came in {codings!r:.100}")
    if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
        raise Finding(f"hosts: {hosts!r:.100}")
    for name, value in headers:
        if not _TOKEN(name) or name != name.lower() or _CONTROLS(value):
            raise Finding(f"a header is {name!r:.100}: {value!r:.100}")
    if not scope["raw_path"].startswith((b"/", b"*")) or _CONTROLS(scope["raw_path"] + scope["query_string"]):
        raise Finding(f"a path is {scope['raw_path']!r:.200}")


def _check_body(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    told = dict(headers)
    if b"content-length" in told and int(told[b"content-length"]) != len(body):
        raise Finding(f"a body has {len(body)} bytes where {told[b'content-length']!r} were told")
    if body and b"content-length" not in told and b"transfer-encoding" not in told:
        raise Finding("a request without framing has a body")


def _request(rng: Random) -> bytes:
    common = rng.random() < 0.8
    method = _METHODS[below(rng, 7 if common else len(_METHODS))]
    url = _URLS[below(rng, 4 if common else len(_URLS))]
    version = (
        b"HTTP/1.1" if rng.random() < 0.93 else pick(rng, (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b""))
    )
    headers = [b"Host: x"] if rng.random() < 0.97 else []
    for _ in range(below(rng, 3)):
        headers.append(_HEADERS[below(rng, 6) if common else below(rng, len(_HEADERS))])
    body = b""
    chance = rng.random()
    if chance < 0.3:
        body = b"hello" * below(rng, 5)
        headers.append(b"Content-Length: " + (b"%d" % len(body) if rng.random() < 0.9 else number(rng)[:40]))
    elif chance < 0.6:
        headers.append(b"Transfer-Encoding: chunked")
        pieces = [b"y" * (1 + below(rng, 30)) for _ in range(below(rng, 4))]
        extension = pick(rng, (b"", b"", b"", b";a=b", b';a="\r"', b" ", b";" * 50))
        body = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
        body += b"0\r\n" + pick(rng, (b"", b"", b"x-a: b\r\n", b"Content-Length: 9\r\n", b"Host: z\r\n")) + b"\r\n"
    line = b"%b %b %b\r\n" % (method, url, version)
    return line + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body
