"""What can go wrong, told as facts. No HTTP and no XML here: each door has its own table for these."""

from __future__ import annotations

import math


class GatewayError(Exception):
    """Root of every error the core raises on purpose."""


class NotAllowed(GatewayError):
    """The caller may not do this. ``reason`` is safe to show."""

    def __init__(self, reason: str = "Access Denied") -> None:
        super().__init__(reason)
        self.reason = reason


class BadRequest(GatewayError):
    """A value makes no sense; ``argument`` names it and ``value`` is what was sent."""

    def __init__(self, message: str, argument: str = "", value: str = "") -> None:
        super().__init__(message)
        self.argument = argument
        self.value = value


class BadPolicy(GatewayError):
    """A bucket policy that is none, or that could not be enforced; the message is AWS's."""


class UnknownStorageClass(GatewayError):
    """Neither one of S3's storage classes nor one that is bound to a store here."""

    def __init__(self, storage_class: str) -> None:
        super().__init__(f"unknown storage class: {storage_class}")
        self.storage_class = storage_class


# -- names


class BucketNotFound(GatewayError):
    def __init__(self, bucket: str) -> None:
        super().__init__(f"bucket not found: {bucket}")
        self.bucket = bucket


class BucketExists(GatewayError):
    def __init__(self, bucket: str, by_caller: bool = False) -> None:
        super().__init__(f"bucket exists: {bucket}")
        self.bucket = bucket
        self.by_caller = by_caller


class BucketNotEmpty(GatewayError):
    """``versioned`` tells that older versions count too."""

    def __init__(self, bucket: str, *, versioned: bool = False) -> None:
        super().__init__(f"bucket is not empty: {bucket}")
        self.bucket = bucket
        self.versioned = versioned


class BadBucketName(GatewayError):
    def __init__(self, bucket: str) -> None:
        super().__init__(f"bad bucket name: {bucket}")
        self.bucket = bucket


class ObjectNotFound(GatewayError):
    """``marker`` is the version id of the delete marker that hides what was there; None without one."""

    def __init__(self, bucket: str, key: str, marker: str | None = None) -> None:
        super().__init__(f"object not found: /{bucket}/{key}")
        self.bucket = bucket
        self.key = key
        self.marker = marker


class VersionNotFound(ObjectNotFound):
    def __init__(self, bucket: str, key: str, version: str) -> None:
        super().__init__(bucket, key)
        self.version = version


class IsDeleteMarker(ObjectNotFound):
    """The version that was asked for is a delete marker, which has no content."""

    def __init__(self, bucket: str, key: str, version: str, modified_at: int) -> None:
        super().__init__(bucket, key, version)
        self.modified_at = modified_at


class ObjectLocked(GatewayError):
    """A retention or a legal hold protects the version."""


class BucketState(GatewayError):
    """The bucket's present configuration does not go with what was asked; the message is safe to show."""


class UploadNotFound(GatewayError):
    def __init__(self, upload_id: str) -> None:
        super().__init__(f"upload not found: {upload_id}")
        self.upload_id = upload_id


class KeyTooLong(GatewayError):
    """An object key over 1,024 bytes of UTF-8."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"key of {size} bytes is over {limit}")
        self.size = size
        self.limit = limit


# -- conditions


class PreconditionFailed(GatewayError):
    """A condition on the present state does not hold; ``condition`` is the header's name."""

    def __init__(self, condition: str) -> None:
        super().__init__(f"precondition failed: {condition}")
        self.condition = condition


class NotModified(GatewayError):
    """A reader has the present state already."""

    def __init__(self, etag: str, modified_at: int) -> None:
        super().__init__("not modified")
        self.etag = etag
        self.modified_at = modified_at


class Conflict(GatewayError):
    """Another change won; trying again may succeed."""


class ObjectReplaced(Conflict):
    """What was found, and was about to be read, was replaced and collected meanwhile: look again."""


class RangeNotSatisfiable(GatewayError):
    def __init__(self, header: str, size: int) -> None:
        super().__init__(f"range {header} does not touch {size} bytes")
        self.header = header
        self.size = size


# -- content


class DigestMismatch(GatewayError):
    """The body is not what a digest said. ``algorithm`` is md5, sha256, or a checksum's name (CRC32C …)."""

    def __init__(self, algorithm: str, expected: str, computed: str) -> None:
        super().__init__(f"{algorithm} of the body is {computed}, not {expected}")
        self.algorithm = algorithm
        self.expected = expected
        self.computed = computed


class SizeMismatch(GatewayError):
    """An object's size is not what its sender said it would be."""

    def __init__(self, expected: int, computed: int) -> None:
        super().__init__(f"the object has {computed} bytes, not {expected}")
        self.expected = expected
        self.computed = computed


class IncompleteBody(GatewayError):
    """The body ended before its declared length."""


class EntityTooLarge(GatewayError):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes are over the limit of {limit}")
        self.size = size
        self.limit = limit


class EntityTooSmall(GatewayError):
    """A part other than the last is under the least size."""

    def __init__(self, part_number: int, etag: str, size: int, minimum: int) -> None:
        super().__init__(f"part {part_number} has {size} bytes, under {minimum}")
        self.part_number = part_number
        self.etag = etag
        self.size = size
        self.minimum = minimum


