"""What was measured, as a page: a table per kind of operation and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from statistics import median

from benchmarks.load import MIB, Run
from benchmarks.operations import OPERATIONS, Scale

OURS = "gateway"


@dataclass(frozen=True)
class Cell:
    """One operation on one server at a number of connections: medians over the rounds."""

    operation: str
    connections: int
    server: str
    rate: float
    """Requests a second; MiB a second where an operation moves large objects."""
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    peak_mib: float
    refused: int

    @classmethod
    def of(cls, operation: str, connections: int, server: str, runs: Sequence[Run], scale: Scale) -> Cell:
        size = OPERATIONS[operation].bytes(scale) / MIB or 1
        return cls(
            operation,
            connections,
            server,
            median(run.rate for run in runs) * size,
            median(run.cpu_ms for run in runs),
            median(run.percentile(0.5) for run in runs),
            median(run.percentile(0.99) for run in runs),
            max(run.peak_mib for run in runs),
            sum(run.refused for run in runs),
        )


def as_json(cells: Iterable[Cell]) -> list[dict[str, object]]:
    return [asdict(cell) for cell in cells]


def line(cell: Cell) -> str:
    """A cell on the terminal."""
    refused = f"  {cell.refused} refused" if cell.refused else ""
    return (
        f"{cell.operation:14} {cell.connections:3}  {cell.server:20} {cell.rate:9.0f}/s  cpu {cell.cpu_ms:9.3f} ms"
        f"  p50 {cell.p50_ms:8.2f}  p99 {cell.p99_ms:8.2f}  {cell.peak_mib:6.0f} MiB{refused}"
    )


def table(cells: Sequence[Cell]) -> str:
    """Markdown: a row for an operation and a number of connections, a column for a server.

    Each field is the server's CPU time in ms per operation, and the rate; the last column is ours against the rival
    that needs least.
    """
    servers = list(dict.fromkeys(cell.server for cell in cells))
    lines = [
        f"| operation | connections | {' | '.join(servers)} | CPU against the best rival |",
        f"|---|--:|{'--:|' * (len(servers) + 1)}",
    ]
    for operation, connections in dict.fromkeys((cell.operation, cell.connections) for cell in cells):
        row = {cell.server: cell for cell in cells if (cell.operation, cell.connections) == (operation, connections)}
        fields = [_field(row[server]) if server in row else "" for server in servers]
        lines.append(f"| {OPERATIONS[operation].title} | {connections} | {' | '.join(fields)} | {_against(row)} |")
    return "\n".join(lines) + "\n"


def _field(cell: Cell) -> str:
    unit = "MiB/s" if OPERATIONS[cell.operation].bytes(Scale()) else "/s"
    refused = f", {cell.refused} refused" if cell.refused else ""
    return f"{_number(cell.cpu_ms)} ms, {cell.rate:,.0f} {unit}{refused}"


def _against(row: dict[str, Cell]) -> str:
    rivals = [cell.cpu_ms for name, cell in row.items() if not name.startswith(OURS) and cell.cpu_ms]
    return f"× {row[OURS].cpu_ms / min(rivals):.2f}" if OURS in row and rivals else ""


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:,.0f}"


def chart(cells: Sequence[Cell], connections: int) -> str:
    """SVG: bars of the CPU time that each server takes for an operation, as a share of the one that takes most."""
    rows = [cell for cell in cells if cell.connections == connections]
    bars, y = [], 10
    for operation in dict.fromkeys(cell.operation for cell in rows):
        group = [cell for cell in rows if cell.operation == operation]
        most = max(cell.cpu_ms for cell in group) or 1
        bars.append(f'<text x="10" y="{y + 12}" font-weight="bold">{escape(OPERATIONS[operation].title)}</text>')
        y += 18
        for cell in group:
            colour = "#2563eb" if cell.server.startswith(OURS) else "#9ca3af"
            width = 380 * cell.cpu_ms / most
            bars.append(
                f'<text x="150" y="{y + 11}" text-anchor="end">{escape(cell.server)}</text>'
                f'<rect x="158" y="{y}" width="{width:.1f}" height="13" fill="{colour}"/>'
                f'<text x="{163 + width:.1f}" y="{y + 11}">{_number(cell.cpu_ms)} ms</text>'
            )
            y += 16
        y += 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y}" font-family="sans-serif" font-size="11">'
    return f'{head}<rect width="100%" height="100%" fill="white"/>{"".join(bars)}</svg>\n'
