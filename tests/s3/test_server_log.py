"""Access log lines: names of operations, quoting, keys of log objects."""

from __future__ import annotations

import pytest

from gateway.s3.model import operations
from gateway.s3.server_log import operation_name, quoted, without_secrets
from gateway.server_logs import DELIVERY_TIME, EVENT_TIME, SIMPLE, LogTarget, load_target, log_key
from gateway.types import Bucket

SOURCE = Bucket(1, "source", "owner", "tenant", 0, "eu-west-1")
NOON = 1_790_000_000.0  # 2026-09-21T14:13:20Z


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("GetObject", "REST.GET.OBJECT"),
        ("HeadObject", "REST.HEAD.OBJECT"),
        ("PutObject", "REST.PUT.OBJECT"),
        ("DeleteObject", "REST.DELETE.OBJECT"),
        ("PutObjectTagging", "REST.PUT.OBJECT_TAGGING"),
        ("GetBucketTagging", "REST.GET.TAGGING"),
        ("GetBucketVersioning", "REST.GET.VERSIONING"),
        ("GetBucketLocation", "REST.GET.LOCATION"),
        ("GetBucketLogging", "REST.GET.LOGGING_STATUS"),
        ("ListObjectsV2", "REST.GET.BUCKET"),
        ("ListObjectVersions", "REST.GET.BUCKETVERSIONS"),
        ("HeadBucket", "REST.HEAD.BUCKET"),
        ("DeleteBucket", "REST.DELETE.BUCKET"),
        ("UploadPart", "REST.PUT.PART"),
        ("CompleteMultipartUpload", "REST.POST.UPLOAD"),
        ("PutBucketOwnershipControls", "REST.PUT.OWNERSHIP_CONTROLS"),
        ("GetBucketRequestPayment", "REST.GET.REQUEST_PAYMENT"),
    ],
)
def test_names_of_operations(operation: str, name: str) -> None:
    assert operation_name(operations()[operation].method, operation, has_key=False) == name


def test_what_was_refused_unheard_is_named_by_its_path() -> None:
    assert operation_name("GET", "-", has_key=True) == "REST.GET.OBJECT"
    assert operation_name("GET", "-", has_key=False) == "REST.GET.BUCKET"


def test_secrets_in_queries_are_not_written_down() -> None:
    customer = "x-amz-server-side-encryption-customer-key"
    uri = f"GET /b/k?X-Amz-Signature=s1&a=b&{customer}=s2&{customer}-MD5=m&X-Amz-Copy-Source-{customer[6:]}=s3 HTTP/1.1"
    shown = without_secrets(uri)
    assert not {"s1", "s2", "s3"} & set(shown.replace("&", "=").replace(" ", "=").split("="))
    assert "&a=b&" in shown and f"{customer}-MD5=m&" in shown
    assert "s4" not in without_secrets(f"GET /b/k?{customer.replace('-', '%2D')}=s4 HTTP/1.1"), "names are decoded too"


def test_every_operation_has_a_name_without_spaces() -> None:
    for name, operation in operations().items():
        assert operation_name(operation.method, name, has_key=True).replace(".", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("text", "field"), [("", '"-"'), ("curl/8", '"curl/8"'), ('a"b', '"a%22b"'), ("a\nb", '"a%0Ab"'), ("é", '"é"')]
)
def test_fields_in_quotes_stay_one_field_of_one_line(text: str, field: str) -> None:
    assert quoted(text) == field


@pytest.mark.parametrize(
    ("key_format", "key"),
    [
        (None, "p/2026-09-21-14-13-20-U"),
        (SIMPLE, "p/2026-09-21-14-13-20-U"),
        (DELIVERY_TIME, "p/tenant/eu-west-1/source/2026/09/21/2026-09-21-14-13-20-U"),
        (EVENT_TIME, "p/tenant/eu-west-1/source/2026/09/21/2026-09-21-00-00-00-U"),
    ],
)
def test_keys_of_log_objects(key_format: str | None, key: str) -> None:
    target = LogTarget("target", "p/", (), key_format)
    assert load_target(target.dump()) == target
    # By the time of the event, the delivery may come a day later.
    assert log_key(target, SOURCE, target.day_of(NOON), NOON + (86_400 if key_format == EVENT_TIME else 0), "U") == key
