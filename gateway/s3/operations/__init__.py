"""What each S3 operation means. Importing this package registers every handler.

A handler is the far end of the boto3 call of the same name: its keyword parameters are the members it supports.
"""

from gateway.s3.operations import (
    acls,
    attributes,
    bucket_encryption,
    buckets,
    copying,
    cors,
    lifecycle,
    listing,
    locking,
    logging,
    multipart,
    objects,
    ownership,
    policies,
    request_payment,
    tagging,
    versioning,
    website,
)

__all__ = [
    "acls",
    "attributes",
    "bucket_encryption",
    "buckets",
    "copying",
    "cors",
    "lifecycle",
    "listing",
    "locking",
    "logging",
    "multipart",
    "objects",
    "ownership",
    "policies",
    "request_payment",
    "tagging",
    "versioning",
    "website",
]
