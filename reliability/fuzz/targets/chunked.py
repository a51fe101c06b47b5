"""aws-chunked bodies: signed or not, with trailers or not, in any pieces.

A case is a line ``FORM LENGTH TRAILERS`` and the framed body. What the decoder takes, a plain reading of the whole
body takes as well, and finds the same bytes in it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import zlib
from collections.abc import Iterable
from random import Random

from gateway.auth.chunked import Chain, Decoder, Seed
from gateway.auth.errors import AuthError
from reliability.fuzz.mutate import Mutator, below, pick
from reliability.fuzz.signing import KEY, SCOPE, STAMP, request, signed_in_header
from reliability.fuzz.target import Finding, Pure, split

SEED = Seed(b"k" * 32, b"20260101T000000Z", b"20260101/us-east-1/s3/aws4_request", b"0" * 64)
SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER = b"signed", b"signed+trailer", b"trailer"
_MODES = {
    SIGNED: b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    SIGNED_TRAILER: b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    UNSIGNED_TRAILER: b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}
FORMS = (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER)
CRC32 = b"x-amz-checksum-crc32"

_EMPTY = hashlib.sha256().hexdigest().encode()
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=[0-9a-f]{64})?\r\n")
_TOKENS = (
    *(b"0\r\n", b"\r\n\r\n", b";chunk-signature=", b"0" * 64, b"f" * 16, b"2000\r\n", b"0;chunk-signature="),
    *(b"x-amz-checksum-crc32:AAAAAA==\r\n", b"x-amz-trailer-signature:", b"x-amz-meta-a:b\r\n", b";a=b"),
)


class Chunks:
    """Writes a body down in one of the forms, signing as it goes."""

    def __init__(self, seed: Seed | None) -> None:
        self._key = seed.signing_key if seed is not None else b""
        self._prefix = seed.timestamp + b"\n" + seed.scope + b"\n" if seed is not None else b""
        self._previous = seed.signature if seed is not None else b""
        self._signed = seed is not None

    @property
    def signature(self) -> bytes:
        """The latest."""
        return self._previous

    def chunk(self, data: bytes) -> bytes:
        if not self._signed:
            return b"%x\r\n" % len(data) + (data + b"\r\n" if data else b"")
        digest = hashlib.sha256(data).hexdigest().encode()
        self._sign(b"AWS4-HMAC-SHA256-PAYLOAD\n", _EMPTY + b"\n" + digest)
        head = b"%x;chunk-signature=%b\r\n" % (len(data), self._previous)
        return head + (data + b"\r\n" if data else b"")

    def trailers(self, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The trailers, and the end of the body."""
        lines = [name + b":" + value for name, value in pairs]
        text = b"".join(line + b"\r\n" for line in lines)
        if self._signed:
            digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest().encode()
            self._sign(b"AWS4-HMAC-SHA256-TRAILER\n", digest)
            text += b"x-amz-trailer-signature:" + self._previous + b"\r\n"
        return text + b"\r\n"

    def _sign(self, algorithm: bytes, rest: bytes) -> None:
        string = algorithm + self._prefix + self._previous + b"\n" + rest
        self._previous = hmac.digest(self._key, string, "sha256").hex().encode()


def framed(form: bytes, pieces: Iterable[bytes], *, seed: Seed = SEED, lies: bool = False) -> bytes:
    """A body of some pieces, each a chunk; one that ``lies`` tells a wrong checksum."""
    chunks = Chunks(None if form == UNSIGNED_TRAILER else seed)
    pieces = list(pieces)
    text = b"".join(map(chunks.chunk, [*pieces, b""]))
    if form == SIGNED:
        return text + b"\r\n"
    crc = zlib.crc32(b"".join(pieces)) ^ lies
    return text + chunks.trailers([(CRC32, base64.b64encode(crc.to_bytes(4, "big")))])


