"""Every operation of S3's model over the wire: what is not served, whole or in part, says so and does nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from conformance.operations import page, refused_members
from gateway.s3.model import operations
from gateway.s3.operations.registry import REGISTRY
from tests.s3.oracle import REACHABLE, operation_model, sample

UNSERVED = [name for name in REACHABLE if name not in REGISTRY.handlers]
REFUSED = [
    (name, member) for name in REACHABLE if name in REGISTRY.handlers for member in refused_members(operations()[name])
]


def call(s3: BaseClient, name: str, bucket: str, *members: str) -> str:
    """Call an operation with what it requires and some more; the error code, empty for success."""
    shape = operation_model(name).input_shape
    arguments: dict[str, Any] = sample(shape, only_required=True) if shape else {}
    arguments |= {member: sample(shape.members[member], member, in_header=True) for member in members}
    for field, value in (("Bucket", bucket), ("Key", "key"), ("CopySource", f"{bucket}/key")):
        if field in arguments:
            arguments[field] = value
    method = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[a-z0-9])(?=V2)", "_", name).lower()
    try:
        getattr(s3, method)(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code: str = error.response["Error"]["Code"]
        return code if not code.isdigit() else {501: "NotImplemented"}.get(status, code)
    return ""


@pytest.fixture(scope="module")
def filled(s3: BaseClient) -> str:
    """A bucket with the object ``key``, which nothing here may change."""
    s3.create_bucket(Bucket="every-operation")
    s3.put_object(Bucket="every-operation", Key="key", Body=b"as it was")
    return "every-operation"


@pytest.mark.parametrize("name", UNSERVED)
def test_what_is_not_served_says_so(s3: BaseClient, filled: str, name: str) -> None:
    assert call(s3, name, filled) == "NotImplemented"
    assert s3.get_object(Bucket=filled, Key="key")["Body"].read() == b"as it was"


@pytest.mark.parametrize(("name", "member"), REFUSED)
def test_a_member_that_is_not_taken_is_refused(s3: BaseClient, filled: str, name: str, member: str) -> None:
    assert call(s3, name, filled, member) == "NotImplemented"
    assert s3.get_object(Bucket=filled, Key="key")["Body"].read() == b"as it was"
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=filled)["Contents"]] == ["key"]


def test_the_page_of_operations_is_made_from_this_code() -> None:
    assert (Path(__file__).parents[2] / "docs" / "s3.md").read_text() == page(), (
        "python -m conformance.operations > docs/s3.md"
    )
