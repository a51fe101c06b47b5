"""What was measured, as parts of a page: targets, tables, and what it was measured on. Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.findings import Findings
from benchmarks.operations import OPERATIONS
from benchmarks.results import OURS, Cell, number
from benchmarks.servers import kind_of
from benchmarks.site import Scale
from benchmarks.targets import RIVALS, TARGETS, Cells, Target, Value

PARTS: dict[str, Callable[[Findings], str]]


def write(page: Path, found: Findings) -> None:
    """Put the parts between the page's marks, ``<!-- targets -->`` … ``<!-- end of targets -->`` and such."""
    text = page.read_text()
    for name, render in PARTS.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{render(found)}\n{end}{rest.split(end)[1]}"
    page.write_text(text)


def targets(found: Findings, whole: bool = True) -> str:
    """A row for each thing to reach, or for each that the run tells of."""
    cells = Cells(found.cells)
    lines = ["| | to reach | measured (lowest to highest round) | |", "|---|---|---|---|"]
    before = ""
    for target in TARGETS:
        seen = target.measure(cells)
        if seen is None and not whole:
            continue
        title = OPERATIONS[target.operation].title if target.operation in OPERATIONS else target.operation
        shown, before = "" if title == before else title, title
        lines.append(f"| {shown} | {target.claim} | {_measured(target, seen)} |")
    return "\n".join(lines) + f"\n\n{_score(cells)}\n"


def _measured(target: Target, seen: tuple[Value, str] | None) -> str:
    if seen is None:
        return "not in this run | "
    value, beside = seen
    span = f" ({number(value.low)} to {number(value.high)})" if value.low != value.high else ""
    told = f"{number(value.middle)}{target.unit}{span}{f'; {beside}' if beside else ''}"
    verdict = (
        f"met, {target.by(value):.0%} to spare" if target.is_met(value) else f"**missed by {target.by(value):.0%}**"
    )
    return f"{told} | {verdict}"


def _score(cells: Cells) -> str:
    seen = [(target, found[0]) for target in TARGETS if (found := target.measure(cells)) is not None]
    met = sum(target.is_met(value) for target, value in seen)
    return f"{met} of {len(seen)} met; {len(TARGETS) - len(seen)} not in this run."


def figures(found: Findings) -> str:
    """Three tables across the servers: processor time, rates, memory; and then every figure."""
    return "\n".join(
        (
            "Processor time of all of a server's processes, in ms for an operation:\n",
            table(found.cells, lambda cell: number(cell.cpu_ms), best_of_rivals),
            "Requests a second, or MiB a second where large objects are moved:\n",
            table(found.cells, lambda cell: number(cell.rate)),
            "Memory (RSS of all processes, MiB): just started, and the highest while it takes and gives 1 GiB:\n",
            memory(found),
            "<details><summary>Every figure</summary>\n",
            everything(found.cells),
            "</details>\n",
        )
    )


def table(
    cells: Sequence[Cell], field: Callable[[Cell], str], last: Callable[[dict[str, Cell]], str] | None = None
) -> str:
    """A row for an operation and a number of connections, a column for a server."""
    servers = list(dict.fromkeys(cell.server for cell in cells))
    more = " ours / the best rival |" if last else ""
    lines = [
        f"| operation | connections | {' | '.join(servers)} |{more}",
        f"|---|--:|{'--:|' * (len(servers) + bool(last))}",
    ]
    for key in dict.fromkeys(cell.key for cell in cells):
        row = {cell.server: cell for cell in cells if cell.key == key}
        fields = [field(row[server]) if server in row else "" for server in servers]
        end = f" {last(row)} |" if last else ""
        lines.append(f"| {OPERATIONS[key[0]].title} | {key[1]} | {' | '.join(fields)} |{end}")
    return "\n".join(lines) + "\n"


def brief(cell: Cell) -> str:
    """Processor time and rate."""
    unit = "MiB/s" if OPERATIONS[cell.operation].bytes(Scale()) else "/s"
    refused = f", {cell.refused} refused" if cell.refused else ""
    return f"{number(cell.cpu_ms)} ms, {number(cell.rate)} {unit}{refused}"


def best_of_rivals(row: dict[str, Cell]) -> str:
    rivals = [row[name].cpu_ms for name in RIVALS if name in row and row[name].cpu_ms]
    return number(row[OURS].cpu_ms / min(rivals)) if OURS in row and rivals else ""


def memory(found: Findings) -> str:
    peaks = {(cell.operation, cell.server): cell.peak_mib for cell in found.cells}
    lines = ["| | just started | PUT 1 GiB | GET 1 GiB |", "|---|--:|--:|--:|"]
    for server, idle in found.idle_mib.items():
        fields = [f"{peaks[name, server]:,.0f}" if (name, server) in peaks else "" for name in ("put-huge", "get-huge")]
        lines.append(f"| {server} | {idle:,.0f} | {' | '.join(fields)} |")
    return "\n".join(lines) + "\n"


def everything(cells: Sequence[Cell]) -> str:
    lines = [
        "| operation | connections | server | rate | p50 ms | p99 ms | CPU ms (rounds) | highest MiB | written KiB |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for cell in cells:
        unit = "MiB/s" if OPERATIONS[cell.operation].bytes(Scale()) else "/s"
        span = f"{number(cell.cpu_ms)} ({number(min(cell.cpus))} to {number(max(cell.cpus))})"
        refused = f", {cell.refused} refused" if cell.refused else ""
        lines.append(
            f"| {cell.operation} | {cell.connections} | {cell.server} | {number(cell.rate)} {unit}{refused} "
            f"| {number(cell.p50_ms)} | {number(cell.p99_ms)} | {span} | {cell.peak_mib:,.0f} "
            f"| {cell.written_mib * 1024:,.0f} |"
        )
    return "\n".join(lines) + "\n"


def machine(found: Findings) -> str:
    lines = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in found.machine.items())]
    lines += ["", "| server | version | what it is | syncs |", "|---|---|---|---|"]
    for name, version in found.versions.items():
        kind = kind_of(name)
        lines.append(f"| {name} | {version} | {kind.title} | {kind.syncs} |")
    if found.notes:
        lines += ["", "Not measured, or with less:", "", *(f"- {note}" for note in found.notes)]
    return "\n".join(lines) + "\n"


PARTS = {"targets": targets, "figures": figures, "machine": machine}
