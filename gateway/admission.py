"""What requests under way may hold of a worker, and that nobody holds all of it.

Two things are counted for each share (a tenant, say): its requests, and the memory that long bodies take on their way.
A share may hold four times what is left free. So one that is alone gets four fifths, and whoever comes while it holds
them still finds some; no quota need be set (the thresholds of ``gateway.buffers``). A request for which there is no
room is refused at once, before anything of its body is read; a body waits for memory for a while, then is refused, too.

Writes are refused as well while those before them get nowhere: a disk that hangs is not helped by a queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.errors import TooBusy

GENEROSITY = 4
"""How many times what is free a share may hold."""
UPLOAD = 2 * 1024 * 1024
"""Memory that a long body takes on its way in: what was read ahead, what is collected, what is hashed and written."""
DOWNLOAD = 512 * 1024
"""And on its way out: what the client has yet to take, and the next chunk."""
SHORT = 64 * 1024
"""Bodies up to this size are not counted: their requests are."""


class Admission:
    """Counts what one worker has under way."""

    def __init__(
        self,
        *,
        requests: int = 1024,
        memory: int = 256 * 1024 * 1024,
        patience: float = 10.0,
        writes_hang: Callable[[], bool] = lambda: False,
    ) -> None:
        self._limit = requests
        self._memory = self._free = memory
        self._patience = patience
        self._writes_hang = writes_hang
        self._requests: dict[str, int] = {}
        self._bodies: dict[str, int] = {}
        self._waiting: deque[tuple[str, int, asyncio.Future[None]]] = deque()
        self.under_way = 0
        self.refused = 0

    @property
    def memory_in_use(self) -> int:
        return self._memory - self._free

    def enter(self, share: str, *, writes: bool) -> None:
        """Begin a request. Raises TooBusy."""
        held = self._requests.get(share, 0)
        if held >= GENEROSITY * (self._limit - self.under_way):
            raise self._refusal("too many requests are under way")
        if writes and self._writes_hang():
            raise self._refusal("writes before this one get nowhere")
        self._requests[share] = held + 1
        self.under_way += 1

    def leave(self, share: str, room: int = 0) -> None:
        """End a request, and what ``room`` it had."""
        self.under_way -= 1
        if held := self._requests[share] - 1:
            self._requests[share] = held
        else:
            del self._requests[share]
        if room:
            self.give_back(share, room)

    async def room(self, share: str, size: int) -> int:
        """Take memory for a body of this size, waiting for it a while; how much it came to. Raises TooBusy."""
        size = min(size, self._memory)
        if size <= SHORT or (not any(each == share for each, _, _ in self._waiting) and self._take(share, size)):
            return size if size > SHORT else 0
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((share, size, turn))
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(share, size)
            else:
                self._waiting = deque(each for each in self._waiting if each[2] is not turn)
            if isinstance(error, TimeoutError):
                raise self._refusal("there is no memory for another body") from None
            raise
        return size

    def _take(self, share: str, size: int) -> bool:
        held = self._bodies.get(share, 0)
        if size > self._free or held >= GENEROSITY * self._free:
            return False
        self._free -= size
        self._bodies[share] = held + size
        return True

    def give_back(self, share: str, size: int) -> None:
        if not size:
            return
        self._free += size
        if held := self._bodies[share] - size:
            self._bodies[share] = held
        else:
            del self._bodies[share]
        later: deque[tuple[str, int, asyncio.Future[None]]] = deque()
        while self._waiting:
            entry = self._waiting.popleft()
            if entry[2].done():
                continue
            if self._take(entry[0], entry[1]):
                entry[2].set_result(None)
            else:
                later.append(entry)
        self._waiting = later

    def _refusal(self, reason: str) -> TooBusy:
        self.refused += 1
        return TooBusy(reason)
