"""S3's errors: a small class per code, and one place that renders.

``raise NoSuchKey(Key=key)``: keywords become elements of the error document, in order. Messages are AWS's own, as
clients and their tests compare them.
"""

from __future__ import annotations

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
