"""Objects through boto3: what goes in comes out, in whole and in part, with its headers."""

from __future__ import annotations

import base64
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.header import decode_header, make_header
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.client import BaseClient

from tests.e2e.harness import Server, keys_of, refused, unique
from tests.e2e.signing import Raw

BLOCK = 8 * 1024 * 1024
BODY = bytes(range(256)) * 40


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 1024 * 1024, BLOCK - 1, BLOCK, BLOCK + 1])
def test_round_trip(s3: BaseClient, bucket: str, size: int) -> None:
    body = hashlib.shake_128(b"%d" % size).digest(size)
    put = s3.put_object(Bucket=bucket, Key="key", Body=body)
    assert put["ETag"] == f'"{md5(body)}"'
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["ContentLength"] == size
    assert got["ETag"] == put["ETag"]
    assert got["Body"].read() == body


def test_head_tells_what_get_tells(s3: BaseClient, bucket: str) -> None:
    s3.put_object(
        Bucket=bucket,
        Key="key",
        Body=BODY,
        ContentType="text/plain; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a b.txt"',
        ContentEncoding="gzip",
        ContentLanguage="de-AT",
        Expires="Wed, 21 Oct 2037 07:28:00 GMT",
        Metadata={"one": "1", "two": "zwei"},
        StorageClass="STANDARD_IA",
        Tagging="a=1&b=2",
    )
    got = s3.get_object(Bucket=bucket, Key="key")
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")  # boto3 asks for it on GET by itself
    got["Body"].close()
    for volatile in ("x-amz-request-id", "x-amz-id-2", "date"):
        got["ResponseMetadata"]["HTTPHeaders"].pop(volatile, None)
        head["ResponseMetadata"]["HTTPHeaders"].pop(volatile, None)
    assert got["ResponseMetadata"]["HTTPHeaders"] == head["ResponseMetadata"]["HTTPHeaders"]
    assert got["TagCount"] == 2
    assert head["ContentType"] == "text/plain; charset=utf-8"
    assert head["CacheControl"] == "max-age=60"
    assert head["ContentDisposition"] == 'attachment; filename="a b.txt"'
    assert head["ContentEncoding"] == "gzip"
    assert head["ContentLanguage"] == "de-AT"
    assert head["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Wed, 21 Oct 2037 07:28:00 GMT"
    assert head["Metadata"] == {"one": "1", "two": "zwei"}
    assert head["StorageClass"] == "STANDARD_IA"
    assert head["AcceptRanges"] == "bytes"


def test_every_answer_has_request_ids(s3: BaseClient, bucket: str) -> None:
    told = s3.put_object(Bucket=bucket, Key="key", Body=b"")["ResponseMetadata"]
    with refused("NoSuchKey", 404) as errors:
        s3.get_object(Bucket=bucket, Key="absent")
    wrong = errors[0].response["ResponseMetadata"]
    assert told["RequestId"] and wrong["RequestId"] and told["RequestId"] != wrong["RequestId"]
    assert told["HostId"] and wrong["HostId"]


def test_overwrite_and_delete(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"one", Metadata={"a": "b"})
    s3.put_object(Bucket=bucket, Key="key", Body=b"two")
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (got["Body"].read(), got["Metadata"], keys_of(s3, bucket)) == (b"two", {}, ["key"])
    for _ in range(2):  # removing what is not there succeeds
        assert s3.delete_object(Bucket=bucket, Key="key")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="key")
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(BODY)),
        ("bytes=-100", len(BODY) - 100, len(BODY)),
        ("bytes=-999999", 0, len(BODY)),
        ("bytes=10-999999", 10, len(BODY)),
    ],
)
def test_ranges(s3: BaseClient, bucket: str, wanted: str, start: int, stop: int) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    got = s3.get_object(Bucket=bucket, Key="key", Range=wanted)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {start}-{stop - 1}/{len(BODY)}"
    assert got["Body"].read() == BODY[start:stop]
    head = s3.head_object(Bucket=bucket, Key="key", Range=wanted)
    assert (head["ResponseMetadata"]["HTTPStatusCode"], head["ContentLength"]) == (206, stop - start)


