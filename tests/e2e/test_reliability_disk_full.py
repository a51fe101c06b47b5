"""A disk is filled and given room again, on the best small disk that can be had here and on a pretended one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reliability import disk_full


@pytest.mark.parametrize("pretended", [False, True])
def test_a_full_disk_is_an_error_and_no_disaster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pretended: bool
) -> None:
    if shutil.which("cc") is None:
        pytest.skip("what pretends that a disk is full is built by cc, which is not installed")
    if pretended:
        monkeypatch.setattr("reliability.small_disks.Tmpfs", _refuse)
    findings: list[str] = []
    outcome = disk_full.run(tmp_path, 6 if pretended else 32, 4, findings.append)
    assert outcome.good and not findings, (str(outcome), outcome.answers, findings)
    assert ("pretends" in outcome.disk) or not pretended
    assert outcome.answers["freed PUT"].keys() == {"200"}


def _refuse(folder: Path, mib: int) -> None:
    raise OSError("not here")
