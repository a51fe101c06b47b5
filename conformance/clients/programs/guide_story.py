"""The whole story of the guide to several stores, as one program that any Nexus client can tell.

Mounts are added to a server that runs; paths find their stores; a read-only store refuses; old files move to a colder
store by a loop over listings; one content is one copy in each store; tenants share a bucket and see nothing of each
other; what has no room on the disk bursts to the cloud; and a class keeps three tiers in production. What the stores
hold afterwards is counted by whoever runs this (``tests/e2e/test_story.py``).

It imports nothing of this repository, so that it runs in the interpreter of a client from the package registry:
``python guide_story.py {nexus_client|nexus}`` with ``NEXUS_URL``, ``NEXUS_API_KEY`` and ``STORY_PLACES``. Such a client
is fitted with what the guide's has besides; the calls that no registry client has are left out (``knows``).
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

PROJECT = "my-gcp-project"
WEIGHTS = b"the weights that were in the bucket before anybody mounted it"
SHARED = b"one configuration at four paths"
CONTRACT, PROPOSAL = b"what acme agreed to", b"what globex offers"
HELLO = b"Hello from Nexus!"
CHUNK = 1024 * 1024


def tell(nx: Any, places: dict[str, str]) -> None:
    """All of it, in the guide's order. ``places`` names buckets and local directories."""
    nothing_is_mounted_yet(nx)
    mounts_at_run_time(nx, places)
    one_way_to_write_everywhere(nx)
    overlapping_mounts(nx, places)
    old_files_grow_cold(nx)
    one_copy_in_each_store(nx)
    places_for_tenants(nx, places)
    local_until_full(nx)
    the_connection_is_tested(nx)
    stores_without_a_cloud(nx, places)
    if nx.knows("set_metadata"):
        production(nx, places)


@contextmanager
def refused(words: str) -> Iterator[None]:
    """The block ends in an error that says so."""
    try:
        yield
    except Exception as error:
        assert words in str(error), f"{words!r} expected, not {error!r}"
    else:
        raise AssertionError(f"{words!r} expected, but it succeeded")


def gcs(bucket: str, **more: str) -> dict[str, str]:
    return {"bucket": bucket, "project_id": PROJECT, **more}


def nothing_is_mounted_yet(nx: Any) -> None:
    with refused("Backend not found for path /archives/file.txt"):
        nx.write("/archives/file.txt", b"no mount")
    with refused("no-such-bucket"):
        nx.add_mount(mount_point="/archives", backend_type="gcs", backend_config=gcs("no-such-bucket"))
    assert [mount["mount_point"] for mount in nx.list_mounts()] == ["/", "/workspace"]


def mounts_at_run_time(nx: Any, places: dict[str, str]) -> None:
    archives = nx.add_mount(
        mount_point="/archives",
        backend_type="gcs",
        backend_config=gcs(places["archives"]),
        priority=10,
        readonly=False,
    )
    datasets = nx.add_mount(
        mount_point="/datasets", backend_type="gcs", backend_config=gcs(places["datasets"]), priority=20, readonly=True
    )
    assert (archives, datasets) == ("/archives", "/datasets"), "a mount's id is its mount point"
    listed = {mount["mount_point"]: mount for mount in nx.list_mounts()}
    seen = {point: (each["backend_type"], each["priority"], each["readonly"]) for point, each in listed.items()}
    assert seen == {
        "/": ("local", 0, False),
        "/workspace": ("local", 0, False),
        "/archives": ("gcs", 10, False),
        "/datasets": ("gcs", 20, True),
    }, seen
    if nx.knows("attributes"):
        lines = [f"{mount.mount_point}: {mount.backend_type} {mount.priority}" for mount in nx.list_mounts()]
        assert "/datasets: gcs 20" in lines


