"""What was acknowledged is there after a crash: the server is killed under load, again and again."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.harness import Server, keys_of, nexus
from tests.e2e.rpc import Rpc

ROUNDS = 4
THREADS = 8
KEYS = 12
LOAD_SECONDS = 1.2
SIZES = (0, 1, 300, 4096, 70_000, 300_000, 1024 * 1024)
LARGE = 9 * 1024 * 1024


def body_of(seed: str, size: int) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(size)


@dataclass
class Writer:
    """One thread's keys. ``acked`` is what each key must hold; ``pending`` what the operation under way makes of it."""

    name: str
    random: random.Random
    acked: dict[str, bytes | None] = field(default_factory=dict)
    pending: tuple[str, bytes | None] | None = None
    done: int = 0
    problem: Exception | None = None

    def run(self, client: BaseClient, stop: threading.Event) -> None:
        while not stop.is_set():
            key = f"{self.name}/{self.random.randrange(KEYS)}"
            body = None if self.random.random() < 0.3 else self._body()
            self.pending = (key, body)
            try:
                if body is None:
                    client.delete_object(Bucket="workspace", Key=key)
                elif self.random.random() < 0.1:
                    self._multipart(client, key, body)
                else:
                    client.put_object(Bucket="workspace", Key=key, Body=body)
            except ClientError as error:
                if error.response["Error"]["Code"] != "SlowDown":
                    self.problem = error
                    return
                # A collector without a grace period took a block before it had a name. Refused means not stored.
                self.pending = None
                continue
            except (BotoCoreError, OSError, KeyError):
                return  # the kill, perhaps in the middle of an answer: this operation's outcome is unknown
            self.acked[key] = body
            self.pending = None
            self.done += 1

    def _body(self) -> bytes:
        size = LARGE if self.random.random() < 0.02 else self.random.choice(SIZES)
        # Few seeds, so that threads share contents: one's delete must not take another's bytes.
        return body_of(f"content {self.random.randrange(4)}", size)

    def _multipart(self, client: BaseClient, key: str, body: bytes) -> None:
        upload = client.create_multipart_upload(Bucket="workspace", Key=key)["UploadId"]
        told = client.upload_part(Bucket="workspace", Key=key, UploadId=upload, PartNumber=1, Body=body)
        client.complete_multipart_upload(
            Bucket="workspace",
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": told["ETag"]}]},
        )

    def allowed(self, key: str) -> list[bytes | None]:
        told = [self.acked.get(key)]
        if self.pending is not None and self.pending[0] == key:
            told.append(self.pending[1])
        return told


def load(server: Server, writers: list[Writer], seconds: float) -> None:
    """Write, and rotate keys, until the server is killed."""
    stop = threading.Event()
    client = server.s3(connect_timeout=2, read_timeout=5)
    threads = [threading.Thread(target=writer.run, args=(client, stop)) for writer in writers]
    threads.append(threading.Thread(target=rotate, args=(server, stop)))
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()
    client.close()


def check(client: BaseClient, writers: list[Writer]) -> None:
    """Every key is in its last acknowledged state or in that of the operation under way; take what is found as so."""
    listed = set(keys_of(client, "workspace"))
    for writer in writers:
        for key in [f"{writer.name}/{number}" for number in range(KEYS)]:
            found = read(client, key)
            assert found in writer.allowed(key), f"{key}: {None if found is None else len(found)} bytes found"
            assert (key in listed) == (found is not None), f"{key}: the listing says otherwise"
            writer.acked[key] = found
        writer.pending = None


def read(client: BaseClient, key: str) -> bytes | None:
    try:
        body: bytes = client.get_object(Bucket="workspace", Key=key)["Body"].read()
        return body
    except client.exceptions.NoSuchKey:
        return None


def rotate(server: Server, stop: threading.Event) -> None:
    """Put new encryption keys in use, again and again, until the server is killed."""
    rpc = Rpc(server)
    with suppress(httpx.HTTPError):
        while not stop.is_set():
            rpc("encryption_rotate")
    rpc.close()


def move_all(server: Server, store: Path) -> None:
    """Have the rules move every object to another store soon after it was written."""
    server.mount("/cold", store)
    server.nexus("storage-classes", "set", "COLD", "/cold")
    move = {"Days": 1, "StorageClass": "COLD"}
    rules = [{"ID": "cold", "Status": "Enabled", "Filter": {}, "Transitions": [move]}]
    client = server.s3()
    client.put_bucket_lifecycle_configuration(Bucket="workspace", LifecycleConfiguration={"Rules": rules})
    client.close()


def serve_as_it_stands(server: Server, folder: Path) -> None:
    """Have a directory in the place of the store."""
    server.nexus("mounts", "remove", "/workspace")
    chosen = ("--config", f"data_dir={folder}", "--config", "layout=native")
    server.nexus("mounts", "add", "/workspace", "local", *chosen)


@pytest.mark.parametrize(
    ("workers", "encryption", "place"),
    [(1, "none", ""), (2, "none", ""), (2, "sse-s3", ""), (2, "sse-s3", "moving"), (2, "none", "native")],
)
def test_killed_under_load(
    new_server: Callable[..., Server], tmp_path: Path, workers: int, encryption: str, place: str
) -> None:
    # The collector runs all the time and spares nothing, so kills hit it too.
    settings = {"NEXUS_GC_INTERVAL": "0.2", "NEXUS_GC_GRACE": "0", "NEXUS_DEFAULT_ENCRYPTION": encryption}
    moving = place == "moving"
    if moving:
        settings |= {"NEXUS_LIFECYCLE_INTERVAL": "0.3", "NEXUS_LIFECYCLE_DAY_SECONDS": "0.2"}
    server = new_server("--workers", str(workers), **settings)
    if moving:
        move_all(server, tmp_path / "cold")
    if place == "native":
        serve_as_it_stands(server, tmp_path)
    writers = [Writer(f"w{number}", random.Random(1000 * workers + number)) for number in range(THREADS)]
    moments = random.Random(workers)
    for _ in range(ROUNDS // 2):
        load(server, writers, LOAD_SECONDS * moments.uniform(0.5, 1.5))
        done = nexus("fsck", "--data-dir", str(server.data_dir), environment=server.environment)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        server.start()
        assert [writer.problem for writer in writers] == [None] * THREADS
        client = server.s3()
        check(client, writers)
        client.close()
    if moving:
        assert "COLD" in {each["StorageClass"] for each in server.s3().list_objects_v2(Bucket="workspace")["Contents"]}
    assert all(writer.done > 5 for writer in writers)
    for command in (("gc", "--grace", "0"), ("fsck", "--rehash")):
        done = server.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
