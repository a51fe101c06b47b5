"""The guide's whole story, told by four clients to real servers with mounts on a real fake-gcs-server.

The story (``conformance/clients/programs/guide_story.py``) asserts what a client sees; here the stores themselves are
asked what they hold: Google's own client counts objects in buckets, files and packs are counted on the disk, S3 reads
the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nexus
from conformance.clients.checks.nexus_clients import AI_FS, FS_PYTHON
from conformance.clients.programs import guide_story as story
from conformance.clients.tools import NotInstallable, Pip
from tests.e2e.harness import Server, keys_of, refused, unique
from tests.services import gcs_client

ROOT = Path(__file__).parents[2]
BUCKETS = ("archives", "datasets", "shared", "tenants", "cold")
LOCAL = ("plans", "ssd", "hdd", "scratch")


@dataclass
class Stage:
    """A server of the story's own, its buckets, and Google's client to look into them."""

    server: Server
    places: dict[str, str]
    google: Any

    def objects(self, place: str, prefix: str = "") -> list[str]:
        return [blob.name for blob in self.google.list_blobs(self.places[place], prefix=prefix)]


@pytest.fixture
def stage(fake_gcs: dict[str, str], tmp_path: Path) -> Iterator[Stage]:
    google = gcs_client(fake_gcs["endpoint"])
    places = {name: unique(name) for name in BUCKETS} | {name: str(tmp_path / name) for name in LOCAL}
    for name in BUCKETS:
        google.create_bucket(places[name])
    server = Server(tmp_path, environment={"STORAGE_EMULATOR_HOST": fake_gcs["endpoint"]})
    server.start()
    try:
        made = Stage(server, places, google)
        _fill_the_data_sets(made)
        yield made
    finally:
        server.stop()


def _fill_the_data_sets(stage: Stage) -> None:
    """What the company has in its bucket before anybody mounts it read-only, put there by Google's own client."""
    blob = stage.google.bucket(stage.places["datasets"]).blob("reference/model-weights.bin")
    blob.upload_from_string(story.WEIGHTS)


def _sync(stage: Stage) -> None:
    with _Ours(stage.server.url, stage.server.admin.api_key) as nx:
        story.tell(nx, stage.places)


class _Ours(nexus.RemoteNexusFS):
    """Our client is the guide's, with nothing to fit: mounts are added by its mount manager."""

    def add_mount(self, *arguments: Any, **options: Any) -> str:
        return self.mount_manager.add_mount(*arguments, **options)

    def knows(self, what: str) -> bool:
        return True


class _Awaited:
    """Our client for asyncio, each call awaited."""

    def __init__(self, inner: nexus.AsyncRemoteNexusFS, run: Callable[[Any], Any]) -> None:
        self._inner = inner
        self._run = run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner.mount_manager if name == "add_mount" else self._inner, name)
        return lambda *arguments, **options: self._run(method(*arguments, **options))

    def knows(self, what: str) -> bool:
        return True


def _async(stage: Stage) -> None:
    with asyncio.Runner() as runner:
        inner = nexus.AsyncRemoteNexusFS(stage.server.url, stage.server.admin.api_key)
        story.tell(_Awaited(inner, runner.run), stage.places)
        runner.run(inner.close())


def _from_the_registry(source: Pip, module: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        try:
            tool = source.get()
        except NotInstallable as missing:
            pytest.skip(f"not installable here: {missing}")
        assert tool.folder is not None
        program = ROOT / "conformance" / "clients" / "programs" / "guide_story.py"
        environment = {
            "NEXUS_URL": stage.server.url,
            "NEXUS_API_KEY": stage.server.admin.api_key,
            "STORY_PLACES": json.dumps(stage.places),
            "HOME": str(stage.server.folder),
        }
        command = [str(tool.folder / "bin" / "python"), str(program), module]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]

    return run


TELLERS: dict[str, Callable[[Stage], None]] = {
    "nexus": _sync,
    "nexus-aio": _async,
    "nexus-fs-python": _from_the_registry(FS_PYTHON, "nexus_client"),
    "nexus-ai-fs": _from_the_registry(AI_FS, "nexus"),
}
OURS = ("nexus", "nexus-aio")


@pytest.mark.parametrize("teller", TELLERS)
def test_the_story(teller: str, request: pytest.FixtureRequest) -> None:
    if teller == "nexus-ai-fs" and not AI_FS.is_here:
        pytest.skip("python -m conformance.clients nexus-ai-fs installs it, which takes a while")
    stage: Stage = request.getfixturevalue("stage")
    TELLERS[teller](stage)
    each_store_has_one_copy(stage)
    what_went_to_the_cloud_is_there(stage, production=teller in OURS)
    tenants_see_nothing_of_each_other(stage)
    s3_sees_the_same(stage)
    assert stage.server.nexus("fsck", "--rehash")["exit_code"] == 0
    done = [json.loads(line)["target"] for line in stage.server.run("audit", "--json").stdout.splitlines()]
    assert done.count("/workspace/shared") == 1, "each mount is in the audit log"


def _name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def on_disk(store: Path, content: bytes) -> int:
    """How often a local store keeps a content, as files and in its pack."""
    files = [path for path in store.rglob(_name_of(content)) if path.is_file()]
    with closing(sqlite3.connect(store / "packs.db")) as pack:
        rows = pack.execute("SELECT count(*) FROM blobs WHERE digest = ?", (bytes.fromhex(_name_of(content)),))
        return len(files) + int(rows.fetchone()[0])


