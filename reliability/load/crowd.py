"""Clients of every kind, most of them trying: each visit is one connection, or a few requests on one."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

from reliability.bodies import body_of
from reliability.load.site import LARGE, SECONDS, Caller, Site, large
from reliability.wire import Lost, head_of
from tests.e2e.signing import UNSIGNED

Visit = Callable[[Site, Caller, Random], Awaitable[object]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
WINDOW = 64 * 1024
"""What the kernel takes for a client that reads slowly: else all of an answer may lie there, and the server be done."""
CUT = "cut by the server after a long stall"
CUT_SECONDS = 25.0
PATIENT = 60.0
"""For how long some stall: until the server or the cycle has enough."""


async def crowd(site: Site, caller: Caller, count: int, seconds: float, seed: str) -> None:
    """So many clients at once, for so long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    tasks = [asyncio.create_task(_visitor(site, caller, Random(f"{seed}/{n}"), until)) for n in range(count)]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _visitor(site: Site, caller: Caller, dice: Random, until: float) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(dice.random())
    while loop.time() < until:
        visit = dice.choices(list(VISITS), list(VISITS.values()))[0]
        site.seen[visit.__name__] += 1
        try:
            await visit(site, caller, dice)
        except Lost as error:
            site.problem(f"{visit.__name__}: {error}")
        except (OSError, EOFError, ValueError) as error:
            if visit in POLITE:
                site.problem(f"{visit.__name__}: {error!r}")
            await asyncio.sleep(0.1)
        except Exception as error:
            site.problem(f"{visit.__name__}: {error!r}")


@asynccontextmanager
async def _connected(caller: Caller, window: int = 0) -> AsyncIterator[Streams]:
    own = socket.socket()
    own.setblocking(False)
    if window:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    try:
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", caller.port))
        streams = await asyncio.open_connection(sock=own, limit=window or 1024 * 1024)
    except BaseException:
        own.close()
        raise
    try:
        yield streams
    finally:
        streams[1].close()


def _signed(caller: Caller, method: str, name: str, size: int = 0, **more: str) -> bytes:
    path = caller.path(name)
    return head_of(method, path, {**caller.signer().sign(method, path, payload=UNSIGNED).headers, **more}, size)


async def _status(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Status and length of the answer that begins."""
    lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    sizes = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
    return int(lines[0].split(b" ")[1]), sizes[0] if sizes else 0


# -- who behaves


async def fast(site: Site, caller: Caller, dice: Random) -> None:
    connection = caller.connect()
    try:
        for _ in range(3):
            name = site.fresh("fast")
            if await site.put(caller, connection, name, dice.choice((0, 100, 4096, 70_000))):
                for _ in range(3):
                    await asyncio.sleep(dice.random())
                    await site.check(connection, caller.path(name))
            await asyncio.sleep(dice.random())
    finally:
        connection.close()


async def slow_put(site: Site, caller: Caller, dice: Random, begun: asyncio.Event | None = None) -> int:
    """The answer's status; ``begun`` is set once the server waits for the body."""
    name, size = site.fresh("slow"), 60_000
    body = body_of(name, size)
    async with _connected(caller) as (reader, writer):
        writer.write(_signed(caller, "PUT", name, size, expect="100-continue"))
        async with asyncio.timeout(SECONDS):
            status, _ = await _status(reader)
        if status == 100:
            if begun:
                begun.set()
            with suppress(ConnectionError):  # a refusal may come before the body has gone
                for start in range(0, size, 6000):
                    await asyncio.sleep(dice.random() / 2)
                    writer.write(body[start : start + 6000])
                    await writer.drain()
            async with asyncio.timeout(SECONDS):
                status, _ = await _status(reader)
    site.seen[f"slow put {status}"] += 1
    if status == 200:
        site.acknowledged(caller, name, size)
    elif status != 503:
        site.problem(f"a slow put is answered with {status}")
    return status


async def slow_get(site: Site, caller: Caller, dice: Random, begun: asyncio.Event | None = None) -> int:
    """The answer's status; ``begun`` is set once the body comes."""
    whole, taken, same = large(), 0, True
    async with _connected(caller, WINDOW) as (reader, writer):
        writer.write(_signed(caller, "GET", LARGE))
        async with asyncio.timeout(SECONDS):
            status, size = await _status(reader)
        while taken < size:
            async with asyncio.timeout(SECONDS):
                part = await reader.readexactly(min(WINDOW, size - taken))
            same = same and part == whole[taken : taken + len(part)]
            taken += len(part)
            if begun:
                begun.set()
            await asyncio.sleep(dice.random() / 5)
    site.seen[f"slow get {status}"] += 1
    if status not in (200, 503) or (status == 200 and not (same and taken == len(whole))):
        site.problem(f"a slow get is answered with {status} and {taken} bytes, or wrong ones")
    return status


async def idle(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller) as (reader, writer):
        writer.write(HEALTH)
        async with asyncio.timeout(SECONDS):
            await _status(reader)
        await asyncio.sleep(1 + 5 * dice.random())


# -- who does not


async def slow_head(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller) as (_, writer):
        for byte in _signed(caller, "GET", LARGE)[:40]:
            writer.write(bytes((byte,)))
            await asyncio.sleep(dice.random() / 5)


async def stalled_head(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller) as (reader, writer):
        writer.write(_signed(caller, "GET", LARGE)[: dice.randrange(1, 150)])
        start = asyncio.get_running_loop().time()
        ended = await _linger(reader, dice, dice.choice((2.0, 4.0, PATIENT)))
        if ended and asyncio.get_running_loop().time() - start > CUT_SECONDS:
            site.seen[CUT] += 1


async def stalled_put(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller) as (reader, writer):
        writer.write(_signed(caller, "PUT", site.fresh("never"), 1_000_000) + bytes(dice.choice((0, 10, 90_000))))
        await _linger(reader, dice)


async def stalled_get(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller, WINDOW) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # takes nothing, whatever comes
        writer.write(_signed(caller, "GET", LARGE))
        await asyncio.sleep(1 + 4 * dice.random())


async def half_closed(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller) as (reader, writer):
        writer.write(_signed(caller, "GET", LARGE))
        writer.write_eof()
        await _linger(reader, dice)


async def reset(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller) as (_, writer):
        writer.write(_signed(caller, "PUT", site.fresh("never"), 200_000) + bytes(50_000))
        await asyncio.sleep(dice.random() / 5)
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def garbage(site: Site, caller: Caller, dice: Random) -> None:
    async with _connected(caller) as (reader, writer):
        writer.write(dice.randbytes(dice.randrange(1, 2000)))
        await _linger(reader, dice)


async def _linger(reader: asyncio.StreamReader, dice: Random, seconds: float = 4.0) -> bool:
    """Take what comes, until the server ends it, or for so long; whether it did."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds * (0.25 + dice.random())):
            while await reader.read(65536):
                pass
            return True
    return False


VISITS: dict[Visit, int] = {
    fast: 30,
    slow_put: 15,
    slow_get: 10,
    idle: 15,
    slow_head: 5,
    stalled_head: 5,
    stalled_put: 5,
    stalled_get: 5,
    half_closed: 3,
    reset: 4,
    garbage: 3,
}
"""How often a client is of which kind."""
POLITE = frozenset({fast, slow_put, slow_get, idle})
"""Who must be served: their connections may not break."""
