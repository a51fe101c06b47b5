"""The harness measures what it says: every operation, small, against the gateway; and what it makes of figures."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import chart, profile, report
from benchmarks.findings import Findings
from benchmarks.load import MIB
from benchmarks.operations import OPERATIONS, Scale, Site
from benchmarks.ours import CATALOG, let_in, signer_of
from benchmarks.processes import cpu_seconds, resident
from benchmarks.results import Cell
from benchmarks.signing import Signer
from benchmarks.targets import TARGETS, Cells
from tests.e2e.harness import Server

SCALE = Scale(
    seconds=0.1,
    keys=40,
    listed=1000,
    huge_listed=3000,
    folders=20,
    large=2 * MIB,
    huge=32 * MIB,
    multipart=16 * MIB,
    parts=30,
    repeats=1,
)


@pytest.fixture(scope="module")
def measured(new_server: Callable[..., Server]) -> tuple[Server, Signer]:
    """A gateway of this module's own, and its caller."""
    if shutil.which("cc") is None:
        pytest.skip("the load generator is built by cc, which is not installed")
    server = new_server()
    return server, signer_of(server, let_in(server))


@pytest.fixture
def site(measured: tuple[Server, Signer], tmp_path: Path) -> Site:
    server, caller = measured
    assert server.process is not None
    site = Site("gateway", caller, server.process.pid, tmp_path, SCALE, catalog=server.data_dir / CATALOG)
    site.ready()
    return site


def test_every_operation_is_measured_without_a_refusal(site: Site, tmp_path: Path) -> None:
    found = Findings({"date": "today"}, {"gateway": "1"}, {"gateway": 60.0})
    for name, operation in OPERATIONS.items():
        run = operation.run(site, 2)
        assert run.requests and not run.refused, name
        assert run.cpu_seconds >= 0 and run.seconds > 0 and run.peak_mib > 10
        found.cells.append(Cell.of(name, operation.connections[0], "gateway", [run], SCALE, 60.0))
    found.save(tmp_path / "found.json")
    assert Findings.load(tmp_path / "found.json") == found
    page = Path("docs/benchmarks.md").read_text()
    (tmp_path / "page.md").write_text(page)
    for _ in range(2):  # written twice, the page is as written once
        report.write(tmp_path / "page.md", found)
        chart.write(tmp_path / "page.md", found.cells)
        text = (tmp_path / "page.md").read_text()
        assert len(text.split("<!-- targets -->")) == 2 and text.count("| GET 4 KiB | 1 |") == 2
    assert "<svg" in (tmp_path / "page.svg").read_text() and "<svg" in (tmp_path / "page-rates.svg").read_text()


def test_a_policy_and_a_grant_are_in_force(site: Site) -> None:
    assert site.signer.call("PUT", "/bench/open/key", "", b"x")[0] == 200  # by the grant
    assert site.signer.call("PUT", "/bench/locked/key", "", b"x")[0] == 403  # by the policy
    assert site.signer.call("GET", "/bench", "policy=")[0] == 403  # neither admin nor owner


def test_a_refused_request_is_told(site: Site) -> None:
    wrong = Site("gateway", Signer(site.signer.port, site.signer.access_key, "wrong"), site.pid, site.folder, SCALE)
    run = wrong.play([wrong.put(key, b"x") for key in wrong.fresh(20)], 2, 5)
    assert (run.requests, run.refused, run.done) == (20, 20, [])


def test_a_targets_verdict_is_the_median_of_the_rounds() -> None:
    cells = [_cell("gateway", [0.10, 0.05, 0.06]), _cell("rclone", [0.10, 0.10, 0.10])]
    seen = {target.claim: (target, target.measure(Cells(cells))) for target in TARGETS if target.operation == "get"}
    for claim, middle, met in (("CPU at most 0.085 ms", 0.06, True), ("CPU below rclone's", 0.6, True)):
        target, figure = seen[claim]
        assert figure is not None
        assert (figure[0].middle, figure[0].high, target.is_met(figure[0])) == (
            pytest.approx(middle),
            figure[0].high,
            met,
        )
    assert seen["CPU at most 0.4 × seaweedfs's"][1] is None  # it was not there
    slower = [_cell("gateway", [0.09]), _cell("rclone", [0.08])]
    assert "**missed by 6%**" in report.targets(Findings(cells=slower))
    assert "**missed by 12%**" in report.targets(Findings(cells=slower))


def test_a_profile_is_told_by_module_and_by_function() -> None:
    waiting = "_bootstrap (threading.py);_worker (concurrent/futures/thread.py) 9\n"
    text = profile.tell("main (gateway/app.py);read (gateway/content.py) 3\nmain (gateway/app.py) 1\n" + waiting)
    assert "| `gateway/content.py` | 75.0% | 75.0% |" in text
    assert "| `main (gateway/app.py)` | 25.0% | 100.0% |" in text


def _cell(server: str, cpus: Sequence[float]) -> Cell:
    return Cell("get", 16, server, tuple(1 / cpu for cpu in cpus), tuple(cpus), 1.0, 2.0, 60.0, 70.0, 0.0, 0)


def test_processor_time_is_that_of_all_processes_also_of_those_that_ended(tmp_path: Path) -> None:
    burn = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"
    (tmp_path / "child.py").write_text(burn.format(0.2))
    (tmp_path / "parent.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, {str(tmp_path / 'child.py')!r}])\n"
        f"subprocess.Popen([sys.executable, {str(tmp_path / 'child.py')!r}])\n" + burn.format(0.2) + "input()\n"
    )
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as parent:
        deadline = time.monotonic() + 20
        while cpu_seconds(parent.pid) < 0.6 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.1)
        # Three times .2 s, and three starts of Python
        assert 0.6 <= cpu_seconds(parent.pid) < 1.2
        assert resident([parent.pid]) > 4
        parent.communicate(b"\n")
