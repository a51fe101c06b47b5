"""Reading ahead: the pieces of one body in order, the next ones fetched while one goes out.

A store behind a network makes its reader wait at each block; fetched several at once, blocks come as fast as the
line carries. What is fetched ahead lies in memory, so all readers share a fixed number of pieces, of which those of one
store get a part. A reader that finds none free streams, as it would from a disk: nobody ever waits for memory that a
slow client holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.buffers import Buffers

P = TypeVar("P")


@dataclass(slots=True)
class _Piece(Generic[P]):
    piece: P
    fetching: asyncio.Task[deque[bytes]] | None = None


class ReadAhead:
    """Memory for as many pieces as there are buffers, shared by every reader of this process."""

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers

    async def read(
        self, pieces: AsyncIterator[P], fetch: Callable[[P], AsyncGenerator[bytes, None]], depth: int, owner: int
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of all pieces in order; up to ``depth`` of them under way beyond the one that goes out.
        ``owner`` is whose buffers they take.

        What ``fetch`` raises is raised where the piece's turn comes, after every byte before it.
        """
        queue: deque[_Piece[P]] = deque()
        try:
            while await self._look_ahead(queue, pieces, fetch, depth, owner):
                head = queue[0]
                if head.fetching is None:
                    async with aclosing(fetch(head.piece)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                else:
                    fetched = await head.fetching
                    while fetched:
                        yield fetched.popleft()
                    self.buffers.give_back(owner)
                queue.popleft()
        finally:
            running = [each.fetching for each in queue if each.fetching is not None]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for _ in running:
                self.buffers.give_back(owner)

    async def _look_ahead(
        self,
        queue: deque[_Piece[P]],
        pieces: AsyncIterator[P],
        fetch: Callable[[P], AsyncGenerator[bytes, None]],
        depth: int,
        owner: int,
    ) -> bool:
        """Fill the queue and begin to fetch what memory is free for; whether there is anything left."""
        while len(queue) <= depth:
            try:
                queue.append(_Piece(await anext(pieces)))
            except StopAsyncIteration:
                break
        for each in list(queue)[1:]:
            if each.fetching is None and self.buffers.try_take(owner):
                each.fetching = asyncio.create_task(_collect(fetch(each.piece)))
        return bool(queue)


async def _collect(chunks: AsyncGenerator[bytes, None]) -> deque[bytes]:
    async with aclosing(chunks):
        return deque([chunk async for chunk in chunks])
