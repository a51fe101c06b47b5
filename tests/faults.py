"""A proxy between a client and an HTTP service that does to requests what networks and busy services do.

One request per connection (it asks both sides to close), so that a fault hits one request and nothing else. What
befalls a request is drawn from a seeded source. It runs in a thread of its own and has no opinion on what is asked.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CHUNK = 64 * 1024
HEAD_LIMIT = 256 * 1024
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
CONTINUE = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)

WEIGHTS = {
    "reset before": 3,
    "cut request": 3,
    "lost answer": 4,
    "cut answer": 4,
    "unavailable": 3,
    "throttled": 3,
    "failure": 3,
    "slow": 2,
    "silence": 1,
}
STATUSES = {"unavailable": 503, "throttled": 429, "failure": 500}


@dataclass
class Faults:
    """What a proxy does: ``rate`` of the requests meet a fault; shaping holds for all.

    ``latency`` is added to each request, ``bandwidth`` (bytes per second) is what one connection gets, each way: so do
    services that are far away behave, however near the emulator is.
    """

    rate: float = 0.0
    seed: int = 0
    weights: dict[str, int] = field(default_factory=lambda: dict(WEIGHTS))
    silence: float = 5.0
    """For how long nothing comes of a request that meets silence."""
    latency: float = 0.0
    bandwidth: float = 0.0
    answers: list[tuple[int, str, bytes]] = field(default_factory=list)
    """Answers (status, content type, body) for the next requests, whatever they are; used up first."""
    heads: deque[bytes] = field(default_factory=lambda: deque(maxlen=100))
    """The heads of the latest requests."""
    met: Counter[str] = field(default_factory=Counter)
    """How many requests met what."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> str:
        fault = "nothing"
        if self._random.random() < self.rate:
            fault = self._random.choices(list(self.weights), list(self.weights.values()))[0]
        self.met[fault] += 1
        return fault

    def part(self, whole: int) -> int:
        return self._random.randrange(whole + 1)


@contextmanager
def proxy(url: str, faults: Faults, listen: int = 0) -> Iterator[str]:
    """The address of a proxy to the service at a URL, as long as the block lasts."""
    upstream = url.split("://", 1)[1].split("/", 1)[0]
    host, _, port = upstream.rpartition(":")
    with relaying(_Proxy(host, int(port), faults, listen)) as listening:
        yield url.replace(upstream, f"127.0.0.1:{listening}", 1)


@contextmanager
def relaying(relay: Relay) -> Iterator[int]:
    """The port that a relay listens on, in a thread of its own, as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fault-proxy", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(relay.start(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(relay.stop(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Relay:
    """What takes connections on a port of this machine and handles each as it likes."""

    def __init__(self, listen: int) -> None:
        self._listen = listen
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", self._listen, limit=HEAD_LIMIT, backlog=512)

    async def stop(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.handle(reader, writer)
        finally:
            self._running.discard(task)
            writer.close()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class _Proxy(Relay):
    def __init__(self, host: str, port: int, faults: Faults, listen: int) -> None:
        super().__init__(listen)
        self._host = host
        self._port = port
        self._faults = faults

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await self._request(head, reader, writer)

    async def _request(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._faults.heads.append(head)
        length = int(found[1]) if (found := LENGTH.search(head)) else 0
        if CONTINUE.search(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = CONNECTION.sub(b"", CONTINUE.sub(b"", head))[:-2] + b"Connection: close\r\n\r\n"
        await asyncio.sleep(self._faults.latency)
        if self._faults.answers:
            await _drain(reader, length)
            _answer(writer, *self._faults.answers.pop(0))
            return
        fault = self._faults.draw()
        if fault == "reset before":
            reset(writer)
        elif fault in STATUSES:
            await _drain(reader, length)
            _answer(writer, STATUSES[fault], "text/plain", b"not now")
        elif fault == "silence":
            await _drain(reader, length)
            await asyncio.sleep(self._faults.silence)
        else:
            await self._pass(fault, head, length, reader, writer)

    async def _pass(
        self, fault: str, head: bytes, length: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        inward, outward = await asyncio.open_connection(self._host, self._port, limit=CHUNK)
        try:
            outward.write(head)
            sent = self._faults.part(length) if fault == "cut request" else length
            await self._relay(reader, outward, sent)
            if fault == "cut request":
                reset(outward)
                reset(writer)
                return
            if fault == "lost answer":
                await inward.read()
                reset(writer)
                return
            await self._reply(fault, inward, writer)
        finally:
            outward.close()

    async def _reply(self, fault: str, inward: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await inward.readuntil(b"\r\n\r\n")
        writer.write(CONNECTION.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n")
        length = int(found[1]) if (found := LENGTH.search(head)) else None
        if fault == "cut answer":
            body = await inward.read() if length is None else await inward.read(length)
            writer.write(body[: self._faults.part(max(len(body) - 1, 0))])
            await writer.drain()
            reset(writer)
            return
        if fault == "slow":
            for _ in range(20):
                chunk = await inward.read(CHUNK // 20)
                writer.write(chunk)
                await asyncio.sleep(0.01)
        await self._relay(inward, writer, None)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int | None) -> None:
        """Pass bytes on until they are through, at the connection's bandwidth."""
        loop, passed = asyncio.get_running_loop(), 0
        started = loop.time()
        while length is None or passed < length:
            chunk = await reader.read(CHUNK if length is None else min(CHUNK, length - passed))
            if not chunk:
                return
            passed += len(chunk)
            writer.write(chunk)
            await writer.drain()
            if self._faults.bandwidth:
                await asyncio.sleep(started + passed / self._faults.bandwidth - loop.time())


async def _drain(reader: asyncio.StreamReader, length: int) -> None:
    while length > 0 and (chunk := await reader.read(min(CHUNK, length))):
        length -= len(chunk)


def _answer(writer: asyncio.StreamWriter, status: int, kind: str, body: bytes) -> None:
    head = (
        f"HTTP/1.1 {status} Fault\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a crash does: the other side sees a reset."""
    plain: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
