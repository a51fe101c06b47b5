"""A connection without a server: the gateway runs inside this program, on a data directory.

The server's code is imported when such a connection is made, and not before: the client alone needs httpx alone.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from importlib import import_module
from typing import Any

import httpx

from nexus.aio import AsyncRemoteNexusFS
from nexus.client import RemoteNexusFS
from nexus.errors import NexusError
from nexus.wire import CONNECT_TIMEOUT, DEFAULT_TIMEOUT

URL = "http://embedded"

# A program may end without closing. ``atexit`` comes too late to close the server then: pools of threads take no more
# work by that time. What ends those comes before, last registered first, and has no public name.
_AT_EXIT = getattr(threading, "_register_atexit", atexit.register)


class EmbeddedNexusFS(RemoteNexusFS):
    """Files in a data directory, as its admin. Close it, or use ``with``."""

    def __init__(
        self, data_dir: str, timeout: float = DEFAULT_TIMEOUT, connect_timeout: float = CONNECT_TIMEOUT
    ) -> None:
        self._server = _start(data_dir)
        transport = httpx.HTTPTransport(uds=self._server.socket)
        super().__init__(URL, self._server.api_key, timeout, connect_timeout, transport=transport)

    def close(self) -> None:
        super().close()
        self._server.stop()


class AsyncEmbeddedNexusFS(AsyncRemoteNexusFS):
    """The same for asyncio."""

    def __init__(
        self, data_dir: str, timeout: float = DEFAULT_TIMEOUT, connect_timeout: float = CONNECT_TIMEOUT
    ) -> None:
        self._server = _start(data_dir)
        transport = httpx.AsyncHTTPTransport(uds=self._server.socket)
        super().__init__(URL, self._server.api_key, timeout, connect_timeout, transport=transport)

    async def close(self) -> None:
        await super().close()
        await asyncio.to_thread(self._server.stop)


def _start(data_dir: str) -> Any:
    try:
        server = import_module("gateway.embedded")
    except ModuleNotFoundError as missing:
        raise NexusError(
            f"without a URL the server runs in this program, and its part {missing.name} is not installed: "
            "pip install nexus-gateway, or give config={'url': …}, or set NEXUS_URL"
        ) from missing
    try:
        started = server.start(data_dir)
    except server.GatewayError as error:
        raise NexusError(str(error)) from error
    _AT_EXIT(started.stop)
    return started
