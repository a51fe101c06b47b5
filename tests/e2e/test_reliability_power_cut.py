"""Power cuts, a few; many: ``python -m reliability.power_cut``."""

from __future__ import annotations

import shutil

import pytest

from reliability.power_cut import Recorded, record, replay


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    if shutil.which("cc") is None:
        pytest.skip("what records file operations is built by cc, which is not installed")
    return record(tmp_path_factory.mktemp("power-cut"), 5, 1.0, 2, "fsync")


def test_what_was_acknowledged_survives_power_cuts(made: Recorded) -> None:
    findings: list[str] = []
    outcome = replay(made, seed=5, states=5, tell=findings.append)
    assert outcome.good and not findings, (str(outcome), findings)
    assert outcome.states == 5 and outcome.acknowledged > 20 and outcome.syncs > 20


@pytest.mark.parametrize("defect", ["catalog", "packs", "blobs", "folders"])
def test_a_forgotten_sync_is_found(made: Recorded, defect: str) -> None:
    assert not replay(made, seed=5, states=1, plant=defect, tell=lambda line: None).good
