"""What all clients of a run share: the keys, the values, and the history of each key."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reliability.linear.checker import ABSENT, Operation
from reliability.linear.values import Torn, Values
from reliability.wire import Answer, Connection, Hung, Lost
from tests.e2e.harness import Server
from tests.e2e.signing import Raw

PLAIN, VERSIONED = "linear-plain", "linear-versioned"
KEYS = {PLAIN: 3, VERSIONED: 2}
"""Few, so that clients meet."""


class Unknown(Exception):
    """No answer that tells whether it was done."""


class Refused(Exception):
    """Told to come again later, and so not done."""


@dataclass
class World:
    server: Server
    seed: int
    connect: Callable[[Raw], Connection]
    values: Values = field(init=False)
    histories: dict[str, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    """Of the keys of this generation, by path."""
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The ETag, and the value, that some client saw last at a path."""
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    """What each version is that somebody was told of."""
    done: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)
    generation: int = 0

    def __post_init__(self) -> None:
        self.values = Values(self.seed)
        self.signer = Raw(self.server)
        self._clock = itertools.count(1)
        self.first_value = 1

    def tick(self) -> int:
        """The next event, a call or an end. All clients are of one thread, so the order is the true one."""
        return next(self._clock)

    def prefix(self) -> str:
        return f"{self.generation}/"

    def paths(self, bucket: str) -> list[str]:
        return [f"/{bucket}/{self.prefix()}{number}" for number in range(KEYS[bucket])]

    def next_generation(self) -> None:
        self.generation += 1
        self.histories.clear()
        self.seen.clear()
        self.versions.clear()
        self.first_value = self.values.count + 1

    def written(self) -> tuple[int, ...]:
        """Every value of this generation."""
        return tuple(range(self.first_value, self.values.count + 1))


class Actor:
    """One client: a connection, and dice. For one operation at a time."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.dice = random.Random(f"actor {world.seed} {number}")
        self.connection = world.connect(world.signer)

    def path(self, bucket: str = "") -> str:
        """The first key of each bucket is the one that most want."""
        bucket = bucket or self.dice.choice((PLAIN, PLAIN, VERSIONED))
        return self.dice.choice([f"/{bucket}/{self.world.prefix()}0", *self.world.paths(bucket)])

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        try:
            return self._judged(await self.connection.s3(method, path, query, headers, body))
        except (Lost, Hung) as error:
            raise self._lost(error) from error

    async def rpc(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """A stream of the Nexus door."""
        bearer = {"host": self.world.signer.host, "authorization": f"Bearer {self.world.server.admin.api_key}"}
        try:
            return self._judged(
                await self.connection.send(method, f"/api/nfs/stream{path}", {**bearer, **headers}, body)
            )
        except (Lost, Hung) as error:
            raise self._lost(error) from error

    def _judged(self, answer: Answer) -> Answer:
        if answer.status == 503 and b"SlowDown" in answer.body:
            self.world.refused += 1
            raise Refused
        if answer.status >= 500:
            self.world.problems.append(f"an answer {answer} {answer.body[:200]!r}")
            raise Unknown
        return answer

    def _lost(self, error: Lost | Hung) -> Unknown:
        self.world.unknown += 1
        if isinstance(error, Hung):
            self.world.problems.append(str(error))
        return Unknown()

    def note(
        self,
        path: str,
        call: int,
        told: str,
        *,
        equal: int | None = None,
        unlike: tuple[int, ...] = (),
        sets: tuple[int, ...] = (),
        known: bool = True,
    ) -> None:
        """Write down what an operation showed of a key. It ends now, if its outcome is known."""
        end = self.world.tick() if known else None
        self.world.histories[path].append(Operation(call, end, equal, frozenset(unlike), sets, told))

    def saw(self, path: str, etag: str, value: int) -> None:
        if value != ABSENT:
            self.world.seen[path] = (etag, value)

    def learned(self, path: str, answer: Answer, value: int) -> None:
        """A version never becomes another."""
        version = answer.headers.get("x-amz-version-id", "null")
        if version != "null":
            former = self.world.versions.setdefault((path, version), value)
            if former != value:
                raise Torn(f"version {version} of {path} was value {former} and is {value}")

    def unexpected(self, told: str, answer: Answer) -> None:
        self.world.problems.append(f"{told}: {answer} {answer.body[:200]!r}")
