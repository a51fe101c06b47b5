"""Bodies that say in every line which write they are of, and ETags by which an answer without a body says it, too."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

LINE = 16
LINES = (1, 1, 4, 64, 64, 300, 300, 300, 12_000)
"""How many lines a body has: in a pack, in a file, in several blocks of the server's small size."""


class Torn(Exception):
    """A body, or what is told of one, that nobody wrote."""


class Values:
    """All values of a run, known by number; each is written once, and copied perhaps."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(f"values {seed}")
        self._lines = [0]
        self._numbers: dict[str, int] = {}

    @property
    def count(self) -> int:
        return len(self._lines) - 1

    def new(self) -> tuple[int, bytes]:
        number, lines = len(self._lines), self._dice.choice(LINES)
        self._lines.append(lines)
        body = self.body(number)
        self._numbers[etag_of(body)] = number
        return number, body

    def new_in_parts(self) -> tuple[int, list[bytes]]:
        """A value whose body is sent in two parts."""
        number, body = self.new()
        half = max(LINE, len(body) // 2 // LINE * LINE)
        parts = [part for part in (body[:half], body[half:]) if part]
        self._numbers[etag_of_parts(parts)] = number
        return number, parts

    def body(self, number: int) -> bytes:
        return b"%015d\n" % number * self._lines[number]

    def size(self, number: int) -> int:
        return LINE * self._lines[number]

    def of_body(self, body: bytes, etag: str | None) -> int:
        """Which value a body and its ETag are; the Nexus door's ETags are none of S3's, so not told here."""
        number = self.of_line(body[:LINE])
        if body != self.body(number):
            raise Torn(f"a body of {len(body)} bytes that begins as value {number} is not it")
        if etag is not None and self.of_etag(etag, len(body)) != number:
            raise Torn(f"the body is value {number}, its ETag {etag} is not")
        return number

    def of_line(self, line: bytes) -> int:
        if len(line) == LINE and line[-1:] == b"\n" and line[:-1].isdigit() and 0 < int(line) < len(self._lines):
            return int(line)
        raise Torn(f"{line!r} is of no value")

    def of_etag(self, etag: str, size: int | None) -> int:
        number = self._numbers.get(etag)
        if number is None or (size is not None and self.size(number) != size):
            raise Torn(f"nobody wrote {size} bytes with the ETag {etag}")
        return number


def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def etag_of_parts(parts: Sequence[bytes]) -> str:
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
