"""Calls of the Nexus door: JSON with content in it, and the parameters of every method.

A case is a line with the method's name, and the body. It is read whole and in pieces, with the same result.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from random import Random
from typing import Any

from gateway.rpc import all_methods as _all_methods  # noqa: F401  (importing it fills the method table)
from gateway.rpc.app import _id_of
from gateway.rpc.body import read_call
from gateway.rpc.errors import RpcError
from gateway.rpc.methods import METHODS
from gateway.rpc.parameters import check
from gateway.rpc.values import encode
from reliability.fuzz.mutate import Mutator, below, pick
from reliability.fuzz.target import Finding, Pure, split
from reliability.fuzz.targets.query import driven

LIMIT = 1024 * 1024
_VALUES: tuple[Any, ...] = (
    *(
        "/bucket/key",
        "/",
        "",
        "/bucket",
        "..",
        "/bucket/../x",
        "a\x00b",
        "\ud800",
        "*",
        "**/*",
        "[a-",
        "(a+)+$",
        "x" * 5000,
    ),
    *(0, 1, -1, 2**31, 2**63, 10**400, 1.5, 1e300, True, False, None, [], {}, ["/bucket/key"], [1], {"a": "b"}, [[]]),
    *({"__type__": "bytes", "data": "aGVsbG8="}, {"__type__": "bytes", "data": "*"}, {"__type__": "bytes", "data": 1}),
    *({"__type__": "datetime", "data": "2026-01-01T00:00:00"}, {"__type__": "timedelta", "seconds": 1e308}),
    *(
        {"__type__": "timedelta", "seconds": "x"},
        {"__type__": "bytes"},
        {"__type__": []},
        {"__type__": "bytes", "data": []},
    ),
)
_TOKENS = (
    *(b'"params"', b'"id"', b'"method"', b"{}", b"[" * 500, b'{"a":' * 500, b"1e999", b"NaN", b"-Infinity", b"\\ud800"),
    *(
        b'{"__type__":"bytes","data":"',
        b'"__type__"',
        b'"data"',
        b"9" * 4500,
        b'"path":"/bucket/key"',
        b'"' + b"A" * 70_000,
    ),
    *(b'"a":1,"a":2', b"\\u0000", b"\xef\xbb\xbf", b"\x00", b"[]", b"null"),
)


class RpcTarget(Pure):
    """gateway/rpc: body, values and parameters."""

    name = "rpc"

    def __init__(self) -> None:
        self._names = tuple(METHODS)
        rng = Random("rpc")
        self._mutate = Mutator([self._body(rng, pick(rng, self._names)) for _ in range(80)], _TOKENS, most=90_000)

    def generate(self, rng: Random) -> bytes:
        name = pick(rng, self._names)
        body = self._body(rng, name)
        return name.encode() + b"\n" + (self._mutate(rng, body) if rng.random() < 0.5 else body)

    async def check(self, case: bytes) -> None:
        name, _, body = case.partition(b"\n")
        whole, pieces = await self._read(name.decode(), [body]), await self._read(name.decode(), split(body))
        if whole != pieces and not (isinstance(whole, int) and isinstance(pieces, int)):  # which of two faults is first
            raise Finding(f"whole it is {whole!r:.300}, in pieces {pieces!r:.300}")

    async def _read(self, name: str, pieces: Iterable[bytes]) -> Any:
        left = [*pieces, b""]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        try:
            call = driven(read_call(receive, LIMIT))
            told = _id_of(call)
            params = call.get("params")
            params = check(METHODS[name].declared, {} if params is None else params)
        except RpcError as error:
            return error.code
        message = driven(encode({"id": told}))
        json.loads(b"".join(piece for piece in message.pieces if isinstance(piece, bytes)), parse_constant=_no_json)
        return repr(params)

    def request(self, case: bytes) -> bytes:
        """The case as a call, whose key is filled in by the gateway."""
        name, _, body = case.partition(b"\n")
        head = b"POST /api/nfs/%b HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer API-KEY\r\n" % name
        return head + b"content-length: %d\r\n\r\n" % len(body) + body

    def _body(self, rng: Random, name: str) -> bytes:
        params = {
            parameter: _value(rng)
            for parameter, (_, needed) in METHODS[name].declared.items()
            if rng.random() < (0.9 if needed else 0.3)
        }
        call: dict[str, Any] = {"jsonrpc": "2.0", "id": pick(rng, (1, "a", None, 1.5, "\ud800")), "method": name}
        call["params"] = params
        return json.dumps(call).encode()


def _value(rng: Random) -> Any:
    chance = rng.random()
    if chance < 0.5:
        return pick(rng, ("/bucket/key", "/bucket/a", "/bucket", "key", 1, True, ["/bucket/key"]))
    if chance < 0.53:
        content = base64.b64encode(b"x" * (48_000 + below(rng, 4000))).decode()
        return {"__type__": "bytes", "data": content}
    if chance < 0.55:
        deep: Any = []
        for _ in range(below(rng, 500)):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        return {"a": deep}
    return pick(rng, _VALUES)


def _no_json(text: str) -> None:
    raise Finding(f"an answer holds {text}, which is no JSON")
