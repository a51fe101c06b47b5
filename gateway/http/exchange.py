"""One request and its answer, as an ASGI application sees them.

An answer leaves with as few writes as can be: its head waits for the first of its body. Nothing gets into the head that
could be taken for the end of a line: whoever composes headers from what others said is checked here once more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from gateway.http.deadlines import NEVER

if TYPE_CHECKING:
    from gateway.http.connection import Connection
    from gateway.http.long_body import LongBody

Application = Callable[[Any, Any, Any], Awaitable[None]]
Message = MutableMapping[str, Any]

READ_AHEAD = 64 * 1024
"""Bytes of a body that are taken before the application asks for them."""
JOINED = 32 * 1024
"""A body up to this is joined to the head: copying it costs less than another buffer to send."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CONTROLS = bytes(code for code in (*range(32), 127) if code != 9)
GONE: Message = {"type": "http.disconnect"}
TIMED_OUT: Message = {"type": "http.disconnect", "timed_out": True}

_STATUS = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}

_line = b": ".join
WHOLE = "nexus.whole"
"""An extension of ASGI: the message that starts an answer may bring its body, too, where that is all of it."""

log = logging.getLogger("nexus.http")


class Exchange:
    """One request on a connection and the answer to it."""

    __slots__ = (
        *("_chunked", "_connection", "_cut", "_expects", "_head", "_left", "_told", "_waited"),
        *(
            "_waiter",
            "answered",
            "body",
            "gone",
            "keep_alive",
            "long",
            "more_body",
            "received",
            "scope",
            "started",
            "waits_since",
        ),
    )

    def __init__(self, connection: Connection, scope: dict[str, Any], *, expects: bool, keep_alive: bool) -> None:
        self._connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        self._expects = expects
        """Whether the client waits for leave to send its body."""
        self.body = bytearray()
        """What has come and was not taken yet."""
        self.long: LongBody | None = None
        """What receives the body, while it does."""
        self.more_body = True
        self._told = False
        """Whether the application knows that the body is whole."""
        self.received = 0
        self.gone = False
        """Whether the client hung up."""
        self._cut: Message | None = None
        """What is told instead of what the client goes on to send, though it may hear of us."""
        self._waiter: asyncio.Future[None] | None = None
        self.waits_since = NEVER
        """Since when the application waits for more of the body."""
        self._waited = 0.0
        self.started = False
        self.answered = False
        self._head = b""
        self._chunked = False
        self._left: int | None = None
        """Bytes of the body that the head promised and that are still to come; None where it promised none."""

    # -- the request

    def feed(self, data: bytes) -> None:
        self.body += data
        self.received += len(data)
        self.wake()

    def progress(self, size: int) -> None:
        """More came, which is not to be told yet."""
        self.received += size
        if self.waits_since != NEVER:
            now = self._connection.loop.time()
            self._waited += now - self.waits_since
            self.waits_since = now

    def finish(self) -> None:
        """The request is whole."""
        self.more_body = False
        if self._waiter is not None:
            self.wake()

    def leave(self) -> None:
        """The client is gone."""
        self.gone = True
        self.wake()

    def cut(self, told: Message = GONE) -> None:
        """Listen no more: what comes is no HTTP, or nothing comes. The connection ends with the answer."""
        self.keep_alive = False
        if self.more_body:
            self._cut = told
            self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        if self._expects:
            self._expects = False
            if not self.started and not self.gone:
                self._connection.write(CONTINUE)
        if self._must_wait():
            await self._wait()
        if self._cut is not None:
            return self._cut
        if self.gone or self.answered:
            return GONE
        message = {"type": "http.request", "body": self._take(), "more_body": self.more_body}
        self._told = not self.more_body
        return message

    def _take(self) -> bytes:
        """What has come. What is long is not copied: it is the taker's, and nobody else changes it."""
        if len(self.body) > READ_AHEAD:
            taken, self.body = cast(bytes, self.body), bytearray()
            return taken
        taken = bytes(self.body)
        self.body.clear()
        return taken

    def _must_wait(self) -> bool:
        """Whether there is nothing to tell: no bytes, no end that is news, no departure."""
        return not (self.body or self.gone or self.answered or self._cut is not None) and (self.more_body or self._told)

    async def _wait(self) -> None:
        loop = self._connection.loop
        if self.long is not None:
            self.long.want()
        self._connection.resume_reading()
        self.waits_since = loop.time()
        try:
            while self._must_wait():
                self._waiter = loop.create_future()
                await self._waiter
        finally:
            self._waited += loop.time() - self.waits_since
            self._waiter, self.waits_since = None, NEVER

    @property
    def waits_for_body(self) -> bool:
        """Whether the answer cannot begin before the client sends more."""
        return self.waits_since != NEVER and self.more_body and not self.started

    def stalls(self, now: float) -> bool:
        """Whether the client lets us wait too long for its body."""
        if not self.waits_for_body:
            return False
        patience, waits = self._connection.patience, now - self.waits_since
        return waits > patience.body or self._waited + waits > patience.body + self.received / patience.rate

    # -- the answer

    def begin(self) -> None:
        """It is this one's turn."""
        self._connection.begin(self)

    async def run(self, application: Application) -> None:
        """Have the application answer; what it fails to answer is a 500, or a connection that ends short."""
        self._connection.turns.run()
        try:
            await application(self.scope, self.receive, self.send)
        except Exception:
            log.exception("a request failed below the doors")
        except BaseException:
            self._connection.abandon()
            raise
        if self.answered or self.gone:
            return
        if self.started:
            self._connection.abandon()
            return
        text = b"Internal Server Error"
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text)), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": text})

    async def send(self, message: Message) -> None:
        if self._connection.writable is not None:
            await self._connection.drained()
        if self.gone:
            return
        if not self.started:
            self._head = self._start(message["status"], message["headers"])
            self.started = True
            if "body" not in message:
                return
        elif self.answered:
            raise RuntimeError("the answer is complete already")
        self._send_body(message.get("body", b""), more=message.get("more_body", False))

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The head of the answer; sees how its body will be framed. Names are in lower case, as ASGI wants them."""
        names = dict(headers)
        lines = [*map(_line, headers)]
        length = names.get(b"content-length")
        if length is not None:
            self._left = int(length)
        closes = names.get(b"connection", b"").lower() == b"close"
        if closes:
            self.keep_alive = False
        if status in (204, 304):
            self._left = None
        elif length is None and self.scope["method"] != "HEAD":
            if self.scope["http_version"] == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked")
            else:
                self.keep_alive = False  # the end of the connection is the end of the body
        if not self.keep_alive and not closes:
            lines.append(b"connection: close")
        lines.append(b"\r\n")
        head = _STATUS[status] + self._connection.common_headers() + b"\r\n".join(lines)
        ends = 2 * (1 + self._connection.common_lines + len(lines))
        if len(head) - len(head.translate(None, CONTROLS)) != ends:
            raise RuntimeError("a header of the answer has a control character")
        return head

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            body, self._left = b"", None
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer's body is not as long as its head says")
        head, self._head = self._head, b""
        if head and len(body) <= JOINED:
            self._connection.write(head + body)
        elif head:
            self._connection.write_both(head, body)
        elif body:
            self._connection.write(body)
        if not more:
            self.answered = True
            if self._waiter is not None:
                self.wake()
            self._connection.exchange_done(self)
