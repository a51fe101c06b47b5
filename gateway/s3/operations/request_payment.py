"""Who pays for requests. Nobody sends bills here, but a requester must agree to them as on AWS.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html
"""

from __future__ import annotations

from typing import Any

from gateway.bucket_configs import REQUEST_PAYMENT
from gateway.s3.call import Call
from gateway.s3.errors import MalformedXML
from gateway.s3.operations.opening import BUCKET_OWNER, REQUESTER, open_bucket
from gateway.s3.operations.registry import operation


@operation
async def put_bucket_request_payment(
    call: Call, *, Bucket: str, RequestPaymentConfiguration: dict[str, Any], ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Let requesters pay: those who do not say that they will are refused."""
    bucket = await open_bucket(call, "s3:PutBucketRequestPayment", Bucket, None, ExpectedBucketOwner)
    payer = RequestPaymentConfiguration.get("Payer")
    if payer not in (REQUESTER, BUCKET_OWNER):
        raise MalformedXML
    await call.core.buckets.set_config(bucket, REQUEST_PAYMENT, REQUESTER if payer == REQUESTER else None)
    return {}


@operation
async def get_bucket_request_payment(
    call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Who pays."""
    bucket = await open_bucket(call, "s3:GetBucketRequestPayment", Bucket, None, ExpectedBucketOwner)
    return {"Payer": bucket.configs.get(REQUEST_PAYMENT, BUCKET_OWNER)}
