"""Methods about the keys of encryption. No answer has a key in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.core import Core
from gateway.errors import BadRequest
from gateway.kms.local import LocalKms
from gateway.rpc.methods import method
from gateway.types import Principal

SPELL_SECONDS = 20.0
"""How long one call rewraps; who wants it finished calls again."""
SPARE_SECONDS = 3600.0


@method(reads=True)
async def encryption_keys(core: Core, principal: Principal) -> dict[str, Any]:
    """The keys that wrap data keys, and those of the built-in key management service."""
    ring = [
        {
            "id": key.id,
            "kind": "SSE-S3" if key.kind == "s3" else "SSE-KMS",
            "kms_key": key.key_id or None,
            "context": key.context or None,
            "created_at": _iso(key.created_at),
            "retired_at": _iso(key.retired_at),
            "blobs": count,
        }
        for key, count in await core.encryption.ring()
    ]
    kms = [
        {"kms_key": key.key_id, "created_at": _iso(key.created_at), "disabled": key.disabled_at is not None}
        for key in (await core.local_kms.list() if core.local_kms is not None else [])
    ]
    return {"ring": ring, "kms": kms}


@method
async def encryption_rotate(core: Core, principal: Principal, *, begin: bool = True) -> dict[str, Any]:
    """Put new keys in use (``begin``) and wrap data keys anew, for a while; call again while some are ``remaining``."""
    problems = await core.encryption.begin_rotation() if begin else []
    done = await core.encryption.rewrap(SPELL_SECONDS, SPARE_SECONDS)
    return {"rewrapped": done.rewrapped, "remaining": done.remaining, "problems": problems + done.problems}


@method
async def encryption_create_kms_key(core: Core, principal: Principal, *, key_id: str) -> dict[str, Any]:
    """Make a key of the built-in key management service."""
    await _local(core).create(key_id)
    return {"kms_key": key_id}


@method
async def encryption_enable_kms_key(
    core: Core, principal: Principal, *, key_id: str, enabled: bool = True
) -> dict[str, Any]:
    """Let a key be used again, or no more: what it protects cannot be read meanwhile."""
    await _local(core).set_enabled(key_id, enabled)
    return {"kms_key": key_id, "disabled": not enabled}


def _local(core: Core) -> LocalKms:
    if core.local_kms is None:
        raise BadRequest("this server's keys are kept by another service: manage them there")
    return core.local_kms


def _iso(millis: int | None) -> str | None:
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC).isoformat()
