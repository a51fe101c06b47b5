"""An answer on its way to the client, whatever became of the request's body.

A connection that is closed while bytes of the client's are unread is reset, and what it was just sent may be lost with
it. So an answer that ends a connection is sent whole, but not ended, until the client hung up or sent what it had to
send; for a while, and dropping what comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from gateway.s3.render import Body
from gateway.s3.visit import Visit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LINGER_BYTES = 64 * 1024
"""An unread request body over this costs the connection: it closes with the answer."""
LINGER_SECONDS = 10.0
"""How long a client that is still sending is listened to after it was answered."""

log = logging.getLogger("nexus.s3")


def brings_body(visit: Visit) -> bool:
    """Whether a request says that there is a body to it."""
    return visit.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in visit.headers


async def leaves_much_unread(visit: Visit) -> bool:
    """Whether so much of a request's body is still to come that the connection is better closed.

    After ``Expect: 100-continue`` any unread body is too much: the client may never send it, and then its next
    request would be taken for it.
    """
    headers = visit.headers
    length = headers.get(b"content-length", b"0")
    if visit.body is not None and await visit.body.drain(0):
        return False
    if b"expect" in headers or b"transfer-encoding" in headers:
        return True
    return not length.isdigit() or int(length) > LINGER_BYTES


async def send_answer(
    visit: Visit,
    receive: Receive,
    send: Send,
    headers: list[tuple[bytes, bytes]],
    body: Body,
    *,
    closes: bool,
) -> None:
    """Send an answer, after which the connection ``closes`` or is good for another request."""
    start: Message = {"type": "http.response.start", "status": visit.status, "headers": headers}
    if isinstance(body, bytes):
        if not closes and visit.takes_whole:
            start["body"] = body
            await send(start)
            visit.sent = len(body)
            return
        await send(start)
        if closes and _is_being_sent(visit):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await _linger(receive)
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": body})
        visit.sent = len(body)
        return
    try:
        await send(start)
        await _stream(visit, receive, send, body)
    except Exception as error:
        # The status is out. Raising makes the server close the connection short, which the client notices.
        log.error("request %s: the answer was cut short", visit.request_id, exc_info=error)
        raise
    finally:
        await close(body)


def _is_being_sent(visit: Visit) -> bool:
    """Whether the client goes on to send its body: one that asked first does so only once it was told to."""
    return b"expect" not in visit.headers or (visit.body is not None and visit.body.begun)


async def _linger(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass


async def _stream(visit: Visit, receive: Receive, send: Send, chunks: AsyncIterator[bytes]) -> None:
    """Send chunk by chunk, until the end or until the client is gone (``send`` alone would not tell)."""
    departure: asyncio.Task[None] | None = None
    try:
        async for chunk in chunks:
            if departure is not None and departure.done():
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            visit.sent += len(chunk)
            if departure is None:
                departure = asyncio.create_task(_departure(receive))
        await send({"type": "http.response.body", "body": b""})
    finally:
        if departure is not None:
            departure.cancel()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def close(body: object) -> None:
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()
