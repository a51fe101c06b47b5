"""``python -m reliability.fuzz``: run fuzzers, print what they find, and end with a verdict."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from reliability.fuzz.run import Report, guarded
from reliability.fuzz.target import Target
from reliability.fuzz.targets import TARGETS
from reliability.fuzz.through import Through


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all where none is named"
    )
    parser.add_argument("--cases", type=int, default=1_000_000, help="of each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--gateway-every",
        type=int,
        default=10,
        metavar="N",
        help="send every Nth case through a whole gateway as well; 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--findings", type=Path, default=Path("fuzz-findings"), help="where cases that show one are kept"
    )
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="check one case that was kept; name its target, too"
    )
    parser.add_argument(
        "--atheris", action="store_true", help="let atheris choose the cases by coverage; it never ends"
    )
    told = parser.parse_args()
    unknown = set(told.targets) - TARGETS.keys()
    if unknown:
        parser.error(f"no target is called {', '.join(sorted(unknown))}")
    names = told.targets or list(TARGETS)
    if told.replay is not None or told.atheris:
        if len(names) != 1:
            parser.error("name one target")
        if told.replay is not None:
            return asyncio.run(_replay(_target(names[0], 1), told.replay.read_bytes()))
        from reliability.fuzz.guided import fuzz

        return fuzz(TARGETS[names[0]]())
    reports = []
    for name in names:
        report = guarded(lambda name=name: _target(name, told.gateway_every), told.seed, told.cases)  # type: ignore[misc]
        _print(report, told.findings)
        reports.append(report)
    bad = [report.target for report in reports if not report.good]
    total = sum(report.cases for report in reports)
    print(f"BAD: findings in {', '.join(bad)}" if bad else f"GOOD: {total:,} cases, no findings")
    return 1 if bad else 0


def _target(name: str, every: int) -> Target:
    target = TARGETS[name]()
    return Through(target, every) if every else target


def _print(report: Report, folder: Path) -> None:
    print(report.line(), flush=True)
    for found in report.found.values():
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"{report.target}-{found.index}.case"
        kept.write_bytes(found.case)
        print(f"  case {found.index}, {found.times} of its kind, kept as {kept}: {found.case[:160]!r}")
        print("    " + found.what.replace("\n", "\n    "), flush=True)


async def _replay(target: Target, case: bytes) -> int:
    await target.open()
    try:
        waiting = target.check(case)
        if waiting is not None:
            await waiting
    finally:
        await target.close()
    print("GOOD: nothing is found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
