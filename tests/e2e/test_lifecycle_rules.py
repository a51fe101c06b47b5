"""Lifecycle configurations by boto3, and what answers say of them. What the rules do is in ``test_lifecycle``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, refused

RULE: dict[str, Any] = {"ID": "a day", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}}
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


def configure(s3: BaseClient, bucket: str, *rules: dict[str, Any], **more: Any) -> Any:
    return s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules}, **more)


def test_rules_come_back_and_go(s3: BaseClient, bucket: str) -> None:
    with refused("NoSuchLifecycleConfiguration", 404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    put = configure(s3, bucket, RULE)
    assert put["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert got["Rules"] == [RULE] and got["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    s3.delete_bucket_lifecycle(Bucket=bucket)
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused("NoSuchLifecycleConfiguration", 404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_what_is_refused_changes_nothing(s3: BaseClient, bucket: str) -> None:
    configure(s3, bucket, RULE, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    with refused("InvalidArgument", 400):
        configure(s3, bucket, {**RULE, "Expiration": {"Days": 0}})
    with refused("InvalidRequest", 400):
        configure(s3, bucket, RULE, TransitionDefaultMinimumObjectSize="value")
    unbound = {**RULE, "Expiration": {"Days": 9}, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}
    with refused("NotImplemented", 501) as caught:
        configure(s3, bucket, unbound)
    assert "GLACIER" in caught[0].response["Error"]["Message"]
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert got["Rules"] == [RULE] and got["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"


def test_the_former_operation_is_served(s3: BaseClient, bucket: str) -> None:
    rules = [{"ID": "old", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 1}}]
    s3.put_bucket_lifecycle(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules


def test_elements_come_in_the_order_of_aws(
    server: Server, s3: BaseClient, bucket: str, client: Callable[..., BaseClient]
) -> None:
    configure(s3, bucket, {**RULE, "Filter": {}})
    raw: list[bytes] = []
    watching = client()
    watching.meta.events.register("before-parse.s3", lambda response_dict, **_: raw.append(response_dict["body"]))
    watching.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert (
        b"<Rule><ID>a day</ID><Filter></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
        in raw[0].replace(b"<Filter/>", b"<Filter></Filter>")
    )


def test_others_may_not(server: Server, s3: BaseClient, bucket: str) -> None:
    other = server.s3(server.user("lifecycle-stranger"))
    for call in (other.get_bucket_lifecycle_configuration, other.delete_bucket_lifecycle):
        with refused("AccessDenied", 403):
            call(Bucket=bucket)
    with refused("AccessDenied", 403):
        configure(other, bucket, RULE)


def tomorrow_midnight(days: int) -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days + 1)


def shown(days: int, rule_id: str) -> str:
    return f'expiry-date="{tomorrow_midnight(days):%a, %d %b %Y} 00:00:00 GMT", rule-id="{rule_id}"'


def test_answers_tell_when_an_object_expires(s3: BaseClient, bucket: str) -> None:
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="logs/a", Body=b"1")
    configure(s3, bucket, RULE)
    expected = shown(1, "a day")
    assert s3.put_object(Bucket=bucket, Key="logs/a", Body=b"1")["Expiration"] == expected
    assert s3.head_object(Bucket=bucket, Key="logs/a")["Expiration"] == expected
    assert s3.get_object(Bucket=bucket, Key="logs/a")["Expiration"] == expected
    copied = s3.copy_object(Bucket=bucket, Key="logs/b", CopySource=f"{bucket}/logs/a")
    assert copied["Expiration"] == expected
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="other", Body=b"1")
    # As AWS: not where a version is named, be it the current one.
    assert "Expiration" not in s3.head_object(Bucket=bucket, Key="logs/a", VersionId="null")


def test_answers_tell_when_an_upload_is_aborted(s3: BaseClient, bucket: str) -> None:
    configure(s3, bucket, {**RULE, **ABORT})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="logs/a")
    expected = (tomorrow_midnight(7), "a day")
    assert (upload["AbortDate"], upload["AbortRuleId"]) == expected
    part = s3.upload_part(Bucket=bucket, Key="logs/a", UploadId=upload["UploadId"], PartNumber=1, Body=b"1")
    listed = s3.list_parts(Bucket=bucket, Key="logs/a", UploadId=upload["UploadId"])
    assert (listed["AbortDate"], listed["AbortRuleId"]) == expected
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(Bucket=bucket, Key="logs/a", UploadId=upload["UploadId"], MultipartUpload=parts)
    assert done["Expiration"] == shown(1, "a day")
    other = s3.create_multipart_upload(Bucket=bucket, Key="other")
    assert "AbortDate" not in other and "AbortRuleId" not in other


@pytest.mark.parametrize(("rule_id", "told"), [("50 % of it", "50 % of it"), ('a"\nb é', "a%22%0Ab %C3%A9")])
def test_a_rules_id_cannot_break_a_header(s3: BaseClient, bucket: str, rule_id: str, told: str) -> None:
    configure(s3, bucket, {**RULE, "ID": rule_id})
    assert s3.put_object(Bucket=bucket, Key="logs/a", Body=b"1")["Expiration"] == shown(1, told)
