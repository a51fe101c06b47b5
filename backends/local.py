"""Blobs on a local disk: larger ones as files named by their digest, small ones in a pack.

Write order: staging file, data synced, renamed into place, directory synced. A crash leaves at most a file in
``staging/``, which the next start sweeps when it is old; nothing there can be named by anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import secrets
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from backends.base import (
    DEFAULT_SCOPE,
    Blob,
    BlobDamaged,
    BlobName,
    BlobNotFound,
    ByteRange,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    check_name,
)
from backends.cached_reads import CachedReads
from backends.packs import Packs
from backends.recent import Recent

T = TypeVar("T")

CHUNK, LESS = 1024 * 1024, 256 * 1024
"""Bytes read at once: large ones cost a third less, but a client that is slow holds two of them in memory."""
AMPLE = 8
"""Readers that get large chunks; those beyond get small ones."""
PACK_LIMIT = 64 * 1024
STALE_SECONDS = 24 * 3600
RESERVE = 64 * 1024 * 1024
RESERVED_SHARE = 10
"""What is left free on the disk, at most a tenth of it: deleting needs room too, in the catalog that may lie there."""
MARKER = "nexus-store.json"
FORMAT = 1

_DIGEST = re.compile(r"[0-9a-f]{64}")


class LocalStore:
    """A BlobStore in a directory, with streaming writes and inline reads."""

    def __init__(
        self, root: Path, *, fsync: bool = True, pack_limit: int = PACK_LIMIT, hot_bytes: int = 0, threads: int = 8
    ) -> None:
        """``hot_bytes`` is how much memory small blobs may take that are read again and again."""
        self._root = root
        self._fsync = fsync
        self._staging = root / "staging"
        self._made: set[Path] = set()
        try:
            _set_up(root)
            self._sweep()
            self._packs = Packs(root / "packs.db", fsync=fsync)
        except OSError as error:
            raise StoreMisconfigured(f"{root} cannot be used as a store: {error.strerror}") from error
        self.inline_limit = self.group_limit = pack_limit
        self.device = os.stat(root).st_dev
        disk = os.statvfs(root)
        self._reserve = min(RESERVE, disk.f_blocks * disk.f_frsize // RESERVED_SHARE)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="local-store")
        self._cached = CachedReads()
        self._recent = Recent(hot_bytes)
        self._readers = 0

    def _sweep(self) -> None:
        """Remove what crashes left behind; other processes may be writing, so only what is old."""
        oldest = time.time() - STALE_SECONDS
        for entry in os.scandir(self._staging):
            if entry.stat().st_mtime < oldest:
                os.unlink(entry.path)

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def _path(self, name: BlobName) -> Path:
        check_name(name)
        scope, digest = name
        base = self._root if scope == DEFAULT_SCOPE else self._root / "tenants" / scope
        return base / "cas" / digest[:2] / digest[2:4] / digest

    # -- writing

    async def put(self, name: BlobName, content: bytes) -> None:
        check_name(name)
        if len(content) <= self.inline_limit:
            self.require_room()
            await self._packs.put(name, content)
            return
        stage = LocalStage(self)
        try:
            await self.run(stage.write, content)
            await stage.publish(name)
        finally:
            await stage.discard()

    def put_group(self, blobs: Sequence[tuple[BlobName, bytes]]) -> None:
        for name, _ in blobs:
            check_name(name)
        self.require_room()
        self._packs.apply(blobs)

    def require_room(self) -> None:
        """Raise StoreFull while the disk has no more than the reserve."""
        try:
            disk = os.statvfs(self._root)
        except OSError as error:
            raise _translate(error) from error
        if disk.f_bavail * disk.f_frsize < self._reserve:
            raise StoreFull("the store has no room")

    def stage(self) -> LocalStage:
        return LocalStage(self)

    def publish(self, fd: int, staged: Path, name: BlobName) -> None:
        """In a worker: make a staged file durable under its name."""
        target = self._path(name)
        size = os.fstat(fd).st_size
        try:
            if target.stat().st_size == size:
                os.unlink(staged)
                if self._fsync:  # whoever renamed it may not have come to that
                    _sync_directory(target.parent)
                return
        except FileNotFoundError:
            pass
        # A sync that failed has lost the data for good: it is never tried again on the same file.
        if self._fsync:
            os.fdatasync(fd)
        self._make(target.parent)
        os.rename(staged, target)
        if self._fsync:
            _sync_directory(target.parent)

    def _make(self, folder: Path) -> None:
        """Make a directory and its parents, each synced into the one above."""
        if folder in self._made:
            return
        if folder != self._root:
            self._make(folder.parent)
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            if self._fsync:
                _sync_directory(folder.parent)
        self._made.add(folder)

    def new_file(self) -> tuple[int, Path]:
        path = self._staging / secrets.token_hex(16)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path

    # -- reading

    def read_inline(self, name: BlobName) -> bytes | None:
        content = self._recent.get(name)
        if content is None:
            content = self._packs.read(name)
            if content is not None:
                self._recent.offer(name, content)
        return content

    async def get(self, name: BlobName, span: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        path = self._path(name)
        size = CHUNK if self._readers < AMPLE else LESS
        self._readers += 1
        try:
            try:
                fd, stop, chunk = await self._opened(path, span, size)
            except FileNotFoundError:
                yield self._packed(name, span)
                return
            try:
                at = span[0] if span else 0
                while at < stop:
                    if not chunk:
                        raise BlobDamaged(name, f"it ends at byte {at}")
                    yield chunk
                    at += len(chunk)
                    if more := min(size, stop - at):
                        chunk = self._cached.read(fd, more, at) or await self.run(os.pread, fd, more, at)
            finally:
                os.close(fd)
        except OSError as error:
            raise StoreError(f"{path.name}: {error.strerror}") from error
        finally:
            self._readers -= 1

    async def _opened(self, path: Path, span: ByteRange | None, size: int) -> tuple[int, int, bytes]:
        """A file with where to stop reading it, and the first bytes to read. Raises OSError."""
        opening = asyncio.get_running_loop().run_in_executor(self._pool, _open, path, span, size)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise

    def _packed(self, name: BlobName, span: ByteRange | None) -> bytes:
        packed = self._packs.read(name)
        if packed is None:
            raise BlobNotFound(name) from None
        start, stop = span or (0, len(packed))
        if stop > len(packed):
            raise BlobDamaged(name, f"{len(packed)} bytes")
        return packed[start:stop]

    async def stat(self, name: BlobName) -> Blob | None:
        try:
            found = await self.run(os.stat, self._path(name))
        except FileNotFoundError:
            return self._packs.stat(name)
        return Blob(name, found.st_size, found.st_mtime)

    async def delete(self, name: BlobName) -> None:
        try:
            await self.run(os.unlink, self._path(name))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{name.digest}: {error.strerror}") from error
        try:
            if self._packs.stat(name) is not None:
                await self._packs.delete(name)
        finally:
            self._recent.forget(name)

    async def scan(self) -> AsyncIterator[Blob]:
        files = self._files()
        while batch := await self.run(_take, files, 1000):
            for blob in batch:
                yield blob
        after = BlobName("", "")
        while page := await self.run(self._packs.page, after):
            for blob in page:
                yield blob
            after = page[-1].name

    def _files(self) -> Iterator[Blob]:
        scopes = [(DEFAULT_SCOPE, self._root)]
        tenants = self._root / "tenants"
        if tenants.is_dir():
            scopes += [(entry.name, Path(entry.path)) for entry in os.scandir(tenants)]
        for scope, base in scopes:
            for path in (base / "cas").glob("??/??/*"):
                if _DIGEST.fullmatch(path.name):
                    try:
                        found = path.stat()
                    except FileNotFoundError:
                        continue
                    yield Blob(BlobName(scope, path.name), found.st_size, found.st_mtime)

    async def close(self) -> None:
        await self._packs.close()
        self._pool.shutdown(wait=True)


class LocalStage:
    """A staging file on its way to its name."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._fd = -1
        self._path = Path()
        self._size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        try:
            if self._fd < 0:
                self._fd, self._path = self._store.new_file()
            self._store.require_room()
            view = memoryview(chunk)
            self._size += len(view)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise _translate(error) from error

    async def publish(self, name: BlobName) -> None:
        if self._size <= self._store.inline_limit:  # small after all: it belongs in the pack
            content = await self._store.run(os.pread, self._fd, self._size, 0) if self._size else b""
            await self._store.put(name, content)
            await self.discard()
            return
        fd, self._fd = self._fd, -1
        # Whoever gives this up leaves it to end by itself: nothing else closes the file.
        await asyncio.shield(self._store.run(self._publish, fd, name))

    def _publish(self, fd: int, name: BlobName) -> None:
        try:
            self._store.publish(fd, self._path, name)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise _translate(error) from error
        finally:
            os.close(fd)

    async def discard(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            await self._store.run(_drop, fd, self._path)


def _open(path: Path, span: ByteRange | None, size: int) -> tuple[int, int, bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at, stop = span or (0, os.fstat(fd).st_size)
        return fd, stop, os.pread(fd, min(size, stop - at), at)
    except BaseException:
        os.close(fd)
        raise


def _close_opened(opening: asyncio.Future[tuple[int, int, bytes]]) -> None:
    """Close what nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])


def _drop(fd: int, path: Path) -> None:
    os.close(fd)
    path.unlink(missing_ok=True)


def _set_up(root: Path) -> None:
    """Make the directories of a store where they are missing, and leave the file by which a later opener knows it.

    All of it is on the disk afterwards, whatever the store syncs later: it is done once, and half of it is no store.
    """
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    (root / "staging").mkdir(parents=True, exist_ok=True, mode=0o700)
    marker = root / MARKER
    if marker.exists():
        try:
            found = json.loads(marker.read_text())
        except ValueError as error:
            raise StoreMisconfigured(f"{marker} is damaged: it is no JSON") from error
        if found.get("format") != FORMAT:
            raise StoreMisconfigured(f"{root} is a store of format {found.get('format')}, not {FORMAT}")
        return
    draft = root / f"{MARKER}.{secrets.token_hex(8)}"
    with open(draft, "w") as file:
        file.write(json.dumps({"format": FORMAT, "id": str(uuid.uuid4())}))
        file.flush()
        os.fsync(file.fileno())
    for folder in missing:
        _sync_directory(folder.parent)
    if not missing:  # perhaps made by who was stopped before this
        with contextlib.suppress(PermissionError):
            _sync_directory(root.parent)
    try:
        os.link(draft, marker)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _sync_directory(root)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _take(items: Iterator[Blob], count: int) -> list[Blob]:
    taken: list[Blob] = []
    for item in items:
        taken.append(item)
        if len(taken) == count:
            break
    return taken


def _translate(error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull("the store has no room")
    return StoreError(f"the store's disk fails: {error.strerror}")
