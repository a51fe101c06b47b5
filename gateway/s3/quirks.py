"""Every place where S3 on the wire differs from its own model, as data, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
"""Results carry it; errors carry none."""

UNREACHABLE: Mapping[str, str] = {
    "WriteGetObjectResponse": "sent to an Object Lambda endpoint, on a path that is also a legal bucket name",
    "ListDirectoryBuckets": "the same request as ListBuckets; it goes to the endpoint of S3 Express",
    "CreateSession": "directory buckets of S3 Express only; SDKs ask for one by the bucket's name",
}
"""Operations that no request to this door means. Their query keys are sub-resources all the same."""

FORM_OPERATION = "PutObject"
"""The operation whose members a browser's form carries as fields: the model has none for a POST to a bucket, and it is
neither found in the table of routes nor parsed from headers. See ``gateway.s3.forms``."""

SELECTING_HEADERS = frozenset({b"x-amz-copy-source"})
"""Headers that choose between two operations on one request line: the model only says that CopyObject needs it."""

ALWAYS_ALLOWED_QUERY = frozenset({"x-id", "AWSAccessKeyId", "Signature", "Expires", "content-type", "content-md5"})
"""Query keys that mean nothing to an operation: newer SDKs append its name as ``x-id``; the others are of a request
presigned by Version 2: its signature, which the verifier has dealt with, and copies of headers that it signed."""

SIGNING_PREFIX = "x-amz-"
"""Query keys of presigned requests, in any case; the verifier has dealt with them before routing."""

STATUSES: Mapping[str, int] = {
    "PutBucketTagging": 204,  # as AWS answers
    "PutBucketPolicy": 204,  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html, sample
}
"""Success statuses that the model leaves out. 206 is not here: render sets it where ContentRange is."""

ROOTS: Mapping[str, str] = {
    # The model names shapes; the wire keeps the names of S3's first schema.
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    # AWS's servers say Response here, where its documentation says Output.
    "GetObjectAttributes": "GetObjectAttributesResponse",
    # What a Put takes, the Get of the same thing gives back under the same root.
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectTagging": "Tagging",
    # Lists of configurations: each family was named by another team.
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketIntelligentTieringConfigurations": "ListBucketIntelligentTieringConfigurationsOutput",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
}
"""Root elements that are not the output shape's name with Result for Output, nor the payload's own name."""

UNWRAPPED: Mapping[str, str] = {"GetBucketLocation": "LocationConstraint"}
"""Answers whose root element *is* the member: its text is the root's text."""

FIRST: Mapping[str, tuple[str, ...]] = {
    # As recorded, and as the samples of AWS's reference have them; the model has them in the order of no wire.
    "ListBuckets": ("Owner",),
    "ListObjects": ("Name", "Prefix", "Marker", "NextMarker", "MaxKeys", "Delimiter", "EncodingType", "IsTruncated"),
    "ListObjectsV2": (
        *("Name", "Prefix", "StartAfter", "ContinuationToken", "NextContinuationToken", "KeyCount", "MaxKeys"),
        *("Delimiter", "EncodingType", "IsTruncated"),
    ),
    "ListObjectVersions": (
        *("Name", "Prefix", "KeyMarker", "VersionIdMarker", "NextKeyMarker", "NextVersionIdMarker", "MaxKeys"),
        *("Delimiter", "EncodingType", "IsTruncated"),
    ),
    "ListMultipartUploads": (
        *("Bucket", "KeyMarker", "UploadIdMarker", "NextKeyMarker", "NextUploadIdMarker", "Prefix", "Delimiter"),
        *("EncodingType", "MaxUploads", "IsTruncated"),
    ),
    "ListParts": (
        *("Bucket", "Key", "UploadId", "Initiator", "Owner", "StorageClass", "PartNumberMarker"),
        *("NextPartNumberMarker", "MaxParts", "IsTruncated"),
    ),
    "ObjectVersion": ("Key", "VersionId", "IsLatest", "LastModified"),
    "DeleteMarkerEntry": ("Key", "VersionId", "IsLatest", "LastModified"),
    "MultipartUpload": ("Key", "UploadId", "Initiator", "Owner", "StorageClass", "Initiated"),
    "CopyObjectResult": ("LastModified", "ETag"),
    "CopyPartResult": ("LastModified", "ETag"),
    "Owner": ("ID",),
    "Initiator": ("ID",),
    "Grantee": ("ID",),
    "LifecycleRule": ("ID", "Prefix", "Filter", "Status"),
}
"""Members, by structure, whose elements come before the others."""

INTERLEAVED: Mapping[str, tuple[str, str]] = {"ListObjectVersions": ("Versions", "DeleteMarkers")}
"""Two lists of the model whose elements AWS writes as one, in the order of their keys and of each key the latest first.
Readers of the stream see one history of a key, where of one list after the other they would see two."""

URL_ENCODED = frozenset(
    {"Key", "Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker"}
)
"""Members of a listing, at any depth, that ``encoding-type=url`` percent-encodes.

A space becomes ``%20`` and never ``+``: every SDK decodes that rightly, whether or not it takes ``+`` for a space.
"""

NOT_URL_ENCODED = frozenset({("ListObjects", "Prefix")})
"""Members that ``encoding-type=url`` leaves alone all the same: SDKs do not decode version 1's own prefix."""

DIGEST_OPTIONAL = frozenset(
    {
        *("PutBucketAcl", "PutObjectAcl", "PutBucketPolicy", "PutBucketVersioning"),
        *("PutBucketRequestPayment", "PutBucketLogging", "PutBucketWebsite"),
    }
)
"""The model wants a digest of these documents, which SDKs add. AWS takes them without: its documentation's examples
have none, and s3cmd sends none. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html"""

TEXT_TIMESTAMPS = frozenset({"Expires", "ResponseExpires"})
"""Timestamps of the model that are text here: AWS stores and returns ``Expires`` as it was sent, date or not."""

ANY_CASE = frozenset(
    {
        *("x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"),
        *("x-amz-checksum-type", "x-amz-checksum-mode"),
    }
)
"""Headers whose values AWS takes in small letters too (https://github.com/versity/versitygw/issues/1116): minio-py
sends them so."""

INTEGER_WORDS: Mapping[str, str] = {"partNumber": "Part number must be an integer between 1 and 10000, inclusive"}
"""What AWS says of a bad number in a query, where that is not what it says of most."""

OPTIONAL = frozenset({("Tagging", "TagSet")})
"""Members, with their structure, that the model requires and AWS does not: no tags are no tags."""

WHOLE_SECONDS = frozenset({"LastModified", "CreationDate", "Initiated"})
"""Timestamps in XML that AWS rounds down to seconds, though it writes milliseconds: so they equal those of headers."""

LENIENT_DATES = frozenset(
    {
        "if-modified-since",
        "if-unmodified-since",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-unmodified-since",
    }
)
"""Headers whose unreadable dates count as not sent (RFC 9110, 13.1.3); in any other place they are refused.

The conditions of deletes are not here: a guard that cannot be read must not be dropped.
"""

IGNORED_MEMBERS: Mapping[str, str] = {
    "RequestPayer": "read where a bucket makes requesters pay, for every operation alike",
    "ContentLength": "the payload reader takes the body's length from the request itself",
}
"""Members that any operation may be sent without taking them."""

IGNORED_WITH_DOCUMENT: Mapping[str, str] = {
    "ContentMD5": "verified over the whole document before it is parsed",
    "ChecksumAlgorithm": "names the checksum that is verified before the document is parsed",
}
"""The same, for operations whose body is a document."""
