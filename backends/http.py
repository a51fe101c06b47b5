"""Plain HTTP to one cloud, blocking: pooled connections, timeouts, failures told as a store tells them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions

from backends.base import StoreMisconfigured, StoreUnavailable
from backends.pinned import POOLS

CONNECT_SECONDS = 5.0
MAX_PAUSE = 30.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""


class Http:
    """Connections to one service. ``base`` is its address; it is asked for nothing else."""

    def __init__(self, base: str, *, timeout: float, connections: int) -> None:
        self.base = base
        self._timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout)
        parts = urlsplit(base)
        proxy = getproxies().get(parts.scheme)
        if proxy and not proxy_bypass(parts.hostname or ""):
            self.pool: urllib3.PoolManager = urllib3.ProxyManager(proxy, maxsize=connections, retries=False)
        else:
            self.pool = urllib3.PoolManager(maxsize=connections, retries=False)
            self.pool.pool_classes_by_scheme = POOLS

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: Sequence[bytes] = ()
    ) -> urllib3.BaseHTTPResponse:
        """One request; the head of its answer, whatever the status. The caller reads the body or closes it."""
        length = sum(map(len, body))
        sent = {**headers, "User-Agent": "nexus-gateway"}
        if length or method in ("PUT", "POST"):
            sent["Content-Length"] = str(length)
        with self.telling():
            return self.pool.request(
                method,
                url,
                headers=sent,
                body=body or None,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
                redirect=False,
            )

    def whole(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        """The body of an answer that is known to be short."""
        with self.telling():
            try:
                return answer.read()
            finally:
                answer.release_conn()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Turn what the client beneath raises into what a store raises."""
        try:
            yield
        except exceptions.SSLError as error:
            raise StoreMisconfigured(f"no trusted TLS connection to {self.base}: {error}") from error
        except (exceptions.LocationValueError, exceptions.URLSchemeUnknown) as error:
            raise StoreMisconfigured(f"{self.base} is no address: {error}") from error
        except (exceptions.HTTPError, OSError, ssl.SSLError) as error:
            raise StoreUnavailable(f"{self.base} cannot be reached or broke off: {_said(error)}") from error

    def close(self) -> None:
        self.pool.clear()


def _said(error: Exception) -> str:
    """What the client beneath says, without the name of its connection in front: the address is told already."""
    return re.sub(r"^\w+\(host=[^)]*\): ", "", str(error))


class HttpBody:
    """The body of an answer, as a Body."""

    def __init__(self, http: Http, answer: urllib3.BaseHTTPResponse) -> None:
        self._http = http
        self._answer = answer
        length = answer.headers.get("Content-Length", "")
        if not length.isdigit():
            answer.close()
            raise StoreUnavailable(f"{http.base} does not say how long a body is")
        self.size = self._left = int(length)

    def read(self, amount: int) -> bytes:
        with self._http.telling():
            chunk: bytes = self._answer.read(amount)
        self._left -= len(chunk)
        if not self._left:
            self._answer.release_conn()
        return chunk

    def close(self) -> None:
        if self._left:
            self._answer.close()
        self._answer.release_conn()


class Nothing:
    """The part of an object beyond its end."""

    size = 0

    def read(self, amount: int) -> bytes:
        return b""

    def close(self) -> None:
        return None


def starts_at(answer: urllib3.BaseHTTPResponse, start: int) -> bool:
    """Whether an answer is a part of an object, and the one that was asked for."""
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def retry_after(headers: Mapping[str, str]) -> float:
    """How many seconds a service asks to be left alone for; 0 where it does not say, or tells a date."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(float(text), MAX_PAUSE) if text.isascii() and text.isdigit() else 0.0
