"""Buckets of clouds served as they stand: filled and looked into by the clouds' own clients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

import nexus
from tests import services
from tests.e2e.harness import Server, keys_of, refused, unique
from tests.faults import Faults, proxy

MIB = 1024 * 1024
FILES = {"readme.txt": b"hello", "data/2024/a.csv": b"1,2\n", "data/b.csv": b"3\n", "data.old": b"x"}


def settings(config: dict[str, str]) -> list[str]:
    return [word for name, value in config.items() for word in ("--config", f"{name}={value}")]


@pytest.fixture(params=["gcs", "s3"])
def filled(
    request: pytest.FixtureRequest, fake_gcs: dict[str, str], moto: dict[str, str]
) -> tuple[str, dict[str, str], Callable[[], list[str]]]:
    """A bucket that others filled, and who lists it."""
    name = unique("bucket")
    if request.param == "gcs":
        bucket = services.gcs_client(fake_gcs["endpoint"]).create_bucket(name)
        for key, content in FILES.items():
            bucket.blob(key).upload_from_string(content, content_type="text/x-mine")
        gcs = {**fake_gcs, "bucket": name}
        return "gcs", gcs, services.GcsKeys({**gcs, "prefix": ""}).keys
    config = services.s3_config(moto["endpoint_url"], moto["access_key_id"], moto["secret_access_key"], name)
    client = services.s3_client(config["endpoint_url"], config["access_key_id"], config["secret_access_key"])
    for key, content in FILES.items():
        client.put_object(Bucket=name, Key=key, Body=content, ContentType="text/x-mine")
    return "s3", config, services.S3Keys({**config, "prefix": ""}).keys


@pytest.mark.parametrize("connector", [False, True])
def test_a_bucket_mounted_read_only_shows_its_objects(
    server: Server, s3: BaseClient, filled: tuple[str, dict[str, str], Callable[[], list[str]]], connector: bool
) -> None:
    kind, config, keys = filled
    name = unique("datasets")
    added = f"{kind}_connector" if connector else kind
    server.nexus("mounts", "add", f"/{name}", added, *settings(config), "--readonly")
    assert keys_of(s3, name) == sorted(FILES)
    rolled = s3.list_objects_v2(Bucket=name, Delimiter="/")
    assert [each["Prefix"] for each in rolled["CommonPrefixes"]] == ["data/"]
    for key, content in FILES.items():
        found = s3.get_object(Bucket=name, Key=key)
        assert (found["Body"].read(), found["ContentType"]) == (content, "text/x-mine")
    assert s3.get_object(Bucket=name, Key="readme.txt", Range="bytes=1-3")["Body"].read() == b"ell"
    with nexus.connect({"url": server.url, "api_key": server.admin.api_key}) as nx:
        assert nx.read(f"/{name}/data/2024/a.csv") == b"1,2\n"
        seen = [each["path"] for each in nx.list(f"/{name}", recursive=True) if not each["is_directory"]]
        assert sorted(seen) == sorted(f"/{name}/{key}" for key in FILES)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=name, Key="new", Body=b"1")
    assert sorted(keys()) == sorted(FILES), "nothing was copied, or written beside"
    (stats,) = [row for row in server.nexus("stats") if row["location"] == f"/{name}"] or [{"stored_bytes": 0}]
    assert stats["stored_bytes"] == 0
    server.unmount(f"/{name}")


def test_uploads_are_plain_objects_of_the_other_service(server: Server, s3: BaseClient, moto: dict[str, str]) -> None:
    config = {**moto, "prefix": unique("team"), "layout": "native"}
    other = services.s3_client(moto["endpoint_url"], moto["access_key_id"], moto["secret_access_key"])
    name, content = unique("team"), os.urandom(20 * MIB)
    server.nexus("mounts", "add", f"/{name}", "s3", *settings(config))
    upload = s3.create_multipart_upload(Bucket=name, Key="deep/big.bin", ContentType="application/x-big")
    where = {"Bucket": name, "Key": "deep/big.bin", "UploadId": upload["UploadId"]}
    parts: list[dict[str, Any]] = []
    for number, start in enumerate(range(0, len(content), 6 * MIB), 1):
        sent = s3.upload_part(**where, PartNumber=number, Body=content[start : start + 6 * MIB])
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    theirs = other.get_object(Bucket=moto["bucket"], Key=f"{config['prefix']}/deep/big.bin")
    assert theirs["Body"].read() == content
    assert (theirs["ContentType"], theirs["ETag"]) == ("application/x-big", done["ETag"])
    # What the other service is given shows here.
    other.put_object(Bucket=moto["bucket"], Key=f"{config['prefix']}/theirs", Body=b"new", Metadata={"a": "b"})
    found = s3.get_object(Bucket=name, Key="theirs")
    assert (found["Body"].read(), found["Metadata"]) == (b"new", {"a": "b"})
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=name, Key="theirs", Body=b"mine", IfNoneMatch="*")
    s3.put_object(Bucket=name, Key="theirs", Body=b"mine", IfMatch=found["ETag"])
    source = {"Bucket": name, "Key": "theirs"}
    s3.copy_object(Bucket=name, Key="theirs", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "d"})
    assert other.head_object(Bucket=moto["bucket"], Key=f"{config['prefix']}/theirs")["Metadata"] == {"c": "d"}
    assert keys_of(s3, name) == ["deep/big.bin", "theirs"]
    for key in ("deep/big.bin", "theirs"):
        s3.delete_object(Bucket=name, Key=key)
    left = keys_of(other, moto["bucket"], config["prefix"])
    assert all(key.startswith(f"{config['prefix']}/.nexus/") for key in left)
    assert "Uploads" not in other.list_multipart_uploads(Bucket=moto["bucket"], Prefix=config["prefix"])
    server.unmount(f"/{name}")


@pytest.fixture(scope="module")
def node(new_server: Callable[..., Server]) -> Server:
    return new_server(NEXUS_STORE_DEADLINE="1", NEXUS_GC_INTERVAL="100000")


@pytest.fixture
def faulty(moto: dict[str, str]) -> Iterator[tuple[Faults, dict[str, str]]]:
    faults = Faults(silence=60)
    with proxy(moto["endpoint_url"], faults) as url:
        yield faults, {**moto, "endpoint_url": url, "prefix": unique("away"), "layout": "native"}


def test_a_native_store_out_of_order_is_told_at_once(node: Server, faulty: tuple[Faults, dict[str, str]]) -> None:
    faults, config = faulty
    name, client = unique("away"), node.s3()
    node.nexus("mounts", "add", f"/{name}", "s3", *settings(config))
    client.put_object(Bucket=name, Key="a", Body=b"1")
    faults.rate, faults.weights = 1.0, {"silence": 1}
    with refused("ServiceUnavailable", 503):
        client.get_object(Bucket=name, Key="a")
    started = time.monotonic()
    for operation in (
        lambda: client.get_object(Bucket=name, Key="a"),
        lambda: client.put_object(Bucket=name, Key="b", Body=b"1"),
        lambda: client.list_objects_v2(Bucket=name),
        lambda: client.delete_object(Bucket=name, Key="a"),
    ):
        with refused("ServiceUnavailable", 503) as seen:
            operation()
        assert int(seen[0].response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
    assert time.monotonic() - started < 1
    client.put_object(Bucket="workspace", Key=name, Body=b"other mounts go on")
    client.close()
