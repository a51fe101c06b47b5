"""The run: cycles of a crowd, a noisy tenant, a server with too little room, and the end."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from reliability.load.crowd import crowd, slow_get, slow_put
from reliability.load.site import LARGE, Caller, Site, patiently
from reliability.load.verdict import Bounds, Facts, Line, lines
from reliability.processes import Sample, sample
from reliability.wire import Hung, Lost
from tests.e2e.harness import Server

STEADY = 8
SMALL = 5
SETTLE_TIMES = 120
END_SECONDS = 60
READ_BACK = 1500
ROOM = {"NEXUS_MAX_CONNECTIONS": "64", "NEXUS_MAX_REQUESTS": "32"}


@dataclass(frozen=True, slots=True)
class Plan:
    connections: int = 1000
    seconds: float = 30.0
    """Of each cycle."""
    cycles: int = 3
    noisy: int = 500
    crowded: int = 300
    """Clients of the server that has too little room."""
    under_way: int = 40
    seed: int = 1
    workers: int = 1
    bounds: Bounds = field(default_factory=Bounds)


@dataclass
class Verdict:
    lines: list[Line]
    problems: list[str]
    seen: dict[str, int]

    @property
    def good(self) -> bool:
        return not self.problems and all(line.good for line in self.lines)


def run(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Verdict:
    """The whole of it; ``tell`` gets a line now and then."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for name in ("gateway", "small"):
        (folder / name).mkdir()
    site = Site(Server(folder / "gateway", ("--workers", str(plan.workers))))
    site.server.start()
    try:
        public, steady = site.caller("public"), site.caller("steady")
        facts = Facts(_sample(site), connections=plan.connections)
        asyncio.run(_cycles(plan, site, public, steady, facts, tell))
        asyncio.run(_beside_a_noisy_one(plan, site, public, steady, facts))
        tell("a noisy tenant: done")
        _with_too_little_room(plan, folder / "small", site, facts)
        tell("too little room: done")
        _told_to_stop(plan, site, public, facts)
    finally:
        site.server.kill()
    return Verdict(lines(facts, plan.bounds), site.problems, dict(site.seen))


def _sample(site: Site) -> Sample:
    assert site.server.process is not None
    return sample(0, site.server.process.pid, site.server.data_dir)


# -- cycles


async def _cycles(
    plan: Plan, site: Site, public: Caller, steady: Caller, facts: Facts, tell: Callable[[str], None]
) -> None:
    async with _probe(facts.health, {"port": site.server.port, "path": "/health", "connections": 1}):
        for cycle in range(plan.cycles):
            others = [asyncio.create_task(_steady(site, steady, n)) for n in range(STEADY)]
            watching = asyncio.create_task(_watch(site, facts))
            await crowd(site, public, plan.connections, plan.seconds, f"{plan.seed}/{cycle}")
            for task in (watching, *others):
                task.cancel()
            await asyncio.gather(watching, *others, return_exceptions=True)
            facts.after.append(await _settled(site, facts.before.descriptors + plan.bounds.descriptors))
            left = facts.after[-1]
            tell(f"cycle {cycle + 1} of {plan.cycles}: {left.memory_mib:.0f} MiB, {len(site.problems)} problems")
    await site.check_some(Random(plan.seed), READ_BACK)


async def _steady(site: Site, caller: Caller, number: int) -> None:
    """A client that waits its turn, and gets every byte."""
    connection, dice = caller.connect(), Random(number)
    try:
        while True:
            name = site.fresh("steady")
            size = dice.choice((100, 4096, 200_000))
            await patiently(partial(site.put, caller, connection, name, size))
            await patiently(partial(site.check, connection, caller.path(name)))
            await asyncio.sleep(0.1)
    except Hung as error:
        site.problem(f"a steady client: {error}")
    finally:
        connection.close()


async def _watch(site: Site, facts: Facts) -> None:
    while True:
        facts.peak_descriptors = max(facts.peak_descriptors, _sample(site).descriptors)
        await asyncio.sleep(0.5)