def test_ranges_across_blocks(s3: BaseClient, bucket: str) -> None:
    body = hashlib.shake_128(b"blocks").digest(2 * BLOCK + 1000)
    s3.put_object(Bucket=bucket, Key="key", Body=body)
    for start, stop in [(BLOCK - 1, BLOCK + 1), (BLOCK, BLOCK + 1), (5, 2 * BLOCK + 5), (2 * BLOCK, 2 * BLOCK + 1000)]:
        got = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={start}-{stop - 1}")
        assert got["Body"].read() == body[start:stop]


@pytest.mark.parametrize("wanted", [f"bytes={len(BODY)}-", "bytes=999999-1000000", "bytes=-0"])
def test_ranges_that_touch_nothing(s3: BaseClient, bucket: str, wanted: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    with refused("InvalidRange", 416) as errors:
        s3.get_object(Bucket=bucket, Key="key", Range=wanted)
    assert errors[0].response["ResponseMetadata"]["HTTPHeaders"]["content-range"] == f"bytes */{len(BODY)}"
    with refused("416", 416):
        s3.head_object(Bucket=bucket, Key="key", Range=wanted)


@pytest.mark.parametrize("wanted", ["bytes=5-2", "lines=1-2", "bytes=0-1,4-5", "bytes=a-b"])
def test_ranges_that_mean_nothing_are_ignored(s3: BaseClient, bucket: str, wanted: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    got = s3.get_object(Bucket=bucket, Key="key", Range=wanted)
    assert (got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()) == (200, BODY)


def test_response_overrides(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="key",
        ResponseContentType="application/x-other",
        ResponseCacheControl="no-cache",
        ResponseContentDisposition="inline",
        ResponseContentEncoding="identity",
        ResponseContentLanguage="fr",
        ResponseExpires="Wed, 21 Oct 2037 07:28:00 GMT",
    )
    headers = got["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/x-other"
    assert headers["cache-control"] == "no-cache"
    assert headers["content-disposition"] == "inline"
    assert headers["content-encoding"] == "identity"
    assert headers["content-language"] == "fr"
    assert headers["expires"] == "Wed, 21 Oct 2037 07:28:00 GMT"
    got["Body"].close()


def test_a_body_that_denies_its_md5_is_refused(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="there", Body=b"before")
    wrong = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    for key in ("there", "new"):
        with refused("BadDigest", 400):
            s3.put_object(Bucket=bucket, Key=key, Body=b"after", ContentMD5=wrong)
    with refused("InvalidDigest", 400):
        s3.put_object(Bucket=bucket, Key="new", Body=b"after", ContentMD5="AAAA")
    assert keys_of(s3, bucket) == ["there"]
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"before"


def test_metadata_beyond_ascii(server: Server, bucket: str) -> None:
    """Sent as UTF-8, told as a word of RFC 2047; boto3 itself refuses to send it."""
    raw = Raw(server)
    sent = {"x-amz-meta-city": "Kraków £", "x-amz-meta-mostly": "plain text with one é", "x-amz-meta-plain": "text"}
    status, _, body = raw.send("PUT", f"/{bucket}/key", headers=sent)
    assert status == 200, body
    for method in ("GET", "HEAD"):
        told = raw.send(method, f"/{bucket}/key")[1]
        assert {name: str(make_header(decode_header(told[name]))) for name in sent} == sent
        assert told["x-amz-meta-plain"] == "text" and told["x-amz-meta-city"].isascii()


def test_metadata_has_a_limit(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="fits", Body=b"", Metadata={"k" * 48: "v" * 2000})
    with refused("MetadataTooLarge", 400):
        s3.put_object(Bucket=bucket, Key="big", Body=b"", Metadata={"k" * 49: "v" * 2000})
    with refused("MetadataTooLarge", 400):
        s3.create_multipart_upload(Bucket=bucket, Key="big", Metadata={"k" * 49: "v" * 2000})
    assert keys_of(s3, bucket) == ["fits"]


def test_copy(s3: BaseClient, bucket: str) -> None:
    other = unique("other")
    s3.create_bucket(Bucket=other)
    s3.put_object(Bucket=bucket, Key="a b+c%é", Body=BODY, Metadata={"m": "1"}, ContentType="text/plain", Tagging="t=1")
    copied = s3.copy_object(Bucket=other, Key="copy", CopySource={"Bucket": bucket, "Key": "a b+c%é"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{md5(BODY)}"'
    got = s3.get_object(Bucket=other, Key="copy")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (BODY, {"m": "1"}, "text/plain")
    assert s3.get_object_tagging(Bucket=other, Key="copy")["TagSet"] == [{"Key": "t", "Value": "1"}]

    with refused("InvalidRequest", 400):  # onto itself, changing nothing
        s3.copy_object(Bucket=other, Key="copy", CopySource=f"{other}/copy")
    s3.copy_object(
        Bucket=other, Key="copy", CopySource=f"{other}/copy", MetadataDirective="REPLACE", Metadata={"m": "2"}
    )
    again = s3.get_object(Bucket=other, Key="copy")
    assert (again["Body"].read(), again["Metadata"]) == (BODY, {"m": "2"})
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=other, Key="x", CopySource=f"{bucket}/absent")
    with refused("NoSuchBucket", 404):
        s3.copy_object(Bucket=other, Key="x", CopySource=f"{unique('no')}/absent")
    assert keys_of(s3, other) == ["copy"]


def test_a_copy_without_annotations(s3: BaseClient, bucket: str) -> None:
    """aws-cli 2 asks for it with every copy between keys."""
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    for directive in ("EXCLUDE", "COPY"):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", AnnotationDirective=directive)
        assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == BODY
    with refused("InvalidArgument", 400):
        s3.copy_object(Bucket=bucket, Key="other", CopySource=f"{bucket}/key", AnnotationDirective="REPLACE")


def test_delete_many(s3: BaseClient, bucket: str) -> None:
    keys = [f"k/{number}" for number in range(30)] + ["a&b<c>", "é\U0001f600"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    wanted = {"Objects": [{"Key": key} for key in [*keys, "absent"]]}
    told = s3.delete_objects(Bucket=bucket, Delete=wanted)
    assert sorted(entry["Key"] for entry in told["Deleted"]) == sorted([*keys, "absent"])
    assert "Errors" not in told
    assert keys_of(s3, bucket) == []
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "x"}], "Quiet": True})
    assert "Deleted" not in quiet
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})


