"""What the gateway is to reach, as data, and whether a run reached it.

Ratios are taken round by round, as the servers of a round were measured within seconds of one another; what counts is
their median. Processor time is that of one worker, rates are those of two, as the rivals use both cores of the machine
that the targets were set on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.results import Cell, number

ONE, TWO = "gateway", "gateway-2"
SYNCING = "seaweedfs-fsync"
RIVALS = ("rclone", "seaweedfs", SYNCING, "juicefs", "s3rver")
"""Who verifies signatures, and so does what we do."""
LEVEL = 1.1
"""As good as: within 10 %."""
MOVES_NOTHING = 0.001
"""The share of an object's bytes that may go to the disk where none is to be moved: that is the catalog."""


@dataclass(frozen=True)
class Value:
    """A figure: its median, and its lowest and highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Value:
        found = sorted(values)
        return cls(median(found), found[0], found[-1])


class Cells:
    """A run's cells, by what they are of."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = {(cell.operation, cell.connections, cell.server): cell for cell in cells}

    def get(self, operation: str, connections: int, server: str) -> Cell | None:
        return self._cells.get((operation, connections, server))

    def best(self, operation: str, connections: int, but: Sequence[str] = ()) -> Cell | None:
        """The rival that needs the least processor time."""
        cells = [self.get(operation, connections, name) for name in RIVALS if name not in but]
        return min((cell for cell in cells if cell is not None), key=lambda cell: cell.cpu_ms, default=None)


Measure = Callable[[Cells], tuple[Value, str] | None]
"""The figure, and what it was compared with; None where the run did not have it."""


@dataclass(frozen=True)
class Target:
    """One thing to reach."""

    operation: str
    claim: str
    limit: float
    measure: Measure
    unit: str = ""
    at_least: bool = False

    def is_met(self, value: Value) -> bool:
        return value.middle >= self.limit if self.at_least else value.middle <= self.limit

    def by(self, value: Value) -> float:
        """How far the figure is from the limit, as a share of it."""
        return abs(value.middle / self.limit - 1)


def _times(ours: Sequence[float], theirs: Sequence[float], beside: str) -> tuple[Value, str] | None:
    """Ours as multiples of theirs, of the same rounds; None where theirs is too little to be measured."""
    found = [a / b for a, b in zip(ours, theirs, strict=False) if b]
    return (Value.of(found), beside) if found else None


def cpu(operation: str, connections: int, limit: float) -> Target:
    def read(cells: Cells) -> tuple[Value, str] | None:
        cell = cells.get(operation, connections, ONE)
        return None if cell is None else (Value.of(cell.cpus), "")

    return Target(operation, f"CPU at most {limit:g} ms", limit, read, " ms")


def beside(operation: str, connections: int, rival: str, limit: float, claim: str = "") -> Target:
    """Processor time as a multiple of a rival's."""

    def read(cells: Cells) -> tuple[Value, str] | None:
        ours, theirs = cells.get(operation, connections, ONE), cells.get(operation, connections, rival)
        if ours is None or theirs is None:
            return None
        return _times(ours.cpus, theirs.cpus, f"{rival}: {number(theirs.cpu_ms)} ms")

    return Target(operation, claim or f"CPU at most {limit:g} × {rival}'s", limit, read, " ×")


def beside_best(operation: str, connections: int, limit: float, claim: str, but: Sequence[str] = ()) -> Target:
    """Processor time as a multiple of that of whichever rival needs least."""

    def read(cells: Cells) -> tuple[Value, str] | None:
        ours, theirs = cells.get(operation, connections, ONE), cells.best(operation, connections, but)
        if ours is None or theirs is None:
            return None
        return _times(ours.cpus, theirs.cpus, f"{theirs.server}: {number(theirs.cpu_ms)} ms")

    return Target(operation, claim, limit, read, " ×")


def faster(operation: str, connections: int, rivals: Sequence[str], factor: float, claim: str) -> Target:
    """Requests a second as a multiple of the fastest of some rivals."""

    def read(cells: Cells) -> tuple[Value, str] | None:
        ours = cells.get(operation, connections, TWO)
        there = [cell for name in rivals if (cell := cells.get(operation, connections, name)) is not None]
        if ours is None or len(there) < len(rivals):
            return None
        theirs = max(there, key=lambda cell: cell.rate)
        return _times(ours.rates, theirs.rates, f"{ours.rate:,.0f}/s, {theirs.server}: {theirs.rate:,.0f}/s")

    return Target(operation, claim, factor, read, " ×", at_least=True)


