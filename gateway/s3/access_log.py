"""One line per request, cheaply: lines are gathered and written a few times a second.

A log record per request costs more than the signature check of a small GET; a line here costs one formatted string.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import TextIO

FLUSH_SECONDS = 0.25

logger = logging.getLogger("nexus.access")
"""Its level decides whether lines are written at all."""


class AccessLog:
    """Gathers lines of one event loop and writes them to ``stream``."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""

    def write(self, operation: str, user: str, status: int, size: int, seconds: float, request_id: str) -> None:
        """Note a request. What it says of paths, queries and credentials is left out on purpose."""
        if not logger.isEnabledFor(logging.INFO):
            return
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._lines.append(
            f"{self._stamp} INFO nexus.access operation={operation} user={user} status={status} bytes={size} "
            f"ms={seconds * 1000:.2f} request={request_id}\n"
        )

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        stream = self._stream or sys.stderr
        stream.write("".join(lines))
        stream.flush()
