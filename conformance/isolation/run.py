"""Plays sequences to two worlds and compares what they answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from conformance.isolation.moves import Move, random_move
from conformance.isolation.world import World, running

SHOWN = 1500
_WRAPPED = re.compile(rb'"data": ?"([A-Za-z0-9+/=]+)"')


@dataclass(frozen=True)
class Found:
    """Something that alpha learned or did."""

    what: str
    sequence: int
    move: Move
    answers: tuple[str, ...]

    def __str__(self) -> str:
        request = self.move.request
        shown = f"{request.method} {request.path} {dict(request.query)} {dict(request.headers)} {request.body[:400]!r}"
        lines = [f"sequence {self.sequence}: {self.what}, by {self.move.who}: {shown}"]
        return "\n    ".join([*lines, *(answer[:SHOWN] for answer in self.answers)])


@dataclass
class Report:
    sequences: int = 0
    calls: int = 0
    allowed: int = 0
    kinds: set[str] = field(default_factory=set)
    found: list[Found] = field(default_factory=list)
    drifts: list[str] = field(default_factory=list)
    """Tenants whose usage, after all this, is not what the catalog's rows add up to."""

    @property
    def operations(self) -> int:
        return len(self.kinds)


async def run(
    folder: Path,
    sequences: int,
    seed: int,
    calls: int = 8,
    *,
    most: int = 10,
    progress: Callable[[int, list[Found]], None] = lambda done, found: None,
) -> Report:
    """Play random sequences; each goes on where the one before left alpha's things."""
    report = Report()
    async with running(folder / "full", full=True) as full, running(folder / "bare", full=False) as bare:
        for kind in ("upload", "version"):
            bare.known[kind] = full.known[kind]  # what alpha heard of it tries in both
        secrets = re.compile("|".join(map(re.escape, sorted(full.secrets))))
        before = [world.state_of_other() for world in (full, bare)]
        for number in range(sequences):
            rng = Random(f"{seed}/{number}")
            for _ in range(calls):
                move = random_move(rng)
                await _step(report, number, move, (full, bare), secrets, before)
                if len(report.found) >= most:
                    return report
            report.sequences += 1
            progress(report.sequences, report.found)
        for world in (full, bare):
            report.drifts += map(str, await world.core.tenants.recount(mend=False))
    return report


def _unwrapped(body: bytes) -> str:
    """The bytes that an answer of the Nexus door carries in base64."""
    return " ".join(base64.b64decode(found).decode("latin-1") for found in _WRAPPED.findall(body))


async def _step(
    report: Report, number: int, move: Move, worlds: tuple[World, World], secrets: re.Pattern[str], before: list[str]
) -> None:
    told = []
    for world in worlds:
        if move.form is not None and move.who is not None:
            answer = await world.play(None, move.form(world.keys[move.who]))
        else:
            answer = await world.play(move.who, move.request, in_query=move.in_query)
        told.append(world.comparable(answer))
        if world is worlds[0]:
            report.allowed += answer.status < 300 and b'"error"' not in answer.body[:60]
            raw = f"{answer.headers}{answer.body.decode('latin-1')}{_unwrapped(answer.body)}"
            if secrets.search(raw):
                report.found.append(Found("a secret is told", number, move, (raw,)))
    report.calls += 1
    request = move.request
    report.kinds.add(
        request.path
        if request.path.startswith("/api/") and "stream" not in request.path
        else f"{request.method} {'key' if request.path.count('/') > 1 else 'bucket'} {sorted(request.query)[:1]}"
    )
    if told[0] != told[1]:
        report.found.append(Found("the answers differ", number, move, tuple(told)))
    for index, world in enumerate(worlds):
        if (now := world.state_of_other()) != before[index]:
            report.found.append(Found("what the other tenant has changed", number, move, tuple(told)))
            before[index] = now
