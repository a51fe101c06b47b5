"""S3's errors: a small class per code, one table from domain errors to them, one place that renders.

``raise NoSuchKey(Key=key)``: keywords become elements of the error document, in order. Messages are AWS's own, as
clients and their tests compare them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gateway import errors as domain
from gateway.auth.errors import AuthError
from gateway.s3.values import http_date
from gateway.s3.xml import escape


class S3Error(Exception):
    """An answer that is an error. ``detail`` follows the message in the document."""

    code: str = "InternalError"
    status: int = 500
    message: str = "We encountered an internal error. Please try again."

    def __init__(self, message: str | None = None, /, **detail: str) -> None:
        if message is not None:
            self.message = message
        super().__init__(f"{self.code}: {self.message}")
        self.headers: list[tuple[bytes, bytes]] = []
        self.detail = detail

    def with_headers(self, *headers: tuple[bytes, bytes]) -> S3Error:
        """The same error, its answer carrying more headers."""
        self.headers += headers
        return self

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in vars(cls):
            cls.code = cls.__name__


# -- who is asking (the verifier's refusals come as AuthError, with codes of their own)


class AccessDenied(S3Error):
    status = 403
    message = "Access Denied"


class AccessForbidden(S3Error):
    status = 403
    message = "CORSResponse: CORS is not enabled for this bucket."


# -- what was asked


class BadRequestError(S3Error):
    code = "BadRequest"
    status = 400
    message = "Bad Request"


class InvalidArgument(S3Error):
    status = 400
    message = "Invalid Argument"


class InvalidRequest(S3Error):
    status = 400
    message = "Invalid Request"


class AccessControlListNotSupported(S3Error):
    status = 400
    message = "The bucket does not allow ACLs"


class InvalidBucketAclWithObjectOwnership(S3Error):
    status = 400
    message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"


class MalformedACLError(S3Error):
    status = 400
    message = "The XML you provided was not well-formed or did not validate against our published schema"


class MissingSecurityHeader(S3Error):
    status = 400
    message = "Your request was missing a required header"


class UnresolvableGrantByEmailAddress(S3Error):
    status = 400
    message = "The e-mail address you provided does not match any account on record."


class AmbiguousGrantByEmailAddress(S3Error):
    status = 400
    message = "The e-mail address you provided is associated with more than one account."


class InvalidURI(S3Error):
    status = 400
    message = "Couldn't parse the specified URI."


class MalformedXML(S3Error):
    status = 400
    message = "The XML you provided was not well-formed or did not validate against our published schema"


class MalformedPolicy(S3Error):
    status = 400
    message = "Policies must be valid JSON and the first byte must be '{'"


class MalformedPOSTRequest(S3Error):
    status = 400
    message = "The body of your POST request is not well-formed multipart/form-data."


class MaxPostPreDataLengthExceeded(S3Error):
    status = 400
    message = "Your POST request fields preceeding the upload file was too large."  # so spelt by AWS


class InvalidPolicyDocument(S3Error):
    status = 400
    message = "The content of the form does not meet the conditions specified in the policy document."


class MissingRequestBodyError(S3Error):
    status = 400
    message = "Request Body is empty"


class MaxMessageLengthExceeded(S3Error):
    status = 400
    message = "Your request was too big."


class UnexpectedContent(S3Error):
    status = 400
    message = "This request does not support content"


class MethodNotAllowed(S3Error):
    status = 405
    message = "The specified method is not allowed against this resource."


class NotImplemented_(S3Error):
    """Detail names what is not implemented: ``Header``, ``Parameter`` or ``Operation``."""

    code = "NotImplemented"
    status = 501
    message = "A header you provided implies functionality that is not implemented"


# -- buckets


class NoSuchBucket(S3Error):
    status = 404
    message = "The specified bucket does not exist"


class BucketAlreadyExists(S3Error):
    status = 409
    message = (
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again."
    )


class BucketAlreadyOwnedByYou(S3Error):
    status = 409
    message = "Your previous request to create the named bucket succeeded and you already own it."


class BucketNotEmpty(S3Error):
    status = 409
    message = "The bucket you tried to delete is not empty"


class InvalidBucketName(S3Error):
    status = 400
    message = "The specified bucket is not valid."


class InvalidTargetBucketForLogging(S3Error):
    status = 400
    message = "The target bucket for logging does not exist"


class CrossLocationLoggingProhibitted(S3Error):
    """Spelled as AWS spells it."""

    status = 403
    message = "Cross S3 location logging not allowed. "


class InvalidLocationConstraint(S3Error):
    status = 400
    message = "The specified location-constraint is not valid"


class IllegalLocationConstraintException(S3Error):
    status = 400
    message = (
        "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."
    )


class ServerSideEncryptionConfigurationNotFoundError(S3Error):
    status = 404
    message = "The server side encryption configuration was not found"


# -- encryption


class InvalidEncryptionAlgorithmError(S3Error):
    status = 400
    message = "The Encryption request you specified is not valid. Supported value: AES256."


class KmsNotFound(S3Error):
    code = "KMS.NotFoundException"
    status = 400
    message = "The request was rejected because the specified entity or resource could not be found."


class KmsDisabled(S3Error):
    code = "KMS.DisabledException"
    status = 400
    message = "The request was rejected because the specified KMS key is not enabled."


class KmsInvalidState(S3Error):
    code = "KMS.KMSInvalidStateException"
    status = 400
    message = "The request was rejected because the state of the specified resource is not valid for this request."


# -- objects


class NoSuchKey(S3Error):
    status = 404
    message = "The specified key does not exist."


class NoSuchVersion(S3Error):
    status = 404
    message = "The specified version does not exist."


class NoSuchObjectLockConfiguration(S3Error):
    status = 404
    message = "The specified object does not have a ObjectLock configuration"


class ObjectLockConfigurationNotFoundError(S3Error):
    status = 404
    message = "Object Lock configuration does not exist for this bucket"


class InvalidBucketState(S3Error):
    status = 409
    message = "The request is not valid with the current state of the bucket."


class IllegalVersioningConfigurationException(S3Error):
    status = 400
    message = "The Versioning element must be specified"


class InvalidRetentionPeriod(S3Error):
    status = 400
    message = "The retention period must be a positive integer value."


class NoSuchBucketPolicy(S3Error):
    status = 404
    message = "The bucket policy does not exist"


class NoSuchCORSConfiguration(S3Error):
    status = 404
    message = "The CORS configuration does not exist"


class NoSuchWebsiteConfiguration(S3Error):
    status = 404
    message = "The specified bucket does not have a website configuration"


class NoSuchPublicAccessBlockConfiguration(S3Error):
    status = 404
    message = "The public access block configuration was not found"


class OwnershipControlsNotFoundError(S3Error):
    status = 404
    message = "The bucket ownership controls were not found"


class NoSuchLifecycleConfiguration(S3Error):
    status = 404
    message = "The lifecycle configuration does not exist"


class NoSuchTagSet(S3Error):
    status = 404
    message = "The TagSet does not exist"


class InvalidRedirectLocation(S3Error):
    status = 400
    message = "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."


class Found(S3Error):
    """No error: what a website answers for a folder that is asked for without its slash."""

    status = 302
    message = "Resource Found"


class NoSuchBackend(S3Error):
    """No mount serves the path, or the store that holds the object is not mounted; a person must mount it.

    404, so that no SDK tries again by itself (all repeat 500 and 503), and a code of our own, so that nobody takes
    it for an absent key: it is not one of S3's codes, which clients show as they are.
    """

    status = 404
    message = "Backend not found"


class InvalidRange(S3Error):
    status = 416
    message = "The requested range is not satisfiable"


class InvalidPartNumber(S3Error):
    status = 416
    message = "The requested partnumber is not satisfiable"


class PreconditionFailed(S3Error):
    status = 412
    message = "At least one of the pre-conditions you specified did not hold"


class NotModified(S3Error):
    status = 304
    message = "Not Modified"


class ConditionalRequestConflict(S3Error):
    status = 409
    message = "The conditional request cannot succeed due to a conflicting operation against this resource."


class OperationAborted(S3Error):
    status = 409
    message = "A conflicting conditional operation is currently in progress against this resource. Please try again."


class KeyTooLongError(S3Error):
    status = 400
    message = "Your key is too long"


class MetadataTooLarge(S3Error):
    status = 400
    message = "Your metadata headers exceed the maximum allowed metadata size"


class InvalidStorageClass(S3Error):
    status = 400
    message = "The storage class you specified is not valid"


class InvalidTag(S3Error):
    status = 400
    message = "The tag provided was not a valid tag."


# -- bodies


class MissingContentLength(S3Error):
    status = 411
    message = "You must provide the Content-Length HTTP header."


class IncompleteBody(S3Error):
    status = 400
    message = "You did not provide the number of bytes specified by the Content-Length HTTP header"


class InvalidDigest(S3Error):
    status = 400
    message = "The Content-MD5 you specified was invalid."


class BadDigest(S3Error):
    status = 400
    message = "The Content-MD5 you specified did not match what we received."


class XAmzContentSHA256Mismatch(S3Error):
    status = 400
    message = "The provided 'x-amz-content-sha256' header does not match what was computed."


class EntityTooLarge(S3Error):
    status = 400
    message = "Your proposed upload exceeds the maximum allowed size"


class EntityTooSmall(S3Error):
    status = 400
    message = "Your proposed upload is smaller than the minimum allowed size"


# -- multipart uploads


class NoSuchUpload(S3Error):
    status = 404
    message = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed."
    )


class InvalidPart(S3Error):
    status = 400
    message = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
        "specified entity tag may not match the part's entity tag."
    )


class InvalidPartOrder(S3Error):
    status = 400
    message = "The list of parts was not in ascending order. Parts must be ordered by part number."


# -- ourselves


class InternalError(S3Error):
    pass


class ServiceUnavailable(S3Error):
    status = 503
    message = "Service is unable to handle request."


class SlowDown(S3Error):
    status = 503
    message = "Please reduce your request rate."


class QuotaExceeded(S3Error):
    """AWS has no quotas. Ceph's answer, for 403 is what SDKs neither repeat nor take for a mistake in the request."""

    status = 403
    message = "The quota of your account is exceeded."


class InsufficientCapacity(S3Error):
    """The store behind the path is full. 507, because SDKs repeat 500, 502, 503 and 504 by themselves, and
    repeating fills no less; a 503 SlowDown would hide from operators what is wrong."""

    status = 507
    message = "There is no room left in the storage behind this path."


# -- from domain errors


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
    domain.TooManyRequests: lambda e: SlowDown().with_headers((b"retry-after", b"%d" % max(1, math.ceil(e.seconds)))),
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


def error_document(error: S3Error, request_id: str, host_id: str, *, wrapped: bool = False) -> bytes:
    """The body of an error answer. Errors carry no namespace; S3 Control's are ``wrapped`` in one more element."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n', "<ErrorResponse>" if wrapped else ""]
    parts += ("<Error><Code>", error.code, "</Code><Message>")
    parts += (escape(error.message), "</Message>")
    for name, value in error.detail.items():
        parts += ("<", name, ">", escape(value), "</", name, ">")
    parts += ("</Error>" if wrapped else "", "<RequestId>", request_id, "</RequestId><HostId>", host_id, "</HostId>")
    parts.append("</ErrorResponse>" if wrapped else "</Error>")
    return "".join(parts).encode()
