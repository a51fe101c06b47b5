"""``import nexus`` against a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import nexus
from tests.e2e.harness import Server, free_port, unique


def test_mounts_while_the_server_runs(server: Server, store_dir: Callable[[], Path]) -> None:
    point = f"/{unique('m')}"
    with nexus.connect({"url": server.url, "api_key": server.admin.api_key}) as nx:
        assert nx.whoami()["is_admin"] is True
        mounted = nx.mount_manager.add_mount(point, "local", {"data_dir": str(store_dir())}, priority=5, readonly=True)
        assert mounted == point
        (mount,) = [each for each in nx.list_mounts() if each.mount_point == point]
        assert (mount.backend_type, mount["priority"], mount.readonly) == ("local", 5, True)
        info = nx.get_mount_info(f"{point}/deep/key")
        assert info is not None and info.mount_point == point
        assert nx.mount_manager.has_mount(point) and nx.mount_manager.get_mount(f"{point}/deep") is None
        with pytest.raises(nexus.ValidationError, match="exists"):
            nx.mount_manager.add_mount(point, "local", {"data_dir": str(store_dir())})
        with pytest.raises(nexus.ValidationError, match="no setting colour"):
            nx.mount_manager.add_mount("/other", "local", {"data_dir": "/tmp", "colour": "red"})
        assert nx.mount_manager.remove_mount(point)
        with pytest.raises(nexus.NexusFileNotFoundError):
            nx.mount_manager.remove_mount(point)


def test_what_goes_wrong_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with nexus.RemoteNexusFS(server.url, "nxk_wrong") as nx:
        with pytest.raises(nexus.NexusPermissionError):
            nx.list_mounts()
        with pytest.raises(nexus.NexusPermissionError):
            nx.whoami()
    with nexus.RemoteNexusFS(f"http://127.0.0.1:{free_port()}", "x") as nx, pytest.raises(nexus.NexusConnectionError):
        nx.list_mounts()
    monkeypatch.delenv("NEXUS_URL", raising=False)
    with pytest.raises(ValueError, match="NEXUS_URL"):
        nexus.connect()
    monkeypatch.setenv("NEXUS_URL", server.url)
    monkeypatch.setenv("NEXUS_API_KEY", server.admin.api_key)
    with nexus.connect() as nx:
        assert nx.list_mounts()
