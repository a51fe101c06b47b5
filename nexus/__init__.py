"""The Nexus Python client: ``import nexus; nx = nexus.connect()``.

It imports no server code and needs httpx alone. ``nexus.connect_async()`` is the same for asyncio.
"""

from nexus.aio import AsyncRemoteNexusFS
from nexus.client import RemoteNexusFS
from nexus.connecting import connect, connect_async
from nexus.errors import (
    BackendError,
    ConflictError,
    InvalidPathError,
    NexusConnectionError,
    NexusError,
    NexusFileNotFoundError,
    NexusPermissionError,
    ValidationError,
)
from nexus.mounts import AsyncMountManager, MountManager
from nexus.results import Entry, Mount, Stat

__all__ = [
    "AsyncMountManager",
    "AsyncRemoteNexusFS",
    "BackendError",
    "ConflictError",
    "Entry",
    "InvalidPathError",
    "Mount",
    "MountManager",
    "NexusConnectionError",
    "NexusError",
    "NexusFileNotFoundError",
    "NexusPermissionError",
    "RemoteNexusFS",
    "Stat",
    "ValidationError",
    "connect",
    "connect_async",
]
