"""What a server did to its files, in the order in which it did it, with marks of ours in between.

The server's part of it is written by ``record.c``, preloaded; a file lock orders it and the marks.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from reliability.preload import library

_HEAD = struct.Struct("<IIQQII")


class Kind(IntEnum):
    CREATE = 1
    MKDIR = 2
    RENAME = 3
    REMOVE = 4
    LINK = 5
    WRITE = 6
    TRUNCATE = 7
    SYNC_BEGINS = 8
    SYNC_ENDS = 9
    MARK = 10


@dataclass(frozen=True, slots=True)
class Record:
    """``at`` is an offset, a length, which sync it is, or which mark. Paths are relative to the root."""

    kind: Kind
    inode: int
    at: int
    path: str
    other: str
    data: bytes


class Recording:
    """A file of records about one directory."""

    def __init__(self, log: Path, root: Path) -> None:
        self._path = log
        self._root = os.path.realpath(root)
        self._fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        self._marks = 0

    def environment(self) -> dict[str, str]:
        """What makes a server write down what it does."""
        where = {"NEXUS_RECORD_ROOT": self._root, "NEXUS_RECORD_LOG": str(self._path)}
        return {"LD_PRELOAD": str(library("record")), **where}

    def mark(self) -> int:
        """Note this moment; marks count up."""
        with self._lock:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                self._marks += 1
                os.write(self._fd, _HEAD.pack(_HEAD.size, Kind.MARK, 0, self._marks, 0, 0))
                return self._marks
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def records(self) -> Iterator[Record]:
        """Everything so far."""
        with open(self._path, "rb") as log:
            while head := log.read(_HEAD.size):
                size, kind, inode, at, path, other = _HEAD.unpack(head)
                rest = log.read(size - _HEAD.size)
                name, of = self._relative(rest[:path]), self._relative(rest[path : path + other])
                yield Record(Kind(kind), inode, at, name, of, rest[path + other :])

    def _relative(self, path: bytes) -> str:
        return os.path.relpath(os.fsdecode(path), self._root) if path else ""

    def close(self) -> None:
        os.close(self._fd)
