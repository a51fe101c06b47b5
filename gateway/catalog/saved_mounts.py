"""Programs over mounts that are kept to be mounted later."""

from __future__ import annotations

from typing import NamedTuple

from gateway.catalog.base import Program
from gateway.errors import MountExists, MountNotFound

_COLUMNS = (
    "mount_point, backend_type, sealed_config, priority, readonly, owner_user_id, tenant_id, description, created_at"
)


class SavedRow(NamedTuple):
    """A saved mount as the catalog keeps it: its configuration is sealed under the master key."""

    mount_point: str
    backend_type: str
    sealed_config: bytes
    priority: int
    readonly: int
    owner_user_id: str | None
    tenant_id: str | None
    description: str | None
    created_at: int


def save(row: SavedRow) -> Program[None]:
    """Raises MountExists."""
    if (yield "SELECT 1 FROM saved_mounts WHERE mount_point = ?", (row.mount_point,)):
        raise MountExists(row.mount_point)
    yield f"INSERT INTO saved_mounts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(row)


def load(mount_point: str) -> Program[SavedRow]:
    """Raises MountNotFound."""
    rows = yield f"SELECT {_COLUMNS} FROM saved_mounts WHERE mount_point = ?", (mount_point,)
    if not rows:
        raise MountNotFound(mount_point)
    return SavedRow(*rows[0])


def list_saved() -> Program[list[SavedRow]]:
    return [SavedRow(*row) for row in (yield f"SELECT {_COLUMNS} FROM saved_mounts ORDER BY mount_point", ())]


def delete(mount_point: str) -> Program[bool]:
    """Forget a saved mount; whether it was there."""
    return bool((yield "DELETE FROM saved_mounts WHERE mount_point = ? RETURNING 1", (mount_point,)))
