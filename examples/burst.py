"""Local until full, then the cloud: where a file goes depends on the room that a disk has left.

NEXUS_URL=… NEXUS_API_KEY=… python examples/burst.py /var/lib/nexus 100 photo.jpg
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nexus

GIB = 1024**3


def used_gib(folder: str) -> float:
    """How much of a folder's disk is taken."""
    usage = shutil.disk_usage(folder)
    return (usage.total - usage.free) / GIB


def smart_write(nx: nexus.RemoteNexusFS, path: str, content: bytes, used: float, limit: float = 100.0) -> str:
    """Write below /workspace while ``used`` GiB are under the limit, then below /archives; where it went."""
    target = f"/workspace{path}" if used < limit else f"/archives{path}"
    nx.write(target, content)
    return target


if __name__ == "__main__":
    disk, most, file = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    with nexus.connect() as connected:
        print(smart_write(connected, f"/{file.name}", file.read_bytes(), used_gib(disk), most))