def each_store_has_one_copy(stage: Stage) -> None:
    """Four paths, two backends, two physical copies."""
    local = on_disk(stage.server.data_dir / "store", story.SHARED)
    cloud = [name for name in stage.objects("archives") if name.endswith(_name_of(story.SHARED))]
    assert (local, len(cloud)) == (1, 1)
    blob = stage.google.bucket(stage.places["archives"]).blob(cloud[0])
    assert blob.download_as_bytes() == story.SHARED
    elsewhere = [name for place in BUCKETS[1:] for name in stage.objects(place) if name == cloud[0]]
    assert elsewhere == []


def what_went_to_the_cloud_is_there(stage: Stage, *, production: bool) -> None:
    digest = _name_of(story.HELLO)
    assert f"cas/{digest[:2]}/{digest[2:4]}/{digest}" in stage.objects("archives", "cas/")
    assert [name.rsplit("/", 1)[1] for name in stage.objects("shared", "cas/") if "/" in name].count(
        _name_of(b"in the cloud")
    ) == 1
    assert stage.objects("shared", "plans/"), "the short prefix of high priority took what the longer one would have"
    assert not on_disk_anywhere(Path(stage.places["plans"]), b"shadowed")
    if production:
        assert [name for name in stage.objects("cold") if name.endswith(_name_of(b"a model's output"))]


def on_disk_anywhere(store: Path, content: bytes) -> bool:
    return (store / "packs.db").exists() and on_disk(store, content) > 0


def tenants_see_nothing_of_each_other(stage: Stage) -> None:
    """In the bucket they share, by prefixes; at the gateway, by what each may do."""
    of_acme = stage.objects("tenants", "tenant-acme-corp/")
    of_globex = stage.objects("tenants", "tenant-globex/")
    assert any(name.endswith(_name_of(story.CONTRACT)) for name in of_acme)
    assert any(name.endswith(_name_of(story.PROPOSAL)) for name in of_globex)
    assert sorted(of_acme + of_globex) == sorted(stage.objects("tenants")), "nothing lies outside of the prefixes"
    people = {
        "acme-corp": stage.server.user("somebody-of-acme"),  # of the tenant that the bucket belongs to: by a role
        "globex": stage.server.user("somebody-of-globex", "globex"),  # of another tenant: by the bucket's policy
    }
    stage.server.nexus("admin", "grant", "somebody-of-acme", "editor", "/tenants/acme-corp")
    _let_in(stage, "globex")
    told = stage.server.run("admin", "explain", "somebody-of-acme", "read", "/tenants/globex/documents/proposal.pdf")
    assert "denied" in told.stdout
    for tenant, (own, foreign) in {
        "acme-corp": ("acme-corp/documents/contract.pdf", "globex/documents/proposal.pdf"),
        "globex": ("globex/documents/proposal.pdf", "acme-corp/documents/contract.pdf"),
    }.items():
        s3 = stage.server.s3(people[tenant])
        with closing(s3), nexus.RemoteNexusFS(stage.server.url, people[tenant].api_key) as nx:
            assert nx.read(f"/tenants/{own}") == s3.get_object(Bucket="tenants", Key=own)["Body"].read()
            _is_shut_out(nx, s3, foreign)


def _is_shut_out(nx: nexus.RemoteNexusFS, s3: Any, key: str) -> None:
    path = f"/tenants/{key}"
    for method, arguments in (
        (nx.read, (path,)),
        (nx.stat, (path,)),
        (nx.write, (path, b"not theirs")),
        (nx.remove, (path,)),
        (nx.rename, (path, path + ".mine")),
        (nx.add_mount, ("/mine", "local", {"data_dir": "/tmp/mine"})),
    ):
        with pytest.raises(nexus.NexusError):
            method(*arguments)  # type: ignore[operator]
    with suppress(nexus.NexusPermissionError):  # of another tenant's not even that it is there is told
        assert nx.list(f"/tenants/{key.split('/')[0]}") == []
    with refused("AccessDenied"):
        s3.get_object(Bucket="tenants", Key=key)
    with refused("AccessDenied"):
        s3.list_objects_v2(Bucket="tenants", Prefix=key)


def _let_in(stage: Stage, tenant: str) -> None:
    """Let a tenant's users into their own place, and no other."""
    who = {"Effect": "Allow", "Principal": {"AWS": tenant}}
    place, below = f"arn:aws:s3:::tenants/{tenant}/*", {"StringLike": {"s3:prefix": f"{tenant}/*"}}
    statements = [
        {**who, "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": place},
        {**who, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::tenants", "Condition": below},
    ]
    with closing(stage.server.s3()) as s3:
        s3.put_bucket_policy(Bucket="tenants", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


def s3_sees_the_same(stage: Stage) -> None:
    with closing(stage.server.s3()) as s3:
        read = s3.get_object(Bucket="archives", Key="2024/report.pdf")["Body"].read()
        assert read == b"PDF content..." and "shared/team-doc.txt" in keys_of(s3, "workspace")
        assert {"archives", "datasets", "tenants", "workspace"} <= {b["Name"] for b in s3.list_buckets()["Buckets"]}
        with refused("AccessDenied"):
            s3.put_object(Bucket="datasets", Key="new.csv", Body=b"")
