"""What native stores of all clouds share, over a bucket in memory that does as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import AsyncIterator

import pytest

from backends.base import ByteRange, StoreError, StoreUnavailable
from backends.calls import Body
from backends.native import ANYTHING, Expected, NativeAttributes, NativeEntry, NativeObject, NativePage, StateChanged
from backends.remote_native import BLOCK, ROOMS, RemoteNative, UploadGone, _beyond
from backends.retrying import Retries
from tests.contracts.native_store import MIB, PLAIN, broken, chunks, put

HASTY = Retries(5, 5, 0.001, 0.002)


class Memory:
    """A bucket in memory. ``lose`` tells how often an answer gets lost once something is done, ``fail`` before."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, NativeObject]] = {}
        self.lose = self.fail = 0
        self.writes = 0
        self.uploads: list[Parts] = []
        self.held = self.most = 0
        self.lock = threading.Lock()

    def check_key(self, key: str) -> None:
        return None

    def check_attributes(self, attributes: NativeAttributes) -> None:
        return None

    def find(self, key: str) -> NativeObject | None:
        return self.objects[key][1] if key in self.objects else None

    def open(self, key: str, span: ByteRange, state: str) -> Body:
        raise NotImplementedError

    def page(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        raise NotImplementedError

    def put(self, key: str, content: bytes, attributes: NativeAttributes, expected: Expected) -> NativeObject:
        with self.lock:
            self._meet("fail")
            there = Memory.find(self, key)
            if (expected.absent and there) or (
                expected.state is not None and (there is None or there.entry.state != expected.state)
            ):
                raise StateChanged(key)
            self.writes += 1
            etag = hashlib.md5(content).hexdigest()
            made = NativeObject(NativeEntry(key, len(content), etag, 0, str(self.writes)), attributes)
            self.objects[key] = content, made
            self._meet("lose")
            return made

    def _meet(self, fault: str) -> None:
        left = getattr(self, fault)
        if left:
            setattr(self, fault, left - 1)
            raise StoreUnavailable(fault)

    def begin(self, key: str, attributes: NativeAttributes, expected: Expected) -> Parts:
        self.uploads.append(Parts(self, key, attributes, expected))
        return self.uploads[-1]

    def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        raise NotImplementedError

    def remove(self, key: str, state: str | None) -> None:
        with self.lock:
            self._meet("fail")
            there = Memory.find(self, key)
            if state is not None and (there is None or there.entry.state != state):
                raise StateChanged(key)
            self.objects.pop(key, None)
            self._meet("lose")

    def check(self) -> None:
        return None

    def close(self) -> None:
        return None


class Parts:
    parallel = 3

    def __init__(self, bucket: Memory, key: str, attributes: NativeAttributes, expected: Expected) -> None:
        self._bucket = bucket
        self._said = key, attributes, expected
        self._gone = False
        self.finished = self.aborted = False

    @property
    def etag(self) -> str:
        return ""

    def part_size(self, number: int) -> int:
        return BLOCK

    def send(self, number: int, content: bytes) -> None:
        with self._bucket.lock:
            self._bucket.held += 1
            self._bucket.most = max(self._bucket.most, self._bucket.held)
        time.sleep(random.uniform(0, 0.01))
        with self._bucket.lock:
            self._bucket.held -= 1

    def finish(self, number: int, content: bytes) -> NativeObject:
        if self._gone:
            raise UploadGone("it is over")
        self._gone = True
        key, attributes, expected = self._said
        made = self._bucket.put(key, content, attributes, expected)
        self.finished = True
        return made

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
async def made() -> AsyncIterator[tuple[Memory, RemoteNative]]:
    bucket = Memory()
    store = RemoteNative(bucket, "", timeout=5, retries=HASTY)
    yield bucket, store
    await store.close()


@pytest.mark.parametrize("fault", ["lose", "fail"])
@pytest.mark.parametrize("expected", [ANYTHING, Expected(absent=True), Expected(state="1")])
async def test_a_write_is_made_once(made: tuple[Memory, RemoteNative], fault: str, expected: Expected) -> None:
    bucket, store = made
    if expected.state is not None:
        await put(store, "a", b"old")
    before = bucket.writes
    setattr(bucket, fault, 1)
    written = await put(store, "a", b"new", expected)
    assert (bucket.writes - before, await store.find("a")) == (1, written)


async def test_a_write_whose_answer_was_lost_does_not_undo_a_later_one(made: tuple[Memory, RemoteNative]) -> None:
    bucket, store = made
    find, looked = bucket.find, 0

    def meanwhile(key: str) -> NativeObject | None:
        nonlocal looked
        looked += 1
        found = find(key)
        if looked == 1:  # just after we looked what came of the first attempt
            bucket.objects[key] = b"theirs", NativeObject(NativeEntry(key, 6, "x", 0, "theirs"), PLAIN)
        return found

    bucket.fail = 1
    bucket.find = meanwhile  # type: ignore[method-assign]
    written = await put(store, "a", b"ours")
    assert bucket.objects["a"][1] == written
    assert looked == 2, "it was written in place of theirs, not blindly in place of nothing"


async def test_a_condition_that_fails_is_told_even_when_answers_are_lost(made: tuple[Memory, RemoteNative]) -> None:
    bucket, store = made
    await put(store, "a", b"theirs")
    bucket.fail = 1
    with pytest.raises(StateChanged):
        await put(store, "a", b"ours", Expected(absent=True))


async def test_a_removal_whose_answer_was_lost_is_done(made: tuple[Memory, RemoteNative]) -> None:
    bucket, store = made
    for state in (None, "state"):
        written = await put(store, "a")
        bucket.lose = 1
        await store.delete("a", state and written.entry.state)
        assert bucket.objects == {}


async def test_an_upload_that_is_gone_with_its_outcome_is_told(made: tuple[Memory, RemoteNative]) -> None:
    bucket, store = made
    bucket.lose = 1
    with pytest.raises(StoreUnavailable, match="cannot be told: it is over"):
        await put(store, "a", b"x" * 9 * MIB)


async def test_long_bodies_take_no_more_room_than_there_is_and_give_it_back(
    made: tuple[Memory, RemoteNative],
) -> None:
    bucket, store = made
    piece, chance = b"x" * MIB, random.Random(5)

    async def one(number: int) -> None:
        body = broken(*[piece] * 20) if number % 3 == 0 else chunks(*[piece] * 20)
        task = asyncio.ensure_future(store.write(f"{number}", body, PLAIN))
        if number % 3 == 1:
            await asyncio.sleep(chance.uniform(0, 0.2))
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None or isinstance(task.exception(), ValueError | StoreError)

    await asyncio.gather(*(one(number) for number in range(30)))
    await store.close()
    assert bucket.most <= ROOMS
    assert store._rooms._value == ROOMS
    # One that is cancelled while its last step runs may be made whole, and aborted after that; never neither.
    assert all(upload.finished or upload.aborted for upload in bucket.uploads)
    assert sum(upload.finished for upload in bucket.uploads) == len(bucket.objects) >= 10


@pytest.mark.parametrize(
    ("prefix", "delimiter", "after", "start"),
    [
        ("", "", "a/b", "a/b"),
        ("", "/", "a", "a"),
        ("", "/", "a/", "a/\U0010ffff"),
        ("", "/", "a/b/c", "a/\U0010ffff"),
        ("a/", "/", "a/b", "a/b"),
        ("a/", "/", "a/b/c", "a/b/\U0010ffff"),
        ("b/", "/", "a/b/c", "a/b/c"),
        ("", "--", "a--b", "a--\U0010ffff"),
    ],
)
def test_a_common_prefix_that_a_listing_is_in_is_over(prefix: str, delimiter: str, after: str, start: str) -> None:
    assert _beyond(prefix, delimiter, after) == start
