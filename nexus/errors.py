"""What a Nexus server can refuse, as exceptions; one table from RPC codes to them."""

from __future__ import annotations

from typing import Any


class NexusError(Exception):
    """Root of all; its text is the server's message."""


class NexusConnectionError(NexusError, ConnectionError):
    """The server cannot be reached, or what answers is no Nexus server."""


class NexusFileNotFoundError(NexusError, FileNotFoundError):
    """A path, mount, user or key is not there."""


class NexusPermissionError(NexusError, PermissionError):
    """The key is not valid, or its user may not do this."""


class BackendError(NexusFileNotFoundError):
    """No mount or bucket serves a path, or the store that holds a file is not mounted."""


class InvalidPathError(NexusError, ValueError):
    """A path makes no sense."""


class ValidationError(NexusError, ValueError):
    """A value makes no sense, such as a mount's configuration."""


class ConflictError(NexusError):
    """The file is not what the caller thought; both ETags tell."""

    def __init__(self, message: str, expected_etag: str = "", current_etag: str = "") -> None:
        super().__init__(message)
        self.expected_etag = expected_etag
        self.current_etag = current_etag


_BY_CODE: dict[int, type[Exception]] = {
    -32000: NexusFileNotFoundError,
    -32001: FileExistsError,
    -32002: InvalidPathError,
    -32003: NexusPermissionError,
    -32004: NexusPermissionError,
    -32005: ValidationError,
}


def from_rpc(error: dict[str, Any]) -> Exception:
    """The exception that tells of an RPC error."""
    code, message, facts = error.get("code"), str(error.get("message") or "unknown error"), error.get("data") or {}
    if code == -32006:
        return ConflictError(message, str(facts.get("expected_etag", "")), str(facts.get("current_etag", "")))
    kind = _BY_CODE.get(code) if isinstance(code, int) else None
    if kind is NexusFileNotFoundError and facts.get("reason") == "backend":
        kind = BackendError
    return kind(message) if kind else NexusError(f"{message} [{code}]")
