"""Several workers on one port: each gets its share of the connections, and nobody else gets the port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.serve import _listen
from tests.e2e.harness import Server
from tests.e2e.signing import Raw, Socket, request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel spreads nothing")

CONNECTIONS = 64
CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child=SIGTERM")
"""Runs a command as process 1, as containers do."""


def test_connections_are_spread_over_workers(new_server: Callable[..., Server]) -> None:
    server = new_server("--workers", "2")
    told: Counter[bytes] = Counter()
    with ExitStack() as stack:
        connections = [stack.enter_context(Socket(server)) for _ in range(CONNECTIONS)]
        for connection in connections:
            connection.send(request("GET", "/", Raw(server).sign("GET", "/").headers))
            lines = connection.head().lower().split(b"\r\n")
            told[next(line for line in lines if line.startswith(b"x-amz-id-2:"))] += 1  # tells the process
    assert len(told) == 2
    assert min(told.values()) >= CONNECTIONS // 8  # by chance once in 10 ** 10 times


def test_a_port_with_several_workers_is_shared_with_no_other_gateway(
    new_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = new_server("--workers", "2")
    other = str(tmp_path_factory.mktemp("other") / "data")
    for workers in ("1", "2"):
        done = server.run("serve", "--init", "--port", str(server.port), "--data-dir", other, "--workers", workers)
        assert done.returncode == 1
        assert f":{server.port} is in use" in done.stderr


def test_who_connects_while_a_worker_is_started_again_is_answered(new_server: Callable[..., Server]) -> None:
    server = new_server("--workers", "2")
    s3 = server.s3()
    s3.put_object(Bucket="workspace", Key="kept", Body=b"acknowledged")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for victim in children.read_text().split():
        os.kill(int(victim), signal.SIGKILL)
    with ExitStack() as stack:
        connections = [stack.enter_context(Socket(server)) for _ in range(CONNECTIONS)]
        for connection in connections:
            connection.send(request("GET", "/", Raw(server).sign("GET", "/").headers))
        for connection in connections:
            connection._socket.settimeout(30)  # a busy machine starts a worker slowly
            assert connection.head().startswith(b"HTTP/1.1 200")
    assert s3.get_object(Bucket="workspace", Key="kept")["Body"].read() == b"acknowledged"


def test_port_0_is_one_port_for_all_workers() -> None:
    with _listen("127.0.0.1", 0, 2) as listeners:
        ports = {listener.getsockname()[1] for listener in listeners}
        assert len(listeners) == 2
        assert len(ports) == 1
        with socket.create_connection(("127.0.0.1", ports.pop())):
            pass


def test_the_first_process_of_a_container_has_workers(tmp_path: Path) -> None:
    """They end when they find themselves orphans, whose parent is process 1 elsewhere."""
    if shutil.which(CONTAINER[0]) is None or subprocess.run([*CONTAINER, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces may be made here")
    server = Server(tmp_path, ("--workers", "2"), prefix=CONTAINER)
    try:
        server.start()
        assert server.s3().list_buckets()["Buckets"]
        assert "started again" not in server.log.read_text()
    finally:
        server.kill()
