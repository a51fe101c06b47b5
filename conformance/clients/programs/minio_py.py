"""minio-py: MinIO's own client for Python, which signs and encodes by code of its own."""

from __future__ import annotations

import io
import os
import urllib.request
from datetime import timedelta

from minio import Minio
from minio.commonconfig import ENABLED, REPLACE, ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

from conformance.clients.files import BIG, MIB, SPECIAL_KEYS, bucket, folder, left, noise, plant


class Unseekable(io.RawIOBase):
    """A stream of unknown length."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(size)


def carry(client: Minio, name: str) -> None:
    big = noise(BIG)
    told = client.put_object(
        name, "big", Unseekable(big), -1, part_size=5 * MIB, metadata={"colour": "blue"}, content_type="a/b"
    )
    assert (told.etag or "").endswith("-5"), told.etag
    seen = client.stat_object(name, "big")
    assert (seen.size, seen.content_type) == (BIG, "a/b")
    assert seen.metadata is not None and seen.metadata["x-amz-meta-colour"] == "blue"
    answer = client.get_object(name, "big", offset=5 * MIB - 2, length=4)
    assert answer.read() == big[5 * MIB - 2 : 5 * MIB + 2]
    answer.close()
    client.fget_object(name, "big", str(folder() / "back"))
    assert (folder() / "back").read_bytes() == big
    client.compose_object(name, "composed", [ComposeSource(name, "big"), ComposeSource(name, "big", length=7)])
    left("composed", big + big[:7])


def odd_keys(client: Minio, name: str) -> None:
    tags = Tags.new_object_tags()
    tags["a b"] = "c+d"
    for number, key in enumerate(SPECIAL_KEYS):
        body = noise(100 + number, number)
        client.put_object(name, key, io.BytesIO(body), len(body), tags=tags)
        client.copy_object(
            name, f"copied/{key}", CopySource(name, key), metadata={"shape": "round"}, metadata_directive=REPLACE
        )
        url = client.presigned_get_object(name, f"copied/{key}", timedelta(minutes=1))
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert (answer.read(), answer.headers["x-amz-meta-shape"]) == (body, "round")
        left(f"copied/{key}", body)
        assert client.get_object_tags(name, key) == tags
    listed = [each.object_name for each in client.list_objects(name, prefix="copied/", recursive=True)]
    assert listed == sorted((f"copied/{key}" for key in SPECIAL_KEYS), key=str.encode)


def versions(client: Minio, name: str) -> None:
    client.set_bucket_versioning(name, VersioningConfig(ENABLED))
    ids = [client.put_object(name, "versioned", io.BytesIO(body), 3).version_id for body in (b"one", b"two")]
    client.remove_object(name, "versioned")
    answer = client.get_object(name, "versioned", version_id=ids[0])
    assert answer.read() == b"one"
    answer.close()
    listed = list(client.list_objects(name, prefix="versioned", include_version=True))
    assert sorted(each.is_delete_marker for each in listed) == [False, False, True]
    doomed = [DeleteObject(each.object_name or "", each.version_id) for each in listed]
    assert list(client.remove_objects(name, doomed)) == []


def tree(client: Minio, name: str) -> None:
    expected = plant(folder() / "tree")
    for path in expected:
        client.fput_object(name, f"tree/{path}", str(folder() / "tree" / path))
    top = {each.object_name for each in client.list_objects(name, prefix="tree/")}
    assert top == {"tree/" + path.partition("/")[0] + "/" * ("/" in path) for path in expected}
    doomed = [DeleteObject(f"tree/{path}") for path in expected]
    assert list(client.remove_objects(name, doomed)) == []
    assert list(client.list_objects(name, prefix="tree/")) == []


def main() -> None:
    address = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    client, name = Minio(address, *keys, secure=False), bucket()
    client.make_bucket(name)
    assert client.bucket_exists(name) and name in {each.name for each in client.list_buckets()}
    carry(client, name)
    odd_keys(client, name)
    tree(client, name)
    versions(client, name)
    try:
        client.stat_object(name, "absent")
        raise AssertionError("an absent key was found")
    except S3Error as error:
        assert error.code == "NoSuchKey"


main()
