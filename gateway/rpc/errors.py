"""JSON-RPC errors: one table from domain errors to the codes that Nexus clients know."""

from __future__ import annotations

from typing import Any

from gateway import errors as domain

PARSE, INVALID_REQUEST, NO_METHOD, BAD_PARAMETERS, INTERNAL = -32700, -32600, -32601, -32602, -32603
NOT_FOUND, EXISTS, ACCESS_DENIED, FORBIDDEN, VALIDATION = -32000, -32001, -32003, -32004, -32005


class RpcError(Exception):
    """An answer that is an error: a code, a message and perhaps facts for the client's exception."""

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


_CODES: dict[type[domain.GatewayError], int] = {
    domain.NotAllowed: FORBIDDEN,
    domain.ReadOnlyMount: FORBIDDEN,
    domain.BadRequest: VALIDATION,
    domain.BadBucketName: VALIDATION,
    domain.BadMount: VALIDATION,
    domain.MountExists: VALIDATION,
    domain.Overloaded: VALIDATION,
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


def to_rpc_error(error: Exception) -> RpcError:
    """The RPC error that tells of any exception; an internal one for what was not raised on purpose."""
    if isinstance(error, RpcError):
        return error
    for kind in type(error).__mro__:
        if kind in _CODES:
            return RpcError(_CODES[kind], str(error))
    if isinstance(error, domain.GatewayError):
        return RpcError(INTERNAL, str(error))
    return RpcError(INTERNAL, "internal error")
