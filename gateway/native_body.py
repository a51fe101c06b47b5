"""A body on its way into a native store: handed on as it comes, and held against all that was said of it at its end.

Nothing shows in the store before the body's iterator has ended, and it ends only where everything is as declared.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from gateway import checksums
from gateway.bodies import Checks, Source, verify
from gateway.errors import EntityTooLarge, IncompleteBody
from gateway.types import Checksum

BATCH = 512 * 1024
INLINE = 64 * 1024
"""What is hashed at once, on the loop: a thread would cost more."""


class CheckedBody:
    """The bytes of a source; raises DigestMismatch, IncompleteBody, EntityTooLarge instead of ending."""

    def __init__(
        self,
        source: Source,
        checks: Checks,
        run: Callable[..., Awaitable[Any]],
        before_end: Callable[[], Awaitable[None]],
    ) -> None:
        """``run`` calls a function in a worker thread; ``before_end`` raises where the body comes too late."""
        self.checksum: Checksum | None = None
        self._source = source
        self._checks = checks
        self._run = run
        self._before_end = before_end
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._checksum = checksums.new(checks.algorithm)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        batch: list[bytes] = []
        pending = 0
        async for chunk in self._source:
            batch.append(chunk)
            pending += len(chunk)
            if pending >= BATCH:
                yield await self._take(batch)
                batch, pending = [], 0
        if batch:
            yield await self._take(batch)
        self._verify()
        await self._before_end()

    async def _take(self, batch: list[bytes]) -> bytes:
        joined = b"".join(batch)  # copies nothing where it is one, and bytes
        self._size += len(joined)
        if self._size > self._checks.limit:
            raise EntityTooLarge(self._size, self._checks.limit)
        if len(joined) <= INLINE:
            self._digest(joined)
        else:
            await self._run(self._digest, joined)
        return joined

    def _digest(self, piece: bytes) -> None:
        if self._checks.md5 is not None:
            self._md5.update(piece)
        if self._source.sha256 is not None:
            self._sha256.update(piece)
        self._checksum.update(piece)

    def _verify(self) -> None:
        declared = self._source.length
        if declared is not None and self._size != declared:
            raise IncompleteBody(f"{self._size} of {declared} bytes came")
        digests = self._md5.digest(), self._checksum.digest(), self._sha256.hexdigest()
        self.checksum = verify(self._source, self._checks, *digests)
