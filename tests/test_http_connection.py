"""A connection by itself, on a real socket, with an application that tells what it was told."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from gateway.http.connection import Connection
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


def until_it_left(told: asyncio.Queue[str]) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await told.put(message["type"])
            if message["type"] == "http.disconnect":
                return

    return application


@asynccontextmanager
async def serving(application: Any, made: list[weakref.ref[Connection]]) -> AsyncIterator[Any]:
    """The address of a server of such connections; ``made`` gets each."""
    config = uvicorn.Config(application, lifespan="off")
    config.load()
    config.loaded_app = application
    state, watch = ServerState(), Watch()

    def connection() -> Connection:
        each = Connection(config, state, {}, patience=Patience(), watch=watch, crowd=Crowd())
        made.append(weakref.ref(each))
        return each

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
