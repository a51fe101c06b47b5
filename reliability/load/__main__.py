"""``python -m reliability.load --connections 1000 --seed 1``"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reliability.load.run import Plan, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.load", description=__doc__)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=35, help="of each cycle")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    plan = Plan(
        connections=arguments.connections,
        seconds=arguments.seconds,
        cycles=arguments.cycles,
        workers=arguments.workers,
        seed=arguments.seed,
    )
    with tempfile.TemporaryDirectory(prefix="nexus-load-") as folder:
        verdict = run(plan, Path(folder), lambda line: print(line, flush=True))
    print("seen:", ", ".join(f"{name} {number}" for name, number in sorted(verdict.seen.items())))
    for line in verdict.lines:
        print(line)
    for problem in verdict.problems:
        print("PROBLEM", problem)
    bad = sum(not line.good for line in verdict.lines)
    print(
        f"{'GOOD' if verdict.good else 'BAD'}: {plan.connections} clients, {plan.cycles} cycles, "
        f"workers {plan.workers}; {len(verdict.problems)} problems, {bad} bounds missed (seed {plan.seed})"
    )
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
