"""Presigned URLs of both signature versions, made by boto3 and sent by a client that knows no keys."""

from __future__ import annotations

import base64
import hashlib
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.credentials import Credentials

from tests.e2e.harness import REGION, Server, keys_of

MD5 = base64.b64encode(hashlib.md5(b"body").digest()).decode()
SHA256 = base64.b64encode(hashlib.sha256(b"body").digest()).decode()
METHODS = {
    "get": "GET",
    "list": "GET",
    "head": "HEAD",
    "put": "PUT",
    "copy": "PUT",
    "upload": "PUT",
    "delete": "DELETE",
}

Ask = Callable[..., requests.Response]


@pytest.fixture(scope="module", params=["s3v4", "s3"])
def presigner(server: Server, request: pytest.FixtureRequest) -> Iterator[BaseClient]:
    client = server.s3(signature_version=request.param)
    yield client
    client.close()


@pytest.fixture
def ask(presigner: BaseClient, bucket: str) -> Ask:
    """Presigns an operation and sends it: ``headers`` and ``body`` are what the holder of the URL adds."""

    def send(
        operation: str, headers: dict[str, str] | None = None, body: bytes = b"", method: str = "", **members: Any
    ) -> requests.Response:
        url = presigner.generate_presigned_url(operation, Params={"Bucket": bucket, **members}, ExpiresIn=60)
        verb = method or METHODS.get(operation.partition("_")[0], "POST")
        return requests.request(verb, url, headers=headers, data=body, timeout=20)

    return send


def code_of(answer: requests.Response) -> str:
    return ElementTree.fromstring(answer.content).findtext("Code") or ""


def test_reading(ask: Ask, s3: BaseClient, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    key = "a b/\u00e9+%&=~.txt"
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"old", Tagging="a=b")["VersionId"]
    s3.put_object(Bucket=bucket, Key=key, Body=b"new body")
    assert ask("get_object", Key=key).content == b"new body"
    assert ask("get_object", Key=key, VersionId=version).content == b"old"
    assert ask("head_object", Key=key).headers["Content-Length"] == "8"
    assert ask("get_object", {"Range": "bytes=4-7"}, Key=key).content == b"body"
    assert ask("get_object", Key=key, PartNumber=1).status_code == 206
    assert ask("get_object", {"If-None-Match": '"x"'}, Key=key).status_code == 200
    assert b"<Key>a</Key>" in ask("get_object_tagging", Key=key, VersionId=version).content
    assert ask("get_object_acl", Key=key).status_code == 200
    assert ask("head_bucket").status_code == 200
    assert b"<Status>Enabled</Status>" in ask("get_bucket_versioning").content
    assert code_of(ask("get_object", Key="absent")) == "NoSuchKey"


def test_what_the_answer_shall_say(ask: Ask, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ContentType="text/plain")
    answer = ask(
        "get_object",
        Key="k",
        ResponseContentType="text/x-own; charset=utf-8",
        ResponseContentDisposition='attachment; filename="a b.txt"',
        ResponseContentLanguage="de",
        ResponseContentEncoding="identity",
        ResponseCacheControl="no-cache",
        ResponseExpires="Thu, 01 Dec 2033 16:00:00 GMT",
    )
    assert answer.content == b"body"
    assert answer.headers["Content-Type"] == "text/x-own; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a b.txt"'
    assert answer.headers["Content-Language"] == "de"
    assert answer.headers["Content-Encoding"] == "identity"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Expires"] == "Thu, 01 Dec 2033 16:00:00 GMT"


def test_checksums_of_answers(ask: Ask, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ChecksumSHA256=SHA256)
    answer = ask("get_object", {"x-amz-checksum-mode": "ENABLED"}, Key="k", ChecksumMode="ENABLED")
    assert answer.headers["x-amz-checksum-sha256"] == SHA256


