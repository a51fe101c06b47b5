"""What a native store's failures mean to whoever asked for an object."""

from __future__ import annotations

from backends.base import StoreError, StoreRefused
from backends.native import KeyRefused, StateChanged
from gateway import content
from gateway.errors import GatewayError, KeyNotHeld, NotAllowed, ObjectReplaced


def told(error: StoreError) -> GatewayError:
    if isinstance(error, KeyRefused):
        return KeyNotHeld(str(error), "Key")
    if isinstance(error, StateChanged):
        return ObjectReplaced("it was replaced meanwhile; look again")
    if isinstance(error, StoreRefused):
        return NotAllowed(str(error))
    return content.told(error)
