"""Blocking calls of a cloud's client, made in threads: each with a deadline, those that may be repeated repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from backends.base import StoreUnavailable
from backends.retrying import Retries

T = TypeVar("T")

CHUNK = 512 * 1024
THREADS = 32
"""Calls that may be under way at once; threads are made as they are needed."""
PROBES = 4
SLACK = 5.0
"""What a call may take beyond its socket's timeout: to connect, to wait for a thread."""


class Calls:
    """The threads of one store."""

    def __init__(self, timeout: float, retries: Retries | None = None, threads: int = THREADS) -> None:
        self.retries = retries or Retries()
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="remote-store")
        # Where every thread waits for the store, a probe must not wait for a thread.
        self._probes = ThreadPoolExecutor(PROBES, thread_name_prefix="store-probe")

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        return _submit(self._pool, function, *args)

    async def wait(self, running: Future[T]) -> T:
        """What a thread came to. One that takes too long is left alone and ends by its socket's timeout."""
        try:
            async with asyncio.timeout(self._timeout + SLACK):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            raise StoreUnavailable(f"the store did not answer within {self._timeout:.0f} seconds") from None

    async def once(self, function: Callable[..., T], *args: Any) -> T:
        """One attempt."""
        return await self.wait(self.submit(function, *args))

    async def steps(self, function: Callable[..., T], *args: Any) -> T:
        """One attempt of what takes many requests: only each of those has a deadline, its socket's."""
        return await asyncio.wrap_future(self.submit(function, *args))

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """As many attempts as it takes; for what may be done twice."""
        return await self.retries.call(lambda: self.once(function, *args))

    async def probe(self, check: Callable[[], None]) -> None:
        await self.wait(_submit(self._probes, check))

    def close(self) -> None:
        """Take no more calls; those that are under way end by themselves."""
        self._probes.shutdown(wait=False, cancel_futures=True)
        self._pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ThreadPoolExecutor, function: Callable[..., T], *args: Any) -> Future[T]:
    try:
        return pool.submit(function, *args)
    except RuntimeError:
        raise StoreUnavailable("the store is closed") from None


class Body(Protocol):
    """An object's bytes on their way here. Blocking; used by one thread at a time."""

    size: int
    """How many bytes will come."""

    def read(self, amount: int) -> bytes:
        """That many bytes, fewer at the end only. Raises StoreUnavailable when the connection breaks."""

    def close(self) -> None:
        """Let go of the connection. Harmless when repeated."""


class Stream:
    """One body on its way from a container to a reader, who may leave at any time."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._body: Body | None = None
        self._running: Future[Any] | None = None

    async def open(self, open_body: Callable[..., Body | None], *args: Any) -> int | None:
        """The number of bytes that come, None when there is no such object."""
        opening = self._running = self._calls.submit(open_body, *args)
        self._body = await self._calls.wait(opening)
        return self._body.size if self._body is not None else None

    async def read(self, amount: int) -> bytes:
        assert self._body is not None
        self._running = self._calls.submit(self._body.read, amount)
        chunk: bytes = await self._calls.wait(self._running)
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
