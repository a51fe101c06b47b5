"""The heap of the C library: how it serves long bodies, and that it does not keep what a rush left behind.

Python gives memory back to the C library, and that to the kernel only from the top of its heap: below one small block
that stays, all that a thousand clients took once would stay, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import resource
from collections.abc import Callable
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT = 32 * 1024 * 1024
"""What may lie idle: else large buffers are asked of the kernel again and again."""
SECONDS = 5.0
STATM = Path("/proc/self/statm")


def tune() -> None:
    """Settings that measurement favours.

    Without them, glibc gives each large receive buffer back to the kernel and asks for it again; and with an arena for
    each thread, what many uploads leave behind is never used again.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
        libc.mallopt(M_ARENA_MAX, 1)


def resident() -> int:
    """Bytes of memory that this process has. Raises OSError where the system does not tell."""
    return int(STATM.read_text().split()[1]) * resource.getpagesize()


def give_back() -> None:
    """Raises OSError or AttributeError where the C library knows no way."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)


async def give_back_forever(is_quiet: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Give back what lies idle whenever it was quiet twice in a row and there may be much, until cancelled."""
    quiet = False
    with contextlib.suppress(OSError, AttributeError):
        lean = resident()
        while True:
            await asyncio.sleep(seconds)
            before, quiet = quiet, is_quiet()
            if before and quiet and resident() > lean + KEPT:
                give_back()
                lean = resident()
