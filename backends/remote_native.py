"""What the native layout of all clouds shares: threads, retries, bodies of any length in flat memory.

A cloud is a ``NativeBucket``: a few blocking calls by the bucket's own keys. What must hold for each is here, once:

- A body of up to a block is one request. A longer one is an *upload* of many steps, of which only the last shows
  anything; that one is made when the body has ended well, and an upload that is not to be is aborted.
- A change whose answer got lost is not simply made again: what is there is looked at first. It is what was to be, and
  that is the answer; or it is not, and the change is made once more, only if nobody comes between. (Two who create the
  same bytes with the same attributes at the same time may therefore both hear that they did, where an answer to one
  was lost.)
- A body that breaks off is asked for again from the next byte, in the same state.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from backends.base import ByteRange, StoreError, StoreRefused, StoreUnavailable
from backends.calls import CHUNK, THREADS, Body, Calls, Stream
from backends.native import (
    ANYTHING,
    Expected,
    KeyRefused,
    NativeAttributes,
    NativeObject,
    NativePage,
    StateChanged,
)
from backends.retrying import Retries

T = TypeVar("T")

BLOCK = 8 * 1024 * 1024
FREE = 1024 * 1024
"""A body that is no longer than this needs no room."""
ROOMS = 16
"""How many blocks of long bodies may be in memory at once, on their way to one store."""
PAST = "\U0010ffff"
"""After every key that begins with what it is put behind."""
ABORT_SECONDS = 30.0


class ConditionUnknown(StoreRefused):
    """A service does not know a condition on a change. Nothing was changed."""


class UploadGone(StoreRefused):
    """A service knows nothing of an upload: it was finished, or aborted."""


class Upload(Protocol):
    """A long body on its way. Every method blocks, makes one attempt, and may be repeated after StoreUnavailable."""

    parallel: int
    """How many parts may be under way at once; with 1, they are sent in order."""

    @property
    def etag(self) -> str:
        """The ETag that the object will have, once all parts are sent; empty where it cannot be told."""

    def part_size(self, number: int) -> int:
        """How many bytes part ``number`` (from 0) has, if it is not the last. Raises StoreRefused for one too many."""

    def send(self, number: int, content: bytes) -> None:
        """Send a part that is not the last."""

    def finish(self, number: int, content: bytes) -> NativeObject:
        """Send the last part, which is never empty, and make the object. Raises StateChanged, UploadGone."""

    def abort(self) -> None:
        """Drop what was sent. Harmless when it is gone."""


class NativeBucket(Protocol):
    """One bucket of a cloud, by whole keys. Every method blocks, is called from worker threads, makes one attempt.

    Raises StoreUnavailable for what may pass, StoreMisconfigured for what an operator must mend, StoreFull,
    StoreRefused; never an exception of the client beneath.
    """

    def check_key(self, key: str) -> None:
        """Raise KeyRefused for a key that no object can have."""

    def check_attributes(self, attributes: NativeAttributes) -> None:
        """Raise KeyRefused for what cannot be kept."""

    def find(self, key: str) -> NativeObject | None: ...

    def open(self, key: str, span: ByteRange, state: str) -> Body:
        """An object's bytes, of that state. Raises StateChanged."""

    def page(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        """As ``NativeStore.list``; ``after`` may be any text, and where it is a common prefix no part of it is told."""

    def put(self, key: str, content: bytes, attributes: NativeAttributes, expected: Expected) -> NativeObject:
        """Store a body in one step. Raises StateChanged, ConditionUnknown."""

    def begin(self, key: str, attributes: NativeAttributes, expected: Expected) -> Upload:
        """Begin one of many steps. Raises StateChanged where that can be told already."""

    def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        """Replace what is said of an object, in as many requests as it takes. Raises StateChanged, ConditionUnknown."""

    def remove(self, key: str, state: str | None) -> None:
        """Remove an object, if it is in that state. Raises StateChanged, ConditionUnknown. Absence is success."""

    def check(self) -> None:
        """Succeed when the service answers, accepts our credentials and has the bucket."""

    def close(self) -> None: ...


class RemoteNative:
    """A NativeStore over a bucket, or over what lies below a prefix in it."""

    def __init__(
        self,
        bucket: NativeBucket,
        prefix: str,
        *,
        timeout: float,
        retries: Retries | None = None,
        threads: int = THREADS,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._calls = Calls(timeout, retries, threads)
        self._rooms = asyncio.Semaphore(ROOMS)
        self._aborting: set[asyncio.Task[None]] = set()

    # -- reading

    async def find(self, key: str) -> NativeObject | None:
        try:
            whole = self._whole(key)
        except KeyRefused:
            return None
        found = await self._calls.call(self._bucket.find, whole)
        return None if found is None else self._own(found)

    async def read(self, key: str, span: ByteRange, state: str) -> AsyncGenerator[bytes, None]:
        at, retrying = span.start, self._calls.retries.start()
        whole = self._whole(key) if at < span.stop else ""
        while at < span.stop:
            stream = Stream(self._calls)
            try:
                size = await stream.open(self._bucket.open, whole, ByteRange(at, span.stop), state)
                if size is None or size < span.stop - at:
                    raise StateChanged(f"{key!r} is shorter than it was")
                while at < span.stop:
                    chunk = await stream.read(min(CHUNK, span.stop - at))
                    retrying.progressed()
                    at += len(chunk)
                    yield chunk
            except StoreUnavailable as error:
                await retrying.wait(error)
            finally:
                stream.close()

    async def list(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        # The prefix itself may be an object, which is none of the store's: it has no key, and is not after itself.
        start = self._prefix + _beyond(prefix, delimiter, after)
        page = await self._calls.call(self._bucket.page, self._prefix + prefix, delimiter, start, limit)
        if not self._prefix:
            return page
        cut = len(self._prefix)
        entries = [replace(entry, key=entry.key[cut:]) for entry in page.entries]
        return NativePage(entries, [found[cut:] for found in page.prefixes], page.last[cut:])

    # -- changing

    async def write(
        self, key: str, body: AsyncIterator[bytes], attributes: NativeAttributes, expected: Expected = ANYTHING
    ) -> NativeObject:
        whole = self._whole(key)
        self._bucket.check_attributes(attributes)
        writing = _Writing(self._calls, self._bucket, self._rooms, whole, attributes, expected)
        try:
            async for chunk in body:
                await writing.take(chunk)
            return self._own(await writing.end())
        finally:
            if (aborting := writing.leave()) is not None:
                self._aborting.add(aborting)
                aborting.add_done_callback(self._aborting.discard)

    async def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        whole = self._whole(key)
        self._bucket.check_attributes(attributes)

        async def outcome() -> NativeObject | None:
            found = await self._calls.call(self._bucket.find, whole)
            return found if found is not None and _same(found.attributes, attributes) else None

        async def attempt(unsure: bool) -> NativeObject:
            if unsure and (found := await outcome()) is not None:
                return found
            return await self._calls.steps(self._bucket.describe, whole, attributes, state)

        return self._own(await _settled(self._calls, attempt, outcome))

    async def delete(self, key: str, state: str | None = None) -> None:
        try:
            whole = self._whole(key)
        except KeyRefused:
            if state is not None:
                raise StateChanged(f"there is no {key!r}") from None
            return

        async def attempt(unsure: bool) -> None:
            if not unsure:
                return await self._calls.once(self._bucket.remove, whole, state)
            # The lost one may have removed it. What is there now goes, and nothing that comes after it.
            found = await self._calls.once(self._bucket.find, whole)
            if found is None:
                return None
            if state is not None:
                return await self._calls.once(self._bucket.remove, whole, state)
            try:
                await self._calls.once(self._bucket.remove, whole, found.entry.state)
            except StateChanged as error:
                raise StoreUnavailable(f"{key!r} was written while it was removed") from error
            except ConditionUnknown:
                await self._calls.once(self._bucket.remove, whole, None)

        async def outcome() -> None:
            return None

        await _settled(self._calls, attempt, outcome)

    # -- being

    async def probe(self) -> None:
        await self._calls.probe(self._bucket.check)

    async def close(self) -> None:
        if self._aborting:
            await asyncio.wait(self._aborting, timeout=ABORT_SECONDS)
        self._calls.close()
        await asyncio.to_thread(self._bucket.close)

    def _whole(self, key: str) -> str:
        if not key:
            raise KeyRefused("a key is not empty")
        whole = self._prefix + key
        self._bucket.check_key(whole)
        return whole

    def _own(self, found: NativeObject) -> NativeObject:
        if not self._prefix:
            return found
        return replace(found, entry=replace(found.entry, key=found.entry.key[len(self._prefix) :]))


class _Writing:
    """One body on its way into a bucket."""

    def __init__(
        self,
        calls: Calls,
        bucket: NativeBucket,
        rooms: asyncio.Semaphore,
        key: str,
        attributes: NativeAttributes,
        expected: Expected,
    ) -> None:
        self._calls = calls
        self._bucket = bucket
        self._rooms = rooms
        self._key = key
        self._attributes = attributes
        self._expected = expected
        self._pieces: list[bytes] = []
        self._pending = 0
        self._size = 0
        self._has_room = False
        self._upload: Upload | None = None
        self._beginning: asyncio.Task[Upload] | None = None
        self._number = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._ended = False

    async def take(self, chunk: bytes) -> None:
        """Take bytes in; a block that is full leaves when more comes, so that the last is never empty."""
        view = memoryview(chunk)
        while view:
            limit = self._upload.part_size(self._number) if self._upload is not None else BLOCK
            if self._pending == limit:
                await self._send()
                continue
            piece = view[: limit - self._pending]
            if not self._has_room and self._pending + len(piece) > FREE:
                await self._rooms.acquire()
                self._has_room = True
            self._pieces.append(bytes(piece))
            self._pending += len(piece)
            self._size += len(piece)
            view = view[len(piece) :]

    def _block(self) -> bytes:
        block = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._pending = [], 0
        return block

    async def _send(self) -> None:
        if self._upload is None:
            beginning = self._calls.call(self._bucket.begin, self._key, self._attributes, self._expected)
            self._beginning = asyncio.ensure_future(beginning)
            self._upload = await asyncio.shield(self._beginning)
        while len(self._sending) >= self._upload.parallel:
            done, self._sending = await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        task = asyncio.ensure_future(self._calls.call(self._upload.send, self._number, self._block()))
        task.add_done_callback(lambda _: self._rooms.release())
        self._has_room = False  # it is the task's now
        self._sending.add(task)
        self._number += 1

    async def end(self) -> NativeObject:
        """Make the object, whose body has come and is well."""
        if self._upload is None:
            made = await self._put(self._block() if self._pieces else b"")
        else:
            await asyncio.gather(*self._sending)
            self._sending.clear()
            made = await self._finish(self._upload, self._block())
        self._ended = True
        return made

    async def _put(self, content: bytes) -> NativeObject:
        async def outcome() -> NativeObject | None:
            found = await self._calls.call(self._bucket.find, self._key)
            return self._ours(found, await self._calls.once(_md5, content))

        async def attempt(unsure: bool) -> NativeObject:
            put = self._bucket.put
            if not unsure:
                return await self._calls.once(put, self._key, content, self._attributes, self._expected)
            found = await self._calls.once(self._bucket.find, self._key)
            if (ours := self._ours(found, await self._calls.once(_md5, content))) is not None:
                return ours
            if self._expected != ANYTHING:
                return await self._calls.once(put, self._key, content, self._attributes, self._expected)
            now = Expected(absent=True) if found is None else Expected(state=found.entry.state)
            try:
                return await self._calls.once(put, self._key, content, self._attributes, now)
            except StateChanged as error:
                raise StoreUnavailable(f"{self._key!r} was written by somebody else at the same time") from error
            except ConditionUnknown:
                return await self._calls.once(put, self._key, content, self._attributes, ANYTHING)

        return await _settled(self._calls, attempt, outcome)

    async def _finish(self, upload: Upload, content: bytes) -> NativeObject:
        async def outcome() -> NativeObject | None:
            found = await self._calls.call(self._bucket.find, self._key)
            return self._ours(found, upload.etag) if upload.etag else None

        async def attempt(unsure: bool) -> NativeObject:
            return await self._calls.once(upload.finish, self._number, content)

        try:
            return await _settled(self._calls, attempt, outcome)
        except UploadGone as error:
            raise StoreUnavailable(f"whether {self._key!r} was written cannot be told: {error}") from error

    def _ours(self, found: NativeObject | None, etag: str) -> NativeObject | None:
        """An object if it is what was to be written."""
        if found is None or found.entry.state == self._expected.state:
            return None
        same = (found.entry.size, found.entry.etag) == (self._size, etag)
        return found if same and _same(found.attributes, self._attributes) else None

    def leave(self) -> asyncio.Task[None] | None:
        """Let go of everything; what aborts an upload that is not to be."""
        self._pieces = []
        if self._has_room:
            self._rooms.release()
            self._has_room = False
        if self._ended or self._beginning is None:
            return None
        return asyncio.ensure_future(_abort(self._calls, self._beginning, self._sending))


async def _abort(calls: Calls, beginning: asyncio.Task[Upload], sending: set[asyncio.Task[None]]) -> None:
    """Parts that arrive after an abort may stay: so it waits for those that are under way."""
    await asyncio.gather(*sending, return_exceptions=True)
    with suppress(StoreError):
        await calls.call((await beginning).abort)


async def _settled(
    calls: Calls, attempt: Callable[[bool], Awaitable[T]], outcome: Callable[[], Awaitable[T | None]]
) -> T:
    """What a change comes to. ``attempt`` is told whether one before it may have succeeded; ``outcome`` looks if so."""
    retrying, unsure = calls.retries.start(), False
    while True:
        try:
            return await attempt(unsure)
        except StoreUnavailable as error:
            await retrying.wait(error)
            unsure = True
        except (StateChanged, UploadGone):
            if not unsure or (found := await outcome()) is None:
                raise
            return found


def _same(found: NativeAttributes, wanted: NativeAttributes) -> bool:
    return (found.content_type, dict(found.headers)) == (wanted.content_type, dict(wanted.headers)) and {
        name.lower(): value for name, value in found.metadata.items()
    } == {name.lower(): value for name, value in wanted.metadata.items()}


def _beyond(prefix: str, delimiter: str, after: str) -> str:
    """Where a listing goes on past ``after``: a common prefix that it lies in is over."""
    if delimiter and after.startswith(prefix):
        cut = after.find(delimiter, len(prefix))
        if cut >= 0:
            return after[: cut + len(delimiter)] + PAST
    return after


def last_of(keys: Iterable[str], prefixes: Iterable[str]) -> str:
    """The key or common prefix that comes last."""
    return max((*keys, *prefixes), key=str.encode, default="")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
