"""The aws-chunked framing of a body, decoded as it arrives.

Three forms share one grammar: chunks signed in a chain that starts at the request's signature, the same with signed
trailers, and unsigned chunks with trailers. The decoder holds no chunk back: bytes are handed out as they come and a
bad signature is raised at the chunk's end. Whoever stores them must not publish anything before ``finish`` returned.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple, cast

from gateway.auth.errors import IncompleteBody, InvalidChunkSizeError, MalformedTrailerError, SignatureDoesNotMatch

MIN_CHUNK = 8 * 1024
"""S3 takes no smaller chunk, save the last."""
MAX_SIGNED_CHUNK = 16 * 1024 * 1024
"""Bytes that may be handed out before the signature over them was checked."""
MAX_LINE = 256
MAX_TRAILERS = 4096

_EMPTY_SHA256 = hashlib.sha256().hexdigest().encode()
_SIGNED_HEADER = re.compile(rb"([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})")
_UNSIGNED_HEADER = re.compile(rb"([0-9a-fA-F]{1,16})")
_TRAILER_SIGNATURE = "x-amz-trailer-signature"

_HEADER, _DATA, _DATA_END, _TRAILER, _LAST_LINE, _END = range(6)


class Seed(NamedTuple):
    """Where a chain of chunk signatures starts: what signed the request, and its signature."""

    signing_key: bytes
    timestamp: bytes
    scope: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "Seed()"


class Chain:
    """The chain of signatures over the chunks of one body, each over its chunk and the signature before."""

    __slots__ = ("_key", "_prefix", "_previous")

    def __init__(self, seed: Seed) -> None:
        self._key = seed.signing_key
        self._prefix = seed.timestamp + b"\n" + seed.scope + b"\n"
        self._previous = seed.signature

    def check_chunk(self, digest: bytes, signature: bytes) -> None:
        """Raise SignatureDoesNotMatch unless ``signature`` is right for a chunk of that SHA-256 (hex)."""
        self._check(b"AWS4-HMAC-SHA256-PAYLOAD\n", _EMPTY_SHA256 + b"\n" + digest, signature)

    def check_trailers(self, canonical: bytes, signature: bytes) -> None:
        digest = hashlib.sha256(canonical).hexdigest().encode()
        self._check(b"AWS4-HMAC-SHA256-TRAILER\n", digest, signature)

    def _check(self, algorithm: bytes, digest: bytes, signature: bytes) -> None:
        string = b"".join((algorithm, self._prefix, self._previous, b"\n", digest))
        expected = hmac.digest(self._key, string, "sha256").hex().encode()
        if not hmac.compare_digest(expected, signature):
            raise SignatureDoesNotMatch(
                StringToSign=string.decode(), SignatureProvided=signature.decode("ascii", "replace")
            )
        self._previous = expected


class Decoder:
    """A push decoder: ``feed`` what arrives, ``finish`` at the end of the stream.

    ``length`` is the decoded size that was declared; not a byte more is handed out, and ``finish`` refuses one less.
    ``announced`` are the trailers that must come, None for the form without trailers.
    """

    def __init__(
        self,
        length: int,
        *,
        chain: Chain | None = None,
        announced: Iterable[str] | None = None,
        max_signed_chunk: int = MAX_SIGNED_CHUNK,
    ) -> None:
        self.trailers: dict[str, str] = {}
        self._left = length
        self._chain = chain
        self._announced = None if announced is None else frozenset(announced)
        self._max_chunk = length if chain is None else max_signed_chunk
        self._header = _UNSIGNED_HEADER if chain is None else _SIGNED_HEADER
        self._state = _HEADER
        self._room = 0
        self._chunk = 0
        self._chunk_size = MIN_CHUNK
        self._hash = hashlib.sha256()
        self._signature = b""
        self._line = b""
        self._trailer_bytes = 0
        self._canonical: list[bytes] = []
        self._trailer_signature: bytes | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The decoded bytes in ``data``. Raises what is wrong with the framing, a signature or a trailer."""
        decoded: list[bytes] = []
        position, end = 0, len(data)
        # Of what is long, pieces are views: the buffer is ours.
        whole = data if isinstance(data, bytes) else cast(bytes, memoryview(data))
        while position < end:
            if self._state != _DATA:
                position = self._take_line(data, position)
                continue
            stop = min(position + self._room, end)
            piece = whole[position:stop]
            decoded.append(piece)
            self._room -= stop - position
            position = stop
            if self._chain is not None:
                self._hash.update(piece)
            if not self._room:
                self._end_chunk()
        return decoded

    def finish(self) -> None:
        """Say that the stream ended. Raises IncompleteBody unless the body is whole."""
        if self._state == _TRAILER and not self._line and self._trailer_signature is not None:
            # Signed trailers are whole with their signature; S3's own example leaves out the last empty line.
            self._end_trailers()
        if self._state != _END:
            raise IncompleteBody

    def _take_line(self, data: bytes, position: int) -> int:
        """Consume up to the end of a line; a line that is not complete yet waits for more."""
        if self._state == _END:
            raise IncompleteBody("The request body goes on after its end")
        at = data.find(b"\n", position)
        stop = len(data) if at < 0 else at + 1
        if len(self._line) + stop - position > MAX_LINE:
            raise self._malformed()
        line = self._line + data[position:stop]
        if at < 0:
            self._line = line
            return stop
        self._line = b""
        if self._state == _TRAILER:
            self._take_trailer(line)
        elif not line.endswith(b"\r\n"):
            raise IncompleteBody
        elif self._state == _HEADER:
            self._start_chunk(line[:-2])
        elif line != b"\r\n":
            raise IncompleteBody
        else:
            self._state = _HEADER if self._state == _DATA_END else _END
        return stop

    def _start_chunk(self, line: bytes) -> None:
        match = self._header.fullmatch(line)
        if match is None:
            raise IncompleteBody
        size = int(match[1], 16)
        if size:
            self._check_size(size)
            self._room = self._chunk_size = size
            self._left -= size
            self._state = _DATA
        elif self._left:
            raise IncompleteBody
        else:
            self._state = _LAST_LINE if self._announced is None else _TRAILER
        if self._chain is not None:
            self._signature = match[2]
            self._hash = hashlib.sha256()
            if not size:
                self._chain.check_chunk(_EMPTY_SHA256, self._signature)

    def _check_size(self, size: int) -> None:
        if self._chunk_size < MIN_CHUNK:
            raise InvalidChunkSizeError(Chunk=str(self._chunk), BadChunkSize=str(self._chunk_size))
        self._chunk += 1
        if size > self._left:
            raise IncompleteBody
        if size > self._max_chunk:
            message = f"A signed chunk may have {self._max_chunk} bytes at most"
            raise InvalidChunkSizeError(message, Chunk=str(self._chunk), BadChunkSize=str(size))

    def _end_chunk(self) -> None:
        if self._chain is not None:
            self._chain.check_chunk(self._hash.hexdigest().encode(), self._signature)
        self._state = _DATA_END

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_TRAILERS:
            raise MalformedTrailerError
        if self._chain is None and not line.endswith(b"\r\n"):
            raise MalformedTrailerError
        text = line.rstrip(b"\r\n")
        if not text:
            # minio-go ends signed trailers with a bare LF, and puts an empty line before their signature.
            if self._chain is None or self._trailer_signature is not None:
                self._end_trailers()
            return
        name, colon, value = text.partition(b":")
        if not colon or self._trailer_signature is not None:
            raise MalformedTrailerError
        self._keep_trailer(name.strip().lower(), value.strip())

    def _keep_trailer(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1")
        if key == _TRAILER_SIGNATURE and self._chain is not None:
            self._trailer_signature = value
            return
        if self._announced is None or key not in self._announced or key in self.trailers:
            raise MalformedTrailerError
        self.trailers[key] = value.decode("latin-1")
        self._canonical.append(name + b":" + value + b"\n")

    def _end_trailers(self) -> None:
        if self._announced is not None and self.trailers.keys() != self._announced:
            raise MalformedTrailerError
        if self._chain is not None:
            assert self._trailer_signature is not None
            self._chain.check_trailers(b"".join(self._canonical), self._trailer_signature)
        self._state = _END

    def _malformed(self) -> Exception:
        return MalformedTrailerError() if self._state == _TRAILER else IncompleteBody()


def strip_aws_chunked(content_encoding: str) -> str | None:
    """A Content-Encoding without ``aws-chunked``, which frames the transfer only; None when nothing is left."""
    codings = content_encoding.split(",")
    kept = [coding for coding in codings if coding.strip() and coding.strip().lower() != "aws-chunked"]
    return ",".join(kept).strip() or None