WRITES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "plain": ({}, {}),
    "type": ({"ContentType": "image/png"}, {"Content-Type": "image/png"}),
    "metadata": ({"Metadata": {"note": "a b"}}, {"x-amz-meta-note": "a b"}),
    "tags": ({"Tagging": "a=b&c=d"}, {"x-amz-tagging": "a=b&c=d"}),
    "class": ({"StorageClass": "STANDARD_IA"}, {"x-amz-storage-class": "STANDARD_IA"}),
    "md5": ({"ContentMD5": MD5}, {"Content-MD5": MD5}),
    "sha256": ({"ChecksumSHA256": SHA256}, {"x-amz-checksum-sha256": SHA256}),
    "acl": ({"ACL": "bucket-owner-full-control"}, {"x-amz-acl": "bucket-owner-full-control"}),
    "condition": ({"IfNoneMatch": "*"}, {"If-None-Match": "*"}),
    "caching": ({"CacheControl": "no-cache"}, {"Cache-Control": "no-cache"}),
}


@pytest.mark.parametrize("name", WRITES)
def test_writing(ask: Ask, s3: BaseClient, bucket: str, name: str) -> None:
    members, headers = WRITES[name]
    assert ask("put_object", headers, b"body", Key="k", **members).text == ""
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    shown = {"ContentType", "Metadata", "StorageClass", "ChecksumSHA256", "CacheControl"} & members.keys()
    assert {member: head[member] for member in shown} == {member: members[member] for member in shown}


@pytest.mark.parametrize("name", ["type", "md5"])
def test_a_signed_header_has_to_be_sent(ask: Ask, s3: BaseClient, bucket: str, name: str) -> None:
    answer = ask("put_object", {}, b"body", Key="k", **WRITES[name][0])
    assert (answer.status_code, code_of(answer)) == (403, "SignatureDoesNotMatch")
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize("header", ["x-amz-acl", "x-amz-meta-a", "x-amz-copy-source", "x-amz-tagging"])
def test_no_header_that_acts_can_be_added(ask: Ask, s3: BaseClient, bucket: str, header: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"")
    answer = ask("put_object", {header: f"{bucket}/source"}, b"body", Key="k")
    assert answer.status_code == 403
    assert keys_of(s3, bucket) == ["source"]


def test_digests_that_do_not_match(ask: Ask, s3: BaseClient, bucket: str) -> None:
    for name in ("md5", "sha256"):
        members, headers = WRITES[name]
        assert code_of(ask("put_object", headers, b"other", Key="k", **members)) == "BadDigest"
    assert keys_of(s3, bucket) == []


def test_copying(ask: Ask, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"body")
    source = f"{bucket}/source"
    assert b"<ETag>" in ask("copy_object", {"x-amz-copy-source": source}, Key="k", CopySource=source).content
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_a_multipart_upload_by_urls_alone(ask: Ask, s3: BaseClient, bucket: str) -> None:
    created = ElementTree.fromstring(ask("create_multipart_upload", Key="k").content)
    upload = next(element.text for element in created if element.tag.endswith("UploadId"))
    part = ask("upload_part", body=b"body", Key="k", UploadId=upload, PartNumber=1)
    assert b"<PartNumber>1</PartNumber>" in ask("list_parts", Key="k", UploadId=upload).content
    assert bucket.encode() in ask("list_multipart_uploads").content
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.headers['ETag']}</ETag></Part></CompleteMultipartUpload>"
    )
    done = ask("complete_multipart_upload", body=document.encode(), Key="k", UploadId=upload)
    assert b"<ETag>" in done.content
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    aborted = ask("abort_multipart_upload", method="DELETE", Key="k", UploadId="absent")
    assert code_of(aborted) == "NoSuchUpload"


def test_deleting(ask: Ask, s3: BaseClient, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"body", Tagging="a=b")["VersionId"]
    assert ask("delete_object_tagging", Key="k").status_code == 204
    assert ask("delete_object", Key="k").headers["x-amz-delete-marker"] == "true"
    assert ask("delete_object", Key="k", VersionId=version).headers["x-amz-version-id"] == version
    assert ask("delete_object", Key="k", VersionId=version).status_code == 204


