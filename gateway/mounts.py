"""Which mount serves a path: priority first, then the longest mount point. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from gateway.errors import BackendNotFound, BadMount, MountNotFound, ReadOnlyMount
from gateway.types import Mount

MAX_MOUNT_POINT = 1024


def check_mount_point(mount_point: str) -> str:
    """The mount point in its one spelling: ``/`` or ``/a/b`` without a trailing slash.

    Raises BadMount for a relative path, empty or dotted segments, and control characters.
    """
    if not mount_point.startswith("/"):
        raise BadMount(f"a mount point starts with '/': {mount_point!r}")
    if len(mount_point.encode()) > MAX_MOUNT_POINT:
        raise BadMount(f"a mount point has at most {MAX_MOUNT_POINT} bytes")
    trimmed = mount_point.rstrip("/")
    if not trimmed:
        return "/"
    for segment in trimmed[1:].split("/"):
        if segment in ("", ".", ".."):
            raise BadMount(f"a mount point has no empty or dotted segments: {mount_point!r}")
    if any(ord(char) < 32 or ord(char) == 127 for char in trimmed):
        raise BadMount("a mount point has no control characters")
    return trimmed


def bucket_of(mount_point: str) -> str | None:
    """The bucket that a mount point names, None for ``/``."""
    return mount_point[1:].split("/", 1)[0] or None


class MountTable:
    """All mounts, in the order in which they win."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        ranked = sorted(mounts, key=lambda mount: (-mount.priority, -len(mount.mount_point), mount.mount_point))
        self.mounts = tuple(ranked)
        self._ranked = [(_below(mount.mount_point), mount) for mount in ranked]

    def find(self, mount_point: str) -> Mount | None:
        """The mount at exactly that mount point."""
        return next((mount for mount in self.mounts if mount.mount_point == mount_point), None)

    def at(self, mount_point: str) -> Mount:
        """As ``find``. Raises MountNotFound."""
        if (mount := self.find(mount_point)) is None:
            raise MountNotFound(mount_point)
        return mount

    def resolve(self, path: str) -> Mount:
        """The mount that serves ``path`` (``/bucket/key``). Raises BackendNotFound."""
        whole = path + "/"
        for below, mount in self._ranked:
            if whole.startswith(below):
                return mount
        raise BackendNotFound(path)

    def covering(self, path: str) -> list[Mount]:
        """Every mount that covers ``path``, the winner first."""
        whole = path + "/"
        return [mount for below, mount in self._ranked if whole.startswith(below)]

    def resolve_writable(self, path: str) -> Mount:
        """As ``resolve``; raises ReadOnlyMount when the winner takes no writes."""
        mount = self.resolve(path)
        if mount.readonly:
            raise ReadOnlyMount(path, mount.mount_point)
        return mount


def reasons(ranked: Sequence[Mount]) -> list[str]:
    """Why each of the mounts that cover a path stands where it does, the winner first."""
    if len(ranked) < 2:
        return ["the only mount that covers the path"] * len(ranked)
    found = [f"serves the path: {_beats(ranked[0], ranked[1])}"]
    return found + [f"after {before.mount_point}: {_beats(before, mount)}" for before, mount in pairwise(ranked)]


def _beats(one: Mount, other: Mount) -> str:
    if one.priority != other.priority:
        return f"priority {one.priority} of {one.mount_point} beats {other.priority} of {other.mount_point}"
    return f"of the same priority, {one.mount_point} is longer than {other.mount_point}"


def _below(mount_point: str) -> str:
    # With a slash on both sides a prefix test compares whole segments: /shared/ is no prefix of /sharedx/.
    return "/" if mount_point == "/" else mount_point + "/"
