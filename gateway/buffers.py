"""A fixed number of blocks in memory, shared by all stores so that none can take them all.

A store may hold no more than twice what is left free: one that is alone gets two thirds, one that comes while another
holds its share still finds some, and no share need be set (Choudhury and Hahne's dynamic thresholds).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque


class Buffers:
    """``total`` buffers. Owners are told by any number, such as the id of their store."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self.held: Counter[int] = Counter()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def try_take(self, owner: int) -> bool:
        """Take a buffer if the owner may have one now."""
        if self.free == 0 or self.held[owner] >= 2 * self.free:
            return False
        self.free -= 1
        self.held[owner] += 1
        return True

    async def take(self, owner: int) -> None:
        """Wait for a buffer; owners come in the order in which they may have one."""
        if not any(waiting == owner for waiting, _ in self._waiting) and self.try_take(owner):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((owner, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(owner)
            else:
                self._waiting = deque(each for each in self._waiting if each[1] is not turn)
            raise

    def give_back(self, owner: int) -> None:
        self.free += 1
        self.held[owner] -= 1
        if not self.held[owner]:
            del self.held[owner]
        later: deque[tuple[int, asyncio.Future[None]]] = deque()
        while self._waiting:
            owner, turn = self._waiting.popleft()
            if turn.done():
                continue
            if self.free and self.try_take(owner):
                turn.set_result(None)
            else:
                later.append((owner, turn))
        self._waiting = later
