"""More clients than the server has room for: told to slow down, while what tells how it is goes on being answered."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness import Key, Server, refused
from tests.e2e.signing import Raw, Socket, request

CONNECTIONS = 8
ONCE = {"total_max_attempts": 1}


@pytest.fixture(scope="module")
def small(new_server: Callable[..., Server]) -> Iterator[Server]:
    yield new_server(NEXUS_MAX_CONNECTIONS=str(CONNECTIONS), NEXUS_METRICS="open")


@pytest.fixture
def full(small: Server) -> Iterator[list[Socket]]:
    """Every connection is busy with the body of a PUT."""
    busy = []
    for number in range(CONNECTIONS):
        signed = Raw(small).sign("PUT", f"/workspace/{number}", payload="UNSIGNED-PAYLOAD").headers
        connection = Socket(small)
        connection.send(request("PUT", f"/workspace/{number}", {**signed, "content-length": "9"}))
        busy.append(connection)
    time.sleep(0.3)
    yield busy
    for connection in busy:
        connection.__exit__()


def test_beyond_its_connections_clients_are_told_to_slow_down(small: Server, full: list[Socket]) -> None:
    with refused("SlowDown", 503) as seen:
        small.s3(retries=ONCE).list_buckets()
    assert seen[0].response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    with refused("SlowDown", 503):
        small.s3(retries=ONCE).put_object(Bucket="workspace", Key="refused", Body=bytes(200_000))
    _go_on(full)
    for path in ("/health", "/metrics"):
        with Socket(small) as connection:
            start = time.monotonic()
            connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert connection.head().startswith(b"HTTP/1.1 200 ") and time.monotonic() - start < 2
    _go_on(full)
    assert small.nexus("mounts", "list")  # an admin's call
    _go_on(full)
    stranger = Key.of(f"nxk_{'A' * 20}_{'x' * 40}")
    assert small.run("mounts", "list", key=stranger).returncode != 0
    for connection in full:
        connection.send(b" body.")
        assert connection.head().startswith(b"HTTP/1.1 200 ")


def _go_on(uploads: list[Socket]) -> None:
    """Send a byte more: who stalls for seconds may have to make room."""
    for connection in uploads:
        connection.send(b".")


def test_a_client_that_backs_off_gets_through(small: Server, full: list[Socket]) -> None:
    patient = small.s3(retries={"total_max_attempts": 10, "mode": "standard"})
    for connection in full:
        connection.send(b"some body")
    patient.put_object(Bucket="workspace", Key="later", Body=b"came through")
    assert patient.get_object(Bucket="workspace", Key="later")["Body"].read() == b"came through"


def test_idle_connections_make_room(small: Server) -> None:
    idle = [Socket(small) for _ in range(3 * CONNECTIONS)]
    time.sleep(1.2)
    small.s3().list_buckets()
    for connection in idle:
        connection.__exit__()


@pytest.fixture(scope="module")
def strict(new_server: Callable[..., Server]) -> Iterator[Server]:
    yield new_server(NEXUS_MAX_REQUESTS="10", NEXUS_WRITE_PATIENCE="0.5", NEXUS_BODY_PATIENCE="0.5")


def begin(server: Server, key: str, size: int) -> Socket:
    """A PUT whose body is yet to come."""
    signed = Raw(server).sign("PUT", f"/workspace/{key}", payload="UNSIGNED-PAYLOAD").headers
    connection = Socket(server)
    connection.send(request("PUT", f"/workspace/{key}", {**signed, "content-length": str(size)}))
    return connection


def test_a_tenant_may_have_much_under_way_but_not_all(strict: Server) -> None:
    other = strict.user("quiet", tenant="quiet")
    busy = [begin(strict, str(number), 9) for number in range(8)]
    time.sleep(0.3)
    with refused("SlowDown", 503):
        strict.s3().list_buckets()
    assert strict.s3(other).list_buckets()["Buckets"] == []
    assert strict.nexus("mounts", "list")
    for connection in busy:
        with connection:
            connection.send(b"some body")
            assert connection.head().startswith(b"HTTP/1.1 200 ")
    strict.s3().list_buckets()


def test_writes_are_refused_while_none_gets_done(strict: Server) -> None:
    s3 = strict.s3(read_timeout=20)
    s3.put_object(Bucket="workspace", Key="before", Body=b"x")
    with begin(strict, "stuck", 9) as stuck:
        lock = os.open(strict.data_dir / "catalog.db.lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a process does that hangs within its turn
        stuck.send(b"some body")
        time.sleep(1)
        with refused("SlowDown", 503):
            s3.put_object(Bucket="workspace", Key="refused", Body=b"x")
        assert s3.get_object(Bucket="workspace", Key="before")["Body"].read() == b"x"
        os.close(lock)
        assert stuck.head().startswith(b"HTTP/1.1 200 ")
    s3.put_object(Bucket="workspace", Key="after", Body=b"x")
