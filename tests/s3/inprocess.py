"""An ASGI application joined to clients in process: no socket, so a full boto3 call costs under a millisecond."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.config import Config

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass
class Exchange:
    """One request played to an application, and all that came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False
    received: int = 0
    """How many times the application asked for more of the request."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


async def play(
    app: App,
    method: str,
    raw_path: bytes,
    query: bytes = b"",
    headers: Headers | None = None,
    body: list[bytes] | None = None,
    *,
    leaves_after: int | None = None,
) -> Exchange:
    """Send a request, its body in pieces; the client leaves after that many pieces of the answer, if told."""
    exchange, pieces = Exchange(), list(body or [b""])
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        exchange.received += 1
        if pieces:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if gone.is_set():
            return
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            exchange.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        exchange.chunks.append(message.get("body", b""))
        exchange.complete = not message.get("more_body", False)
        if leaves_after is not None and len(exchange.chunks) >= leaves_after:
            gone.set()
        await asyncio.sleep(0)

    scope = {
        "type": "http",
        "scheme": "http",
        "http_version": "1.1",
        "method": method,
        "raw_path": raw_path,
        "path": raw_path.decode("latin-1"),
        "query_string": query,
        "headers": headers or [],
    }
    await app(scope, receive, send)
    return exchange


def connect(app: App, access_key: str, secret_key: str, endpoint: str = "http://s3.test", **options: Any) -> BaseClient:
    """A boto3-like client whose requests go straight to ``app``. To be used outside of a running event loop."""
    client = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(**{"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **options}),
    )

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        raw_headers = [
            (name.lower().encode(), value if isinstance(value, bytes) else str(value).encode())
            for name, value in request.headers.items()
        ]
        if not any(name == b"host" for name, _ in raw_headers):
            raw_headers.append((b"host", url.netloc.encode()))
        body = request.body or b""
        content = body if isinstance(body, bytes | bytearray) else body.read()
        done = asyncio.run(
            play(app, request.method, url.path.encode(), url.query.encode(), raw_headers, [bytes(content)])
        )
        return AWSResponse(request.url, done.status, done.headers, _Raw(done.body))

    client.meta.events.register("before-send.s3", answer)
    return client


class _Raw(io.BytesIO):
    """A body as botocore expects of urllib3."""

    def stream(self, amount: int = 65536, decode_content: bool | None = None) -> Any:
        while chunk := self.read(amount):
            yield chunk
