"""Versioning of buckets: its states, and what version ids look like.

A bucket without the configuration was never versioned: what it holds are null versions, and no version id is shown.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
"""

from __future__ import annotations

import base64
import os
import re

from gateway.bucket_configs import VERSIONING
from gateway.types import Bucket

ENABLED, SUSPENDED = "Enabled", "Suspended"
NULL = ""
"""The null version's id in the catalog; S3 says ``null``."""
_SHOWN_NULL = "null"
_ID = re.compile(r"[A-Za-z0-9._]{32}", re.ASCII)


def versioning_of(bucket: Bucket) -> str | None:
    """Enabled, Suspended, or None for a bucket that never was versioned."""
    return bucket.configs.get(VERSIONING)


def new_version_id(version: int) -> str:
    """An id that nobody guesses, and that tells the version's place among those of its key."""
    return base64.b64encode(version.to_bytes(6, "big") + os.urandom(18), b"._").decode()


def place_of(version_id: str) -> int:
    """The number of the version that an id (not the null version's) was made for, whether or not it is still there."""
    return int.from_bytes(base64.b64decode(version_id, b"._")[:6], "big")


def shown_id(version_id: str) -> str:
    return version_id or _SHOWN_NULL


def parse_version_id(text: str) -> str | None:
    """The catalog's form of a version id; None for what can never be one."""
    if text == _SHOWN_NULL:
        return NULL
    return text if _ID.fullmatch(text) else None
