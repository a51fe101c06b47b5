"""SigV4 written down once more, from AWS's description, for requests that boto3 does not send.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from tests.e2e.harness import REGION, Server

EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"


@dataclass
class Signed:
    """A signed request: its headers, and what the signatures of its chunks go on from."""

    headers: dict[str, str]
    key: bytes
    scope: str
    stamp: str
    signature: str

    def chunk(self, body: bytes) -> str:
        """The next signature of the chain."""
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256-PAYLOAD",
                self.stamp,
                self.scope,
                self.signature,
                EMPTY,
                hashlib.sha256(body).hexdigest(),
            ]
        )
        self.signature = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return self.signature

    def trailer(self, lines: bytes) -> str:
        text = "\n".join(
            ["AWS4-HMAC-SHA256-TRAILER", self.stamp, self.scope, self.signature, hashlib.sha256(lines).hexdigest()]
        )
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


@dataclass
class Raw:
    """Signs requests and sends them as they are."""

    server: Server
    secret: str = ""
    timeout: float = 10

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def sign(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        payload: str = UNSIGNED,
        when: datetime | None = None,
    ) -> Signed:
        """``path`` is the raw path, percent-encoded already."""
        stamp = (when or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        signed = {"host": self.host, **{name.lower(): value for name, value in (headers or {}).items()}}
        signed |= {"x-amz-date": stamp, "x-amz-content-sha256": payload}
        names = ";".join(sorted(signed))
        canonical = "\n".join(
            [
                method,
                path,
                query_string(query or {}),
                *(f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)),
                "",
                names,
                payload,
            ]
        )
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + (self.secret or self.server.admin.secret_key).encode()
        for part in (stamp[:8], REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        credential = f"{self.server.admin.access_key}/{scope}"
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        )
        return Signed(signed, key, scope, stamp, signature)

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        payload: str = UNSIGNED,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers, body."""
        signed = self.sign(method, path, query, headers, payload)
        more = {} if isinstance(body, bytes) else {"content-length": (headers or {})["content-length"]}
        return self.exchange(method, path, query, {**signed.headers, **more}, body)

    def exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes],
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=self.timeout)
        try:
            target = path + ("?" + query_string(query) if query else "")
            sent = {name: value.encode() for name, value in headers.items()}
            connection.request(method, target, body=body, headers=sent)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def chunked(
        self,
        path: str,
        chunks: list[bytes],
        *,
        payload: str = SIGNED,
        trailer: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        spoil: str = "",
    ) -> tuple[int, dict[str, str], bytes]:
        """PUT in aws-chunked framing. ``spoil`` names what is to be wrong: chunk, trailer or length."""
        size = sum(map(len, chunks)) + (1 if spoil == "length" else 0)
        sent = {"x-amz-decoded-content-length": str(size), "content-encoding": "aws-chunked", **(headers or {})}
        if trailer:
            sent["x-amz-trailer"] = trailer[0]
        signed = self.sign("PUT", path, headers=sent, payload=payload)
        body = b"".join(_frames(signed, chunks, payload, trailer, spoil))
        return self.exchange("PUT", path, None, signed.headers, body)


def _frames(
    signed: Signed, chunks: list[bytes], payload: str, trailer: tuple[str, str] | None, spoil: str
) -> Iterable[bytes]:
    chained = payload in (SIGNED, SIGNED_TRAILER)
    for chunk in [*chunks, b""]:
        extension = f";chunk-signature={signed.chunk(chunk)}" if chained else ""
        if spoil == "chunk" and chunk:
            chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
        yield f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailer:
        name, value = trailer
        yield f"{name}:{value}\r\n".encode()
        if chained:
            lines = f"{name}:{value}\n".encode()
            yield f"x-amz-trailer-signature:{signed.trailer(lines + b'x' * (spoil == 'trailer'))}\r\n".encode()
    yield b"\r\n"


def query_string(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))


class Socket:
    """A connection on which bytes are sent as they are."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=5)

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def head(self) -> bytes:
        """Up to the end of an answer's headers."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = self._socket.recv(4096)
            if not more:
                break
            received += more
        return received

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)


def request(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
