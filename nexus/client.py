"""A connection to a Nexus server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx

from nexus.errors import NexusConnectionError, NexusPermissionError, from_rpc

DEFAULT_TIMEOUT = 90.0
CONNECT_TIMEOUT = 5.0


def connect(config: Mapping[str, Any] | None = None) -> RemoteNexusFS:
    """Connect to the server that ``config`` (``url``, ``api_key``, ``timeout``) or the environment names.

    ``NEXUS_URL`` and ``NEXUS_API_KEY`` fill in what is not given. Raises ValueError without a URL.
    """
    given = dict(config or {})
    url = given.get("url") or os.environ.get("NEXUS_URL")
    if not url:
        raise ValueError("no server: give config={'url': …} or set NEXUS_URL")
    api_key = given.get("api_key") or os.environ.get("NEXUS_API_KEY")
    return RemoteNexusFS(str(url), api_key, timeout=float(given.get("timeout") or DEFAULT_TIMEOUT))


class Mount(dict[str, Any]):
    """A mount as the server tells it; ``mount.mount_point`` is ``mount['mount_point']``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class RemoteNexusFS:
    """A server, called over HTTP with an API key. Safe to share between threads; close it, or use ``with``."""

    def __init__(
        self,
        server_url: str,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self.server_url = server_url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(headers=headers, timeout=httpx.Timeout(timeout, connect=connect_timeout))
        self.mount_manager = MountManager(self)

    def __enter__(self) -> RemoteNexusFS:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, **params: Any) -> Any:
        """The result of an RPC method. Raises NexusError and its kinds, NexusConnectionError when nothing answers."""
        call = {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}
        try:
            answer = self._http.post(f"{self.server_url}/api/nfs/{method}", json=call)
            body = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NexusConnectionError(f"cannot reach {self.server_url}: {error}") from error
        except ValueError as error:
            raise NexusConnectionError(f"{self.server_url} does not answer as a Nexus server does") from error
        if answer.status_code != 200 or not isinstance(body, dict) or ("result" not in body and "error" not in body):
            raise NexusConnectionError(f"{self.server_url} answered {answer.status_code}")
        if "error" in body:
            raise from_rpc(body["error"])
        return body["result"]

    def whoami(self) -> dict[str, Any]:
        """Whose key this is. Raises NexusPermissionError when it is nobody's."""
        try:
            answer = self._http.get(f"{self.server_url}/api/auth/whoami")
        except httpx.HTTPError as error:
            raise NexusConnectionError(f"cannot reach {self.server_url}: {error}") from error
        if answer.status_code == 401:
            raise NexusPermissionError("a valid API key is needed")
        known: dict[str, Any] = answer.json()
        return known

    def list_mounts(self) -> list[Mount]:
        return self.mount_manager.list_mounts()

    def get_mount_info(self, path: str) -> Mount | None:
        """The mount that serves a path, or None."""
        covering = self.call("explain_mounts", path=path)
        return Mount(covering[0]) if covering else None


class MountManager:
    """The mounts of a server. Needs an admin's key."""

    def __init__(self, server: RemoteNexusFS) -> None:
        self._server = server

    def add_mount(
        self,
        mount_point: str,
        backend_type: str,
        backend_config: Mapping[str, Any],
        priority: int = 0,
        readonly: bool = False,
    ) -> str:
        """Mount a store while the server runs; the mount's id. Raises ValidationError."""
        mount_id: str = self._server.call(
            "add_mount",
            mount_point=mount_point,
            backend_type=backend_type,
            backend_config=dict(backend_config),
            priority=priority,
            readonly=readonly,
        )
        return mount_id

    def remove_mount(self, mount_point: str) -> bool:
        """Remove a mount; its content stays in its store. Raises NexusFileNotFoundError."""
        return bool(self._server.call("remove_mount", mount_point=mount_point)["removed"])

    def list_mounts(self) -> list[Mount]:
        return [Mount(mount) for mount in self._server.call("list_mounts")]

    def get_mount(self, mount_point: str) -> Mount | None:
        """The mount of exactly that point, or None."""
        found = self._server.call("get_mount", mount_point=mount_point)
        return Mount(found) if found else None

    def has_mount(self, mount_point: str) -> bool:
        return bool(self._server.call("has_mount", mount_point=mount_point))
