"""What clients are given to carry, and how it is compared. Standard library only: clients' interpreters import it."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable
from pathlib import Path

MIB = 1024 * 1024
BIG = 21 * MIB + 17
"""Three parts of 8 MiB for most clients, five of 5 MiB for some; ends inside one."""

SPECIAL_KEYS = (
    "with space/and  two.txt",
    "plus+and%20percent%2F.txt",
    "ünïcode/日本語 🎈.txt",
    'mark\'s "quoted" (1) [2] {3}!.txt',
    "query?like=a&b;c#fragment.txt",
    "~tilde/$dollar@at,comma=equals:colon.txt",
)
"""Keys on which URLs are apt to be encoded twice, once too little, or by another rule than the signature's."""

TREE = (
    "readme.txt",
    "empty",
    "dir/inner.bin",
    "dir/deep/er/file.bin",
    "dir with space/a + b.txt",
    "dir with space/ünï.txt",
    "numbers/100%.txt",
    *(f"many/{number:03}.txt" for number in range(60)),
)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress, the same every time."""
    return random.Random(seed).randbytes(size)


def plant(folder: Path, names: Iterable[str] = TREE) -> dict[str, str]:
    """Make a tree of files of many sizes; its digests."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else noise(1 + number * 977, number))
    return digests(folder)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): digest(path.read_bytes()) for path in folder.rglob("*") if path.is_file()
    }


def bucket() -> str:
    """In a client's interpreter: the bucket that this run is about."""
    return os.environ["CLIENT_BUCKET"]


def folder() -> Path:
    """In a client's interpreter: a folder to work in, empty at first."""
    return Path(os.environ["CLIENT_FOLDER"])


def left(key: str, content: bytes) -> None:
    """In a client's interpreter: tell the check what it must find in the bucket afterwards, with another client."""
    print("LEFT " + json.dumps({"key": key, "sha256": digest(content)}), flush=True)
