"""JSON-RPC errors: one table from domain errors to the codes that Nexus clients know."""

from __future__ import annotations

import math
from typing import Any

from gateway import errors as domain

PARSE, INVALID_REQUEST, NO_METHOD, BAD_PARAMETERS, INTERNAL = -32700, -32600, -32601, -32602, -32603
NOT_FOUND, EXISTS, INVALID_PATH, ACCESS_DENIED, FORBIDDEN = -32000, -32001, -32002, -32003, -32004
VALIDATION, CONFLICT = -32005, -32006
UNAVAILABLE = -32050
"""A store does not answer: another attempt may succeed. Nexus has no code for that."""

ABSENT = "(file does not exist)"
"""What stands for the ETag of a file that is not there."""


class RpcError(Exception):
    """An answer that is an error: a code, a message and perhaps facts for the client's exception."""

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def not_found(path: str) -> RpcError:
    return RpcError(NOT_FOUND, f"File not found: {path}", {"path": path})


def exists(path: str) -> RpcError:
    return RpcError(EXISTS, f"File exists: {path}", {"path": path})


def conflict(path: str, expected: str, current: str) -> RpcError:
    """The file is not what the caller thought it is."""
    message = f"Conflict at {path}: expected ETag {expected}, found {current}"
    return RpcError(CONFLICT, message, {"path": path, "expected_etag": expected, "current_etag": current})


_CODES: dict[type[domain.GatewayError], int] = {
    domain.NotAllowed: FORBIDDEN,
    domain.ReadOnlyMount: FORBIDDEN,
    domain.ObjectLocked: FORBIDDEN,
    domain.CustomerKeyNeeded: FORBIDDEN,
    domain.KmsDenied: FORBIDDEN,
    domain.KeyTooLong: INVALID_PATH,
    domain.BadRequest: VALIDATION,
    domain.BadBucketName: VALIDATION,
    domain.BadMount: VALIDATION,
    domain.NotHeld: VALIDATION,
    domain.KeyNotHeld: INVALID_PATH,
    domain.MountExists: VALIDATION,
    domain.BucketNotEmpty: VALIDATION,
    domain.EntityTooLarge: VALIDATION,
    domain.Overloaded: VALIDATION,
    domain.QuotaExceeded: VALIDATION,
    domain.TenantExists: EXISTS,
    domain.GroupExists: EXISTS,
    domain.TenantNotFound: NOT_FOUND,
    domain.GroupNotFound: NOT_FOUND,
    domain.GrantNotFound: NOT_FOUND,
    domain.KmsKeyExists: EXISTS,
    domain.KmsKeyNotFound: NOT_FOUND,
    domain.BucketExists: EXISTS,
    domain.UserExists: EXISTS,
    domain.BucketNotFound: NOT_FOUND,
    domain.ObjectNotFound: NOT_FOUND,
    domain.BackendNotFound: NOT_FOUND,
    domain.MountNotFound: NOT_FOUND,
    domain.UserNotFound: NOT_FOUND,
    domain.KeyNotFound: NOT_FOUND,
}
_UNTOLD: dict[type[domain.GatewayError], str] = {
    domain.CustomerKeyNeeded: "The file is encrypted with a customer's key, which only S3 requests can bring.",
    domain.ObjectLocked: "A retention or a legal hold protects the file.",
}
"""What to say where the error itself says nothing."""


def to_rpc_error(error: Exception) -> RpcError:
    """The RPC error that tells of any exception; an internal one for what was not raised on purpose."""
    if isinstance(error, RpcError):
        return error
    if not isinstance(error, domain.GatewayError):
        return RpcError(INTERNAL, "internal error")
    if isinstance(error, domain.TooManyRequests):
        return RpcError(UNAVAILABLE, str(error), {"reason": "rate", "retry_after": max(1, math.ceil(error.seconds))})
    if isinstance(error, domain.TooBusy):
        return RpcError(UNAVAILABLE, str(error), {"reason": "overload", "retry_after": math.ceil(error.seconds)})
    message = str(error) or _UNTOLD.get(type(error), type(error).__name__)
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), INTERNAL)
    if isinstance(error, domain.StoreUnreachable):
        return RpcError(UNAVAILABLE, message, {"reason": "store unavailable", "retry_after": error.retry_after})
    # What is no path of a file must not be called one: clients print ``data.path``, and else the message.
    return RpcError(code, message, {"reason": "backend"} if isinstance(error, domain.BackendNotFound) else None)


def judged(error: Exception) -> tuple[bool, str]:
    """Whether an error refuses somebody, and what it says: for the audit log."""
    told = to_rpc_error(error)
    return told.code in (FORBIDDEN, ACCESS_DENIED), told.message
