"""``python -m reliability.linear --operations 100000 --seed 1 --workers 2``"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reliability.linear.run import Linear, Plan

KILL_SECONDS = 15.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.linear", description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kill-seconds", type=float, help="how often a worker is killed; with several, 15")
    arguments = parser.parse_args()
    kills = arguments.kill_seconds
    if kills is None:
        kills = KILL_SECONDS if arguments.workers > 1 else 0.0
    if kills and arguments.workers == 1:
        parser.error("--kill-seconds needs several workers")
    plan = Plan(arguments.operations, arguments.seed, arguments.workers, kills)
    with tempfile.TemporaryDirectory(prefix="nexus-linear-") as folder:
        linear = Linear(plan, Path(folder), lambda line: print(line, flush=True))
        verdict = linear.run()
    print("operations:", ", ".join(f"{name} {number}" for name, number in sorted(linear.world.done.items())))
    for problem in verdict.problems:
        print("PROBLEM", problem)
    print(
        f"{'GOOD' if verdict.good else 'BAD'}: {verdict.operations} operations ({verdict.checked} on single keys, "
        f"{verdict.histories} histories) in {verdict.seconds:.0f} s, workers {plan.workers}, {verdict.kills} killed; "
        f"{verdict.violations} violations, {verdict.undecided} undecided, {verdict.unknown} of unknown outcome, "
        f"{verdict.refused} SlowDown, {len(verdict.problems)} other problems (seed {plan.seed})"
    )
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
