"""The Nexus door as one ASGI endpoint: health, who-am-I, and the method table."""

from __future__ import annotations

import inspect
import json
import logging
import types
import typing
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.core import Core
from gateway.rpc import encryption as _encryption  # noqa: F401  (importing it fills the method table)
from gateway.rpc.errors import (
    ACCESS_DENIED,
    BAD_PARAMETERS,
    INVALID_REQUEST,
    NO_METHOD,
    PARSE,
    RpcError,
    to_rpc_error,
)
from gateway.rpc.methods import METHODS, Method
from gateway.types import Principal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX = "/api/nfs/"
MAX_BODY = 8 * 1024 * 1024

log = logging.getLogger("nexus.rpc")


class RpcDoor:
    """Serves Nexus RPC over ``core``. Errors travel in an HTTP 200, as Nexus clients expect."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/health":
            await _answer(send, 200, {"status": "healthy", "service": "nexus-rpc"})
        elif path == "/api/auth/whoami":
            await self._whoami(scope, send)
        elif path == PREFIX + "status":
            await _answer(send, 200, {"status": "running", "service": "nexus-rpc", "methods": sorted(METHODS)})
        else:
            await self._call(path.removeprefix(PREFIX), scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal | None:
        keys = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(keys) != 1 or keys[0][:7].lower() != b"bearer ":
            return None
        return await self._core.keyring.bearer(keys[0][7:].strip().decode("latin-1"))

    async def _whoami(self, scope: Scope, send: Send) -> None:
        principal = await self._principal(scope)
        if principal is None:
            await _answer(send, 401, {"error": "Unauthorized", "message": "a valid API key is needed"})
            return
        known = {
            "authenticated": True,
            "subject_type": "user",
            "subject_id": principal.user_id,
            "tenant_id": principal.tenant,
            "is_admin": principal.is_admin,
            "user": principal.user_id,
        }
        await _answer(send, 200, known)

    async def _call(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        call_id: Any = None
        try:
            principal = await self._principal(scope)
            if principal is None:
                raise RpcError(ACCESS_DENIED, "a valid API key is needed")
            call = _parse(await _body(receive))
            call_id = call.get("id")
            if call.get("method", name) != name:
                raise RpcError(INVALID_REQUEST, "the method in the body is not the one in the URL")
            method = METHODS.get(name)
            if method is None:
                raise RpcError(NO_METHOD, f"no method {name!r}")
            parameters = _check(method, call.get("params") or {})
            answer = {"result": await method(self._core, principal, **parameters)}
        except Exception as error:
            told = to_rpc_error(error)
            if told.message == "internal error":
                log.error("%s failed", name, exc_info=error)
            answer = {"error": {"code": told.code, "message": told.message}}
            if told.data is not None:
                answer["error"]["data"] = told.data
        await _answer(send, 200, {"jsonrpc": "2.0", "id": call_id, **answer})


def _parse(body: bytes) -> dict[str, Any]:
    try:
        call = json.loads(body or b"{}")
    except ValueError:
        raise RpcError(PARSE, "the body is not JSON") from None
    if not isinstance(call, dict):
        raise RpcError(INVALID_REQUEST, "the body is not a JSON object")
    return call


def _check(method: Method, given: Any) -> dict[str, Any]:
    """The parameters of a call, each known, present where it must be, and of its type."""
    if not isinstance(given, dict):
        raise RpcError(BAD_PARAMETERS, "params is not a JSON object")
    hints = typing.get_type_hints(method)
    declared = {
        name: parameter
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for name in given.keys() - declared.keys():
        raise RpcError(BAD_PARAMETERS, f"unknown parameter {name!r}")
    for name, parameter in declared.items():
        if name not in given and parameter.default is parameter.empty:
            raise RpcError(BAD_PARAMETERS, f"parameter {name!r} is missing")
        if name in given and not _fits(given[name], hints[name]):
            raise RpcError(BAD_PARAMETERS, f"parameter {name!r} has the wrong type")
    return given


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in typing.get_args(hint))
    kind = typing.get_origin(hint) or hint
    if kind is list:
        return isinstance(value, list) and all(_fits(each, typing.get_args(hint)[0]) for each in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


async def _body(receive: Receive) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RpcError(PARSE, "the request ended early")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            raise RpcError(INVALID_REQUEST, f"a call has at most {MAX_BODY} bytes")
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _answer(send: Send, status: int, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
