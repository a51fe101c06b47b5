"""Clients that are slow, stand still, or send what is no request: each costs a connection for a while, and no more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.harness import Server, keys_of
from tests.e2e.signing import Raw, Socket, request

GET = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def hasty(new_server: Callable[..., Server]) -> Iterator[Server]:
    """A gateway with little patience."""
    patience = {"HEAD": "1", "IDLE": "1.5", "BODY": "1", "ANSWER": "2"}
    yield new_server(**{f"NEXUS_{name}_TIMEOUT": seconds for name, seconds in patience.items()})


def ended(socket: Socket, seconds: float = 12) -> tuple[bytes, float]:
    """What comes until the server ends the connection, and after how long."""
    start, received = time.monotonic(), b""
    socket._socket.settimeout(seconds)
    while chunk := socket._socket.recv(65536):
        received += chunk
    return received, time.monotonic() - start


def put(server: Server, key: str, size: int) -> bytes:
    signed = Raw(server).sign("PUT", f"/slow/{key}", payload="UNSIGNED-PAYLOAD")
    return request("PUT", f"/slow/{key}", {**signed.headers, "content-length": str(size)})


def never_a_byte(server: Server) -> None:
    with Socket(server) as socket:
        received, seconds = ended(socket)
    assert received == b"" and 1 <= seconds < 6


def half_a_head(server: Server) -> None:
    with Socket(server) as socket:
        socket.send(GET[:-9])
        received, seconds = ended(socket)
    assert received.startswith(b"HTTP/1.1 408 ") and 1 <= seconds < 6


def idle(server: Server) -> None:
    with Socket(server) as socket:
        socket.send(GET)
        received, seconds = ended(socket)
    assert received.startswith(b"HTTP/1.1 404 ") and 1.5 <= seconds < 7


def no_body(server: Server) -> None:
    with Socket(server) as socket:
        socket.send(put(server, "stalled", 1000) + b"some")
        received, seconds = ended(socket)
    assert received.startswith(b"HTTP/1.1 400 ") and b"<Code>RequestTimeout</Code>" in received
    assert b"connection: close" in received and 1 <= seconds < 6


def a_byte_now_and_then(server: Server) -> None:
    """Each of them in time, but the whole would take for ever."""
    with Socket(server) as socket:
        socket.send(put(server, "trickled", 1000))
        start = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < start + 12:
                socket.send(b"x")
                time.sleep(0.2)
        assert time.monotonic() < start + 8


def does_not_read(server: Server) -> None:
    with Socket(server) as socket:
        signed = Raw(server).sign("GET", "/slow/large")
        socket.send(request("GET", "/slow/large", signed.headers))
        time.sleep(5)
        received, _ = ended(socket)
    assert received.startswith(b"HTTP/1.1 200 ") and len(received) < 20_000_000  # and not taken for the whole


def test_who_takes_too_long_is_given_up(hasty: Server) -> None:
    s3 = hasty.s3()
    s3.create_bucket(Bucket="slow")
    s3.put_object(Bucket="slow", Key="large", Body=os.urandom(20_000_000))
    waits = [never_a_byte, half_a_head, idle, no_body, a_byte_now_and_then, does_not_read]
    with ThreadPoolExecutor(len(waits)) as pool:
        for outcome in [pool.submit(wait, hasty) for wait in waits]:
            outcome.result()
    assert keys_of(s3, "slow") == ["large"]
    assert len(s3.get_object(Bucket="slow", Key="large")["Body"].read()) == 20_000_000


def test_a_head_without_end_is_refused(server: Server) -> None:
    with Socket(server) as socket:
        socket.send(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
        with pytest.raises(OSError):
            for _ in range(100):
                socket.send(b"y" * 16_384)
                time.sleep(0.005)
    with Socket(server) as socket:
        socket.send(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1000 + b"\r\n")
        assert socket.head().startswith(b"HTTP/1.1 431 ")


def test_what_is_no_http_is_refused_and_the_connection_ends(server: Server) -> None:
    spoiled = [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nhost x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ]
    spoiled.append(b"PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
    for data in spoiled:
        with Socket(server) as socket:
            socket.send(data + b"\r\n\r\n")
            received, _ = ended(socket)
            assert received.startswith(b"HTTP/1.1 400 "), data
            assert b"connection: close" in received


def test_a_broken_frame_ends_the_request_with_an_answer(server: Server, bucket: str) -> None:
    signed = Raw(server).sign("PUT", f"/{bucket}/key", payload="UNSIGNED-PAYLOAD")
    with Socket(server) as socket:
        socket.send(request("PUT", f"/{bucket}/key", {**signed.headers, "transfer-encoding": "chunked"}))
        socket.send(b"4\r\nbody\r\nnot a size\r\n")
        received, _ = ended(socket)
    assert received.startswith(b"HTTP/1.1 4") and b"connection: close" in received
    assert keys_of(server.s3(), bucket) == []


def test_requests_sent_at_once_are_answered_in_order(server: Server, bucket: str) -> None:
    s3 = server.s3()
    bodies = [os.urandom(size) for size in (10, 200_000, 0, 5000)]
    for number, body in enumerate(bodies):
        s3.put_object(Bucket=bucket, Key=str(number), Body=body)
    raw = Raw(server)
    sent = [request("GET", f"/{bucket}/{n}", raw.sign("GET", f"/{bucket}/{n}").headers) for n in range(len(bodies))]
    with Socket(server) as socket:
        last = request("HEAD", f"/{bucket}/0", {**raw.sign("HEAD", f"/{bucket}/0").headers, "connection": "close"})
        socket.send(b"".join([*sent, last]))
        received, _ = ended(socket)
    for body in bodies:
        head, _, received = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and f"content-length: {len(body)}\r\n".encode() in head + b"\r\n"
        assert received.startswith(body)
        received = received[len(body) :]
    assert received.startswith(b"HTTP/1.1 200 ") and received.endswith(b"\r\n\r\n")


def test_an_offer_of_another_protocol_is_ignored(server: Server, bucket: str) -> None:
    """Java's client offers HTTP/2 with its first request."""
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABkAAQCAAAAAAIAAAAA"}
    raw = Raw(server)
    with Socket(server) as socket:
        for key in ("one", "two"):
            signed = raw.sign("PUT", f"/{bucket}/{key}", payload="UNSIGNED-PAYLOAD").headers
            socket.send(request("PUT", f"/{bucket}/{key}", {**signed, **offer, "content-length": "4"}) + b"body")
            assert socket.head().startswith(b"HTTP/1.1 200 ")
    assert keys_of(server.s3(), bucket) == ["one", "two"]


def test_an_old_client_gets_an_answer_that_ends_with_the_connection(server: Server) -> None:
    with Socket(server) as socket:
        socket.send(b"GET /health HTTP/1.0\r\n\r\n")
        received, _ = ended(socket)
    assert received.startswith(b"HTTP/1.1 200 ") and b"connection: close" in received and b"chunked" not in received
