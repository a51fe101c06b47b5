"""The contract of a key management service: it makes keys, and opens those that it sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

Context = Mapping[str, str]
"""Text bound to a sealed key, without which it does not open. It is no secret."""


class NewKey(NamedTuple):
    """A key just made: itself, and as only the service opens it."""

    key: bytes
    sealed: bytes


class Kms(Protocol):
    """Raises KmsKeyNotFound, KmsKeyDisabled, KmsDenied or KmsUnavailable (``gateway.errors``); keys are in no message.

    Every method may be called again after it failed or was cancelled.
    """

    async def resolve(self, key_id: str) -> str:
        """The one name of a usable key, whatever alias it was asked for by."""

    async def new_key(self, key_id: str, context: Context) -> NewKey:
        """A random key of 32 bytes, sealed by the named one."""

    async def open(self, key_id: str, sealed: bytes, context: Context) -> bytes:
        """What was sealed, to the same context."""

    async def close(self) -> None:
        """Release connections; the service is not used afterwards."""
