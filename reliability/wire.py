"""Requests on the wire, signed by ourselves, on asyncio's connections: no retry, and a deadline for each.

What a request came to is one of three: an answer; `Lost`, of which nobody can tell whether it was done; `Hung`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from tests.e2e.signing import UNSIGNED, Raw, query_string

CHUNK = 256 * 1024
SECONDS = 60.0
_CODE = re.compile(rb"<Code>([^<]*)</Code>")


class Lost(Exception):
    """The connection ended without an answer: the request may have been done, or not."""


class Hung(Exception):
    """No answer within the deadline."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """S3's error code, empty where there is none."""
        found = _CODE.search(self.body) if b"<Error>" in self.body else None
        return found[1].decode() if found else ""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


class Connection:
    """One connection to a gateway, kept between requests, for one request at a time."""

    def __init__(self, signer: Raw, seconds: float = SECONDS) -> None:
        self._signer = signer
        self._seconds = seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def s3(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        payload: str = UNSIGNED,
    ) -> Answer:
        """A signed request; ``path`` is not quoted yet, ``payload`` is what the signature says of the body."""
        target = quote(path, safe="/-_.~")
        signed = self._signer.sign(method, target, query, headers, payload)
        return await self.send(method, target + ("?" + query_string(query) if query else ""), signed.headers, body)

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """A request as it is."""
        whole = False
        try:
            async with asyncio.timeout(self._seconds):
                answer, lasts = await self._exchange(method, head_of(method, target, headers, len(body)), body)
            whole = lasts
            return answer
        except TimeoutError:
            raise Hung(f"{method} {target.partition('?')[0]}: no answer within {self._seconds:.0f} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise Lost(f"{method} {target.partition('?')[0]}: {error!r}") from error
        finally:
            if not whole:
                self.close()

    async def cut(self, method: str, target: str, headers: Mapping[str, str], body: bytes, size: int) -> None:
        """Declare a body of ``size``, send but this much of it, and go."""
        _, writer = await self._open()
        try:
            with suppress(OSError):
                writer.write(head_of(method, target, headers, size))
                await _write(writer, body)
        finally:
            self.close()

    async def leave(self, target: str, headers: Mapping[str, str], after: int) -> None:
        """Ask for a body, take some of it, and go."""
        reader, writer = await self._open()
        try:
            with suppress(OSError, EOFError):
                async with asyncio.timeout(self._seconds):
                    writer.write(head_of("GET", target, headers, 0))
                    await reader.readexactly(after)
        except TimeoutError:
            raise Hung(f"GET {target.partition('?')[0]}: no body within {self._seconds:.0f} s") from None
        finally:
            self.close()

    async def _exchange(self, method: str, head: bytes, body: bytes) -> tuple[Answer, bool]:
        reader, writer = await self._open()
        with suppress(ConnectionError):
            # A refusal may come, and the connection go, before the body is sent.
            writer.write(head + body if len(body) <= CHUNK else head)
            if len(body) > CHUNK:
                await _write(writer, body)
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ", 2)[1])
            if status >= 200:
                break
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
        content = b""
        if method != "HEAD" and status not in (204, 304):
            content = await _body(reader, headers)
        return Answer(status, headers, content), headers.get("connection", "").lower() != "close"

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            server = self._signer.server
            self._streams = await asyncio.open_connection("127.0.0.1", server.port, limit=1024 * 1024)
        return self._streams


async def _write(writer: asyncio.StreamWriter, body: bytes) -> None:
    view = memoryview(body)
    for start in range(0, len(body), CHUNK):
        writer.write(view[start : start + CHUNK])
        await writer.drain()


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    content = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        content += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(content)


def head_of(method: str, target: str, headers: Mapping[str, str], size: int) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if size or method in ("PUT", "POST"):
        lines.append(f"content-length: {size}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
