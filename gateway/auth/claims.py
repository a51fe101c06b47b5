"""Whose key a request claims to be made with, without any proof: good for nothing but to tell crowds apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SIGNED = re.compile(rb"Credential=([A-Za-z0-9]{1,64})/")
_PRESIGNED = re.compile(rb"(?:^|&)(?:X-Amz-Credential|AWSAccessKeyId)=([A-Za-z0-9]{1,64})")
_BEARER = re.compile(rb"[Bb]earer +nxk_([A-Za-z0-9]{1,64})_")


def claimed_key(scope: Mapping[str, Any]) -> str:
    """The id of a key that an ASGI request names, by header or query; empty where it names none."""
    authorization = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), None)
    if authorization is None:
        found = _PRESIGNED.search(scope["query_string"])
    else:
        found = _SIGNED.search(authorization) or _BEARER.match(authorization)
    return found[1].decode() if found else ""
