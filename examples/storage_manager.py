"""A production set-up in one class: files begin hot, and a job that runs once a day moves what nobody uses on.

Metadata says when a file was last used, and travels with it. S3 clients see it as ``x-amz-meta-tier`` and so on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import nexus


class StorageManager:
    """Three tiers, each a directory that is mounted from a store of its own."""

    def __init__(
        self, nx: nexus.RemoteNexusFS, hot: str = "/workspace", warm: str = "/archives", cold: str = "/cold"
    ) -> None:
        self.nx = nx
        self.hot, self.warm, self.cold = hot, warm, cold

    def write(self, path: str, content: bytes) -> str:
        """Write to the hot tier; the job moves it later."""
        target = self.hot + path
        self.nx.write(target, content)
        self.nx.set_metadata(target, {"tier": "hot", "accessed_at": datetime.now().isoformat()})
        return target

    def tier(self) -> list[str]:
        """Move what was not used for a week from hot to warm, and for 90 days from warm to cold; the new paths."""
        return [
            *self._move_unused(self.hot, self.warm, "warm", timedelta(days=7)),
            *self._move_unused(self.warm, self.cold, "cold", timedelta(days=90)),
        ]

    def _move_unused(self, origin: str, goal: str, tier: str, age: timedelta) -> list[str]:
        now, moved = datetime.now(), []
        for entry in self.nx.list(origin, recursive=True):
            if entry["is_directory"]:
                continue
            meta = self.nx.get_metadata(entry["path"])
            if now - datetime.fromisoformat(meta.get("accessed_at", now.isoformat())) > age:
                moved.append(self._move(entry["path"], goal + entry["path"].removeprefix(origin), tier))
        return moved

    def _move(self, source: str, target: str, tier: str) -> str:
        self.nx.write(target, self.nx.read(source))
        self.nx.set_metadata(target, {"tier": tier, "accessed_at": datetime.now().isoformat(), "original_path": source})
        self.nx.remove(source)
        return target
