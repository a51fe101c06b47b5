"""Faults of a disk, for a running gateway: which file calls fail, where, how and how often (by ``faults.c``)."""

from __future__ import annotations

import errno
import mmap
import struct
from enum import IntFlag
from pathlib import Path

from reliability.preload import library

_FAULT = struct.Struct("<iiiiii232s")
_MET = 16


class Call(IntFlag):
    WRITE = 1
    SYNC = 2
    READ = 4
    RENAME = 8


class Faults:
    """What is shared with a server that was started with ``environment``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(bytes(_FAULT.size))
        with open(path, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _FAULT.size)

    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(library("faults")), "NEXUS_FAULTS": str(self._path)}

    def arm(
        self, calls: Call, part: str, error: int = errno.EIO, *, skip: int = 0, times: int = 1, full: bool = False
    ) -> None:
        """Let calls fail on files whose path contains ``part``; error 0: writes are short."""
        self.disarm()
        armed = _FAULT.pack(calls, error, skip, times, 0, full, part.encode())
        self._shared[4:] = armed[4:]
        self._shared[:4] = armed[:4]

    def disarm(self) -> None:
        """Let everything succeed again."""
        self._shared[:4] = bytes(4)
        self._shared[20:24] = bytes(4)

    @property
    def met(self) -> int:
        """How many calls failed since they were armed."""
        return int.from_bytes(self._shared[_MET : _MET + 4], "little")

    def close(self) -> None:
        self._shared.close()
