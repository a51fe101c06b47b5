"""Plots of what was measured, as SVG: bars in groups, with a line from the lowest to the highest round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks.operations import OPERATIONS
from benchmarks.results import Cell, number
from benchmarks.site import Scale

LABELS, WIDTH, FULL = 150, 760, 430
BAR, GAP = 15, 12
COLOURS = {"gateway": "#1d4ed8", "gateway-2": "#60a5fa", "nginx": "#d6d3d1"}
OTHER = "#9ca3af"


@dataclass(frozen=True)
class Bar:
    label: str
    low: float
    middle: float
    high: float
    text: str

    @property
    def colour(self) -> str:
        return COLOURS.get(self.label, OTHER)


def write(page: Path, cells: Sequence[Cell]) -> None:
    """The pictures that a page shows, beside it."""
    page.with_suffix(".svg").write_text(cpu(cells))
    page.with_name(f"{page.stem}-rates.svg").write_text(rates(cells))


def cpu(cells: Sequence[Cell]) -> str:
    """Processor time; of each operation at 16 connections, or at its only number of them."""
    chosen = [cell for cell in cells if cell.connections == _typical(cell.operation)]
    groups = _groups(chosen, lambda cell: _bar(cell, cell.cpus, f"{number(cell.cpu_ms)} ms"))
    return _picture("Server CPU time for an operation (less is better)", groups)


def rates(cells: Sequence[Cell]) -> str:
    """What comes through in a second."""

    def bar(cell: Cell) -> Bar:
        unit = "MiB/s" if OPERATIONS[cell.operation].bytes(Scale()) else "/s"
        return _bar(cell, cell.rates, f"{number(cell.rate)} {unit}")

    return _picture(
        "Rates (more is better); gateway is one worker, gateway-2 two", _groups(cells, bar, connections=True)
    )


def _typical(operation: str) -> int:
    told = OPERATIONS[operation].connections
    return 16 if 16 in told else told[0]


def _bar(cell: Cell, values: Sequence[float], text: str) -> Bar:
    middle = sorted(values)[len(values) // 2]
    return Bar(cell.server, min(values), middle, max(values), text)


def _groups(
    cells: Sequence[Cell], bar: Callable[[Cell], Bar], connections: bool = False
) -> list[tuple[str, list[Bar]]]:
    groups: dict[str, list[Bar]] = {}
    for cell in cells:
        title = OPERATIONS[cell.operation].title
        plural = "" if cell.connections == 1 else "s"
        groups.setdefault(f"{title}, {cell.connections} connection{plural}" if connections else title, []).append(
            bar(cell)
        )
    return list(groups.items())


def _picture(title: str, groups: list[tuple[str, list[Bar]]]) -> str:
    parts, y = [_text(10, 20, title, 'font-weight="bold" font-size="14"')], 36
    for name, bars in groups:
        y += GAP
        parts.append(_text(10, y + 11, name, 'font-weight="bold"'))
        y += 18
        scale = FULL / (max(bar.high for bar in bars) or 1)
        for bar in bars:
            parts.append(_drawn(bar, y, scale))
            y += BAR + 2
    size = f'width="{WIDTH}" height="{y + GAP}" viewBox="0 0 {WIDTH} {y + GAP}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" role="img">'
    back = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", back, *parts, "</svg>"]) + "\n"


def _drawn(bar: Bar, y: int, scale: float) -> str:
    left, middle = LABELS + 8, y + BAR / 2
    low, high = left + bar.low * scale, left + bar.high * scale
    return (
        _text(LABELS, y + 11, bar.label, 'text-anchor="end"')
        + f'<rect x="{left}" y="{y}" width="{max(bar.middle * scale, 1):.1f}" height="{BAR}" fill="{bar.colour}"/>'
        + f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {y + 4}v7M{high:.1f} {y + 4}v7" stroke="#111827"/>'
        + _text(high + 6, y + 11, bar.text)
    )


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
