"""A directory as it stands: its files are the objects, their paths the keys. Others may write there too.

A write goes to a draft below ``.nexus/``, is synced, and is then renamed (or linked, where nothing may be there) into
place, so that a reader finds the old or the new and a crash leaves at most a draft. What compares before it writes
does so under a lock that every gateway takes; programs that know nothing of it are told from ours by the state of
what they wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from backends.base import ByteRange, StoreError, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.local_files import (
    NOTE,
    Note,
    is_empty,
    names_of,
    note_of,
    object_of,
    open_folder_at,
    opened_file,
    opened_folder,
    opened_root,
    read_note,
    state_of,
    told_as_store_errors,
    write_note,
)
from backends.local_walk import Walker
from backends.native import (
    ANYTHING,
    Expected,
    KeyRefused,
    NativeAttributes,
    NativeObject,
    NativePage,
    StateChanged,
)

T = TypeVar("T")

CHUNK = 1024 * 1024
OURS = b".nexus"
DRAFTS = b"drafts"
LOCKS = b"locks"
LOCK_FILES = 64
STALE_SECONDS = 24 * 3600
ATTEMPTS = 20


class LocalNative:
    """A NativeStore in a directory."""

    def __init__(self, root: Path, *, fsync: bool = True, threads: int = 8) -> None:
        self._root = str(root)
        self._fsync = fsync
        self._walker = Walker(self._root, OURS + b"/")
        self._prepared = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="local-native")

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _translated, function, *args)

    async def probe(self) -> None:
        await self._run(self._probe)

    def _probe(self) -> None:
        try:
            with opened_root(self._root) as fd, os.scandir(fd) as entries:
                next(iter(entries), None)
        except (StoreUnavailable, PermissionError) as error:
            raise StoreMisconfigured(f"{self._root} must be a directory that the server may read") from error

    async def close(self) -> None:
        self._pool.shutdown(wait=True)

    # -- reading

    async def find(self, key: str) -> NativeObject | None:
        try:
            names, is_directory = names_of(key)
        except KeyRefused:
            return None
        return await self._run(self._find, key, names, is_directory)

    def _find(self, key: str, names: list[bytes], is_directory: bool) -> NativeObject | None:
        try:
            with opened_folder(self._root, names if is_directory else names[:-1]) as folder:
                if is_directory:
                    note = read_note(folder)
                    shown = note is not None or is_empty(folder)
                    return object_of(key, os.fstat(folder), note) if shown else None
                with opened_file(folder, names[-1]) as found:
                    return None if found is None else object_of(key, found[1], read_note(found[0]))
        except (FileNotFoundError, KeyRefused):
            return None

    async def list(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        return await self._run(self._walker.page, prefix, delimiter, after, limit)

    async def read(self, key: str, span: ByteRange, state: str) -> AsyncGenerator[bytes, None]:
        if span.stop <= span.start:
            return
        fd = await self._run(self._open, key, state)
        try:
            at = span.start
            while at < span.stop:
                chunk = await self._run(_read, fd, min(CHUNK, span.stop - at), at, key, state)
                yield chunk
                at += len(chunk)
        finally:
            os.close(fd)

    def _open(self, key: str, state: str) -> int:
        """A descriptor of a file in a state. Raises StateChanged."""
        try:
            names, is_directory = names_of(key)
            if is_directory:
                raise _changed(key)
            with opened_folder(self._root, names[:-1]) as folder, opened_file(folder, names[-1]) as found:
                if found is None or state_of(found[1]) != state:
                    raise _changed(key)
                if found[0] is None:
                    raise StoreRefused(f"the server may not read {key!r}")
                return os.dup(found[0])
        except (FileNotFoundError, KeyRefused):
            raise _changed(key) from None

    # -- writing

    async def write(
        self, key: str, body: AsyncIterator[bytes], attributes: NativeAttributes, expected: Expected = ANYTHING
    ) -> NativeObject:
        names, is_directory = names_of(key)
        await self._run(self._look, key, names, is_directory, expected)
        if is_directory:
            async for chunk in body:
                if chunk:
                    raise KeyRefused("a directory has no content: a key that ends in a slash is empty")
            return await self._run(self._make_directory, key, names, attributes, expected)
        draft = await self._run(self._new_draft)
        working: asyncio.Future[Any] | None = None
        try:
            async for chunk in body:
                if working is not None:
                    await asyncio.shield(working)
                working = asyncio.ensure_future(self._run(draft.write, chunk))
            if working is not None:
                await asyncio.shield(working)
            working = asyncio.ensure_future(self._run(self._publish, draft, key, names, attributes, expected))
            made: NativeObject = await asyncio.shield(working)
            return made
        finally:
            # A worker goes on when its caller is cancelled: the file is its own until it is done.
            if working is not None and not working.done():
                await asyncio.wait([working])
            if working is not None and not working.cancelled():
                working.exception()
            await self._run(draft.drop)

    def _look(self, key: str, names: Sequence[bytes], is_directory: bool, expected: Expected) -> None:
        """Before the body is taken: whether the key can be held, and what is expected there."""
        self._prepare()
        try:
            with opened_folder(self._root, names[:-1]) as folder:
                self._check(folder, key, names[-1], expected, is_directory)
        except FileNotFoundError:
            if expected.state is not None:
                raise _changed(key) from None

    def _prepare(self) -> None:
        """Make the place for drafts and locks, and sweep what dead processes left there."""
        if self._prepared:
            return
        with opened_folder(self._root, []) as root:
            with contextlib.suppress(FileExistsError):
                os.mkdir(OURS, 0o700, dir_fd=root)
        for name in (DRAFTS, LOCKS):
            with opened_folder(self._root, [OURS, name], make=True, sync=self._fsync):
                pass
        oldest = time.time() - STALE_SECONDS
        with opened_folder(self._root, [OURS, DRAFTS]) as drafts, os.scandir(drafts) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        os.unlink(entry.name, dir_fd=drafts)
        self._prepared = True

    @contextmanager
    def _own(self, name: bytes) -> Iterator[int]:
        """A directory of ours, made again where others removed it: that is no absence of what is written or removed."""
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(opened_folder(self._root, [OURS, name]))
            except FileNotFoundError:
                self._prepared = False
                self._prepare()
                folder = stack.enter_context(opened_folder(self._root, [OURS, name]))
            yield folder

    def _new_draft(self) -> Draft:
        with self._own(DRAFTS) as folder:
            return Draft(os.dup(folder))

    def _publish(
        self, draft: Draft, key: str, names: Sequence[bytes], attributes: NativeAttributes, expected: Expected
    ) -> NativeObject:
        note = draft.annotate(note_of(key, attributes))
        if self._fsync:
            os.fsync(draft.fd)
        for _ in range(ATTEMPTS):
            try:
                with opened_folder(self._root, names[:-1], make=True, sync=self._fsync) as folder:
                    with self._locked(names):
                        self._check(folder, key, names[-1], expected, is_directory=False)
                        draft.publish(folder, names[-1], expected.absent, key)
                    if self._fsync:
                        os.fsync(folder)
                return object_of(key, os.fstat(draft.fd), note)
            except FileNotFoundError:
                continue  # the directory was empty for a moment, and removed
        raise StoreUnavailable(f"the directory of {key!r} keeps going away")

    def _check(self, folder: int, key: str, name: bytes, expected: Expected, is_directory: bool) -> None:
        """Raise StateChanged unless what is under a name is what is expected, KeyRefused for what is no object."""
        try:
            status: os.stat_result | None = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            status = None
        if status is not None and is_directory and not stat.S_ISDIR(status.st_mode):
            raise KeyRefused(f"{key[:-1]!r} is a file: there cannot be a directory of that name")
        if status is not None and not is_directory and not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "something that is neither file nor directory"
            raise KeyRefused(f"{key!r} is {what}")
        state = None if status is None else state_of(status)
        if expected.absent and status is not None and not is_directory:
            raise _changed(key)
        if expected.state is not None and expected.state != state:
            raise _changed(key)

    def _make_directory(
        self, key: str, names: Sequence[bytes], attributes: NativeAttributes, expected: Expected
    ) -> NativeObject:
        for _ in range(ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):  # one above it was empty for a moment, and removed
                return self._make_one(key, names, attributes, expected)
        raise StoreUnavailable(f"the directory above {key!r} keeps going away")

    def _make_one(
        self, key: str, names: Sequence[bytes], attributes: NativeAttributes, expected: Expected
    ) -> NativeObject:
        with self._locked(names), opened_folder(self._root, names, make=True, sync=self._fsync) as folder:
            there = read_note(folder)
            if expected.absent and there is not None:
                raise _changed(key)
            # The note, even one that says nothing, is what makes the directory an object while it is not empty.
            note = note_of(key, attributes)
            if not write_note(folder, note) and not is_empty(folder):
                raise KeyRefused("this file system cannot tell that a directory which is not empty is wanted by itself")
            if self._fsync:
                os.fsync(folder)
            return object_of(key, os.fstat(folder), note)

    async def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        names, is_directory = names_of(key)
        return await self._run(self._describe, key, names, is_directory, attributes, state)

    def _describe(
        self, key: str, names: Sequence[bytes], is_directory: bool, attributes: NativeAttributes, state: str
    ) -> NativeObject:
        self._prepare()
        note = note_of(key, attributes)
        try:
            with self._locked(names), opened_folder(self._root, names if is_directory else names[:-1]) as folder:
                if is_directory:
                    return self._note(key, folder, os.fstat(folder), note, state)
                with opened_file(folder, names[-1]) as found:
                    if found is None:
                        raise _changed(key)
                    if found[0] is None:
                        raise StoreRefused(f"the server may not read {key!r}")
                    return self._note(key, found[0], found[1], note, state)
        except FileNotFoundError:
            raise _changed(key) from None

    def _note(self, key: str, fd: int, status: os.stat_result, note: Note, state: str) -> NativeObject:
        if state_of(status) != state:
            raise _changed(key)
        last = read_note(fd)
        if last is not None and last.state == state:
            note = replace(note, state=state, etag=last.etag)
        kept = write_note(fd, note)
        if self._fsync:
            os.fsync(fd)
        return object_of(key, status, note if kept else None)

    # -- removing

    async def delete(self, key: str, state: str | None = None) -> None:
        try:
            names, is_directory = names_of(key)
        except KeyRefused:
            return
        await self._run(self._delete, key, names, is_directory, state)

    def _delete(self, key: str, names: Sequence[bytes], is_directory: bool, state: str | None) -> None:
        self._prepare()
        try:
            with opened_folder(self._root, names[:-1]) as folder:
                with self._locked(names):
                    if is_directory:
                        _remove_directory(folder, key, names[-1], state)
                    elif not _remove_file(folder, key, names[-1], state):
                        return
                if self._fsync:
                    os.fsync(folder)
        except (FileNotFoundError, KeyRefused):
            if state is not None:
                raise _changed(key) from None
            return
        self._prune(names[:-1])

    def _prune(self, names: Sequence[bytes]) -> None:
        """Remove directories that are empty now: in S3 there are none but those that were made as such."""
        for depth in range(len(names), 0, -1):
            try:
                with self._locked(names[:depth]), opened_folder(self._root, names[: depth - 1]) as above:
                    folder = open_folder_at(above, names[depth - 1])
                    if folder is None:
                        continue
                    try:
                        if read_note(folder) is not None:
                            return
                        os.rmdir(names[depth - 1], dir_fd=above)
                    finally:
                        os.close(folder)
                    if self._fsync:
                        os.fsync(above)
            except (OSError, StoreError):
                return  # not empty, or not ours to remove: it stays

    @contextmanager
    def _locked(self, names: Sequence[bytes]) -> Iterator[None]:
        """No other gateway changes a key meanwhile."""
        number = zlib.crc32(b"/".join(names)) % LOCK_FILES
        with self._own(LOCKS) as folder:
            fd = os.open(b"%d" % number, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


class Draft:
    """A file on its way to its name. Blocks: for worker threads, one at a time."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._name = secrets.token_hex(16).encode()
        self._md5 = hashlib.md5(usedforsecurity=False)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.fd = os.open(self._name, flags, 0o666, dir_fd=folder)

    def write(self, chunk: bytes) -> None:
        self._md5.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(self.fd, view) :]

    def annotate(self, note: Note) -> Note | None:
        """Note the ETag besides; None where no note is kept."""
        note = replace(note, state=state_of(os.fstat(self.fd)), etag=self._md5.hexdigest())
        return note if write_note(self.fd, note) else None

    def publish(self, folder: int, name: bytes, absent: bool, key: str) -> None:
        """Give the draft its name; with ``absent`` never in place of another."""
        if not absent:
            os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder)
            return
        try:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise _changed(key) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise
            # A file system without links: nobody of ours comes between, as the lock is held.
            os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder)

    def drop(self) -> None:
        """Let go of the draft, which is gone already where it was renamed."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        os.close(self._folder)


def _remove_file(folder: int, key: str, name: bytes, state: str | None) -> bool:
    """Whether there was one. Raises StateChanged."""
    with opened_file(folder, name) as found:
        if state is not None and (found is None or state_of(found[1]) != state):
            raise _changed(key)
        if found is None:
            return False
        os.unlink(name, dir_fd=folder)
        return True


def _remove_directory(folder: int, key: str, name: bytes, state: str | None) -> None:
    """Remove an empty directory; of one that is not, only that it is an object of its own."""
    fd = open_folder_at(folder, name)
    if fd is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        if state is not None and state_of(os.fstat(fd)) != state:
            raise _changed(key)
        with contextlib.suppress(OSError):
            os.removexattr(fd, NOTE)
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        os.close(fd)


def _read(fd: int, size: int, at: int, key: str, state: str) -> bytes:
    """A chunk of a file that is still what it was. Raises StateChanged."""
    chunk = os.pread(fd, size, at)
    if not chunk or state_of(os.fstat(fd)) != state:
        raise _changed(key)
    return chunk


def _changed(key: str) -> StateChanged:
    return StateChanged(f"{key!r} is not what it was")


def _translated(function: Callable[..., T], *args: Any) -> T:
    with told_as_store_errors():
        return function(*args)
