"""Browsers' forms that are refused: each with S3's own error, and nothing stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from botocore.client import BaseClient

from tests.e2e.forms import (
    Fields,
    error_of,
    framed,
    framed_part,
    in_an_hour,
    presign,
    send,
    sign_by_hand,
)
from tests.e2e.harness import Server, keys_of
from tests.e2e.signing import Socket

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def s3(server: Server) -> Iterator[BaseClient]:
    """boto3 as it signs forms outside us-east-1: by Version 4."""
    client = server.s3(signature_version="s3v4")
    yield client
    client.close()


Change = Callable[[Fields], Fields]
REFUSALS: dict[str, tuple[Change, int, dict[str, str]]] = {
    "signature": (
        lambda fields: fields | {"x-amz-signature": "0" * 64},
        403,
        {"Code": "SignatureDoesNotMatch"},
    ),
    "access-key": (
        lambda fields: fields | {"x-amz-credential": "NXAAAAAAAAAAAAAAAAAA" + fields["x-amz-credential"][20:]},
        403,
        {"Code": "InvalidAccessKeyId", "AWSAccessKeyId": "NXAAAAAAAAAAAAAAAAAA"},
    ),
    "policy": (lambda fields: fields | {"policy": fields["policy"][:-2]}, 403, {"Code": "SignatureDoesNotMatch"}),
    "region": (
        lambda fields: fields | {"x-amz-credential": fields["x-amz-credential"].replace("us-east-1", "mars-1")},
        400,
        {"Code": "InvalidArgument", "ArgumentName": "X-Amz-Credential", "Region": "us-east-1"},
    ),
    "token": (lambda fields: fields | {"x-amz-security-token": "t"}, 400, {"Code": "InvalidToken"}),
    "no-signature": (
        lambda fields: without(fields, "x-amz-signature"),
        400,
        {"Code": "InvalidArgument", "ArgumentName": "X-Amz-Signature", "ArgumentValue": ""},
    ),
    "anonymous": (lambda fields: {"key": fields["key"]}, 403, {"Code": "AccessDenied", "Message": "Access Denied"}),
    "no-key": (
        lambda fields: without(fields, "key"),
        400,
        {
            "Code": "InvalidArgument",
            "Message": "Bucket POST must contain a field named 'key'.  "
            "If it is specified, please check the order of the fields.",
            "ArgumentName": "key",
            "ArgumentValue": "",
        },
    ),
    "empty-key": (lambda fields: fields | {"key": ""}, 400, {"Code": "InvalidArgument", "ArgumentName": "key"}),
    "other-key": (
        lambda fields: fields | {"key": "sentinel"},
        403,
        {
            "Code": "AccessDenied",
            "Message": 'Invalid according to Policy: Policy Condition failed: ["eq", "$key", "k"]',
        },
    ),
    "extra-field": (
        lambda fields: fields | {"acl": "private"},
        403,
        {"Code": "AccessDenied", "Message": "Invalid according to Policy: Extra input fields: acl"},
    ),
    "too-long": (
        lambda fields: fields | {"x-ignore-it": "x" * 20_480},
        400,
        {"Code": "MaxPostPreDataLengthExceeded", "MaxPostPreDataLengthBytes": "20480"},
    ),
    "too-many": (
        lambda fields: fields | {f"x-ignore-{number}": "" for number in range(5000)},
        400,
        {"Code": "MaxPostPreDataLengthExceeded"},
    ),
    "long-name": (lambda fields: fields | {"x-ignore-" + "x" * 9000: ""}, 400, {"Code": "MalformedPOSTRequest"}),
}


def without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}


@pytest.fixture
def sentinel(s3: BaseClient, bucket: str) -> Any:
    """A bucket with an object; afterwards there is nothing else in it, and no upload either."""
    s3.put_object(Bucket=bucket, Key="sentinel", Body=b"untouched")
    yield bucket
    assert keys_of(s3, bucket) == ["sentinel"]
    assert s3.get_object(Bucket=bucket, Key="sentinel")["Body"].read() == b"untouched"


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_means_not_stored(s3: BaseClient, sentinel: str, name: str) -> None:
    change, status, told = REFUSALS[name]
    url, fields = presign(s3, sentinel, "k")
    answer = send(url, change(fields))
    assert answer.status_code == status, answer.text
    assert error_of(answer).items() >= told.items()


FIELDS: dict[str, tuple[Fields, int, dict[str, str]]] = {
    "storage-class": (
        {"x-amz-storage-class": "FakeClass"},
        400,
        {"Code": "InvalidStorageClass", "StorageClassRequested": "FakeClass"},
    ),
    "acl": ({"acl": "public-read"}, 400, {"Code": "AccessControlListNotSupported"}),
    "tagging": ({"tagging": "not-xml"}, 400, {"Code": "MalformedXML"}),
    "tags": (
        {"tagging": "<Tagging><TagSet><Tag><Key>aws:a</Key><Value>b</Value></Tag></TagSet></Tagging>"},
        400,
        {"Code": "InvalidTag"},
    ),
    "md5": ({"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, 400, {"Code": "BadDigest"}),
    "no-md5": ({"Content-MD5": "nonsense"}, 400, {"Code": "InvalidDigest"}),
    "checksum": ({"x-amz-checksum-crc32": "AAAAAA=="}, 400, {"Code": "BadDigest"}),
    "two-checksums": (
        {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="},
        400,
        {"Code": "InvalidRequest"},
    ),
    "algorithm-alone": ({"x-amz-checksum-algorithm": "CRC32"}, 400, {"Code": "InvalidRequest"}),
    "redirect-location": ({"x-amz-website-redirect-location": "nowhere"}, 400, {"Code": "InvalidRedirectLocation"}),
    "metadata": ({"x-amz-meta-a": "x" * 3000}, 400, {"Code": "MetadataTooLarge"}),
    "metadata-name": ({"x-amz-meta-a b": "c"}, 400, {"Code": "InvalidArgument"}),
    "split-answer": ({"Content-Type": "a\r\nSet-Cookie: b"}, 400, {"Code": "InvalidArgument"}),
    "condition": ({"If-None-Match": "*"}, 501, {"Code": "NotImplemented", "Header": "If-None-Match"}),
    "two-acls": ({"acl": "private", "x-amz-acl": "public-read"}, 400, {"Code": "InvalidRequest"}),
    "lock": ({"x-amz-object-lock-legal-hold": "ON"}, 400, {"Code": "InvalidRequest"}),
    "other-owner": ({"x-amz-expected-bucket-owner": "somebody"}, 403, {"Code": "AccessDenied"}),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_checked_as_headers_are(s3: BaseClient, sentinel: str, name: str) -> None:
    fields, status, told = FIELDS[name]
    url, made = presign(s3, sentinel, "k", fields)
    answer = send(url, made)
    assert answer.status_code == status, answer.text
    assert error_of(answer).items() >= told.items()


def test_a_key_that_is_too_long(s3: BaseClient, sentinel: str) -> None:
    url, fields = presign(s3, sentinel, "${filename}")
    assert error_of(send(url, fields, ("x" * 1025, b"")))["Code"] == "KeyTooLongError"
    url, fields = presign(s3, sentinel, "${filename}" * 100)
    assert error_of(send(url, fields, ("x" * 1000, b"")))["Code"] == "MaxPostPreDataLengthExceeded"


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (3, {"Code": "EntityTooSmall", "ProposedSize": "3", "MinSizeAllowed": "4"}),
        (11, {"Code": "EntityTooLarge", "ProposedSize": "11", "MaxSizeAllowed": "10"}),
        (3 * MIB, {"Code": "EntityTooLarge", "ProposedSize": str(3 * MIB), "MaxSizeAllowed": "10"}),
    ],
)
def test_sizes_out_of_range(s3: BaseClient, sentinel: str, size: int, told: dict[str, str]) -> None:
    url, fields = presign(s3, sentinel, "k", None, ["content-length-range", 4, 10])
    answer = send(url, fields, ("a", b"x" * size))
    assert answer.status_code == 400
    assert error_of(answer).items() >= told.items()


def test_the_end_of_a_long_file_too_small(s3: BaseClient, sentinel: str) -> None:
    url, fields = presign(s3, sentinel, "k", None, ["content-length-range", 20 * MIB, 30 * MIB])
    assert error_of(send(url, fields, ("a", b"x" * (9 * MIB))))["Code"] == "EntityTooSmall"


def test_an_expired_policy(server: Server, sentinel: str) -> None:
    policy = {"expiration": "2020-01-01T00:00:00Z", "conditions": [{"bucket": sentinel}, {"key": "k"}]}
    answer = send(f"{server.url}/{sentinel}", sign_by_hand(server, policy) | {"key": "k"})
    assert answer.status_code == 403
    assert error_of(answer)["Message"] == "Invalid according to Policy: Policy expired."


def test_a_policy_for_another_bucket(server: Server, s3: BaseClient, sentinel: str) -> None:
    _, fields = presign(s3, "another-bucket", "k", {"bucket": "another-bucket"})
    answer = send(f"{server.url}/{sentinel}", fields)
    assert answer.status_code == 403
    assert '["eq", "$bucket", "another-bucket"]' in error_of(answer)["Message"]


@pytest.mark.parametrize("policy", [b"{", {"expiration": "x", "conditions": []}, {"conditions": []}, {"Statement": []}])
def test_a_policy_that_is_none(server: Server, sentinel: str, policy: Any) -> None:
    answer = send(f"{server.url}/{sentinel}", sign_by_hand(server, policy) | {"key": "k"})
    assert (answer.status_code, error_of(answer)["Code"]) == (400, "InvalidPolicyDocument")


def test_a_policy_has_to_name_the_bucket(server: Server, sentinel: str) -> None:
    policy = {"expiration": in_an_hour(), "conditions": [{"key": "k"}]}
    answer = send(f"{server.url}/{sentinel}", sign_by_hand(server, policy) | {"key": "k"})
    assert error_of(answer)["Message"] == "Invalid according to Policy: Extra input fields: bucket"


HEADERS: dict[str, tuple[dict[str, str], str, int, str]] = {
    "authorization": ({"Authorization": "AWS4-HMAC-SHA256 Credential=a"}, "", 400, "InvalidArgument"),
    "bearer": ({"Authorization": "Bearer nxk_a_b"}, "", 400, "InvalidArgument"),
    "presigned": ({}, "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=a", 400, "InvalidArgument"),
    "query": ({}, "?x=y", 400, "InvalidArgument"),
    "acl": ({"x-amz-acl": "private"}, "", 400, "InvalidRequest"),
    "metadata": ({"x-amz-meta-a": "b"}, "", 400, "InvalidRequest"),
    "md5": ({"Content-MD5": "N7UdGUp1E+RbVvZSTy1R8g=="}, "", 400, "InvalidRequest"),
    "condition": ({"If-None-Match": "*"}, "", 501, "NotImplemented"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_only_the_form_decides(s3: BaseClient, sentinel: str, name: str) -> None:
    headers, query, status, code = HEADERS[name]
    url, fields = presign(s3, sentinel, "k")
    answer = send(url + query, fields, headers=headers)
    assert (answer.status_code, error_of(answer)["Code"]) == (status, code)


def test_browsers_own_headers_say_nothing_of_the_object(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "k")
    assert send(url, fields, headers={"Cache-Control": "max-age=0", "Origin": "http://page.test"}).status_code == 204
    assert "CacheControl" not in s3.head_object(Bucket=bucket, Key="k")


BODIES: dict[str, tuple[Callable[[bytes], bytes], dict[str, str]]] = {
    "no-end": (lambda body: body[: body.rindex(b"\r\n--xyz--")], {"Code": "MalformedPOSTRequest"}),
    "half-an-end": (lambda body: body[: body.rindex(b"-\r\n")], {"Code": "MalformedPOSTRequest"}),
    "no-file": (
        lambda body: body[: body.rindex(b"--xyz\r\n")] + b"--xyz--\r\n",
        {
            "Code": "InvalidArgument",
            "Message": "POST requires exactly one file upload per request.",
            "ArgumentName": "file",
            "ArgumentValue": "0",
        },
    ),
    "two-files": (
        lambda body: body[: body.rindex(b"--xyz--")] + framed_part(b'name="File"', b"more") + b"--xyz--\r\n",
        {"Code": "InvalidArgument", "Message": "POST requires exactly one file upload per request."},
    ),
    "file-first": (
        lambda body: body[body.rindex(b"--xyz\r\n") : body.rindex(b"--xyz--")] + body,
        {"Code": "InvalidArgument", "ArgumentName": "key"},
    ),
    "bare-lf": (lambda body: body.replace(b"\r\n", b"\n"), {"Code": "MalformedPOSTRequest"}),
    "nothing": (lambda body: b"", {"Code": "MalformedPOSTRequest"}),
    "preamble": (lambda body: b"x" * 30_000 + b"\r\n" + body, {"Code": "MaxPostPreDataLengthExceeded"}),
    "not-utf-8": (
        lambda body: body.replace(b"\r\n\r\nk\r\n", b"\r\n\r\n\xff\r\n", 1),
        {"Code": "MalformedPOSTRequest"},
    ),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("size", [3, 100_000, 9 * MIB])
def test_framing_that_is_not_whole(s3: BaseClient, sentinel: str, name: str, size: int) -> None:
    change, told = BODIES[name]
    url, fields = presign(s3, sentinel, "k")
    body, content_type = framed(fields, b'name="file"', b"x" * size)
    answer = requests.post(url, data=change(body), headers={"Content-Type": content_type}, timeout=20)
    assert answer.status_code == 400, answer.text
    assert error_of(answer).items() >= told.items()


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_form_without_a_boundary(s3: BaseClient, sentinel: str, content_type: str) -> None:
    answer = requests.post(
        f"{s3.meta.endpoint_url}/{sentinel}", data=b"--xyz--", headers={"Content-Type": content_type}, timeout=20
    )
    assert (answer.status_code, error_of(answer)["Code"]) == (400, "MalformedPOSTRequest")


@pytest.mark.parametrize("content_type", ["text/html", "application/x-www-form-urlencoded", ""])
def test_what_is_no_form(s3: BaseClient, sentinel: str, content_type: str) -> None:
    answer = requests.post(
        f"{s3.meta.endpoint_url}/{sentinel}", data=b"a=b", headers={"Content-Type": content_type}, timeout=20
    )
    assert answer.status_code == 412
    assert error_of(answer)["Code"] == "PreconditionFailed"
    assert error_of(answer)["Condition"] == "Bucket POST must be of the enclosure-type multipart/form-data"


def test_a_form_goes_to_a_bucket(server: Server, s3: BaseClient, sentinel: str) -> None:
    url, fields = presign(s3, sentinel, "k")
    assert send(server.url, fields).status_code in (403, 405)
    assert send(f"{url}/k", fields).status_code in (403, 405)


def test_a_client_that_goes_away_leaves_nothing(server: Server, s3: BaseClient, sentinel: str) -> None:
    _, fields = presign(s3, sentinel, "k")
    body, content_type = framed(fields, b'name="file"', b"x" * MIB)
    head = (
        f"POST /{sentinel} HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with Socket(server) as connection:
        connection.send(head.encode() + body[:-20])
    assert s3.list_multipart_uploads(Bucket=sentinel).get("Uploads", []) == []
