"""Seconds of the soak, and that it finds what it looks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.client import BaseClient

from reliability.processes import Sample
from reliability.soak.client import PLAIN, Client, Place, Site
from reliability.soak.run import Plan, Soak, prepare, verify
from reliability.soak.verdict import LOOSE, Bounds, lines
from reliability.soak.writes import put
from tests.e2e.harness import Server


def test_a_short_soak_is_good(tmp_path: Path) -> None:
    told: list[str] = []
    verdict = Soak(Plan(seconds=4, seed=5, rate=80, gc_seconds=1, bounds=LOOSE), tmp_path, told.append).run()
    assert verdict.good, (verdict.problems, verdict.lines, told)
    assert verdict.done["put"] and verdict.done["get"] and verdict.done["gc"]


def test_an_object_that_changed_by_itself_is_found(new_server: Callable[..., Server]) -> None:
    server = new_server()
    boto = server.s3()
    site = changed(server, boto, lambda place: boto.put_object(Bucket=place.bucket, Key=place.key, Body=b"other"))
    assert len(site.problems) == 2, "read and listed"
    boto.close()


def changed(server: Server, boto: BaseClient, change: Callable[[Place], object]) -> Site:
    """A client's site after it wrote two keys, of which something changed one, and looked at all."""
    prepare(boto)
    site = Site(server, boto)
    client = Client(site, 0, seed=1)

    async def play() -> None:
        for number in range(2):
            await put(client, Place(PLAIN, f"{client.name}/{number}"))
        change(Place(PLAIN, f"{client.name}/1"))
        await verify(client)
        client.connection.close()

    asyncio.run(play())
    return site


@pytest.mark.parametrize("growing", ["memory_mib", "descriptors", "threads", "wal_bytes"])
def test_what_grows_is_told(growing: str) -> None:
    def at(minute: int) -> Sample:
        level = {"memory_mib": 80, "descriptors": 40, "threads": 12, "wal_bytes": 64 << 20}
        level[growing] += level[growing] * minute // 60
        return Sample(minute * 60, 1, data_bytes=0, **level)

    found = lines([at(minute) for minute in range(60)], [], Bounds())
    assert sum(not line.flat for line in found) == 1, found


def test_what_grows_while_it_warms_up_is_flat() -> None:
    samples = [Sample(minute, 1, min(minute * 20, 150), 40, 12, 0, 0) for minute in range(60)]
    assert all(line.flat for line in lines(samples, [], Bounds()))
