"""What came of an operation on a server, over all rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.load import MIB, Run
from benchmarks.operations import OPERATIONS
from benchmarks.site import Scale

OURS = "gateway"


@dataclass(frozen=True)
class Cell:
    """One operation on one server at a number of connections: each round's figures, and their medians."""

    operation: str
    connections: int
    server: str
    rates: tuple[float, ...]
    """Requests a second; MiB a second where an operation moves large objects."""
    cpus: tuple[float, ...]
    """ms of processor time of all the server's processes, for an operation."""
    p50_ms: float
    p99_ms: float
    idle_mib: float
    """Memory when the server had just started."""
    peak_mib: float
    """The highest of all rounds."""
    written_mib: float
    """Sent to the disk, for an operation."""
    refused: int

    @classmethod
    def of(
        cls, operation: str, connections: int, server: str, runs: Sequence[Run], scale: Scale, idle_mib: float
    ) -> Cell:
        size = OPERATIONS[operation].bytes(scale) / MIB or 1
        return cls(
            operation,
            connections,
            server,
            tuple(run.rate * size for run in runs),
            tuple(run.cpu_ms for run in runs),
            median(run.percentile(0.5) for run in runs),
            median(run.percentile(0.99) for run in runs),
            idle_mib,
            max(run.peak_mib for run in runs),
            median(run.written_mib / max(run.requests, 1) for run in runs),
            sum(run.refused for run in runs),
        )

    @classmethod
    def read(cls, row: dict[str, Any]) -> Cell:
        return cls(**{**row, "rates": tuple(row["rates"]), "cpus": tuple(row["cpus"])})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def cpu_ms(self) -> float:
        return median(self.cpus)

    @property
    def key(self) -> tuple[str, int]:
        return self.operation, self.connections

    @property
    def is_ours(self) -> bool:
        return self.server.startswith(OURS)


def line(cell: Cell) -> str:
    """A cell on the terminal."""
    refused = f"  {cell.refused} refused" if cell.refused else ""
    return (
        f"{cell.operation:14} {cell.connections:3}  {cell.server:20} {cell.rate:9.0f}/s"
        f"  cpu {cell.cpu_ms:9.3f} ms ({min(cell.cpus):.3f} to {max(cell.cpus):.3f})"
        f"  p50 {cell.p50_ms:8.2f}  p99 {cell.p99_ms:8.2f}  {cell.peak_mib:6.0f} MiB{refused}"
    )


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
