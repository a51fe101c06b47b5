"""The ciphers: a block under its data key, and a data key under the key that wraps it.

A block is cut into segments of 64 KiB, each encrypted with AES-256-GCM. The nonce is the segment's number and whether
it is the last, so that segments can neither change places nor be cut off, and a range needs only those it touches.
A data key is random and seals one block, once: no nonce is ever used twice.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backends.base import ByteRange

SEGMENT = 64 * 1024
TAG = 16
STORED_SEGMENT = SEGMENT + TAG
KEY = 32
_NONCE = 12
_BY_RING, _BY_CUSTOMER = 1, 2


class Tampered(Exception):
    """What is stored does not open under its key."""


def new_key() -> bytes:
    return secrets.token_bytes(KEY)


def sealed_size(size: int) -> int:
    """How many bytes ``size`` bytes become."""
    return size + -(-size // SEGMENT) * TAG


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(_NONCE - 1, "big") + bytes([last])


class Sealer:
    """Seals one block that comes in pieces. Blocks: for a worker thread."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._number = 0
        self._held = bytearray()

    def write(self, piece: bytes | memoryview) -> list[bytes]:
        """The segments that are complete; one is held back, for it may be the last."""
        self._held += piece
        whole = (len(self._held) - 1) // SEGMENT
        if whole <= 0:
            return []
        with memoryview(self._held) as held:
            sealed = [self._seal(held[at * SEGMENT : (at + 1) * SEGMENT], False) for at in range(whole)]
        del self._held[: whole * SEGMENT]
        return sealed

    def end(self) -> bytes:
        """The last segment."""
        return self._seal(self._held, True)

    def _seal(self, segment: bytes | bytearray | memoryview, last: bool) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._number, last), segment, None)
        self._number += 1
        return sealed


def seal(key: bytes, content: bytes) -> bytes:
    """A block at once."""
    sealer = Sealer(key)
    return b"".join([*sealer.write(content), sealer.end()])


class Opener:
    """Opens the segments of a block of ``size`` bytes, from the one that holds byte ``start`` of it."""

    def __init__(self, key: bytes, size: int, span: ByteRange) -> None:
        self._cipher = AESGCM(key)
        self._number = span.start // SEGMENT
        self._last = (size - 1) // SEGMENT
        self._stop = min(-(-span.stop // SEGMENT) * STORED_SEGMENT, sealed_size(size))
        self._held = b""
        self._skip = span.start - self._number * SEGMENT
        self._left = span.stop - span.start

    @property
    def stored_span(self) -> ByteRange:
        """What of the stored block is needed."""
        return ByteRange(self._number * STORED_SEGMENT, self._stop)

    def open(self, stored: bytes) -> bytes:
        """The wanted bytes in the segments that are complete now. Raises Tampered."""
        self._held = self._held + stored if self._held else stored
        return b"".join(self._opened(len(self._held) // STORED_SEGMENT))

    def end(self) -> bytes:
        """The wanted bytes of the rest; all was there. Raises Tampered."""
        rest = b"".join(self._opened(1 if self._held else 0))
        if self._left:
            raise Tampered("it ends early")
        return rest

    def _opened(self, count: int) -> Iterator[bytes]:
        held, at = memoryview(self._held), 0
        for _ in range(count):
            try:
                nonce = _nonce(self._number, self._number == self._last)
                plain = self._cipher.decrypt(nonce, held[at : at + STORED_SEGMENT], None)
            except (InvalidTag, ValueError) as error:
                raise Tampered(f"segment {self._number} does not open") from error
            at += STORED_SEGMENT
            self._number += 1
            if self._skip or len(plain) > self._left:
                plain = plain[self._skip : self._skip + self._left]
            self._skip = 0
            self._left -= len(plain)
            yield plain
        self._held = bytes(held[at:])


def open_sealed(key: bytes, size: int, stored: bytes, span: ByteRange | None = None) -> bytes:
    """A span of a block whose stored bytes are all here. Raises Tampered."""
    opener = Opener(key, size, span or ByteRange(0, size))
    start, stop = opener.stored_span
    return opener.open(stored[start:stop]) + opener.end()


# -- data keys


class WrappingKey:
    """Wraps data keys: a key of the ring, known by its number, or one that a customer sent."""

    def __init__(self, key: bytes, ring_id: int | None = None) -> None:
        self.ring_id = ring_id
        self._cipher = AESGCM(key)
        self._etag_key = hmac.digest(key, b"nexus etag", "sha256")
        self._head = bytes([_BY_CUSTOMER]) if ring_id is None else bytes([_BY_RING]) + ring_id.to_bytes(4, "big")

    def __repr__(self) -> str:
        return f"WrappingKey(ring_id={self.ring_id})"

    def etag(self, md5: bytes) -> str:
        """What stands for a content without telling its MD5; the same for the same content under the same key."""
        return hmac.digest(self._etag_key, md5, "sha256")[:16].hex()

    def wrap(self, data_key: bytes, scope: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return self._head + nonce + self._cipher.encrypt(nonce, data_key, _domain(scope))

    def unwrap(self, wrapped: bytes, scope: str) -> bytes:
        """Raises Tampered when it was altered, or wrapped by another key or for another domain."""
        at = len(self._head)
        if wrapped[:at] != self._head:
            raise Tampered("the data key is wrapped by another key")
        try:
            return self._cipher.decrypt(wrapped[at : at + _NONCE], wrapped[at + _NONCE :], _domain(scope))
        except InvalidTag as error:
            raise Tampered("the data key does not open") from error


def _domain(scope: str) -> bytes:
    """What a data key is bound to: the domain, which goes with content from store to store, not whose it is there."""
    return scope.rpartition(".")[2].encode()
