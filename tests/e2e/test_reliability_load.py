"""The load test in a short form, and that its judgement would not let pass what it is there to find."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from reliability.bodies import body_of
from reliability.load.run import Plan, run
from reliability.load.site import Caller, Site
from reliability.load.verdict import LOOSE, Bounds, Facts, lines
from reliability.processes import Sample
from reliability.wire import Answer, Connection
from tests.e2e.harness import Key, Server

REST = Sample(0, 1, 100.0, 50, 10, 0, 0)


def calm() -> Facts:
    return Facts(
        before=REST,
        after=[REST, replace(REST, memory_mib=120.0)],
        peak_descriptors=1000,
        connections=1000,
        health=[(0.01, 200)] * 50,
        steady=[(0.05, 200)] * 50,
        must_cut=True,
        cut=3,
        alone=[(0.01, 200)] * 50,
        beside=[(0.2, 200)] * 50,
        noise=1000,
        refused=3,
        got_through=20,
        of=20,
        up=5,
        down=5,
        finished=10,
        exit_status=0,
        checked=100,
    )


SPOILERS: dict[str, Callable[[Facts], object]] = {
    "no crowd": lambda facts: setattr(facts, "peak_descriptors", 60),
    "a slow health check": lambda facts: facts.health.append((2.5, 200)),
    "a failing health check": lambda facts: facts.health.append((0.1, 503)),
    "no health check": lambda facts: facts.health.clear(),
    "a slow answer to who behaves": lambda facts: facts.steady.append((2.5, 200)),
    "a refusal of who behaves": lambda facts: facts.steady.append((0.1, 503)),
    "a broken connection of who behaves": lambda facts: facts.steady.append((0.1, 0)),
    "nobody who behaves": lambda facts: facts.steady.clear(),
    "stalls that last": lambda facts: setattr(facts, "cut", 0),
    "memory": lambda facts: facts.after.append(replace(REST, memory_mib=131.0)),
    "descriptors": lambda facts: facts.after.append(replace(REST, descriptors=80)),
    "an unfair wait": lambda facts: facts.beside.append((1.5, 200)),
    "a small tenant that is refused": lambda facts: facts.beside.append((0.1, 503)),
    "no small tenant": lambda facts: facts.beside.clear(),
    "no noise": lambda facts: setattr(facts, "noise", 0),
    "no refusal": lambda facts: setattr(facts, "refused", 0),
    "somebody who never gets through": lambda facts: setattr(facts, "got_through", 19),
    "what is cut at the end": lambda facts: setattr(facts, "finished", 9),
    "no upload at the end": lambda facts: (setattr(facts, "up", 0), setattr(facts, "finished", 5)),
    "a bad end": lambda facts: setattr(facts, "exit_status", 1),
    "nothing to read back": lambda facts: setattr(facts, "checked", 0),
}


def test_calm_facts_pass() -> None:
    assert all(line.good for line in lines(calm(), Bounds()))


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_each_fault_is_one_bad_line(spoiler: str) -> None:
    facts = calm()
    SPOILERS[spoiler](facts)
    assert sum(not line.good for line in lines(facts, Bounds())) == 1


SLOW_DOWN = b"<Error><Code>SlowDown</Code></Error>"


@pytest.mark.parametrize(
    ("answer", "bad"),
    [
        (Answer(200, {}, b""), False),
        (Answer(503, {"retry-after": "1"}, SLOW_DOWN), False),
        (Answer(503, {"retry-after": "1"}, b""), False),
        (Answer(503, {}, SLOW_DOWN), True),
        (Answer(503, {"retry-after": "1"}, SLOW_DOWN.replace(b"SlowDown", b"InternalError")), True),
        (Answer(500, {}, b""), True),
        (Answer(404, {}, b""), True),
    ],
)
def test_any_answer_but_success_and_slow_down_is_a_problem(tmp_path: Path, answer: Answer, bad: bool) -> None:
    site = Site(Server(tmp_path))
    site.judge("put", answer)
    assert bool(site.problems) is bad


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body[:-1] + b"?", lambda body: body + b"?"])
def test_a_changed_body_is_a_problem(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    class Store:
        async def s3(self, method: str, path: str) -> Answer:
            return Answer(200, {}, change(body_of("one", 5000)))

    site = Site(Server(tmp_path))
    site.acknowledged(Caller(0, Key("", "", ""), "bucket"), "one", 5000)
    asyncio.run(site.check(cast(Connection, Store()), "/bucket/one"))
    assert len(site.problems) == 1


def test_a_small_crowd_is_calm(tmp_path: Path) -> None:
    plan = Plan(connections=60, seconds=1.5, cycles=2, noisy=40, crowded=90, under_way=6, rest=0, bounds=LOOSE)
    verdict = run(plan, tmp_path, print)
    assert verdict.good, [*map(str, verdict.lines), *verdict.problems, verdict.seen]
