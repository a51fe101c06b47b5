"""Where the gateway's time goes in one operation: ``python -m benchmarks.profile OPERATION [--connections N]``.

Starts a gateway, loads it with the operation, and has py-spy look 500 times a second at which function runs. Prints two
tables to paste into a page: time by module (those of the standard library and of C extensions count for who calls them
in the second column only), and by function; ``--flame FILE`` writes a flame graph instead.

py-spy comes from PyPI, into the environment that runs this or anywhere on PATH. It may need root.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.load import Run
from benchmarks.operations import LARGE, OPERATIONS, Scale, Site
from benchmarks.ours import gateway

MODULES, FUNCTIONS = 12, 25
LEAST = 0.005
"""What takes less than this share is not told."""
WAITING = ("_worker (concurrent/futures/thread.py", "Writer._work (", "Packs._write_loop (")
"""Threads that wait for work, which py-spy takes for running where it is not told to look at the lock."""
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>.*?)(:\d+)?\)")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("--connections", type=int, default=0, help="16, or what the operation says")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--flame", default="", help="write a flame graph there (SVG)")
    arguments = parser.parse_args()
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        print(f"py-spy is needed: {sys.executable} -m pip install py-spy", file=sys.stderr)
        return 2
    told = OPERATIONS[arguments.operation].connections
    connections = arguments.connections or (16 if 16 in told else told[0])
    with tempfile.TemporaryDirectory(prefix="nexus-profile-") as folder:
        stacks = Path(arguments.flame or f"{folder}/stacks")
        words = [spy, "record", "--function", "--rate", "500"]
        if OPERATIONS[arguments.operation].group != LARGE:  # there, hashing and sending go on without the lock
            words.append("--gil")
        words += ["--format", "flamegraph" if arguments.flame else "raw", "--output", str(stacks)]
        run = _profiled(arguments.operation, connections, arguments.seconds, Path(folder), words)
        title = OPERATIONS[arguments.operation].title
        print(f"{title}, {connections} connections; {run.cpu_ms:.3g} ms each while py-spy looks on:\n")
        if not arguments.flame:
            print(tell(stacks.read_text()))
    return 0


def _profiled(name: str, connections: int, seconds: float, folder: Path, words: list[str]) -> Run:
    """Run the operation twice, first unseen: what is prepared once is no part of it."""
    operation = OPERATIONS[name].run
    with gateway(folder) as running:
        site = Site("gateway", running.signer, running.pid, folder, Scale(seconds=0.2), catalog=running.catalog)
        site.ready()
        operation(site, connections)
        site.scale = Scale(seconds=seconds, repeats=24)
        words = [*words, "--duration", "600", "--pid", str(running.pid)]
        spy = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return operation(site, connections)
        finally:
            spy.send_signal(signal.SIGINT)
            spy.wait()


def tell(text: str) -> str:
    """Two tables of py-spy's stacks, one a line, with how often each was seen."""
    stacks = []
    for line in text.splitlines():
        frames, count = line.rsplit(" ", 1)
        if not frames.rpartition(";")[2].startswith(WAITING):
            stacks.append(([frame for frame in frames.split(";") if not frame.startswith("process ")], int(count)))
    return "\n".join((_table("module", stacks, _module, MODULES), _table("function", stacks, _function, FUNCTIONS)))


def _module(frame: str) -> str:
    found = _FRAME.fullmatch(frame)
    return found["file"] if found else frame


def _function(frame: str) -> str:
    found = _FRAME.fullmatch(frame)
    return f"{found['name']} ({found['file']})" if found else frame


def _table(what: str, stacks: Iterable[tuple[list[str], int]], name: Callable[[str], str], most: int) -> str:
    """How often each was running itself (own), and was anywhere below (with what it calls)."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for frames, count in stacks:
        names = [name(frame) for frame in frames]
        own[names[-1]] += count
        for each in set(names):
            total[each] += count
    samples = sum(own.values()) or 1
    rows = [(each, times) for each, times in own.most_common(most) if times / samples >= LEAST]
    lines = [f"| {what} | own | with what it calls |", "|---|--:|--:|"]
    lines += [f"| `{each}` | {times / samples:.1%} | {total[each] / samples:.1%} |" for each, times in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