def test_a_url_is_for_its_method_and_its_key(presigner: BaseClient, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    url = presigner.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"}, ExpiresIn=60)
    assert requests.get(url, timeout=20).content == b"body"
    for method in ("PUT", "DELETE", "HEAD", "POST"):
        assert requests.request(method, url, timeout=20).status_code == 403
    for changed in (url.replace("/key", "/kez"), url + "&versionId=null", url + "&partNumber=1", url + "&acl"):
        assert requests.get(changed, timeout=20).status_code == 403
    assert requests.get(url, headers={"Authorization": "Bearer x"}, timeout=20).status_code == 400
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"


def test_lists_by_version_4(server: Server, s3: BaseClient, bucket: str) -> None:
    """Version 2 does not sign what is listed, so such URLs are refused."""
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"")
    for version, status in (("s3v4", 200), ("s3", 403)):
        client = server.s3(signature_version=version)
        for operation in ("list_objects_v2", "list_objects", "list_object_versions"):
            url = client.generate_presigned_url(operation, Params={"Bucket": bucket, "Prefix": "a/"})
            answer = requests.get(url, timeout=20)
            assert (answer.status_code, b"a/b" in answer.content) == (status, status == 200)
        client.close()


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_virtual_hosted_urls(server: Server, s3: BaseClient, bucket: str, version: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/b c", Body=b"body")
    client = server.s3(host="localhost", signature_version=version, s3={"addressing_style": "virtual"})
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b c"})
    host = f"{bucket}.localhost:{server.port}"
    assert url.startswith(f"http://{host}/a/b")
    for sent, status in ((host, 200), (f"other.localhost:{server.port}", 403)):
        answer = requests.get(url.replace(f"http://{host}", server.url), headers={"Host": sent}, timeout=20)
        assert answer.status_code == status
    client.close()


def test_headers_that_a_signer_put_into_the_query(server: Server, s3: BaseClient, bucket: str) -> None:
    """As the SDK for JavaScript does by Version 4; the checksum that it adds is one of no body, and not looked at."""
    told = {"x-amz-meta-note": "a b", "x-amz-checksum-crc32": "AAAAAA==", "x-amz-tagging": "a=b"}
    request = AWSRequest("PUT", f"{server.url}/{bucket}/k", params=told)
    S3SigV4QueryAuth(Credentials(server.admin.access_key, server.admin.secret_key), "s3", REGION, 60).add_auth(request)
    url = request.prepare().url
    assert requests.put(url.replace("a%20b", "evil"), b"body", timeout=20).status_code == 403
    assert requests.put(url, b"body", timeout=20).status_code == 200
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"], head["TagCount"]) == ({"note": "a b"}, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-meta-a\r\nset-cookie: x", "1"),
        ("x-amz-meta-a b", "1"),
        ("x-amz-meta-\u00e9", "1"),
        ("x-amz-meta-a", "1\r\nset-cookie: x=1"),
        ("x-amz-website-redirect-location", "/\r\nset-cookie: x=1"),
    ],
)
def test_what_could_be_no_header_is_none_in_the_query(
    server: Server, s3: BaseClient, bucket: str, name: str, value: str
) -> None:
    request = AWSRequest("PUT", f"{server.url}/{bucket}/k?{quote(name)}={quote(value)}")
    S3SigV4QueryAuth(Credentials(server.admin.access_key, server.admin.secret_key), "s3", REGION, 60).add_auth(request)
    answer = requests.put(request.url, b"body", timeout=20)
    assert (answer.status_code, code_of(answer)) == (400, "InvalidArgument")
    assert keys_of(s3, bucket) == []


def test_a_signature_has_an_age(ask: Ask, s3: BaseClient, bucket: str) -> None:
    """Of Version 2 it is none, which is a number too."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    aged = {"Null": {"s3:signatureAge": "true"}}
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [{**statement, "Condition": aged}]}))
    assert ask("get_object", Key="k").status_code == 200
    old = {"NumericGreaterThan": {"s3:signatureAge": "3600000"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [{**statement, "Condition": old}]}))
    assert ask("get_object", Key="k").status_code == 200
