"""More clients than there is room for: who goes, who is told to come again, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.http import connection as connection_module
from gateway.http.connection import Connection
from gateway.http.crowd import AT_ONCE, Crowd
from gateway.http.deadlines import Patience, Watch

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class _Doors:
    refusal = b"<Error><Code>SlowDown</Code></Error>"

    async def is_vital(self, scope: dict[str, Any]) -> bool:
        return bool(scope["path"] == "/health")

    def share_of(self, scope: dict[str, Any]) -> str | None:
        return None if scope["path"] == "/health" else str(scope["path"])


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and answers."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@asynccontextmanager
async def serving(crowd: Crowd, application: Any = hello, patience: Patience | None = None) -> AsyncIterator[Open]:
    config = uvicorn.Config(application, lifespan="off")
    config.load()
    config.loaded_app = application
    state, watch = ServerState(), Watch()

    def connection() -> Connection:
        return Connection(config, state, {}, patience=patience or Patience(), watch=watch, crowd=crowd)

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*address)
        opened.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        server.close()
        for writer in opened:
            writer.close()
        await asyncio.sleep(0.05)


def get(path: str = "/", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n".encode()


async def asked(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> bytes:
    """A request's answer, head and the body that it promises."""
    reader, writer = streams
    writer.write(request)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def ends(reader: asyncio.StreamReader, seconds: float = 5) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), seconds) == b""
    except ConnectionError:
        return True


async def test_an_idle_connection_makes_room_for_a_new_one() -> None:
    async with serving(Crowd(2, doors=_Doors())) as connect:
        idle, later = await connect(), await connect()
        assert (await asked(idle, get())).endswith(b"hi")
        await asyncio.sleep(1.1)
        assert (await asked(later, get())).endswith(b"hi")  # used just now: it stays
        assert (await asked(await connect(), get())).endswith(b"hi")
        assert await ends(idle[0])
        assert (await asked(later, get())).endswith(b"hi")


async def test_where_nobody_is_idle_what_is_vital_is_answered_and_all_else_told_to_come_again() -> None:
    crowd = Crowd(2, doors=_Doors())
    async with serving(crowd) as connect:
        busy = [await connect(), await connect()]
        for _, writer in busy:
            writer.write(b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.1)
        guest = await connect()
        refusal = await asked(guest, b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        assert refusal.startswith(b"HTTP/1.1 503 ") and refusal.endswith(b"<Code>SlowDown</Code></Error>")
        assert b"retry-after: 1\r\n" in refusal and b"connection: close\r\n" in refusal
        assert await ends(guest[0])
        healthy = await asked(await connect(), get("/health"))
        assert healthy.startswith(b"HTTP/1.1 200 ") and b"connection: close" in healthy
        assert crowd.refused == 1
        for streams in busy:
            assert (await asked(streams, b"body")).endswith(b"hi")  # what was under way is not touched


async def test_beyond_its_guests_it_refuses_without_listening() -> None:
    async with serving(Crowd(0, reserve=2, doors=_Doors())) as connect:
        silent = [await connect() for _ in range(3)]
        assert await ends(silent[0][0])  # the third took its place
        assert (await asked(await connect(), get("/health"))).startswith(b"HTTP/1.1 200 ")
        assert await ends(silent[2][0], 8)  # and guests have little time


async def test_who_stands_still_half_way_makes_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HALF_WAY_SECONDS", 0.5)
    async with serving(Crowd(1, doors=_Doors())) as connect:
        halting = await connect()
        halting[1].write(b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.1)
        assert b" 503 " in await asked(await connect(), get())
        connection = await connect()
        for _ in range(24):
            await asyncio.sleep(0.5)
            if b" 200 " in await asked(connection, get()):
                break
            connection = await connect()
        else:
            raise AssertionError("it kept its place")


async def test_each_share_has_its_turn() -> None:
    """One that asks for a hundred things at once does not come before one that asks for a single one."""
    order: list[str] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        order.append(scope["path"])
        await hello(scope, receive, send)

    crowd = Crowd(1000, doors=_Doors())
    async with serving(crowd, noting) as connect:
        many = [await connect() for _ in range(200)]
        one, health = await connect(), await connect()
        for _, writer in many:
            writer.write(get("/noisy"))
        one[1].write(get("/quiet"))
        health[1].write(get("/health"))
        for reader, _ in [*many, one, health]:
            await asyncio.wait_for(reader.readuntil(b"hi"), 5)
    assert len(order) == 202
    assert order.index("/quiet") <= AT_ONCE + 3 and order.index("/health") <= AT_ONCE + 3
    assert crowd.turns.begun == 0


async def test_who_leaves_while_it_waits_for_its_turn_takes_none() -> None:
    crowd = Crowd(1000, doors=_Doors())
    async with serving(crowd) as connect:
        many = [await connect() for _ in range(150)]
        for number, (_, writer) in enumerate(many):
            writer.write(get("/noisy"))
            if number % 3 == 0:
                writer.transport.abort()
        for number, (reader, _) in enumerate(many):
            if number % 3:
                await asyncio.wait_for(reader.readuntil(b"hi"), 5)
        assert (await asked(await connect(), get())).endswith(b"hi")
    assert crowd.turns.begun == 0
