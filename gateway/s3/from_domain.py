"""What domain errors are in S3's language: one table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gateway import errors as domain
from gateway.auth.errors import AuthError
from gateway.s3.errors import (
    AccessDenied,
    BadDigest,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    ConditionalRequestConflict,
    EntityTooLarge,
    EntityTooSmall,
    IncompleteBody,
    InsufficientCapacity,
    InternalError,
    InvalidArgument,
    InvalidBucketName,
    InvalidBucketState,
    InvalidPart,
    InvalidPartOrder,
    InvalidRange,
    InvalidRequest,
    InvalidStorageClass,
    KeyTooLongError,
    KmsDisabled,
    KmsInvalidState,
    KmsNotFound,
    MalformedPolicy,
    MethodNotAllowed,
    NoSuchBackend,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    NotImplemented_,
    NotModified,
    PreconditionFailed,
    QuotaExceeded,
    S3Error,
    ServiceUnavailable,
    SlowDown,
    XAmzContentSHA256Mismatch,
)
from gateway.s3.values import http_date


def _digest_mismatch(error: domain.DigestMismatch) -> S3Error:
    if error.algorithm == "md5":
        return BadDigest(ExpectedDigest=error.expected, CalculatedDigest=error.computed)
    if error.algorithm == "sha256":
        return XAmzContentSHA256Mismatch(
            ClientComputedContentSHA256=error.expected, S3ComputedContentSHA256=error.computed
        )
    return BadDigest(f"The {error.algorithm} you specified did not match the calculated checksum.")


def _part_digest_mismatch(error: domain.PartDigestMismatch) -> S3Error:
    return BadDigest(
        f"The {error.algorithm.lower()} you specified for part {error.part_number} did not match what we received."
    )


def _not_modified(error: domain.NotModified) -> S3Error:
    etag = b'"%s"' % error.etag.encode()
    return NotModified().with_headers((b"etag", etag), (b"last-modified", http_date(error.modified_at)))


def _invalid_range(error: domain.RangeNotSatisfiable) -> S3Error:
    answer = InvalidRange(RangeRequested=error.header, ActualObjectSize=str(error.size))
    return answer.with_headers((b"content-range", b"bytes */%d" % error.size))


def _bad_request(error: domain.BadRequest) -> S3Error:
    if not error.argument:
        return InvalidArgument(str(error))
    return InvalidArgument(str(error), ArgumentName=error.argument, ArgumentValue=error.value)


def _bucket_exists(error: domain.BucketExists) -> S3Error:
    return (BucketAlreadyOwnedByYou if error.by_caller else BucketAlreadyExists)(BucketName=error.bucket)


def _bucket_not_empty(error: domain.BucketNotEmpty) -> S3Error:
    more = ". You must delete all versions in the bucket." if error.versioned else ""
    return BucketNotEmpty(BucketNotEmpty.message + more, BucketName=error.bucket)


def _invalid_part(error: domain.InvalidPart) -> S3Error:
    return InvalidPart(UploadId=error.upload_id, PartNumber=str(error.part_number), ETag=error.etag)


def _size_mismatch(error: domain.SizeMismatch) -> S3Error:
    return InvalidRequest(
        f"The provided 'x-amz-mp-object-size' header value {error.expected} does not match what was computed: "
        f"{error.computed}"
    )


def _entity_too_small(error: domain.EntityTooSmall) -> S3Error:
    return EntityTooSmall(
        ProposedSize=str(error.size),
        MinSizeAllowed=str(error.minimum),
        PartNumber=str(error.part_number),
        ETag=error.etag,
    )


def _slow_down(seconds: float) -> S3Error:
    return SlowDown().with_headers((b"retry-after", b"%d" % max(1, math.ceil(seconds))))


def _no_such_key(error: domain.ObjectNotFound) -> S3Error:
    answer = NoSuchKey(Key=error.key)
    if error.marker is None:
        return answer
    return answer.with_headers((b"x-amz-delete-marker", b"true"), (b"x-amz-version-id", error.marker.encode()))


def _is_delete_marker(error: domain.IsDeleteMarker) -> S3Error:
    return MethodNotAllowed(Method="GET", ResourceType="DeleteMarker").with_headers(
        (b"allow", b"DELETE"),
        (b"x-amz-delete-marker", b"true"),
        (b"x-amz-version-id", (error.marker or "null").encode()),
        (b"last-modified", http_date(error.modified_at)),
    )


_FROM_DOMAIN: dict[type[domain.GatewayError], Callable[[Any], S3Error]] = {
    domain.NotAllowed: lambda e: AccessDenied(e.reason),
    domain.BadRequest: _bad_request,
    domain.BadPolicy: lambda e: MalformedPolicy(str(e)),
    domain.TenantNotFound: lambda e: AccessDenied(),
    domain.BucketNotFound: lambda e: NoSuchBucket(BucketName=e.bucket),
    domain.BucketExists: _bucket_exists,
    domain.BucketNotEmpty: _bucket_not_empty,
    domain.BadBucketName: lambda e: InvalidBucketName(BucketName=e.bucket),
    domain.ObjectNotFound: _no_such_key,
    domain.IsDeleteMarker: _is_delete_marker,
    domain.ObjectLocked: lambda e: AccessDenied("Access Denied because object protected by object lock."),
    domain.BucketState: lambda e: InvalidBucketState(str(e)),
    domain.VersionNotFound: lambda e: NoSuchVersion(Key=e.key, VersionId=e.version),
    domain.UploadNotFound: lambda e: NoSuchUpload(UploadId=e.upload_id),
    domain.KeyTooLong: lambda e: KeyTooLongError(Size=str(e.size), MaxSizeAllowed=str(e.limit)),
    domain.PreconditionFailed: lambda e: PreconditionFailed(Condition=e.condition),
    domain.NotModified: _not_modified,
    domain.Conflict: lambda e: ConditionalRequestConflict(),
    domain.RangeNotSatisfiable: _invalid_range,
    domain.DigestMismatch: _digest_mismatch,
    domain.SizeMismatch: _size_mismatch,
    domain.CustomerKeyNeeded: lambda e: InvalidRequest(
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
        "retrieve the object."
    ),
    domain.CustomerKeyNotApplicable: lambda e: InvalidRequest(
        "The encryption parameters are not applicable to this object."
    ),
    domain.WrongCustomerKey: lambda e: AccessDenied(
        "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key."
    ),
    domain.KmsKeyNotFound: lambda e: KmsNotFound(e.detail or None),
    domain.KmsKeyDisabled: lambda e: KmsDisabled(e.detail or None),
    domain.KmsKeyInvalid: lambda e: KmsInvalidState(e.detail or None),
    domain.KmsDenied: lambda e: AccessDenied(),
    domain.KmsError: lambda e: ServiceUnavailable("The key management service does not answer. Please try again."),
    domain.IncompleteBody: lambda e: IncompleteBody(),
    domain.EntityTooLarge: lambda e: EntityTooLarge(ProposedSize=str(e.size), MaxSizeAllowed=str(e.limit)),
    domain.EntityTooSmall: _entity_too_small,
    domain.InvalidPart: _invalid_part,
    domain.PartDigestMismatch: _part_digest_mismatch,
    domain.InvalidPartOrder: lambda e: InvalidPartOrder(UploadId=e.upload_id),
    # The bytes are damaged or their store fails: our fault, and a repetition may find a healthy replica.
    domain.ContentUnavailable: lambda e: InternalError(),
    domain.StoreUnreachable: lambda e: ServiceUnavailable().with_headers((b"retry-after", b"%d" % e.retry_after)),
    domain.StorageFull: lambda e: InsufficientCapacity(),
    domain.QuotaExceeded: lambda e: QuotaExceeded(f"The quota of your account, {e.limit} {e.what}, is exceeded."),
    domain.TooBusy: lambda e: _slow_down(e.seconds),
    domain.TooManyRequests: lambda e: _slow_down(e.seconds),
    domain.Overloaded: lambda e: SlowDown(),
    domain.UnknownStorageClass: lambda e: InvalidStorageClass(StorageClassRequested=e.storage_class),
    domain.NotHeld: lambda e: NotImplemented_(str(e)),
    domain.BackendNotFound: lambda e: NoSuchBackend(str(e)),
    domain.ReadOnlyMount: lambda e: AccessDenied(f"Access Denied: the mount at {e.mount_point} is read-only"),
}
"""Every domain error that an S3 request can meet. Mounts, users and keys are managed by the Nexus door alone."""


def to_s3_error(error: Exception) -> S3Error:
    """The S3 error that tells of any exception; InternalError for what was not raised on purpose."""
    if isinstance(error, S3Error):
        return error
    if isinstance(error, AuthError):
        return _from_auth(error)
    for kind in type(error).__mro__:
        if kind in _FROM_DOMAIN:
            return _FROM_DOMAIN[kind](error)
    return InternalError()


def _from_auth(error: AuthError) -> S3Error:
    """Refusals of the verifier speak S3 already: they carry code, status and detail of their own."""
    answer = S3Error(error.message, **error.detail)
    answer.code, answer.status = error.code, error.status
    return answer
