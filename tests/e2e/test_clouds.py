"""Mounts on cloud stores, from the command that adds them to what lies in the cloud's own bucket."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from backends.registry import find
from tests.e2e.harness import Server, keys_of, refused, unique
from tests.faults import Faults, proxy
from tests.services import AzureKeys, GcsKeys, Keys, PostgresKeys, S3Keys, WebdavKeys

MIB = 1024 * 1024
BLOCKS = range(0, 24 * MIB, 8 * MIB)
"""Where the blocks of an object begin."""
NO_BUCKET = "there is no bucket 'nonesuch'"
SERVICES: dict[str, tuple[str, Callable[[dict[str, str]], Keys], str, str, str]] = {
    "s3": ("moto", S3Keys, "prefix", "bucket", NO_BUCKET),
    "gcs": ("fake_gcs", GcsKeys, "prefix", "bucket", NO_BUCKET),
    "azure": ("azurite", AzureKeys, "prefix", "container", "there is no container 'nonesuch'"),
    "postgres": ("postgres", PostgresKeys, "schema", "dbname", 'database "nonesuch" does not exist'),
    "webdav": ("webdav", WebdavKeys, "prefix", "url", "url must be like https://host or http://host:port"),
}
"""Who serves it, how it is looked into, the setting that gives a store its own place, the one that names what must
exist, and what is said when it does not."""


@dataclass(frozen=True)
class Cloud:
    """A mount on a cloud store, and the cloud's bucket as its own client sees it."""

    backend_type: str
    config: dict[str, str]
    blobs: Keys
    bucket: str

    @property
    def place(self) -> str:
        """The setting that gives a store its own place."""
        return SERVICES[self.backend_type][2]


@pytest.fixture(scope="module")
def node(new_server: Callable[..., Server]) -> Server:
    """A server whose collector runs only when it is told to."""
    return new_server(NEXUS_GC_INTERVAL="100000")


@pytest.fixture
def client(node: Server) -> Iterator[BaseClient]:
    made = node.s3()
    yield made
    made.close()


def add(node: Server, point: str, backend_type: str, config: dict[str, str], *options: str) -> Any:
    settings = [word for name, value in config.items() for word in ("--config", f"{name}={value}")]
    return node.run("mounts", "add", point, backend_type, *settings, *options)


@pytest.fixture(params=list(SERVICES))
def cloud(request: pytest.FixtureRequest, node: Server) -> Iterator[Cloud]:
    service, keys, place, _, _ = SERVICES[request.param]
    config = {**request.getfixturevalue(service), place: unique("test").replace("-", "_")}
    name = unique("archives")
    done = add(node, f"/{name}", request.param, config, "--priority", "10")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Mounted {request.param} at /{name}.\n"
    yield Cloud(request.param, config, keys(config), name)
    node.unmount(f"/{name}")


def body_of(client: BaseClient, cloud: Cloud, key: str, **options: str) -> bytes:
    content: bytes = client.get_object(Bucket=cloud.bucket, Key=key, **options)["Body"].read()
    return content


def test_objects_come_and_go(client: BaseClient, cloud: Cloud) -> None:
    small, long = b"hi", os.urandom(20 * MIB + 5)
    client.put_object(Bucket=cloud.bucket, Key="small.txt", Body=small, ContentType="text/plain")
    client.put_object(Bucket=cloud.bucket, Key="a/long.bin", Body=long)
    client.put_object(Bucket=cloud.bucket, Key="empty", Body=b"")
    assert client.get_object(Bucket=cloud.bucket, Key="small.txt")["ContentType"] == "text/plain"
    assert keys_of(client, cloud.bucket) == ["a/long.bin", "empty", "small.txt"]
    assert [body_of(client, cloud, key) for key in ("small.txt", "a/long.bin", "empty")] == [small, long, b""]
    assert len(cloud.blobs.keys()) == 4, "a small one, and three blocks"
    for span in ("0-0", f"{8 * MIB - 3}-{16 * MIB + 3}", f"{20 * MIB}-", "-7"):
        start, _, stop = span.partition("-")
        first = int(start) if start else len(long) - int(stop)
        last = int(stop) + 1 if start and stop else len(long)
        assert body_of(client, cloud, "a/long.bin", Range=f"bytes={span}") == long[first:last]
    client.copy_object(Bucket=cloud.bucket, Key="copy", CopySource={"Bucket": cloud.bucket, "Key": "a/long.bin"})
    client.delete_object(Bucket=cloud.bucket, Key="a/long.bin")
    assert body_of(client, cloud, "copy") == long
    assert len(cloud.blobs.keys()) == 4
    client.put_object(Bucket="workspace", Key=cloud.bucket, Body=b"from a local store")
    client.copy_object(Bucket=cloud.bucket, Key="moved", CopySource={"Bucket": "workspace", "Key": cloud.bucket})
    assert body_of(client, cloud, "moved") == b"from a local store"
    assert len(cloud.blobs.keys()) == 5


