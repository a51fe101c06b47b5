"""Whether a store does what a mount needs of it: a probe is written, read, listed and deleted, step by step.

What a step fails with is the store's own sentence, which names the permission or the setting that is missing.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from backends.base import DEFAULT_SCOPE, BlobName, BlobStore, ByteRange, Probing, StoreError
from backends.native import ABSENT, NativeAttributes, NativeEntry, NativeStore

SIZE = 64 * 1024
SPAN = ByteRange(1000, 3000)
STEP_SECONDS = 45.0
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
ANSWERS = "it answers and knows us"
ABSENT_AFTER_WRITE = "what was written is not there"
THERE_AFTER_DELETE = "what was deleted is still there"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried: how it ended, how long it took, and what is to be said of it."""

    name: str
    outcome: str
    ms: float | None = None
    message: str = ""


@dataclass(slots=True)
class Trial:
    """All steps, and how far the store's clock is ahead of ours (None where it could not be seen)."""

    steps: list[Step] = field(default_factory=list)
    clock_skew_seconds: float | None = None

    @property
    def passed(self) -> bool:
        return all(step.outcome != FAILED for step in self.steps)

    def has_passed(self, name: str) -> bool:
        return any(step.name == name and step.outcome == PASSED for step in self.steps)

    async def step(self, name: str, action: Callable[[], Awaitable[str]], *needs: str) -> None:
        """Do a step, unless one that it needs did not pass."""
        missing = [need for need in needs if not self.has_passed(need)]
        if missing:
            self.steps.append(Step(name, SKIPPED, message=f"needs {missing[0]}"))
            return
        started = time.monotonic()
        try:
            async with asyncio.timeout(STEP_SECONDS):
                outcome, message = PASSED, await action()
        except TimeoutError:
            outcome, message = FAILED, f"no answer within {STEP_SECONDS:.0f} seconds"
        except StoreError as error:
            outcome, message = FAILED, str(error)
        self.steps.append(Step(name, outcome, round((time.monotonic() - started) * 1000, 2), message))

    def see_clock(self, stamp: float, before: float, after: float) -> None:
        """Compare the time at which the store says that the probe was written; many tell whole seconds."""
        early, late = before - 1.0, after + 0.001
        self.clock_skew_seconds = (
            0.0 if early <= stamp <= late else round(stamp - (early if stamp < early else late), 1)
        )


class _Probe(Protocol):
    """What each step does in a store of one layout. What they return is said of it."""

    read_needs: str
    """The step after which what was written can be read."""

    async def connect(self) -> str: ...
    async def write(self) -> str: ...
    async def look(self) -> str: ...
    async def read(self) -> str: ...
    async def read_range(self) -> str: ...
    async def list_some(self) -> str: ...
    async def delete(self) -> str: ...


class _Blobs:
    """The steps in a store of blobs. Its marker and other blobs are left alone."""

    read_needs = "write"

    def __init__(self, store: BlobStore, trial: Trial) -> None:
        self._store = store
        self._trial = trial
        self._content = secrets.token_bytes(SIZE)
        self._name = BlobName(DEFAULT_SCOPE, hashlib.sha256(self._content).hexdigest())
        self._begun = self._done = 0.0

    async def connect(self) -> str:
        if isinstance(self._store, Probing):
            await self._store.probe()
        else:
            await self._store.stat(self._name)
        return ANSWERS

    async def write(self) -> str:
        self._begun = time.time()
        await self._store.put(self._name, self._content)
        self._done = time.time()
        return f"{SIZE} bytes"

    async def look(self) -> str:
        found = await self._store.stat(self._name)
        if found is None or found.size != SIZE:
            raise StoreError(ABSENT_AFTER_WRITE)
        self._trial.see_clock(found.stored_at, self._begun, self._done)
        return ""

    async def read(self) -> str:
        return await _same(self._store.get(self._name), self._content)

    async def read_range(self) -> str:
        return await _same(self._store.get(self._name, SPAN), self._content[SPAN.start : SPAN.stop])

    async def list_some(self) -> str:
        async for _ in self._store.scan():
            return "it shows blobs"
        return "it shows no blob"

    async def delete(self) -> str:
        await self._store.delete(self._name)
        if await self._store.stat(self._name) is not None:
            raise StoreError(THERE_AFTER_DELETE)
        return ""


