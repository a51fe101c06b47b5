"""Versioning of a bucket."""

from __future__ import annotations

from typing import Any

from gateway.s3.call import Call
from gateway.s3.errors import IllegalVersioningConfigurationException, MalformedXML, NotImplemented_
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation
from gateway.versioning import ENABLED, SUSPENDED, versioning_of


@operation(ignores={"MFA": "no bucket here asks for it: MFA delete cannot be enabled"})
async def put_bucket_versioning(
    call: Call, *, Bucket: str, VersioningConfiguration: dict[str, Any], ExpectedBucketOwner: str | None = None
) -> dict[str, Any]:
    """Enable or suspend versioning; what was versioned stays so."""
    bucket = await open_bucket(call, "s3:PutBucketVersioning", Bucket, None, ExpectedBucketOwner)
    status, mfa = VersioningConfiguration.get("Status"), VersioningConfiguration.get("MFADelete")
    if mfa not in (None, "Enabled", "Disabled") or status not in (None, ENABLED, SUSPENDED):
        raise MalformedXML
    if mfa == "Enabled":
        raise NotImplemented_("MFA delete is not implemented", Header="MfaDelete")
    if status is None:
        raise IllegalVersioningConfigurationException
    await call.core.buckets.set_versioning(bucket, status)
    return {}


@operation
async def get_bucket_versioning(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Enabled, Suspended, or nothing for a bucket that never was versioned."""
    bucket = await open_bucket(call, "s3:GetBucketVersioning", Bucket, None, ExpectedBucketOwner)
    return {"Status": versioning_of(bucket)}
