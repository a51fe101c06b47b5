"""What a connection makes of requests that are framed oddly; none is believed to be another than it is."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from tests.e2e.harness import Server

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer(server: Server, *sent: bytes) -> bytes:
    """All that the server says until it ends the connection."""
    received = b""
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        try:
            for piece in sent:
                client.sendall(piece)
            while piece := client.recv(65536):
                received += piece
        except ConnectionError:
            pass
    return received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", b"400 "),
        (b"GET /health HTTP/1.1\r\n\r\n", b"400 "),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400 "),
        (b"GET /health HTTP/1.0\r\n\r\n", b"200 "),
        (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", b"501 "),
        (b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n", b"400 "),
        (b"GET /health\r\n\r\n", b"400 "),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431 "),
    ],
)
def test_what_is_no_request_for_a_server(server: Server, sent: bytes, status: bytes) -> None:
    logged = server.log.stat().st_size
    received = answer(server, sent)
    assert received.startswith(b"HTTP/1.1 " + status)
    assert received.count(b"HTTP/1.1") == 1
    assert b"Traceback" not in server.log.read_bytes()[logged:]


def test_trailers_are_no_headers(server: Server) -> None:
    """Where the whole request comes at once, they are there before it is answered."""
    trailer = b"0\r\nAuthorization: Bearer nobody\r\n\r\n"
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    received = answer(server, CHUNKED.replace(b"/health", b"/metrics") + trailer + last)
    assert received.startswith(b"HTTP/1.1 404 ")  # no bearer key: a bucket that there is not


@pytest.mark.parametrize(
    "endless", [b"X-Trailer: and another\r\n", b"and so on and so on ", b"0" * 20], ids=["trailers", "trailer", "size"]
)
def test_what_never_ends_after_a_body_is_not_kept(server: Server, endless: bytes) -> None:
    begun = {b"X": b"0\r\n", b"a": b"0\r\nX: ", b"0": b""}[endless[:1]]
    mebibytes = [endless * (2**20 // len(endless))] * 64
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(CHUNKED + begun)
        with pytest.raises(ConnectionError):
            for piece in mebibytes:
                client.sendall(piece)
