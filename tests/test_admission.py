"""What requests under way hold: as much as there is, fairly, and given back whatever became of them."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission import Admission
from gateway.errors import TooBusy

MIB = 1024 * 1024


def admission(requests: int = 10, memory: int = 10 * MIB, patience: float = 0.05, hang: bool = False) -> Admission:
    return Admission(requests=requests, memory=memory, patience=patience, writes_hang=lambda: hang)


def fill(held: Admission, share: str) -> int:
    for count in range(1000):
        try:
            held.enter(share, writes=False)
        except TooBusy:
            return count
    raise AssertionError("without end")


def test_one_that_is_alone_gets_most_and_others_still_find_some() -> None:
    held = admission(100)
    assert fill(held, "noisy") == 80
    assert fill(held, "quiet") == 16
    assert fill(held, "third") > 0
    while held.under_way:
        held.leave(next(iter(held._requests)))
    assert fill(held, "quiet") == 80 and held.refused == 4


def test_one_request_is_let_in_where_there_is_room_for_one() -> None:
    assert fill(admission(1), "any") == 1


def test_writes_are_refused_where_none_gets_done_and_reads_are_not() -> None:
    held = admission(hang=True)
    held.enter("any", writes=False)
    with pytest.raises(TooBusy):
        held.enter("any", writes=True)
    assert held.under_way == 1


async def test_a_body_waits_for_memory_and_is_refused_after_a_while() -> None:
    held = admission()
    assert await held.room("noisy", 6 * MIB) == 6 * MIB
    assert await held.room("noisy", 2 * MIB) == 2 * MIB
    with pytest.raises(TooBusy):
        await held.room("noisy", MIB)
    assert await held.room("quiet", MIB) == MIB  # it need not wait behind the other
    waiting = asyncio.ensure_future(held.room("noisy", 4 * MIB))
    await asyncio.sleep(0)
    held.give_back("noisy", 6 * MIB)
    assert await waiting == 4 * MIB
    held.give_back("noisy", 6 * MIB)
    held.give_back("quiet", MIB)
    assert held.memory_in_use == 0


async def test_who_gives_up_waiting_leaves_nothing_taken() -> None:
    held = admission(patience=60)
    await held.room("any", 8 * MIB)
    first, second = (asyncio.ensure_future(held.room("any", 4 * MIB)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    held.give_back("any", 8 * MIB)
    second.cancel()  # its turn has come, and it does not know yet
    await asyncio.gather(second, return_exceptions=True)
    assert held.memory_in_use == 0
    assert await held.room("any", 100 * MIB) == 10 * MIB  # what is larger than all there is takes all
    assert await held.room("any", 1000) == 0
