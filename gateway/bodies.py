"""A body as it comes in, and what it must turn out to be."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway import checksums
from gateway.errors import DigestMismatch
from gateway.types import Block, Checksum


class Source(Protocol):
    """A body: its bytes in order, and what its sender said of it."""

    @property
    def length(self) -> int | None:
        """Declared number of bytes, None when the sender did not know."""

    @property
    def sha256(self) -> str | None:
        """Hex SHA-256 that the whole body must have, None when it was not signed."""

    @property
    def trailers(self) -> Mapping[str, str]:
        """Headers sent after the body; complete once the body is."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def whole(self) -> bytes:
        """All of its bytes at once, instead of one after the other: for a body that is known to be short."""


class Pieces:
    """The part of a source that comes as it comes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def whole(self) -> bytes:
        return b"".join([chunk async for chunk in self])


@dataclass(slots=True)
class Checks:
    """What a body must turn out to be. A digest that does not match stores nothing."""

    md5: bytes | None = None
    algorithm: str = "CRC64NVME"
    """The checksum to compute, and to check when ``value`` or a trailer tells it."""
    value: str | None = None
    trailer: str | None = None
    """The name of the trailer that tells ``value``."""
    limit: int = 5 * 1024**3


def verify(source: Source, checks: Checks, md5: bytes, checksum: bytes, sha256: str) -> Checksum:
    """Compare a body's digests with all that was declared of it. Raises DigestMismatch."""
    if source.sha256 is not None and source.sha256 != sha256:
        raise DigestMismatch("sha256", source.sha256, sha256)
    if checks.md5 is not None and checks.md5 != md5:
        raise DigestMismatch("md5", _base64(checks.md5), _base64(md5))
    computed = _base64(checksum)
    declared = source.trailers.get(checks.trailer) if checks.trailer else checks.value
    if declared is not None and declared != computed:
        raise DigestMismatch(checks.algorithm, declared, computed)
    return Checksum(checks.algorithm, computed)


def default_checksum(blocks: Sequence[Block]) -> Checksum:
    """The checksum that S3 computes where nobody asks for another: CRC64NVME, of a content's blocks."""
    return Checksum("CRC64NVME", checksums.encode(whole_crc(blocks)))


def whole_crc(blocks: Sequence[Block]) -> bytes:
    """The CRC64NVME of a content, from those of its blocks."""
    whole = bytes(8)
    for index, block in enumerate(blocks):
        digest = (block.crc & (1 << 64) - 1).to_bytes(8)
        whole = checksums.combine("CRC64NVME", whole, digest, block.size) if index else digest
    return whole


def signed(crc: int) -> int:
    """A 64-bit CRC as the signed number that databases keep."""
    return crc - (1 << 64) if crc >> 63 else crc


def _base64(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).decode()
