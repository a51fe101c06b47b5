"""The checksum algorithms: as header, as trailer, and over the parts of an upload."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from typing import Any

import awscrt.checksums
import pytest
import xxhash
from botocore.client import BaseClient

from tests.e2e.harness import Server, keys_of, refused
from tests.e2e.signing import SIGNED_TRAILER, UNSIGNED_TRAILER, Raw

MIB = 1024 * 1024
BODY = bytes(range(256)) * 300
ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "CRC32C": lambda body: awscrt.checksums.crc32c(body).to_bytes(4, "big"),
    "CRC64NVME": lambda body: awscrt.checksums.crc64nvme(body).to_bytes(8, "big"),
    "SHA1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
    "SHA512": lambda body: hashlib.sha512(body).digest(),
    "MD5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "XXHASH64": lambda body: xxhash.xxh64(body).digest(),
    "XXHASH3": lambda body: xxhash.xxh3_64(body).digest(),
    "XXHASH128": lambda body: xxhash.xxh3_128(body).digest(),
}
every = pytest.mark.parametrize("algorithm", ALGORITHMS)


def checksum(algorithm: str, body: bytes) -> str:
    return base64.b64encode(ALGORITHMS[algorithm](body)).decode()


def test_known_values() -> None:
    """The check values of the CRC catalogue, so that two wrongs make no right."""
    check = b"123456789"
    assert ALGORITHMS["CRC32"](check).hex() == "cbf43926"
    assert ALGORITHMS["CRC32C"](check).hex() == "e3069283"
    assert ALGORITHMS["CRC64NVME"](check).hex() == "ae8b14860a799888"


@every
def test_as_header(s3: BaseClient, bucket: str, algorithm: str) -> None:
    name = f"Checksum{algorithm}"
    value = checksum(algorithm, BODY)
    put = s3.put_object(Bucket=bucket, Key="key", Body=BODY, **{name: value})
    assert (put[name], put["ChecksumType"]) == (value, "FULL_OBJECT")
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (value, "FULL_OBJECT")
    assert name not in s3.head_object(Bucket=bucket, Key="key")
    told = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["Checksum"])
    assert told["Checksum"] == {name: value, "ChecksumType": "FULL_OBJECT"}
    entry = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (entry["ChecksumAlgorithm"], entry["ChecksumType"]) == ([algorithm], "FULL_OBJECT")
    # boto3 verifies what it reads; so does the copy.
    assert s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["Body"].read() == BODY
    assert s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key")["CopyObjectResult"][name] == value


@every
def test_a_wrong_header_stores_nothing(s3: BaseClient, bucket: str, algorithm: str) -> None:
    s3.put_object(Bucket=bucket, Key="there", Body=b"before")
    for key in ("there", "new"):
        with refused("BadDigest", 400):
            s3.put_object(Bucket=bucket, Key=key, Body=BODY, **{f"Checksum{algorithm}": checksum(algorithm, b"other")})
        with refused("BadDigest", 400):  # nor is this one at all
            s3.put_object(Bucket=bucket, Key=key, Body=BODY, **{f"Checksum{algorithm}": "bm90IG9uZQ=="})
    assert keys_of(s3, bucket) == ["there"]
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"before"


@pytest.mark.parametrize("payload", [UNSIGNED_TRAILER, SIGNED_TRAILER])
@every
def test_as_trailer(server: Server, s3: BaseClient, bucket: str, algorithm: str, payload: str) -> None:
    raw = Raw(server)
    name = f"x-amz-checksum-{algorithm.lower()}"
    chunks = [BODY[:65536], BODY[65536:]]
    status, headers, body = raw.chunked(
        f"/{bucket}/key", chunks, payload=payload, trailer=(name, checksum(algorithm, BODY))
    )
    assert (status, headers.get(name)) == (200, checksum(algorithm, BODY)), body
    got = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[f"Checksum{algorithm}"]) == (BODY, checksum(algorithm, BODY))
    assert "ContentEncoding" not in got

    status, _, body = raw.chunked(
        f"/{bucket}/wrong", chunks, payload=payload, trailer=(name, checksum(algorithm, b"other"))
    )
    assert (status, b"<Code>BadDigest</Code>" in body) == (400, True), body
    assert keys_of(s3, bucket) == ["key"]


def test_two_checksums_are_one_too_many(s3: BaseClient, bucket: str) -> None:
    with refused("InvalidRequest", 400):
        s3.put_object(
            Bucket=bucket,
            Key="key",
            Body=BODY,
            ChecksumSHA1=checksum("SHA1", BODY),
            ChecksumSHA256=checksum("SHA256", BODY),
        )
    assert keys_of(s3, bucket) == []


def test_without_any_it_is_crc64nvme(s3: BaseClient, bucket: str, client: Callable[..., BaseClient]) -> None:
    client(request_checksum_calculation="when_required").put_object(Bucket=bucket, Key="key", Body=BODY)
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == checksum("CRC64NVME", BODY)


PARTS = [hashlib.shake_128(b"1").digest(5 * MIB), hashlib.shake_128(b"2").digest(5 * MIB + 1), b"end"]


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("CRC32", "COMPOSITE"),
        ("CRC32", "FULL_OBJECT"),
        ("CRC32C", "COMPOSITE"),
        ("CRC32C", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT"),
        ("SHA1", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
        ("SHA512", "COMPOSITE"),
        ("MD5", "COMPOSITE"),
        ("XXHASH64", "COMPOSITE"),
        ("XXHASH3", "COMPOSITE"),
        ("XXHASH128", "COMPOSITE"),
    ],
)
def test_over_parts(s3: BaseClient, bucket: str, algorithm: str, kind: str) -> None:
    name = f"Checksum{algorithm}"
    upload: dict[str, Any] = {"Bucket": bucket, "Key": "key"}
    begun = s3.create_multipart_upload(**upload, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert (begun["ChecksumAlgorithm"], begun["ChecksumType"]) == (algorithm, kind)
    upload["UploadId"] = begun["UploadId"]
    parts = []
    for number, body in enumerate(PARTS, 1):
        told = s3.upload_part(**upload, PartNumber=number, Body=body, **{name: checksum(algorithm, body)})
        assert told[name] == checksum(algorithm, body)
        parts.append({"PartNumber": number, "ETag": told["ETag"], name: told[name]})
    with refused("BadDigest", 400):
        s3.upload_part(**upload, PartNumber=4, Body=b"x", **{name: checksum(algorithm, b"y")})
    listed = s3.list_parts(**upload)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, kind)
    assert [part[name] for part in listed["Parts"]] == [part[name] for part in parts]

    if kind == "COMPOSITE":
        joined = b"".join(ALGORITHMS[algorithm](body) for body in PARTS)
        whole = f"{checksum(algorithm, joined)}-{len(PARTS)}"
        with refused("InvalidPart", 400):
            wrong = [{**parts[0], name: parts[1][name]}, *parts[1:]]
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": wrong})
    else:
        whole = checksum(algorithm, b"".join(PARTS))
        with refused("BadDigest", 400):
            s3.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}, ChecksumType=kind, **{name: checksum(algorithm, b"other")}
            )
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, ChecksumType=kind)
    assert (done[name], done["ChecksumType"]) == (whole, kind)
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (whole, kind)
    told = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ObjectParts"])
    # AWS's examples show a composite checksum here both with and without the number of parts.
    assert told["Checksum"] in ({name: whole, "ChecksumType": kind}, {name: whole[:-2], "ChecksumType": kind})
    assert told["ObjectParts"]["TotalPartsCount"] == len(PARTS)
    # Parts are told where they have checksums of their own.
    assert ("Parts" in told["ObjectParts"]) == (kind == "COMPOSITE")


def test_an_upload_that_asked_for_none_has_the_default(s3: BaseClient, bucket: str) -> None:
    """Whatever checksum its parts came with."""
    upload: dict[str, Any] = {"Bucket": bucket, "Key": "key"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = []
    for number, (algorithm, body) in enumerate(zip(("CRC32", "SHA256", "XXHASH64"), PARTS, strict=True), 1):
        name = f"Checksum{algorithm}"
        told = s3.upload_part(**upload, PartNumber=number, Body=body, **{name: checksum(algorithm, body)})
        assert told[name] == checksum(algorithm, body)
        parts.append({"PartNumber": number, "ETag": told["ETag"]})
    with refused("InvalidPart", 400):
        told = [{**parts[0], "ChecksumCRC32": checksum("CRC32", PARTS[0])}, *parts[1:]]
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": told})
    with refused("InvalidRequest", 400):
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, ChecksumType="FULL_OBJECT")
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    whole = {"ChecksumCRC64NVME": checksum("CRC64NVME", b"".join(PARTS)), "ChecksumType": "FULL_OBJECT"}
    for answer in (
        done,
        s3.head_object(Bucket=bucket, Key="key", ChecksumMode="enabled"),
        s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["Checksum"])["Checksum"],
    ):
        assert {name: answer.get(name) for name in whole} == whole


def test_a_range_of_everything_has_the_checksum(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    for span, whole in (("bytes=0-9", True), ("bytes=-15", True), ("bytes=0-8", False)):
        assert ("ChecksumCRC32" in s3.get_object(Bucket=bucket, Key="key", Range=span)) == whole
    assert "ChecksumCRC32" in s3.get_object(Bucket=bucket, Key="key", PartNumber=1)


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("SHA1", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("XXHASH3", "FULL_OBJECT")]
)
def test_combinations_that_do_not_exist(s3: BaseClient, bucket: str, algorithm: str, kind: str) -> None:
    with refused("InvalidRequest", 400):
        s3.create_multipart_upload(Bucket=bucket, Key="key", ChecksumAlgorithm=algorithm, ChecksumType=kind)


def test_a_part_of_another_algorithm_is_refused(s3: BaseClient, bucket: str) -> None:
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="key", ChecksumAlgorithm="SHA256")["UploadId"]
    with refused("InvalidRequest", 400):
        s3.upload_part(Bucket=bucket, Key="key", UploadId=upload_id, PartNumber=1, Body=b"x", ChecksumAlgorithm="CRC32")


def test_names_of_algorithms_in_small_letters(s3: BaseClient, bucket: str) -> None:
    """minio-py writes them so."""
    digest = base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", ChecksumAlgorithm="crc32", ChecksumCRC32=digest)
    assert s3.head_object(Bucket=bucket, Key="key", ChecksumMode="enabled")["ChecksumCRC32"] == digest
    told = s3.create_multipart_upload(
        Bucket=bucket, Key="parts", ChecksumAlgorithm="crc64nvme", ChecksumType="full_object"
    )
    assert (told["ChecksumAlgorithm"], told["ChecksumType"]) == ("CRC64NVME", "FULL_OBJECT")


def test_a_copy_may_get_another_checksum(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY, ChecksumAlgorithm="SHA1")
    told = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", ChecksumAlgorithm="SHA256")
    assert told["CopyObjectResult"]["ChecksumSHA256"] == checksum("SHA256", BODY)
    head = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == checksum("SHA256", BODY)
    assert "ChecksumSHA1" not in head
