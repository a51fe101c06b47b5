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
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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
from backends.retrying import Retries

T = TypeVar("T")

CHUNK = 512 * 1024
PARALLEL = 4
THREADS = 32
"""Calls that may be under way at once; threads are made as they are needed."""
PROBES = 4
SLACK = 5.0
"""What a call may take beyond its socket's timeout: to connect, to wait for a thread."""

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


class Body(Protocol):
    """An object's bytes on their way here. Blocking; used by one thread at a time."""

    size: int
    """How many bytes will come."""

    def read(self, amount: int) -> bytes:
        """That many bytes, fewer at the end only. Raises StoreUnavailable when the connection breaks."""

    def close(self) -> None:
        """Let go of the connection. Harmless when repeated."""


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
        self._timeout = timeout
        self._retries = retries or Retries()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="remote-store")
        # Where every thread waits for the store, a probe must not wait for a thread.
        self._probes = ThreadPoolExecutor(PROBES, thread_name_prefix="store-probe")
        self.parallel = PARALLEL

    def _key(self, name: BlobName) -> str:
        check_name(name)
        scope, digest = name
        base = "" if scope == DEFAULT_SCOPE else f"tenants/{scope}/"
        return f"{self._prefix}{base}cas/{digest[:2]}/{digest[2:4]}/{digest}"

    async def _once(self, function: Callable[..., T], *args: Any) -> T:
        return await self.wait(self.submit(function, *args))

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        try:
            return self._pool.submit(function, *args)
        except RuntimeError:
            raise StoreUnavailable("the store is closed") from None

    async def wait(self, running: Future[T]) -> T:
        """What a thread came to. One that takes too long is left alone and ends by its socket's timeout."""
        try:
            async with asyncio.timeout(self._timeout + SLACK):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            raise StoreUnavailable(f"the store did not answer within {self._timeout:.0f} seconds") from None

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        return await self._retries.call(lambda: self._once(function, *args))

    # -- the contract

    async def put(self, name: BlobName, content: bytes) -> None:
        key, sha256 = self._key(name), name.digest
        if await self._call(self._container.create, key, content, sha256):
            return
        if not await self._call(self._container.holds, key, content, sha256):
            await self._call(self._container.replace, key, content, sha256)

    async def get(self, name: BlobName, span: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        key = self._key(name)
        if span is not None and span.start >= span.stop:
            await self._require(name, span.stop)
            return
        at, stop = span or (0, None)
        retrying = self._retries.start()
        while stop is None or at < stop:
            stream = _Stream(self)
            try:
                size = await stream.open(self._container, key, ByteRange(at, stop) if stop is not None else None)
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
        found = await self._call(self._container.head, self._key(name))
        return Blob(name, found.size, found.stored_at) if found else None

    async def delete(self, name: BlobName) -> None:
        key = self._key(name)

        async def attempt() -> None:
            found = await self._once(self._container.head, key)
            if found is None:
                return
            try:
                await self._once(self._container.remove, key, found.version)
            except StoreUnavailable as error:
                if found.version:
                    raise
                raise StoreError(f"a removal may have happened, or happen yet: {error}") from error

        await self._retries.call(attempt)

    async def scan(self) -> AsyncIterator[Blob]:
        for part in ("cas/", "tenants/"):
            token, more = "", True
            while more:
                entries, token = await self._call(self._container.page, self._prefix + part, token)
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
        try:
            checking = self._probes.submit(self._container.check)
        except RuntimeError:
            raise StoreUnavailable("the store is closed") from None
        await self.wait(checking)

    async def close(self) -> None:
        self._probes.shutdown(wait=False, cancel_futures=True)
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._container.close)


class _Stream:
    """One body on its way from a container to a reader, who may leave at any time."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store
        self._body: Body | None = None
        self._running: Future[Any] | None = None

    async def open(self, container: Container, key: str, span: ByteRange | None) -> int | None:
        """The number of bytes that come, None when there is no such object."""
        opening = self._running = self._store.submit(container.open, key, span)
        self._body = await self._store.wait(opening)
        return self._body.size if self._body is not None else None

    async def read(self, amount: int) -> bytes:
        assert self._body is not None
        self._running = self._store.submit(self._body.read, amount)
        chunk: bytes = await self._store.wait(self._running)
        if not chunk:
            raise StoreUnavailable("the store broke off a body")
        return chunk

    def close(self) -> None:
        """Let go of the connection; not under the hands of a thread that was left alone with it."""
        body, self._body = self._body, None
        running, self._running = self._running, None
        if running is None or running.done():
            if body is not None:
                body.close()
            return
        if body is not None:
            running.add_done_callback(lambda _: body.close())
        else:
            running.add_done_callback(_close_opened)


def _close_opened(opening: Future[Body | None]) -> None:
    """A body that was asked for comes when nobody wants it any more."""
    if not opening.cancelled() and opening.exception() is None and (body := opening.result()) is not None:
        body.close()