class InvalidPart(GatewayError):
    def __init__(self, upload_id: str, part_number: int, etag: str) -> None:
        super().__init__(f"part {part_number} of {upload_id} is missing or has another ETag")
        self.upload_id = upload_id
        self.part_number = part_number
        self.etag = etag


class PartDigestMismatch(GatewayError):
    """A completion tells another kind of checksum of a part than it was uploaded with."""

    def __init__(self, algorithm: str, part_number: int) -> None:
        super().__init__(f"part {part_number} has no {algorithm}")
        self.algorithm = algorithm
        self.part_number = part_number


class InvalidPartOrder(GatewayError):
    """The parts of a completion are not in rising order."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"the parts of {upload_id} are out of order")
        self.upload_id = upload_id


class ContentUnavailable(GatewayError):
    """Bytes that the catalog names cannot be had: the blob is damaged or its store fails."""


# -- encryption


class CustomerKeyNeeded(GatewayError):
    """The object is encrypted with a key that the customer keeps and did not send."""


class CustomerKeyNotApplicable(GatewayError):
    """A customer's key came for an object that is not encrypted with one."""


class WrongCustomerKey(GatewayError):
    """The customer's key is not the one that the object is encrypted with."""


class KmsError(GatewayError):
    """A key management service did not do what was asked. ``key_id`` names the key, never what it is."""

    def __init__(self, key_id: str, detail: str = "") -> None:
        super().__init__(f"KMS key {key_id or '(default)'}: {detail or type(self).__name__}")
        self.key_id = key_id
        self.detail = detail


class KmsKeyNotFound(KmsError):
    """No key of that name."""


class KmsKeyDisabled(KmsError):
    """The key is there, but not to be used now."""


class KmsKeyInvalid(KmsError):
    """The key is in a state in which nothing can be done with it, as before its deletion."""


class KmsDenied(KmsError):
    """The service does not let this server use the key, or open what it was given."""


class KmsUnavailable(KmsError):
    """The service cannot be reached or is out of order; trying again may help."""


class KmsKeyExists(KmsError):
    """A key of that name is there already."""


# -- capacity


class StoreUnreachable(ContentUnavailable):
    """A store behind a network does not answer, or asks for patience: another attempt may succeed.

    ``retry_after`` is in how many seconds that is worth while.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = max(1, math.ceil(retry_after))


class StorageFull(GatewayError):
    """A store or the catalog has no room; nothing was changed."""


class QuotaExceeded(GatewayError):
    """A tenant has no room left. ``what`` is bytes or objects, ``limit`` how many it may have. Nothing was stored."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"the tenant's quota of {limit} {what} is exceeded")
        self.what = what
        self.limit = limit


class Overloaded(GatewayError):
    """Too much at once; the caller should slow down and try again."""


class TooBusy(Overloaded):
    """A worker has as much under way as it may; nothing was begun."""

    seconds = 1.0
    """When to try again."""


class TooManyRequests(Overloaded):
    """A tenant makes more requests than it may; ``seconds`` from now it may make another."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the tenant makes more requests per second than it may")
        self.seconds = seconds


# -- mounts


class BackendNotFound(GatewayError):
    """No mount serves a path, or the store that holds an object is not mounted."""

    def __init__(self, path: str) -> None:
        super().__init__(f"Backend not found for path {path}")
        self.path = path


class ReadOnlyMount(GatewayError):
    def __init__(self, path: str, mount_point: str) -> None:
        super().__init__(f"{path} is below the read-only mount {mount_point}")
        self.path = path
        self.mount_point = mount_point


class MountExists(GatewayError):
    def __init__(self, mount_point: str) -> None:
        super().__init__(f"a mount exists at {mount_point}")
        self.mount_point = mount_point


class MountNotFound(GatewayError):
    def __init__(self, mount_point: str) -> None:
        super().__init__(f"no mount at {mount_point}")
        self.mount_point = mount_point


class BadMount(GatewayError):
    """A mount's point, type or configuration is not usable."""


class NotHeld(GatewayError):
    """A native store cannot hold what was asked of it; the message is safe to show."""


class KeyNotHeld(BadRequest):
    """A native store can hold no object of that key; the message says why."""


class MountsChanged(GatewayError):
    """The configuration changed while a write was under way; resolve again. Never leaves the core."""


# -- users and keys


class UserExists(GatewayError):
    def __init__(self, user: str) -> None:
        super().__init__(f"user exists: {user}")
        self.user = user


class TenantNotFound(GatewayError):
    def __init__(self, tenant: str) -> None:
        super().__init__(f"tenant not found: {tenant}")
        self.tenant = tenant


class TenantExists(GatewayError):
    def __init__(self, tenant: str) -> None:
        super().__init__(f"tenant exists: {tenant}")
        self.tenant = tenant


class GroupExists(GatewayError):
    def __init__(self, group: str) -> None:
        super().__init__(f"group exists: {group}")
        self.group = group


class GroupNotFound(GatewayError):
    def __init__(self, group: str) -> None:
        super().__init__(f"group not found: {group}")
        self.group = group


class GrantNotFound(GatewayError):
    def __init__(self, subject: str) -> None:
        super().__init__(f"{subject} was granted nothing there")
        self.subject = subject


class UserNotFound(GatewayError):
    def __init__(self, user: str) -> None:
        super().__init__(f"user not found: {user}")
        self.user = user


class KeyNotFound(GatewayError):
    def __init__(self, key_id: str) -> None:
        super().__init__(f"API key not found: {key_id}")
        self.key_id = key_id
