"""The long body of a request, received where it is to stay.

While a body of known length comes, nothing in it is of HTTP: it need not pass the parser, nor the event loop's own
buffer. A connection lends its transport to a ``LongBody`` for that time, which has the kernel fill pieces that the
application gets as they are. Memory is taken when the application asks and not before, so that who waits for its turn
holds none.
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.http.connection import Connection
    from gateway.http.exchange import Exchange

LONG = 256 * 1024
"""Bodies of which less is still to come are not worth the change of protocols."""
PIECE, LESS = 512 * 1024, 64 * 1024
"""Bytes that the application gets at once, and of a client so slow that it had to be told of fewer."""
PATIENCE = 0.5
"""Seconds after which the application is told what there is of a piece, at the next look at all connections."""

_unset = ctypes.pythonapi.PyByteArray_FromStringAndSize
"""Makes a bytearray without writing zeros into it, which would cost as much as half of receiving."""
_unset.argtypes, _unset.restype = (ctypes.c_char_p, ctypes.c_ssize_t), ctypes.py_object

_dropped = bytearray(LESS)
"""Where bodies go that nobody wants any more."""


def still_to_come(exchange: Exchange) -> int:
    """How much of a body is, if it is long and its head tells how long; else 0."""
    length = 0
    for name, value in exchange.scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and (length or not value.isdigit())):
            return 0
        if name == b"content-length":
            length = int(value)
    left = length - exchange.received
    return left if left >= LONG else 0


class LongBody(asyncio.BufferedProtocol):
    """Takes what is ``left`` of a body, and not a byte more."""

    def __init__(self, connection: Connection, exchange: Exchange, left: int) -> None:
        self._connection = connection
        self._exchange = exchange
        self._left = left
        self._early, exchange.body = exchange.body, bytearray()
        """What came with the head."""
        self._told = 0
        self._most = PIECE
        self._piece: bytearray | None = None
        self._filled = 0
        self._wanted_since = 0.0

    @property
    def takes(self) -> bool:
        """Whether there is a place for what comes."""
        return self._piece is not None or self._exchange.answered

    def want(self) -> None:
        """Make room for a piece: the application asks for one. Pieces end at multiples of their size."""
        if self._piece is not None:
            return
        early, self._early = self._early, bytearray()
        size = min(max(self._most - self._told % self._most, len(early)), len(early) + self._left)
        self._piece, self._filled = _unset(None, size), len(early)
        self._piece[: len(early)] = early
        self._wanted_since = self._connection.loop.time()
        if self._filled == size:
            self._tell()

    def look(self, now: float) -> None:
        """Tell the application of half a piece if it waited long enough: it may have deadlines of its own."""
        if self._piece is not None and self._filled and now > self._wanted_since + PATIENCE:
            del self._piece[self._filled :]
            self._most = LESS
            self._tell()

    def _tell(self) -> None:
        assert self._piece is not None
        piece, self._piece = self._piece, None
        self._told += self._filled
        self._exchange.body = self._exchange.body + piece if self._exchange.body else piece
        self._exchange.wake()
        if self._left:
            self._connection.pause_reading()

    # -- the transport

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._exchange.answered:
            self._piece = None
            return memoryview(_dropped)[: self._left]
        if self._piece is None:
            self.want()
            assert self._piece is not None
        return memoryview(self._piece)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        self._left -= count
        if self._piece is not None:
            self._filled += count
            self._exchange.progress(count)
            if self._filled == len(self._piece):
                self._most = PIECE
                self._tell()
        if not self._left:
            self._connection.long_body_done()

    def eof_received(self) -> None:
        """As ``Connection`` takes it."""

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._exchange.long = self._piece = None
        self._connection.connection_lost(error)
