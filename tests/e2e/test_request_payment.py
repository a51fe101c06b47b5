"""Buckets whose requesters pay."""

from __future__ import annotations

from botocore.client import BaseClient

from tests.e2e.harness import Server, refused


def test_requesters_must_agree_to_pay(server: Server, s3: BaseClient) -> None:
    other = server.s3(server.user("payer"))
    bucket = "requester-pays"
    s3.create_bucket(Bucket=bucket, ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="key", Body=b"1", ACL="authenticated-read")
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert other.get_object(Bucket=bucket, Key="key")["Body"].read() == b"1"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    with refused("AccessDenied", 403):
        other.get_object(Bucket=bucket, Key="key")
    answer = other.get_object(Bucket=bucket, Key="key", RequestPayer="requester")
    assert answer["RequestCharged"] == "requester" and answer["Body"].read() == b"1"
    assert "RequestCharged" not in s3.get_object(Bucket=bucket, Key="key")
    with refused("MalformedXML", 400):
        s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Nobody"})
    other.close()
