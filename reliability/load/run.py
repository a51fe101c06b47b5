"""The run: cycles of a crowd, a noisy tenant, a server with too little room, and the end."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from reliability.load.crowd import CUT, crowd
from reliability.load.end import told_to_stop
from reliability.load.probe import Seen, Task, probing
from reliability.load.site import LARGE, Caller, Site, patiently
from reliability.load.verdict import Bounds, Facts, Line, Requests, lines
from reliability.processes import Sample
from reliability.wire import Hung, Lost
from tests.e2e.harness import Server

STEADY = 8
SMALL = 5
SETTLE_TIMES = 120
FAIR_SECONDS = 10.0
HEAD_SECONDS = 30.0
"""How long the server waits for a request's head, by default."""
CROWDED_SECONDS = 120.0
CROWDED_BYTES = 300_000
NOISE_BYTES = 4096
ROOM = {"NEXUS_MAX_CONNECTIONS": "64", "NEXUS_MAX_REQUESTS": "32"}


@dataclass(frozen=True, slots=True)
class Plan:
    connections: int = 1000
    seconds: float = 35.0
    """Of each cycle."""
    cycles: int = 3
    noisy: int = 500
    crowded: int = 300
    """Clients of the server that has too little room."""
    under_way: int = 40
    rest: float = 12.0
    """Seconds after each cycle in which the server may give memory back."""
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
        facts = Facts(site.sample(), connections=plan.connections, must_cut=plan.seconds > HEAD_SECONDS + 3)
        asyncio.run(_cycles(plan, site, public, steady, facts, tell))
        asyncio.run(_beside_a_noisy_one(plan, site, public, steady, facts))
        tell("a noisy tenant: done")
        _with_too_little_room(plan, folder / "small", site, facts)
        tell("too little room: done")
        told_to_stop(plan.under_way, plan.seed, site, public, facts)
        tell("told to stop: done")
    finally:
        site.server.kill()
    return Verdict(lines(facts, plan.bounds), site.problems, dict(site.seen))


# -- cycles


async def _cycles(
    plan: Plan, site: Site, public: Caller, steady: Caller, facts: Facts, tell: Callable[[str], None]
) -> None:
    health = Seen()
    async with probing(Task(site.server.port), health):
        for cycle in range(plan.cycles):
            watching = asyncio.create_task(_watch(site, facts))
            facts.steady += await _meanwhile(
                site,
                steady,
                steady.task(STEADY, f"steady/{cycle}"),
                crowd(site, public, plan.connections, plan.seconds, f"{plan.seed}/{cycle}"),
            )
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            facts.after.append(await _settled(plan, site, facts.before.descriptors))
            left = facts.after[-1]
            tell(f"cycle {cycle + 1} of {plan.cycles}: {left.memory_mib:.0f} MiB, {len(site.problems)} problems")
    facts.health, facts.cut = health.requests, site.seen[CUT]


async def _meanwhile(site: Site, caller: Caller, task: Task, what: Coroutine[object, object, None]) -> Requests:
    """Do something while clients in another process put and read; their requests."""
    seen = Seen()
    async with probing(task, seen):
        await what
    for name, size in seen.written:
        site.acknowledged(caller, name, size)
    for problem in seen.problems:
        site.problem(problem)
    return seen.requests


async def _watch(site: Site, facts: Facts) -> None:
    while True:
        facts.peak_descriptors = max(facts.peak_descriptors, site.descriptors())
        await asyncio.sleep(0.5)


async def _settled(plan: Plan, site: Site, descriptors: int) -> Sample:
    """The server once its clients are gone."""
    for _ in range(SETTLE_TIMES):
        if site.descriptors() <= descriptors + plan.bounds.descriptors:
            break
        await asyncio.sleep(0.25)
    await asyncio.sleep(plan.rest)
    return site.sample()


# -- fairness


async def _beside_a_noisy_one(plan: Plan, site: Site, public: Caller, steady: Caller, facts: Facts) -> None:
    seconds = min(plan.seconds, FAIR_SECONDS)
    facts.alone = await _meanwhile(site, steady, steady.task(SMALL, "alone"), asyncio.sleep(seconds))
    noise = [asyncio.create_task(_noise(site, public, number)) for number in range(plan.noisy)]
    try:
        await asyncio.sleep(1)
        facts.beside = await _meanwhile(site, steady, steady.task(SMALL, "beside"), asyncio.sleep(seconds))
    finally:
        for each in noise:
            each.cancel()
        await asyncio.gather(*noise, return_exceptions=True)
    facts.noise = sum(number for what, number in site.seen.items() if what.startswith("noise "))


async def _noise(site: Site, caller: Caller, number: int) -> None:
    """Asks for the same as fast as it is answered; one client in eight writes."""
    connection = caller.connect()
    method, name, body = ("PUT", f"noise/{number}", bytes(NOISE_BYTES)) if number % 8 == 0 else ("HEAD", LARGE, b"")
    headers = caller.signer().sign(method, caller.path(name)).headers
    try:
        while True:
            answer = await connection.send(method, caller.path(name), headers, body)
            if not site.judge("noise", answer):
                await asyncio.sleep(1)
    except (Lost, Hung) as error:
        site.problem(f"noise: {error}")
    finally:
        connection.close()


# -- too little room


def _with_too_little_room(plan: Plan, folder: Path, site: Site, facts: Facts) -> None:
    small = Site(Server(folder, (), ROOM))
    small.server.start()
    try:
        asyncio.run(_crowded(plan, small, small.caller("crowd"), facts))
    finally:
        small.server.kill()
    site.problems += small.problems


async def _crowded(plan: Plan, site: Site, caller: Caller, facts: Facts) -> None:
    async def upload(number: int) -> None:
        connection, name = caller.connect(), f"crowd/{number}"
        try:
            await patiently(partial(site.put, caller, connection, name, CROWDED_BYTES), CROWDED_SECONDS)
            await patiently(partial(site.check, connection, caller.path(name)), CROWDED_SECONDS)
            facts.got_through += 1
        except Hung as error:
            site.problem(f"a crowded client: {error}")
        finally:
            connection.close()

    facts.of = plan.crowded
    await asyncio.gather(*(upload(number) for number in range(plan.crowded)))
    facts.refused = site.seen["put 503"] + site.seen["get 503"]