def one_way_to_write_everywhere(nx: Any) -> None:
    nx.write("/workspace/active-task.txt", b"Processing...")
    nx.write("/archives/2024/report.pdf", b"PDF content...")
    with refused("/datasets"):
        nx.write("/datasets/new-data.csv", b"data")
    with refused("/datasets"):
        nx.remove("/datasets/reference/model-weights.bin")
    assert nx.read("/datasets/reference/model-weights.bin") == WEIGHTS
    assert nx.read("/workspace/active-task.txt") == b"Processing..."
    assert nx.read("/archives/2024/report.pdf") == b"PDF content..."
    assert [entry["path"] for entry in nx.list("/datasets", recursive=True) if not entry["is_directory"]] == [
        "/datasets/reference/model-weights.bin"
    ]


def overlapping_mounts(nx: Any, places: dict[str, str]) -> None:
    nx.add_mount(mount_point="/workspace/shared", backend_type="gcs", backend_config=gcs(places["shared"]), priority=10)
    nx.write("/workspace/file.txt", b"on the disk")
    nx.write("/workspace/shared/team-doc.txt", b"in the cloud")
    nx.write("/workspace/sharedness.txt", b"not below the mount")
    assert serving(nx, "/workspace/file.txt") == ("/workspace", "local")
    assert serving(nx, "/workspace/shared/team-doc.txt") == ("/workspace/shared", "gcs")
    assert serving(nx, "/workspace/sharedness.txt") == ("/workspace", "local")

    # Priority comes before length: a short prefix of high priority shadows the longer one below it.
    nx.add_mount(
        mount_point="/plans", backend_type="gcs", backend_config=gcs(places["shared"], prefix="plans/"), priority=30
    )
    nx.add_mount(
        mount_point="/plans/secret", backend_type="local", backend_config={"data_dir": places["plans"]}, priority=5
    )
    nx.write("/plans/secret/a.txt", b"shadowed")
    assert serving(nx, "/plans/secret/a.txt") == ("/plans", "gcs")
    if nx.knows("get_mount_info"):
        assert nx.get_mount_info("/workspace/shared").backend_type == "gcs"
        assert nx.get_mount_info("/workspace/shared/deep/down.txt").mount_point == "/workspace/shared"
        assert nx.get_mount_info("/workspace").backend_type == "local"


def serving(nx: Any, path: str) -> tuple[str, str]:
    """The mount and the kind of store that a file lies in."""
    found = nx.stat(path)
    return found["mount_point"], found["backend_type"]


# -- hot and cold


def tier_old_files(nx: Any, hot: str, cold: str, days: float, now: datetime) -> list[str]:
    """The guide's loop: what was made longer ago than so many days is copied to the colder place, then removed."""
    moved = []
    for entry in nx.list(hot, recursive=True):
        if entry["is_directory"]:
            continue
        path = entry["path"]
        if datetime.fromisoformat(nx.stat(path)["created_at"]) < now - timedelta(days=days):
            target = cold + path.replace(hot, "")
            nx.write(target, nx.read(path))
            nx.remove(path)
            moved.append(target)
    return moved


def old_files_grow_cold(nx: Any) -> None:
    hot, cold = "/workspace/processed", "/archives/workspace-archive"
    files = {f"/run-{number}/result.csv": f"result {number}".encode() for number in range(3)}
    for name, content in files.items():
        nx.write(hot + name, content)
    assert tier_old_files(nx, hot, cold, days=7, now=datetime.now()) == [], "nothing is a week old"
    moved = tier_old_files(nx, hot, cold, days=7, now=datetime.now() + timedelta(days=8))
    assert moved == [cold + name for name in files]
    for name, content in files.items():
        assert not nx.exists(hot + name) and nx.read(cold + name) == content
        assert serving(nx, cold + name) == ("/archives", "gcs")


# -- one copy in each store

FOUR_PATHS = (
    "/workspace/config.yaml",
    "/workspace/backup/config.yaml",
    "/archives/configs/v1.yaml",
    "/archives/configs/v2.yaml",
)


