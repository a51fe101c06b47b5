"""What lifecycle rules do, by boto3 and ``nexus lifecycle run``.

The server's day is a hundred milliseconds long, and its worker is called by hand alone: so nothing waits for the clock
to show that a rule is at work, and nothing happens behind a test's back.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, keys_of, refused, unique

DAY = 0.1
LATER = "2100-01-01"
"""A date at which everything below is due."""
EVERYTHING: dict[str, Any] = {"ID": "r", "Status": "Enabled", "Filter": {}}
COUNTED = "NoncurrentVersionExpiration"


@pytest.fixture(scope="module")
def server(new_server: Callable[..., Server]) -> Server:
    return new_server(
        NEXUS_LIFECYCLE_DAY_SECONDS=str(DAY), NEXUS_LIFECYCLE_INTERVAL="86400", NEXUS_LOG_DELIVERY_SECONDS="0.1"
    )


@pytest.fixture(scope="module")
def s3(server: Server) -> Iterator[BaseClient]:
    client = server.s3()
    yield client
    client.close()


@pytest.fixture
def bucket(s3: BaseClient) -> str:
    name = unique("life")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def versioned(s3: BaseClient, bucket: str) -> str:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def rules(s3: BaseClient, bucket: str, *told: dict[str, Any]) -> None:
    numbered = [{**EVERYTHING, "ID": f"r{number}", **each} for number, each in enumerate(told)]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": numbered})


def run(server: Server, bucket: str, *options: str) -> list[tuple[str, str]]:
    """Run the rules; what was done in a bucket, as (action, key)."""
    report = server.nexus("lifecycle", "run", *options)
    assert not report["problems"]
    return sorted((each["action"], each["key"]) for each in report["actions"] if each["bucket"] == bucket)


def put(s3: BaseClient, bucket: str, *keys: str, body: bytes = b"1", **more: Any) -> None:
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=body, **more)


def grow_old() -> None:
    time.sleep(1.5 * DAY)


def versions_of(s3: BaseClient, bucket: str) -> tuple[list[str], list[str]]:
    """Keys of all versions, and of all delete markers."""
    listed = s3.list_object_versions(Bucket=bucket)
    return (
        [entry["Key"] for entry in listed.get("Versions", [])],
        [entry["Key"] for entry in listed.get("DeleteMarkers", [])],
    )


def test_objects_expire_by_prefix_tag_and_size(server: Server, s3: BaseClient, bucket: str) -> None:
    put(s3, bucket, "logs/a", "logs/b", "keep/a")
    put(s3, bucket, "tagged", Tagging="k=v&other=1")
    put(s3, bucket, "tagged-otherwise", Tagging="k=w")
    put(s3, bucket, "large", body=b"1" * 2000)
    rules(
        s3,
        bucket,
        {"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}},
        {"Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Days": 1}},
        {"Filter": {"And": {"Prefix": "l", "ObjectSizeGreaterThan": 1000}}, "Expiration": {"Days": 1}},
        {"Status": "Disabled", "Expiration": {"Days": 1}},
        {"Filter": {"Prefix": "keep/"}, "Expiration": {"Days": 100_000}},
    )
    grow_old()
    assert run(server, bucket) == [("Expiration", key) for key in ("large", "logs/a", "logs/b", "tagged")]
    assert keys_of(s3, bucket) == ["keep/a", "tagged-otherwise"]
    assert run(server, bucket) == []
    server.nexus("gc")
    assert server.run("fsck").returncode == 0


def test_a_dry_run_tells_and_does_nothing(server: Server, s3: BaseClient, bucket: str) -> None:
    put(s3, bucket, "a")
    rules(s3, bucket, {"Expiration": {"Days": 3650}})
    assert run(server, bucket) == []
    assert run(server, bucket, "--dry-run") == []
    assert run(server, bucket, "--dry-run", "--at", LATER) == [("Expiration", "a")]
    assert keys_of(s3, bucket) == ["a"]
    shown = server.run("lifecycle", "run", "--dry-run", "--at", LATER).stdout
    assert "Would be done at 2100-01-01T00:00:00+00:00" in shown and f"Expiration  {bucket}" in shown
    assert run(server, bucket, "--at", LATER) == [("Expiration", "a")]
    assert keys_of(s3, bucket) == []


def test_only_an_admin_runs_rules_and_at_a_date(server: Server) -> None:
    other = server.run("lifecycle", "run", key=server.user("stranger"))
    assert other.returncode and "admin" in other.stderr
    wrong = server.run("lifecycle", "run", "--at", "someday")
    assert wrong.returncode and "ISO 8601" in wrong.stderr


def test_a_date_in_the_past_is_due_at_once_and_one_to_come_is_not(server: Server, s3: BaseClient, bucket: str) -> None:
    put(s3, bucket, "past/a", "future/a")
    yesterday, tomorrow = ((datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d") for days in (-1, 1))
    rules(
        s3,
        bucket,
        {"Filter": {"Prefix": "past/"}, "Expiration": {"Date": yesterday}},
        {"Filter": {"Prefix": "future/"}, "Expiration": {"Date": tomorrow}},
    )
    assert run(server, bucket) == [("Expiration", "past/a")]
    assert keys_of(s3, bucket) == ["future/a"]


def test_in_a_versioned_bucket_expiration_hides_and_noncurrent_expiration_removes(
    server: Server, s3: BaseClient, versioned: str
) -> None:
    put(s3, versioned, "a", "a", "b")
    rules(s3, versioned, {"Expiration": {"Days": 1}}, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1000}})
    grow_old()
    assert run(server, versioned) == [("Expiration", "a"), ("Expiration", "b")]
    assert versions_of(s3, versioned) == (["a", "a", "b"], ["a", "b"])
    assert run(server, versioned) == []  # a delete marker over versions stays
    owner = s3.list_object_versions(Bucket=versioned)["DeleteMarkers"][0]["Owner"]
    assert owner == s3.list_buckets()["Owner"]
    rules(s3, versioned, {"Expiration": {"Days": 1}}, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    grow_old()
    done = run(server, versioned)
    assert done.count((COUNTED, "a")) == 2 and done.count((COUNTED, "b")) == 1
    assert [each for each in done if each[0] == "ExpiredObjectDeleteMarker"] == [
        ("ExpiredObjectDeleteMarker", "a"),
        ("ExpiredObjectDeleteMarker", "b"),
    ]
    assert versions_of(s3, versioned) == ([], [])


def test_in_a_suspended_bucket_the_null_version_goes_under_a_null_marker(
    server: Server, s3: BaseClient, versioned: str
) -> None:
    put(s3, versioned, "old")
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    put(s3, versioned, "null")
    rules(s3, versioned, {"Expiration": {"Days": 1}})
    grow_old()
    assert run(server, versioned) == [("Expiration", "null"), ("Expiration", "old")]
    listed = s3.list_object_versions(Bucket=versioned)
    assert [entry["Key"] for entry in listed["Versions"]] == ["old"]
    assert [(entry["Key"], entry["VersionId"]) for entry in listed["DeleteMarkers"]] == [
        ("null", "null"),
        ("old", "null"),
    ]


def test_so_many_newer_noncurrent_versions_stay(server: Server, s3: BaseClient, versioned: str) -> None:
    ids = [s3.put_object(Bucket=versioned, Key="a", Body=b"%d" % number)["VersionId"] for number in range(10)]
    put(s3, versioned, "b", "b")
    rules(s3, versioned, {COUNTED: {"NoncurrentDays": 1, "NewerNoncurrentVersions": 5}})
    grow_old()
    assert run(server, versioned) == [(COUNTED, "a")] * 4
    listed = s3.list_object_versions(Bucket=versioned)["Versions"]
    assert [entry["VersionId"] for entry in listed if entry["Key"] == "a"] == ids[:3:-1]
    assert run(server, versioned) == []


def test_expired_delete_markers_go_only_when_nothing_is_below(server: Server, s3: BaseClient, versioned: str) -> None:
    put(s3, versioned, "hidden")
    for key in ("hidden", "bare", "logs/bare"):
        s3.delete_object(Bucket=versioned, Key=key)
    rules(s3, versioned, {"Filter": {"Prefix": "logs/"}, "Expiration": {"ExpiredObjectDeleteMarker": True}})
    assert run(server, versioned) == [("ExpiredObjectDeleteMarker", "logs/bare")]
    rules(s3, versioned, {"Expiration": {"ExpiredObjectDeleteMarker": False}})
    assert run(server, versioned) == []
    rules(s3, versioned, {"Expiration": {"ExpiredObjectDeleteMarker": True}})
    assert run(server, versioned) == [("ExpiredObjectDeleteMarker", "bare")]
    assert versions_of(s3, versioned) == (["hidden"], ["hidden"])


def test_locked_versions_stay(server: Server, s3: BaseClient) -> None:
    bucket = unique("locked")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC) + timedelta(days=1)
    held = s3.put_object(Bucket=bucket, Key="a", Body=b"1", ObjectLockLegalHoldStatus="ON", ChecksumAlgorithm="CRC32")
    kept = s3.put_object(
        Bucket=bucket,
        Key="a",
        Body=b"2",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=until,
        ChecksumAlgorithm="CRC32",
    )
    put(s3, bucket, "a", "a")
    rules(s3, bucket, {COUNTED: {"NoncurrentDays": 1}}, {"Expiration": {"Days": 1}})
    grow_old()
    dry = server.nexus("lifecycle", "run", "--dry-run")
    assert dry["locked"] == 2
    # Years from now the retention is over, but the run is today's.
    report = server.nexus("lifecycle", "run", "--at", LATER)
    assert report["locked"] >= 2
    listed = s3.list_object_versions(Bucket=bucket)
    stay = {entry["VersionId"] for entry in listed["Versions"]}
    assert {held["VersionId"], kept["VersionId"]} <= stay
    s3.put_object_legal_hold(Bucket=bucket, Key="a", VersionId=held["VersionId"], LegalHold={"Status": "OFF"})
    grow_old()
    server.nexus("lifecycle", "run")
    listed = s3.list_object_versions(Bucket=bucket)
    assert [entry["VersionId"] for entry in listed["Versions"]] == [kept["VersionId"]]


def test_uploads_that_take_too_long_are_aborted_and_their_parts_go(server: Server, s3: BaseClient, bucket: str) -> None:
    uploads = {}
    for key in ("logs/a", "other"):
        uploads[key] = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        s3.upload_part(Bucket=bucket, Key=key, UploadId=uploads[key], PartNumber=1, Body=b"x" * 100_000 + key.encode())
    rules(s3, bucket, {"Filter": {"Prefix": "logs/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    grow_old()
    assert run(server, bucket) == [("AbortIncompleteMultipartUpload", "logs/a")]
    with refused("NoSuchUpload", 404):
        s3.list_parts(Bucket=bucket, Key="logs/a", UploadId=uploads["logs/a"])
    assert [each["Key"] for each in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["other"]
    assert server.nexus("gc")["blobs"] >= 1
    assert server.run("fsck").returncode == 0


def test_below_a_readonly_mount_nothing_is_touched(
    server: Server, s3: BaseClient, bucket: str, store_dir: Callable[[], Any]
) -> None:
    put(s3, bucket, "fixed/a", "free/a")
    server.mount(f"/{bucket}/fixed", store_dir(), "--readonly", "--priority", "9")
    rules(s3, bucket, {"Expiration": {"Days": 1}})
    grow_old()
    assert run(server, bucket) == [("Expiration", "free/a")]
    assert keys_of(s3, bucket) == ["fixed/a"]
    server.unmount(f"/{bucket}/fixed")


def test_what_is_written_anew_meanwhile_stays(server: Server, s3: BaseClient, bucket: str) -> None:
    """Objects are overwritten while they expire: each key ends as it was written last, or was expired before that."""
    rules(s3, bucket, {"Filter": {"Prefix": "old/"}, "Expiration": {"Days": 1}})
    keys = [f"old/{number:04}" for number in range(600)]
    put(s3, bucket, *keys)
    grow_old()
    written: list[str] = []

    def overwrite() -> None:
        for key in reversed(keys[::3]):
            s3.put_object(Bucket=bucket, Key=key, Body=b"anew", Tagging="")
            written.append(key)

    writer = threading.Thread(target=overwrite)
    writer.start()
    now = datetime.now(UTC).isoformat()
    while writer.is_alive():
        server.nexus("lifecycle", "run", "--at", now)
    writer.join()
    server.nexus("lifecycle", "run", "--at", now)
    assert keys_of(s3, bucket) == sorted(written)
    assert all(s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"anew" for key in written[:20])


def test_what_rules_do_is_in_the_buckets_access_log(server: Server, s3: BaseClient, versioned: str) -> None:
    target = unique("logs")
    s3.create_bucket(Bucket=target)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/*",
    }
    s3.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    enabled = {"TargetBucket": target, "TargetPrefix": ""}
    s3.put_bucket_logging(Bucket=versioned, BucketLoggingStatus={"LoggingEnabled": enabled})
    put(s3, versioned, "a b", "a b")
    rules(s3, versioned, {"Expiration": {"Days": 1}, COUNTED: {"NoncurrentDays": 1}})
    grow_old()
    server.nexus("lifecycle", "run", "--dry-run")
    server.nexus("lifecycle", "run")
    found: list[tuple[str, str]] = []
    deadline = time.monotonic() + 20
    while len(found) < 2 and time.monotonic() < deadline:
        lines = [s3.get_object(Bucket=target, Key=key)["Body"].read().decode() for key in keys_of(s3, target)]
        told = [line.split() for line in "".join(lines).splitlines() if " AmazonS3 " in line]
        found = sorted((fields[7], fields[8]) for fields in told)
    assert found == [("S3.CREATE.DELETEMARKER", "a%20b"), ("S3.EXPIRE.OBJECT", "a%20b")]


def test_a_run_that_is_killed_is_made_up_for(new_server: Callable[..., Server]) -> None:
    server = new_server(NEXUS_LIFECYCLE_DAY_SECONDS="0.01", NEXUS_LIFECYCLE_INTERVAL="0.05")
    s3 = server.s3()
    bucket = unique("killed")
    s3.create_bucket(Bucket=bucket)
    put(s3, bucket, *(f"{number:04}" for number in range(600)))
    rules(s3, bucket, {"Expiration": {"Days": 1}})
    server.kill()
    server.start()
    s3 = server.s3()
    deadline = time.monotonic() + 20
    while keys_of(s3, bucket) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert keys_of(s3, bucket) == []
    server.nexus("gc")
    assert server.run("fsck").returncode == 0
