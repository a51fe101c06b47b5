"""The machine that was measured on, in words."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import ssl
import tempfile
import time
from pathlib import Path
from statistics import median

FSYNCS = 200


def describe(folder: Path | None) -> dict[str, str]:
    """What a reader needs to judge the figures by; ``folder`` is where the servers keep their files."""
    where = Path(folder or tempfile.gettempdir())
    with open("/proc/loadavg") as file:
        load = file.read().split()[0]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {_distribution()}",
        "disk": f"{_disk(where)}; a synced write of 4 KiB takes {_sync_ms(where):.2f} ms",
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}, {ssl.OPENSSL_VERSION}",
        "load before the run": load,
    }


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def _disk(where: Path) -> str:
    """The file system, and what kind of device it is on."""
    device = os.stat(where).st_dev
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ", 1)
        if before.split()[2] == f"{os.major(device)}:{os.minor(device)}":
            kind, source = after.split()[:2]
            return f"{kind} on {source} ({_device(device)})"
    return "unknown file system"


def _device(device: int) -> str:
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    for place in (block, block / ".."):
        try:
            turns = (place / "queue/rotational").read_text().strip()
        except OSError:
            continue
        return "rotating, or says so" if turns == "1" else "not rotating"
    return "no device of its own: what is synced is synced nowhere"


def _sync_ms(where: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=where) as file:
        for _ in range(FSYNCS):
            file.write(os.urandom(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return median(times)
