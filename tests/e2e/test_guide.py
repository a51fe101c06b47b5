"""The guide, block by block, and the examples it speaks of, on the emulator of Google's storage where there is one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import nexus
from tests.e2e.harness import Server
from tests.services import gcs_client

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "guide.md").read_text(), flags=re.S | re.M)
BUCKETS = ("my-nexus-archives", "company-ml-datasets", "team-shared", "nexus-prod-storage", "company-coldline")


@pytest.fixture(scope="module")
def emulator(request: pytest.FixtureRequest) -> str | None:
    """The address of Google's storage, None where this machine has no emulator of it."""
    try:
        endpoint: str = request.getfixturevalue("fake_gcs")["endpoint"]
    except pytest.skip.Exception:
        return None
    client = gcs_client(endpoint)
    for name in BUCKETS:
        client.create_bucket(name)
    return endpoint


@pytest.fixture
def nx(
    new_server: Callable[..., Server], emulator: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[nexus.RemoteNexusFS]:
    server = new_server(**({"STORAGE_EMULATOR_HOST": emulator} if emulator else {}))
    if emulator is None:
        _stand_in(monkeypatch, tmp_path)
    monkeypatch.setenv("NEXUS_URL", server.url)
    monkeypatch.setenv("NEXUS_API_KEY", server.admin.api_key)
    monkeypatch.setattr(sys, "path", [str(ROOT / "examples"), *sys.path])
    with nexus.connect() as connected:
        yield connected


def _stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let local stores stand in for buckets."""
    add_mount = nexus.MountManager.add_mount

    def added(
        manager: nexus.MountManager, mount_point: str, backend_type: str, backend_config: Any, **more: Any
    ) -> str:
        if backend_type == "gcs":
            place = folder / backend_config["bucket"] / backend_config.get("prefix", "")
            backend_type, backend_config = "local", {"data_dir": str(place), "pack_limit": "0"}
        return add_mount(manager, mount_point, backend_type, backend_config, **more)

    monkeypatch.setattr(nexus.MountManager, "add_mount", added)


def test_the_guide(nx: nexus.RemoteNexusFS, emulator: str | None, tmp_path: Path) -> None:
    # What the company has in its bucket of data sets before anybody mounts it read-only.
    if emulator:
        blob = gcs_client(emulator).bucket("company-ml-datasets").blob("reference/model-weights.bin")
        blob.upload_from_string(b"weights")
    else:
        nx.mount_manager.add_mount("/datasets", "gcs", {"bucket": "company-ml-datasets"})
        nx.write("/datasets/reference/model-weights.bin", b"weights")
        nx.remove_mount("/datasets")

    folders = {name: str(tmp_path / name) for name in ("ssd", "hdd", "tmp", "embedded", "scratch")}
    names: dict[str, Any] = {
        "url": nx.server_url,
        "api_key": _key(nx),
        "embedded": str(tmp_path / "embedded"),
        **folders,
    }
    assert len(BLOCKS) >= 15
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/guide.md, block {number + 1}", "exec"), names)

    kinds = {mount.mount_point: mount.backend_type for mount in nx.list_mounts()}
    cloud = "gcs" if emulator else "local"
    assert kinds["/archives"] == kinds["/workspace/shared"] == cloud and kinds["/workspace"] == "local"
    assert nx.read("/workspace/file.txt") == b"second"
    if emulator:
        _look_into_the_buckets(emulator)
    names["nx"].close()


def _key(nx: nexus.RemoteNexusFS) -> str:
    return str(nx._http.headers["authorization"].removeprefix("Bearer "))


def _look_into_the_buckets(emulator: str) -> None:
    client = gcs_client(emulator)
    copies = [blob for blob in client.list_blobs("my-nexus-archives") if blob.size == len(b"Shared configuration")]
    assert len(copies) == 1, "two files of one content are one copy in a store"
    prefixes = {blob.name.split("/")[0] for blob in client.list_blobs("nexus-prod-storage")}
    assert prefixes == {"tenant-acme-corp", "tenant-globex"}


def test_the_tiers_of_the_examples(nx: nexus.RemoteNexusFS, tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    from storage_manager import StorageManager
    from tiering import tier_old_files

    for point in ("/archives", "/cold"):
        nx.add_mount(point, "local", {"data_dir": str(tmp_path / point[1:])})
    nx.write("/workspace/processed/a/b.txt", b"old")
    assert tier_old_files(nx, "/workspace/processed", "/archives/old", days=0) == 1
    assert nx.read("/archives/old/a/b.txt") == b"old" and not nx.exists("/workspace/processed/a/b.txt")

    storage = StorageManager(nx)
    fresh, stale = storage.write("/data/fresh", b"fresh"), storage.write("/data/stale", b"stale")
    _last_used(nx, stale, days=8)
    assert storage.tier() == ["/archives/data/stale"]
    meta = nx.get_metadata("/archives/data/stale")
    assert (meta["tier"], meta["original_path"]) == ("warm", stale)
    _last_used(nx, "/archives/data/stale", days=91)
    assert storage.tier() == ["/cold/data/stale"] and nx.read("/cold/data/stale") == b"stale"
    assert nx.read(fresh) == b"fresh" and nx.get_metadata(fresh)["tier"] == "hot"


def _last_used(nx: nexus.RemoteNexusFS, path: str, days: int) -> None:
    nx.set_metadata(path, {"accessed_at": (datetime.now() - timedelta(days=days)).isoformat()})
