"""What a rush left behind on the heap goes back, once it is quiet, and not before."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable

import pytest

from gateway import heap

RUSH = """
import asyncio, contextlib
from gateway import heap

async def main():
    heap.tune()
    task = asyncio.create_task(heap.give_back_forever(lambda: QUIET, 0.05))
    await asyncio.sleep(0.02)
    blocks = [bytes(4000 + n % 5) for n in range(50_000)]
    del blocks[::2], blocks[::3], blocks[:-100:2], blocks[:-100:2], blocks[:-100:2], blocks[:-100:2]
    left, before = blocks[::50], heap.resident()
    del blocks
    await asyncio.sleep(0.5)
    print(before - heap.resident(), len(left))
    task.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize("quiet", [True, False])
def test_what_a_rush_left_is_given_back_once_it_is_quiet(quiet: bool) -> None:
    code = RUSH.replace("QUIET", str(quiet))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    given_back = int(done.stdout.split()[0])
    assert (given_back > 64 * 1024 * 1024) is quiet, done.stdout


def _looks(monkeypatch: pytest.MonkeyPatch, sizes: list[int], quiet: Callable[[], bool]) -> int:
    """How often memory is given back while the process is of these sizes in MiB."""
    given = []
    told = iter([size << 20 for size in sizes])
    monkeypatch.setattr(heap, "resident", lambda: next(told, sizes[-1] << 20))
    monkeypatch.setattr(heap, "give_back", lambda: given.append(1))

    async def look() -> None:
        task = asyncio.create_task(heap.give_back_forever(quiet, 0.001))
        await asyncio.sleep(0.2)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(look())
    return len(given)


def test_it_is_not_tried_where_little_can_come_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _looks(monkeypatch, [80, 100], lambda: True) == 0


def test_what_stays_in_use_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _looks(monkeypatch, [80, 200, 190, 195], lambda: True) == 1


def test_a_moment_of_quiet_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter(range(100_000))
    assert _looks(monkeypatch, [80, 200], lambda: next(turns) % 2 == 0) == 0
