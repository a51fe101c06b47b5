"""One content is kept once per store; garbage goes, and only garbage; damage is found and named."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, nexus, unique

MIB = 1024 * 1024


def stored(store: Path) -> list[Path]:
    """The files under ``cas/``, of every tenant."""
    return [path for path in store.rglob("cas/*/*/*") if path.is_file()]


def packed(store: Path) -> int:
    """How many small blobs are in the pack."""
    pack = store / "packs.db"
    if not pack.exists():
        return 0
    connection = sqlite3.connect(pack)
    try:
        return int(connection.execute("SELECT count(*) FROM blobs").fetchone()[0])
    finally:
        connection.close()


@pytest.fixture(scope="module")
def node(new_server: Callable[..., Server]) -> Server:
    """A server whose collector runs only when it is told to."""
    return new_server(NEXUS_GC_INTERVAL="100000")


@pytest.fixture
def places(node: Server, store_dir: Callable[[], Path]) -> Iterator[list[tuple[str, Path]]]:
    """Two buckets, each on a local store of its own."""
    made = []
    for word in ("one", "two"):
        name, folder = unique(word), store_dir()
        node.mount(f"/{name}", folder)
        made.append((name, folder))
    yield made
    for name, _ in made:
        node.unmount(f"/{name}")


@pytest.fixture
def client(node: Server) -> Iterator[BaseClient]:
    made = node.s3()
    yield made
    made.close()


def collect(node: Server) -> Any:
    return node.nexus("gc", "--grace", "0")


def test_same_content_at_many_paths(node: Server, places: list[tuple[str, Path]], client: BaseClient) -> None:
    small, large = b"small" * 100, hashlib.shake_128(b"large").digest(3 * MIB)
    for bucket, _ in places:
        for number in range(10):
            client.put_object(Bucket=bucket, Key=f"small/{number}", Body=small)
            client.put_object(Bucket=bucket, Key=f"large/{number}", Body=large)
        client.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/large/0")
    # Between stores a copy is a copy of the bytes, which are there already.
    client.copy_object(Bucket=places[1][0], Key="from-one", CopySource=f"{places[0][0]}/large/0")
    for bucket, store in places:
        assert (len(stored(store)), packed(store)) == (1, 1)
        assert stored(store)[0].name == hashlib.sha256(large).hexdigest()
        assert client.get_object(Bucket=bucket, Key="copy")["Body"].read() == large

    by_mount = {row["location"]: row for row in node.nexus("stats")}
    row = by_mount[f"/{places[0][0]}"]
    assert (row["objects"], row["blobs"]) == (21, 2)
    assert row["logical_bytes"] == 10 * len(small) + 11 * len(large)
    assert row["stored_bytes"] == len(small) + len(large)

    for bucket, _ in places:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            client.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": entry["Key"]} for entry in page["Contents"][1:]]}
            )
    collect(node)
    for bucket, store in places:  # the first key of each bucket still needs its content
        [left] = client.list_objects_v2(Bucket=bucket)["Contents"]
        assert client.get_object(Bucket=bucket, Key=left["Key"])["Body"].read() == large
        assert (len(stored(store)), packed(store)) == (1, 0)
        client.delete_object(Bucket=bucket, Key=left["Key"])
    collect(node)
    for _, store in places:
        assert (len(stored(store)), packed(store)) == (0, 0)
    assert node.run("fsck").returncode == 0


def test_plain_and_multipart_uploads_share(node: Server, places: list[tuple[str, Path]], client: BaseClient) -> None:
    body = hashlib.shake_128(b"shared").digest(20 * MIB)
    bucket, store = places[0]
    client.put_object(Bucket=bucket, Key="plain", Body=body)
    assert len(stored(store)) == 3
    upload: dict[str, Any] = {"Bucket": bucket, "Key": "multipart"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    parts = []
    for number in range(3):
        part = body[number * 8 * MIB : (number + 1) * 8 * MIB]
        told = client.upload_part(**upload, PartNumber=number + 1, Body=part)
        parts.append({"PartNumber": number + 1, "ETag": told["ETag"]})
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert len(stored(store)) == 3
    assert client.get_object(Bucket=bucket, Key="multipart")["Body"].read() == body

    client.delete_object(Bucket=bucket, Key="plain")
    collect(node)
    assert client.get_object(Bucket=bucket, Key="multipart")["Body"].read() == body
    client.delete_object(Bucket=bucket, Key="multipart")
    collect(node)
    assert (stored(store), packed(store)) == ([], 0)


def test_aborted_and_replaced_parts_go(node: Server, places: list[tuple[str, Path]], client: BaseClient) -> None:
    bucket, store = places[0]
    upload: dict[str, Any] = {"Bucket": bucket, "Key": "key"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    for seed in (b"a", b"b"):  # the second replaces the first
        client.upload_part(**upload, PartNumber=1, Body=hashlib.shake_128(seed).digest(9 * MIB))
    collect(node)
    assert len(stored(store)) == 2  # 8 MiB and 1 MiB: parts of an open upload are references too
    client.abort_multipart_upload(**upload)
    collect(node)
    assert (stored(store), packed(store)) == ([], 0)


def test_refused_bodies_leave_nothing(node: Server, places: list[tuple[str, Path]], client: BaseClient) -> None:
    bucket, store = places[0]
    for size in (100, 3 * MIB, 20 * MIB):
        with pytest.raises(client.exceptions.ClientError):
            client.put_object(Bucket=bucket, Key="key", Body=b"x" * size, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    collect(node)
    assert (stored(store), packed(store)) == ([], 0)
    assert not any((store / "staging").iterdir())


def test_nothing_goes_within_the_grace_period(node: Server, places: list[tuple[str, Path]], client: BaseClient) -> None:
    bucket, store = places[0]
    client.put_object(Bucket=bucket, Key="key", Body=b"x" * MIB)
    client.delete_object(Bucket=bucket, Key="key")
    node.nexus("gc", "--grace", "3600")
    assert len(stored(store)) == 1
    collect(node)
    assert stored(store) == []


class TestDamage:
    """What fsck finds, on a running and on a stopped server."""

    @pytest.fixture
    def filled(
        self, node: Server, places: list[tuple[str, Path]], client: BaseClient
    ) -> Iterator[tuple[str, Path, Path]]:
        """A bucket with a one-block object at two keys and a longer one; the file of the first."""
        bucket, store = places[0]
        body = hashlib.shake_128(bucket.encode()).digest(2 * MIB)
        for key in ("first", "second"):
            client.put_object(Bucket=bucket, Key=key, Body=body)
        client.put_object(Bucket=bucket, Key="longer", Body=body[:MIB] + b"y" * 9 * MIB)
        assert fsck(node, "--rehash") == (0, [])
        [target] = [path for path in stored(store) if path.name == hashlib.sha256(body).hexdigest()]
        original = target.read_bytes()
        yield bucket, store, target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(original)
        assert fsck(node, "--rehash")[0] == 0
        for key in ("first", "second", "longer"):
            client.delete_object(Bucket=bucket, Key=key)
        collect(node)

    def test_a_flipped_bit(self, node: Server, client: BaseClient, filled: tuple[str, Path, Path]) -> None:
        bucket, _, target = filled
        content = bytearray(target.read_bytes())
        content[MIB] ^= 1
        target.chmod(0o600)
        target.write_bytes(content)
        assert fsck(node)[0] == 0  # the size is right, so only reading tells
        code, findings = fsck(node, "--rehash")
        assert code == 2
        assert [(found["kind"], found["digest"]) for found in findings] == [("damaged", target.name)]
        assert sorted(findings[0]["paths"]) == [f"/{bucket}/first", f"/{bucket}/second"]
        with pytest.raises(Exception):  # noqa: B017 - an error or a cut connection, but never wrong bytes
            client.get_object(Bucket=bucket, Key="first")["Body"].read()
        # The next upload of the same bytes repairs it for every name.
        content[MIB] ^= 1
        client.put_object(Bucket=bucket, Key="second", Body=bytes(content))
        assert client.get_object(Bucket=bucket, Key="first")["Body"].read() == bytes(content)

    def test_a_short_file(self, node: Server, filled: tuple[str, Path, Path]) -> None:
        target = filled[2]
        target.chmod(0o600)
        target.write_bytes(target.read_bytes()[:-1])
        code, findings = fsck(node)
        assert (code, [found["kind"] for found in findings]) == (2, ["damaged"])

    def test_a_lost_file(self, node: Server, client: BaseClient, filled: tuple[str, Path, Path]) -> None:
        bucket, _, target = filled
        target.unlink()
        code, findings = fsck(node)
        assert code == 2
        assert [(found["kind"], found["digest"]) for found in findings] == [("missing", target.name)]
        assert sorted(findings[0]["paths"]) == [f"/{bucket}/first", f"/{bucket}/second"]
        with pytest.raises(client.exceptions.ClientError) as told:
            client.get_object(Bucket=bucket, Key="first")
        assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500

    def test_a_lost_block_of_a_longer_object(
        self, node: Server, client: BaseClient, filled: tuple[str, Path, Path]
    ) -> None:
        bucket, store, target = filled
        [lost] = [path for path in stored(store) if path != target and path.stat().st_size == 2 * MIB]
        content = lost.read_bytes()
        lost.unlink()
        code, findings = fsck(node)
        assert (code, findings[0]["paths"]) == (2, [f"/{bucket}/longer"])
        lost.write_bytes(content)

    def test_an_orphan(self, node: Server, filled: tuple[str, Path, Path]) -> None:
        store = filled[1]
        content = b"nobody knows me" * 10000
        digest = hashlib.sha256(content).hexdigest()
        orphan = store / "cas" / digest[:2] / digest[2:4] / digest
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(content)
        code, findings = fsck(node)
        assert (code, [(found["kind"], found["digest"]) for found in findings]) == (1, [("orphan", digest)])
        collect(node)
        assert not orphan.exists()
        assert fsck(node) == (0, [])


def fsck(node: Server, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings."""
    done = node.run("fsck", "--json", *options)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


def test_fsck_and_gc_on_a_stopped_server(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.s3()
    body = hashlib.shake_128(b"stopped").digest(MIB)
    client.put_object(Bucket="workspace", Key="key", Body=body)
    client.put_object(Bucket="workspace", Key="gone", Body=body[:-1])
    client.delete_object(Bucket="workspace", Key="gone")
    client.close()
    server.stop()
    files = stored(server.data_dir)
    assert len(files) == 2
    where = ("--data-dir", str(server.data_dir))
    done = nexus("gc", *where, "--grace", "0", environment=server.environment)
    assert done.returncode == 0, done.stderr
    [target] = stored(server.data_dir)
    assert nexus("fsck", *where).returncode == 0
    target.chmod(0o600)
    target.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    done = nexus("fsck", "--rehash", *where)
    assert (done.returncode, "/workspace/key" in done.stdout) == (2, True), done.stdout + done.stderr
