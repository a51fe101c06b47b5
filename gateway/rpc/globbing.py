"""Glob patterns over paths. Pure, and of bounded cost whatever the pattern."""

from __future__ import annotations

import fnmatch
import re

from gateway.rpc.errors import BAD_PARAMETERS, RpcError

MAX_PATTERN = 1024
_MAGIC = frozenset("*?[")


class Pattern:
    """A pattern below a directory, or an absolute one: ``*``, ``?``, ``[ab]`` in a name, ``**`` over directories."""

    def __init__(self, directory: str, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise RpcError(BAD_PARAMETERS, f"a pattern has at most {MAX_PATTERN} characters")
        whole = pattern if pattern.startswith("/") else f"{directory.rstrip('/')}/{pattern}"
        segments = [segment for segment in whole.split("/") if segment]
        plain = 0
        while plain < len(segments) - 1 and not _MAGIC & set(segments[plain]):
            plain += 1
        self.base = "/" + "/".join(segments[:plain])
        """The directory below which all matches are."""
        self._skip = plain
        self._segments = [None if segment == "**" else _name(segment) for segment in segments[plain:]]

    def matches(self, path: str) -> bool:
        names = path[1:].split("/")[self._skip :]
        # Which of the names' beginnings the pattern so far can stand for.
        reached = {0}
        for segment in self._segments:
            if segment is None:
                reached = set(range(min(reached), len(names) + 1))
            else:
                reached = {at + 1 for at in reached if at < len(names) and segment.match(names[at])}
            if not reached:
                return False
        return len(names) in reached


def _name(segment: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(segment))
