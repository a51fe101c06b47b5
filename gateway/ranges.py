"""What a Range header asks for."""

from __future__ import annotations

from dataclasses import dataclass

from backends.base import ByteRange


@dataclass(frozen=True, slots=True)
class ReadRange:
    """What part of an object is wanted: resolved against its size when that is known."""

    start: int | None
    stop: int | None
    """Inclusive, as in the header; None means to the end. With ``start`` None: the last ``stop`` bytes."""
    header: str = ""


def resolve_range(wanted: ReadRange, size: int) -> ByteRange | None:
    """The bytes a Range header asks for; None when it touches nothing (RFC 9110, 14.1.2)."""
    if wanted.start is None:
        length = wanted.stop or 0
        return ByteRange(max(size - length, 0), size) if length and size else None
    if wanted.start >= size:
        return None
    return ByteRange(wanted.start, size if wanted.stop is None else min(wanted.stop + 1, size))


def parse_range(header: str) -> ReadRange | None:
    """A single ``bytes=`` range; None for what is to be ignored, as S3 does with several ranges."""
    unit, _, spec = header.partition("=")
    first, dash, last = spec.strip().partition("-")
    first, last = first.strip(), last.strip()
    if unit.strip().lower() != "bytes" or not dash or "," in spec or not (first or last):
        return None
    if any(part and not (part.isascii() and part.isdigit() and len(part) < 20) for part in (first, last)):
        return None
    start, stop = (int(first) if first else None), (int(last) if last else None)
    if start is not None and stop is not None and stop < start:
        return None
    return ReadRange(start, stop, header)
