"""Paths of the Nexus door. Pure.

``/bucket/key``, as people write paths: what S3 takes for data (empty and dotted segments, control characters) is
tidied away or refused here, so that the same file has one path.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.rpc.errors import INVALID_PATH, RpcError

MAX_PATH = 1024 + 64
"""Bytes of the longest path: a bucket's name and a key."""


class Place(NamedTuple):
    """Where a path points: an empty bucket is the root, an empty key the bucket."""

    bucket: str
    key: str

    @property
    def path(self) -> str:
        """The path in its one spelling."""
        return f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}"

    @property
    def below(self) -> str:
        """What the keys below begin with, if this is a directory."""
        return f"{self.key}/" if self.key else ""

    @property
    def parent(self) -> Place:
        return Place(self.bucket, self.key.rpartition("/")[0]) if self.key else Place("", "")


ROOT = Place("", "")


def parse(path: str) -> Place:
    """Raises RpcError for ``..``, control characters, what is no text and what is too long."""
    if any(char < " " or char == "\x7f" for char in path):
        raise RpcError(INVALID_PATH, f"{path!r} has control characters")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise RpcError(INVALID_PATH, f"{path!r} is no Unicode text") from None
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments:
        raise RpcError(INVALID_PATH, f"{path!r} has '..' in it")
    if size > MAX_PATH:
        raise RpcError(INVALID_PATH, f"a path of {size} bytes is over {MAX_PATH}")
    return Place(segments[0], "/".join(segments[1:])) if segments else ROOT


def is_key(key: str) -> bool:
    """Whether a path can name a key: S3 has others."""
    if any(char < " " or char == "\x7f" for char in key):
        return False
    return all(segment not in ("", ".", "..") for segment in key.split("/"))
