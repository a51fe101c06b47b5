"""The Nexus door as one ASGI endpoint: health, who-am-I, and the method table."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from random import getrandbits
from typing import Any

from gateway.admission import DOWNLOAD, UPLOAD
from gateway.core import Core
from gateway.errors import NotAllowed
from gateway.metrics import Metrics
from gateway.rpc import all_methods as _all_methods  # noqa: F401  (importing it fills the method table)
from gateway.rpc import streams
from gateway.rpc.body import Budget, declared_size, read_call
from gateway.rpc.errors import ACCESS_DENIED, INTERNAL, INVALID_REQUEST, NO_METHOD, RpcError, to_rpc_error
from gateway.rpc.methods import METHODS, Method, require_admin
from gateway.rpc.parameters import check
from gateway.rpc.tree import Facts, Tree
from gateway.rpc.unsupported import without
from gateway.rpc.values import Message, encode
from gateway.types import Principal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Sequence[tuple[bytes, bytes]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX = "/api/nfs/"
STREAMS = PREFIX + "stream/"

log = logging.getLogger("nexus.rpc")


class RpcDoor:
    """Serves Nexus RPC over ``core``. Errors travel in an HTTP 200, as Nexus clients expect."""

    def __init__(self, core: Core, metrics: Metrics | None = None) -> None:
        self._core = core
        self._metrics = metrics or Metrics()
        self._budget = Budget(core.settings.rpc_max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/health":
            await _answer(send, 200, {"status": "healthy", "service": "nexus-rpc"})
        elif path == "/api/auth/whoami":
            await self._whoami(scope, send)
        elif path.startswith(STREAMS) and scope["method"] in ("GET", "PUT"):
            with ExitStack() as held:
                await self._stream(held, scope, receive, send)
        elif path == PREFIX + "status":
            await _answer(send, 200, _STATUS | {"methods": sorted(METHODS)})
        else:
            with ExitStack() as held:
                await self._call(held, path.removeprefix(PREFIX), scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal | None:
        keys = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(keys) != 1 or keys[0][:7].lower() != b"bearer ":
            return None
        return await self._core.keyring.bearer(keys[0][7:].strip().decode("latin-1"))

    async def is_from_admin(self, scope: Scope) -> bool:
        """Whether an admin makes a call: their key is compared, once more than for any other call."""
        principal = await self._principal(scope)
        return principal is not None and principal.is_admin

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

    async def _enter(self, held: ExitStack, caller: Principal, *, writes: bool = False, room: int = 0) -> None:
        """Count a call as under way until ``held`` is closed; an admin's is, whatever else there is.

        Raises TooManyRequests, TooBusy.
        """
        self._core.rates.take(caller)
        admission, share = self._core.admission, caller.share
        if not caller.is_admin:
            admission.enter(share, writes=writes)
            held.callback(admission.leave, share)
        if room:
            held.callback(admission.give_back, share, await admission.room(share, room))

    async def _stream(self, held: ExitStack, scope: Scope, receive: Receive, send: Send) -> None:
        name, principal, start = f"stream.{scope['method']}", None, time.perf_counter()
        facts = _facts(scope)
        try:
            principal = await self._principal(scope)
            if principal is None:
                raise RpcError(ACCESS_DENIED, "a valid API key is needed")
            puts = scope["method"] == "PUT"
            await self._enter(held, principal, writes=puts, room=UPLOAD if puts else DOWNLOAD)
            tree = Tree(self._core, principal, facts)
            path = streams.path_of(scope["raw_path"], STREAMS)
            if scope["method"] == "PUT":
                message = await encode({"result": await streams.write(tree, path, dict(scope["headers"]), receive)})
                await _send(receive, send, 200, message)
                self._note(scope, name, principal, None, message.length, start, facts)
                return
            status, headers, opened = await streams.read(tree, path, dict(scope["headers"]))
        except Exception as error:
            told = _told(name, error)
            message = await encode({"error": told})
            await _send(receive, send, streams.STATUSES.get(told["code"], 500), message, _retry_after(told))
            self._note(scope, name, principal, told, message.length, start, facts)
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(opened.body, bytes):
            await send({"type": "http.response.body", "body": opened.body})
        else:
            await stream(receive, send, opened.body)
        self._note(scope, name, principal, None, opened.span.stop - opened.span.start, start, facts)

    async def _call(self, held: ExitStack, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        call_id: Any = None
        principal, told, start = None, None, time.perf_counter()
        facts = _facts(scope)
        try:
            principal = await self._principal(scope)
            if principal is None:
                raise RpcError(ACCESS_DENIED, "a valid API key is needed")
            await self._enter(held, principal)
            limit = declared_size(scope["headers"], self._core.settings.rpc_max_body)
            async with self._budget.take(limit):
                call = await read_call(receive, limit)
                call_id = _id_of(call)
                result = await _run(name, call, Tree(self._core, principal, facts))
                del call
            message = await encode({"jsonrpc": "2.0", "id": call_id, "result": result})
        except Exception as error:
            told = _told(name, error)
            message = await encode({"jsonrpc": "2.0", "id": call_id, "error": told})
        await _send(receive, send, 200, message)
        self._note(scope, name, principal, told, message.length, start, facts)

    def _note(
        self,
        scope: Scope,
        name: str,
        principal: Principal | None,
        told: dict[str, Any] | None,
        size: int,
        start: float,
        facts: Facts,
    ) -> None:
        seconds, code = time.perf_counter() - start, told["code"] if told else "ok"
        operation = name if name in METHODS or name in ("stream.GET", "stream.PUT") else "-"
        length = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
        received = int(length) if principal and length.isdigit() and len(length) < 16 else 0
        self._metrics.request("rpc", operation, code, seconds, received, size)
        _log(operation, principal, code, size, seconds, facts)


def _log(operation: str, principal: Principal | None, code: Any, size: int, seconds: float, facts: Facts) -> None:
    """Log a call: nothing of paths and credentials, and no name that a caller made up."""
    if log.isEnabledFor(logging.INFO):
        log.info(
            "operation=%s user=%s code=%s bytes=%d ms=%.2f request=%s",
            operation,
            principal.user_id if principal else "-",
            code,
            size,
            seconds * 1000,
            facts.request_id,
        )


async def _run(name: str, call: dict[str, Any], tree: Tree) -> Any:
    if call.get("method", name) != name:
        raise RpcError(INVALID_REQUEST, "the method in the body is not the one in the URL")
    method = METHODS.get(name)
    if method is None:
        raise RpcError(NO_METHOD, without(name), {"method": name})
    params = call.get("params")
    given: Any = {} if params is None else params
    if method.for_admins:
        try:
            require_admin(tree.principal)
        except NotAllowed as error:
            plain = _plain(method, given)
            await tree.core.audit.refuse(tree.deed(name, _target(method, plain), plain), error.reason)
            raise
    checked = check(method.declared, given)
    if not method.audited:
        return await method(tree, **checked)
    async with tree.recording(name, _target(method, checked), checked):
        return await method(tree, **checked)


def _plain(method: Method, given: Any) -> dict[str, Any]:
    """Of unchecked parameters what the method knows and is no structure."""
    told = given.items() if isinstance(given, dict) else ()
    return {name: value for name, value in told if name in method.declared and isinstance(value, str | int | float)}


def _target(method: Method, params: Mapping[str, Any]) -> str | None:
    target = params.get(method.target) if method.target else None
    return None if target is None else str(target)


def _id_of(call: dict[str, Any]) -> Any:
    found = call.get("id")
    if found is not None and not isinstance(found, str | int | float):
        raise RpcError(INVALID_REQUEST, "the id of a call is a text or a number")
    return found


def _told(name: str, error: Exception) -> dict[str, Any]:
    told = to_rpc_error(error)
    if told.code == INTERNAL:
        log.error("%s failed", name, exc_info=error)
    answer: dict[str, Any] = {"code": told.code, "message": told.message}
    return answer if told.data is None else answer | {"data": told.data}


def _facts(scope: Scope) -> Facts:
    agent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"), None)
    return Facts((scope.get("client") or ("",))[0], scope.get("scheme") == "https", agent, f"{getrandbits(64):016X}")


_STATUS = {
    "status": "running",
    "service": "nexus-rpc",
    "version": "1.0",
    "backend": {"type": "gateway", "location": None},
    "metadata": {"type": "catalog"},
}
"""What anybody may know: nothing of disks and hosts."""


async def _answer(send: Send, status: int, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _retry_after(told: Mapping[str, Any]) -> Headers:
    seconds = told.get("data", {}).get("retry_after")
    return [] if seconds is None else [(b"retry-after", b"%d" % seconds)]


async def _send(receive: Receive, send: Send, status: int, message: Message, more: Headers = ()) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % message.length), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if isinstance(message.pieces[0], bytes) and len(message.pieces) == 1:
        await send({"type": "http.response.body", "body": message.pieces[0]})
        return
    await stream(receive, send, aiter(message))


async def stream(receive: Receive, send: Send, chunks: AsyncIterator[bytes]) -> None:
    """Send chunk by chunk, until the end or until the client is gone (``send`` alone would not tell)."""
    departure: asyncio.Task[None] | None = None
    try:
        async for chunk in chunks:
            if departure is not None and departure.done():
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if departure is None:
                departure = asyncio.create_task(_departure(receive))
        await send({"type": "http.response.body", "body": b""})
    finally:
        if departure is not None:
            departure.cancel()
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
