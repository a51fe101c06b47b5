"""Versioned buckets, by boto3. ``test_versions_model`` walks them at random; here is what a model does not say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, refused


@pytest.fixture
def versioned(s3: BaseClient, bucket: str) -> str:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def put(s3: BaseClient, bucket: str, *bodies: bytes, key: str = "key") -> list[str]:
    return [s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"] for body in bodies]


def body_of(s3: BaseClient, bucket: str, **options: Any) -> bytes:
    answer: bytes = s3.get_object(Bucket=bucket, Key="key", **options)["Body"].read()
    return answer


def test_a_bucket_never_versioned_says_nothing_of_versions(s3: BaseClient, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="key", Body=b"1")
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="key")
    assert body_of(s3, bucket, VersionId="null") == b"1"


def test_old_versions_stay_until_they_are_deleted_by_id(s3: BaseClient, versioned: str) -> None:
    first, second = put(s3, versioned, b"1", b"2")
    assert body_of(s3, versioned) == b"2" and body_of(s3, versioned, VersionId=first) == b"1"
    marker = s3.delete_object(Bucket=versioned, Key="key")
    assert marker["DeleteMarker"] is True
    with refused("NoSuchKey", 404):
        body_of(s3, versioned)
    with refused("MethodNotAllowed", 405) as caught:
        body_of(s3, versioned, VersionId=marker["VersionId"])
    headers = caught[0].response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true" and headers["allow"] == "DELETE"
    s3.delete_object(Bucket=versioned, Key="key", VersionId=marker["VersionId"])
    assert body_of(s3, versioned) == b"2"
    s3.delete_object(Bucket=versioned, Key="key", VersionId=second)
    assert body_of(s3, versioned) == b"1"


def test_contents_of_old_versions_outlive_the_collector(server: Server, s3: BaseClient, versioned: str) -> None:
    first, _ = put(s3, versioned, b"1" * 200_000, b"2" * 200_000)
    large = s3.put_object(Bucket=versioned, Key="large", Body=b"3" * (20 << 20))["VersionId"]
    s3.delete_object(Bucket=versioned, Key="large")
    server.nexus("gc", "--grace", "0")
    assert body_of(s3, versioned, VersionId=first) == b"1" * 200_000
    assert s3.get_object(Bucket=versioned, Key="large", VersionId=large)["Body"].read() == b"3" * (20 << 20)
    assert server.run("fsck").returncode == 0


def test_emptying_a_bucket_page_by_page_reaches_every_version(s3: BaseClient, versioned: str) -> None:
    """The marker of the next page is a version that is gone by then."""
    for key in ("a", "b"):
        put(s3, versioned, *(b"%d" % number for number in range(7)), key=key)
        s3.delete_object(Bucket=versioned, Key=key)
    marker: dict[str, str] = {}
    while True:
        page = s3.list_object_versions(Bucket=versioned, MaxKeys=3, **marker)
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=versioned, Key=entry["Key"], VersionId=entry["VersionId"])
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    s3.delete_bucket(Bucket=versioned)


@pytest.mark.parametrize(
    ("version_id", "code", "status"),
    [("nonsense", "InvalidArgument", 400), ("A" * 32, "NoSuchVersion", 404), ("null", "NoSuchVersion", 404)],
)
def test_version_ids_that_name_nothing(s3: BaseClient, versioned: str, version_id: str, code: str, status: int) -> None:
    put(s3, versioned, b"1")
    with refused(code, status):
        body_of(s3, versioned, VersionId=version_id)
    with refused(code, status):
        s3.get_object_tagging(Bucket=versioned, Key="key", VersionId=version_id)
    with refused(code, status):
        s3.copy_object(
            Bucket=versioned, Key="to", CopySource={"Bucket": versioned, "Key": "key", "VersionId": version_id}
        )


def test_bad_configurations_change_nothing(s3: BaseClient, versioned: str) -> None:
    with refused("NotImplemented", 501):
        s3.put_bucket_versioning(
            Bucket=versioned, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}, MFA="arn 123456"
        )
    with refused("MalformedXML", 400):
        s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "enabled"})
    with refused("IllegalVersioningConfigurationException", 400):
        s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"MFADelete": "Disabled"})
    assert s3.get_bucket_versioning(Bucket=versioned)["Status"] == "Enabled"


# -- object lock


@pytest.fixture
def locked(s3: BaseClient, bucket: str) -> str:
    name = f"{bucket}-locked"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


FUTURE, LATER = datetime(2090, 1, 1, tzinfo=UTC), datetime(2091, 1, 1, tzinfo=UTC)


def retain(mode: str, until: datetime = FUTURE) -> dict[str, Any]:
    return {"Mode": mode, "RetainUntilDate": until}


def test_a_retained_version_cannot_be_deleted_but_can_be_covered(s3: BaseClient, locked: str) -> None:
    answer = s3.put_object(
        Bucket=locked, Key="key", Body=b"1", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FUTURE
    )
    version = {"Bucket": locked, "Key": "key", "VersionId": answer["VersionId"]}
    head = s3.head_object(**version)
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", FUTURE)
    for bypass in (False, True):
        with refused("AccessDenied", 403):
            s3.delete_object(**version, BypassGovernanceRetention=bypass)
        with refused("AccessDenied", 403):
            s3.put_object_retention(**version, Retention={}, BypassGovernanceRetention=bypass)
    (error,) = s3.delete_objects(
        Bucket=locked, Delete={"Objects": [{"Key": "key", "VersionId": version["VersionId"]}]}
    )["Errors"]
    assert error["Code"] == "AccessDenied"
    put(s3, locked, b"2")
    s3.delete_object(Bucket=locked, Key="key")
    assert s3.get_object(**version)["Body"].read() == b"1"
    s3.put_object_retention(**version, Retention=retain("COMPLIANCE", LATER))
    assert s3.get_object_retention(**version)["Retention"]["RetainUntilDate"] == LATER


def test_governance_yields_to_who_may_bypass_it(s3: BaseClient, locked: str) -> None:
    (version_id,) = put(s3, locked, b"1")
    version = {"Bucket": locked, "Key": "key", "VersionId": version_id}
    s3.put_object_retention(**version, Retention=retain("GOVERNANCE", LATER))
    with refused("AccessDenied", 403):
        s3.put_object_retention(**version, Retention=retain("GOVERNANCE"))
    with refused("AccessDenied", 403):
        s3.delete_object(**version)
    s3.put_object_retention(**version, Retention=retain("GOVERNANCE"), BypassGovernanceRetention=True)
    s3.delete_object(**version, BypassGovernanceRetention=True)


def test_a_legal_hold_yields_to_nobody(s3: BaseClient, locked: str) -> None:
    (version_id,) = put(s3, locked, b"1")
    version = {"Bucket": locked, "Key": "key", "VersionId": version_id}
    s3.put_object_legal_hold(**version, LegalHold={"Status": "ON"})
    with refused("AccessDenied", 403):
        s3.delete_object(**version, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(**version, LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(**version)["LegalHold"]["Status"] == "OFF"
    s3.delete_object(**version)


def test_a_default_retention_reaches_puts_copies_and_uploads(s3: BaseClient, locked: str) -> None:
    put(s3, locked, b"free")
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"]["Rule"] == rule
    put(s3, locked, b"1", key="put")
    s3.copy_object(Bucket=locked, Key="copied", CopySource=f"{locked}/key")
    upload = s3.create_multipart_upload(Bucket=locked, Key="uploaded")["UploadId"]
    part = s3.upload_part(Bucket=locked, Key="uploaded", UploadId=upload, PartNumber=1, Body=b"1")
    s3.complete_multipart_upload(
        Bucket=locked,
        Key="uploaded",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    for key in ("put", "copied", "uploaded"):
        head = s3.head_object(Bucket=locked, Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE", key
        left = head["ObjectLockRetainUntilDate"] - datetime.now(UTC)
        assert 86_000 < left.total_seconds() <= 86_400, key
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="key")


def test_object_lock_needs_versions(s3: BaseClient, bucket: str, locked: str) -> None:
    with refused("InvalidBucketState", 409):
        s3.put_bucket_versioning(Bucket=locked, VersioningConfiguration={"Status": "Suspended"})
    enabled = {"ObjectLockEnabled": "Enabled"}
    with refused("InvalidBucketState", 409):
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enabled)
    with refused("ObjectLockConfigurationNotFoundError", 404):
        s3.get_object_lock_configuration(Bucket=bucket)
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=bucket, Key="key", ObjectLockLegalHoldStatus="ON")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enabled)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == enabled


def test_a_put_that_will_be_locked_carries_a_digest(client: Callable[..., BaseClient], locked: str) -> None:
    bare = client(request_checksum_calculation="when_required")
    with refused("InvalidRequest", 400):
        bare.put_object(Bucket=locked, Key="key", Body=b"1", ObjectLockLegalHoldStatus="ON")
    assert "Contents" not in bare.list_objects_v2(Bucket=locked)


def test_tags_of_a_bucket(s3: BaseClient, bucket: str) -> None:
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    with refused("InvalidTag", 400):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [tags[0], tags[0]]})
    s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)
