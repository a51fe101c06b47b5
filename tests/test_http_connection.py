"""A connection by itself, on a real socket, with an application that tells what it was told."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from gateway.http.connection import MAX_QUEUED, Connection
from gateway.http.crowd import Crowd
from gateway.http.deadlines import Patience, Watch

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_client_that_leaves_is_gone_for_every_request_it_sent() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with serving(until_it_left(told), []) as address:
        _, writer = await asyncio.open_connection(*address)
        writer.write(GET + GET)
        assert await asyncio.wait_for(told.get(), 5) == "http.request"
        writer.transport.abort()
        assert await asyncio.wait_for(told.get(), 5) == "http.disconnect"


async def test_nothing_is_left_of_a_connection_when_it_ends() -> None:
    """The collector of cycles runs rarely: what it alone could free would pile up, with all that clients sent last."""
    told: asyncio.Queue[str] = asyncio.Queue()
    made: list[weakref.ref[Connection]] = []
    gc.collect()
    gc.disable()
    try:
        async with serving(until_it_left(told), made) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(GET + GET)
            await asyncio.wait_for(told.get(), 5)
            writer.transport.abort()
            await asyncio.wait_for(told.get(), 5)
            for _ in range(100):
                if made[0]() is None:
                    break
                await asyncio.sleep(0.01)
            assert made[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
async def test_who_leaves_the_end_of_an_answer_untaken_is_given_up(more: bytes) -> None:
    """Though it is so little that writing goes on: the answer is complete, for all that the application knows."""
    made: list[weakref.ref[Connection]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        connection = made[0]()
        assert connection is not None
        while not connection._transport.get_write_buffer_size():
            await send({"type": "http.response.body", "body": bytes(16_384), "more_body": True})
            await asyncio.sleep(0)
        assert connection.writable is None
        await send({"type": "http.response.body", "body": b""})

    async with serving(application, made, Patience(idle=1, answer=1)) as address:
        with closing(socket.create_connection(address)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(GET[:-2] + more + b"\r\n")
            for _ in range(60):
                await asyncio.sleep(0.1)
                if made and made[0]() is None:
                    break
            assert made[0]() is None


@pytest.mark.parametrize("more", [b"", b"Connection: upgrade\r\nUpgrade: h2c\r\n"])
async def test_who_sends_very_much_at_once_gets_a_part_of_it_answered(more: bytes) -> None:
    """Each request that waits takes a hundred times what it took to send."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    request = GET[:-2] + more + b"\r\n"
    async with serving(application, []) as address:
        for number, answers in ((MAX_QUEUED, MAX_QUEUED), (2000, MAX_QUEUED + 1)):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request * number)
            received = [await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) for _ in range(answers)]
            assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in received)
            assert (b"connection: close" in received[-1]) == (number > answers)
            writer.close()


def test_who_left_is_told_nothing() -> None:
    """Not to go on sending either; uvloop, as servers run, raises where that is tried."""
    told: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.2)
        told.append((await receive())["type"])

    async def leave() -> None:
        async with serving(application, made) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(expecting("1.1"))
            await asyncio.sleep(0.05)
            writer.transport.abort()
            for _ in range(100):
                if told:
                    break
                await asyncio.sleep(0.02)

    made: list[weakref.ref[Connection]] = []
    uvloop.run(leave())
    assert told == ["http.disconnect"]


@pytest.mark.parametrize(("version", "awaited"), [("1.0", False), ("1.1", True)])
async def test_only_who_awaits_it_is_told_to_go_on(version: str, awaited: bool) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(application, []) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(expecting(version))
        await asyncio.sleep(0.05)
        writer.write(b"abc")
        first = await asyncio.wait_for(reader.readline(), 5)
        assert (first == b"HTTP/1.1 100 Continue\r\n") == awaited
        writer.close()


def expecting(version: str) -> bytes:
    return f"PUT / HTTP/{version}\r\nHost: x\r\nExpect: 100-continue \r\nContent-Length: 3\r\n\r\n".encode()


def until_it_left(told: asyncio.Queue[str]) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await told.put(message["type"])
            if message["type"] == "http.disconnect":
                return

    return application


@asynccontextmanager
async def serving(
    application: Any, made: list[weakref.ref[Connection]], patience: Patience | None = None
) -> AsyncIterator[Any]:
    """The address of a server of such connections; ``made`` gets each."""
    config = uvicorn.Config(application, lifespan="off")
    config.load()
    config.loaded_app = application
    state, watch = ServerState(), Watch()

    def connection() -> Connection:
        each = Connection(config, state, {}, patience=patience or Patience(), watch=watch, crowd=Crowd())
        made.append(weakref.ref(each))
        return each

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
