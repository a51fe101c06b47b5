"""How a request's body must be read, and the reading of it.

A ``Payload`` is what the signature said of the body; opened, it is a ``RequestBody`` that hands out decoded bytes and
raises before it ends when the body is not what was signed or declared. Whoever stores the bytes commits afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from enum import StrEnum
from time import perf_counter
from typing import Any, NamedTuple

from gateway import checksums
from gateway.auth.chunked import Chain, Decoder, Seed
from gateway.auth.errors import (
    IncompleteBody,
    InvalidArgument,
    InvalidRequest,
    MalformedTrailerError,
    MaxMessageLengthExceeded,
    MissingContentLength,
    RequestTimeout,
    Unsupported,
    XAmzContentSHA256Mismatch,
)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_LENGTH_DIGITS = 15

_DIGITS = re.compile(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS)
_SHA256 = re.compile(rb"[0-9a-fA-F]{64}")


class Mode(StrEnum):
    """What x-amz-content-sha256 says, ``SIGNED`` standing for a digest."""

    SIGNED = "SIGNED"
    UNSIGNED = "UNSIGNED-PAYLOAD"
    UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    CHUNKED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"


_MODES = {mode.value.encode(): mode for mode in Mode if mode is not Mode.SIGNED}
_FRAMED = frozenset({Mode.UNSIGNED_TRAILER, Mode.CHUNKED, Mode.CHUNKED_TRAILER})
CHAINED = frozenset({Mode.CHUNKED, Mode.CHUNKED_TRAILER})
"""Modes in which each chunk is signed: their ``seed`` tells where the chain starts."""
_WITH_TRAILERS = frozenset({Mode.UNSIGNED_TRAILER, Mode.CHUNKED_TRAILER})
_WHOLE, _UNSIGNED = Mode.SIGNED, Mode.UNSIGNED


class Payload(NamedTuple):
    """What was signed of the body. ``sha256`` is the hex digest the whole body must have, if one was signed."""

    mode: Mode
    sha256: str | None = None
    seed: Seed | None = None

    def open(self, receive: Receive, headers: Mapping[bytes, bytes]) -> RequestBody:
        """The body, not yet read. Raises when its headers do not fit the mode or are not numbers."""
        streamed = b"transfer-encoding" in headers
        if not streamed and b"content-length" not in headers and b"x-amz-trailer" not in headers:
            mode = self.mode
            if mode is _WHOLE or mode is _UNSIGNED:  # as most GETs come
                return RequestBody(receive, 0, self.sha256, False)
        declared = _length(headers, b"content-length")
        if declared is not None and streamed:
            raise InvalidRequest("Content-Length and Transfer-Encoding must not be sent together")
        if b"x-amz-trailer" in headers and self.mode not in _WITH_TRAILERS:
            raise MalformedTrailerError
        if self.mode not in _FRAMED:
            length = 0 if declared is None and not streamed else declared
            return RequestBody(receive, length, self.sha256, declared is not None or streamed)
        length = _length(headers, b"x-amz-decoded-content-length")
        if length is None:
            raise MissingContentLength
        chain = Chain(self.seed) if self.seed is not None else None
        decoder = Decoder(length, chain=chain, announced=self._announced(headers))
        return RequestBody(receive, length, None, True, decoder)

    def _announced(self, headers: Mapping[bytes, bytes]) -> list[str] | None:
        if self.mode not in _WITH_TRAILERS:
            return None
        names = [name.strip().lower() for name in headers.get(b"x-amz-trailer", b"").decode("latin-1").split(",")]
        names = [name for name in names if name]
        if not checksums.HEADERS.keys() >= set(names):
            # Anything else would be dropped in silence.
            raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
        return names


UNSIGNED = Payload(Mode.UNSIGNED)
_EMPTY = hashlib.sha256().hexdigest()
_KNOWN = {_EMPTY.encode(): Payload(Mode.SIGNED, _EMPTY), **{text: Payload(mode) for text, mode in _MODES.items()}}
"""Values of x-amz-content-sha256 that come over and over, and what they ask for."""


def payload_of(text: bytes) -> Payload:
    """The payload that a value of x-amz-content-sha256 asks for. Raises InvalidArgument, Unsupported."""
    known = _KNOWN.get(text)
    if known is not None:
        return known
    if _SHA256.fullmatch(text):
        return Payload(Mode.SIGNED, text.decode().lower())
    if text.startswith(b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"):
        raise Unsupported("Chunks signed with AWS4-ECDSA-P256-SHA256 are not implemented")
    raise InvalidArgument(
        f"x-amz-content-sha256 must be {', '.join(mode.decode() for mode in _MODES)} or a valid sha256 value.",
        ArgumentName="x-amz-content-sha256",
        ArgumentValue=text.decode("latin-1"),
    )


def anonymous_payload(headers: Mapping[bytes, bytes]) -> Payload:
    """The payload of a request without signature. Raises InvalidRequest for chunks that would need one."""
    text = headers.get(b"x-amz-content-sha256")
    if text is None:
        # SDKs announce trailers without this header when they sign nothing.
        return Payload(Mode.UNSIGNED_TRAILER) if b"x-amz-trailer" in headers else UNSIGNED
    text = text.strip()
    if _MODES.get(text) in CHAINED:
        raise InvalidRequest("A payload of signed chunks needs a signed request")
    return payload_of(text)


class RequestBody:
    """The bytes of one request, decoded and in order, to be iterated once.

    Iteration raises IncompleteBody when the client goes away or sends fewer or more bytes than ``length``, and what
    the chunk decoder finds. ``sha256`` is left to the reader to check, who hashes anyway; ``read`` does.
    """

    __slots__ = ("_decoder", "_ended", "_receive", "_sized", "begun", "ended_at", "length", "sha256", "trailers")

    def __init__(
        self, receive: Receive, length: int | None, sha256: str | None, sized: bool, decoder: Decoder | None = None
    ) -> None:
        self.length = length
        self.sha256 = sha256
        self.trailers: dict[str, str] = {}
        self._receive = receive
        self._sized = sized
        self._decoder = decoder
        self._ended = not sized or (length == 0 and decoder is None)
        self.begun = False
        """Whether any of it was asked for."""
        self.ended_at: float | None = None
        """When the last byte was here, by ``time.perf_counter``."""

    def require_length(self) -> None:
        """Raise MissingContentLength when the request tells neither its length nor that it is streamed."""
        if not self._sized:
            raise MissingContentLength

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._literal() if self._decoder is None else self._decoded(self._decoder)

    async def read(self, limit: int) -> bytes:
        """The whole body, checked against its signed digest. Raises MaxMessageLengthExceeded over ``limit`` bytes."""
        if self.length is not None and self.length > limit:
            raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(limit))
        chunks: list[bytes] = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if size > limit:
                raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(limit))
            chunks.append(chunk)
        body = b"".join(chunks)
        if self.sha256 is not None:
            computed = hashlib.sha256(body).hexdigest()
            if computed != self.sha256:
                raise XAmzContentSHA256Mismatch(
                    ClientComputedContentSHA256=self.sha256, S3ComputedContentSHA256=computed
                )
        return body

    async def whole(self) -> bytes:
        """All of it, for who knows by ``length`` that it is short; ``sha256`` is left to the reader."""
        if self._decoder is None and not self._ended:
            chunk = await self._next()
            if self._ended and len(chunk) == self.length:  # it came with its head, as most do
                return chunk
            return b"".join([chunk async for chunk in self._literal(chunk)])
        return b"".join([chunk async for chunk in self])

    async def drain(self, limit: int) -> bool:
        """Read and drop what is left, at most ``limit`` bytes; True when the request is at its end."""
        while not self._ended and limit > 0:
            try:
                limit -= len(await self._next())
            except IncompleteBody:
                return False
        return self._ended

    async def _literal(self, chunk: bytes = b"") -> AsyncIterator[bytes]:
        """The body as it is sent; ``chunk`` is what has been taken of it already."""
        left = self.length
        while True:
            if left is not None:
                left -= len(chunk)
                if left < 0:
                    raise IncompleteBody("The request body is longer than its Content-Length")
            if chunk:
                yield chunk
            if self._ended:
                break
            chunk = await self._next()
        if left:
            raise IncompleteBody("You did not provide the number of bytes specified by the Content-Length HTTP header")

    async def _decoded(self, decoder: Decoder) -> AsyncIterator[bytes]:
        while not self._ended:
            for piece in decoder.feed(await self._next()):
                yield piece
        decoder.finish()
        self.trailers.update(decoder.trailers)

    async def _next(self) -> bytes:
        self.begun = True
        message = await self._receive()
        if message["type"] != "http.request":
            raise RequestTimeout if message.get("timed_out") else IncompleteBody
        if not message.get("more_body", False):
            self._ended, self.ended_at = True, perf_counter()
        body: bytes = message.get("body", b"")
        return body


def _length(headers: Mapping[bytes, bytes], name: bytes) -> int | None:
    """A size from a header: ASCII digits only, for ``int`` takes signs, underscores and other scripts' digits."""
    text = headers.get(name)
    if text is None:
        return None
    if not _DIGITS.fullmatch(text):
        raise InvalidArgument(
            "A length must be a number of bytes", ArgumentName=name.decode(), ArgumentValue=text.decode("latin-1")
        )
    return int(text)
