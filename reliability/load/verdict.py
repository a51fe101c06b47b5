"""What a run's facts say: pure, so that what it would not let pass can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reliability.processes import Sample


@dataclass(frozen=True, slots=True)
class Bounds:
    health_seconds: float = 2.0
    steady_seconds: float = 2.0
    """The 99th percentile of who behaves beside the crowd."""
    memory_share: float = 0.2
    memory_mib: float = 30.0
    """The last cycle may leave so much more memory than the first: the greater of the two."""
    descriptors: int = 16
    fair_seconds: float = 1.0
    """The 99th percentile of a small tenant beside a noisy one, or ten times what it is alone."""


LOOSE = Bounds(health_seconds=20, steady_seconds=20, memory_share=2, memory_mib=200, fair_seconds=20)
"""For runs of seconds on a machine that does other things."""


Requests = list[tuple[float, int]]
"""Seconds and status of each; 0 where the connection broke."""


@dataclass
class Facts:
    before: Sample
    after: list[Sample] = field(default_factory=list)
    """One after each cycle, when its clients were gone."""
    peak_descriptors: int = 0
    connections: int = 0
    health: Requests = field(default_factory=list)
    steady: Requests = field(default_factory=list)
    """Of who behaves beside the crowd."""
    must_cut: bool = False
    """Whether a cycle is longer than the server waits for a request's head."""
    cut: int = 0
    """How many stalled clients it cut then."""
    alone: Requests = field(default_factory=list)
    beside: Requests = field(default_factory=list)
    """A small tenant's requests, without and with a noisy one."""
    noise: int = 0
    """The noisy tenant's requests meanwhile."""
    refused: int = 0
    """SlowDown from a server that has too little room."""
    got_through: int = 0
    of: int = 0
    up: int = 0
    down: int = 0
    """Uploads and downloads that were half-way when the server was told to stop."""
    finished: int = 0
    """How many of these were answered with success, and in full."""
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
    steady, alone, beside = percentile(facts.steady), percentile(facts.alone), percentile(facts.beside)
    peak = facts.peak_descriptors - facts.before.descriptors
    return [
        Line(
            f"{facts.connections} clients: at most {peak} descriptors more than at rest", peak > facts.connections / 2
        ),
        Line(
            f"health: {len(facts.health)} answers, {unserved(facts.health)} of them no 200, slowest {slowest:.2f} s",
            all_served(facts.health) and slowest < bounds.health_seconds,
        ),
        Line(
            f"who behaves: {len(facts.steady)} requests, {unserved(facts.steady)} not served, "
            f"p50 {percentile(facts.steady, 0.5) * 1000:.0f} ms, p99 {steady * 1000:.0f} ms",
            all_served(facts.steady) and steady < bounds.steady_seconds,
        ),
        Line(f"who stalls: {facts.cut} were cut by the server's deadline", facts.cut > 0 or not facts.must_cut),
        Line(
            f"memory: {facts.before.memory_mib:.0f} MiB at first, after each cycle "
            f"{', '.join(f'{each.memory_mib:.0f}' for each in facts.after)}",
            last.memory_mib <= most,
        ),
        Line(
            f"descriptors: {facts.before.descriptors} at first, {last.descriptors} after the last cycle",
            last.descriptors <= facts.before.descriptors + bounds.descriptors,
        ),
        Line(
            f"a small tenant's p99: {alone * 1000:.0f} ms alone ({len(facts.alone)} requests), {beside * 1000:.0f} ms "
            f"beside a noisy one with {facts.noise} ({len(facts.beside)}, {unserved(facts.beside)} not served)",
            all_served(facts.alone)
            and all_served(facts.beside)
            and facts.noise > 0
            and beside <= max(bounds.fair_seconds, 10 * alone),
        ),
        Line(
            f"too little room: {facts.refused} times SlowDown; {facts.got_through} of {facts.of} got through",
            facts.refused > 0 and facts.got_through == facts.of > 0,
        ),
        Line(
            f"told to stop: of {facts.up} uploads and {facts.down} downloads half-way {facts.finished} were finished, "
            f"exit status {facts.exit_status}",
            facts.up > 0 and facts.down > 0 and facts.finished == facts.up + facts.down and facts.exit_status == 0,
        ),
        Line(f"after a restart: {facts.checked} acknowledged objects read back", facts.checked > 0),
    ]


def unserved(requests: Requests) -> int:
    return sum(status not in (200, 204) for _, status in requests)


def all_served(requests: Requests) -> bool:
    return bool(requests) and not unserved(requests)


def percentile(told: Sequence[tuple[float, int]], share: float = 0.99) -> float:
    """Seconds within which this share of the requests were answered."""
    ordered = sorted(seconds for seconds, _ in told)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")
