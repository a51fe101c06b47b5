"""Kill rounds, a few; many: ``python -m reliability.crash``."""

from __future__ import annotations

from pathlib import Path

from reliability import crash


def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    findings: list[str] = []
    outcome = crash.run(2, 7, tmp_path, findings.append)
    assert outcome.good and not findings, (str(outcome), findings)
    assert outcome.rounds == 2 and outcome.acknowledged > 20
