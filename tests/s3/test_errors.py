"""Domain errors in S3's language."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from lxml import etree

from gateway import errors as domain
from gateway.auth import errors as auth
from gateway.s3 import errors
from gateway.s3.from_domain import to_s3_error

SAMPLES: dict[type[domain.GatewayError], tuple[Any, ...]] = {
    domain.KeyNotHeld: ("no key",),
    domain.StoreUnreachable: ("away", 2.0),
    domain.QuotaExceeded: ("bytes", 9),
    domain.TooManyRequests: (0.5,),
    domain.SizeMismatch: (4, 5),
    domain.BadRequest: ("no sense", "prefix", "x"),
    domain.KeyNotHeld: ("a directory of that name is there", "key", "a"),
    domain.StoreUnreachable: ("no answer",),
    domain.TenantNotFound: ("t",),
    domain.BucketNotFound: ("b",),
    domain.BucketExists: ("b",),
    domain.BucketNotEmpty: ("b",),
    domain.BadBucketName: ("b",),
    domain.ObjectNotFound: ("b", "k"),
    domain.VersionNotFound: ("b", "k", "v"),
    domain.IsDeleteMarker: ("b", "k", "v", 0),
    domain.UploadNotFound: ("u",),
    domain.KeyTooLong: (1025, 1024),
    domain.PreconditionFailed: ("If-Match",),
    domain.NotModified: ("e", 1255369830123),
    domain.RangeNotSatisfiable: ("bytes=9-", 3),
    domain.DigestMismatch: ("CRC32", "x", "y"),
    domain.EntityTooLarge: (2, 1),
    domain.EntityTooSmall: (1, "e", 1, 5),
    domain.InvalidPart: ("u", 1, "e"),
    domain.InvalidPartOrder: ("u",),
    domain.PartDigestMismatch: ("CRC32", 1),
    domain.UnknownStorageClass: ("NOSUCH",),
    **{kind: ("key", "Invalid keyId 'key'") for kind in (domain.KmsError, *domain.KmsError.__subclasses__())},
    domain.BackendNotFound: ("/b/k",),
    domain.ReadOnlyMount: ("/b/k", "/b"),
}
NEXUS_ONLY = {
    domain.MountExists,
    domain.MountNotFound,
    domain.BadMount,
    domain.MountsChanged,
    domain.UserExists,
    domain.UserNotFound,
    domain.TenantExists,
    domain.GroupExists,
    domain.GroupNotFound,
    domain.GrantNotFound,
    domain.KeyNotFound,
    domain.KmsKeyExists,
}
KINDS = [
    kind
    for _, kind in inspect.getmembers(domain, inspect.isclass)
    if issubclass(kind, domain.GatewayError) and kind is not domain.GatewayError
]

EXPECTED = {
    domain.TenantNotFound: ("AccessDenied", 403),
    domain.BucketNotFound: ("NoSuchBucket", 404),
    domain.UnknownStorageClass: ("InvalidStorageClass", 400),
    domain.ObjectNotFound: ("NoSuchKey", 404),
    domain.VersionNotFound: ("NoSuchVersion", 404),
    domain.IsDeleteMarker: ("MethodNotAllowed", 405),
    domain.PreconditionFailed: ("PreconditionFailed", 412),
    domain.NotModified: ("NotModified", 304),
    domain.RangeNotSatisfiable: ("InvalidRange", 416),
    domain.Conflict: ("ConditionalRequestConflict", 409),
    domain.ReadOnlyMount: ("AccessDenied", 403),
    domain.BackendNotFound: ("NoSuchBackend", 404),
    domain.StorageFull: ("InsufficientCapacity", 507),
    domain.Overloaded: ("SlowDown", 503),
    domain.TooManyRequests: ("SlowDown", 503),
    domain.QuotaExceeded: ("QuotaExceeded", 403),
    domain.ContentUnavailable: ("InternalError", 500),
    domain.CustomerKeyNeeded: ("InvalidRequest", 400),
    domain.CustomerKeyNotApplicable: ("InvalidRequest", 400),
    domain.WrongCustomerKey: ("AccessDenied", 403),
    domain.KmsKeyNotFound: ("KMS.NotFoundException", 400),
    domain.KmsKeyDisabled: ("KMS.DisabledException", 400),
    domain.KmsKeyInvalid: ("KMS.KMSInvalidStateException", 400),
    domain.KmsDenied: ("AccessDenied", 403),
    domain.KmsUnavailable: ("ServiceUnavailable", 503),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_domain_error_has_its_code(kind: type[domain.GatewayError]) -> None:
    if kind in NEXUS_ONLY:
        return
    answer = to_s3_error(kind(*SAMPLES.get(kind, ())))
    assert (answer.code != "InternalError") or kind is domain.ContentUnavailable
    if kind in EXPECTED:
        assert (answer.code, answer.status) == EXPECTED[kind]


def test_facts_travel_along() -> None:
    precondition = to_s3_error(domain.PreconditionFailed("If-None-Match"))
    assert precondition.detail == {"Condition": "If-None-Match"}
    out_of_range = to_s3_error(domain.RangeNotSatisfiable("bytes=9-", 3))
    assert out_of_range.headers == [(b"content-range", b"bytes */3")]
    unchanged = to_s3_error(domain.NotModified("e", 1255369830123))
    assert dict(unchanged.headers) == {b"etag": b'"e"', b"last-modified": b"Mon, 12 Oct 2009 17:50:30 GMT"}
    assert "/ro" in to_s3_error(domain.ReadOnlyMount("/ro/k", "/ro")).message
    assert to_s3_error(domain.BackendNotFound("/b/k")).message == "Backend not found for path /b/k"
    assert to_s3_error(domain.BucketExists("b", True)).code == "BucketAlreadyOwnedByYou"
    assert to_s3_error(domain.DigestMismatch("md5", "x", "y")).code == "BadDigest"
    assert to_s3_error(domain.DigestMismatch("sha256", "x", "y")).code == "XAmzContentSHA256Mismatch"


def test_refusals_of_the_verifier_keep_their_code() -> None:
    answer = to_s3_error(auth.SignatureDoesNotMatch(StringToSign="x"))
    assert (answer.code, answer.status, answer.detail) == ("SignatureDoesNotMatch", 403, {"StringToSign": "x"})


def test_what_was_not_meant_is_an_internal_error() -> None:
    answer = to_s3_error(KeyError("secret"))
    assert (answer.code, answer.status) == ("InternalError", 500)
    assert "secret" not in answer.message


def test_codes_are_class_names_unless_told() -> None:
    assert errors.NoSuchKey.code == "NoSuchKey"
    assert errors.NotImplemented_.code == "NotImplemented"
    assert errors.BadRequestError.code == "BadRequest"


def test_the_document() -> None:
    document = errors.error_document(errors.NoSuchKey(Key="a<b>\x01"), "REQ", "HOST")
    assert document == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        b"<Message>The specified key does not exist.</Message><Key>a&lt;b&gt;&#x1;</Key>"
        b"<RequestId>REQ</RequestId><HostId>HOST</HostId></Error>"
    )
    assert etree.fromstring(errors.error_document(errors.AccessDenied(), "R", "H")).tag == "Error"
