"""A client's connection without a socket: bytes in, bytes out, through the protocol class that serves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from gateway.http.connection import Connection
from gateway.http.crowd import Crowd
from gateway.http.deadlines import NEVER, Patience, Watch
from reliability.fuzz.target import Finding

PATIENCE = 15.0
"""Seconds in which an application must be done with a request whose client has gone."""
PASSES = 2000
"""Turns of the loop that requests get before the client hangs up: enough for some that wait for nothing else."""
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class Wire(asyncio.Transport):
    """What a connection believes to be a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False
        self.aborted = False
        self.unanswered = False
        """Whether the client hung up before all was answered."""
        self._protocol: asyncio.BaseProtocol = asyncio.BaseProtocol()
        """What takes what the client sends: the connection, or what it has take a long body."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def feed(self, data: bytes) -> None:
        """Hand on what the client sent, as an event loop does."""
        while data:
            protocol = self._protocol
            if isinstance(protocol, asyncio.BufferedProtocol):
                buffer = memoryview(protocol.get_buffer(len(data)))
                size = min(len(buffer), len(data))
                buffer[:size] = data[:size]
                protocol.buffer_updated(size)
                data = data[size:]
            else:
                assert isinstance(protocol, asyncio.Protocol)
                protocol.data_received(data)
                return

    def hang_up(self) -> None:
        self._protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self.sent.append(bytes(data))

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        """What was sent is here already; a client may well have sent it at once."""

    def resume_reading(self) -> None:
        """Likewise."""


class Wires:
    """Makes connections to one application."""

    def __init__(self, application: Any) -> None:
        self._config = uvicorn.Config(application, lifespan="off", log_config=None)
        self._config.loaded_app = application
        self._state, self._watch, self._crowd = ServerState(), Watch(), Crowd()

    async def play(self, pieces: Iterable[bytes]) -> Wire:
        """Send the pieces, and hang up where more is expected. Ends when the application has nothing under way."""
        state, wire = self._state, Wire()
        patience = Patience(head=3600, idle=3600, body=3600)
        connection = Connection(self._config, state, {}, patience=patience, watch=self._watch, crowd=self._crowd)
        wire.set_protocol(connection)
        connection.connection_made(wire)
        for piece in pieces:
            if wire.closed:
                break
            wire.feed(piece)
            await asyncio.sleep(0)
        latest = connection._exchange
        if state.tasks and latest is not None and not latest.more_body:
            await self._finished(state.tasks)
        for _ in range(PASSES):
            answering = connection._answering
            if not state.tasks or (answering is not None and answering.waits_since != NEVER):
                break
            await asyncio.sleep(0)
        wire.unanswered = bool(state.tasks)
        wire.hang_up()
        if state.tasks:
            await self._finished(state.tasks)
        return wire

    async def _finished(self, tasks: set[asyncio.Task[None]]) -> None:
        await asyncio.sleep(0)
        ends = asyncio.get_running_loop().time() + PATIENCE
        while tasks:
            _, late = await asyncio.wait(set(tasks), timeout=PATIENCE)
            if late and asyncio.get_running_loop().time() > ends:
                stacks = [str(task.get_stack(limit=4)) for task in late]
                for task in late:
                    task.cancel()
                raise Finding(f"a request was not done with after {PATIENCE:.0f} s: {stacks}")


def statuses(sent: bytes) -> list[int]:
    """The statuses of the answers on a connection. Raises Finding where they are no answers, one after the other."""
    found, at = [], 0
    while at < len(sent):
        line = _STATUS.match(sent, at)
        if line is None:
            raise Finding(f"no answer begins with {sent[at : at + 80]!r}")
        found.append(int(line[1]))
        end = sent.find(b"\r\n\r\n", at)
        if end < 0:
            raise Finding("the head of an answer has no end")
        head = sent[at : end + 4]
        at = end + 4
        if found[-1] == 100:
            continue
        length = _LENGTH.search(head)
        if b"\r\nx-no-body:" in head or sent.startswith(b"HTTP/1.1 ", at):
            continue  # the answer to a HEAD
        if length is None or at + int(length[1]) > len(sent):
            return found  # chunked, or the answer to a HEAD, or cut off: what follows is not told apart here
        at += int(length[1])
    return found
