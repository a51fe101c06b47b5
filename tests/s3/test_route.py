"""Which operation a request means, and what is refused rather than guessed."""

from __future__ import annotations

import pytest

from gateway.s3 import quirks
from gateway.s3.errors import (
    InvalidArgument,
    MethodNotAllowed,
    NotImplemented_,
    PreconditionFailed,
    S3Error,
)
from gateway.s3.model import Operation, operations
from gateway.s3.parse import parse_query
from gateway.s3.route import Routes

ROUTES = Routes(operations().values())


def find(request: str, **headers: str) -> str:
    method, path = request.split(" ")
    path, _, query = path.partition("?")
    bucket, _, key = path.removeprefix("/").partition("/")
    raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return ROUTES.find(method, ROUTES.level(bucket, key), parse_query(query.encode()), raw).name


@pytest.mark.parametrize(
    ("request_line", "name"),
    [
        ("GET /", "ListBuckets"),
        ("GET /b", "ListObjects"),
        ("GET /b?prefix=x&max-keys=1", "ListObjects"),
        ("GET /b?list-type=2", "ListObjectsV2"),
        ("GET /b?list-type=2&prefix=&x-id=ListObjectsV2", "ListObjectsV2"),
        ("GET /b?versions", "ListObjectVersions"),
        ("GET /b?uploads", "ListMultipartUploads"),
        ("GET /b?unknown=1", "ListObjects"),
        ("GET /b?analytics", "ListBucketAnalyticsConfigurations"),
        ("GET /b?analytics&id=x", "GetBucketAnalyticsConfiguration"),
        ("GET /b?inventory", "ListBucketInventoryConfigurations"),
        ("GET /b?inventory&id=x", "GetBucketInventoryConfiguration"),
        ("GET /b?metrics", "ListBucketMetricsConfigurations"),
        ("GET /b?id=x&metrics", "GetBucketMetricsConfiguration"),
        ("GET /b?intelligent-tiering", "ListBucketIntelligentTieringConfigurations"),
        ("GET /b?intelligent-tiering&id=x", "GetBucketIntelligentTieringConfiguration"),
        ("GET /b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("PUT /b?lifecycle", "PutBucketLifecycleConfiguration"),
        ("GET /b?notification", "GetBucketNotificationConfiguration"),
        ("PUT /b?notification", "PutBucketNotificationConfiguration"),
        ("PUT /b?analytics", "PutBucketAnalyticsConfiguration"),
        ("PUT /b", "CreateBucket"),
        ("HEAD /b", "HeadBucket"),
        ("DELETE /b", "DeleteBucket"),
        ("POST /b?delete", "DeleteObjects"),
        ("POST /b?delete=", "DeleteObjects"),
        ("GET /b/k", "GetObject"),
        ("GET /b/k?partNumber=1&versionId=x", "GetObject"),
        ("GET /b/k?X-Amz-Signature=1&x-amz-expires=2", "GetObject"),
        ("GET /b/k?uploadId=u", "ListParts"),
        ("HEAD /b/k?partNumber=1", "HeadObject"),
        ("GET /b/k?attributes", "GetObjectAttributes"),
        ("GET /b/k?tagging&versionId=x", "GetObjectTagging"),
        ("PUT /b/k", "PutObject"),
        ("PUT /b/k?x-id=PutObject&X-Amz-Signature=1", "PutObject"),
        ("PUT /b/k?partNumber=1&uploadId=u", "UploadPart"),
        ("PUT /b/k?tagging", "PutObjectTagging"),
        ("PUT /b/k?encryption", "UpdateObjectEncryption"),
        ("PUT /b?encryption", "PutBucketEncryption"),
        ("POST /b/k?uploads", "CreateMultipartUpload"),
        ("POST /b/k?uploadId=u", "CompleteMultipartUpload"),
        ("POST /b/k?select&select-type=2", "SelectObjectContent"),
        ("DELETE /b/k?uploadId=u", "AbortMultipartUpload"),
        ("DELETE /b/k?versionId=v", "DeleteObject"),
    ],
)
def test_requests_find_their_operation(request_line: str, name: str) -> None:
    assert find(request_line) == name


def test_a_copy_source_makes_a_copy() -> None:
    assert find("PUT /b/k", x_amz_copy_source="/a/b") == "CopyObject"
    assert find("PUT /b/k?partNumber=1&uploadId=u", x_amz_copy_source="/a/b") == "UploadPartCopy"


def _line(operation: Operation) -> str:
    path = {"service": "/", "bucket": "/b", "key": "/b/k"}[operation.level]
    keys = [key if value is None else f"{key}={value}" for key, value in operation.selectors]
    keys += [f"{key}=1" for key in operation.required_query]
    return f"{operation.method} {path}?{'&'.join(keys)}"


@pytest.mark.parametrize("name", sorted(operations()))
def test_every_operation_is_reached_or_excused(name: str) -> None:
    operation = operations()[name]
    if operation.name in quirks.UNREACHABLE:
        return
    headers = {} if operation.selecting_header is None else {"x_amz_copy_source": "/a/b"}
    found = operations()[find(_line(operation), **headers)]
    if operation.deprecated:
        assert not found.deprecated
        assert found.selectors == operation.selectors
    else:
        assert found is operation


def test_what_is_excused_exists() -> None:
    assert set(quirks.UNREACHABLE) <= set(operations())
    assert set(quirks.ROOTS) | set(quirks.STATUSES) | set(quirks.UNWRAPPED) <= set(operations())


@pytest.mark.parametrize(
    ("request_line", "error"),
    [
        # A sub-resource that the operation does not own must not become the plain write.
        ("PUT /b/k?partNumber=1", NotImplemented_),
        ("PUT /b/k?uploadId=u", NotImplemented_),
        ("PUT /b/k?torrent", NotImplemented_),
        ("PUT /b/k?versions", NotImplemented_),
        ("PUT /b?website2", InvalidArgument),
        ("PUT /b?session", NotImplemented_),
        ("DELETE /b?acl", NotImplemented_),
        ("DELETE /b/k?acl", NotImplemented_),
        ("DELETE /b/k?attributes", NotImplemented_),
        ("DELETE /b?uploads", NotImplemented_),
        ("POST /b/k?acl", NotImplemented_),
        ("POST /b/k?select", NotImplemented_),
        ("PUT /b/k?foo=bar", InvalidArgument),
        ("PUT /b/k?Tagging", InvalidArgument),
        ("PUT /b/k?versionId=v", InvalidArgument),
        ("DELETE /b/k?partNumber=1", NotImplemented_),
        ("DELETE /b/k?response-expires=x", InvalidArgument),
        ("POST /b?delete&prefix=x", InvalidArgument),
        # Two sub-resources at once.
        ("GET /b/k?acl&tagging", InvalidArgument),
        ("PUT /b/k?acl&tagging", InvalidArgument),
        ("GET /b?list-type=2&versions", InvalidArgument),
        # Reads of what cannot be read.
        ("GET /b?delete", MethodNotAllowed),
        ("GET /b/k?uploads", MethodNotAllowed),
        ("HEAD /b/k?acl", MethodNotAllowed),
        ("HEAD /b?versioning", MethodNotAllowed),
        ("GET /?acl", MethodNotAllowed),
        ("GET /b?list-type=1", InvalidArgument),
        # Methods without a meaning.
        ("POST /", MethodNotAllowed),
        ("POST /b/k", MethodNotAllowed),
        ("PATCH /b/k", MethodNotAllowed),
        ("HEAD /", MethodNotAllowed),
        ("get /b/k", MethodNotAllowed),
        ("POST /b", PreconditionFailed),
    ],
)
def test_requests_that_mean_nothing_are_refused(request_line: str, error: type[S3Error]) -> None:
    with pytest.raises(error):
        find(request_line)