def one_copy_in_each_store(nx: Any) -> None:
    for path in FOUR_PATHS:
        nx.write(path, SHARED)
    assert {nx.read(path) for path in FOUR_PATHS} == {SHARED}
    assert len({nx.stat(path)["etag"] for path in FOUR_PATHS}) == 1


# -- tenants


def provision(nx: Any, tenant: str, bucket: str) -> str:
    """A tenant's place: a mount on a prefix of the one bucket, and directories to begin with."""
    root = f"/tenants/{tenant}"
    mount_id: str = nx.add_mount(
        mount_point=root, backend_type="gcs", backend_config=gcs(bucket, prefix=f"tenant-{tenant}/"), priority=20
    )
    for name in ("documents", "uploads", "exports"):
        nx.mkdir(f"{root}/{name}")
    return mount_id


def places_for_tenants(nx: Any, places: dict[str, str]) -> None:
    for tenant in ("acme-corp", "globex"):
        assert provision(nx, tenant, places["tenants"]) == f"/tenants/{tenant}"
    nx.write("/tenants/acme-corp/documents/contract.pdf", CONTRACT)
    nx.write("/tenants/globex/documents/proposal.pdf", PROPOSAL)
    made = {entry["path"] for entry in nx.list("/tenants/acme-corp", recursive=False) if entry["is_directory"]}
    assert made == {f"/tenants/acme-corp/{name}" for name in ("documents", "uploads", "exports")}
    assert serving(nx, "/tenants/globex/documents/proposal.pdf") == ("/tenants/globex", "gcs")


# -- bursting


def smart_write(nx: Any, path: str, content: bytes, limit_gib: float) -> str:
    """Write to the disk while there is room, else to the cloud; where it went."""
    usage = shutil.disk_usage(os.path.abspath(os.sep))
    used = (usage.total - usage.free) / 1024**3
    target = f"/workspace{path}" if used < limit_gib else f"/archives{path}"
    nx.write(target, content)
    return target


def local_until_full(nx: Any) -> None:
    for number, limit in enumerate((1e9, 1e9, 0.0, 0.0)):
        target = smart_write(nx, f"/data/file-{number}.bin", b"x" * CHUNK, limit)
        kind = "local" if limit else "gcs"
        assert target.startswith("/workspace" if limit else "/archives") and serving(nx, target)[1] == kind
        assert nx.stat(target)["size"] == CHUNK


def the_connection_is_tested(nx: Any) -> None:
    nx.write("/archives/test/hello.txt", HELLO)
    assert nx.read("/archives/test/hello.txt").decode() == HELLO.decode()


def stores_without_a_cloud(nx: Any, places: dict[str, str]) -> None:
    for point, place, priority in (("/fast", "ssd", 20), ("/archive", "hdd", 10), ("/scratch", "scratch", 5)):
        nx.add_mount(
            mount_point=point, backend_type="local", backend_config={"data_dir": places[place]}, priority=priority
        )
    for path, content in (
        ("/fast/active-model.bin", b"model"),
        ("/archive/2024-q1-data.tar.gz", b"archive"),
        ("/scratch/temp-results.json", b"{}"),
    ):
        nx.write(path, content)
        assert nx.read(path) == content and serving(nx, path)[1] == "local"


# -- production


class Tiers:
    """The guide's class: files begin hot, and what nobody used for a while moves on, its history with it."""

    def __init__(self, nx: Any, now: datetime) -> None:
        self.nx = nx
        self.now = now

    def write(self, path: str, content: bytes) -> str:
        hot = f"/workspace{path}"
        self.nx.write(hot, content)
        self.nx.set_metadata(hot, {"tier": "hot", "accessed_at": self.now.isoformat()})
        return hot

    def tier(self) -> list[str]:
        warmed = self._pass("/workspace", "/archives", "warm", timedelta(days=7))
        return warmed + self._pass("/archives", "/cold", "cold", timedelta(days=90))

    def _pass(self, origin: str, goal: str, tier: str, age: timedelta) -> list[str]:
        moved = []
        for entry in self.nx.list(origin, recursive=True):
            if entry["is_directory"]:
                continue
            meta = self.nx.get_metadata(entry["path"])
            if self.now - datetime.fromisoformat(meta.get("accessed_at", self.now.isoformat())) > age:
                moved.append(self._move(entry["path"], entry["path"].replace(origin, goal), tier))
        return moved

    def _move(self, path: str, target: str, tier: str) -> str:
        self.nx.write(target, self.nx.read(path))
        told = {"tier": tier, "accessed_at": self.now.isoformat(), "original_path": path}
        self.nx.set_metadata(target, told)
        self.nx.remove(path)
        return target


