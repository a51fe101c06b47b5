"""What is measured, by name: each operation prepares its requests, sends them, and tells what a request costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import copying, large, listing, small
from benchmarks.load import Run
from benchmarks.site import Scale, Site, Unfit

__all__ = ["GROUPS", "OPERATIONS", "Operation", "Scale", "Site", "Unfit"]

SMALL, LARGE, LISTS = "small", "large", "lists"
GROUPS = (LARGE, SMALL, LISTS)
"""The servers start anew for each group, so that no operation finds what others have left in memory and on the disk."""


@dataclass(frozen=True)
class Operation:
    """An operation as the table names it; ``bytes`` is what one moves, 0 for small ones."""

    run: Callable[[Site, int], Run]
    title: str
    group: str
    connections: tuple[int, ...]
    bytes: Callable[[Scale], int] = lambda scale: 0
    rounds: int = 100
    """The most that are of use."""
    writes: bool = True
    """Whether it matters that a server syncs."""
    only_ours: bool = False
    """Whether it would take a rival too long, and so is measured on the gateway with one worker alone."""


OPERATIONS = {
    # First, as their memory is compared with that of a server which has just started.
    "put-huge": Operation(large.put_huge, "PUT 1 GiB", LARGE, (1,), lambda scale: scale.huge, 1),
    "get-huge": Operation(large.get_huge, "GET 1 GiB", LARGE, (1,), lambda scale: scale.huge, 1, writes=False),
    "copy-huge": Operation(copying.copy_huge, "CopyObject, 1 GiB", LARGE, (1,), rounds=3),
    "copy": Operation(copying.copy_small, "CopyObject, 4 KiB", LARGE, (1,), rounds=3),
    "complete": Operation(copying.complete, "Complete, 10,000 parts", LARGE, (1,), rounds=3, only_ours=True),
    "get-large": Operation(large.get_large, "GET 64 MiB", LARGE, (1, 4), lambda scale: scale.large, 5, writes=False),
    "put-large": Operation(large.put_large, "PUT 64 MiB", LARGE, (1,), lambda scale: scale.large, 3),
    "multipart": Operation(large.multipart, "multipart 256 MiB", LARGE, (4,), lambda scale: scale.multipart, 3),
    "get": Operation(small.get, "GET 4 KiB", SMALL, (1, 16, 64), writes=False),
    "get-cold": Operation(small.get_cold, "GET 4 KiB, each for the first time", SMALL, (16,), writes=False),
    "head": Operation(small.head, "HEAD", SMALL, (1, 16, 64), writes=False),
    "put": Operation(small.put_new, "PUT 4 KiB, new content", SMALL, (1, 16, 64)),
    "put-same": Operation(small.put_same, "PUT 4 KiB, content already stored", SMALL, (16,)),
    "delete": Operation(small.delete, "DELETE", SMALL, (16,)),
    "list": Operation(listing.list_keys, "LIST 1,000 keys of 10⁵", LISTS, (1, 16), writes=False),
    "list-huge": Operation(listing.list_huge, "LIST 1,000 keys of 10⁷", LISTS, (1, 16), writes=False, only_ours=True),
    "list-prefixes": Operation(
        listing.list_prefixes, "LIST 1,000 common prefixes of 10³ keys", LISTS, (1,), writes=False
    ),
    "list-folders": Operation(
        listing.list_folders, "LIST 1,000 common prefixes of 10⁶ keys", LISTS, (1,), writes=False, only_ours=True
    ),
}