def alike(operation: str, other: str, limit: float, claim: str) -> Target:
    """Processor time of one operation as a multiple of another's, which is that of smaller things."""

    def read(cells: Cells) -> tuple[Value, str] | None:
        ours, base = cells.get(operation, 1, ONE), cells.get(other, 1, ONE)
        if ours is None or base is None:
            return None
        return _times(ours.cpus, base.cpus, f"{number(ours.cpu_ms)} ms, the smaller: {number(base.cpu_ms)} ms")

    return Target(operation, claim, limit, read, " ×")


def moves_nothing(operation: str, mib: float) -> Target:
    def read(cells: Cells) -> tuple[Value, str] | None:
        cell = cells.get(operation, 1, ONE)
        return None if cell is None else (Value.of([cell.written_mib]), f"object: {mib:,.0f} MiB")

    return Target(operation, "no byte of it moved: at most .1 % of its size written", mib * MOVES_NOTHING, read, " MiB")


def idle(limit: float) -> Target:
    def read(cells: Cells) -> tuple[Value, str] | None:
        cell = cells.get("put-huge", 1, ONE)
        return None if cell is None else (Value.of([cell.idle_mib]), "resident, after its first requests")

    return Target("idle worker", f"memory at most {limit:g} MiB", limit, read, " MiB")


def growth(operation: str, limit: float) -> Target:
    def read(cells: Cells) -> tuple[Value, str] | None:
        cell = cells.get(operation, 1, ONE)
        return None if cell is None else (Value.of([cell.peak_mib - cell.idle_mib]), f"to {number(cell.peak_mib)} MiB")

    return Target(operation, f"memory grows by at most {limit:g} MiB", limit, read, " MiB")


_BOTH = ("rclone", "seaweedfs")


def _more(connections: int) -> Target:
    return faster("get", connections, _BOTH, 1, f"more requests/s than rclone and seaweedfs at {connections}")


def _puts(connections: int, rival: str, factor: float) -> Target:
    claim = f"{factor:g} × {rival}'s requests/s at {connections}" if factor > 1 else f"level with {rival} in requests/s"
    return faster("put", connections, (rival,), factor, claim if factor > 1 else f"{claim} at {connections}")


TARGETS = (
    cpu("get", 16, 0.085),
    beside("get", 16, "rclone", 1, "CPU below rclone's"),
    beside("get", 16, "seaweedfs", 0.4),
    *(_more(connections) for connections in (1, 16, 64)),
    cpu("head", 16, 0.055),
    beside("head", 16, "seaweedfs", 0.55),
    beside("head", 16, "rclone", LEVEL, "CPU level with rclone's"),
    cpu("put", 16, 0.20),
    beside("put", 16, SYNCING, 0.35),
    beside_best("put", 16, 1, "CPU below that of all who do not sync", (SYNCING,)),
    *(_puts(connections, SYNCING, 2.5) for connections in (16, 64)),
    *(_puts(connections, "seaweedfs", 1.5) for connections in (16, 64)),
    *(_puts(1, rival, 1 / LEVEL) for rival in (SYNCING, "seaweedfs")),
    cpu("put-same", 16, 0.15),
    beside("put-same", 16, "rclone", 0.45),
    cpu("delete", 16, 0.10),
    beside_best("delete", 16, 1, "CPU below all"),
    cpu("list", 1, 2),
    beside_best("list", 1, 0.25, "CPU at most .25 × the best rival's"),
    cpu("list-huge", 1, 2),
    alike("list-huge", "list", 1.2, "CPU as with 10⁵ keys, within 20 %"),
    cpu("list-folders", 1, 5),
    alike("list-folders", "list-prefixes", 2, "cost follows the answer: at most 2 × that of 10³ keys"),
    cpu("get-large", 1, 20),
    beside("get-large", 1, "nginx", LEVEL, "CPU level with nginx's"),
    beside_best("get-large", 1, 0.6, "CPU at most .6 × the best rival's"),
    cpu("put-large", 1, 200),
    beside_best("put-large", 1, 1, "CPU below all"),
    cpu("multipart", 4, 850),
    beside_best("multipart", 4, 1, "CPU below all"),
    moves_nothing("copy-huge", 1024),
    alike("copy-huge", "copy", 1.2, "CPU as for 4 KiB, within 20 %"),
    moves_nothing("complete", 50_000),
    idle(80),
    growth("put-huge", 32),
    growth("get-huge", 32),
)