def test_tagging_leaves_the_bytes_alone(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY, Tagging="a=1")
    before = s3.head_object(Bucket=bucket, Key="key")
    tags = [{"Key": "x y", "Value": "1+2=3"}, {"Key": "é", "Value": ""}]
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": tags})
    told = s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"]
    assert sorted(told, key=lambda tag: tag["Key"]) == sorted(tags, key=lambda tag: tag["Key"])
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (got["Body"].read(), got["ETag"], got["LastModified"]) == (BODY, before["ETag"], before["LastModified"])
    assert got["TagCount"] == 2
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []
    for wrong in ([{"Key": str(n), "Value": ""} for n in range(11)], [{"Key": "k" * 129, "Value": ""}]):
        with refused("InvalidTag", 400):
            s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": wrong})
    with refused("NoSuchKey", 404):
        s3.get_object_tagging(Bucket=bucket, Key="absent")


def test_urls_presigned_by_version_2(server: Server, bucket: str, client: Callable[..., BaseClient]) -> None:
    presigner = client(signature_version="s3")
    for method, operation, body in (("PUT", "put_object", b"old"), ("GET", "get_object", b"")):
        url = presigner.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": "key"}, ExpiresIn=60)
        assert "AWSAccessKeyId=" in url
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request(method, url.removeprefix(server.url), body)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"" if method == "PUT" else b"old")
        connection.close()


