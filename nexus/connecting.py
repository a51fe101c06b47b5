"""``nexus.connect()``: where the server is, by what was given or by the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from nexus.aio import AsyncRemoteNexusFS
from nexus.client import RemoteNexusFS
from nexus.wire import CONNECT_TIMEOUT, DEFAULT_TIMEOUT

FIELDS = frozenset({"url", "api_key", "timeout", "connect_timeout"})


def connect(config: Mapping[str, Any] | None = None) -> RemoteNexusFS:
    """Connect to the server that ``config`` (``url``, ``api_key``, ``timeout``, ``connect_timeout``) tells.

    ``NEXUS_URL`` and ``NEXUS_API_KEY`` fill in what is not given. Raises ValueError without a URL: there is no server
    inside this package, and starting one is ``nexus serve``.
    """
    return RemoteNexusFS(**_arguments(config))


def connect_async(config: Mapping[str, Any] | None = None) -> AsyncRemoteNexusFS:
    """As ``connect``, for asyncio."""
    return AsyncRemoteNexusFS(**_arguments(config))


def _arguments(config: Mapping[str, Any] | None) -> dict[str, Any]:
    given = dict(config or {})
    if unknown := given.keys() - FIELDS:
        raise ValueError(f"config has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(FIELDS))}")
    url = given.get("url") or os.environ.get("NEXUS_URL")
    if not url:
        raise ValueError("no server: give config={'url': …} or set NEXUS_URL; nexus serve starts one")
    return {
        "server_url": str(url),
        "api_key": given.get("api_key") or os.environ.get("NEXUS_API_KEY"),
        "timeout": float(given.get("timeout") or DEFAULT_TIMEOUT),
        "connect_timeout": float(given.get("connect_timeout") or CONNECT_TIMEOUT),
    }
