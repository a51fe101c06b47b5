"""Two users and nobody: who sees what."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from botocore.client import BaseClient

import nexus
from tests.e2e.harness import Key, Server, keys_of, refused, unique


@pytest.fixture(scope="module")
def users(server: Server) -> tuple[Key, Key]:
    tag = uuid.uuid4().hex[:8]
    return server.user(f"alice-{tag}", f"tenant-a-{tag}"), server.user(f"bob-{tag}", f"tenant-b-{tag}")


@pytest.fixture
def alice(server: Server, users: tuple[Key, Key]) -> Iterator[BaseClient]:
    client = server.s3(users[0])
    yield client
    client.close()


@pytest.fixture
def bob(server: Server, users: tuple[Key, Key]) -> Iterator[BaseClient]:
    client = server.s3(users[1])
    yield client
    client.close()


def test_users_own_what_they_make(alice: BaseClient, bob: BaseClient) -> None:
    bucket = unique("alice")
    alice.create_bucket(Bucket=bucket)
    alice.put_object(Bucket=bucket, Key="key", Body=b"mine")
    upload = alice.create_multipart_upload(Bucket=bucket, Key="upload")["UploadId"]
    assert bucket in [entry["Name"] for entry in alice.list_buckets()["Buckets"]]
    assert bucket not in [entry["Name"] for entry in bob.list_buckets()["Buckets"]]
    assert alice.list_buckets()["Owner"]["ID"] != bob.list_buckets()["Owner"]["ID"]

    for operation, more in (
        ("get_object", {"Key": "key"}),
        ("put_object", {"Key": "key", "Body": b"evil"}),
        ("put_object", {"Key": "new", "Body": b"evil"}),
        ("delete_object", {"Key": "key"}),
        ("get_object_tagging", {"Key": "key"}),
        ("get_object_attributes", {"Key": "key", "ObjectAttributes": ["ETag"]}),
        ("list_objects_v2", {}),
        ("list_objects", {}),
        ("list_multipart_uploads", {}),
        ("list_parts", {"Key": "upload", "UploadId": upload}),
        ("upload_part", {"Key": "upload", "UploadId": upload, "PartNumber": 1, "Body": b"evil"}),
        ("abort_multipart_upload", {"Key": "upload", "UploadId": upload}),
        ("create_multipart_upload", {"Key": "new"}),
        ("get_bucket_location", {}),
        ("delete_bucket", {}),
        # Whether a key exists is nobody else's business either.
        ("get_object", {"Key": "absent"}),
    ):
        with refused("AccessDenied", 403):
            getattr(bob, operation)(Bucket=bucket, **more)
    # Each key of a multi-object delete is decided by itself.
    answer = bob.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key"}, {"Key": "absent"}]})
    assert "Deleted" not in answer
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [
        ("key", "AccessDenied"),
        ("absent", "AccessDenied"),
    ]
    for key in ("key", "absent"):
        with refused("403", 403):
            bob.head_object(Bucket=bucket, Key=key)
    with refused("403", 403):
        bob.head_bucket(Bucket=bucket)
    assert alice.get_object(Bucket=bucket, Key="key")["Body"].read() == b"mine"
    assert keys_of(alice, bucket) == ["key"]


def test_no_copying_from_others(alice: BaseClient, bob: BaseClient) -> None:
    hers, his = unique("alice"), unique("bob")
    alice.create_bucket(Bucket=hers)
    bob.create_bucket(Bucket=his)
    alice.put_object(Bucket=hers, Key="key", Body=b"mine")
    with refused("AccessDenied", 403):
        bob.copy_object(Bucket=his, Key="stolen", CopySource=f"{hers}/key")
    upload = bob.create_multipart_upload(Bucket=his, Key="stolen")["UploadId"]
    with refused("AccessDenied", 403):
        bob.upload_part_copy(Bucket=his, Key="stolen", UploadId=upload, PartNumber=1, CopySource=f"{hers}/key")
    with refused("BucketAlreadyExists", 409):
        bob.create_bucket(Bucket=hers)
    assert keys_of(bob, his) == []


def test_the_admin_sees_all(s3: BaseClient, alice: BaseClient) -> None:
    bucket = unique("alice")
    alice.create_bucket(Bucket=bucket)
    alice.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/workspace"),
        ("GET", "/workspace/k"),
        ("HEAD", "/workspace/k"),
        ("PUT", "/workspace/k"),
        ("DELETE", "/workspace/k"),
        ("POST", "/workspace/k?uploads"),
        ("PUT", "/new-bucket"),
        ("POST", "/workspace?delete"),
    ],
)
def test_anonymous_is_refused(server: Server, s3: BaseClient, method: str, path: str) -> None:
    """Also where a body is no XML: nobody unknown gets as far as to have a document read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, body=b"evil" if method in ("PUT", "POST") else None)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 403, body
    assert (b"<Code>AccessDenied</Code>" in body) is (method != "HEAD")
    assert "k" not in keys_of(s3, "workspace")


