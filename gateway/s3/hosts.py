"""Buckets named by the host of a request."""

from __future__ import annotations

from collections.abc import Iterable


class Domains:
    """Domains whose subdomains are buckets."""

    def __init__(self, names: Iterable[str]) -> None:
        self._suffixes = tuple(b"." + name.lower().strip(".").encode() for name in names)

    def __bool__(self) -> bool:
        return bool(self._suffixes)

    def bucket_of(self, host: bytes) -> str | None:
        """The bucket that a Host header names; None where it names none."""
        if not self._suffixes:
            return None
        name = host.lower()
        if name.rpartition(b":")[2].isdigit():
            name = name.rpartition(b":")[0]
        for suffix in self._suffixes:
            if name.endswith(suffix) and len(name) > len(suffix):
                return name[: -len(suffix)].decode("latin-1")
        return None