def test_urls_presigned_by_version_2_in_virtual_hosted_style(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/b c", Body=b"hosted")
    hosted = server.s3(host="localhost", signature_version="s3", s3={"addressing_style": "virtual"})
    url = urlsplit(hosted.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b c"}))
    hosted.close()
    assert url.netloc == f"{bucket}.localhost:{server.port}" and "AWSAccessKeyId=" in url.query
    for host, expected in ((url.netloc, 200), (f"other.localhost:{server.port}", 403)):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", f"{url.path}?{url.query}", headers={"Host": host})
        answer = connection.getresponse()
        assert (answer.status, answer.read() == b"hosted") == (expected, expected == 200)
        connection.close()


def test_presigned_urls(s3: BaseClient, bucket: str, client: Callable[..., BaseClient]) -> None:
    presigner = client(signature_version="s3v4")
    key = "a b/ü+%&=.txt"
    url = presigner.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=60)
    request = urllib.request.Request(url, data=b"presigned", method="PUT")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200
    url = presigner.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": key, "ResponseContentType": "text/x-mine"}, ExpiresIn=60
    )
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"presigned", "text/x-mine")
    # Whatever is changed after signing is refused, and so is a URL for another method.
    for wrong in (url.replace("text%2Fx-mine", "text%2Fhtml"), url[:-1] + ("0" if url[-1] != "0" else "1")):
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(wrong, timeout=5)
        assert told.value.code == 403 and b"SignatureDoesNotMatch" in told.value.read()
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(urllib.request.Request(url, data=b"evil", method="PUT"), timeout=5)
    assert told.value.code == 403 and told.value.read()
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"presigned"


def test_a_checksum_in_a_presigned_url_is_of_no_body(
    s3: BaseClient, bucket: str, client: Callable[..., BaseClient]
) -> None:
    """AWS's SDK for JavaScript signs the CRC32 of nothing into every URL for an upload; a header is another matter."""
    presigner = client(signature_version="s3v4")

    def sign_nothing(request: AWSRequest, **_: Any) -> None:
        request.url += "?x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"

    presigner.meta.events.register("before-sign.s3.PutObject", sign_nothing)
    url = presigner.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "key"}, ExpiresIn=60)
    assert "x-amz-checksum-crc32=AAAAAA" in url
    request = urllib.request.Request(url, data=b"something", method="PUT")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"something"


def test_an_expired_url_is_refused(s3: BaseClient, bucket: str, client: Callable[..., BaseClient]) -> None:
    presigner = client(signature_version="s3v4")
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    url = presigner.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"}, ExpiresIn=1)
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(url, timeout=5)
    assert told.value.code == 403 and b"Request has expired" in told.value.read()


def test_expected_bucket_owner(s3: BaseClient, bucket: str) -> None:
    owner = s3.list_buckets()["Owner"]["ID"]
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ExpectedBucketOwner=owner)
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=bucket, Key="key", Body=b"y", ExpectedBucketOwner="123456789012")
    assert s3.get_object(Bucket=bucket, Key="key", ExpectedBucketOwner=owner)["Body"].read() == b"x"


def test_virtual_hosted_style(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/b c", Body=b"hosted")
    hosted = server.s3(host="localhost", s3={"addressing_style": "virtual"})
    hosts = set()

    def connect_here(request: AWSPreparedRequest, **_: Any) -> None:
        """No resolver knows the bucket's name: keep it as Host, and connect to this machine."""
        address = urlsplit(request.url)
        hosts.add(address.netloc)
        request.headers["Host"] = address.netloc
        request.url = urlunsplit(address._replace(netloc=f"127.0.0.1:{server.port}"))

    hosted.meta.events.register("before-send.s3", connect_here)
    try:
        assert hosted.get_object(Bucket=bucket, Key="a/b c")["Body"].read() == b"hosted"
        hosted.put_object(Bucket=bucket, Key="new", Body=b"1")
        assert keys_of(hosted, bucket) == ["a/b c", "new"]
    finally:
        hosted.close()
    assert hosts == {f"{bucket}.localhost:{server.port}"}
