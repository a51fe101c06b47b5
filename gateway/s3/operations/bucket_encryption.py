"""What a bucket encrypts by default.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html
"""

from __future__ import annotations

from typing import Any

from gateway.bucket_configs import ENCRYPTION
from gateway.encryption import SSE_C, SSE_KMS, SSE_S3, BucketEncryption
from gateway.s3.call import Call
from gateway.s3.errors import (
    InvalidArgument,
    MalformedXML,
    NotImplemented_,
    ServerSideEncryptionConfigurationNotFoundError,
)
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation


@operation
async def put_bucket_encryption(
    call: Call,
    *,
    Bucket: str,
    ServerSideEncryptionConfiguration: dict[str, Any],
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Replace the bucket's default; objects that are there stay as they are."""
    bucket = await open_bucket(call, "s3:PutEncryptionConfiguration", Bucket, None, ExpectedBucketOwner)
    default = _default(ServerSideEncryptionConfiguration.get("Rules") or [])
    await call.core.buckets.set_config(bucket, ENCRYPTION, default.dump())
    return {}


def _default(rules: list[dict[str, Any]]) -> BucketEncryption:
    if len(rules) != 1:
        raise MalformedXML
    rule = rules[0]
    blocked = (rule.get("BlockedEncryptionTypes") or {}).get("EncryptionType")
    if blocked is not None and (not set(blocked) <= {"NONE", SSE_C} or len(blocked) != 1):
        raise MalformedXML
    by_default = rule.get("ApplyServerSideEncryptionByDefault")
    taken = None if blocked is None else tuple(blocked)
    if by_default is None:
        if blocked is None:
            raise MalformedXML
        return BucketEncryption(bucket_key=bool(rule.get("BucketKeyEnabled")), blocked=taken)
    kind, key_id = by_default.get("SSEAlgorithm"), by_default.get("KMSMasterKeyID") or ""
    if kind == "aws:kms:dsse":
        raise NotImplemented_("Dual-layer encryption is not implemented", SSEAlgorithm=kind)
    if kind not in (SSE_S3, SSE_KMS):
        raise MalformedXML
    if key_id and kind != SSE_KMS:
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            ArgumentName="ApplyServerSideEncryptionByDefault",
        )
    return BucketEncryption(kind, key_id, bool(rule.get("BucketKeyEnabled")), taken)


@operation
async def get_bucket_encryption(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """The bucket's default, or the server's."""
    bucket = await open_bucket(call, "s3:GetEncryptionConfiguration", Bucket, None, ExpectedBucketOwner)
    default = bucket.config(ENCRYPTION, BucketEncryption.load) or BucketEncryption()
    kind = default.kind or (SSE_S3 if call.core.settings.default_encryption == "sse-s3" else "")
    if not kind and default.blocked is None:
        raise ServerSideEncryptionConfigurationNotFoundError(BucketName=Bucket)
    rule: dict[str, Any] = {}
    if kind:
        rule["ApplyServerSideEncryptionByDefault"] = {"SSEAlgorithm": kind, "KMSMasterKeyID": default.key_id or None}
    rule["BucketKeyEnabled"] = default.bucket_key
    if default.blocked is not None:
        rule["BlockedEncryptionTypes"] = {"EncryptionType": list(default.blocked)}
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


@operation
async def delete_bucket_encryption(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Back to the server's default."""
    # AWS asks for the same permission as for the Put.
    bucket = await open_bucket(call, "s3:PutEncryptionConfiguration", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, ENCRYPTION, None)
    return {}
