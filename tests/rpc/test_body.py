"""Bodies of calls: JSON whose content is decoded while it arrives."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.rpc.body import LONG, SMALL_BODY, Budget, declared_size, read_call
from gateway.rpc.errors import BAD_PARAMETERS, INVALID_REQUEST, PARSE, VALIDATION, RpcError

LIMIT = 8 * 1024 * 1024


def read(chunks: Iterable[bytes], limit: int = LIMIT) -> dict[str, Any]:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return asyncio.run(read_call(receive, limit))


def cut(body: bytes, sizes: random.Random) -> Iterable[bytes]:
    at = 0
    while at < len(body):
        size = sizes.choice((1, 7, 1000, 4096, 65536))
        yield body[at : at + size]
        at += size


def wrapped(content: bytes) -> dict[str, str]:
    return {"__type__": "bytes", "data": base64.b64encode(content).decode()}


@pytest.mark.parametrize("size", [0, 1, 2, 3, LONG // 4 * 3 - 1, LONG // 4 * 3 + 1, LONG, LONG + 1, 700_001])
def test_content_of_any_size_in_chunks_of_any_size(size: int) -> None:
    sizes = random.Random(size)
    content = sizes.randbytes(size)
    params = {"path": '/ws/qu"ote\\ü', "content": wrapped(content), "more": [wrapped(b"1"), wrapped(content)]}
    body = json.dumps({"id": 7, "params": params}).encode()
    for chunks in (cut(body, sizes), [body], [body[:-1], body[-1:]]):
        call = read(chunks)
        assert call == {"id": 7, "params": {"path": '/ws/qu"ote\\ü', "content": content, "more": [b"1", content]}}


def test_an_empty_body_calls_without_parameters() -> None:
    assert read([]) == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", PARSE),
        (b"nonsense", PARSE),
        (b"[" * 100_000, PARSE),
        (b'{"a":' * 100_000, PARSE),
        (b'{"a": NaN}', PARSE),
        (b'{"a": ' + b"9" * 10_000 + b"}", PARSE),
        (b"\xff\xfe", PARSE),
        (b'{"a": "\xff"}', PARSE),
        (b"[]", INVALID_REQUEST),
        (b'{"a": {"__type__": "bytes", "data": "no base64!"}}', BAD_PARAMETERS),
        (b'{"a": {"__type__": "bytes", "data": 5}}', BAD_PARAMETERS),
        (b'{"a": {"__type__": "datetime", "data": "yesterday"}}', BAD_PARAMETERS),
        (b'{"a": {"__type__": "timedelta", "seconds": "1e999"}}', BAD_PARAMETERS),
        (b'{"a": "' + b"x" * 3 * LONG + b'"}', BAD_PARAMETERS),
    ],
)
def test_what_is_no_call(body: bytes, code: int) -> None:
    with pytest.raises(RpcError) as refused:
        read([body[:70_000], body[70_000:]])
    assert refused.value.code == code


def test_only_the_exact_shape_is_a_typed_value() -> None:
    for harmless in (
        {"__type__": "bytes", "data": "aGk=", "more": 1},
        {"__type__": "other", "data": "aGk="},
        {"__type__": "bytes"},
        {"__type__": ["bytes"], "data": "aGk="},
    ):
        assert read([json.dumps({"a": harmless}).encode()]) == {"a": harmless}


def test_a_body_over_the_limit_is_pointed_elsewhere() -> None:
    with pytest.raises(RpcError, match="S3") as refused:
        read([b" " * 600, b" " * 600], limit=1000)
    assert refused.value.code == VALIDATION
    with pytest.raises(RpcError, match="S3"):
        declared_size([(b"content-length", b"1001")], 1000)
    assert declared_size([], 1000) == 1000
    assert declared_size([(b"content-length", b"12")], 1000) == 12


async def test_large_bodies_wait_for_their_turn() -> None:
    budget = Budget(10 * SMALL_BODY)
    order: list[str] = []

    async def call(name: str, size: int, done: asyncio.Event) -> None:
        async with budget.take(size):
            order.append(name)
            await done.wait()

    first, rest = asyncio.Event(), asyncio.Event()
    tasks = [
        asyncio.create_task(call("a", 8 * SMALL_BODY, first)),
        asyncio.create_task(call("b", 6 * SMALL_BODY, rest)),
        asyncio.create_task(call("c", 2 * SMALL_BODY, rest)),
        asyncio.create_task(call("small", 10, rest)),
    ]
    await asyncio.sleep(0)
    assert order == ["a", "small"], "nobody overtakes, and small bodies need no room"
    gone = asyncio.create_task(call("gone", SMALL_BODY * 3, rest))
    await asyncio.sleep(0)
    gone.cancel()
    first.set()
    rest.set()
    await asyncio.gather(*tasks)
    assert order == ["a", "small", "b", "c"]
    async with budget.take(100 * SMALL_BODY):
        pass


def test_a_call_of_values_without_end_is_refused_while_it_comes() -> None:
    endless = (b'"a",' * 10_000 for _ in range(1000))
    with pytest.raises(RpcError) as refusal:
        read([b'{"params":[', *endless])
    assert refusal.value.code == VALIDATION
    texts = b'"%b",' % (b"a" * 1000) * 5000
    assert len(read([b'{"params":[' + texts + b"1]}"])["params"]) == 5001


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN", b"Infinity"])
def test_a_number_that_could_not_be_told_again_is_refused(number: bytes) -> None:
    with pytest.raises(RpcError) as refusal:
        read([b'{"id":%b}' % number])
    assert refusal.value.code == PARSE


@pytest.mark.parametrize("piece", [1000, LONG, 10 * LONG])
def test_a_long_text_is_refused_whatever_pieces_it_comes_in(piece: int) -> None:
    body = json.dumps({"params": {"path": "/ws/" + "x" * 8 * LONG}}).encode()
    with pytest.raises(RpcError) as refused:
        read([body[at : at + piece] for at in range(0, len(body), piece)])
    assert refused.value.code == BAD_PARAMETERS
