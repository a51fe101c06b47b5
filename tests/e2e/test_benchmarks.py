"""The load generator measures what it says: every operation of it, small, against the gateway."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.load import MIB
from benchmarks.operations import OPERATIONS, Scale, Site
from benchmarks.ours import let_in, signer_of
from benchmarks.report import Cell, chart, table
from benchmarks.signing import Signer
from tests.e2e.harness import Server

SCALE = Scale(seconds=0.1, keys=40, listed=1000, large=2 * MIB, multipart=16 * MIB, repeats=1)


@pytest.fixture(scope="module")
def measured(new_server: Callable[..., Server]) -> tuple[Server, Signer]:
    """A gateway of this module's own, and its caller."""
    server = new_server()
    return server, signer_of(server, let_in(server))


@pytest.fixture
def site(measured: tuple[Server, Signer], tmp_path: Path) -> Site:
    if shutil.which("cc") is None:
        pytest.skip("the load generator is built by cc, which is not installed")
    server, caller = measured
    assert server.process is not None
    site = Site("gateway", caller, server.process.pid, tmp_path, SCALE)
    site.ready()
    return site


def test_every_operation_is_measured_without_a_refusal(site: Site) -> None:
    cells = []
    for name, operation in OPERATIONS.items():
        if name == "put-huge":
            continue
        run = operation.run(site, 2)
        assert run.requests and not run.refused, name
        assert run.cpu_seconds >= 0 and run.seconds > 0 and run.peak_mib > 10
        cells.append(Cell.of(name, 16, "gateway", [run], SCALE))
    assert "GET 4 KiB" in table(cells)
    assert "<svg" in chart(cells, 16)


def test_a_policy_and_a_grant_are_in_force(site: Site) -> None:
    assert site.signer.call("PUT", "/bench/open/key", "", b"x")[0] == 200  # by the grant
    assert site.signer.call("PUT", "/bench/locked/key", "", b"x")[0] == 403  # by the policy
    assert site.signer.call("GET", "/bench", "policy=")[0] == 403  # neither admin nor owner


def test_a_refused_request_is_told(site: Site) -> None:
    wrong = Site("gateway", Signer(site.signer.port, site.signer.access_key, "wrong"), site.pid, site.folder, SCALE)
    run = wrong.play([wrong.put(key, b"x") for key in wrong.fresh(20)], 2, 5)
    assert (run.requests, run.refused, run.done) == (20, 20, [])
