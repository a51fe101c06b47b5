"""Where the gateway's time goes in one operation: ``python -m benchmarks.profile OPERATION [--connections N]``.

Starts a gateway, loads it with the operation, and has py-spy look at it meanwhile. Prints the functions that were
running most often; ``--flame FILE`` writes a flame graph.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.operations import OPERATIONS, Scale, Site
from benchmarks.ours import gateway

TOLD = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--flame", default="", help="write a flame graph there (SVG)")
    arguments = parser.parse_args()
    if shutil.which("py-spy") is None:
        print("py-spy is needed: pip install py-spy", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="nexus-profile-") as folder, gateway(Path(folder)) as running:
        site = Site("gateway", running.signer, running.pid, Path(folder), Scale(seconds=arguments.seconds))
        site.ready()
        operation = OPERATIONS[arguments.operation].run
        stacks = Path(folder) / "stacks"
        target, form = (arguments.flame, "flamegraph") if arguments.flame else (str(stacks), "raw")
        duration = str(int(arguments.seconds) + 2)
        words = ["py-spy", "record", "--subprocesses", "--gil", "--function", "--rate", "500", "--duration", duration]
        spy = subprocess.Popen([*words, "--format", form, "--output", target, "--pid", str(running.pid)])
        operation(site, arguments.connections)
        spy.wait()
        if not arguments.flame:
            _tell(stacks.read_text())
    return 0


def _tell(text: str) -> None:
    """Functions by how often they were running (own), and anywhere below (all)."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for line in text.splitlines():
        stack, count = line.rsplit(" ", 1)
        frames = stack.split(";")
        samples += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    print(f"{'own':>6} {'all':>6}")
    for frame, times in own.most_common(TOLD):
        print(f"{times / samples:6.1%} {total[frame] / samples:6.1%}  {frame}")


if __name__ == "__main__":
    sys.exit(main())
