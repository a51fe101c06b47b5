"""The MD5 of a body whose parts are sent by several threads at once."""

from __future__ import annotations

import hashlib
import threading

from backends.base import StoreUnavailable

PATIENCE = 30.0


class OrderedMd5:
    """Parts are taken in their order, whoever comes first; one that comes again changes nothing."""

    def __init__(self) -> None:
        self._hash = hashlib.md5(usedforsecurity=False)
        self._next = 0
        self._turn = threading.Condition()
        self.size = 0

    def take(self, number: int, content: bytes) -> None:
        """Take a part, once those before it are taken. Raises StoreUnavailable where they do not come."""
        with self._turn:
            if not self._turn.wait_for(lambda: self._next >= number, PATIENCE):
                raise StoreUnavailable("a part of a body before this one did not get its turn")
            if self._next > number:
                return
            self._hash.update(content)
            self.size += len(content)
            self._next += 1
            self._turn.notify_all()

    def digest(self) -> bytes:
        with self._turn:
            return self._hash.digest()
