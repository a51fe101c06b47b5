"""What all cloud stores share: names, threads, retries, deadlines, bodies that go on where they broke off.

A cloud is a ``Container``: a few blocking calls over one bucket, made in worker threads, because the blocking clients
are the ones that the clouds maintain, and their sockets let go of the interpreter. Everything that must hold for
each cloud is here, once:

- A blob is created only where its name is free. A name that is taken is compared (size and checksum) before it is
  trusted, and replaced when it is not what it should be. So an answer that got lost does no harm, and neither does
  a body that somebody damaged.
- A body that breaks off is asked for again from the next byte: contents never change under a name.
- A removal names the very write that it removes, where the cloud can tell writes of the same bytes apart; where it
  cannot, it is not repeated. So one that is late takes nothing away that was written since.
- Nothing waits for ever: sockets have a timeout, each call a deadline, the attempts together another.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from backends.base import (
    DEFAULT_SCOPE,
    Blob,
    BlobDamaged,
    BlobName,
    BlobNotFound,
    ByteRange,
    StoreError,
    StoreUnavailable,
    check_name,
)
from backends.calls import CHUNK, THREADS, Body, Calls, Stream
from backends.retrying import Retries

PARALLEL = 4

_KEY = re.compile(r"(?:tenants/(?!\.+/)([a-z0-9._-]{1,64})/)?cas/(?:[0-9a-f]{2})/(?:[0-9a-f]{2})/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of a container: its key, its size, and when it was stored (Unix seconds).

    ``version`` is another after each write, even of the same bytes; empty where the service has no such thing.
    """

    key: str
    size: int
    stored_at: float
    version: str = ""


class Container(Protocol):
    """One bucket of a cloud. Every method blocks, is called from worker threads, and may be called at once by many.

    Each makes one attempt. Raises StoreUnavailable for what may pass, StoreMisconfigured for what an operator must
    mend, StoreFull, StoreRefused; never an exception of the client beneath.
    """

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        """Store an object under a free key, durably and checked by the service; False when the key is taken."""

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        """Store an object, whatever is there."""

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        """Whether the object under a key has that content, going by its size and the service's own checksum."""

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        """An object's bytes, from ``span.start`` and at most to ``span.stop``; None when there is no such object."""

    def head(self, key: str) -> Entry | None:
        """What is known of an object, with its version."""

    def remove(self, key: str, version: str) -> None:
        """Remove an object, if it still has that version (StoreUnavailable if not). Absence is success."""

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        """Some of the objects under a prefix and the token of the next page, which is empty after the last."""

    def check(self) -> None:
        """Succeed when the service answers, accepts our credentials and has the bucket."""

    def close(self) -> None: ...


class RemoteStore:
    """A BlobStore over a container."""

    def __init__(
        self,
        container: Container,
        prefix: str,
        *,
        timeout: float,
        retries: Retries | None = None,
        threads: int = THREADS,
    ) -> None:
        self._container = container
        self._prefix = prefix
        self._calls = Calls(timeout, retries, threads)
        self.parallel = PARALLEL

    def _key(self, name: BlobName) -> str:
        check_name(name)
        scope, digest = name
        base = "" if scope == DEFAULT_SCOPE else f"tenants/{scope}/"
        return f"{self._prefix}{base}cas/{digest[:2]}/{digest[2:4]}/{digest}"

    # -- the contract

    async def put(self, name: BlobName, content: bytes) -> None:
        key, sha256 = self._key(name), name.digest
        if await self._calls.call(self._container.create, key, content, sha256):
            return
        if not await self._calls.call(self._container.holds, key, content, sha256):
            await self._calls.call(self._container.replace, key, content, sha256)

    async def get(self, name: BlobName, span: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        key = self._key(name)
        if span is not None and span.start >= span.stop:
            await self._require(name, span.stop)
            return
        at, stop = span or (0, None)
        retrying = self._calls.retries.start()
        while stop is None or at < stop:
            stream = Stream(self._calls)
            try:
                span = ByteRange(at, stop) if stop is not None else None
                size = await stream.open(self._container.open, key, span)
                if size is None:
                    raise BlobNotFound(name)
                if stop is None:
                    stop = size
                elif size < stop - at:
                    raise BlobDamaged(name, f"it ends at byte {at + size}")
                while at < stop:
                    chunk = await stream.read(min(CHUNK, stop - at))
                    retrying.progressed()
                    at += len(chunk)
                    yield chunk
            except StoreUnavailable as error:
                await retrying.wait(error)
            finally:
                stream.close()

    async def _require(self, name: BlobName, size: int) -> None:
        found = await self.stat(name)
        if found is None:
            raise BlobNotFound(name)
        if found.size < size:
            raise BlobDamaged(name, f"it has {found.size} bytes")

    async def stat(self, name: BlobName) -> Blob | None:
        found = await self._calls.call(self._container.head, self._key(name))
        return Blob(name, found.size, found.stored_at) if found else None

    async def delete(self, name: BlobName) -> None:
        key = self._key(name)

        async def attempt() -> None:
            found = await self._calls.once(self._container.head, key)
            if found is None:
                return
            try:
                await self._calls.once(self._container.remove, key, found.version)
            except StoreUnavailable as error:
                if found.version:
                    raise
                raise StoreError(f"a removal may have happened, or happen yet: {error}") from error

        await self._calls.retries.call(attempt)

    async def scan(self) -> AsyncIterator[Blob]:
        for part in ("cas/", "tenants/"):
            token, more = "", True
            while more:
                entries, token = await self._calls.call(self._container.page, self._prefix + part, token)
                for entry in entries:
                    name = self._name(entry.key)
                    if name is not None:
                        yield Blob(name, entry.size, entry.stored_at)
                more = bool(token)

    def _name(self, key: str) -> BlobName | None:
        """The blob that a key names; None for what somebody else put under our prefix."""
        found = _KEY.fullmatch(key.removeprefix(self._prefix))
        if found is None:
            return None
        name = BlobName(found[1] or DEFAULT_SCOPE, found[2])
        return name if self._key(name) == key else None

    async def probe(self) -> None:
        await self._calls.probe(self._container.check)

    async def close(self) -> None:
        self._calls.close()
        await asyncio.to_thread(self._container.close)
