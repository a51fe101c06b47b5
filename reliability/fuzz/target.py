"""What a fuzzer is made of: something that makes cases and something that checks one."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterator
from random import Random
from typing import Protocol


class Finding(Exception):
    """A parser broke a promise. Any other exception out of a check is a finding as well."""


class Target(Protocol):
    """One fuzzer. A case is bytes, and all that a check depends on."""

    name: str

    def generate(self, rng: Random) -> bytes:
        """A new case: the same for the same state of ``rng``."""

    def check(self, case: bytes) -> Awaitable[None] | None:
        """Raise what is wrong with how the parser took a case. A target that needs a loop answers an awaitable."""

    async def open(self) -> None:
        """Called once, in the loop that the checks run in."""

    async def close(self) -> None:
        """Called at the end; raises what only the end shows."""


class Pure:
    """A target of nothing but functions."""

    async def open(self) -> None:
        """Nothing is needed."""

    async def close(self) -> None:
        """Nothing is left."""


BATCH = 100
"""Cases that are made from one seed: to seed a generator costs as much as to make a case."""


def batch_of(name: str, seed: int, number: int) -> Random:
    """What the cases of a batch are made from."""
    return Random(f"{seed}/{name}/{number}")


def case_at(target: Target, seed: int, index: int) -> bytes:
    """A case by its number."""
    rng = batch_of(target.name, seed, index // BATCH)
    for _ in range(index % BATCH):
        target.generate(rng)
    return target.generate(rng)


def split(case: bytes, most: int = 8) -> Iterator[bytes]:
    """A case in pieces, as a network would deliver it: where it is cut follows from the case."""
    rng = Random(zlib.crc32(case))
    cuts = sorted(int(rng.random() * (len(case) + 1)) for _ in range(int(rng.random() * most)))
    at = 0
    for cut in (*cuts, len(case)):
        if cut > at:
            yield case[at:cut]
            at = cut
