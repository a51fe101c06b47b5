"""``nexus.connect()``: where the server is, by what was given or by the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from nexus.aio import AsyncRemoteNexusFS
from nexus.client import RemoteNexusFS
from nexus.wire import CONNECT_TIMEOUT, DEFAULT_TIMEOUT

FIELDS = frozenset({"url", "api_key", "data_dir", "timeout", "connect_timeout"})


def connect(config: Mapping[str, Any] | None = None) -> RemoteNexusFS:
    """Connect to the server that ``config`` (``url``, ``api_key``, ``timeout``, ``connect_timeout``) tells.

    ``NEXUS_URL`` and ``NEXUS_API_KEY`` fill in what is not given. Without a URL, ``data_dir`` or ``NEXUS_DATA_DIR``
    names a data directory on which the server runs inside this program. Raises ValueError without either.
    """
    chosen = _chosen(config)
    if chosen.url:
        return RemoteNexusFS(chosen.url, chosen.api_key, chosen.timeout, chosen.connect_timeout)
    from nexus.embedded import EmbeddedNexusFS

    return EmbeddedNexusFS(chosen.data_dir, chosen.timeout, chosen.connect_timeout)


def connect_async(config: Mapping[str, Any] | None = None) -> AsyncRemoteNexusFS:
    """As ``connect``, for asyncio."""
    chosen = _chosen(config)
    if chosen.url:
        return AsyncRemoteNexusFS(chosen.url, chosen.api_key, chosen.timeout, chosen.connect_timeout)
    from nexus.embedded import AsyncEmbeddedNexusFS

    return AsyncEmbeddedNexusFS(chosen.data_dir, chosen.timeout, chosen.connect_timeout)


class _Chosen(NamedTuple):
    url: str
    """Empty where the server is to run inside this program, on ``data_dir``."""
    api_key: str | None
    data_dir: str
    timeout: float
    connect_timeout: float


def _chosen(config: Mapping[str, Any] | None) -> _Chosen:
    given = dict(config or {})
    if unknown := given.keys() - FIELDS:
        raise ValueError(f"config has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(FIELDS))}")
    if given.get("data_dir") and (given.get("url") or given.get("api_key")):
        raise ValueError("config has a url and an api_key, or a data_dir: one who has the files needs no key")
    url = given.get("url") or ("" if given.get("data_dir") else os.environ.get("NEXUS_URL") or "")
    data_dir = given.get("data_dir") or os.environ.get("NEXUS_DATA_DIR") or ""
    if not url and not data_dir:
        raise ValueError(
            "no server: give config={'url': …} or set NEXUS_URL (nexus serve starts one); "
            "for one inside this program give config={'data_dir': …} or set NEXUS_DATA_DIR"
        )
    return _Chosen(
        str(url),
        given.get("api_key") or os.environ.get("NEXUS_API_KEY"),
        str(data_dir),
        float(given.get("timeout") or DEFAULT_TIMEOUT),
        float(given.get("connect_timeout") or CONNECT_TIMEOUT),
    )
