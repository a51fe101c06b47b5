"""A proxy that does to connections what networks do, whatever is spoken over them.

A connection that meets a fault lives for a random number of bytes, either way; then it is reset, or falls silent.
Others are slow, or are reset before they said a word.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.faults import CHUNK, Relay, relaying, reset

WEIGHTS = {"refused": 1, "reset": 6, "silence": 1, "slow": 1}


@dataclass
class TcpFaults:
    """What befalls connections: ``rate`` of them meet a fault, ``bandwidth`` and ``latency`` shape all."""

    rate: float = 0.0
    seed: int = 0
    weights: dict[str, int] = field(default_factory=lambda: dict(WEIGHTS))
    life: int = 2 * 1024 * 1024
    """A connection that shall break does so before more bytes than that went over it."""
    silence: float = 5.0
    latency: float = 0.0
    """Seconds that it takes longer until the first byte of an answer comes."""
    bandwidth: float = 0.0
    met: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> tuple[str, int]:
        """What a connection meets, and after how many bytes."""
        fault = "nothing"
        if self._random.random() < self.rate:
            fault = self._random.choices(list(self.weights), list(self.weights.values()))[0]
        self.met[fault] += 1
        # Short lives are as likely as long ones, so that handshakes break, too.
        return fault, int(self.life ** self._random.random())


@contextmanager
def tcp_proxy(host: str, port: int, faults: TcpFaults, listen: int = 0) -> Iterator[int]:
    """The port of a proxy on this machine, as long as the block lasts."""
    with relaying(_TcpProxy(host, port, faults, listen)) as listening:
        yield listening


class _TcpProxy(Relay):
    def __init__(self, host: str, port: int, faults: TcpFaults, listen: int) -> None:
        super().__init__(listen)
        self._host = host
        self._port = port
        self._faults = faults

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault, life = self._faults.draw()
        if fault == "refused":
            reset(writer)
            return
        inward, outward = await asyncio.open_connection(self._host, self._port, limit=CHUNK)
        line = _Line(self._faults, fault, life)
        ways = [
            asyncio.ensure_future(line.pump(reader, outward)),
            asyncio.ensure_future(line.pump(inward, writer, True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if fault == "silence" and line.left <= 0:
                await asyncio.sleep(self._faults.silence)
            if line.left <= 0:
                reset(writer)
        finally:
            outward.close()  # before anything is awaited: the proxy's end cancels this, too
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


class _Line:
    """One connection's fate."""

    def __init__(self, faults: TcpFaults, fault: str, life: int) -> None:
        self._faults = faults
        self._slow = fault == "slow"
        self.left: float = life if fault in ("reset", "silence") else float("inf")

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool = False) -> None:
        """Pass bytes on one way, until the sender or the connection's life ends."""
        loop = asyncio.get_running_loop()
        free_at = loop.time()
        while self.left > 0:
            waiting = loop.time()
            chunk = await reader.read(CHUNK)
            if not chunk:
                return
            if answers and loop.time() - waiting > 0.0005:
                await asyncio.sleep(self._faults.latency)
            passed = chunk[: int(min(self.left, len(chunk)))]
            self.left -= len(chunk)
            writer.write(passed)
            await writer.drain()
            if self._slow:
                await asyncio.sleep(0.005)
            if self._faults.bandwidth:
                free_at = max(free_at, loop.time() - 0.05) + len(passed) / self._faults.bandwidth
                await asyncio.sleep(free_at - loop.time())
