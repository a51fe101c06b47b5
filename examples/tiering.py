"""Hot to cold: what was made long ago moves from one directory to another, and so from one store to another.

NEXUS_URL=… NEXUS_API_KEY=… python examples/tiering.py /workspace/processed /archives/processed 30
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

import nexus


def tier_old_files(nx: nexus.RemoteNexusFS, hot: str, cold: str, days: float = 30) -> int:
    """Move the files below ``hot`` that are older than ``days`` to the same place below ``cold``; how many."""
    oldest = datetime.now() - timedelta(days=days)
    moved = 0
    for entry in nx.list(hot, recursive=True):
        if entry["is_directory"]:
            continue
        source = entry["path"]
        if datetime.fromisoformat(nx.stat(source)["created_at"]) >= oldest:
            continue
        target = cold + source.removeprefix(hot)
        nx.write_stream(target, nx.stream(source))
        nx.remove(source)
        moved += 1
        print(f"archived {source} as {target}")
    return moved


if __name__ == "__main__":
    with nexus.connect() as connected:
        print(tier_old_files(connected, sys.argv[1], sys.argv[2], float(sys.argv[3])), "files moved")