def test_anonymous_on_an_absent_bucket(server: Server) -> None:
    """As AWS answers: names of buckets are no secret."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request("GET", f"/{unique('no')}")
        answer = connection.getresponse()
        assert (answer.status, b"<Code>NoSuchBucket</Code>" in answer.read()) == (404, True)


def test_wrong_keys_are_refused(server: Server, s3: BaseClient, bucket: str, client: Callable[..., BaseClient]) -> None:
    wrong_secret = client(Key(server.admin.access_key, "x" * len(server.admin.secret_key), ""))
    unknown = client(Key("A" * 20, server.admin.secret_key, ""))
    s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    for key in ("key", "new"):
        with refused("SignatureDoesNotMatch", 403):
            wrong_secret.put_object(Bucket=bucket, Key=key, Body=b"evil")
        with refused("InvalidAccessKeyId", 403):
            unknown.put_object(Bucket=bucket, Key=key, Body=b"evil")
    with refused("SignatureDoesNotMatch", 403):
        wrong_secret.delete_object(Bucket=bucket, Key="key")
    with refused("SignatureDoesNotMatch", 403):
        wrong_secret.list_buckets()
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"before"
    assert keys_of(s3, bucket) == ["key"]


def test_a_revoked_key_is_refused_at_once(server: Server) -> None:
    key = server.user(f"carol-{uuid.uuid4().hex[:8]}")
    client = server.s3(key)
    assert client.list_buckets()["Buckets"] == []
    done = server.run("admin", "revoke-key", key.access_key)
    assert done.returncode == 0, done.stderr
    with refused("InvalidAccessKeyId", 403):
        client.list_buckets()
    client.close()


def test_users_see_the_mounts_of_what_they_may_see(server: Server, store_dir: Callable[[], Path]) -> None:
    tag = uuid.uuid4().hex[:8]
    ann, ben = server.user(f"ann-{tag}", f"tenant-{tag}"), server.user(f"ben-{tag}")
    bucket = unique("anns")
    with closing(server.s3(ann)) as s3:
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="deep/key", Body=b"x")
    point = f"/{bucket}/deep"
    server.mount(point, store_dir(), "--priority", "7")
    with nexus.RemoteNexusFS(server.url, ann.api_key) as nx:
        mount = nx.get_mount_info(f"{point}/key")
        assert mount is not None and "/" in mount.pop("reason")
        assert mount == {
            "mount_point": point,
            "backend_type": "local",
            "priority": 7,
            "readonly": False,
        }
        assert {point, "/"} <= {each.mount_point for each in nx.list_mounts()}
        assert "/workspace" not in {each.mount_point for each in nx.list_mounts()}
        assert nx.has_mount(point) and not nx.has_mount("/workspace") and nx.get_mount_info("/workspace/x") is None
        with pytest.raises(nexus.NexusPermissionError):
            nx.remove_mount(point)
    with nexus.RemoteNexusFS(server.url, ben.api_key) as nx:
        assert point not in {each.mount_point for each in nx.list_mounts()}
        assert nx.get_mount(point) is None and nx.get_mount_info(f"{point}/key") is None
    with nexus.RemoteNexusFS(server.url, server.admin.api_key) as nx:
        assert "data_dir" in nx.get_mount_info(f"{point}/key").config
    server.unmount(point)
