"""How long a client may take, and who looks whether it does.

A connection says until when something must have happened, in loop time; one look a second over all of them is cheaper
than a timer for each request, and no request pays for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

LOOK_SECONDS = 1.0
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for each thing that a client may let the server wait for, and how much it may send before a body."""

    head: float = 30.0
    """From the first byte of a request (or the connection) to the end of its headers."""
    idle: float = 75.0
    """Between two requests on a connection."""
    body: float = 60.0
    """Without a byte of a body that is wanted."""
    answer: float = 60.0
    """Without any of an answer being taken."""
    rate: int = 1024
    """Bytes a second that a body must come in on the whole, once ``body`` seconds were waited."""
    head_bytes: int = 64 * 1024
    """Most bytes of a request's line and headers."""


class Impatient(Protocol):
    """A connection that is waiting for its client."""

    def overdue(self, now: float) -> None:
        """Look at the time; end what took too long."""


class Watch:
    """Has a look at the connections every second, as long as there are any."""

    def __init__(self) -> None:
        self._looking: asyncio.TimerHandle | None = None

    def begin(self, connections: Callable[[], Collection[Impatient]]) -> None:
        """See that ``connections`` are looked at from now on."""
        if self._looking is None:
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(LOOK_SECONDS, self._look, loop, connections)

    def _look(self, loop: asyncio.AbstractEventLoop, connections: Callable[[], Collection[Impatient]]) -> None:
        self._looking = None
        for connection in tuple(connections()):
            connection.overdue(loop.time())
        if connections():
            self.begin(connections)
