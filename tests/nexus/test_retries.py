"""What the client sends again when the network fails, and what it must not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

import nexus
from nexus import wire

Handler = Callable[[httpx.Request], httpx.Response]
ETAG = '"' + "a" * 64 + '"'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FIRST_DELAY", 0.0)


def client(*handlers: Handler) -> tuple[nexus.RemoteNexusFS, list[httpx.Request]]:
    """A client whose requests are answered by one handler after the other, and what it sent."""
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        request.read()
        sent.append(request)
        return handlers[min(len(sent), len(handlers)) - 1](request)

    nx = nexus.RemoteNexusFS("http://server", "key")
    nx._http.close()
    nx._http = httpx.Client(transport=httpx.MockTransport(handle))
    return nx, sent


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("the answer was lost", request=request)


def unsent(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody listens", request=request)


def result(value: Any) -> Handler:
    return lambda request: httpx.Response(200, json={"result": value})


def error(code: int, **data: Any) -> Handler:
    return lambda request: httpx.Response(200, json={"error": {"code": code, "message": "told", "data": data}})


WRITTEN = result({"etag": "a", "version": 1, "size": 1})


@pytest.mark.parametrize("failure", [lost, unsent])
def test_what_reads_is_sent_again(failure: Handler) -> None:
    nx, sent = client(failure, failure, result({"exists": True}))
    assert nx.exists("/ws/a") and len(sent) == 3


@pytest.mark.parametrize("failure", [lost, unsent])
def test_a_write_over_whatever_is_sent_again(failure: Handler) -> None:
    nx, sent = client(failure, WRITTEN)
    assert nx.write("/ws/a", b"x").version == 1 and [request.content for request in sent] == [b"x", b"x"]


@pytest.mark.parametrize(
    "act",
    [
        lambda nx: nx.append("/ws/a", b"x"),
        lambda nx: nx.write("/ws/a", b"x", if_match="e"),
        lambda nx: nx.write("/ws/a", b"x", if_none_match=True),
        lambda nx: nx.rename("/ws/a", "/ws/b"),
        lambda nx: nx.delete("/ws/a", if_match="e"),
        lambda nx: nx.mkdir("/ws/a", exist_ok=False),
        lambda nx: nx.add_mount("/ws", "local", {}),
        lambda nx: nx.write_batch([("/ws/a", b"x")]),
        lambda nx: nx.rollback("/ws/a", 1),
    ],
)
def test_what_counts_is_sent_again_only_if_it_never_arrived(act: Callable[[nexus.RemoteNexusFS], Any]) -> None:
    nx, sent = client(lost)
    with pytest.raises(nexus.NexusConnectionError):
        act(nx)
    assert len(sent) == 1
    nx, sent = client(unsent, unsent, error(-32005))
    with pytest.raises(nexus.ValidationError):
        act(nx)
    assert len(sent) == 3


def test_a_delete_that_was_done_already_is_done() -> None:
    nx, sent = client(lost, error(-32000))
    nx.delete("/ws/a")
    assert len(sent) == 2
    nx, _ = client(error(-32000))
    with pytest.raises(nexus.NexusFileNotFoundError):
        nx.delete("/ws/a")


def test_it_gives_up() -> None:
    nx, sent = client(lost)
    with pytest.raises(nexus.NexusConnectionError, match="cannot reach http://server"):
        nx.stat("/ws/a")
    assert len(sent) == wire.ATTEMPTS


def test_a_busy_server_is_asked_later() -> None:
    busy = httpx.Response(503, headers={"retry-after": "0"}, json={"error": {"code": -32005, "message": "busy"}})
    nx, sent = client(lambda request: busy, result({"exists": False}))
    assert not nx.exists("/ws/a") and len(sent) == 2
    assert wire.delay(0, httpx.Response(503, headers={"retry-after": "3600"})) == wire.LONGEST_DELAY


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"result": {"__type__": "bytes", "data": "!"}}', b"null"])
def test_what_answers_is_no_nexus_server(body: bytes) -> None:
    nx, _ = client(lambda request: httpx.Response(200, content=body))
    with pytest.raises(nexus.NexusConnectionError):
        nx.call("stat", path="/a")


# -- streams


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"0123"
        raise httpx.ReadError("cut")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"0123"
        raise httpx.ReadError("cut")


def part(status: int, etag: str = ETAG, **body: Any) -> Handler:
    return lambda request: httpx.Response(status, headers={"etag": etag, "x-nexus-size": "10"}, **body)


def test_a_stream_that_breaks_goes_on() -> None:
    nx, sent = client(part(200, stream=Cut()), lost, part(206, stream=httpx.ByteStream(b"456789")))
    seen: list[tuple[int, int | None]] = []
    assert b"".join(nx.stream("/ws/a", 2, progress=lambda done, total: seen.append((done, total)))) == b"0123456789"
    assert [request.headers.get("range") for request in sent] == [None, "bytes=4-", "bytes=4-"]
    assert sent[2].headers["if-match"] == ETAG and seen[-1] == (10, 10)


def test_a_stream_of_a_file_that_changes_is_refused() -> None:
    for second in (part(206, '"other"', stream=httpx.ByteStream(b"456789")), _mismatch):
        nx, _ = client(part(200, stream=Cut()), second)
        with pytest.raises(nexus.ConflictError):
            nx.read("/ws/a")


def _mismatch(request: httpx.Request) -> httpx.Response:
    facts = {"path": "/ws/a", "expected_etag": "a", "current_etag": "b"}
    return httpx.Response(412, content=json.dumps({"error": {"code": -32006, "message": "changed", "data": facts}}))


def test_the_same_for_asyncio() -> None:
    handlers = [lost, part(200, stream=Cut()), part(206, stream=httpx.ByteStream(b"456789"))]

    async def handle(request: httpx.Request) -> httpx.Response:
        return handlers.pop(0)(request)

    async def story() -> None:
        async with nexus.AsyncRemoteNexusFS("http://server", "key") as nx:
            await nx._http.aclose()
            nx._http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
            assert [chunk async for chunk in nx.stream("/ws/a", 4)] == [b"0123", b"4567", b"89"]
            handlers.extend([lost, error(-32000)])
            await nx.delete("/ws/a")
            handlers.append(lost)
            with pytest.raises(nexus.NexusConnectionError):
                await nx.append("/ws/a", b"x")

    asyncio.run(story())
