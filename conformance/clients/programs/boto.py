"""boto3 as applications use it: transfer manager, resources, paginators, waiters, conditional writes, versions."""

from __future__ import annotations

import io
import os
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import botocore.compat
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from conformance.clients.files import BIG, MIB, SPECIAL_KEYS, bucket, digest, left, noise


def client(style: str, url: str = "") -> Any:
    return boto3.client("s3", endpoint_url=url or None, config=Config(s3={"addressing_style": style}))


def carry(s3: Any, name: str, prefix: str) -> None:
    """A file in parts, in both directions, and its checksums."""
    big, transfer = noise(BIG), TransferConfig(multipart_chunksize=6 * MIB, max_concurrency=6)
    told: list[int] = []
    extra = {"Metadata": {"colour": "blue"}, "ContentType": "a/b", "ChecksumAlgorithm": "CRC32"}
    s3.upload_fileobj(io.BytesIO(big), name, f"{prefix}big", ExtraArgs=extra, Config=transfer, Callback=told.append)
    assert sum(told) == len(big)
    head = s3.head_object(Bucket=name, Key=f"{prefix}big", ChecksumMode="ENABLED")
    assert (head["Metadata"], head["ContentType"]) == ({"colour": "blue"}, "a/b")
    assert head["ETag"].endswith('-4"') and head["ChecksumCRC32"]
    back = io.BytesIO()
    s3.download_fileobj(name, f"{prefix}big", back, Config=transfer)
    assert back.getvalue() == big
    s3.copy({"Bucket": name, "Key": f"{prefix}big"}, name, f"{prefix}copy", Config=transfer)
    got = s3.get_object(Bucket=name, Key=f"{prefix}copy", Range=f"bytes={6 * MIB - 3}-{6 * MIB + 2}")
    assert got["Body"].read() == big[6 * MIB - 3 : 6 * MIB + 3]
    left(f"{prefix}copy", big)


def odd_keys(s3: Any, name: str) -> None:
    for number, key in enumerate(SPECIAL_KEYS):
        body = noise(100 + number, number)
        s3.put_object(Bucket=name, Key=key, Body=body)
        s3.copy_object(Bucket=name, Key=f"copied/{key}", CopySource={"Bucket": name, "Key": key})
        url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": f"copied/{key}"})
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.read() == body, key
        left(f"copied/{key}", body)
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=name, Prefix="copied/", PaginationConfig={"PageSize": 2}
    )
    listed = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert listed == sorted((f"copied/{key}" for key in SPECIAL_KEYS), key=str.encode)


def conditions(s3: Any, name: str) -> None:
    """Of sixteen writers that each want to be first, one is."""
    start = threading.Barrier(16)

    def write(number: int) -> int:
        start.wait()
        try:
            s3.put_object(Bucket=name, Key="first", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with ThreadPoolExecutor(16) as pool:
        answers = sorted(pool.map(write, range(16)))
    assert answers[0] == 200 and set(answers[1:]) <= {409, 412}, answers
    etag = s3.head_object(Bucket=name, Key="first")["ETag"]
    s3.put_object(Bucket=name, Key="first", Body=b"second", IfMatch=etag)
    try:
        s3.put_object(Bucket=name, Key="first", Body=b"third", IfMatch=etag)
        raise AssertionError("a stale If-Match was obeyed")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "PreconditionFailed"


def versions(resource: Any, name: str) -> None:
    """Through the resource API: overwrite, delete, and take back."""
    resource.BucketVersioning(name).enable()
    thing = resource.Object(name, "versioned")
    ids = [thing.put(Body=body)["VersionId"] for body in (b"one", b"two")]
    thing.delete()
    listed = [each for each in resource.Bucket(name).object_versions.filter(Prefix="versioned")]
    assert len(listed) == 3
    assert resource.ObjectVersion(name, "versioned", ids[0]).get()["Body"].read() == b"one"
    resource.Bucket(name).object_versions.filter(Prefix="versioned").delete()
    resource.BucketVersioning(name).suspend()


def main() -> None:
    assert botocore.compat.HAS_CRT is (os.environ["CLIENT_CRT"] == "yes")
    path, virtual = client("path"), client("virtual", os.environ["CLIENT_VIRTUAL_URL"])
    name = bucket()
    path.create_bucket(Bucket=name)
    path.get_waiter("bucket_exists").wait(Bucket=name)
    carry(path, name, "path/")
    carry(virtual, name, "virtual/")
    odd_keys(virtual, name)
    conditions(path, name)
    versions(boto3.resource("s3"), name)
    assert digest(path.get_object(Bucket=name, Key="path/big")["Body"].read()) == digest(noise(BIG))


main()
