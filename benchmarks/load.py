"""Runs of the load generator: prepared requests in, what came of them out."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import Peak, cpu_seconds, written_mib

SOURCE = Path(__file__).parent / "loadgen.c"
MIB = 1024 * 1024
_REQUEST = struct.Struct("<QQQII")
_OUTCOME = struct.Struct("<QQII")
_SUMMARY = struct.Struct("<QQQQ")


class Request(NamedTuple):
    """A request's head with its body: bytes, or a part ``(offset, size)`` of the file that a run is given."""

    head: bytes
    body: bytes | tuple[int, int] = b""


@dataclass(frozen=True)
class Run:
    """What a run came to. Times of requests are sorted, in ms."""

    requests: int
    seconds: float
    cpu_seconds: float
    times: list[float]
    refused: int
    """Answers other than 2xx, and connections that broke."""
    received: int
    peak_mib: float
    done: list[int]
    """Which requests succeeded, by their place in the plan."""
    written_mib: float = 0.0
    """What the server's processes sent to the disk, as far as Linux knows whose it is."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Processor time of the server per request, in ms."""
        return self.cpu_seconds * 1000 / max(self.requests, 1)

    def percentile(self, share: float) -> float:
        return self.times[min(int(share * len(self.times)), len(self.times) - 1)] if self.times else 0.0


@cache
def generator() -> Path:
    """The load generator, built by ``cc`` into the temporary folder when its source is new."""
    name = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    program = Path(tempfile.gettempdir()) / f"nexus-loadgen-{os.getuid()}-{name}"
    if not program.exists():
        fresh = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["cc", "-O2", "-o", str(fresh), str(SOURCE)], check=True)
        fresh.rename(program)
    return program


def play(
    port: int,
    pid: int,
    requests: Sequence[Request],
    *,
    connections: int,
    seconds: float,
    maximum: int = 0,
    loop: bool = False,
    bodies: Path | None = None,
) -> Run:
    """Send requests for some seconds, or until they, or ``maximum``, are used up.

    ``pid`` is the server's first process; bodies that are parts of a file are in ``bodies``, and nothing of it changes.
    """
    with tempfile.TemporaryDirectory(prefix="nexus-load-") as folder:
        plan, result = Path(folder) / "plan", Path(folder) / "result"
        content = bodies or Path(folder) / "bytes"
        kept = content.stat().st_size if bodies else 0
        try:
            _write_plan(plan, content, kept, requests)
            limits = [str(word) for word in (seconds, maximum, int(loop))]
            words = [str(generator()), str(port), str(connections), str(plan), str(content), str(result), *limits]
            before, written = cpu_seconds(pid), written_mib(pid)
            with Peak(pid) as peak:
                subprocess.run(words, check=True)
            cost = cpu_seconds(pid) - before
            return _read(result, cost, peak.mib, written_mib(pid) - written)
        finally:
            if bodies:
                os.truncate(bodies, kept)


def _write_plan(plan: Path, content: Path, start: int, requests: Sequence[Request]) -> None:
    at = start
    with open(content, "ab") as data, open(plan, "wb") as rows:
        for head, body in requests:
            data.write(head)
            head_at, at = at, at + len(head)
            if isinstance(body, bytes):
                data.write(body)
                body_at, size = at, len(body)
                at += size
            else:
                body_at, size = body
            rows.write(_REQUEST.pack(head_at, body_at, size, len(head), head.startswith(b"HEAD ")))


def _read(result: Path, cpu: float, peak: float, written: float) -> Run:
    raw = result.read_bytes()
    nanoseconds, _, _, _ = _SUMMARY.unpack_from(raw)
    outcomes = list(_OUTCOME.iter_unpack(raw[_SUMMARY.size :]))
    done = [request for _, _, request, status in outcomes if 200 <= status < 300]
    return Run(
        requests=len(outcomes),
        seconds=nanoseconds / 1e9,
        cpu_seconds=cpu,
        times=sorted(time / 1e6 for time, _, _, _ in outcomes),
        refused=len(outcomes) - len(done),
        received=sum(size for _, size, _, _ in outcomes),
        peak_mib=peak,
        done=done,
        written_mib=written,
    )
