"""Browsers' forms: POST object, signed by boto3 or by hand, sent over a real socket."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.client import BaseClient

from tests.e2e.forms import (
    error_of,
    framed,
    framed_part,
    presign,
    send,
    sign_by_hand,
)
from tests.e2e.harness import Server, keys_of, refused, unique

MIB = 1024 * 1024
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def s3(server: Server) -> Iterator[BaseClient]:
    """boto3 as it signs forms outside us-east-1: by Version 4."""
    client = server.s3(signature_version="s3v4")
    yield client
    client.close()


# -- what works


def test_a_form_uploads_a_file(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "user/eric/${filename}")
    answer = send(url, fields, ("C:\\Users\\Eric\\photo 1.jpg", b"bytes"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["ETag"] == f'"{hashlib.md5(b"bytes").hexdigest()}"'
    assert answer.headers["Location"] == f"{url}/user%2Feric%2Fphoto%201.jpg"
    assert answer.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert "x-amz-checksum-crc64nvme" in answer.headers
    assert "Content-Length" not in answer.headers
    stored = s3.get_object(Bucket=bucket, Key="user/eric/photo 1.jpg")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"bytes", "binary/octet-stream")


def test_a_form_signed_by_version_2(client: Callable[..., BaseClient], s3: BaseClient, bucket: str) -> None:
    url, fields = presign(client(signature_version="s3"), bucket, "old")
    assert set(fields) == {"key", "AWSAccessKeyId", "policy", "signature"}
    assert send(url, fields).status_code == 204
    assert keys_of(s3, bucket) == ["old"]


def test_fields_are_what_headers_are_to_a_put(s3: BaseClient, bucket: str) -> None:
    fields = {
        "Content-Type": "text/x-own",
        "Cache-Control": "max-age=60",
        "Content-Disposition": "attachment",
        "Content-Encoding": "identity",
        "Expires": "Thu, 01 Dec 2033 16:00:00 GMT",
        "x-amz-meta-Note": "two\r\nlines \u2014",
        "X-AMZ-META-File": "${filename}",
        "x-amz-meta-word": "=?UTF-8?B?YWJj?=",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-website-redirect-location": "/other",
        "tagging": "<Tagging><TagSet><Tag><Key>a b</Key><Value>c+d=e</Value></Tag></TagSet></Tagging>",
    }
    conditions = [["starts-with", "$x-amz-meta-file", ""]]
    signed = {name: value for name, value in fields.items() if name != "X-AMZ-META-File"}
    url, made = presign(s3, bucket, "k", signed, *conditions)
    assert send(url, {**made, **fields}).status_code == 204
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentType"] == "text/x-own"
    assert head["CacheControl"] == "max-age=60"
    assert head["ContentDisposition"] == "attachment"
    assert head["ContentEncoding"] == "identity"
    assert head["StorageClass"] == "STANDARD_IA"
    assert head["WebsiteRedirectLocation"] == "/other"
    assert head["Metadata"] == {
        "note": "=?UTF-8?Q?two=0D=0Alines_=E2=80=94?=",
        "file": "a.txt",
        "word": "=?UTF-8?B?YWJj?=",
    }
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a b", "Value": "c+d=e"}]


def test_201_tells_where_the_object_is(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "a/pr\u00e9sident & co", {"success_action_status": "201"})
    answer = send(url, fields)
    etag = hashlib.md5(b"bar").hexdigest()
    location = f"{url}/a%2Fpr%C3%A9sident%20%26%20co"
    assert (answer.status_code, answer.headers["Content-Type"]) == (201, "application/xml")
    assert answer.headers["Location"] == location
    assert answer.content.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<PostResponse><Location>{location}</Location><Bucket>{bucket}</Bucket>"
        f'<Key>a/pr\u00e9sident &amp; co</Key><ETag>"{etag}"</ETag></PostResponse>'
    )


@pytest.mark.parametrize(("asked", "status"), [("200", 200), ("204", 204), ("404", 204), ("", 204), ("+200", 204)])
def test_other_statuses_are_empty(s3: BaseClient, bucket: str, asked: str, status: int) -> None:
    url, fields = presign(s3, bucket, "k", {"success_action_status": asked})
    answer = send(url, fields)
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize("field", ["success_action_redirect", "redirect"])
@pytest.mark.parametrize(
    ("page", "begins"),
    [
        ("http://page.test/done", "http://page.test/done?"),
        ("https://page.test/done?a=b c", "https://page.test/done?a=b c&"),
        ("http://page.test", "http://page.test?"),
        ("http://page.test/\u00e9", "http://page.test/%C3%A9?"),
    ],
)
def test_a_redirect_tells_what_was_stored(s3: BaseClient, bucket: str, field: str, page: str, begins: str) -> None:
    url, fields = presign(s3, bucket, "a/b c", {field: page, "success_action_status": "201"})
    answer = send(url, fields)
    etag = hashlib.md5(b"bar").hexdigest()
    assert (answer.status_code, answer.content) == (303, b"")
    assert answer.headers["Location"] == f"{begins}bucket={bucket}&key=a%2Fb+c&etag=%22{etag}%22"


@pytest.mark.parametrize("page", ["/relative", "", "javascript:alert(1)", "http://", "http://h\r\nSet-Cookie: a=b"])
def test_a_page_that_cannot_be_reached_counts_as_none(s3: BaseClient, bucket: str, page: str) -> None:
    url, fields = presign(s3, bucket, "k", {"success_action_redirect": page})
    answer = send(url, fields)
    assert answer.status_code == 204
    assert answer.headers["Location"] == f"{url}/k"
    assert "Set-Cookie" not in answer.headers


def test_virtual_hosted_style(server: Server, s3: BaseClient, bucket: str) -> None:
    _, fields = presign(s3, bucket, "k", {"success_action_status": "201"})
    host = f"{bucket}.localhost:{server.port}"
    answer = send(server.url, fields, headers={"Host": host})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"http://{host}/k"
    assert keys_of(s3, bucket) == ["k"]


def test_a_text_area_is_a_file_without_a_name(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "note-${filename}")
    assert send(url, fields, (None, b"typed")).status_code == 204
    assert keys_of(s3, bucket) == ["note-${filename}"]


def test_no_file_chosen(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "uploads/${filename}")
    body, content_type = framed(fields, b'name="file"; filename=""', b"")
    answer = requests.post(url, data=body, headers={"Content-Type": content_type}, timeout=20)
    assert answer.status_code == 204
    assert s3.head_object(Bucket=bucket, Key="uploads/")["ContentLength"] == 0


def test_what_comes_below_the_file_is_ignored(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "k")
    below = framed_part(b'name="submit"', b"Upload") + framed_part(b'name="acl"', b"public-read") * 2
    body, content_type = framed(fields, b'name="file"', b"bar", below)
    assert requests.post(url, data=body, headers={"Content-Type": content_type}, timeout=20).status_code == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"bar"


def test_fields_of_one_name_are_joined(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "k", None, {"x-amz-meta-tag": "Ninja,Stallman"})
    twice = framed_part(b'name="x-amz-meta-tag"', b"Ninja") + framed_part(b'name="X-Amz-Meta-Tag"', b"Stallman")
    body, content_type = framed(fields, b'name="file"', b"bar", before=twice)
    assert requests.post(url, data=body, headers={"Content-Type": content_type}, timeout=20).status_code == 204
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"tag": "Ninja,Stallman"}


def test_any_case_of_names(server: Server, s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "k")
    assert send(url, {name.title(): value for name, value in fields.items()}).status_code == 204


@pytest.mark.parametrize("size", [0, 5, 64 * 1024, 64 * 1024 + 1, 9 * MIB])
def test_sizes(s3: BaseClient, bucket: str, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"\r" * (size % 256)
    url, fields = presign(s3, bucket, "k", None, ["content-length-range", size, size])
    assert send(url, fields, ("a", content)).status_code == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == content


def test_a_form_without_a_length(s3: BaseClient, bucket: str) -> None:
    url, fields = presign(s3, bucket, "k")
    body, content_type = framed(fields, b'name="file"', b"bar" * 1000)
    pieces = (body[at : at + 700] for at in range(0, len(body), 700))
    assert requests.post(url, data=pieces, headers={"Content-Type": content_type}, timeout=20).status_code == 204
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 3000


def test_encryption(s3: BaseClient, bucket: str) -> None:
    key = bytes(range(32))
    customer = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": base64.b64encode(key).decode(),
        "x-amz-server-side-encryption-customer-key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }
    for fields, told in (
        ({"x-amz-server-side-encryption": "AES256"}, {"x-amz-server-side-encryption": "AES256"}),
        (customer, {name: value for name, value in customer.items() if not name.endswith("customer-key")}),
    ):
        url, made = presign(s3, bucket, "k", fields)
        answer = send(url, made)
        assert answer.status_code == 204, answer.text
        assert answer.headers.items() >= told.items()
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="k")
    stored = s3.get_object(Bucket=bucket, Key="k", SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    assert stored["Body"].read() == b"bar"
    url, made = presign(s3, bucket, "k", {"x-amz-server-side-encryption": "DES"})
    assert send(url, made).status_code == 400


def test_a_new_version(s3: BaseClient, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    url, fields = presign(s3, bucket, "k")
    ids = [send(url, fields).headers["x-amz-version-id"] for _ in range(2)]
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == ids[1] != ids[0]


def test_a_locked_object(s3: BaseClient) -> None:
    bucket = unique("locked")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lock = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": until}
    url, fields = presign(s3, bucket, "k", lock)
    assert error_of(send(url, fields))["Code"] == "InvalidRequest"  # AWS wants a digest with it
    md5 = base64.b64encode(hashlib.md5(b"bar").digest()).decode()
    url, fields = presign(s3, bucket, "k", {**lock, "Content-MD5": md5})
    version = send(url, fields).headers["x-amz-version-id"]
    with refused("AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


def test_checksums_are_verified(s3: BaseClient, bucket: str) -> None:
    good = base64.b64encode(hashlib.sha256(b"bar").digest()).decode()
    url, fields = presign(s3, bucket, "k", {"x-amz-checksum-sha256": good, "x-amz-checksum-algorithm": "SHA256"})
    assert send(url, fields).headers["x-amz-checksum-sha256"] == good
    assert error_of(send(url, fields, ("a", b"baz")))["Code"] == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"bar"


def test_memory_stays_flat(new_server: Callable[..., Server]) -> None:
    server = new_server()
    s3 = server.s3(signature_version="s3v4")
    s3.create_bucket(Bucket="uploads")
    url, fields = presign(s3, "uploads", "big")
    assert send(url, fields, ("a", b"warm up" * MIB)).status_code == 204
    before = server.resident()
    head, content_type = framed(fields, b'name="file"', b"")
    start, end = head[: head.rindex(b"\r\n--xyz--")], b"\r\n--xyz--\r\n"
    block = b"\r\n--xy" + b"y" * (MIB - 6)

    def pieces() -> Any:
        yield start
        for _ in range(160):
            yield block
        yield end

    answer = requests.post(url, data=pieces(), headers={"Content-Type": content_type}, timeout=60)
    assert answer.status_code == 204
    assert s3.head_object(Bucket="uploads", Key="big")["ContentLength"] == 160 * len(block)
    assert server.resident() - before < 48 * MIB
    s3.close()


def test_scripts_of_another_origin_see_the_answer(s3: BaseClient, bucket: str) -> None:
    rule = {"AllowedMethods": ["POST"], "AllowedOrigins": ["http://page.test"], "ExposeHeaders": ["ETag", "Location"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    url, fields = presign(s3, bucket, "k")
    for sent, status in ((fields, 204), (fields | {"key": "other"}, 403)):
        answer = send(url, sent, headers={"Origin": "http://page.test"})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, "http://page.test")
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag, Location"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_real_browser(server: Server, s3: BaseClient, bucket: str, tmp_path: Path) -> None:
    url, fields = presign(s3, bucket, "from/${filename}", {"success_action_redirect": f"{server.url}/health"})
    inputs = "".join(f'<input name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items())
    page = tmp_path / "page.html"
    page.write_text(
        f"""<meta charset="utf-8">
        <form id="form" method="post" enctype="multipart/form-data" action="{url}">{inputs}
        <input type="file" name="file" id="chosen"><input type="submit" name="submit" value="Upload"></form>
        <script>
          const choice = new DataTransfer();
          choice.items.add(new File(["line\\r\\nline"], "\u00e9 & co.txt", {{type: "text/plain"}}));
          chosen.files = choice.files;
          form.requestSubmit(form.elements.submit);
        </script>"""
    )
    assert CHROMIUM is not None
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    command = [CHROMIUM, *options, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert "<form" not in shown.stdout, "it was redirected"
    assert s3.get_object(Bucket=bucket, Key="from/\u00e9 & co.txt")["Body"].read() == b"line\r\nline"


# -- who may


def test_the_policy_of_the_bucket_decides(server: Server, s3: BaseClient, bucket: str) -> None:
    key = server.user(unique("poster"))
    alice = server.s3(key, signature_version="s3v4")
    url, fields = presign(alice, bucket, "k", {"x-amz-meta-a": "b"})
    assert send(url, fields).status_code == 403
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    statement["Condition"] = {"StringEquals": {"s3:authType": "POST", "s3:signatureversion": "AWS4-HMAC-SHA256"}}
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert send(url, fields).status_code == 204
    with refused("AccessDenied"):
        alice.put_object(Bucket=bucket, Key="k", Body=b"")
    assert send(url, {"key": "anonymous"}).status_code == 403
    alice.close()


def test_nobody_may_where_a_policy_lets_everybody(s3: BaseClient, bucket: str) -> None:
    url = f"{s3.meta.endpoint_url}/{bucket}"
    assert error_of(send(url, {"key": "k"})) | {"RequestId": "", "HostId": ""} == {
        "Code": "AccessDenied",
        "Message": "Access Denied",
        "RequestId": "",
        "HostId": "",
    }
    s3.delete_public_access_block(Bucket=bucket)
    allowed = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:PutObject", "s3:PutObjectTagging"],
        "Resource": f"arn:aws:s3:::{bucket}/drop/*",
        "Condition": {"StringEquals": {"s3:RequestObjectTag/kind": "drop"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    tagging = "<Tagging><TagSet><Tag><Key>kind</Key><Value>drop</Value></Tag></TagSet></Tagging>"
    assert send(url, {"key": "drop/${filename}", "tagging": tagging, "anything": "goes"}).text == ""
    assert send(url, {"key": "drop/b"}).status_code == 403
    assert send(url, {"key": "elsewhere", "tagging": tagging}).status_code == 403
    assert keys_of(s3, bucket) == ["drop/a.txt"]


def test_a_form_is_no_copy(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    s3.delete_public_access_block(Bucket=bucket)
    allowed = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringLike": {"s3:x-amz-copy-source": f"{bucket}/*"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    answer = send(f"{s3.meta.endpoint_url}/{bucket}", {"key": "k", "x-amz-copy-source": f"{bucket}/source"})
    assert error_of(answer)["Code"] == "NotImplemented"
    assert keys_of(s3, bucket) == ["source"]


def test_a_read_only_key_signs_no_uploads(server: Server, bucket: str) -> None:
    answer = send(f"{server.url}/absent-bucket", sign_by_hand(server, {}) | {"key": "k"})
    assert error_of(answer)["Code"] == "InvalidPolicyDocument"
    url, fields = presign(server.s3(), unique("absent"), "k")
    assert error_of(send(url, fields))["Code"] == "NoSuchBucket"
