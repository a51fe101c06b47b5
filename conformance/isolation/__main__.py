"""python -m conformance.isolation [--sequences 10000] [--seed 1] [--calls 8]"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from conformance.isolation.run import Found, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.isolation", description=__doc__)
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=8, help="In each sequence.")
    parser.add_argument("--findings", type=int, default=10, help="Stop after as many.")
    options = parser.parse_args()
    began = time.monotonic()

    def progress(done: int, found: list[Found]) -> None:
        if done % 500 == 0:
            print(f"{done} sequences, {len(found)} findings, {time.monotonic() - began:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            run(
                Path(folder),
                options.sequences,
                options.seed,
                options.calls,
                most=options.findings,
                progress=progress,
            )
        )
    for found in (*report.found, *report.drifts):
        print(found)
    print(
        f"{report.sequences} sequences, {report.calls} calls to each world ({report.operations} kinds, {report.allowed}"
        f" allowed), {len(report.found)} findings, {time.monotonic() - began:.0f} s, seed {options.seed}"
    )
    return 1 if report.found or report.drifts else 0


sys.exit(main())
