"""Names of the configurations that a bucket may have; each is kept as a text that its own reader understands."""

from __future__ import annotations

VERSIONING = "versioning"
OBJECT_LOCK = "object-lock"
LIFECYCLE = "lifecycle"
POLICY = "policy"
PUBLIC_ACCESS_BLOCK = "public-access-block"
CORS = "cors"
WEBSITE = "website"
LOGGING = "logging"
ENCRYPTION = "encryption"
TAGGING = "tagging"
REQUEST_PAYMENT = "request-payment"

TENANT_PUBLIC_ACCESS_BLOCK = "tenant-public-access-block"
"""Told to a tenant and not to a bucket; it is read with each of the tenant's buckets."""
