"""Server-side encryption with the server's own keys, by boto3: what is stored, what is told, what is deduplicated."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, refused, unique

MIB = 1024 * 1024
SIZES = [0, 1, 4096, 64 * 1024, 64 * 1024 + 1, 3 * MIB, 17 * MIB + 5]


def on_disk(server: Server) -> bytes:
    """Every byte of the data directory."""
    return b"".join(path.read_bytes() for path in sorted(server.data_dir.rglob("*")) if path.is_file())


def stored(server: Server) -> tuple[int, int]:
    """Blobs and their bytes, as ``nexus stats`` counts them."""
    stores = server.nexus("stats")
    return sum(store["blobs"] for store in stores), sum(store["stored_bytes"] for store in stores)


def body(response: dict[str, Any]) -> bytes:
    content: bytes = response["Body"].read()
    return content


@pytest.mark.parametrize("size", SIZES)
def test_an_encrypted_object_reads_as_it_was_put_and_says_how_it_is_kept(
    s3: BaseClient, bucket: str, size: int
) -> None:
    content = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=content, ServerSideEncryption="AES256")
    plain = s3.put_object(Bucket=bucket, Key="plain", Body=content)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert put["ServerSideEncryption"] == got["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"
    assert "ServerSideEncryption" not in plain and "ServerSideEncryption" not in s3.get_object(
        Bucket=bucket, Key="plain"
    )
    assert body(got) == content and got["ContentLength"] == size
    assert put["ETag"] == plain["ETag"]
    for start, stop in ((0, 0), (size // 3, size // 2), (size - 1, size + 9)):
        if 0 <= start < size:
            part = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={start}-{stop}")
            assert body(part) == content[start : stop + 1]


def test_nothing_of_the_content_can_be_read_on_the_disk(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.s3()
    marker = b"these bytes must not be on any disk" + os.urandom(8).hex().encode()
    for number, size in enumerate((100, 200_000, 9 * MIB)):
        content = (marker * (size // len(marker) + 1))[:size]
        client.put_object(Bucket="workspace", Key=f"s{number}", Body=content, ServerSideEncryption="AES256")
    assert marker not in on_disk(server)
    client.put_object(Bucket="workspace", Key="plain", Body=marker)
    assert marker in on_disk(server)


def test_encrypted_content_is_kept_once_and_apart_from_plain(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.s3()
    small, large = os.urandom(5000), os.urandom(9 * MIB)
    for name in ("a", "b", "c"):
        client.put_object(Bucket="workspace", Key=f"small-{name}", Body=small, ServerSideEncryption="AES256")
        client.put_object(Bucket="workspace", Key=f"large-{name}", Body=large, ServerSideEncryption="AES256")
    assert stored(server)[0] == 3  # one small blob, two blocks
    client.put_object(Bucket="workspace", Key="plain", Body=small)
    assert stored(server)[0] == 4
    zeros = bytes(24 * MIB)
    client.put_object(Bucket="workspace", Key="zeros", Body=zeros, ServerSideEncryption="AES256")
    assert stored(server)[0] == 5  # three equal blocks
    assert body(client.get_object(Bucket="workspace", Key="zeros")) == zeros
    assert server.run("fsck", "--rehash").returncode == 0


def test_collecting_and_checking_encrypted_blobs(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.s3()
    contents = {f"k{number}": os.urandom(size) for number, size in enumerate((10, 70_000, 9 * MIB))}
    for key, content in contents.items():
        client.put_object(Bucket="workspace", Key=key, Body=content, ServerSideEncryption="AES256")
    assert server.run("fsck", "--rehash").returncode == 0
    client.delete_object(Bucket="workspace", Key="k2")
    collected = server.nexus("gc")
    assert (collected["blobs"], collected["problems"]) == (2, [])
    assert body(client.get_object(Bucket="workspace", Key="k1")) == contents["k1"]
    assert server.run("fsck", "--rehash").returncode == 0
    client.put_object(Bucket="workspace", Key="k2", Body=contents["k2"], ServerSideEncryption="AES256")
    assert body(client.get_object(Bucket="workspace", Key="k2")) == contents["k2"]
    for key in contents:
        client.delete_object(Bucket="workspace", Key=key)
    server.nexus("gc")
    assert stored(server) == (0, 0)
    assert server.run("fsck", "--rehash").returncode == 0


def test_racing_puts_of_one_content_leave_one_blob(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.s3()
    for size in (3000, 300_000):
        content = os.urandom(size)

        def put(number: int, content: bytes = content) -> None:
            client.put_object(
                Bucket="workspace", Key=f"{len(content)}-{number}", Body=content, ServerSideEncryption="AES256"
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(16)))
        for number in range(16):
            assert body(client.get_object(Bucket="workspace", Key=f"{size}-{number}")) == content
    assert stored(server)[0] == 2
    server.nexus("gc")  # what lost the race
    assert server.run("fsck", "--rehash").returncode == 0
    for size in (3000, 300_000):
        assert len(body(client.get_object(Bucket="workspace", Key=f"{size}-7"))) == size


def _blob_files(server: Server) -> list[Path]:
    return [path for path in server.data_dir.rglob("*") if path.is_file() and len(path.name) == 64]


def test_a_damaged_encrypted_blob_is_an_error_and_the_next_put_of_its_content_mends_all_that_name_it(
    new_server: Callable[..., Server],
) -> None:
    server = new_server()
    client = server.s3()
    content = os.urandom(9 * MIB)
    for key in ("one", "two"):
        client.put_object(Bucket="workspace", Key=key, Body=content, ServerSideEncryption="AES256")
    for file in _blob_files(server):
        raw = bytearray(file.read_bytes())
        raw[len(raw) // 2] ^= 1
        file.write_bytes(raw)
    assert body(client.get_object(Bucket="workspace", Key="one", Range="bytes=0-99")) == content[:100]
    with pytest.raises(Exception):  # noqa: B017  (the connection is cut short, in one of several ways)
        body(client.get_object(Bucket="workspace", Key="one"))
    assert server.run("fsck", "--rehash").returncode == 2
    client.put_object(Bucket="workspace", Key="three", Body=content, ServerSideEncryption="AES256")
    for key in ("one", "two", "three"):
        assert body(client.get_object(Bucket="workspace", Key=key)) == content
    server.nexus("gc")
    assert server.run("fsck", "--rehash").returncode == 0
    assert body(client.get_object(Bucket="workspace", Key="two")) == content


# -- who decides


def test_a_bucket_encrypts_by_default_what_does_not_say(s3: BaseClient, bucket: str) -> None:
    with refused("ServerSideEncryptionConfigurationNotFoundError", 404):
        s3.get_bucket_encryption(Bucket=bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == {"Rules": [rule]}
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=bucket)
    s3.delete_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="l", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"


def test_a_server_may_encrypt_everything(new_server: Callable[..., Server]) -> None:
    server = new_server(NEXUS_DEFAULT_ENCRYPTION="sse-s3")
    client = server.s3()
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    assert client.get_bucket_encryption(Bucket="workspace")["ServerSideEncryptionConfiguration"] == {"Rules": [rule]}
    assert client.put_object(Bucket="workspace", Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    upload = client.create_multipart_upload(Bucket="workspace", Key="m")
    assert upload["ServerSideEncryption"] == "AES256"
    copy = client.copy_object(Bucket="workspace", Key="c", CopySource="workspace/k")
    assert copy["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}] * 2, "MalformedXML"),
        ([{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "ROT13"}}], "MalformedXML"),
        ([{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse"}}], "NotImplemented"),
        (
            [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "k"}}],
            "InvalidArgument",
        ),
        ([{"BlockedEncryptionTypes": {"EncryptionType": ["SSE-X"]}}], "MalformedXML"),
    ],
)
def test_a_default_that_cannot_be_is_refused(s3: BaseClient, bucket: str, rules: Any, code: str) -> None:
    with refused(code):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    with refused("ServerSideEncryptionConfigurationNotFoundError"):
        s3.get_bucket_encryption(Bucket=bucket)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"ServerSideEncryption": "aes:kms"}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms:dsse"}, "NotImplemented"),
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "k"}, "InvalidArgument"),
        ({"SSEKMSKeyId": "k"}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nobody"}, "KMS.NotFoundException"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "bm90IGpzb24="}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "eyJhIjogMX0="}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "eyJhd3M6czM6YXJuIjoiYSJ9"}, "InvalidArgument"),
    ],
)
def test_what_no_encryption_is_stores_nothing(s3: BaseClient, bucket: str, members: Any, code: str) -> None:
    with refused(code):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", **members)
    with refused("404"):
        s3.head_object(Bucket=bucket, Key="k")
    with refused(code):
        s3.create_multipart_upload(Bucket=bucket, Key="k", **members)


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_reads_do_not_say_how_an_object_is_encrypted(
    s3: BaseClient, client: Callable[..., BaseClient], bucket: str, operation: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")
    telling = client()
    telling.meta.events.register(
        "before-call.s3", lambda params, **_: params["headers"].update({"x-amz-server-side-encryption": "AES256"})
    )
    with refused("400" if operation == "head_object" else "InvalidArgument", 400):
        getattr(telling, operation)(Bucket=bucket, Key="k")


# -- multipart and copies


def test_parts_and_copies_of_encrypted_objects_are_exact(s3: BaseClient, bucket: str) -> None:
    pieces = [os.urandom(5 * MIB + 7), os.urandom(5 * MIB), os.urandom(100_001)]
    source = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=source)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", ServerSideEncryption="AES256")
    told = {"Bucket": bucket, "Key": "m", "UploadId": upload["UploadId"]}
    parts = []
    for number, piece in enumerate(pieces[:2], 1):
        part = s3.upload_part(**told, PartNumber=number, Body=piece)
        assert part["ServerSideEncryption"] == "AES256"
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    copied = s3.upload_part_copy(
        **told, PartNumber=3, CopySource=f"{bucket}/source", CopySourceRange=f"bytes=11-{6 * MIB - 1}"
    )
    assert copied["ServerSideEncryption"] == "AES256"
    parts.append({"PartNumber": 3, "ETag": copied["CopyPartResult"]["ETag"]})
    parts.append({"PartNumber": 4, "ETag": s3.upload_part(**told, PartNumber=4, Body=pieces[2])["ETag"]})
    done = s3.complete_multipart_upload(**told, MultipartUpload={"Parts": parts})
    assert done["ServerSideEncryption"] == "AES256"
    whole = pieces[0] + pieces[1] + source[11:] + pieces[2]
    got = s3.get_object(Bucket=bucket, Key="m")
    assert body(got) == whole and got["ServerSideEncryption"] == "AES256"
    second = s3.get_object(Bucket=bucket, Key="m", PartNumber=2)
    assert body(second) == pieces[1]
    at, stop = 5 * MIB - 3, 11 * MIB
    assert body(s3.get_object(Bucket=bucket, Key="m", Range=f"bytes={at}-{stop}")) == whole[at : stop + 1]

    for key, members in (("sealed", {"ServerSideEncryption": "AES256"}), ("plain", {})):
        copy = s3.copy_object(Bucket=bucket, Key=key, CopySource=f"{bucket}/m", **members)
        assert copy.get("ServerSideEncryption") == members.get("ServerSideEncryption")
        assert body(s3.get_object(Bucket=bucket, Key=key)) == whole
    back = s3.copy_object(Bucket=bucket, Key="plain", CopySource=f"{bucket}/plain", ServerSideEncryption="AES256")
    assert back["ServerSideEncryption"] == "AES256"
    assert body(s3.get_object(Bucket=bucket, Key="plain")) == whole


def test_versions_keep_their_own_encryption(s3: BaseClient) -> None:
    bucket = unique("versions")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    sealed = s3.put_object(Bucket=bucket, Key="k", Body=b"first", ServerSideEncryption="AES256")["VersionId"]
    plain = s3.put_object(Bucket=bucket, Key="k", Body=b"first")["VersionId"]
    assert s3.head_object(Bucket=bucket, Key="k", VersionId=sealed)["ServerSideEncryption"] == "AES256"
    assert "ServerSideEncryption" not in s3.head_object(Bucket=bucket, Key="k", VersionId=plain)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=plain)
    latest = s3.get_object(Bucket=bucket, Key="k")
    assert latest["ServerSideEncryption"] == "AES256" and body(latest) == b"first"


def test_a_copy_onto_itself_takes_an_encryption_off_or_puts_the_default_on(s3: BaseClient, bucket: str) -> None:
    here: dict[str, Any] = {"Bucket": bucket, "Key": "k"}
    for source in ({"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}):
        s3.put_object(**here, Body=b"content", **source)
        assert "ServerSideEncryption" not in s3.copy_object(**here, CopySource=here)
        assert "ServerSideEncryption" not in s3.head_object(**here)
        with refused("InvalidRequest", 400):  # nothing would change any more
            s3.copy_object(**here, CopySource=here)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.copy_object(**here, CopySource=here)["ServerSideEncryption"] == "AES256"
    with refused("InvalidRequest", 400):
        s3.copy_object(**here, CopySource=here)
    assert body(s3.get_object(**here)) == b"content"
