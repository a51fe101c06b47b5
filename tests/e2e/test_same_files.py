"""What each client writes, all others see, byte for byte; the whole of it is ``python -m conformance.same_files``."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.same_files.places import LAYOUTS, places
from conformance.same_files.run import visit
from tests.e2e.harness import Server

MIB = 1024 * 1024


@pytest.mark.parametrize("layout", LAYOUTS)
def test_clients_see_the_same_files(server: Server, tmp_path: Path, layout: str) -> None:
    with places(["local"], tmp_path) as found:
        place = next(each for each in found if each.layout == layout)
        outcomes = visit(server, place, ["boto3", "rclone", "nexus"], tmp_path, 9 * MIB)
    assert len(outcomes) == 3 + (layout == "native")
    assert {outcome.actor: outcome.differences for outcome in outcomes if outcome.differences} == {}
