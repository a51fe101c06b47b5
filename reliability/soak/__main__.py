"""``python -m reliability.soak --minutes 60 --seed 1``"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reliability.soak.run import Plan, Soak
from reliability.soak.verdict import LOOSE, Bounds

SHORT_MINUTES = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=float, default=40, help="operations a second; some are several requests")
    arguments = parser.parse_args()
    bounds = Bounds() if arguments.minutes >= SHORT_MINUTES else LOOSE
    seconds = arguments.minutes * 60
    plan = Plan(seconds, arguments.seed, arguments.rate, arguments.workers, min(60, seconds / 4), bounds)
    with tempfile.TemporaryDirectory(prefix="nexus-soak-") as folder:
        verdict = Soak(plan, Path(folder), lambda line: print(line, flush=True)).run()
    print("operations:", ", ".join(f"{name} {number}" for name, number in sorted(verdict.done.items())))
    for line in verdict.lines:
        print(line)
    for problem in verdict.problems:
        print("PROBLEM", problem)
    print(
        f"{'GOOD' if verdict.good else 'BAD'}: {verdict.operations} operations in {arguments.minutes:g} minutes, "
        f"{len(verdict.problems)} problems, {verdict.slow} SlowDown (seed {arguments.seed})"
    )
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
