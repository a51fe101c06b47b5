"""A short run of the linearizability test, and that it finds a server that lies."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reliability.linear.run import Linear, Plan
from reliability.wire import Answer, Connection

SHORT = {"increments": 24, "rounds": 4}


@pytest.mark.parametrize(("workers", "kill_seconds"), [(1, 0), (2, 1.0)])
def test_a_short_run_has_no_violation(tmp_path: Path, workers: int, kill_seconds: float) -> None:
    told: list[str] = []
    linear = Linear(Plan(500, 3, workers, kill_seconds, **SHORT), tmp_path, told.append)
    verdict = linear.run()
    assert verdict.good, (verdict, verdict.problems, told)
    assert verdict.operations == 500 and verdict.checked > 400
    assert "24 of 24" in told[0] and "4 of 4" in told[1]


class Forgetful(Connection):
    """Answers some reads as it answered them before."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._dice = random.Random(1)
        self._former: dict[str, Answer] = {}

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        answer = await super().send(method, target, headers, body)
        if method == "GET" and "range" not in headers and "if-none-match" not in headers:
            former = self._former.setdefault(target, answer)
            return former if self._dice.random() < 0.1 and "counter" not in target else answer
        return answer


class Careless(Connection):
    """Says of some writes that they are done, and does not do them."""

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        if method == "DELETE" and "versionId" not in target:
            return Answer(204, {}, b"")
        return await super().send(method, target, headers, body)


@pytest.mark.parametrize("lying", [Forgetful, Careless])
def test_a_server_that_lies_is_found(tmp_path: Path, lying: type[Connection]) -> None:
    told: list[str] = []
    verdict = Linear(Plan(250, 4, **SHORT), tmp_path, told.append, lambda signer: lying(signer, 30)).run()
    assert verdict.violations and not verdict.good
    assert any("no order explains" in line for line in told)
