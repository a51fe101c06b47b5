"""SSE-C by boto3: who has the key reads, nobody else learns anything, and the key is written nowhere."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.harness import Server, refused
from tests.e2e.test_encryption import body, on_disk, stored

MIB = 1024 * 1024


def members(key: bytes, prefix: str = "SSECustomer") -> dict[str, str]:
    """A key as requests tell it."""
    return {
        f"{prefix}Algorithm": "AES256",
        f"{prefix}Key": base64.b64encode(key).decode(),
        f"{prefix}KeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


def from_source(key: bytes) -> dict[str, str]:
    return members(key, "CopySourceSSECustomer")


ONE, OTHER = members(b"1" * 32), members(b"2" * 32)


@pytest.mark.parametrize("size", [0, 1, 70_000, 9 * MIB])
def test_only_the_key_reads(s3: BaseClient, bucket: str, size: int) -> None:
    content = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=content, **ONE)
    told = {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": ONE["SSECustomerKeyMD5"]}
    assert put.items() >= told.items() and "ServerSideEncryption" not in put
    assert put["ETag"].strip('"') != hashlib.md5(content).hexdigest()
    got = s3.get_object(Bucket=bucket, Key="k", **ONE)
    assert got.items() >= told.items() and got["ETag"] == put["ETag"] and body(got) == content
    assert s3.head_object(Bucket=bucket, Key="k", **ONE).items() >= told.items()
    if size > 9:
        assert body(s3.get_object(Bucket=bucket, Key="k", Range="bytes=3-9", **ONE)) == content[3:10]
    for read in (s3.get_object, s3.head_object):
        with refused("400" if read == s3.head_object else "InvalidRequest", 400):
            read(Bucket=bucket, Key="k")
        with refused("403" if read == s3.head_object else "AccessDenied", 403):
            read(Bucket=bucket, Key="k", **OTHER)
    with refused("InvalidRequest", 400):
        s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag"])
    assert (
        s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"], **ONE)["ObjectSize"] == size
    )
    s3.delete_object(Bucket=bucket, Key="k")  # needs no key


@pytest.mark.parametrize("more", [{}, {"PartNumber": 1}], ids=["whole", "part"])
@pytest.mark.parametrize(("key", "status"), [({}, 400), (OTHER, 403)], ids=["without", "wrong"])
def test_conditions_tell_nothing_to_who_has_not_the_key(
    s3: BaseClient, bucket: str, key: dict[str, str], status: int, more: dict[str, int]
) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **ONE)["ETag"]
    for condition in ({"IfNoneMatch": etag}, {"IfMatch": '"another"'}):
        for read in (s3.get_object, s3.head_object):
            with pytest.raises(ClientError) as caught:
                read(Bucket=bucket, Key="k", **condition, **more, **key)
            answer = caught.value.response["ResponseMetadata"]
            assert answer["HTTPStatusCode"] == status and "etag" not in answer["HTTPHeaders"]


def test_a_key_for_what_is_not_encrypted_with_one_is_refused(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    s3.put_object(Bucket=bucket, Key="sse-s3", Body=b"x", ServerSideEncryption="AES256")
    for key in ("plain", "sse-s3"):
        with refused("InvalidRequest", 400) as seen:
            s3.get_object(Bucket=bucket, Key=key, **ONE)
        assert "not applicable" in str(seen[0])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"SSECustomerAlgorithm": None}, "must provide a valid encryption algorithm"),
    ({"SSECustomerAlgorithm": "AES192"}, "Supported value: AES256"),
    ({"SSECustomerKey": None}, "must provide an appropriate secret key"),
    ({"SSECustomerKeyMD5": None}, "must provide the client calculated MD5"),
    ({"SSECustomerKey": "not base64"}, "was invalid"),
    ({"SSECustomerKeyMD5": OTHER["SSECustomerKeyMD5"]}, "did not match the hash"),
    (members(b"short"), "was invalid"),
    ({"ServerSideEncryption": "AES256"}, "incompatible with the encryption method"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_key_is_refused_and_not_repeated(
    client: Callable[..., BaseClient], s3: BaseClient, bucket: str, change: dict[str, Any], message: str
) -> None:
    sending = client()

    def alter(params: dict[str, Any], **_: Any) -> None:  # botocore would complete what is missing
        for name, value in change.items():
            header = f"x-amz-server-side-encryption-customer-{name[11:].lower()}".replace("keymd5", "key-MD5")
            if name == "ServerSideEncryption":
                header = "x-amz-server-side-encryption"
            params["headers"].pop(header, None)
            if value is not None:
                params["headers"][header] = value

    sending.meta.events.register("before-call.s3", alter)
    calls: list[Callable[[], Any]] = [
        lambda: sending.put_object(Bucket=bucket, Key="k", Body=b"x", **ONE),
        lambda: sending.create_multipart_upload(Bucket=bucket, Key="k", **ONE),
        lambda: sending.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/source", **ONE),
    ]
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert message in str(caught.value) and ONE["SSECustomerKey"] not in str(caught.value.response)
    with refused("404"):
        s3.head_object(Bucket=bucket, Key="k")


def test_parts_need_the_key_that_the_upload_was_begun_with(s3: BaseClient, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **ONE)
    assert upload["SSECustomerKeyMD5"] == ONE["SSECustomerKeyMD5"]
    told = {"Bucket": bucket, "Key": "m", "UploadId": upload["UploadId"]}
    with refused("InvalidRequest", 400) as seen:
        s3.upload_part(**told, PartNumber=1, Body=b"x")
    assert "initiate requested encryption" in str(seen[0])
    with refused("InvalidRequest", 400) as seen:
        s3.upload_part(**told, PartNumber=1, Body=b"x", **OTHER)
    assert "did not match the ones used originally" in str(seen[0])
    pieces = [os.urandom(5 * MIB + 1), os.urandom(5 * MIB), os.urandom(77)]
    s3.put_object(Bucket=bucket, Key="source", Body=b"-" + pieces[1], **OTHER)
    parts = [s3.upload_part(**told, PartNumber=1, Body=pieces[0], **ONE)]
    span = {"CopySource": f"{bucket}/source", "CopySourceRange": f"bytes=1-{5 * MIB}"}
    with refused("InvalidRequest", 400):
        s3.upload_part_copy(**told, PartNumber=2, **span, **ONE)
    with refused("AccessDenied", 403):
        s3.upload_part_copy(**told, PartNumber=2, **span, **ONE, **from_source(b"1" * 32))
    parts.append(s3.upload_part_copy(**told, PartNumber=2, **span, **ONE, **from_source(b"2" * 32))["CopyPartResult"])
    parts.append(s3.upload_part(**told, PartNumber=3, Body=pieces[2], **ONE))
    chosen = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in enumerate(parts, 1)]
    s3.complete_multipart_upload(**told, MultipartUpload={"Parts": chosen})
    assert body(s3.get_object(Bucket=bucket, Key="m", **ONE)) == b"".join(pieces)
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="m", PartNumber=2)
    assert body(s3.get_object(Bucket=bucket, Key="m", PartNumber=2, **ONE)) == pieces[1]


def test_copies_change_the_key_take_it_off_and_put_it_on(s3: BaseClient, bucket: str) -> None:
    content = os.urandom(100_000)
    plain = s3.put_object(Bucket=bucket, Key="plain", Body=content)["ETag"]
    s3.copy_object(Bucket=bucket, Key="one", CopySource=f"{bucket}/plain", **ONE)
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=bucket, Key="x", CopySource=f"{bucket}/one", **OTHER)
    s3.copy_object(Bucket=bucket, Key="two", CopySource=f"{bucket}/one", **OTHER, **from_source(b"1" * 32))
    assert body(s3.get_object(Bucket=bucket, Key="two", **OTHER)) == content
    off = s3.copy_object(Bucket=bucket, Key="off", CopySource=f"{bucket}/two", **from_source(b"2" * 32))
    assert off["CopyObjectResult"]["ETag"] == plain and body(s3.get_object(Bucket=bucket, Key="off")) == content
    same = s3.copy_object(Bucket=bucket, Key="one", CopySource=f"{bucket}/one", **ONE, **from_source(b"1" * 32))
    assert same["SSECustomerKeyMD5"] == ONE["SSECustomerKeyMD5"]
    assert body(s3.get_object(Bucket=bucket, Key="one", **ONE)) == content


def test_the_key_is_written_nowhere_and_keys_share_nothing(new_server: Callable[..., Server]) -> None:
    server = new_server(NEXUS_LOG_LEVEL="debug")
    client = server.s3()
    key, content = os.urandom(32), os.urandom(50_000)
    told = members(key)
    client.put_object(Bucket="workspace", Key="a", Body=content, **told)
    client.put_object(Bucket="workspace", Key="b", Body=content, **told)
    assert stored(server)[0] == 1
    client.put_object(Bucket="workspace", Key="c", Body=content, **OTHER)
    client.put_object(Bucket="workspace", Key="d", Body=content, ServerSideEncryption="AES256")
    assert stored(server)[0] == 3
    with refused("AccessDenied"):
        client.get_object(Bucket="workspace", Key="c", **told)
    assert body(client.get_object(Bucket="workspace", Key="b", **told)) == content
    server.stop()
    everything = on_disk(server) + server.log.read_bytes()
    for secret in (key, key.hex().encode(), told["SSECustomerKey"].encode(), content[:100]):
        assert secret not in everything


def test_a_bucket_may_take_no_customer_keys(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="before", Body=b"x", **ONE)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **ONE)["UploadId"]
    rule: dict[str, Any] = {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}, "BucketKeyEnabled": False}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == {"Rules": [rule]}
    for call in (
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x", **ONE),
        lambda: s3.create_multipart_upload(Bucket=bucket, Key="k", **ONE),
        lambda: s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x", **ONE),
    ):
        with refused("AccessDenied", 403):
            call()
    assert body(s3.get_object(Bucket=bucket, Key="before", **ONE)) == b"x"


def test_a_policy_may_demand_a_customer_key(s3: BaseClient, bucket: str) -> None:
    condition = '{"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}}'
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",'
        f' "Resource": "arn:aws:s3:::{bucket}/*", "Condition": {condition}}}]}}',
    )
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **ONE)
