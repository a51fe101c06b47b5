"""Requests as clients sign them, and answers without what differs by nature."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

HOST = "s3.test"
REGION = "us-east-1"
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class Credentials:
    """Both uses of an API key."""

    api_key: str

    @property
    def access_key(self) -> str:
        return self.api_key.split("_", 2)[1]

    @property
    def secret(self) -> str:
        return self.api_key.split("_", 2)[2]


@dataclass(frozen=True)
class Request:
    """A request before it is signed; texts may have places for what a world knows (``gap``)."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def gap(kind: str, number: int) -> str:
    """A place in a request for the id that a world gave out as its ``number``-th of a kind, counted from the last."""
    return f"@{kind}{number}@"


GAP = re.compile(r"@(upload|version|etag|canonical)(\d+)@")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def escaped(path: str) -> str:
    return quote(path, safe="/~")


def query_string(query: Mapping[str, str]) -> str:
    pairs = [(quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items()]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _signature(secret: str, stamp: str, canonical: str) -> str:
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return hmac.new(signing_key(secret, stamp[:8]), text.encode(), hashlib.sha256).hexdigest()


def signing_key(secret: str, day: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def signed(request: Request, key: Credentials, *, in_query: bool) -> tuple[str, dict[str, str]]:
    """The query string and the headers of a signed request."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    credential = f"{key.access_key}/{stamp[:8]}/{REGION}/s3/aws4_request"
    headers = {"host": HOST, **request.headers}
    query = dict(request.query)
    if not in_query:
        headers |= {"x-amz-date": stamp, "x-amz-content-sha256": UNSIGNED}
    names = ";".join(sorted(headers))
    if in_query:
        query |= {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": credential,
            "X-Amz-Date": stamp,
            "X-Amz-Expires": "600",
            "X-Amz-SignedHeaders": names,
        }
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
    canonical = "\n".join([request.method, escaped(request.path), query_string(query), *lines, "", names, UNSIGNED])
    signature = _signature(key.secret, stamp, canonical)
    if in_query:
        return f"{query_string(query)}&X-Amz-Signature={signature}", headers
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return query_string(query), {**headers, "authorization": authorization}


_VOLATILE_HEADERS = frozenset({"x-amz-request-id", "x-amz-id-2", "date", "last-modified"})
_VOLATILE = [
    (re.compile(pattern), text)
    for pattern, text in (
        (r"<(RequestId|HostId)>[^<]*</", r"<\1></"),
        (r"[0-9a-f]{12}[A-Za-z0-9_-]{48}", "UPLOAD"),
        (r"AAAA[A-Za-z0-9._]{28}", "VERSION"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "TIME"),
        (r"\b[0-9A-F]{16}\b", "REQUEST"),
        (r'"(created_at|modified_at|mtime|last_modified)": ?\d[\d.]*', r'"\1": TIME'),
    )
]


def normal(answer: Answer, names: Mapping[str, str]) -> str:
    """An answer without times and made-up ids; ``names`` are ids of the world and what stands for them."""
    told = {name: value for name, value in sorted(answer.headers.items()) if name not in _VOLATILE_HEADERS}
    told.pop("content-length", None)  # fractions of seconds are told without trailing zeros
    text = f"{answer.status} {told}\n{answer.body.decode('latin-1')}"
    for known, name in names.items():
        text = text.replace(known, name)
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    return text
