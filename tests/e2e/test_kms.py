"""SSE-KMS by boto3, with the keys kept by the server, by a Vault and by AWS KMS; and the rotation of the ring."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto.server import ThreadedMotoServer

from tests.e2e.harness import REGION, Server, refused
from tests.e2e.test_encryption import body, stored
from tests.kms.vault import Vault, running_vault

MIB = 1024 * 1024


def kms(key_id: str | None = None, **context: str) -> dict[str, Any]:
    """What a write tells to have an object under a key."""
    members: dict[str, Any] = {"ServerSideEncryption": "aws:kms"}
    if key_id:
        members["SSEKMSKeyId"] = key_id
    if context:
        members["SSEKMSEncryptionContext"] = base64.b64encode(json.dumps(context).encode()).decode()
    return members


def exercise(client: BaseClient, key_id: str | None, shown: str) -> None:
    """Puts, ranges, parts and copies under a key."""
    content = os.urandom(9 * MIB)
    put = client.put_object(Bucket="workspace", Key="k", Body=content, **kms(key_id, team="a"))
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", shown)
    assert json.loads(base64.b64decode(put["SSEKMSEncryptionContext"])) == {"team": "a"}
    got = client.get_object(Bucket="workspace", Key="k")
    assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms", shown) and body(got) == content
    assert "SSEKMSEncryptionContext" not in got
    assert body(client.get_object(Bucket="workspace", Key="k", Range="bytes=65530-65560")) == content[65530:65561]
    upload = client.create_multipart_upload(Bucket="workspace", Key="m", **kms(key_id))
    assert upload["SSEKMSKeyId"] == shown
    told = {"Bucket": "workspace", "Key": "m", "UploadId": upload["UploadId"]}
    first = client.upload_part(**told, PartNumber=1, Body=content[: 5 * MIB])
    second = client.upload_part_copy(**told, PartNumber=2, CopySource="workspace/k")
    assert first["SSEKMSKeyId"] == second["SSEKMSKeyId"] == shown
    chosen = [first["ETag"], second["CopyPartResult"]["ETag"]]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(chosen, 1)]
    assert client.complete_multipart_upload(**told, MultipartUpload={"Parts": parts})["SSEKMSKeyId"] == shown
    assert body(client.get_object(Bucket="workspace", Key="m")) == content[: 5 * MIB] + content
    client.copy_object(Bucket="workspace", Key="plain", CopySource="workspace/k")
    assert body(client.get_object(Bucket="workspace", Key="plain")) == content


# -- the server's own


def test_keys_of_the_server(new_server: Callable[..., Server]) -> None:
    server = new_server(NEXUS_KMS_CACHE="0")
    client = server.s3()
    assert client.put_object(Bucket="workspace", Key="k", Body=b"x", **kms())["SSEKMSKeyId"] == "aws/s3"
    server.nexus("encryption", "create-key", "payroll")
    assert server.run("encryption", "create-key", "payroll").returncode == 1
    exercise(client, "payroll", "payroll")
    server.nexus("encryption", "disable-key", "payroll")
    with refused("KMS.DisabledException", 400):
        client.get_object(Bucket="workspace", Key="k")
    with refused("KMS.DisabledException", 400):
        client.put_object(Bucket="workspace", Key="n", Body=b"x", **kms("payroll"))
    assert client.head_object(Bucket="workspace", Key="k")["SSEKMSKeyId"] == "payroll"  # needs no key
    server.nexus("encryption", "enable-key", "payroll")
    assert len(body(client.get_object(Bucket="workspace", Key="k"))) == 9 * MIB
    assert server.run("encryption", "disable-key", "nobody").returncode == 1


def test_contents_are_shared_under_one_key_and_context_of_a_bucket_only(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.s3()
    server.nexus("encryption", "create-key", "other")
    client.create_bucket(Bucket="elsewhere")
    content = os.urandom(10_000)
    for number, members in enumerate((kms(), kms(), kms("other"), kms(team="a"), kms(team="b"), kms(team="b"))):
        client.put_object(Bucket="workspace", Key=f"k{number}", Body=content, **members)
    client.put_object(Bucket="elsewhere", Key="k", Body=content, **kms())
    assert stored(server)[0] == 5
    etags = {client.head_object(Bucket="workspace", Key=f"k{number}")["ETag"] for number in range(6)}
    assert len(etags) == 4  # none is the MD5, and none tells of another domain
    client.copy_object(Bucket="elsewhere", Key="copy", CopySource="workspace/k0", **kms())
    assert body(client.get_object(Bucket="elsewhere", Key="copy")) == content


def test_a_bucket_may_have_a_key(server: Server, s3: BaseClient, bucket: str) -> None:
    if "bucket-key" not in [key["kms_key"] for key in server.nexus("encryption", "keys")["kms"]]:
        server.nexus("encryption", "create-key", "bucket-key")
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "bucket-key"}
    rule = {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == {"Rules": [rule]}
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert (put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == ("bucket-key", True)
    assert s3.head_object(Bucket=bucket, Key="k")["BucketKeyEnabled"] is True
    assert "BucketKeyEnabled" not in s3.put_object(Bucket=bucket, Key="k", Body=b"x", BucketKeyEnabled=False)
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256").get("SSEKMSKeyId") is None


# -- AWS KMS


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    service = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    service.start()
    yield f"http://127.0.0.1:{service.get_host_and_port()[1]}"
    service.stop()


def test_keys_of_aws(new_server: Callable[..., Server], aws: str) -> None:
    account = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    keys = boto3.client(
        "kms", endpoint_url=aws, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )
    made = keys.create_key()["KeyMetadata"]
    keys.create_alias(AliasName="alias/payroll", TargetKeyId=made["KeyId"])
    server = new_server(NEXUS_KMS="aws", NEXUS_KMS_URL=aws, NEXUS_KMS_CACHE="0", **account)
    client = server.s3()
    exercise(client, made["KeyId"], made["Arn"])
    assert (
        client.put_object(Bucket="workspace", Key="a", Body=b"x", **kms("alias/payroll"))["SSEKMSKeyId"] == made["Arn"]
    )
    with refused("KMS.NotFoundException", 400):
        client.put_object(Bucket="workspace", Key="n", Body=b"x", **kms("fake-key-id"))
    with refused("KMS.NotFoundException", 400):
        client.put_object(Bucket="workspace", Key="n", Body=b"x", **kms())
    keys.disable_key(KeyId=made["KeyId"])
    with refused("KMS.DisabledException", 400):
        client.put_object(Bucket="workspace", Key="n", Body=b"x", **kms(made["KeyId"]))
    assert server.run("encryption", "create-key", "x").returncode == 1  # not this server's to make


# -- a Vault


@pytest.fixture
def vault() -> Iterator[Vault]:
    with running_vault() as service:
        yield service


def test_keys_of_a_vault(new_server: Callable[..., Server], vault: Vault) -> None:
    settings = {"NEXUS_KMS": "vault", "NEXUS_KMS_URL": vault.url, "NEXUS_KMS_CACHE": "0"}
    server = new_server(**settings, NEXUS_KMS_TOKEN="s.token", NEXUS_KMS_DEFAULT_KEY="payroll")
    client = server.s3()
    exercise(client, None, "payroll")
    with refused("KMS.NotFoundException", 400):
        client.put_object(Bucket="workspace", Key="n", Body=b"x", **kms("nobody"))
    vault.broken = True
    for call in (
        lambda: client.get_object(Bucket="workspace", Key="k"),
        lambda: client.put_object(Bucket="workspace", Key="n", Body=b"x", **kms()),
    ):
        with refused("ServiceUnavailable", 503):
            call()
    with refused("404"):
        client.head_object(Bucket="workspace", Key="n")
    vault.broken = False
    assert len(body(client.get_object(Bucket="workspace", Key="k"))) == 9 * MIB
    stranger = new_server(**settings, NEXUS_KMS_TOKEN="s.stolen").s3()
    with refused("AccessDenied", 403):
        stranger.put_object(Bucket="workspace", Key="n", Body=b"x", **kms("payroll"))


# -- the ring


def test_rotating_wraps_every_key_anew_and_survives_a_restart(new_server: Callable[..., Server]) -> None:
    server = new_server("--workers", "2")
    client = server.s3()
    contents = {f"k{number}": os.urandom(1000 + number) for number in range(30)}
    members = [{"ServerSideEncryption": "AES256"}, kms()]
    for number, (key, content) in enumerate(contents.items()):
        client.put_object(Bucket="workspace", Key=key, Body=content, **members[number % 2])
    before = [key for key in server.nexus("encryption", "keys")["ring"] if key["blobs"]]
    done = server.nexus("encryption", "rotate")
    assert done == {"rewrapped": 30, "remaining": 0, "problems": []}
    ring = server.nexus("encryption", "keys")["ring"]
    assert {key["id"] for key in ring if key["retired_at"]} >= {key["id"] for key in before}
    assert sorted(key["blobs"] for key in ring) == [0, 0, 15, 15]
    for _ in range(2):
        for number, (key, content) in enumerate(contents.items()):
            assert body(client.get_object(Bucket="workspace", Key=key)) == content
            client.put_object(Bucket="workspace", Key=f"again-{key}", Body=content, **members[number % 2])
            client.put_object(Bucket="workspace", Key=f"new-{key}", Body=content[1:], **members[number % 2])
        server.stop()
        server.start()
    assert stored(server)[0] == 60
    assert sorted(key["blobs"] for key in server.nexus("encryption", "keys")["ring"]) == [0, 0, 30, 30]
    assert server.run("encryption", "rotate", "--resume").returncode == 0
    other = server.user("stranger")
    for command in (("keys",), ("rotate",), ("create-key", "k"), ("disable-key", "k")):
        assert server.run("encryption", *command, key=other).returncode == 1


def test_writes_go_on_while_the_ring_rotates(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.s3()
    stop, put = threading.Event(), dict[str, bytes]()

    def write(worker: int) -> None:
        number = 0
        while not stop.is_set():
            key, content = f"{worker}-{number}", os.urandom(2000)
            client.put_object(Bucket="workspace", Key=key, Body=content, ServerSideEncryption="AES256")
            put[key] = content
            number += 1

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for writer in writers:
        writer.start()
    reports = [server.nexus("encryption", "rotate") for _ in range(3)]
    stop.set()
    for writer in writers:
        writer.join()
    assert [report["remaining"] for report in reports] == [0, 0, 0]
    ring = server.nexus("encryption", "keys")["ring"]
    assert sum(key["blobs"] for key in ring if key["retired_at"]) == 0
    for key, content in put.items():
        assert body(client.get_object(Bucket="workspace", Key=key)) == content
    server.nexus("gc")  # what was encrypted anew, because its key was retired meanwhile
    assert server.run("fsck", "--rehash").returncode == 0


def test_without_the_master_key_nothing_is_shown_wrong(new_server: Callable[..., Server]) -> None:
    server = new_server()
    server.s3().put_object(Bucket="workspace", Key="k", Body=b"secret", ServerSideEncryption="AES256")
    server.stop()
    catalog = sqlite3.connect(server.data_dir / "catalog.db")
    with catalog:
        catalog.execute("UPDATE encryption_keys SET sealed = randomblob(77)")
    catalog.close()
    server.start()
    with refused("InternalError", 500):
        server.s3().get_object(Bucket="workspace", Key="k")
    with refused("InternalError", 500):
        server.s3().put_object(Bucket="workspace", Key="n", Body=b"x", ServerSideEncryption="AES256")
    assert server.s3().put_object(Bucket="workspace", Key="plain", Body=b"x")["ETag"]
