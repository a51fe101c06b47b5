"""The Nexus Python client: ``import nexus; nx = nexus.connect()``.

It imports no server code and needs httpx alone. Today it speaks of mounts, users and maintenance; files travel over S3.
"""

from nexus.client import Mount, MountManager, RemoteNexusFS, connect
from nexus.errors import (
    ConflictError,
    InvalidPathError,
    NexusConnectionError,
    NexusError,
    NexusFileNotFoundError,
    NexusPermissionError,
    ValidationError,
)

__all__ = [
    "ConflictError",
    "InvalidPathError",
    "Mount",
    "MountManager",
    "NexusConnectionError",
    "NexusError",
    "NexusFileNotFoundError",
    "NexusPermissionError",
    "RemoteNexusFS",
    "ValidationError",
    "connect",
]
