"""A client of S3 that costs little: one connection kept open, each request signed (SigV4) with all its headers."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

REGION = "us-east-1"
TIMEOUT = 20.0


class Answer(NamedTuple):
    """What came back; headers have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status < 300

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "").strip('"')

    def text(self, name: str) -> str:
        """The content of the first element of that name; empty where there is none."""
        found = re.search(rb"<%s>([^<]*)</" % name.encode(), self.body)
        return found[1].decode().replace("&quot;", "").strip('"') if found else ""

    def elements(self, *names: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Every element of these names, in order, as the texts of its children."""
        for element in ElementTree.fromstring(self.body):
            name = element.tag.rsplit("}", 1)[-1]
            if name in names:
                yield name, {child.tag.rsplit("}", 1)[-1]: (child.text or "").strip('"') for child in element}

    def __str__(self) -> str:
        return f"{self.status} {self.text('Code')}".strip()


class Broken(Exception):
    """The connection ended before the answer did: what became of the request is unknown."""


class S3:
    """Requests to a gateway on this machine. For one thread."""

    def __init__(self, port: int, access_key: str, secret_key: str, *, timeout: float = TIMEOUT) -> None:
        self._host = f"127.0.0.1:{port}"
        self._access_key, self._secret_key = access_key, secret_key
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._day, self._key = "", b""

    def close(self) -> None:
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        digest: str = "",
    ) -> Answer:
        """One request; ``path`` is ``/bucket/key``, unquoted. ``digest`` is claimed of the body. Raises Broken."""
        target = quote(path, safe="/-_.~")
        text = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted((query or {}).items()))
        signed = self._sign(method, target, text, dict(headers or {}), digest or hashlib.sha256(body).hexdigest())
        try:
            self._connection.request(method, f"{target}?{text}" if text else target, body, signed)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Broken(f"{type(error).__name__}: {error}") from error
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def _sign(self, method: str, target: str, query: str, headers: dict[str, str], digest: str) -> dict[str, str]:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers |= {"host": self._host, "x-amz-date": stamp, "x-amz-content-sha256": digest}
        names = sorted(headers)
        lines = "".join(f"{name}:{headers[name]}\n" for name in names)
        canonical = f"{method}\n{target}\n{query}\n{lines}\n{';'.join(names)}\n{digest}"
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._signing_key(stamp[:8]), text.encode(), "sha256").hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access_key}/{scope}, SignedHeaders={';'.join(names)}, "
            f"Signature={signature}"
        )
        return headers

    def _signing_key(self, day: str) -> bytes:
        if day != self._day:
            key = b"AWS4" + self._secret_key.encode()
            for part in (day, REGION, "s3", "aws4_request"):
                key = hmac.new(key, part.encode(), "sha256").digest()
            self._day, self._key = day, key
        return self._key
