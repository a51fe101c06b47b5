"""A request while it is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.auth.payload import RequestBody
    from gateway.auth.sigv4 import Identity
    from gateway.s3.call import Call

WHOLE = "nexus.whole"
"""The extension of ASGI that ``gateway.http`` offers for that."""


class Visit:
    """What is known of a request while it is served; most of it for the logs."""

    __slots__ = (
        *(
            "allowance",
            "answered",
            "body",
            "bucket",
            "call",
            "error",
            "headers",
            "identity",
            "key",
            "method",
            "operation",
        ),
        *("request_id", "room", "sent", "share", "site", "started", "status", "takes_whole", "user"),
    )

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.request_id = f"{getrandbits(64):016X}"
        self.started = perf_counter()
        self.method: str = scope["method"]
        self.headers: Mapping[bytes, bytes] = {}
        self.allowance: Sequence[tuple[bytes, bytes]] = ()
        """What lets the page that asks see the answer, whatever that is."""
        self.site: str | None = None
        """The bucket whose website is visited; None for a request to the REST endpoint."""
        self.bucket = ""
        self.key = ""
        self.operation = "-"
        self.user = "-"
        self.share: str | None = None
        """Who it is counted with while it is under way; None while it is not counted."""
        self.room = 0
        """Memory that it holds for its body, or for the answer's."""
        self.identity: Identity | None = None
        self.body: RequestBody | None = None
        self.call: Call | None = None
        self.error = ""
        """The code of the error that it is answered with."""
        self.status = 0
        self.answered = 0.0
        """When the answer began."""
        self.sent = 0
        self.takes_whole = WHOLE in scope.get("extensions", ())
        """Whether the server below takes head and body of an answer in one message."""
