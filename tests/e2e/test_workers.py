"""Several workers on one port: each gets its share of the connections, and nobody else gets the port."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.e2e.harness import Server
from tests.e2e.signing import Raw, Socket, request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel spreads nothing")

CONNECTIONS = 64


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
