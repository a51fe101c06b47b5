"""What a server costs: processor time and memory of its processes, as Linux tells them."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024
SAMPLE_SECONDS = 0.05


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _fields(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process, its descendants, and those of them that have ended."""
    return sum(sum(int(field) for field in _fields(pid)[11:15]) for pid in tree(root)) / TICKS


def written_mib(root: int) -> float:
    """MiB that a process, its descendants, and those of them that have ended have sent to the disk."""
    return sum(_written(pid) for pid in tree(root)) / MIB


def _written(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes:")), 0)


def resident(pids: list[int]) -> float:
    """MiB of memory that processes have resident (RSS); a page that two of them share counts twice."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return total * PAGE / MIB


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat past the name; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


class Peak(threading.Thread):
    """The highest memory of a process and its descendants while a block lasts, in MiB."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.mib = 0.0
        self._pids = tree(root)
        self._over = threading.Event()

    def __enter__(self) -> Peak:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while True:
            self.mib = max(self.mib, resident(self._pids))
            if self._over.wait(SAMPLE_SECONDS):
                return
