"""The gateway beside its rivals, all on this machine, interleaved.

    python -m benchmarks [OPERATION …] [--servers NAME,…] [--rounds N] [--seconds S] [--write docs/benchmarks.md]

Each round sends every operation to every server, in another order; what is told are medians. Rates depend on what else
the machine does; the server's CPU time per operation hardly does, so that is what to compare. The load generator is a
program in C (``cc`` builds it) that sends requests signed beforehand and costs some 10 µs each. Linux only.

Exits with 1 where the gateway refused a request or answered an error.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import chart, report
from benchmarks.findings import Findings
from benchmarks.load import MIB
from benchmarks.measure import Plan, measure
from benchmarks.operations import OPERATIONS
from benchmarks.servers import SERVERS, USUAL
from benchmarks.site import Scale

QUICK = Scale(
    seconds=0.2,
    keys=400,
    listed=2000,
    huge_listed=20_000,
    folders=100,
    large=4 * MIB,
    huge=64 * MIB,
    multipart=32 * MIB,
    parts=1000,
    repeats=2,
)


def main() -> int:
    arguments = _arguments()
    start = time.monotonic()
    found = Findings.load(Path(arguments.read)) if arguments.read else measure(_plan(arguments))
    if arguments.json:
        found.save(Path(arguments.json))
    if arguments.write:
        report.write(Path(arguments.write), found)
        chart.write(Path(arguments.write), found.cells)
    print(f"\n{report.table(found.cells, report.brief, report.best_of_rivals)}")
    if arguments.quick:
        print("The figures of --quick mean nothing: they are not held against the targets.")
    else:
        print(report.targets(found, whole=False))
    print(f"{time.monotonic() - start:.0f} s")
    return 1 if any(cell.refused for cell in found.cells if cell.is_ours) else 0


def _plan(arguments: argparse.Namespace) -> Plan:
    return Plan(
        operations=arguments.operations or list(OPERATIONS),
        servers=arguments.servers.split(","),
        scale=QUICK if arguments.quick else Scale(seconds=arguments.seconds),
        rounds=1 if arguments.quick else arguments.rounds,
        connections=tuple(int(word) for word in arguments.connections.split(",") if word),
        folder=Path(arguments.folder) if arguments.folder else None,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("operations", nargs="*", help=f"of {', '.join(OPERATIONS)}; all where none is named")
    parser.add_argument("--servers", default=",".join(USUAL), help=f"of {', '.join(SERVERS)}; gateway@FOLDER")
    parser.add_argument("--connections", default="", help="such as 1,16; else what each operation says")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run of small operations")
    parser.add_argument("--quick", action="store_true", help="only see that all of it works: the figures mean nothing")
    parser.add_argument("--folder", default="", help="where the servers keep their files; else the temporary folder")
    parser.add_argument("--json", default="", help="keep the figures there")
    parser.add_argument("--read", default="", help="measure nothing, take the figures from there")
    parser.add_argument("--write", default="", help="a page to put the figures into; its plots go beside it")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("a page takes the figures of a whole run: --quick tells nothing")
    if unknown := [name for name in arguments.operations if name not in OPERATIONS]:
        parser.error(f"no such operation: {', '.join(unknown)}")
    if unknown := [name for name in arguments.servers.split(",") if name not in SERVERS and "@" not in name]:
        parser.error(f"no such server: {', '.join(unknown)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
