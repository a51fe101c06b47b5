"""Disks that can be filled: a small tmpfs of our own, or where none can be mounted, one that says that it is full."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from reliability.faults import Call, Faults


class SmallDisk(Protocol):
    name: str
    prefix: tuple[str, ...]
    """What a server is started by."""
    environment: dict[str, str]

    def fill(self, written: int) -> None:
        """Told how many bytes were written so far: time to be full, perhaps."""

    def squeeze(self) -> None:
        """Let others take all room that is left, reserves too."""

    def release(self) -> None:
        """Let others give it back."""

    def close(self) -> None: ...


class Tmpfs:
    """A tmpfs at a folder, in a mount namespace that only a server of ours enters."""

    def __init__(self, folder: Path, mib: int) -> None:
        """Raises OSError where the machine does not let us."""
        self.name = f"a tmpfs of {mib} MiB"
        self.environment: dict[str, str] = {}
        folder.mkdir()
        mount = f'mount -t tmpfs -o size={mib}m,mode=700 none "$0" && echo ready && exec sleep infinity'
        self._holder = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", mount, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            raise OSError("no tmpfs can be mounted here")
        self.prefix: tuple[str, ...] = ("nsenter", "-t", str(self._holder.pid), "-U", "-m", "--preserve-credentials")
        # The folder as the namespace sees it.
        self._filler = Path(f"/proc/{self._holder.pid}/root{folder}/filler")

    def fill(self, written: int) -> None:
        pass

    def squeeze(self) -> None:
        with open(self._filler, "wb", buffering=0) as file, suppress(OSError):
            for size in (1024 * 1024, 4096):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def release(self) -> None:
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()


class Pretended:
    """A disk that says it is full after so many bytes, by a preloaded library."""

    prefix: tuple[str, ...] = ()

    def __init__(self, folder: Path, mib: int) -> None:
        self.name = f"a disk that pretends to be full after {mib} MiB (no tmpfs can be mounted here)"
        self._room = mib * 1024 * 1024
        self._faults = Faults(folder.parent / "faults")
        self.environment = self._faults.environment()

    def fill(self, written: int) -> None:
        if written > self._room:
            self._faults.arm(Call(0), "", full=True)

    def squeeze(self) -> None:
        self._faults.arm(Call.WRITE, "/data/", errno.ENOSPC, times=2**31 - 1, full=True)

    def release(self) -> None:
        self._faults.disarm()

    def close(self) -> None:
        self._faults.close()


def small_disk(folder: Path, mib: int) -> SmallDisk:
    """The best that can be had here, to be at a folder that is not there yet."""
    try:
        return Tmpfs(folder, mib)
    except OSError:
        with suppress(OSError):
            os.rmdir(folder)
        return Pretended(folder, mib)
