"""What happens when more clients come than there is room for.

A worker keeps a number of connections. When another one comes, those go first whose client has let it wait: kept ones
that are idle, then ones that stand still half-way. Where that makes no room, a few more come in as *guests*: one
request of theirs is answered if it is vital (health, metrics, an admin's call), any other with 503; what comes beyond
those is told so without being heard.

And when many requests arrive at once, they begin in *turns*: so many for each look at the sockets, and of those that
wait each share (a tenant, say) one after the other, so that five connections are not lost among five hundred.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection
from heapq import nsmallest
from typing import Any, Protocol

from gateway.http.deadlines import NEVER

Scope = dict[str, Any]

AT_ONCE = 32
"""Requests that begin between two looks at the sockets: few enough to look often, enough that looking costs little."""
RESERVE = 64
GUEST_SECONDS = 2.0
"""How long a guest may take for its request's headers."""
LINGER_SECONDS = 2.0
"""How long a client that is still sending is listened to after it was refused: else it may lose the answer."""
IDLE_SECONDS = 1.0
"""After how long without a request a connection may be closed for another one; SDKs open a new one then."""
SCAN_SECONDS = 0.1
PART = 16
"""Of the connections, one part in so many goes when one must: looking at all of them costs more than closing some."""
RETRY_AFTER = b"1"


class Doors(Protocol):
    """What the application tells of requests, from their heads."""

    async def is_vital(self, scope: Scope) -> bool:
        """Whether a request is answered even where there is no room."""

    def share_of(self, scope: Scope) -> str | None:
        """Who a request is counted with when many wait, unproven; None: it need not wait."""

    @property
    def refusal(self) -> bytes:
        """What a client is told for whom there is no room: a document of XML."""


class Crowded(Protocol):
    """A connection, as this module sees it."""

    def owing_since(self) -> float:
        """Since when its client owes something; ``NEVER`` while the server does."""

    def make_room(self) -> None:
        """End it."""


class Begins(Protocol):
    """A request that waits for its turn."""

    @property
    def gone(self) -> bool: ...

    def begin(self) -> None: ...


class _Plain:
    """Doors that know nothing of requests."""

    refusal = b""

    async def is_vital(self, scope: Scope) -> bool:
        return False

    def share_of(self, scope: Scope) -> str | None:
        return ""


class Crowd:
    """The connections of a worker, ``limit`` of them and a few guests."""

    def __init__(self, limit: int = 8192, reserve: int = RESERVE, doors: Doors | None = None) -> None:
        self.limit = limit
        self.turns = Turns()
        self.connections = 0
        self.refused = 0
        """Connections and requests for which there was no room."""
        self.dismissed = 0
        """Connections that were ended to make room."""
        self._reserve = reserve
        self._doors: Doors = doors or _Plain()
        self._guests: OrderedDict[Crowded, None] = OrderedDict()
        self._scan_after = 0.0
        self._places = 0
        """Connections that were dismissed and not replaced yet: they are there for a moment longer."""

    def share_of(self, scope: Scope) -> str | None:
        return self._doors.share_of(scope)

    # -- connections

    def make_room(self, connections: Collection[Crowded], now: float) -> bool:
        """Whether there is room for one more, now that those were ended that are least missed."""
        if len(connections) < self.limit:
            self._places = 0
            return True
        if not self._places and now >= self._scan_after:
            self._places = self._dismiss(connections, now)
        if not self._places:
            return False
        self._places -= 1
        return True

    def _dismiss(self, connections: Collection[Crowded], now: float) -> int:
        every = tuple(connections)
        owing = [(since, at) for at, each in enumerate(every) if (since := each.owing_since()) < now - IDLE_SECONDS]
        chosen = nsmallest(max(1, self.limit // PART), owing)
        for _, at in chosen:
            every[at].make_room()
        self.dismissed += len(chosen)
        if not chosen:
            self._scan_after = now + SCAN_SECONDS
        return len(chosen)

    def welcome(self, guest: Crowded) -> bool:
        """Take in a guest, perhaps for another one whose request is not here yet; False where all are busy."""
        if len(self._guests) >= self._reserve:
            idle = next((each for each in self._guests if each.owing_since() < NEVER), None)
            if idle is None:
                self.refused += 1
                return False
            self.leave(idle)
            self.refused += 1
            idle.make_room()
        self._guests[guest] = None
        return True

    def leave(self, guest: Crowded) -> None:
        self._guests.pop(guest, None)

    # -- what they are told

    def refusal(self) -> bytes:
        """A whole answer, for who is not heard."""
        body = self._doors.refusal
        head = b"HTTP/1.1 503 Service Unavailable\r\n" + b"".join(b"%b: %b\r\n" % line for line in _headers(body))
        return head + b"connection: close\r\n\r\n" + body

    def hosted(self, application: Callable[[Any, Any, Any], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """The application as guests see it."""

        async def serve(scope: Scope, receive: Any, send: Any) -> None:
            await (application if await self._doors.is_vital(scope) else self._refuse)(scope, receive, send)

        return serve

    async def _refuse(self, scope: Scope, receive: Any, send: Any) -> None:
        self.refused += 1
        body = self._doors.refusal
        await send({"type": "http.response.start", "status": 503, "headers": _headers(body)})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if not any(name.lower() == b"expect" for name, _ in scope["headers"]):
            try:
                async with asyncio.timeout(LINGER_SECONDS):
                    while (message := await receive())["type"] == "http.request" and message["more_body"]:
                        pass
            except TimeoutError:
                pass
        await send({"type": "http.response.body", "body": b""})


def _headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/xml"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", RETRY_AFTER),
    ]


class Turns:
    """Lets requests begin: at once where few do, else one of each share after the other.

    A request that began has a task, but runs only after all sockets were looked at; ``begun`` are those of which that
    is still to come. So no request of a server with little to do pays more than two additions.
    """

    __slots__ = ("_waiting", "begun")

    def __init__(self) -> None:
        self.begun = 0
        self._waiting: OrderedDict[str, deque[Begins]] = OrderedDict()

    def wait(self, share: str, request: Begins) -> None:
        """Have a request begin when it is its share's turn."""
        queue = self._waiting.get(share)
        if queue is None:
            queue = self._waiting[share] = deque()
        queue.append(request)

    def run(self) -> None:
        """A request that began runs now: another one may begin."""
        self.begun -= 1
        if self._waiting:
            self._begin_next()

    def _begin_next(self) -> None:
        while self._waiting:
            share, queue = self._waiting.popitem(last=False)
            request = queue.popleft()
            if queue:
                self._waiting[share] = queue
            if not request.gone:
                request.begin()
                return
