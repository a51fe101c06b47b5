"""Conditional requests, also when many clients send them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.harness import keys_of, refused

OTHER = '"00000000000000000000000000000000"'
PAST = datetime(2001, 1, 1, tzinfo=UTC)


def future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def etag(s3: BaseClient, bucket: str) -> str:
    return str(s3.put_object(Bucket=bucket, Key="key", Body=b"body")["ETag"])


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_reads(s3: BaseClient, bucket: str, etag: str, operation: str) -> None:
    def read(**conditions: Any) -> int:
        try:
            told = getattr(s3, operation)(Bucket=bucket, Key="key", **conditions)
        except ClientError as error:
            told = error.response
        else:
            if operation == "get_object":
                told["Body"].close()
        return int(told["ResponseMetadata"]["HTTPStatusCode"])

    assert read(IfMatch=etag) == 200
    assert read(IfMatch=etag.strip('"')) == 200
    assert read(IfMatch="*") == 200
    assert read(IfMatch=f"{OTHER}, {etag}") == 200
    assert read(IfMatch=OTHER) == 412
    assert read(IfNoneMatch=OTHER) == 200
    assert read(IfNoneMatch=etag) == 304
    assert read(IfNoneMatch="*") == 304
    assert read(IfModifiedSince=PAST) == 200
    assert read(IfModifiedSince=s3.head_object(Bucket=bucket, Key="key")["LastModified"]) == 304
    assert read(IfUnmodifiedSince=PAST) == 412
    assert read(IfUnmodifiedSince=future()) == 200
    # RFC 9110, 13.2.2: the ETag's condition wins over the date's.
    assert read(IfMatch=etag, IfUnmodifiedSince=PAST) == 200
    assert read(IfNoneMatch=OTHER, IfModifiedSince=future()) == 200
    assert read(IfNoneMatch=etag, IfModifiedSince=PAST) == 304


def test_not_modified_names_the_etag(s3: BaseClient, bucket: str, etag: str) -> None:
    with refused("304", 304) as errors:
        s3.get_object(Bucket=bucket, Key="key", IfNoneMatch=etag)
    assert errors[0].response["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag


def test_writes(s3: BaseClient, bucket: str, etag: str) -> None:
    def put(key: str, **conditions: str) -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=b"new", **conditions)

    with refused("PreconditionFailed", 412):
        put("key", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        put("key", IfMatch=OTHER)
    with refused("NoSuchKey", 404):
        put("absent", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"
    assert keys_of(s3, bucket) == ["key"]
    put("absent", IfNoneMatch="*")
    put("key", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"new"


def test_deletes(s3: BaseClient, bucket: str, etag: str) -> None:
    with refused("PreconditionFailed", 412):
        s3.delete_object(Bucket=bucket, Key="key", IfMatch=OTHER)
    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key", "ETag": OTHER}]})
    assert told["Errors"][0]["Code"] == "PreconditionFailed"
    assert keys_of(s3, bucket) == ["key"]
    s3.delete_object(Bucket=bucket, Key="key", IfMatch=etag)
    assert keys_of(s3, bucket) == []


def test_copies(s3: BaseClient, bucket: str, etag: str) -> None:
    def copy(**conditions: Any) -> None:
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", **conditions)

    for wrong in (
        {"CopySourceIfMatch": OTHER},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfUnmodifiedSince": PAST},
        {"CopySourceIfModifiedSince": s3.head_object(Bucket=bucket, Key="key")["LastModified"]},
    ):
        with refused("PreconditionFailed", 412):
            copy(**wrong)
    assert keys_of(s3, bucket) == ["key"]
    copy(CopySourceIfMatch=etag, CopySourceIfUnmodifiedSince=PAST)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"body"


def test_one_winner_among_thirty_creators(s3: BaseClient, bucket: str) -> None:
    for attempt in range(3):
        start = Barrier(30)

        def create(number: int, key: str = f"key-{attempt}", start: Barrier = start) -> bool:
            start.wait()
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=b"%d" % number, IfNoneMatch="*")
                return True
            except ClientError as error:
                # AWS tells a loser 412, or 409 when both were under way.
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412), error
                return False

        with ThreadPoolExecutor(30) as pool:
            won = [number for number, winner in enumerate(pool.map(create, range(30))) if winner]
        assert len(won) == 1
        assert s3.get_object(Bucket=bucket, Key=f"key-{attempt}")["Body"].read() == b"%d" % won[0]


def test_a_counter_loses_nothing(s3: BaseClient, bucket: str) -> None:
    """If-Match is compare-and-swap: eight threads count to a sum that none of them could miss."""
    each = 8
    s3.put_object(Bucket=bucket, Key="counter", Body=b"0")

    def increment(_: int) -> None:
        for _ in range(each):
            while True:
                got = s3.get_object(Bucket=bucket, Key="counter")
                value = int(got["Body"].read())
                try:
                    s3.put_object(Bucket=bucket, Key="counter", Body=b"%d" % (value + 1), IfMatch=got["ETag"])
                    break
                except ClientError as error:
                    assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412), error

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(8)))
    assert s3.get_object(Bucket=bucket, Key="counter")["Body"].read() == b"%d" % (8 * each)
