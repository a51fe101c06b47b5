"""What an hour's samples say: is the end what the beginning was?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from reliability.processes import MIB, Sample

WARM_UP = 0.15
"""Share of a run in which caches, pools and the live set fill."""


@dataclass(frozen=True, slots=True)
class Swept:
    """The store right after a collection: all its files, and what the clients let live."""

    at: float
    data_bytes: int
    live_bytes: int


@dataclass(frozen=True, slots=True)
class Bound:
    """How far the last quarter's median may be above the first one's after the warm-up: the greater of the two."""

    share: float
    more: float


@dataclass(frozen=True, slots=True)
class Bounds:
    memory: Bound = Bound(0.2, 30)
    descriptors: Bound = Bound(0.05, 8)
    threads: Bound = Bound(0.05, 4)
    wal: Bound = Bound(0.2, 16)
    store: Bound = Bound(0.2, 32)


LOOSE = Bounds(Bound(2, 200), Bound(1, 100), Bound(1, 100), Bound(5, 100), Bound(5, 500))
"""For runs of seconds, in which nothing is at rest."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that must not grow."""

    name: str
    first: float
    last: float
    highest: float
    flat: bool

    def __str__(self) -> str:
        verdict = "flat" if self.flat else "GROWS"
        return f"{self.name}: {self.first:.0f} -> {self.last:.0f} (highest {self.highest:.0f}): {verdict}"


def line(name: str, values: Sequence[tuple[float, float]], bound: Bound) -> Line:
    """``values`` with their times, in order."""
    end = values[-1][0] if values else 0.0
    kept = [value for at, value in values if at >= end * WARM_UP] or [0.0]
    quarter = max(1, len(kept) // 4)
    first, last = median(kept[:quarter]), median(kept[-quarter:])
    return Line(name, first, last, max(kept), last <= first + max(first * bound.share, bound.more))


def lines(samples: Sequence[Sample], swept: Sequence[Swept], bounds: Bounds) -> list[Line]:
    def of(value: Callable[[Sample], float]) -> list[tuple[float, float]]:
        return [(each.at, value(each)) for each in samples]

    return [
        line("memory, MiB", of(lambda each: each.memory_mib), bounds.memory),
        line("descriptors", of(lambda each: each.descriptors), bounds.descriptors),
        line("threads", of(lambda each: each.threads), bounds.threads),
        line("write-ahead logs, MiB", of(lambda each: each.wal_bytes / MIB), bounds.wal),
        line(
            "store beyond the live set after gc, MiB",
            [(each.at, (each.data_bytes - each.live_bytes) / MIB) for each in swept],
            bounds.store,
        ),
    ]
