"""The run: generations of keys, each worked on by all clients and judged when they are done."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import tree
from reliability.linear import races
from reliability.linear.actions import ACTIONS, Action, get, head, list_keys, list_versions
from reliability.linear.checker import Undecided, check
from reliability.linear.values import Torn
from reliability.linear.world import PLAIN, VERSIONED, Actor, Refused, Unknown, World
from reliability.wire import Connection
from tests.e2e.harness import Server
from tests.e2e.signing import Raw

CLIENTS = 12
GENERATION = 2000
"""Operations on the same keys."""
MANY_PROBLEMS = 20
DEADLINE = 30.0
"""Seconds for one request."""
ENVIRONMENT = {"NEXUS_BLOCK_SIZE": "65536", "NEXUS_MIN_PART_SIZE": "1", "NEXUS_LOG_LEVEL": "warning"}
"""Small blocks and parts, so that bodies have several and cost little."""


@dataclass(frozen=True, slots=True)
class Plan:
    operations: int
    seed: int
    workers: int = 1
    kill_seconds: float = 0
    """How often a worker is killed; 0: never."""
    increments: int = 300
    rounds: int = 50
    """Of conditional writes that race for one key."""


@dataclass
class Verdict:
    operations: int = 0
    histories: int = 0
    checked: int = 0
    """Operations on single keys; a list is one on each."""
    unknown: int = 0
    refused: int = 0
    kills: int = 0
    seconds: float = 0
    undecided: int = 0
    violations: int = 0

    def __post_init__(self) -> None:
        self.problems: list[str] = []

    @property
    def good(self) -> bool:
        return self.operations > 0 and not (self.violations or self.undecided or self.problems)


class Linear:
    def __init__(
        self,
        plan: Plan,
        folder: Path,
        tell: Callable[[str], None],
        connect: Callable[[Raw], Connection] = lambda signer: Connection(signer, DEADLINE),
    ) -> None:
        self.plan = plan
        self.tell = tell
        self.server = Server(folder, ("--workers", str(plan.workers)), ENVIRONMENT)
        self._connect = connect
        self.verdict = Verdict()

    def run(self) -> Verdict:
        self.server.start()
        try:
            boto = self.server.s3()
            for bucket in (PLAIN, VERSIONED):
                boto.create_bucket(Bucket=bucket)
            boto.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
            boto.close()
            started = time.monotonic()
            asyncio.run(self._play())
            self.verdict.seconds = time.monotonic() - started
        finally:
            self.server.kill()
        return self.verdict

    async def _play(self) -> None:
        self.world = World(self.server, self.plan.seed, self._connect)
        self.verdict.problems = self.world.problems
        actors = [Actor(self.world, number) for number in range(CLIENTS)]
        self.tell(await races.counter(actors, self.plan.increments))
        self.tell(await races.winners(actors, self.plan.rounds))
        killer = asyncio.create_task(self._kill())
        try:
            while self.verdict.operations < self.plan.operations and not self._hopeless():
                await self._generation(actors)
        finally:
            killer.cancel()
            for actor in actors:
                actor.connection.close()
        self.verdict.unknown, self.verdict.refused = self.world.unknown, self.world.refused

    def _hopeless(self) -> bool:
        return len(self.world.problems) + self.verdict.violations > MANY_PROBLEMS

    async def _generation(self, actors: list[Actor]) -> None:
        self._left = min(GENERATION, self.plan.operations - self.verdict.operations)
        await asyncio.gather(*(self._work(actor) for actor in actors))
        await self._look(actors[0])
        await asyncio.to_thread(self._judge)
        self.world.next_generation()
        if self.world.generation % 10 == 0:
            self.tell(f"{self.verdict.operations} operations, {self.verdict.violations} violations")

    async def _work(self, actor: Actor) -> None:
        while self._left > 0 and not self._hopeless():
            self._left -= 1
            self.verdict.operations += 1
            await self._act(actor, actor.dice.choices(list(ACTIONS), list(ACTIONS.values()))[0])

    async def _act(self, actor: Actor, action: Action) -> None:
        try:
            await action(actor)
            self.world.done[action.__name__] += 1
        except (Unknown, Refused):
            await asyncio.sleep(0.01)
        except Torn as error:
            self.verdict.violations += 1
            self.tell(f"VIOLATION {action.__name__}: {error}")

    async def _look(self, actor: Actor) -> None:
        """When all is still, each door of the key tells what is there."""
        for action in (list_keys, list_versions, *(get, head) * 10):
            await self._act(actor, action)

    def _judge(self) -> None:
        for path, history in self.world.histories.items():
            self.verdict.histories += 1
            self.verdict.checked += len(history)
            try:
                violation = check(history)
            except Undecided as error:
                self.verdict.undecided += 1
                self.tell(f"UNDECIDED {path}: {error}")
                continue
            if violation is not None:
                self.verdict.violations += 1
                self.tell(f"VIOLATION {path}: {violation}")

    async def _kill(self) -> None:
        """End a worker as hard as it goes, now and then; the supervisor starts another."""
        dice = random.Random(f"kill {self.plan.seed}")
        while self.plan.kill_seconds:
            await asyncio.sleep(self.plan.kill_seconds * dice.uniform(0.5, 1.5))
            assert self.server.process is not None
            workers = tree(self.server.process.pid)[1:]
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(workers), signal.SIGKILL)
                    self.verdict.kills += 1
