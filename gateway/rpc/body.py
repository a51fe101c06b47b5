"""The body of a call: JSON whose long strings are content, decoded from base64 while they arrive.

So a call that brings 200 MB of content costs its 200 MB and no more, and no step of reading it takes long. Calls with
large bodies share a budget of bytes, and wait for their turn.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from math import isfinite
from typing import Any

from gateway.rpc.errors import BAD_PARAMETERS, INVALID_REQUEST, PARSE, VALIDATION, RpcError
from gateway.rpc.values import BadValue, decode

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

LONG = 64 * 1024
"""Strings from this length on are content."""
MAX_STRUCTURE = 1024 * 1024
"""Bytes of a call that are no text: names and values cost time that no other call gets, content costs memory only."""
STALLED = 60.0
"""Seconds after which a body that does not come any further gives its room to others."""
SMALL_BODY = 1024 * 1024
"""Bodies up to this size need no room in the budget."""


class Budget:
    """How many bytes of bodies may be in memory at once; who comes first is served first."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, count: int) -> AsyncIterator[None]:
        """Hold room for ``count`` bytes, or for as many as there are at all."""
        count = min(count, self._size)
        if count > SMALL_BODY:
            await self._acquire(count)
        try:
            yield
        finally:
            if count > SMALL_BODY:
                self._free += count
                self._serve()

    async def _acquire(self, count: int) -> None:
        if not self._waiting and self._free >= count:
            self._free -= count
            return
        entry = (count, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            await entry[1]
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self._free += count
            self._serve()
            raise

    def _serve(self) -> None:
        while self._waiting and self._free >= self._waiting[0][0]:
            count, ready = self._waiting.popleft()
            if not ready.done():
                self._free -= count
                ready.set_result(None)


def declared_size(headers: list[tuple[bytes, bytes]], limit: int) -> int:
    """The size that a body may have: what its sender says, else the limit. Raises RpcError over the limit."""
    told = next((value for name, value in headers if name == b"content-length"), None)
    if told is None:
        return limit
    if not (told.isdigit() and len(told) < 20):
        raise RpcError(INVALID_REQUEST, "Content-Length is no number")
    if int(told) > limit:
        raise _too_long(limit)
    return int(told)


def _too_long(limit: int) -> RpcError:
    return RpcError(
        VALIDATION,
        f"a call has at most {limit} bytes: write larger files over S3, as a multipart upload",
    )


async def read_call(receive: Receive, limit: int) -> dict[str, Any]:
    """The call in a body of at most ``limit`` bytes. Raises RpcError."""
    splitter = _Splitter()
    size = 0
    while True:
        try:
            async with asyncio.timeout(STALLED):
                message = await receive()
        except TimeoutError:
            raise RpcError(PARSE, "the request stopped half-way") from None
        if message["type"] != "http.request":
            raise RpcError(PARSE, "the request ended early")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_long(limit)
        splitter.feed(chunk)
        if not message.get("more_body", False):
            return _load(splitter)


def _load(splitter: _Splitter) -> dict[str, Any]:
    def hook(found: dict[str, Any]) -> Any:
        if "data" in found and isinstance(found["data"], str):
            found["data"] = splitter.contents.pop(found["data"], found["data"])
        return decode(found)

    text = bytes(splitter.skeleton)
    try:
        call = json.loads(text or b"{}", object_hook=hook, parse_constant=_no_number, parse_float=_finite)
    except BadValue as error:
        raise RpcError(BAD_PARAMETERS, str(error)) from None
    except (ValueError, RecursionError):
        raise RpcError(PARSE, "the body is not JSON") from None
    if splitter.contents:
        raise RpcError(BAD_PARAMETERS, f"a text has at most {LONG} bytes, unless it is content")
    if not isinstance(call, dict):
        raise RpcError(INVALID_REQUEST, "the body is not a JSON object")
    return call


def _no_number(text: str) -> None:
    raise ValueError(text)


def _finite(text: str) -> float:
    """A number that can be told again: 1e999 could not."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


class _Splitter:
    """Takes content out of JSON as it comes by; in its place stays a name that nobody can guess.

    What is a string is told by quotes and backslashes alone, as everywhere in JSON.
    """

    def __init__(self) -> None:
        self.skeleton = bytearray()
        self.contents: dict[str, bytearray] = {}
        self._inside = False
        self._escaped = False
        self._start = 0
        """Where the present string begins in the skeleton."""
        self._plain = True
        """Whether the present string has had no backslash."""
        self._content: bytearray | None = None
        self._rest = b""
        self._structure = 0
        """Bytes outside of strings, so far."""

    def feed(self, chunk: bytes) -> None:
        at = 0
        while at < len(chunk):
            at = self._in_string(chunk, at) if self._inside else self._between(chunk, at)
        if self._inside and self._is_long():
            self._begin_content()

    def _is_long(self) -> bool:
        """Whether the present string turns out to be content, however many pieces it came in."""
        return self._content is None and self._plain and len(self.skeleton) - self._start > LONG

    def _between(self, chunk: bytes, at: int) -> int:
        quote = chunk.find(b'"', at)
        self._structure += (quote if quote >= 0 else len(chunk)) + 1 - at
        if self._structure > MAX_STRUCTURE:
            raise RpcError(VALIDATION, "a call has too many values: send several")
        if quote < 0:
            self.skeleton += chunk[at:]
            return len(chunk)
        self.skeleton += chunk[at : quote + 1]
        self._inside, self._plain, self._start = True, True, len(self.skeleton)
        return quote + 1

    def _in_string(self, chunk: bytes, at: int) -> int:
        if self._escaped:
            self._escaped = False
            self.skeleton += chunk[at : at + 1]
            return at + 1
        quote = chunk.find(b'"', at)
        end = quote if quote >= 0 else len(chunk)
        slash = chunk.find(b"\\", at, end)
        if slash >= 0:
            end = slash
        if self._content is not None:
            self._decode(chunk[at:end])
        else:
            self.skeleton += chunk[at:end]
        if slash >= 0:
            if self._content is not None:
                raise RpcError(BAD_PARAMETERS, "content is base64 without escapes")
            self._plain, self._escaped = False, True
            self.skeleton += b"\\"
            return slash + 1
        if quote >= 0:
            self._end_string()
            return quote + 1
        return end

    def _begin_content(self) -> None:
        text = bytes(self.skeleton[self._start :])
        del self.skeleton[self._start :]
        self._content, self._rest = bytearray(), b""
        self._decode(text)

    def _decode(self, text: bytes) -> None:
        assert self._content is not None
        text = self._rest + text
        cut = len(text) - len(text) % 4
        # What may be the end, with its padding, is decoded when it is known to be.
        cut = max(cut - 4, 0) if cut == len(text) else cut
        self._rest = text[cut:]
        self._content += _from_base64(text[:cut])

    def _end_string(self) -> None:
        if self._is_long():
            self._begin_content()
        if self._content is not None:
            name = secrets.token_hex(16)
            self._content += _from_base64(self._rest)
            self.contents[name] = self._content
            self.skeleton += name.encode()
            self._content = None
        self.skeleton += b'"'
        self._inside = False


def _from_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True) if text else b""
    except binascii.Error:
        raise RpcError(BAD_PARAMETERS, f"a text has at most {LONG} bytes, unless it is content in base64") from None