def test_a_cloud_sees_nothing_of_encrypted_objects(node: Server, client: BaseClient, cloud: Cloud) -> None:
    marker = b"nobody in the cloud shall read this " * 10
    contents = {"small": marker, "long": (marker * (17 * MIB // len(marker) + 1))[: 17 * MIB]}
    for key, content in contents.items():
        for copy in ("a", "b"):
            client.put_object(Bucket=cloud.bucket, Key=f"{key}-{copy}", Body=content, ServerSideEncryption="AES256")
    # Names are digests of what lies there, which fsck looks at: so nothing there is what was put.
    assert node.run("fsck", "--rehash").returncode == 0
    plain = {hashlib.sha256(content[at : at + 8 * MIB]).hexdigest() for content in contents.values() for at in BLOCKS}
    names = {name.rpartition("/")[2] for name in list(cloud.blobs.keys())}
    assert len(names) == 4 and not names & plain
    for key, content in contents.items():
        assert body_of(client, cloud, f"{key}-b") == content
    assert (
        body_of(client, cloud, "long-a", Range=f"bytes={8 * MIB - 9}-{8 * MIB + 9}")
        == (contents["long"][8 * MIB - 9 : 8 * MIB + 10])
    )
    assert node.run("fsck", "--rehash").returncode == 0


def test_parts_become_one_object(client: BaseClient, cloud: Cloud) -> None:
    parts = [os.urandom(5 * MIB), os.urandom(9 * MIB), b"the end"]
    where = {"Bucket": cloud.bucket, "Key": "joined"}
    upload = client.create_multipart_upload(**where)["UploadId"]

    def send(number: int) -> dict[str, Any]:
        done = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=parts[number - 1])
        return {"PartNumber": number, "ETag": done["ETag"]}

    with ThreadPoolExecutor(3) as pool:
        sent = list(pool.map(send, (1, 2, 3)))
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": sent})
    assert body_of(client, cloud, "joined") == b"".join(parts)
    assert body_of(client, cloud, "joined", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}") == parts[0][-2:] + parts[1][:2]


def test_a_content_is_kept_once_and_goes_when_nothing_names_it(node: Server, client: BaseClient, cloud: Cloud) -> None:
    content = os.urandom(9 * MIB)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: client.put_object(Bucket=cloud.bucket, Key=f"{n}", Body=content), range(6)))
    assert len(cloud.blobs.keys()) == 2
    (stats,) = [row for row in node.nexus("stats") if row["location"] == f"/{cloud.bucket}"]
    assert (stats["objects"], stats["blobs"], stats["stored_bytes"]) == (6, 2, 9 * MIB)
    for n in range(5):
        client.delete_object(Bucket=cloud.bucket, Key=f"{n}")
    node.nexus("gc", "--grace", "0")
    assert len(cloud.blobs.keys()) == 2
    assert body_of(client, cloud, "5") == content
    client.delete_object(Bucket=cloud.bucket, Key="5")
    node.nexus("gc", "--grace", "0")
    assert cloud.blobs.keys() == []


