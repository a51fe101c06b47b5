"""Bodies that are made again from two numbers, so that each read is compared in full and none is kept."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache

KIB = 1024
MIB = 1024 * 1024
LARGEST = 32 * MIB
BLOCK = 8 * MIB
SPREAD = 65_521


@dataclass(frozen=True, slots=True)
class Content:
    """What an object holds: one body, or those of its parts one after the other."""

    pieces: tuple[tuple[int, int], ...]
    """Number and size of each."""

    @property
    def size(self) -> int:
        return sum(size for _, size in self.pieces)

    def read(self) -> bytes:
        return b"".join(make(number, size) for number, size in self.pieces)

    def blocks(self) -> dict[bytes, int]:
        """What a store keeps of it: digest and size of each block."""
        found = {}
        for number, size in self.pieces:
            body = make(number, size)
            for start in range(0, size, BLOCK):
                block = body[start : start + BLOCK]
                found[hashlib.sha256(block).digest()] = len(block)
        return found


def single(number: int, size: int) -> Content:
    return Content(((number, size),))


def make(number: int, size: int) -> bytes:
    """Bytes of which no block is in another number's."""
    start = number * 7919 % SPREAD
    return (b"%016x" % number + _pool()[start : start + size])[:size]


@cache
def _pool() -> bytes:
    return random.Random(1).randbytes(LARGEST + SPREAD)


def pick_size(dice: random.Random) -> int:
    """Mostly small; one in 200 is of several blocks; the limits of each kind come up by themselves."""
    kind = dice.random()
    if kind < 0.1:
        return dice.choice((0, 1, 4096, 64 * KIB, 64 * KIB + 1))
    if kind < 0.7:
        return int(2 ** dice.uniform(0, 14))
    if kind < 0.95:
        return int(2 ** dice.uniform(14, 19))
    if kind < 0.995:
        return int(2 ** dice.uniform(19, 23))
    return dice.choice((BLOCK, BLOCK + 1, 2 * BLOCK, LARGEST, dice.randrange(BLOCK, LARGEST)))
