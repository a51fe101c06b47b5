"""A server under load: who speaks to it, what it acknowledged, and what went wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from reliability.bodies import body_of
from reliability.wire import Answer, Connection, Hung, Lost
from tests.e2e.harness import Key, Server
from tests.e2e.signing import Raw

SECONDS = 60.0
SLOW_DOWN = 503
MANY_PROBLEMS = 50
LARGE, LARGE_BYTES = "large", 4 * 1024 * 1024
"""An object that is worth taking slowly."""


@dataclass
class Caller:
    """A user of a tenant, with a bucket."""

    port: int
    key: Key
    bucket: str

    def signer(self) -> Raw:
        return Raw(cast(Any, SimpleNamespace(port=self.port, admin=self.key)))

    def connect(self) -> Connection:
        return Connection(self.signer(), SECONDS)

    def path(self, name: str) -> str:
        return f"/{self.bucket}/{name}"


@dataclass
class Site:
    server: Server
    problems: list[str] = field(default_factory=list)
    written: dict[str, tuple[Caller, str, int]] = field(default_factory=dict)
    """What was acknowledged, by path: whose it is, and seed and size of its body."""
    seen: Counter[str] = field(default_factory=Counter)
    _serial: int = 0

    def caller(self, tenant: str) -> Caller:
        """Make a user of a tenant of that name, and a bucket that holds an object to take slowly."""
        caller = Caller(self.server.port, self.server.user(f"user-{tenant}", tenant), f"bucket-{tenant}")
        asyncio.run(self._prepare(caller))
        return caller

    async def _prepare(self, caller: Caller) -> None:
        connection = caller.connect()
        answer = await connection.s3("PUT", f"/{caller.bucket}")
        if answer.status != 200:
            raise RuntimeError(f"no bucket could be made: {answer}")
        await self.put(caller, connection, LARGE, LARGE_BYTES)
        connection.close()

    def problem(self, text: str) -> None:
        if len(self.problems) < MANY_PROBLEMS:
            self.problems.append(text)

    def fresh(self, kind: str) -> str:
        self._serial += 1
        return f"{kind}/{self._serial}"

    def acknowledged(self, caller: Caller, name: str, size: int) -> None:
        self.written[caller.path(name)] = caller, name, size

    def judge(self, what: str, answer: Answer) -> bool:
        """Whether an answer is a success; what is neither that nor SlowDown is a problem."""
        self.seen[f"{what} {answer.status}"] += 1
        if answer.status not in (200, 204, SLOW_DOWN):
            self.problem(f"{what}: {answer}")
        return answer.status < 300

    async def put(self, caller: Caller, connection: Connection, name: str, size: int) -> bool:
        answer = await connection.s3("PUT", caller.path(name), body=body_of(name, size))
        if done := self.judge("put", answer):
            self.acknowledged(caller, name, size)
        return done

    async def check(self, connection: Connection, path: str) -> bool:
        """Read what was acknowledged; False where it is refused for now."""
        _, seed, size = self.written[path]
        answer = await connection.s3("GET", path)
        if not self.judge("get", answer):
            return False
        if answer.body != body_of(seed, size):
            self.problem(f"{path}: {len(answer.body)} bytes that are not the {size} which were put")
        return True

    async def check_some(self, dice: Random, most: int) -> int:
        """Read back acknowledged bodies, patiently; how many."""
        paths = sorted(self.written)
        chosen = dice.sample(paths, min(most, len(paths)))
        connections: dict[str, Connection] = {}
        for path in chosen:
            caller = self.written[path][0]
            connection = connections.setdefault(caller.bucket, caller.connect())
            await patiently(partial(self.check, connection, path))
        for connection in connections.values():
            connection.close()
        return len(chosen)


async def patiently(call: Callable[[], Awaitable[bool]], seconds: float = SECONDS) -> None:
    """Call until it succeeds, backing off as SDKs do. Raises Hung."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, 0.05
    while True:
        try:
            if await call():
                return
        except Lost:
            pass
        if loop.time() > deadline:
            raise Hung(f"it does not get through in {seconds:.0f} s")
        await asyncio.sleep(pause * (0.5 + Random().random()))
        pause = min(pause * 2, 2.0)
