"""A short run of ``python -m conformance.isolation``; and it would find a hole if there were one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.isolation.run import run
from gateway.rpc import tree


async def test_a_tenant_learns_and_changes_nothing_of_anothers(tmp_path: Path) -> None:
    report = await run(tmp_path, sequences=150, seed=7)
    assert [str(found) for found in report.found] == []
    assert report.drifts == []  # what tenants use was counted along
    assert report.sequences == 150 and report.allowed > 100 and report.operations > 100


async def test_a_door_left_open_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def let_everybody(*_: Any) -> bool:
        return False

    monkeypatch.setattr(tree, "authorize", let_everybody)
    report = await run(tmp_path, sequences=60, seed=7, most=500)
    assert {found.what for found in report.found} == {
        "the answers differ",
        "a secret is told",
        "what the other tenant has changed",
    }
