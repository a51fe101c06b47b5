"""Buffers are shared so that no owner has them all."""

from __future__ import annotations

import asyncio

import pytest

from gateway.buffers import Buffers


@pytest.mark.parametrize(("total", "alone"), [(1, 1), (2, 2), (3, 2), (16, 11), (64, 43)])
def test_one_that_is_alone_leaves_some(total: int, alone: int) -> None:
    buffers = Buffers(total)
    while buffers.try_take(1):
        pass
    assert buffers.held[1] == alone
    assert buffers.try_take(2) == (total > 2)


async def test_a_waiter_whose_owner_has_too_many_lets_others_pass() -> None:
    buffers = Buffers(6)
    for _ in range(4):
        await buffers.take(1)
    waiting = asyncio.create_task(buffers.take(1))
    await asyncio.sleep(0)
    await asyncio.wait_for(buffers.take(2), 1)
    assert not waiting.done()
    buffers.give_back(1)
    buffers.give_back(1)
    await asyncio.wait_for(waiting, 1)
    assert (buffers.held[1], buffers.held[2], buffers.free) == (3, 1, 2)


async def test_who_gives_up_waiting_takes_nothing() -> None:
    buffers = Buffers(1)
    await buffers.take(1)
    waiting = [asyncio.create_task(buffers.take(1)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    buffers.give_back(1)  # the second's turn, which gives up just then
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert waiting[2].exception() is None
    buffers.give_back(1)
    assert (buffers.free, dict(buffers.held)) == (1, {})