def test_fsck_sees_what_the_cloud_lost(node: Server, client: BaseClient, cloud: Cloud) -> None:
    contents = {key: os.urandom(100_000) for key in ("lost", "cut", "changed", "well")}
    blobs = {}
    for key, content in contents.items():
        before = set(cloud.blobs.keys())
        client.put_object(Bucket=cloud.bucket, Key=key, Body=content)
        (blobs[key],) = set(cloud.blobs.keys()) - before
    assert node.run("fsck", "--rehash").returncode == 0
    cloud.blobs.remove(blobs["lost"])
    cloud.blobs.put(blobs["cut"], contents["cut"][:-1])
    cloud.blobs.put(blobs["changed"], os.urandom(100_000))
    done = node.run("fsck", "--rehash", "--json")
    assert done.returncode == 2
    for key in ("lost", "cut", "changed"):
        assert f"/{cloud.bucket}/{key}" in done.stdout, done.stdout
    assert f"/{cloud.bucket}/well" not in done.stdout
    for key, content in contents.items():  # sent again, each is whole again
        client.put_object(Bucket=cloud.bucket, Key=key, Body=content)
        assert body_of(client, cloud, key) == content
    assert node.run("fsck", "--rehash").returncode == 0


def test_mounts_on_one_bucket_and_prefix_share_it(node: Server, client: BaseClient, cloud: Cloud) -> None:
    other, same = unique("shared"), dict(cloud.config)
    if cloud.place == "prefix":
        same["prefix"] = f"/{same['prefix']}/"
    assert add(node, f"/{other}", cloud.backend_type, same).returncode == 0
    for name in (cloud.bucket, other):
        client.put_object(Bucket=name, Key="same", Body=b"same")
    assert len(cloud.blobs.keys()) == 1
    node.unmount(f"/{other}")


def test_secrets_are_never_shown(node: Server, cloud: Cloud) -> None:
    shown = node.run("mounts", "list").stdout + node.run("mounts", "info", f"/{cloud.bucket}/x", "--json").stdout
    assert cloud.config[cloud.place] in shown
    for name in find(cloud.backend_type).secret.intersection(cloud.config):
        assert cloud.config[name] not in shown
        assert f"{name}=********" in shown


def test_a_mount_that_cannot_work_is_refused(node: Server, cloud: Cloud) -> None:
    _, _, _, place, absent = SERVICES[cloud.backend_type]
    for wrong, message in [
        ({place: "nonesuch"}, absent),
        ({place: "nonesuch", "colour": "red"}, f"{cloud.backend_type} has no setting colour"),
    ]:
        done = add(node, f"/{unique('wrong')}", cloud.backend_type, {**cloud.config, **wrong})
        assert done.returncode == 1
        assert message in done.stderr


def until_back(client: BaseClient, bucket: str, key: str) -> bytes:
    """An object, as soon as the breaker of its store closes."""
    deadline = time.monotonic() + 60
    while True:
        try:
            content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            return content
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_cloud_that_is_away_takes_nothing_with_it(node: Server, client: BaseClient, moto: dict[str, str]) -> None:
    """503 for what lies there, fsck calls nothing there damaged, and all is well when it is back."""
    faults, name = Faults(weights={"reset before": 1}), unique("away")
    with proxy(moto["endpoint_url"], faults) as url:
        config = {**moto, "endpoint_url": url, "prefix": name}
        assert add(node, f"/{name}", "s3", config).returncode == 0
        client.put_object(Bucket=name, Key="kept", Body=b"kept")
        faults.rate = 1.0
        with ThreadPoolExecutor(3) as pool:
            asked = [
                pool.submit(client.get_object, Bucket=name, Key="kept"),
                pool.submit(client.put_object, Bucket=name, Key="new", Body=b"new"),
                pool.submit(client.put_object, Bucket=name, Key="long", Body=os.urandom(9 * MIB)),
            ]
            client.put_object(Bucket="workspace", Key=name, Body=b"meanwhile")
            for each in asked:
                with refused("ServiceUnavailable", 503):
                    each.result()
        assert keys_of(client, name) == ["kept"]
        done = node.run("fsck", "--rehash", "--json")
        assert done.returncode == 2
        kinds = {finding["kind"] for finding in json.loads(done.stdout)["findings"]}
        assert "unreachable" in kinds and not kinds & {"missing", "damaged"}
        refusal = add(node, f"/{unique('wrong')}", "s3", {**config, "prefix": "other"})
        assert refusal.returncode == 1 and "cannot be reached" in refusal.stderr
        faults.rate = 0.0
        assert until_back(client, name, "kept") == b"kept"
        client.put_object(Bucket=name, Key="new", Body=b"new")
        node.nexus("gc", "--grace", "0")
        assert node.run("fsck", "--rehash").returncode == 0
        node.unmount(f"/{name}")