def production(nx: Any, places: dict[str, str]) -> None:
    nx.add_mount(mount_point="/cold", backend_type="gcs", backend_config=gcs(places["cold"]), priority=5)
    start = datetime.now()
    today = Tiers(nx, start)
    files = {"/data/model-output.bin": b"a model's output", "/data/user-upload.pdf": b"a user's upload"}
    for path, content in files.items():
        today.write(path, content)
    assert today.tier() == [] and nx.get_metadata("/workspace/data/user-upload.pdf")["tier"] == "hot"

    # An upload is used again on day 5; a week later only the output has been idle for long.
    nx.set_metadata("/workspace/data/user-upload.pdf", {"accessed_at": (start + timedelta(days=5)).isoformat()})
    assert Tiers(nx, start + timedelta(days=8)).tier() == ["/archives/data/model-output.bin"]
    warm = nx.get_metadata("/archives/data/model-output.bin")
    assert (warm["tier"], warm["original_path"]) == ("warm", "/workspace/data/model-output.bin")
    assert Tiers(nx, start + timedelta(days=99)).tier() == [
        "/archives/data/user-upload.pdf",
        "/cold/data/model-output.bin",
    ]
    assert nx.read("/cold/data/model-output.bin") == files["/data/model-output.bin"]
    assert serving(nx, "/cold/data/model-output.bin") == ("/cold", "gcs")
    assert not nx.exists("/workspace/data/model-output.bin") and not nx.exists("/archives/data/model-output.bin")


# -- clients from the package registry


class Fitted:
    """A registry client with the guide's ways: ``remove``, entries with details, times as texts, ``mkdir`` at ease."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def knows(self, what: str) -> bool:
        return hasattr(self._inner, what)

    def remove(self, path: str) -> None:
        self._inner.delete(path)

    def list(self, path: str, recursive: bool = True) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._inner.list(path, recursive=recursive, details=True)
        return found

    def mkdir(self, path: str) -> None:
        self._inner.mkdir(path, parents=True, exist_ok=True)

    def stat(self, path: str) -> dict[str, Any]:
        if self.knows("stat"):
            found = dict(self._inner.stat(path))
        else:  # nexus-ai-fs has none; its metadata does not tell the mount, which the listing of mounts does
            found = dict(self._inner.get_metadata(path))
            found["backend_type"], found["mount_point"] = found["backend_name"], self._mount_of(path)
        made = found["created_at"]
        if isinstance(made, datetime):  # these clients hand out what they were sent
            found["created_at"] = made.astimezone().replace(tzinfo=None).isoformat()
        return found

    def _mount_of(self, path: str) -> str:
        """By the guide's rule: of the mounts with a matching prefix the highest priority, then the longest."""
        mounts = [m for m in self._inner.list_mounts() if f"{path}/".startswith(f"{m['mount_point'].rstrip('/')}/")]
        return str(max(mounts, key=lambda mount: (mount["priority"], len(mount["mount_point"])))["mount_point"])


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    client = module.RemoteNexusFS(os.environ["NEXUS_URL"], api_key=os.environ["NEXUS_API_KEY"])
    tell(Fitted(client), json.loads(os.environ["STORY_PLACES"]))
    client.close()


if __name__ == "__main__":
    main()
