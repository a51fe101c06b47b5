"""The checksums of S3 under one small interface, and how those of parts make that of a whole.

CRCs of a multipart object can be computed from the parts' CRCs and sizes alone, by functions that came with the CRCs'.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import xxhash
from awscrt import checksums as crt

FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"

Buffer = bytes | bytearray | memoryview


class Hasher(Protocol):
    """A checksum under way."""

    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes:
        """The checksum of all bytes so far, big-endian."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm: the size of its digest, and the types it has for multipart objects, the default first."""

    name: str
    size: int
    new: Callable[[], Hasher]
    multipart_types: tuple[str, ...]
    combine: Callable[[int, int, int], int] | None = None
    """From the CRC of a text, that of another and the other's length to that of both."""

    @property
    def header(self) -> str:
        return f"x-amz-checksum-{self.name.lower()}"


class _Crc:
    """A CRC by a function that continues from the value before."""

    __slots__ = ("_function", "_size", "_value")

    def __init__(self, function: Callable[[Buffer, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size)


def _crc(
    name: str,
    function: Callable[[Buffer, int], int],
    size: int,
    types: tuple[str, ...],
    combine: Callable[[int, int, int], int],
) -> Algorithm:
    return Algorithm(name, size, functools.partial(_Crc, function, size), types, combine)


def _sha1() -> Hasher:
    return hashlib.sha1(usedforsecurity=False)


def _md5() -> Hasher:
    return hashlib.md5(usedforsecurity=False)


ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        _crc("CRC32", zlib.crc32, 4, (COMPOSITE, FULL_OBJECT), crt.combine_crc32),
        _crc("CRC32C", crt.crc32c, 4, (COMPOSITE, FULL_OBJECT), crt.combine_crc32c),
        _crc("CRC64NVME", crt.crc64nvme, 8, (FULL_OBJECT,), crt.combine_crc64nvme),
        Algorithm("SHA1", 20, _sha1, (COMPOSITE,)),
        Algorithm("SHA256", 32, hashlib.sha256, (COMPOSITE,)),
        Algorithm("SHA512", 64, hashlib.sha512, (COMPOSITE,)),
        Algorithm("MD5", 16, _md5, (COMPOSITE,)),
        Algorithm("XXHASH64", 8, xxhash.xxh64, (COMPOSITE,)),
        Algorithm("XXHASH3", 8, xxhash.xxh3_64, (COMPOSITE,)),
        Algorithm("XXHASH128", 16, xxhash.xxh3_128, (COMPOSITE,)),
    )
}
HEADERS: dict[str, str] = {algorithm.header: algorithm.name for algorithm in ALGORITHMS.values()}
"""Header (and trailer) name to algorithm."""


def new(algorithm: str) -> Hasher:
    """A hasher of that name. Raises KeyError for an algorithm S3 does not have."""
    return ALGORITHMS[algorithm].new()


def unsupported() -> str:
    """AWS's words for an algorithm that S3 does not have."""
    names = ", ".join(sorted(ALGORITHMS))
    return f"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [{names}]"


def encode(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def decode(algorithm: str, text: str) -> bytes:
    """The digest that a header tells. Raises ValueError unless it is base64 of the right length."""
    try:
        digest = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(f"{text!r} is not base64") from error
    if len(digest) != ALGORITHMS[algorithm].size or encode(digest) != text:
        raise ValueError(f"{text!r} is not a {algorithm}")
    return digest


def composite(algorithm: str, digests: Sequence[bytes]) -> str:
    """The checksum of checksums that S3 shows for parts: ``base64-N``."""
    hasher = new(algorithm)
    hasher.update(b"".join(digests))
    return f"{encode(hasher.digest())}-{len(digests)}"


def combine(algorithm: str, first: bytes, second: bytes, second_length: int) -> bytes:
    """The CRC of two texts joined, from the CRC of each and the length of the second.

    Raises ValueError for algorithms that cannot do this.
    """
    row = ALGORITHMS[algorithm]
    if row.combine is None:
        raise ValueError(f"{algorithm} of a whole cannot be had from its parts")
    return row.combine(int.from_bytes(first), int.from_bytes(second), second_length).to_bytes(row.size)