class ChunkedTarget(Pure):
    """The decoder of gateway/auth/chunked.py."""

    name = "chunked"

    def __init__(self) -> None:
        seeds = [framed(form, pieces) for form in FORMS for pieces in ([], [b"hello"], [b"x" * 8192, b"end"])]
        self._mutate = Mutator(seeds, _TOKENS, most=40 * 1024)

    def generate(self, rng: Random) -> bytes:
        form = pick(rng, FORMS)
        sizes = [8192 + below(rng, 9) for _ in range(below(rng, 3))] if rng.random() < 0.15 else []
        pieces = [b"\r\n" * (size // 2) if rng.random() < 0.1 else b"a" * size for size in sizes]
        if rng.random() < 0.9:
            pieces.append(bytes(below(rng, 256) for _ in range(1 + below(rng, 24))))
        length = sum(map(len, pieces))
        body = framed(form, pieces)
        if rng.random() < 0.85:
            body = self._mutate(rng, body)
        if rng.random() < 0.1:
            length = max(length + below(rng, 5) - 2, 0)
        return b"%b %d %b\n" % (form, length, b"" if form == SIGNED else CRC32) + body

    def check(self, case: bytes) -> None:
        head, _, body = case.partition(b"\n")
        form, length, trailers = head.split(b" ")
        announced = trailers.decode().split() if form != SIGNED else None
        whole = self._decode(form, int(length), announced, [body])
        pieces = self._decode(form, int(length), announced, split(body))
        if whole != pieces:
            raise Finding(f"whole it is {str(whole)[:200]}, in pieces {str(pieces)[:200]}")
        if not isinstance(whole, str):
            self._check_taken(form, body, int(length), whole[0])

    def request(self, case: bytes) -> bytes:
        """The case as the body of an object. Signatures that were right are right for this request."""
        head, _, body = case.partition(b"\n")
        form, length, trailers = head.split(b" ")
        headers = [
            (b"host", b"localhost"),
            (b"x-amz-decoded-content-length", length),
            (b"content-encoding", b"aws-chunked"),
        ]
        if form != SIGNED:
            headers.append((b"x-amz-trailer", trailers))
        signature = signed_in_header(b"PUT", b"/bucket/key", [], headers, _MODES[form])
        if form != UNSIGNED_TRAILER:
            body = _signed_anew(body, Seed(KEY, STAMP, SCOPE, signature))
        return request(b"PUT", b"/bucket/key", [], headers, body)

    def _decode(
        self, form: bytes, length: int, announced: list[str] | None, pieces: Iterable[bytes]
    ) -> tuple[bytes, dict[str, str]] | str:
        """What is taken, or the class of the refusal."""
        chain = None if form == UNSIGNED_TRAILER else Chain(SEED)
        decoder, found, count = Decoder(length, chain=chain, announced=announced), [], 0
        try:
            for piece in pieces:
                for data in decoder.feed(piece):
                    found.append(data)
                    count += len(data)
                    if count > length:
                        raise Finding("more bytes were handed out than were declared")
            decoder.finish()
        except AuthError as error:
            return type(error).__name__
        return b"".join(found), decoder.trailers

    def _check_taken(self, form: bytes, body: bytes, length: int, data: bytes) -> None:
        if len(data) != length:
            raise Finding(f"{len(data)} bytes were taken of {length} that were declared")
        chunks, at, plain = Chunks(None if form == UNSIGNED_TRAILER else SEED), 0, []
        while True:
            head = _CHUNK.match(body, at)
            if head is None:
                raise Finding(f"what was taken has no chunk at {at}")
            size = int(head[1], 16)
            at = head.end()
            chunks.chunk(body[at : at + size])
            if chunks.signature not in head[0]:
                raise Finding(f"what was taken has a wrong signature before {at}")
            if not size:
                break
            plain.append(body[at : at + size])
            if body[at + size : at + size + 2] != b"\r\n":
                raise Finding(f"what was taken has no end of a chunk at {at + size}")
            at += size + 2
        if b"".join(plain) != data:
            raise Finding("other bytes were taken than the framing holds")


def _signed_anew(body: bytes, seed: Seed) -> bytes:
    """A body whose signatures go on from another seed, up to the first that is wrong."""
    parts: list[bytes] = []
    old, new, at = Chunks(SEED), Chunks(seed), 0
    while (head := _CHUNK.match(body, at)) is not None:
        size = int(head[1], 16)
        stop = head.end() + size
        data = body[head.end() : stop]
        if size > len(body) or not old.chunk(data).startswith(b"%x;" % size) or old.signature not in head[0]:
            return b"".join(parts) + body[at:]
        new.chunk(data)
        parts.append(head[0].replace(old.signature, new.signature) + data)
        at = stop
        if not size:
            break
        parts.append(body[at : at + 2])
        at += 2
    rest = body[at:]
    lines = rest.partition(b"x-amz-trailer-signature:")[0].split(b"\r\n")[:-1]
    pairs = [(name, value) for name, _, value in (line.partition(b":") for line in lines)]
    old.trailers(pairs)
    new.trailers(pairs)
    return b"".join(parts) + rest.replace(old.signature, new.signature)
