"""The gateway beside its rivals, all on this machine, interleaved.

    python -m benchmarks [OPERATION …] [--servers NAME,…] [--rounds N] [--seconds S] [--write docs/benchmarks.md]

Each round sends every operation to every server, in another order; what is told are medians. Rates depend on what else
the machine does; the server's CPU time per operation hardly does, so that is what to compare. The load generator is a
program in C (``cc`` builds it) that sends requests signed beforehand and costs some 10 µs each. Linux only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.load import Run
from benchmarks.operations import OPERATIONS, Scale, Site, Unfit
from benchmarks.processes import resident, tree
from benchmarks.servers import SERVERS, starter
from conformance.clients.tools import NotInstallable

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> int:
    arguments = _arguments()
    scale = replace(Scale(), seconds=arguments.seconds, listed=arguments.listed)
    with ExitStack() as stack:
        sites = _start(arguments.servers.split(","), scale, stack)
        cells = _measure(arguments, scale, sites) if sites else []
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(report.as_json(cells), indent=1) + "\n")
    if arguments.write:
        _write(Path(arguments.write), cells)
    print("\n" + report.table(cells))
    return 1 if any(cell.refused for cell in cells if cell.server.startswith(report.OURS)) else 0


def _start(names: list[str], scale: Scale, stack: ExitStack) -> list[Site]:
    """Start what can be had here; the versions are told."""
    sites = []
    for name in names:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nexus-bench-")))
        try:
            running = stack.enter_context(starter(name)(folder))
        except NotInstallable as reason:
            print(f"{name}: not installable here: {reason}")
            continue
        site = Site(name, running.signer, running.pid, folder, scale)
        site.ready()
        print(f"{name}: {running.version}, {resident(tree(running.pid)):.0f} MiB")
        sites.append(site)
    return sites


def _measure(arguments: argparse.Namespace, scale: Scale, sites: list[Site]) -> list[report.Cell]:
    cells = []
    for name in arguments.operations or OPERATIONS:
        operation = OPERATIONS[name]
        asked = tuple(int(word) for word in arguments.connections.split(",") if word)
        for connections in asked or operation.connections:
            runs: dict[str, list[Run]] = {site.name: [] for site in sites}
            for turn in range(arguments.rounds):
                for site in sites[turn % len(sites) :] + sites[: turn % len(sites)]:
                    try:
                        runs[site.name].append(operation.run(site, connections))
                    except Unfit as reason:
                        print(f"{name}: {site.name}: {reason}", flush=True)
            for site in sites:
                if runs[site.name]:
                    cells.append(report.Cell.of(name, connections, site.name, runs[site.name], scale))
                    print(report.line(cells[-1]), flush=True)
    return cells


def _write(page: Path, cells: list[report.Cell]) -> None:
    """Put the table between the page's marks, and the picture beside the page."""
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{report.table(cells)}{END}{after}")
    page.with_suffix(".svg").write_text(report.chart(cells, 16))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}; all where none is named")
    parser.add_argument(
        "--servers", default=",".join(SERVERS), help=f"of {', '.join(SERVERS)}; gateway@FOLDER is another checkout's"
    )
    parser.add_argument("--connections", default="", help="such as 1,16; else what each operation says")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run of small operations")
    parser.add_argument("--listed", type=int, default=100_000, help="objects in the bucket that is listed")
    parser.add_argument("--json", default="", help="keep the figures there")
    parser.add_argument("--write", default="", help="a page to put the table into")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
