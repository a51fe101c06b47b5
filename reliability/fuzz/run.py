"""Running a fuzzer: in this process, or in one of its own that may hang or die without taking the verdict along."""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import os
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reliability.fuzz.target import BATCH, Target, batch_of, case_at

DEADLINE = 20.0
"""Seconds after which a case that has not ended hangs, on a machine that has other things to do."""
SLOW = 0.25
"""Seconds of CPU that no case of such sizes may take."""
TELL = 60.0
"""Seconds after which a run says how far it is."""
GROWTH = 8 * 1024 * 1024
"""Bytes that memory may grow by after the first tenth of the cases."""
KINDS = 25
"""Kinds of findings after which a run ends."""

Progress = Callable[[int], None]


@dataclass(slots=True)
class Found:
    """One kind of finding: the first case that showed it, and how many did."""

    index: int
    case: bytes
    what: str
    times: int = 1


@dataclass(slots=True)
class Report:
    """What came of a run."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    memory: tuple[int, int] = (0, 0)
    """Resident bytes after the first tenth, and at the end."""
    found: dict[str, Found] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.found

    def add(self, kind: str, found: Found) -> None:
        known = self.found.setdefault(kind, found)
        if known is not found:
            known.times += 1

    def line(self) -> str:
        """One line that says it all."""
        before, after = (size / 2**20 for size in self.memory)
        rate = self.cases / self.seconds if self.seconds else 0.0
        return (
            f"{self.target:8} {self.cases:>9,} cases in {self.seconds:7.1f} s ({rate:>7,.0f}/s), slowest "
            f"{self.slowest * 1000:6.1f} ms, memory {before:.1f} -> {after:.1f} MiB, findings {len(self.found)}"
        )


async def run(
    target: Target, seed: int, cases: int, *, start: int = 0, progress: Progress | None = None, kinds: int = KINDS
) -> Report:
    """Check the cases ``start`` to ``start + cases``, until ``kinds`` of findings. What a check raises is found."""
    report = Report(target.name)
    began = time.monotonic()
    await target.open()
    rng = batch_of(target.name, seed, start // BATCH)
    for _ in range(start % BATCH):
        target.generate(rng)
    warm = start + max(cases // 10, 1)
    for index in range(start, start + cases):
        if index % BATCH == 0:
            rng = batch_of(target.name, seed, index // BATCH)
        case = target.generate(rng)
        if progress is not None:
            progress(index + 1)
        before = time.perf_counter()
        try:
            waiting = target.check(case)
            if waiting is not None:
                await waiting
        except Exception as error:
            report.add(_kind(error), Found(index, case, _told(error)))
            if len(report.found) >= kinds:
                break
        taken = time.perf_counter() - before
        if taken > SLOW:
            taken = await _again(target, case)  # another process may have had the CPU
            if taken > SLOW:
                report.add("slow", Found(index, case, f"a case of {len(case)} bytes took {taken:.3f} s of CPU"))
                break
        report.slowest = max(report.slowest, taken)
        report.cases += 1
        if index == warm:
            report.memory = (_resident(), 0)
    report.memory = (report.memory[0] or _resident(), _resident())
    if cases >= 100_000 and report.memory[1] - report.memory[0] > GROWTH:
        grown = report.memory[1] - report.memory[0]
        report.add("memory", Found(start, b"", f"memory grew by {grown / 2**20:.1f} MiB after the first tenth"))
    try:
        await target.close()
    except Exception as error:
        report.add(_kind(error), Found(start, b"", _told(error)))
    report.seconds = time.monotonic() - began
    return report


async def _again(target: Target, case: bytes) -> float:
    """The least CPU time that a case takes."""
    times = []
    for _ in range(3):
        before = time.process_time()
        try:
            waiting = target.check(case)
            if waiting is not None:
                await waiting
        except Exception:
            pass  # it was found before
        times.append(time.process_time() - before)
    return min(times)


def _kind(error: Exception) -> str:
    """Errors of one kind come from one line of code."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    ours = next((frame for frame in reversed(frames) if "/gateway/" in frame.filename), last)
    return f"{type(error).__name__} {Path(ours.filename).name}:{ours.lineno} {Path(last.filename).name}:{last.lineno}"


def _told(error: Exception) -> str:
    return "".join(traceback.format_exception(error, limit=-12)).rstrip()


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * mmap.PAGESIZE


# -- in a process of its own


def guarded(open_target: Callable[[], Target], seed: int, cases: int, *, deadline: float = DEADLINE) -> Report:
    """Run in a child. One that hangs or dies is found with the case that it was at, and another goes on behind it."""
    target, total, start = open_target(), None, 0
    while start < cases:
        with _shared_number() as number:
            report = _in_child(open_target, target, seed, start, cases - start, number, deadline)
        start += max(report.cases, 1)
        total = report if total is None else _sum(total, report)
        if len(total.found) >= KINDS or any(kind in total.found for kind in ("slow", "memory")):
            break
    assert total is not None
    return total


def _in_child(
    open_target: Callable[[], Target],
    target: Target,
    seed: int,
    start: int,
    cases: int,
    number: mmap.mmap,
    deadline: float,
) -> Report:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(open_target, seed, start, cases, number, sender))
    child.start()
    sender.close()
    began = seen_at = told_at = time.monotonic()
    seen = 0
    while not receiver.poll(0.5):
        reached = struct.unpack("Q", number[:8])[0]
        if reached != seen:
            seen, seen_at = reached, time.monotonic()
        if time.monotonic() - told_at > TELL:
            told_at = time.monotonic()
            print(f"  {target.name}: {reached:,} cases so far", file=sys.stderr, flush=True)
        if not child.is_alive() and not receiver.poll(0):
            return _lost(target, seed, start, reached, began, f"the process died with {child.exitcode}")
        if reached and time.monotonic() - seen_at > deadline:
            child.kill()
            child.join()
            return _lost(target, seed, start, reached, began, f"no end after {deadline:.0f} s")
    try:
        answer = receiver.recv()
    except EOFError:
        child.join()
        reached = struct.unpack("Q", number[:8])[0]
        return _lost(target, seed, start, reached, began, f"the process died with {child.exitcode}")
    child.join()
    assert isinstance(answer, Report)
    return answer


def _child(
    open_target: Callable[[], Target], seed: int, start: int, cases: int, number: mmap.mmap, sender: object
) -> None:
    import uvloop

    view = memoryview(number).cast("Q")
    parent = os.getppid()

    def progress(count: int) -> None:
        view[0] = count
        if count % 1000 == 0 and os.getppid() != parent:
            os._exit(1)  # nobody waits for the verdict

    gc.collect()
    gc.freeze()
    report = uvloop.run(run(open_target(), seed, cases, start=start, progress=progress))
    sender.send(report)  # type: ignore[attr-defined]


def _lost(target: Target, seed: int, start: int, reached: int, began: float, what: str) -> Report:
    index = max(reached - 1, 0)
    report = Report(target.name, index - start + 1, time.monotonic() - began)
    report.add(f"{what} {index}", Found(index, case_at(target, seed, index), what))
    return report


def _sum(total: Report, more: Report) -> Report:
    for kind, found in more.found.items():
        known = total.found.setdefault(kind, found)
        if known is not found:
            known.times += found.times
    total.cases += more.cases
    total.seconds += more.seconds
    total.slowest = max(total.slowest, more.slowest)
    total.memory = (total.memory[0], more.memory[1])
    return total


@contextmanager
def _shared_number() -> Iterator[mmap.mmap]:
    with mmap.mmap(-1, 8) as number:
        yield number
