"""JSON with bytes, times and durations in it, both ways.

Bytes are ``{"__type__": "bytes", "data": <base64>}`` on the wire, times and durations likewise. Only what has exactly
that shape is taken for one. Content goes out as it comes from its store, in base64, and is never whole in memory.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from binascii import Error as NotBase64
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.errors import BadRequest

SLICE = 1000
"""Entries of a long list that are written down at once, before others have their turn."""
_DATA, _SECONDS = {"__type__", "data"}, {"__type__", "seconds"}


class BadValue(ValueError):
    """A typed value that is none."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """Bytes that are sent as they come; there are ``length`` of them."""

    length: int
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way out: its size, and its pieces in order."""

    length: int
    pieces: Sequence[bytes | Streamed]

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            async with aclosing(_in_base64(piece.chunks)) as texts:
                async for text in texts:
                    yield text


def decode(found: dict[str, Any]) -> Any:
    """A JSON object as what it stands for: to be called with each, the innermost first. Raises BadValue."""
    if "__type__" not in found:
        return found
    kind = found["__type__"]
    try:
        if found.keys() == _DATA and kind == "bytes":
            content = found["data"]
            return content if isinstance(content, bytearray) else base64.b64decode(content, validate=True)
        if found.keys() == _DATA and kind == "datetime":
            return datetime.fromisoformat(found["data"])
        if found.keys() == _SECONDS and kind == "timedelta":
            return timedelta(seconds=float(found["seconds"]))
    except (NotBase64, ValueError, TypeError, OverflowError):
        raise BadValue(f"what is said to be {kind} is not") from None
    return found


async def encode(message: dict[str, Any]) -> Message:
    """Write a message down."""
    mark = secrets.token_hex(16)
    streams: list[Streamed] = []

    def wrap(value: Any) -> Any:
        if isinstance(value, Streamed):
            streams.append(value)
            return {"__type__": "bytes", "data": mark}
        if isinstance(value, bytes | bytearray):
            return {"__type__": "bytes", "data": base64.b64encode(value).decode()}
        if isinstance(value, datetime):
            return {"__type__": "datetime", "data": value.isoformat()}
        if isinstance(value, timedelta):
            return {"__type__": "timedelta", "seconds": value.total_seconds()}
        raise TypeError(f"no JSON for {type(value).__name__}")

    encoder = json.JSONEncoder(default=wrap, separators=(",", ":"))
    texts = []
    for piece in _pieces(message, encoder):
        texts.append(piece)
        if len(piece) > SLICE:
            await asyncio.sleep(0)
    head, *tails = "".join(texts).split(f'"{mark}"')
    pieces: list[bytes | Streamed] = [head.encode()]
    for stream, tail in zip(streams, tails, strict=True):
        pieces += [b'"', stream, b'"' + tail.encode()]
    length = sum(len(piece) if isinstance(piece, bytes) else -(-piece.length // 3) * 4 for piece in pieces)
    return Message(length, pieces)


def _pieces(value: Any, encoder: json.JSONEncoder) -> Iterator[str]:
    """A value's JSON, long lists of objects or down to one in slices."""
    if isinstance(value, dict) and value and all(isinstance(name, str) for name in value):
        opening = "{"
        for name, item in value.items():
            yield f"{opening}{encoder.encode(name)}:"
            yield from _pieces(item, encoder)
            opening = ","
        yield "}"
    elif isinstance(value, list) and len(value) > SLICE:
        opening = "["
        for start in range(0, len(value), SLICE):
            yield opening + encoder.encode(value[start : start + SLICE])[1:-1]
            opening = ","
        yield "]"
    else:
        yield encoder.encode(value)


async def _in_base64(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Base64 of bytes that come in chunks of any size."""
    rest = b""
    try:
        async for chunk in chunks:
            whole = rest + chunk
            cut = len(whole) - len(whole) % 3
            rest = whole[cut:]
            if cut:
                yield base64.b64encode(memoryview(whole)[:cut])
        if rest:
            yield base64.b64encode(rest)
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def moment(millis: int) -> datetime:
    """A time of the catalog's, with its offset."""
    return datetime.fromtimestamp(millis / 1000, UTC)


def iso(millis: int | None) -> str | None:
    """The same as a text, for what clients take for one."""
    return None if millis is None else moment(millis).isoformat()


def millis_of(name: str, text: str | None) -> int | None:
    """A date, its midnight UTC, or a time, UTC where it does not say. Raises BadRequest."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{name} is a date or time in ISO 8601", name, text) from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
