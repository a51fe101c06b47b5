"""Files as they are: ``GET`` and ``PUT /api/nfs/stream/<path>``, for content of any size, in flat memory.

Errors have the codes of calls, and HTTP statuses besides, for here the body of an answer is the file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_to_bytes

from backends.base import ByteRange
from gateway.bodies import Pieces
from gateway.errors import IncompleteBody
from gateway.objects import Opened
from gateway.ranges import parse_range, resolve_range
from gateway.rpc import paths
from gateway.rpc.errors import (
    ACCESS_DENIED,
    BAD_PARAMETERS,
    CONFLICT,
    EXISTS,
    FORBIDDEN,
    INVALID_PATH,
    NOT_FOUND,
    UNAVAILABLE,
    VALIDATION,
    RpcError,
    conflict,
)
from gateway.rpc.reading import open_, version_facts
from gateway.rpc.tree import Tree
from gateway.rpc.writing import Expected, file_place, put

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Mapping[bytes, bytes]

STATUSES = {
    NOT_FOUND: 404,
    EXISTS: 409,
    INVALID_PATH: 400,
    ACCESS_DENIED: 401,
    FORBIDDEN: 403,
    BAD_PARAMETERS: 416,
    VALIDATION: 400,
    CONFLICT: 412,
    UNAVAILABLE: 503,
}
"""The HTTP status of an error; 500 for what is not here. Of parameters only a range can be bad."""


class Body(Pieces):
    """The body of a request as content to store."""

    sha256: str | None = None
    trailers: Mapping[str, str] = {}

    def __init__(self, receive: Receive, length: int | None) -> None:
        self._receive = receive
        self.length = length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise IncompleteBody("the client went away")
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                return


async def write(tree: Tree, path: str, headers: Headers, receive: Receive) -> dict[str, Any]:
    """Write a file from the body. ``If-Match`` has a content hash, ``If-None-Match: *`` wants no file there."""
    absent, match = headers.get(b"if-none-match"), headers.get(b"if-match")
    if absent not in (None, b"*") or (absent and match):
        raise RpcError(VALIDATION, "If-None-Match is '*' or is not there, nor is it beside If-Match")
    expected = Expected(None if match is None else match.decode("latin-1"), absent is not None)
    length = headers.get(b"content-length")
    info = await put(tree, file_place(path), Body(receive, None if length is None else int(length)), expected)
    return await version_facts(tree, info)


async def read(tree: Tree, path: str, headers: Headers) -> tuple[int, list[tuple[bytes, bytes]], Opened]:
    """Open a file, or the one range of it that is wanted; what is opened must be the file that ``If-Match`` names."""
    found = await tree.file(paths.parse(path))
    content_hash = await tree.core.files.hash(found.info)
    match = headers.get(b"if-match")
    if match is not None and (wanted := match.decode("latin-1").strip('"')) != content_hash:
        raise conflict(found.place.path, wanted, content_hash)
    size = found.info.size
    asked = parse_range(headers.get(b"range", b"").decode("latin-1"))
    span = ByteRange(0, size) if asked is None else resolve_range(asked, size)
    if span is None:
        raise RpcError(BAD_PARAMETERS, f"the file has {size} bytes")
    opened = await open_(tree, found, span.start, span.stop)
    info = opened.info
    told = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % (opened.span.stop - opened.span.start)),
        (b"etag", b'"%s"' % (await tree.core.files.hash(info)).encode()),
        (b"last-modified", formatdate(info.modified_at // 1000, usegmt=True).encode()),
        (b"x-nexus-size", b"%d" % info.size),
    ]
    if asked is None:
        return 200, told, opened
    told.append((b"content-range", b"bytes %d-%d/%d" % (opened.span.start, opened.span.stop - 1, info.size)))
    return 206, told, opened


def path_of(raw_path: bytes, prefix: str) -> str:
    """The path that a URL names: percent-decoded once. Raises RpcError."""
    try:
        return unquote_to_bytes(raw_path[len(prefix) :]).decode()
    except UnicodeDecodeError:
        raise RpcError(INVALID_PATH, "the path is no UTF-8") from None
