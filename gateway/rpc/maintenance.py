"""Methods that look after what is stored: counting, cleaning, checking, lifecycle rules and storage classes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.core import Core
from gateway.errors import BadRequest
from gateway.rpc.methods import method
from gateway.rpc.values import iso, millis_of
from gateway.types import Principal

LONGEST_GRACE = 100 * 365 * 86_400


@method(reads=True)
async def stats(core: Core, principal: Principal) -> dict[str, Any]:
    """What every store holds."""
    return {"stores": [asdict(each) for each in await core.stats()]}


@method
async def gc(core: Core, principal: Principal, *, grace_seconds: float = 0.0) -> dict[str, Any]:
    """Remove blobs that nothing has named for a while."""
    if not 0 <= grace_seconds <= LONGEST_GRACE:
        raise BadRequest(f"grace_seconds is from 0 to {LONGEST_GRACE}", "grace_seconds", str(grace_seconds))
    return asdict(await core.collector.run(grace_seconds))


@method
async def lifecycle_run(
    core: Core, principal: Principal, *, dry_run: bool = False, at: str | None = None
) -> dict[str, Any]:
    """Do what lifecycle rules want done at a time (ISO 8601; now, if none is told), or only tell what that is."""
    report = await core.lifecycle.run(at=millis_of("at", at), dry_run=dry_run)
    return {**asdict(report), "at": iso(report.at)}


@method
async def set_storage_class(
    core: Core, principal: Principal, *, storage_class: str, mount_point: str
) -> dict[str, Any]:
    """Bind a storage class to the store at a mount point."""
    await core.mounts.bind_class(storage_class, mount_point)
    return {"success": True, "storage_class": storage_class, "mount_point": mount_point}


@method
async def remove_storage_class(core: Core, principal: Principal, *, storage_class: str) -> dict[str, Any]:
    """Let a storage class be a label again; what lies in its store stays there."""
    await core.mounts.unbind_class(storage_class)
    return {"success": True, "storage_class": storage_class}


@method(reads=True)
async def list_storage_classes(core: Core, principal: Principal) -> list[dict[str, Any]]:
    """The storage classes that are bound, and where."""
    return [asdict(view) for view in await core.mounts.classes()]


@method
async def fsck(core: Core, principal: Principal, *, rehash: bool = False) -> dict[str, Any]:
    """Compare catalog and stores."""
    report = await core.checker.run(rehash)
    return {**asdict(report), "exit_code": report.exit_code}
