"""What the processes and the files of a running server come to, as Linux tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import resident, tree

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """All of a server's processes and files at one moment; ``at`` in seconds since the start of a check."""

    at: float
    processes: int
    memory_mib: float
    descriptors: int
    threads: int
    wal_bytes: int
    data_bytes: int


def sample(at: float, pid: int, data_dir: Path) -> Sample:
    """``pid`` is the server's first process."""
    pids = tree(pid)
    files = dict(sizes(data_dir))
    return Sample(
        at,
        len(pids),
        resident(pids),
        sum(_entries(f"/proc/{each}/fd") for each in pids),
        sum(_entries(f"/proc/{each}/task") for each in pids),
        sum(size for path, size in files.items() if path.name.endswith("-wal")),
        sum(files.values()),
    )


def descriptors(pid: int) -> int:
    """Those of a process and all that it started."""
    return sum(_entries(f"/proc/{each}/fd") for each in tree(pid))


def sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    """The files below a folder that others write to meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                yield path, path.stat().st_size
            except FileNotFoundError:
                continue


def _entries(folder: str) -> int:
    try:
        return len(os.listdir(folder))
    except FileNotFoundError:
        return 0
