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

from backends.base import DEFAULT_SCOPE, BlobName, BlobStore, ByteRange, Probing, StoreError
from backends.native import ABSENT, NativeAttributes, NativeObject, NativeStore

SIZE = 64 * 1024
SPAN = ByteRange(1000, 3000)
STEP_SECONDS = 45.0
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


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

    async def step(self, name: str, action: Callable[[], Awaitable[str]], *needs: str) -> None:
        """Do a step, unless one that it needs did not pass."""
        outcomes = {step.name: step.outcome for step in self.steps}
        missing = [need for need in needs if outcomes.get(need) != PASSED]
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


async def try_blobs(store: BlobStore, *, readonly: bool) -> Trial:
    """Try a store of blobs. Its marker and other blobs are left alone."""
    trial, content = Trial(), secrets.token_bytes(SIZE)
    name = BlobName(DEFAULT_SCOPE, hashlib.sha256(content).hexdigest())
    written = [0.0, 0.0]

    async def connect() -> str:
        if isinstance(store, Probing):
            await store.probe()
        else:
            await store.stat(name)
        return "it answers and knows us"

    async def write() -> str:
        written[0] = time.time()
        await store.put(name, content)
        written[1] = time.time()
        return f"{SIZE} bytes"

    async def look() -> str:
        found = await store.stat(name)
        if found is None or found.size != SIZE:
            raise StoreError("what was written is not there")
        trial.see_clock(found.stored_at, *written)
        return ""

    async def read() -> str:
        return await _same(store.get(name), content)

    async def read_range() -> str:
        return await _same(store.get(name, SPAN), content[SPAN.start : SPAN.stop])

    async def list_some() -> str:
        async for _ in store.scan():
            return "it shows blobs"
        return "it shows no blob"

    async def delete() -> str:
        await store.delete(name)
        if await store.stat(name) is not None:
            raise StoreError("what was deleted is still there")
        return ""

    await trial.step("connect", connect)
    if readonly:
        await trial.step("list", list_some, "connect")
        trial.steps += (Step(each, SKIPPED, message="the mount is read-only") for each in ("write", "delete"))
        return trial
    await trial.step("write", write, "connect")
    await trial.step("look", look, "write")
    await trial.step("read", read, "write")
    await trial.step("range", read_range, "write")
    await trial.step("list", list_some, "connect")
    await trial.step("delete", delete, "write")
    return trial


async def try_native(store: NativeStore, *, readonly: bool) -> Trial:
    """Try a store that is served as it stands; of a read-only one, read what is there."""
    trial, content = Trial(), secrets.token_bytes(SIZE)
    key = f"nexus-probe-{secrets.token_hex(8)}"
    written = [0.0, 0.0]
    found: list[NativeObject] = []

    async def connect() -> str:
        await store.probe()
        return "it answers and knows us"

    async def body() -> AsyncIterator[bytes]:
        yield content

    async def write() -> str:
        written[0] = time.time()
        found.append(await store.write(key, body(), NativeAttributes(), ABSENT))
        written[1] = time.time()
        return f"{SIZE} bytes as {key}"

    async def look() -> str:
        seen = await store.find(key)
        if seen is None or seen.entry.size != SIZE:
            raise StoreError("what was written is not there")
        found[:] = [seen]
        trial.see_clock(seen.entry.modified_at / 1000, *written)
        return ""

    async def read() -> str:
        entry = found[0].entry
        return await _same(store.read(entry.key, ByteRange(0, SIZE), entry.state), content)

    async def read_range() -> str:
        entry = found[0].entry
        return await _same(store.read(entry.key, SPAN, entry.state), content[SPAN.start : SPAN.stop])

    async def list_some() -> str:
        page = await store.list("" if readonly else key, "", "", 1)
        if not readonly and not page.entries and trial_passed("write"):
            raise StoreError("what was written is not listed")
        for entry in page.entries:
            found[:] = [NativeObject(entry, NativeAttributes())]
        return f"{len(page.entries)} key"

    def trial_passed(name: str) -> bool:
        return any(step.name == name and step.outcome == PASSED for step in trial.steps)

    async def read_first() -> str:
        if not found:
            return "there is nothing to read"
        entry = found[0].entry
        span = ByteRange(0, min(entry.size, SIZE))
        size = sum([len(chunk) async for chunk in store.read(entry.key, span, entry.state)])
        return f"{size} bytes of {entry.key}"

    async def delete() -> str:
        await store.delete(key)
        if await store.find(key) is not None:
            raise StoreError("what was deleted is still there")
        return ""

    await trial.step("connect", connect)
    if readonly:
        await trial.step("list", list_some, "connect")
        await trial.step("read", read_first, "list")
        trial.steps += (Step(each, SKIPPED, message="the mount is read-only") for each in ("write", "delete"))
        return trial
    await trial.step("write", write, "connect")
    await trial.step("look", look, "write")
    await trial.step("read", read, "look")
    await trial.step("range", read_range, "look")
    await trial.step("list", list_some, "connect")
    await trial.step("delete", delete, "write")
    return trial


async def _same(chunks: AsyncIterator[bytes], wanted: bytes) -> str:
    got = b"".join([chunk async for chunk in chunks])
    if got != wanted:
        raise StoreError(f"{len(got)} bytes came that are not the {len(wanted)} that were written")
    return f"{len(got)} bytes"


def unusable(error: StoreError) -> Trial:
    """What is told of a store that cannot even be opened."""
    return Trial([Step("open", FAILED, message=str(error))])