async def _settled(site: Site, descriptors: int) -> Sample:
    """The server once its clients are gone."""
    for _ in range(SETTLE_TIMES):
        if (now := _sample(site)).descriptors <= descriptors:
            break
        await asyncio.sleep(0.25)
    return now


@asynccontextmanager
async def _probe(told: list[tuple[float, int]], plan: dict[str, object]) -> AsyncIterator[None]:
    """A client in a process of its own meanwhile."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reliability.load.probe", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan).encode() + b"\n")
        yield
        out, _ = await process.communicate(b"")  # closes its input, too
        told += [(seconds, status) for seconds, status in json.loads(out)]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# -- fairness


async def _beside_a_noisy_one(plan: Plan, site: Site, public: Caller, steady: Caller, facts: Facts) -> None:
    small = {
        "port": site.server.port,
        "path": steady.path("one"),
        "connections": SMALL,
        "access_key": steady.key.access_key,
        "secret_key": steady.key.secret_key,
    }
    connection = steady.connect()
    await patiently(partial(site.put, steady, connection, "one", 4096))
    connection.close()
    seconds = min(plan.seconds, 10.0)
    async with _probe(facts.alone, small):
        await asyncio.sleep(seconds)
    noise = [asyncio.create_task(_noise(site, public)) for _ in range(plan.noisy)]
    try:
        await asyncio.sleep(1)
        async with _probe(facts.beside, small):
            await asyncio.sleep(seconds)
    finally:
        for task in noise:
            task.cancel()
        await asyncio.gather(*noise, return_exceptions=True)


async def _noise(site: Site, caller: Caller) -> None:
    """Asks for the same again and again, as fast as it is answered."""
    connection = caller.connect()
    headers = caller.signer().sign("HEAD", caller.path(LARGE)).headers
    try:
        while True:
            answer = await connection.send("HEAD", caller.path(LARGE), headers)
            site.judge("noise", answer)
    except (Lost, Hung) as error:
        site.problem(f"noise: {error}")
    finally:
        connection.close()


# -- too little room


def _with_too_little_room(plan: Plan, folder: Path, site: Site, facts: Facts) -> None:
    small = Site(Server(folder, (), ROOM))
    small.server.start()
    try:
        caller = small.caller("crowd")
        asyncio.run(_crowded(plan, small, caller, facts))
    finally:
        small.server.kill()
    site.problems += small.problems


async def _crowded(plan: Plan, site: Site, caller: Caller, facts: Facts) -> None:
    async def upload(number: int) -> None:
        connection, name = caller.connect(), f"crowd/{number}"
        try:
            await patiently(partial(site.put, caller, connection, name, 300_000), 2 * END_SECONDS)
            await patiently(partial(site.check, connection, caller.path(name)), 2 * END_SECONDS)
            facts.got_through += 1
        except Hung as error:
            site.problem(f"a crowded client: {error}")
        finally:
            connection.close()

    facts.of = plan.crowded
    await asyncio.gather(*(upload(number) for number in range(plan.crowded)))
    facts.refused = site.seen["put 503"] + site.seen["get 503"]


# -- the end


def _told_to_stop(plan: Plan, site: Site, caller: Caller, facts: Facts) -> None:
    asyncio.run(_stop(plan, site, caller, facts))
    process = site.server.process
    assert process is not None
    facts.exit_status = process.wait(END_SECONDS)
    site.server.start()
    facts.checked = asyncio.run(site.check_some(Random(plan.seed), READ_BACK))


async def _stop(plan: Plan, site: Site, caller: Caller, facts: Facts) -> None:
    """Tell the server to stop while uploads and downloads are half-way."""

    async def visit(number: int) -> None:
        dice = Random(f"{plan.seed}/{number}")
        try:
            await (slow_put if number % 2 else slow_get)(site, caller, dice)
            facts.finished += 1
        except (OSError, EOFError, ValueError) as error:
            site.problem(f"under way at the end: {error!r}")

    facts.under_way = plan.under_way
    tasks = [asyncio.create_task(visit(number)) for number in range(plan.under_way)]
    await asyncio.sleep(1)
    assert site.server.process is not None
    site.server.process.terminate()
    await asyncio.gather(*tasks)
