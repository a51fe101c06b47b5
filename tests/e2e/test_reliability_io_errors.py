"""A disk that fails under a gateway, call by call; at random and for long: ``python -m reliability.io_errors``."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reliability import io_errors
from reliability.bodies import body_of
from reliability.faults import Call, Faults
from reliability.s3 import S3
from tests.e2e.harness import Server

SMALL, LARGE = 4096, 300_000
FULL = "507 InsufficientCapacity"
FAILS = "500 InternalError"


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    if shutil.which("cc") is None:
        pytest.skip("what lets file calls fail is built by cc, which is not installed")
    with closing(Faults(tmp_path_factory.mktemp("faults") / "fault")) as made:
        yield made


@pytest.fixture(scope="module")
def running(faults: Faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("gateway"), environment=faults.environment())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(running: Server, faults: Faults) -> Iterator[S3]:
    with closing(S3(running.port, running.admin.access_key, running.admin.secret_key)) as client:
        yield client
    faults.disarm()


@pytest.mark.parametrize(
    ("call", "part", "error", "size", "answer", "most"),
    [
        (Call.SYNC, "/staging/", errno.EIO, LARGE, FAILS, 1),
        (Call.SYNC, "/cas/", errno.EIO, LARGE, FAILS, 1),
        (Call.RENAME, "/staging/", errno.EIO, LARGE, FAILS, 1),
        (Call.WRITE, "/staging/", errno.EIO, LARGE, FAILS, 1),
        (Call.WRITE, "/staging/", errno.ENOSPC, LARGE, FULL, 1),
        (Call.WRITE, "/staging/", 0, LARGE, "200", 1000),
        (Call.SYNC, "packs.db-wal", errno.EIO, SMALL, FAILS, 1),
        (Call.WRITE, "packs.db-wal", errno.ENOSPC, SMALL, FULL, 1000),
        (Call.WRITE, "packs.db-wal", 0, SMALL, "200", 1000),
        # The commit, the note of what it leaves, and what takes the place of each.
        (Call.SYNC, "catalog.db-wal", errno.EIO, SMALL, FAILS, 4),
        (Call.WRITE, "catalog.db-wal", errno.ENOSPC, SMALL, FULL, 1000),
        (Call.WRITE, "catalog.db-wal", 0, SMALL, "200", 1000),
    ],
)
def test_a_fault_is_an_error_and_leaves_the_former_object(
    s3: S3, faults: Faults, call: Call, part: str, error: int, size: int, answer: str, most: int
) -> None:
    where = f"{call.name} {part} {error}"
    path, old, new = f"/workspace/{where}", body_of(f"old {where}", size), body_of(f"new {where}", size)
    assert s3.call("PUT", path, body=old).ok
    faults.arm(call, part, error, times=1000)
    told = s3.call("PUT", path, body=new)
    assert str(told) == answer and 0 < faults.met <= most, (str(told), faults.met)
    assert s3.call("GET", path).body == (new if told.ok else old), "reads go on while writes fail"
    faults.disarm()
    assert s3.call("GET", path).body == (new if told.ok else old)
    assert s3.call("PUT", path, body=new).ok and s3.call("GET", path).body == new, "it goes on without a restart"


def test_what_cannot_be_read_is_an_error_and_no_wrong_byte(s3: S3, faults: Faults) -> None:
    path, body = "/workspace/unreadable", body_of("unreadable", LARGE)
    assert s3.call("PUT", path, body=body).ok
    faults.arm(Call.READ, "/cas/", times=1)
    assert str(s3.call("GET", path)) == FAILS
    assert s3.call("GET", path).body == body


def test_what_a_sync_failed_for_does_not_come_back_with_a_restart(running: Server, s3: S3, faults: Faults) -> None:
    path, old, new = "/workspace/refused", body_of("kept", SMALL), body_of("refused", SMALL)
    assert s3.call("PUT", path, body=old).ok
    faults.arm(Call.SYNC, "catalog.db-wal", times=1000)
    assert str(s3.call("PUT", path, body=new)) == FAILS
    running.kill()
    s3.close()
    faults.disarm()
    running.start()
    assert s3.call("GET", path).body == old


def test_a_failing_disk_under_load(tmp_path: Path, faults: Faults) -> None:
    findings: list[str] = []
    outcome = io_errors.run(2, 3, tmp_path, findings.append)
    assert outcome.good and not findings, (str(outcome), findings)