class _Keys:
    """The steps in a store that is served as it stands."""

    read_needs = "look"

    def __init__(self, store: NativeStore, trial: Trial) -> None:
        self._store = store
        self._trial = trial
        self._content = secrets.token_bytes(SIZE)
        self._key = f"nexus-probe-{secrets.token_hex(8)}"
        self._begun = self._done = 0.0
        self._seen: NativeEntry | None = None

    async def connect(self) -> str:
        await self._store.probe()
        return ANSWERS

    async def write(self) -> str:
        async def body() -> AsyncIterator[bytes]:
            yield self._content

        self._begun = time.time()
        await self._store.write(self._key, body(), NativeAttributes(), ABSENT)
        self._done = time.time()
        return f"{SIZE} bytes as {self._key}"

    async def look(self) -> str:
        found = await self._store.find(self._key)
        if found is None or found.entry.size != SIZE:
            raise StoreError(ABSENT_AFTER_WRITE)
        self._seen = found.entry
        self._trial.see_clock(found.entry.modified_at / 1000, self._begun, self._done)
        return ""

    async def read(self) -> str:
        assert self._seen is not None
        return await _same(self._store.read(self._key, ByteRange(0, SIZE), self._seen.state), self._content)

    async def read_range(self) -> str:
        assert self._seen is not None
        return await _same(self._store.read(self._key, SPAN, self._seen.state), self._content[SPAN.start : SPAN.stop])

    async def list_some(self) -> str:
        page = await self._store.list(self._key, "", "", 1)
        if not page.entries and self._trial.has_passed("write"):
            raise StoreError("what was written is not listed")
        return f"{len(page.entries)} key"

    async def delete(self) -> str:
        await self._store.delete(self._key)
        if await self._store.find(self._key) is not None:
            raise StoreError(THERE_AFTER_DELETE)
        return ""

    async def list_first(self) -> str:
        page = await self._store.list("", "", "", 1)
        self._seen = page.entries[0] if page.entries else None
        return f"{len(page.entries)} key"

    async def read_first(self) -> str:
        if self._seen is None:
            return "there is nothing to read"
        span = ByteRange(0, min(self._seen.size, SIZE))
        size = sum([len(chunk) async for chunk in self._store.read(self._seen.key, span, self._seen.state)])
        return f"{size} bytes of {self._seen.key}"


async def try_blobs(store: BlobStore, *, readonly: bool) -> Trial:
    """Try a store of blobs."""
    trial = Trial()
    probe = _Blobs(store, trial)
    if not readonly:
        return await _try_all(trial, probe)
    await trial.step("connect", probe.connect)
    await trial.step("list", probe.list_some, "connect")
    return _without_writing(trial)


async def try_native(store: NativeStore, *, readonly: bool) -> Trial:
    """Try a store that is served as it stands; of a read-only one, read what is there."""
    trial = Trial()
    probe = _Keys(store, trial)
    if not readonly:
        return await _try_all(trial, probe)
    await trial.step("connect", probe.connect)
    await trial.step("list", probe.list_first, "connect")
    await trial.step("read", probe.read_first, "list")
    return _without_writing(trial)


async def _try_all(trial: Trial, probe: _Probe) -> Trial:
    await trial.step("connect", probe.connect)
    await trial.step("write", probe.write, "connect")
    await trial.step("look", probe.look, "write")
    await trial.step("read", probe.read, probe.read_needs)
    await trial.step("range", probe.read_range, probe.read_needs)
    await trial.step("list", probe.list_some, "connect")
    # After a write that failed, too: it may have arrived, and nothing of a trial is left.
    await trial.step("delete", probe.delete, "connect")
    return trial


def _without_writing(trial: Trial) -> Trial:
    trial.steps += (Step(each, SKIPPED, message="the mount is read-only") for each in ("write", "delete"))
    return trial


async def _same(chunks: AsyncIterator[bytes], wanted: bytes) -> str:
    got = b"".join([chunk async for chunk in chunks])
    if got != wanted:
        raise StoreError(f"{len(got)} bytes came that are not the {len(wanted)} that were written")
    return f"{len(got)} bytes"


def unusable(error: StoreError) -> Trial:
    """What is told of a store that cannot even be opened."""
    return Trial([Step("open", FAILED, message=str(error))])
