"""A connection of HTTP/1.1: bytes to requests by httptools, one exchange after the other.

It takes the place of uvicorn's own protocol, which knows no deadline but that between requests, takes headers of any
size, and costs a sixth of a small GET. uvicorn's server goes on to accept connections, tell the date and shut down.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from gateway.http.crowd import AT_ONCE, GUEST_SECONDS, Crowd, Crowded
from gateway.http.deadlines import NEVER, Impatient, Patience, Watch
from gateway.http.exchange import READ_AHEAD, TIMED_OUT, WHOLE, Application, Exchange
from gateway.http.long_body import LongBody, still_to_come

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

ASGI = {"version": "3.0", "spec_version": "2.3"}
EXTENSIONS: dict[str, dict[str, Any]] = {WHOLE: {}}
MAX_HEADERS = 250
MAX_QUEUED = 128
"""Requests that may wait for those before them; who sends more at once has those answered, and may come again."""
HALF_HEAD_SECONDS, HALF_WAY_SECONDS = 4.0, 9.0
"""How much longer than an idle connection one that stopped within a head, or within a body, is kept in a crowd."""
BAD_REQUEST = "400 Bad Request"
NOT_IMPLEMENTED = "501 Not Implemented"
TOO_LATE = "408 Request Timeout"
TOO_LARGE = "431 Request Header Fields Too Large"

log = logging.getLogger("nexus.http")


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience: Patience,
        watch: Watch,
        crowd: Crowd,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.patience = patience
        self.turns = crowd.turns
        self._crowd = crowd
        self._application = cast(Application, config.loaded_app)
        self._state = server_state
        self._watch = watch
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until it is made
        self.write: Callable[[bytes], None] = _nowhere
        self._addresses: dict[str, Any] = {}
        self._until = NEVER
        """When a client that has nothing under way must have sent something."""
        self._exchange: Exchange | None = None
        """The latest: what comes of a body is its."""
        self._long: LongBody | None = None
        """What takes the body that is coming instead of us."""
        self._short: Exchange | None = None
        """The latest whose body turned out to be none for it."""
        self._answering: Exchange | None = None
        """The one that is being answered: the latest, or one before it."""
        self._queued: deque[Exchange] = deque()
        """Those that were sent before the one before them was answered."""
        self._reading = True
        self._closing = False
        self._is_guest = False
        self.writable: asyncio.Future[None] | None = None
        """Set while the client takes less than it is sent: done once it takes more."""
        self._full_since = NEVER
        self._common: tuple[object, bytes] = (None, b"")
        self.common_lines = 0
        self._head_size = 0
        """Bytes that came since the last that was of use: of a head, or of trailers and extensions of chunks."""
        self._in_head = True
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []

    # -- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self._addresses = {
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "scheme": "https" if is_ssl(self._transport) else "http",
        }
        now, crowd = self.loop.time(), self._crowd
        self._until = now + self.patience.head
        if not crowd.make_room(cast(Collection[Crowded], self._state.connections), now):
            if not crowd.welcome(self):
                self._closing = True
                self._transport.write(crowd.refusal())
                self._transport.close()
                return
            self._is_guest = True
            self._application = crowd.hosted(self._application)
            self._until = now + min(GUEST_SECONDS, self.patience.head)
        self._state.connections.add(cast(Any, self))
        crowd.connections = len(self._state.connections)
        self._watch.begin(self._all)

    def _all(self) -> Collection[Impatient]:
        return cast(Collection[Impatient], self._state.connections)

    def connection_lost(self, error: Exception | None) -> None:
        self._state.connections.discard(cast(Any, self))
        self._crowd.connections = len(self._state.connections)
        if self._is_guest:
            self._crowd.leave(self)
        self._closing = True
        for exchange in (self._answering, *self._queued, self._exchange):
            if exchange is not None:
                exchange.leave()
        self._queued.clear()
        self.resume_writing()
        # The parser and the exchanges know us. Cycles are looked for rarely: let none keep what a client sent last.
        self._parser = self._exchange = self._answering = self._long = self._short = cast(Any, None)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._parser.get_method() == b"CONNECT":
                self._refuse(BAD_REQUEST)  # this is no proxy, and whatever follows is no HTTP
            else:
                self._go_on(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(BAD_REQUEST)
        if self._head_size > self.patience.head_bytes:
            self._refuse(TOO_LARGE)
        exchange = self._exchange
        if exchange is not None and exchange.more_body and exchange is not self._short:
            self._look_for_long(exchange)

    def _look_for_long(self, exchange: Exchange) -> None:
        """Have the rest of a long body go past the parser, which has nothing to find in it."""
        left = 0 if self._closing or self._long is not None or exchange.answered else still_to_come(exchange)
        if not left:
            self._short = exchange
            return
        self._long = exchange.long = LongBody(self, exchange, left)
        self.pause_reading()
        self._transport.set_protocol(self._long)

    def long_body_done(self) -> None:
        """All of it is here: what follows is HTTP again, and a parser has to be new to see it as a request."""
        exchange, self._long = self._exchange, None
        self._parser = httptools.HttpRequestParser(self)
        self._transport.set_protocol(self)
        if exchange is not None:
            exchange.long = None
            exchange.finish()

    def _go_on(self, rest: bytes) -> None:
        """Take a request that offered another protocol for one that did not, as a server may (RFC 9110, 7.8).

        The parser leaves such a request at the end of its head; another one is told the head without the offer.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        kept = [b"%b: %b\r\n" % header for header in self._headers if header[0] != b"upgrade"]
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._url, version, b"".join(kept))
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    def eof_received(self) -> None:
        """Half of a connection is none: what the client asked for it will not read."""

    def pause_writing(self) -> None:
        self._full_since = self.loop.time()
        self.writable = self.loop.create_future()

    def resume_writing(self) -> None:
        self._full_since = NEVER
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None

    # -- what httptools found

    def on_message_begin(self) -> None:
        self._url, self._headers = b"", []
        self._in_head = True
        if (self._exchange is None or self._exchange.answered) and not self._is_guest:
            self._until = self.loop.time() + self.patience.head

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer is no header of the request: what is decided is decided by its head
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._closing or self._parser.should_upgrade():
            return
        headers, version = self._headers, self._parser.get_http_version()
        large = self._head_size > self.patience.head_bytes and self._size_of_head() > self.patience.head_bytes
        self._in_head, self._head_size, self._until = False, 0, NEVER
        if large or len(headers) > MAX_HEADERS:
            self._turn_away(TOO_LARGE)
        if len(self._queued) >= MAX_QUEUED:
            self._turn_away(BAD_REQUEST)
        names = dict(headers)
        hosts = b"host" in names if len(names) == len(headers) else sum(name == b"host" for name, _ in headers)
        if (hosts != 1 and (hosts or version != "1.0")) or version not in ("1.0", "1.1"):
            self._turn_away(BAD_REQUEST)
        if b"transfer-encoding" in names and not _all_are(headers, b"transfer-encoding", b"chunked"):
            self._turn_away(NOT_IMPLEMENTED)  # a body in a coding (gzip, say) would be stored as if it were the content
        url = httptools.parse_url(self._url)
        path = url.path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "root_path": "",
            "extensions": EXTENSIONS,
            "headers": headers,
            "nexus.fields": names if len(names) == len(headers) else None,
            **self._addresses,
        }
        # A client of HTTP/1.0 awaits no leave to send its body.
        expects = b"expect" in names and version != "1.0" and _any_is(headers, b"expect", b"100-continue")
        keep_alive = version != "1.0" and self._parser.should_keep_alive() and not self._is_guest
        before = self._exchange
        self._exchange = Exchange(self, scope, expects=expects, keep_alive=keep_alive)
        if before is None or before.answered:
            self._begin(self._exchange)
        else:
            self.pause_reading()
            self._queued.append(self._exchange)

    def _turn_away(self, status: str) -> NoReturn:
        """Refuse a request by its head; the parser stops there."""
        self._refuse(status)
        raise ValueError("its body is nobody's")

    def _size_of_head(self) -> int:
        """What came of it alone: what was read with it may be a body."""
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def on_body(self, body: bytes) -> None:
        self._head_size = 0
        exchange = self._exchange
        if exchange is None or exchange.answered or self._closing:
            return
        exchange.feed(body)
        if len(exchange.body) > READ_AHEAD:
            self.pause_reading()

    def on_message_complete(self) -> None:
        self._head_size = 0
        exchange = self._exchange
        if exchange is not None and not exchange.answered and not self._in_head:
            exchange.finish()

    # -- exchanges

    def _begin(self, exchange: Exchange) -> None:
        self._answering = exchange
        if self.turns.begun >= AT_ONCE and (share := self._crowd.share_of(exchange.scope)) is not None:
            self.turns.wait(share, exchange)
        else:
            self.begin(exchange)

    def begin(self, exchange: Exchange) -> None:
        """Let the application have a request."""
        self.turns.begun += 1
        task = self.loop.create_task(exchange.run(self._application))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def exchange_done(self, exchange: Exchange) -> None:
        """An answer is complete: go on to the next request, or end."""
        self._state.total_requests += 1
        if not exchange.keep_alive:
            self._end()
            return
        if self._queued:
            self._begin(self._queued.popleft())
        else:
            self._until = self.loop.time() + self.patience.idle
        if not self._reading:
            self.resume_reading()

    def shutdown(self) -> None:
        """End when what is under way is answered; uvicorn's server asks for it."""
        if self._exchange is None or self._exchange.answered:
            self._end()
        else:
            self._exchange.keep_alive = False

    def owing_since(self) -> float:
        """Since when the client owes a head, a body, or to take an answer; ``NEVER`` while the server owes it one.

        Ones half-way are worth seconds: who is idle goes before them.
        """
        exchange = self._exchange
        if self._full_since < NEVER:
            return self._full_since + HALF_WAY_SECONDS
        if self._closing:
            return NEVER if self._is_guest else self._until - self.patience.answer + HALF_WAY_SECONDS
        if exchange is None or exchange.answered:
            if self._in_head and self._head_size:
                return self._until - self.patience.head + HALF_HEAD_SECONDS
            return self._until - (self.patience.head if exchange is None else self.patience.idle)
        return exchange.waits_since + HALF_WAY_SECONDS if exchange.waits_for_body else NEVER

    def make_room(self) -> None:
        """End, for others to have the place."""
        exchange = self._exchange
        if self._full_since < NEVER or self._closing:
            self.abandon()
        elif exchange is None or exchange.answered:
            self._end()
        else:
            exchange.cut(TIMED_OUT)

    def overdue(self, now: float) -> None:
        """Give up a client that takes too long."""
        exchange = self._exchange
        if self._long is not None:
            self._long.look(now)
        if now > self._full_since + self.patience.answer:
            self.abandon()
        elif now > self._until:
            if self._closing:
                self.abandon()
            elif self._in_head and self._head_size:
                self._refuse(TOO_LATE)
            else:
                self._end()
        elif exchange is not None and exchange.stalls(now):
            exchange.cut(TIMED_OUT)

    def _end(self) -> None:
        """End when the client has taken what it was sent; one that takes nothing more has that long."""
        self._closing = True
        self._until = self.loop.time() + self.patience.answer
        self._transport.close()

    def abandon(self) -> None:
        """End at once, and short: the client must not take what it got for a whole answer."""
        self._closing = True
        self._transport.abort()

    def _refuse(self, status: str) -> None:
        """Answer what is no request; what is under way may end first."""
        if self._closing:
            return
        if self._exchange is not None and not self._exchange.answered:
            self.pause_reading()
            self._exchange.cut()
            return
        text = status.partition(" ")[2]
        head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(text)}\r\n"
        self._transport.write(f"{head}connection: close\r\n\r\n{text}".encode())
        self._end()

    # -- for exchanges

    async def drained(self) -> None:
        """Wait until the client took some of what it was sent, or is gone."""
        while self.writable is not None:
            await asyncio.shield(self.writable)

    def write_both(self, head: bytes, body: bytes) -> None:
        self._transport.writelines((head, body))

    def common_headers(self) -> bytes:
        """The lines that every answer has: uvicorn's server tells the date anew each second."""
        headers = self._state.default_headers
        if self._common[0] is not headers:
            self._common = (headers, b"".join(b"%b: %b\r\n" % header for header in headers))
            self.common_lines = len(headers)
        return self._common[1]

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self._closing and (self._long is None or self._long.takes):
            self._reading = True
            self._transport.resume_reading()


def _any_is(headers: Collection[tuple[bytes, bytes]], name: bytes, value: bytes) -> bool:
    return any(said.strip().lower() == value for each, said in headers if each == name)


def _all_are(headers: Collection[tuple[bytes, bytes]], name: bytes, value: bytes) -> bool:
    return all(said.strip().lower() == value for each, said in headers if each == name)


def _nowhere(data: bytes) -> None:
    raise RuntimeError("there is no connection yet")
