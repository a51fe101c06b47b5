"""The end: a server is told to stop while uploads and downloads are half-way, and started again."""

from __future__ import annotations

import asyncio
from random import Random

from reliability.load.crowd import slow_get, slow_put
from reliability.load.site import Caller, Site
from reliability.load.verdict import Facts

BEGIN_SECONDS = 60.0
END_SECONDS = 60.0


def told_to_stop(count: int, seed: int, site: Site, caller: Caller, facts: Facts) -> None:
    asyncio.run(_stop(count, seed, site, caller, facts))
    process = site.server.process
    assert process is not None
    facts.exit_status = process.wait(END_SECONDS)
    site.server.start()
    facts.checked = asyncio.run(site.check_all())


async def _stop(count: int, seed: int, site: Site, caller: Caller, facts: Facts) -> None:
    every = [asyncio.Event() for _ in range(count)]
    visits = [
        asyncio.create_task((slow_put if n % 2 else slow_get)(site, caller, Random(f"{seed}/end/{n}"), every[n]))
        for n in range(count)
    ]
    await asyncio.wait([asyncio.create_task(begun.wait()) for begun in every], timeout=BEGIN_SECONDS)
    half_way = [n for n in range(count) if every[n].is_set() and not visits[n].done()]
    assert site.server.process is not None
    site.server.process.terminate()
    ends = await asyncio.gather(*visits, return_exceptions=True)
    facts.up = sum(n % 2 for n in half_way)
    facts.down = len(half_way) - facts.up
    facts.finished = sum(ends[n] == 200 for n in half_way)
    for n in half_way:
        if ends[n] != 200:
            site.problem(f"half-way when told to stop: {ends[n]!r}")
