"""Listings, both versions: prefixes, delimiters, pages and their tokens."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import refused, unique

KEYS = ["a", "b/1", "b/2", "b/c/1", "b/c/2", "c", "d//1", "d/2", "photos/2025/x", "photos/2026/y", "z&<>"]


@pytest.fixture(scope="module")
def filled(s3: BaseClient) -> str:
    name = unique("list")
    s3.create_bucket(Bucket=name)
    for key in KEYS:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    return name


def flat(page: dict[str, Any]) -> tuple[list[str], list[str]]:
    keys = [entry["Key"] for entry in page.get("Contents", [])]
    return keys, [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


def expected(prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """The definition, over all keys at once."""
    keys, prefixes = [], []
    for key in sorted(KEYS, key=str.encode):
        if not key.startswith(prefix):
            continue
        found = key.find(delimiter, len(prefix)) if delimiter else -1
        if found < 0:
            keys.append(key)
        elif key[: found + len(delimiter)] not in prefixes:
            prefixes.append(key[: found + len(delimiter)])
    return keys, prefixes


@pytest.mark.parametrize("delimiter", ["", "/", "//", "/2", "c/", "1", "&", "no"])
@pytest.mark.parametrize("prefix", ["", "b", "b/", "b/c/", "photos/", "d/", "none"])
def test_prefix_and_delimiter(s3: BaseClient, filled: str, prefix: str, delimiter: str) -> None:
    wanted = expected(prefix, delimiter)
    assert flat(s3.list_objects_v2(Bucket=filled, Prefix=prefix, Delimiter=delimiter)) == wanted
    assert flat(s3.list_objects(Bucket=filled, Prefix=prefix, Delimiter=delimiter)) == wanted


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
def test_pages_join_to_the_whole(s3: BaseClient, filled: str, operation: str, delimiter: str, size: int) -> None:
    keys: list[str] = []
    prefixes: list[str] = []
    for page in s3.get_paginator(operation).paginate(
        Bucket=filled, Delimiter=delimiter, PaginationConfig={"PageSize": size}
    ):
        assert len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) <= size
        more = flat(page)
        keys += more[0]
        prefixes += more[1]
    assert (keys, prefixes) == expected("", delimiter)


def test_entries(s3: BaseClient, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, FetchOwner=True, MaxKeys=1)
    entry = page["Contents"][0]
    assert (page["KeyCount"], page["MaxKeys"], page["IsTruncated"], page["Name"]) == (1, 1, True, filled)
    assert (entry["Key"], entry["Size"], entry["StorageClass"]) == ("a", 1, "STANDARD")
    assert entry["ETag"] == s3.head_object(Bucket=filled, Key="a")["ETag"]
    assert entry["LastModified"].replace(microsecond=0) == s3.head_object(Bucket=filled, Key="a")["LastModified"]
    assert entry["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=filled)["Contents"][0]
    assert "Owner" in s3.list_objects(Bucket=filled)["Contents"][0]


def test_start_after_and_marker(s3: BaseClient, filled: str) -> None:
    assert flat(s3.list_objects_v2(Bucket=filled, StartAfter="c"))[0] == KEYS[6:]
    assert flat(s3.list_objects(Bucket=filled, Marker="c"))[0] == KEYS[6:]
    assert flat(s3.list_objects_v2(Bucket=filled, StartAfter="b/c0", Delimiter="/"))[1] == ["d/", "photos/"]
    assert flat(s3.list_objects_v2(Bucket=filled, StartAfter="zz")) == ([], [])


def test_limits(s3: BaseClient, filled: str) -> None:
    none = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"], flat(none)) == (0, False, ([], []))
    assert s3.list_objects_v2(Bucket=filled, MaxKeys=100_000)["MaxKeys"] == 1000
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=filled, MaxKeys=-1)
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=filled, ContinuationToken="made-up")
    with refused("NoSuchBucket", 404):
        s3.list_objects_v2(Bucket=unique("no"))


def test_more_than_a_page(s3: BaseClient, bucket: str) -> None:
    keys = [f"{number:05}" for number in range(1003)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    first = s3.list_objects_v2(Bucket=bucket)
    assert (first["IsTruncated"], first["KeyCount"], flat(first)[0]) == (True, 1000, keys[:1000])
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    assert (rest["IsTruncated"], flat(rest)[0]) == (False, keys[1000:])


def test_buckets(s3: BaseClient) -> None:
    names = sorted(unique("page") for _ in range(3))
    for name in names:
        s3.create_bucket(Bucket=name)
    page = s3.list_buckets(Prefix="page-", MaxBuckets=2)
    found = [entry["Name"] for entry in page["Buckets"]]
    while "ContinuationToken" in page:
        page = s3.list_buckets(Prefix="page-", MaxBuckets=2, ContinuationToken=page["ContinuationToken"])
        found += [entry["Name"] for entry in page["Buckets"]]
    assert found == names
    for name in names:
        assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
        s3.delete_bucket(Bucket=name)
        with refused("404", 404):
            s3.head_bucket(Bucket=name)


def test_bucket_names_and_life(s3: BaseClient, bucket: str) -> None:
    for wrong in ("Upper", "ab", "a..b", "1.2.3.4", "a-b-", "under_score"):
        with refused("InvalidBucketName", 400):
            _create(s3, wrong)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    with refused("NoSuchBucket", 404):
        s3.delete_bucket(Bucket=unique("no"))


def _create(s3: BaseClient, name: str) -> None:
    s3.create_bucket(Bucket=name)
