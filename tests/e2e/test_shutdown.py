"""A server that is told to stop: what is under way is finished, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import HTTPClientError

from tests.e2e.harness import Server, keys_of
from tests.e2e.signing import Raw, Socket, request

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def begin_put(server: Server, key: str, size: int) -> Socket:
    """A PUT whose head was answered: it is under way."""
    signed = Raw(server).sign("PUT", f"/workspace/{key}", payload="UNSIGNED-PAYLOAD").headers
    connection = Socket(server)
    connection.send(
        request("PUT", f"/workspace/{key}", {**signed, "content-length": str(size), "expect": "100-continue"})
    )
    assert connection.head().startswith(b"HTTP/1.1 100 ")
    return connection


def received(connection: Socket, seconds: float = 10) -> bytes:
    """What comes until the connection ends."""
    connection._socket.settimeout(seconds)
    taken = b""
    while chunk := connection._socket.recv(65536):
        taken += chunk
    return taken


def refuses(server: Server) -> bool:
    """Whether nobody accepts any more, soon."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=2).close()
        except OSError:
            return True
        time.sleep(0.05)
    return False


def again(call: Callable[[], Any]) -> Any:
    """Call, and do so again as long as there is no connection."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except (HTTPClientError, BotoConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def ends_with(server: Server, seconds: float) -> int:
    assert server.process is not None
    return server.process.wait(seconds)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_under_way_is_finished(new_server: Callable[..., Server], workers: int) -> None:
    server = new_server("--workers", str(workers))
    server.s3().put_object(Bucket="workspace", Key="large", Body=bytes(20_000_000))
    process = server.process
    assert process is not None
    with Socket(server) as idle, begin_put(server, "under-way", 1_000_000) as put, Socket(server) as get:
        idle.send(GET)
        assert idle.head().startswith(b"HTTP/1.1 200 ")
        get.send(request("GET", "/workspace/large", Raw(server).sign("GET", "/workspace/large").headers))
        assert get.head().startswith(b"HTTP/1.1 200 ")
        put.send(bytes(500_000))
        # All processes of the group get it, as those of a terminal do by Ctrl-C.
        os.killpg(process.pid, signal.SIGINT)
        received(idle, 3)
        assert refuses(server)
        time.sleep(1)
        put.send(bytes(500_000))
        answer = received(put)
        assert answer.startswith(b"HTTP/1.1 200 ") and b"connection: close" in answer
        assert len(received(get)) >= 19_000_000
    assert ends_with(server, 5) == 0
    server.start()
    assert server.s3().head_object(Bucket="workspace", Key="under-way")["ContentLength"] == 1_000_000


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_ends_it_at_once(new_server: Callable[..., Server], workers: int) -> None:
    server = new_server("--workers", str(workers))
    process = server.process
    assert process is not None
    with begin_put(server, "cut", 1_000_000) as put:
        put.send(bytes(500_000))
        process.terminate()
        time.sleep(0.5)
        start = time.monotonic()
        process.terminate()
        assert ends_with(server, 10) == 1
        assert time.monotonic() - start < 5
        assert "Traceback" not in server.log.read_text()
        with suppress(ConnectionError):
            assert b" 200 " not in received(put)
    server.start()
    assert keys_of(server.s3(), "workspace", "cut") == []


def test_what_takes_too_long_is_cut(new_server: Callable[..., Server]) -> None:
    server = new_server(NEXUS_SHUTDOWN_TIMEOUT="1")
    process = server.process
    assert process is not None
    with begin_put(server, "late", 1_000_000) as put:
        start = time.monotonic()
        process.terminate()
        with suppress(ConnectionError):
            assert b" 200 " not in received(put)
        assert ends_with(server, 5) == 0
        assert 1 <= time.monotonic() - start < 5
    server.start()
    assert keys_of(server.s3(), "workspace", "late") == []


def test_restarts_lose_no_request_of_a_client_that_tries_again(new_server: Callable[..., Server]) -> None:
    server = new_server()
    acknowledged: list[str] = []
    failures: list[str] = []
    done = threading.Event()

    def write(name: str) -> None:
        s3 = server.s3(connect_timeout=2)
        number = 0
        while not done.is_set():
            key = f"{name}/{number}"
            try:
                again(lambda: s3.put_object(Bucket="workspace", Key=key, Body=key.encode()))  # noqa: B023
                acknowledged.append(key)
                assert again(lambda: s3.get_object(Bucket="workspace", Key=key)["Body"].read()) == key.encode()  # noqa: B023
            except Exception as error:  # whatever it is, the client was failed
                failures.append(f"{key}: {error!r}")
            number += 1

    threads = [threading.Thread(target=write, args=(str(each),)) for each in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(0.5)
        server.process.terminate()  # type: ignore[union-attr]
        assert ends_with(server, 10) == 0
        server.start()
    time.sleep(0.5)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(keys_of(server.s3(), "workspace")) >= set(acknowledged) and len(acknowledged) > 20
