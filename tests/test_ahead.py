"""Reading ahead keeps order, takes no more memory than there is, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from gateway.ahead import ReadAhead
from gateway.buffers import Buffers


class Source:
    """Pieces that are numbers; each is read as two chunks, and counted."""

    def __init__(self, count: int, broken: int = -1) -> None:
        self._count = count
        self._broken = broken
        self.open = self.most = 0
        self.asked: list[int] = []

    async def pieces(self) -> AsyncGenerator[int, None]:
        for number in range(self._count):
            yield number

    async def fetch(self, number: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(number)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            for half in "ab":
                await asyncio.sleep(0.001 * (number % 3))
                if number == self._broken:
                    raise OSError("broken")
                yield f"{number}{half} ".encode()
        finally:
            self.open -= 1


def all_of(count: int) -> bytes:
    return "".join(f"{number}a {number}b " for number in range(count)).encode()


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("depth", [0, 1, 3, 10])
@pytest.mark.parametrize("free", [0, 1, 2, 20])
async def test_pieces_come_in_order_within_the_memory_there_is(count: int, depth: int, free: int) -> None:
    source, ahead = Source(count), ReadAhead(Buffers(free))
    got = [chunk async for chunk in ahead.read(source.pieces(), source.fetch, depth, 1)]
    assert b"".join(got) == all_of(count)
    assert sorted(source.asked) == list(range(count)), "each once"
    assert source.most <= 1 + min(depth, free)
    assert (ahead.buffers.free, source.open) == (free, 0)


async def test_several_readers_share_the_memory() -> None:
    ahead, sources = ReadAhead(Buffers(3)), [Source(9) for _ in range(5)]

    async def read(source: Source) -> bytes:
        return b"".join([chunk async for chunk in ahead.read(source.pieces(), source.fetch, 4, 1)])

    assert await asyncio.gather(*(read(source) for source in sources)) == [all_of(9)] * 5
    assert ahead.buffers.free == 3


@pytest.mark.parametrize("broken", [0, 1, 4])
async def test_a_broken_piece_is_told_when_its_turn_comes(broken: int) -> None:
    source, ahead, got = Source(6, broken), ReadAhead(Buffers(9)), b""
    with pytest.raises(OSError, match="broken"):
        async for chunk in ahead.read(source.pieces(), source.fetch, 3, 1):
            got += chunk
    assert got == all_of(broken)
    assert (ahead.buffers.free, source.open) == (9, 0)


@pytest.mark.parametrize("taken", [0, 1, 3, 8])
async def test_a_reader_may_leave_at_any_time(taken: int) -> None:
    source, ahead = Source(9), ReadAhead(Buffers(9))
    async with aclosing(ahead.read(source.pieces(), source.fetch, 3, 1)) as chunks:
        for _ in range(taken):
            await anext(chunks)
    assert (ahead.buffers.free, source.open) == (9, 0)


async def test_a_reader_may_be_cancelled() -> None:
    source, ahead = Source(9), ReadAhead(Buffers(9))

    async def read() -> None:
        async for _ in ahead.read(source.pieces(), source.fetch, 3, 1):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.003)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert (ahead.buffers.free, source.open) == (9, 0)
