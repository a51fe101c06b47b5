"""How a call looks on the wire, and when one may be sent again. No I/O: the clients do that."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from nexus.errors import NexusConnectionError, NexusPermissionError, from_rpc
from nexus.results import decode, encode

DEFAULT_TIMEOUT = 90.0
CONNECT_TIMEOUT = 5.0
ATTEMPTS = 4
FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0

REPEATABLE = frozenset(
    {
        *("read", "read_range", "read_bulk", "stat", "exists", "list", "glob", "grep", "is_directory", "get_etag"),
        *("get_metadata", "get_available_namespaces", "list_versions", "get_version", "list_mounts", "get_mount"),
        *(
            "has_mount",
            "explain_mounts",
            "locate",
            "list_saved_mounts",
            "list_connectors",
            "admin_list_users",
            "admin_get_user",
        ),
        *(
            "admin_list_tenants",
            "admin_usage",
            "admin_list_groups",
            "admin_list_grants",
            "admin_explain",
            "admin_grant",
        ),
        *("admin_list_keys", "admin_get_key", "admin_revoke_key", "set_metadata", "delete", "rmdir", "update_mount"),
    }
)
"""Methods that do the same when they are done twice."""
REMOVING = frozenset({"delete", "rmdir"})
"""Of them those that find nothing to do the second time, which is then what was wanted."""

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
PAST_THE_END = 416
"""The status of a range that begins where a file has ended."""
_LATER = frozenset({502, 503, 504})


def call_body(method: str, params: dict[str, Any]) -> bytes:
    call = {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}
    return json.dumps(call, default=encode).encode()


def result_of(server: str, answer: httpx.Response) -> Any:
    """The result in an answer. Raises NexusError and its kinds."""
    body = _json(server, answer)
    if "error" in body:
        raise from_rpc(body["error"])
    if answer.status_code != 200 or "result" not in body:
        raise _no_server(server, answer)
    return body["result"]


def check_stream(server: str, answer: httpx.Response) -> None:
    """Raise what an answer that is no file tells; it has been read."""
    if answer.status_code not in (200, 206):
        result_of(server, answer)


def whoami_of(server: str, answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code == 401:
        raise NexusPermissionError("a valid API key is needed")
    return _json(server, answer)


def _json(server: str, answer: httpx.Response) -> dict[str, Any]:
    try:
        body = json.loads(answer.content, object_hook=decode)
    except (ValueError, KeyError, TypeError):
        raise _no_server(server, answer) from None
    if not isinstance(body, dict):
        raise _no_server(server, answer)
    return body


def _no_server(server: str, answer: httpx.Response) -> NexusConnectionError:
    return NexusConnectionError(f"{server} does not answer as a Nexus server does: HTTP {answer.status_code}")


def unreachable(server: str, error: Exception) -> NexusConnectionError:
    return NexusConnectionError(f"cannot reach {server}: {error or type(error).__name__}")


def is_repeatable(method: str, params: Mapping[str, Any]) -> bool:
    """Whether a call does the same when it is done twice; what depends on an ETag does not."""
    if method == "mkdir":
        return bool(params.get("exist_ok"))
    return method in REPEATABLE and params.get("if_match") is None


def may_repeat(error: Exception, repeatable: bool) -> bool:
    """Whether a request that failed so may be sent again: it never left, or doing it twice does no harm."""
    return isinstance(error, _UNSENT) or (repeatable and isinstance(error, httpx.TransportError))


def comes_back_later(answer: httpx.Response, repeatable: bool) -> bool:
    """Whether a server that is there has no time now."""
    return repeatable and answer.status_code in _LATER


def delay(attempt: int, answer: httpx.Response | None = None) -> float:
    """How long to wait before the next attempt; a server that says how long is believed, within reason."""
    told = answer.headers.get("retry-after", "") if answer is not None else ""
    if told.isascii() and told.isdigit():
        return min(float(told), LONGEST_DELAY)
    return float(min(FIRST_DELAY * 2**attempt, LONGEST_DELAY)) * random.uniform(0.5, 1.0)


def stream_url(server: str, path: str) -> str:
    return f"{server}/api/nfs/stream/{quote(path.lstrip('/'), safe='/')}"


def write_headers(if_match: str | None, if_none_match: bool, force: bool) -> dict[str, str]:
    """The headers of a write's conditions."""
    headers = {}
    if if_match is not None and not force:
        headers["If-Match"] = f'"{if_match}"'
    if if_none_match and not force:
        headers["If-None-Match"] = "*"
    return headers


def range_header(start: int, end: int | None) -> dict[str, str]:
    """The header for bytes from ``start`` up to, not including, ``end``."""
    headers = {"Accept-Encoding": "identity"}  # offsets are of the file's own bytes
    if start or end is not None:
        headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
    return headers
