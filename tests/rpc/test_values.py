"""Typed values on their way out."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.rpc.values import SLICE, Streamed, encode


def sent(result: Any) -> Any:
    async def collect() -> bytes:
        message = await encode({"id": "x", "result": result})
        body = b"".join([piece async for piece in message])
        assert len(body) == message.length
        return body

    return json.loads(asyncio.run(collect()))["result"]


def test_each_type() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert sent({"a": [b"\x00\xff", when, timedelta(seconds=1.5)], "ü": 'q"'}) == {
        "a": [
            {"__type__": "bytes", "data": "AP8="},
            {"__type__": "datetime", "data": "2026-01-02T03:04:05.678000+00:00"},
            {"__type__": "timedelta", "seconds": 1.5},
        ],
        "ü": 'q"',
    }


@pytest.mark.parametrize("sizes", [[], [1], [2, 2], [3, 1, 5], [1000, 1, 1, 70_001]])
def test_streamed_content(sizes: list[int]) -> None:
    chunks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]

    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    found = sent({"content": Streamed(sum(sizes), source()), "after": 1})
    assert base64.b64decode(found["content"]["data"]) == b"".join(chunks) and found["after"] == 1


def test_long_lists_are_whole() -> None:
    rows = [{"path": f"/ws/{number}", "when": b"x"} for number in range(SLICE * 2 + 1)]
    assert [row["path"] for row in sent({"files": rows})["files"]] == [row["path"] for row in rows]
    assert sent(list(range(SLICE + 1))) == list(range(SLICE + 1))
    assert sent({}) == {} and sent([]) == [] and sent(None) is None
