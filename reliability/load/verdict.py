"""What a run's facts say: pure, so that what it would not let pass can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reliability.processes import Sample


@dataclass(frozen=True, slots=True)
class Bounds:
    health_seconds: float = 2.0
    memory_share: float = 0.2
    memory_mib: float = 30.0
    """The last cycle may leave so much more memory than the first: the greater of the two."""
    descriptors: int = 16
    fair_seconds: float = 1.0
    """The 99th percentile of a small tenant beside a noisy one, or ten times what it is alone."""


LOOSE = Bounds(health_seconds=20, memory_share=2, memory_mib=200, fair_seconds=20)
"""For runs of seconds on a machine that does other things."""


@dataclass
class Facts:
    before: Sample
    after: list[Sample] = field(default_factory=list)
    """One after each cycle, when its clients were gone."""
    peak_descriptors: int = 0
    connections: int = 0
    health: list[tuple[float, int]] = field(default_factory=list)
    alone: list[tuple[float, int]] = field(default_factory=list)
    beside: list[tuple[float, int]] = field(default_factory=list)
    """A small tenant's requests: seconds and status, without and with a noisy one."""
    refused: int = 0
    """SlowDown from a server that has too little room."""
    got_through: int = 0
    of: int = 0
    under_way: int = 0
    finished: int = 0
    """Of what was under way when the server was told to stop."""
    exit_status: int | None = None
    checked: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    good: bool

    def __str__(self) -> str:
        return f"{'ok ' if self.good else 'BAD'} {self.text}"


def lines(facts: Facts, bounds: Bounds) -> list[Line]:
    first, last = facts.after[0], facts.after[-1]
    most = first.memory_mib + max(bounds.memory_share * first.memory_mib, bounds.memory_mib)
    slowest = max((seconds for seconds, _ in facts.health), default=float("inf"))
    unhealthy = sum(status != 200 for _, status in facts.health)
    alone, beside = percentile(facts.alone), percentile(facts.beside)
    fair = max(bounds.fair_seconds, 10 * alone)
    peak = facts.peak_descriptors - facts.before.descriptors
    return [
        Line(
            f"{facts.connections} clients: at most {peak} descriptors more than at rest", peak > facts.connections / 2
        ),
        Line(
            f"health: {len(facts.health)} answers, {unhealthy} of them no 200, the slowest after {slowest:.2f} s",
            bool(facts.health) and not unhealthy and slowest < bounds.health_seconds,
        ),
        Line(
            f"memory after each cycle: {', '.join(f'{each.memory_mib:.0f}' for each in facts.after)} MiB",
            last.memory_mib <= most,
        ),
        Line(
            f"descriptors: {facts.before.descriptors} at first, {last.descriptors} after the last cycle",
            last.descriptors <= facts.before.descriptors + bounds.descriptors,
        ),
        Line(
            f"a small tenant's p99: {alone * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside a noisy one",
            bool(facts.beside) and all(status == 200 for _, status in facts.beside) and beside <= fair,
        ),
        Line(
            f"too little room: {facts.refused} times SlowDown; {facts.got_through} of {facts.of} got through",
            facts.refused > 0 and facts.got_through == facts.of > 0,
        ),
        Line(
            f"told to stop: {facts.finished} of {facts.under_way} under way were finished, status {facts.exit_status}",
            facts.finished == facts.under_way > 0 and facts.exit_status == 0,
        ),
        Line(f"{facts.checked} acknowledged objects read back after a restart", facts.checked > 0),
    ]


def percentile(told: Sequence[tuple[float, int]], share: float = 0.99) -> float:
    """Seconds within which this share of the requests were answered."""
    ordered = sorted(seconds for seconds, _ in told)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")
