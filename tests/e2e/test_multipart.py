"""Multipart uploads through boto3, from the first part to the finished object and what it tells of its parts."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import keys_of, refused

MIB = 1024 * 1024
LEAST = 5 * MIB


def pattern(size: int, seed: str = "") -> bytes:
    return hashlib.shake_128(f"{seed}{size}".encode()).digest(size)


def md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()


def upload(s3: BaseClient, bucket: str, key: str, bodies: dict[int, bytes]) -> tuple[str, list[dict[str, object]]]:
    """Begin an upload and send its parts."""
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, body in bodies.items():
        told = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)
        assert told["ETag"] == f'"{md5(body).hex()}"'
        parts.append({"PartNumber": number, "ETag": told["ETag"]})
    return upload_id, sorted(parts, key=lambda part: part["PartNumber"])


def test_a_whole_upload(s3: BaseClient, bucket: str) -> None:
    bodies = {7: pattern(LEAST, "b"), 3: pattern(LEAST + 1, "a"), 10000: pattern(100, "c")}
    whole = bodies[3] + bodies[7] + bodies[10000]
    upload_id, parts = upload(s3, bucket, "key", bodies)
    assert keys_of(s3, bucket) == []

    listed = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload_id)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [
        (3, LEAST + 1),
        (7, LEAST),
        (10000, 100),
    ]
    page = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload_id, MaxParts=1, PartNumberMarker=3)
    assert (page["IsTruncated"], page["NextPartNumberMarker"], page["Parts"][0]["PartNumber"]) == (True, 7, 7)
    [open_upload] = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (open_upload["Key"], open_upload["UploadId"]) == ("key", upload_id)

    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts}, MpuObjectSize=len(whole)
    )
    etag = md5(md5(bodies[3]) + md5(bodies[7]) + md5(bodies[10000])).hex() + "-3"
    assert done["ETag"] == f'"{etag}"'
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == whole
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)

    # Completing again answers the same, as clients repeat what they had no answer to.
    again = s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]
    with refused("NoSuchUpload", 404):
        s3.upload_part(Bucket=bucket, Key="key", UploadId=upload_id, PartNumber=1, Body=b"late")


def test_parts_of_a_finished_object(s3: BaseClient, bucket: str) -> None:
    bodies = {1: pattern(LEAST, "1"), 2: pattern(LEAST + 5, "2"), 3: b"end"}
    upload_id, parts = upload(s3, bucket, "key", bodies)
    s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts})
    offset = 0
    total = sum(map(len, bodies.values()))
    for number, body in bodies.items():
        got = s3.get_object(Bucket=bucket, Key="key", PartNumber=number)
        assert (got["PartsCount"], got["ResponseMetadata"]["HTTPStatusCode"]) == (3, 206)
        assert got["ContentRange"] == f"bytes {offset}-{offset + len(body) - 1}/{total}"
        assert got["Body"].read() == body
        assert s3.head_object(Bucket=bucket, Key="key", PartNumber=number)["ContentLength"] == len(body)
        offset += len(body)
    with refused("InvalidPart", 400):
        s3.get_object(Bucket=bucket, Key="key", PartNumber=4)
    got = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={LEAST - 2}-{LEAST + 1}")
    assert got["Body"].read() == bodies[1][-2:] + bodies[2][:2]
    told = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["ETag", "ObjectParts", "ObjectSize"])
    assert (told["ObjectParts"]["TotalPartsCount"], told["ObjectSize"]) == (3, total)


def test_a_part_sent_again_replaces_the_first(s3: BaseClient, bucket: str) -> None:
    upload_id, first = upload(s3, bucket, "key", {1: b"first"})
    told = s3.upload_part(Bucket=bucket, Key="key", UploadId=upload_id, PartNumber=1, Body=b"second")
    with refused("InvalidPart", 400):
        s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": first})
    parts = [{"PartNumber": 1, "ETag": told["ETag"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"second"


def test_only_the_named_parts_count(s3: BaseClient, bucket: str) -> None:
    bodies = {1: pattern(LEAST, "x"), 2: pattern(LEAST, "y"), 3: b"z"}
    upload_id, parts = upload(s3, bucket, "key", bodies)
    chosen = {"Parts": [parts[0], parts[2]]}
    s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload=chosen)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == bodies[1] + bodies[3]


def test_refused_completions_leave_the_upload_open(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    upload_id, parts = upload(s3, bucket, "key", {1: b"small", 2: b"last"})

    def complete(chosen: list[dict[str, object]], **more: object) -> None:
        s3.complete_multipart_upload(
            Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": chosen}, **more
        )

    with refused("EntityTooSmall", 400):
        complete(parts)
    with refused("InvalidPartOrder", 400):
        complete(parts[::-1])
    with refused("InvalidPart", 400):
        complete([{"PartNumber": 5, "ETag": parts[0]["ETag"]}])
    with refused("InvalidPart", 400):
        complete([{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}])
    with refused("InvalidRequest", 400):
        complete([])
    with refused("MalformedXML", 400):
        s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id)
    with refused("InvalidRequest", 400):
        complete(parts[:1], MpuObjectSize=4)
    with refused("PreconditionFailed", 412):
        complete(parts[:1], IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"before"
    complete(parts[:1], MpuObjectSize=5)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"small"


@pytest.mark.parametrize("number", [0, 10001, -1])
def test_part_numbers(s3: BaseClient, bucket: str, number: int) -> None:
    upload_id, _ = upload(s3, bucket, "key", {})
    with refused("InvalidArgument", 400):
        s3.upload_part(Bucket=bucket, Key="key", UploadId=upload_id, PartNumber=number, Body=b"x")


def test_abort(s3: BaseClient, bucket: str) -> None:
    upload_id, parts = upload(s3, bucket, "key", {1: b"x"})
    s3.abort_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id)
    with refused("NoSuchUpload", 404):
        s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts})
    with refused("NoSuchUpload", 404):
        s3.list_parts(Bucket=bucket, Key="key", UploadId=upload_id)
    with refused("NoSuchUpload", 404):
        s3.abort_multipart_upload(Bucket=bucket, Key="key", UploadId="made-up")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="key")


def test_copied_parts(s3: BaseClient, bucket: str) -> None:
    source = pattern(LEAST * 2, "source")
    s3.put_object(Bucket=bucket, Key="source", Body=source)
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    spans = [(0, LEAST), (3, LEAST + 4), (7, 8)]
    parts: list[dict[str, object]] = []
    for number, (start, stop) in enumerate(spans, 1):
        told = s3.upload_part_copy(
            Bucket=bucket,
            Key="key",
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": bucket, "Key": "source"},
            CopySourceRange=f"bytes={start}-{stop - 1}",
        )["CopyPartResult"]
        assert told["ETag"] == f'"{md5(source[start:stop]).hex()}"'
        parts.append({"PartNumber": number, "ETag": told["ETag"]})
    with refused("InvalidRange"):
        s3.upload_part_copy(
            Bucket=bucket,
            Key="key",
            UploadId=upload_id,
            PartNumber=4,
            CopySource=f"{bucket}/source",
            CopySourceRange=f"bytes=0-{len(source)}",
        )
    s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts})
    whole = b"".join(source[start:stop] for start, stop in spans)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == whole


def test_what_the_upload_says_the_object_has(s3: BaseClient, bucket: str) -> None:
    upload_id = s3.create_multipart_upload(
        Bucket=bucket, Key="key", ContentType="text/plain", Metadata={"a": "b"}, Tagging="t=1", CacheControl="no-store"
    )["UploadId"]
    told = s3.upload_part(Bucket=bucket, Key="key", UploadId=upload_id, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": told["ETag"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts})
    head = s3.head_object(Bucket=bucket, Key="key")
    assert (head["ContentType"], head["Metadata"], head["CacheControl"]) == ("text/plain", {"a": "b"}, "no-store")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [{"Key": "t", "Value": "1"}]


def test_uploads_are_listed_in_pages(s3: BaseClient, bucket: str) -> None:
    keys = ["a", "a", "b/1", "b/2", "c"]
    for key in keys:
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    found = []
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}):
        assert len(page["Uploads"]) <= 2
        found += [(each["Key"], each["UploadId"]) for each in page["Uploads"]]
    assert [key for key, _ in found] == keys
    assert len(set(found)) == len(keys)
    grouped = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [each["Key"] for each in grouped["Uploads"]] == ["a", "a", "c"]
    assert grouped["CommonPrefixes"] == [{"Prefix": "b/"}]


def test_boto3s_own_transfer(s3: BaseClient, bucket: str) -> None:
    body = pattern(20 * MIB + 3, "transfer")
    s3.upload_fileobj(io.BytesIO(body), bucket, "key")
    assert s3.head_object(Bucket=bucket, Key="key")["ETag"].endswith('-3"')
    back = io.BytesIO()
    s3.download_fileobj(bucket, "key", back)
    assert back.getvalue() == body


def test_one_winner_of_many_completions(s3: BaseClient, bucket: str) -> None:
    """Two uploads of one key completed at once: the object is one of them, whole."""
    uploads = [upload(s3, bucket, "key", {1: pattern(LEAST, name), 2: name.encode()}) for name in ("p", "q", "r", "s")]

    def complete(each: tuple[str, list[dict[str, object]]]) -> str:
        told = s3.complete_multipart_upload(
            Bucket=bucket, Key="key", UploadId=each[0], MultipartUpload={"Parts": each[1]}
        )
        return str(told["ETag"])

    with ThreadPoolExecutor(4) as pool:
        etags = list(pool.map(complete, uploads))
    got = s3.get_object(Bucket=bucket, Key="key")
    body = got["Body"].read()
    assert got["ETag"] in etags
    assert body == pattern(LEAST, body[-1:].decode()) + body[-1:]
