"""A connection by itself, on a real socket, with an application that tells what it was told."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from gateway.http.connection import Connection
from gateway.http.crowd import Crowd
from gateway.http.deadlines import Patience, Watch

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_client_that_leaves_is_gone_for_every_request_it_sent() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await told.put(message["type"])
            if message["type"] == "http.disconnect":
                return

    config = uvicorn.Config(application, lifespan="off")
    config.load()
    config.loaded_app = application
    state, watch = ServerState(), Watch()

    def connection() -> Connection:
        return Connection(config, state, {}, patience=Patience(), watch=watch, crowd=Crowd())

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(GET + GET)
        assert await asyncio.wait_for(told.get(), 5) == "http.request"
        writer.transport.abort()
        assert await asyncio.wait_for(told.get(), 5) == "http.disconnect"
