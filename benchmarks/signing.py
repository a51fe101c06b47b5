"""Requests signed ahead of time by SigV4, so that signing is not measured."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass
class Signer:
    """Signs requests to one server on this machine, in the Authorization header, with the payload's digest."""

    port: int
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    _keys: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def head(
        self,
        method: str,
        path: str,
        query: str = "",
        digest: str = EMPTY,
        size: int = 0,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """The head of a request; ``path`` is unquoted, ``query`` is in its canonical form.

        ``more`` are headers that are signed as well, by their names in lower case.
        """
        target = quote(path, safe="/-_.~")
        lines = [f"{method} {target}{'?' + query if query else ''} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers(method, target, query, digest, more or {}).items()]
        if method in ("PUT", "POST"):
            lines.append(f"Content-Length: {size}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def headers(
        self, method: str, target: str, query: str, digest: str, more: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        told = dict(
            sorted({**(more or {}), "host": self.host, "x-amz-content-sha256": digest, "x-amz-date": stamp}.items())
        )
        lines, names = "".join(f"{name}:{value}\n" for name, value in told.items()), ";".join(told)
        canonical = f"{method}\n{target}\n{query}\n{lines}\n{names}\n{digest}"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._key(stamp[:8]), text.encode(), "sha256").hexdigest()
        credential = f"{self.access_key}/{scope}"
        authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return {"Host": told.pop("host"), **told, "Authorization": authorization}

    def _key(self, day: str) -> bytes:
        if day not in self._keys:
            key = b"AWS4" + self.secret_key.encode()
            for part in (day, self.region, "s3", "aws4_request"):
                key = hmac.new(key, part.encode(), "sha256").digest()
            self._keys = {day: key}
        return self._keys[day]

    def call(
        self, method: str, path: str, query: str = "", body: bytes = b""
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request, made now: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            target = quote(path, safe="/-_.~")
            headers = self.headers(method, target, query, hashlib.sha256(body).hexdigest())
            connection.request(method, f"{target}{'?' + query if query else ''}", body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()
