"""A server under load: who speaks to it, what it acknowledged, and what went wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from reliability.bodies import body_of
from reliability.load.probe import Task
from reliability.processes import Sample, descriptors, sample
from reliability.wire import Answer, Connection, Hung, Lost
from tests.e2e.harness import Key, Server
from tests.e2e.signing import Raw

SECONDS = 60.0
SLOW_DOWN = 503
MANY_PROBLEMS = 50
READERS = 8
LARGE, LARGE_BYTES = "large", 4 * 1024 * 1024
"""An object that is worth taking slowly."""


@dataclass(frozen=True)
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

    def task(self, connections: int, prefix: str) -> Task:
        return Task(self.port, connections, self.bucket, prefix, self.key.access_key, self.key.secret_key)


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
        if answer.status != 200 or not await self.put(caller, connection, LARGE, LARGE_BYTES):
            raise RuntimeError(f"no bucket could be made: {answer}")
        connection.close()

    def sample(self) -> Sample:
        assert self.server.process is not None
        return sample(0, self.server.process.pid, self.server.data_dir)

    def descriptors(self) -> int:
        assert self.server.process is not None
        return descriptors(self.server.process.pid)

    def problem(self, text: str) -> None:
        if len(self.problems) < MANY_PROBLEMS:
            self.problems.append(text)

    def fresh(self, kind: str) -> str:
        self._serial += 1
        return f"{kind}/{self._serial}"

    def acknowledged(self, caller: Caller, name: str, size: int) -> None:
        self.written[caller.path(name)] = caller, name, size

    def judge(self, what: str, answer: Answer) -> bool:
        """Whether an answer is a success; what is neither that nor a SlowDown as SDKs know it is a problem."""
        self.seen[f"{what} {answer.status}"] += 1
        refused = answer.status == SLOW_DOWN and answer.code in ("SlowDown", "") and "retry-after" in answer.headers
        if answer.status not in (200, 204) and not refused:
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

    async def check_all(self) -> int:
        """Read everything back that was acknowledged; how many objects."""
        paths = iter(list(self.written))
        await asyncio.gather(*(self._check_next(paths) for _ in range(READERS)))
        return len(self.written)

    async def _check_next(self, paths: Iterator[str]) -> None:
        connections: dict[str, Connection] = {}
        for path in paths:
            caller = self.written[path][0]
            if caller.bucket not in connections:
                connections[caller.bucket] = caller.connect()
            try:
                await patiently(partial(self.check, connections[caller.bucket], path))
            except Hung as error:
                self.problem(f"{path}: {error}")
        for connection in connections.values():
            connection.close()


@cache
def large() -> bytes:
    return body_of(LARGE, LARGE_BYTES)


async def patiently(call: Callable[[], Awaitable[bool]], seconds: float = SECONDS) -> None:
    """Call until it succeeds, backing off as SDKs do. Raises Hung."""
    loop = asyncio.get_running_loop()
    deadline, pause, dice = loop.time() + seconds, 0.05, Random()
    while True:
        try:
            if await call():
                return
        except Lost:
            pass
        if loop.time() > deadline:
            raise Hung(f"it does not get through in {seconds:.0f} s")
        await asyncio.sleep(pause * (0.5 + dice.random()))
        pause = min(pause * 2, 2.0)
