"""Small blobs that were read again, in memory: what a name means never changes, so it cannot be stale.

Bytes come here once they were verified, and go when others are read more, or when their blob is deleted here. Another
process may delete a blob that is kept here still: nobody asks for it any more then, as nothing names it, and should the
same content be stored again, these are its bytes. Who wants to know what the disk has does not ask here.
"""

from __future__ import annotations

from collections import OrderedDict

from backends.base import BlobName

OVERHEAD = 512
"""What an entry takes besides its bytes, about."""
SEEN = 16 * 1024
"""Names of which it is known that they were read: as many, and up to as many before."""


class Recent:
    """At most ``limit`` bytes of blobs: those read last, of those that were read more than once.

    What is read once, as by who copies everything, takes nothing of the place of what is read again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[BlobName, bytes] = OrderedDict()
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()

    def get(self, name: BlobName) -> bytes | None:
        content = self._kept.get(name)
        if content is not None:
            self._kept.move_to_end(name)
        return content

    def offer(self, name: BlobName, content: bytes) -> None:
        """Say that a blob was read which is not kept."""
        size = len(content) + OVERHEAD
        if size > self._limit or not self._seen_again(hash(name)) or name in self._kept:
            return
        self._kept[name] = content
        self._size += size
        while self._size > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped) + OVERHEAD

    def _seen_again(self, name: int) -> bool:
        if name in self._seen or name in self._seen_before:
            return True
        self._seen.add(name)
        if len(self._seen) >= SEEN:
            self._seen_before, self._seen = self._seen, set()
        return False

    def forget(self, name: BlobName) -> None:
        content = self._kept.pop(name, None)
        if content is not None:
            self._size -= len(content) + OVERHEAD
