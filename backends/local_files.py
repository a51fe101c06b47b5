"""Keys as files below a root: walking to them without ever leaving it, and what is noted beside their bytes.

A directory is entered from the one above it by its descriptor, and no symbolic link is followed: whatever others do
to the tree meanwhile, nothing outside of it is opened. Blocks: for worker threads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import mimetypes
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from backends.base import StoreError, StoreFull, StoreRefused, StoreUnavailable
from backends.native import KeyRefused, NativeAttributes, NativeEntry, NativeObject

NOTE = "user.nexus"
"""The extended attribute that keeps what a file cannot say of itself."""
MAX_NAME = 255
NOTHING = hashlib.md5(usedforsecurity=False).hexdigest()
UNSAID = "binary/octet-stream"
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
"""What no header has, so that we never noted it."""
DIRECTORY = "application/x-directory"
_TYPES = mimetypes.MimeTypes()
"""Python's own table: what the machine has besides would make servers differ."""
SETTLED_SECONDS = 60.0
"""A directory that has not changed for so long is on the disk: who changed it has synced it, or the system has."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Note:
    """What is kept beside a file: its ETag while it is in that state, and what people say of it."""

    state: str = ""
    etag: str = ""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def says_nothing(self) -> bool:
        return not (self.content_type or self.headers or self.metadata)

    def dump(self) -> bytes:
        return json.dumps(
            [self.state, self.etag, self.content_type, dict(self.headers), dict(self.metadata)],
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()


def names_of(key: str) -> tuple[list[bytes], bool]:
    """The names on the way to a key's file, and whether the last one is a directory's. Raises KeyRefused."""
    parts = key.encode().split(b"/")
    is_directory = parts[-1] == b"" and len(parts) > 1
    names = parts[:-1] if is_directory else parts
    for name in names:
        if name in (b"", b".", b".."):
            raise KeyRefused(f"a file's path has no empty, '.' or '..' segments: {key!r}")
        if b"\0" in name:
            raise KeyRefused("a file's name has no NUL")
        if len(name) > MAX_NAME:
            raise KeyRefused(f"a file's name has at most {MAX_NAME} bytes: {key!r}")
    return names, is_directory


@contextmanager
def opened_root(root: str) -> Iterator[int]:
    """The root, which may itself be reached by links: an admin chose it. Raises StoreUnavailable."""
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreUnavailable(f"the directory {root} is not there") from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_folder(root: str, names: Sequence[bytes], *, make: bool = False, sync: bool = False) -> Iterator[int]:
    """The directory at ``names`` below the root, made where it is missing if that is wanted.

    Raises FileNotFoundError; KeyRefused where something that is no directory is in the way.
    """
    with opened_root(root) as top:
        fd = os.dup(top)
        try:
            for depth, name in enumerate(names):
                below = _enter(fd, name, make, sync, names[: depth + 1])
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)


def _enter(fd: int, name: bytes, make: bool, sync: bool, so_far: Sequence[bytes]) -> int:
    try:
        found = os.open(name, _FOLDER, dir_fd=fd)
    except FileNotFoundError:
        if not make:
            raise
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            shown = b"/".join(so_far).decode(errors="replace")
            raise KeyRefused(f"{shown!r} is no directory: nothing can lie below it") from error
        raise
    else:
        if sync:
            _settle(fd, found)
        return found
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=fd)
    if sync:
        os.fsync(fd)
    return os.open(name, _FOLDER, dir_fd=fd)


def _settle(parent: int, found: int) -> None:
    """See that a directory's own entry is on the disk; closes ``found`` where that fails.

    Who made it a moment ago may not have come to the sync, and a power cut would take what lies below along with it.
    """
    try:
        if time.time() - os.fstat(parent).st_mtime < SETTLED_SECONDS:
            os.fsync(parent)
    except BaseException:
        os.close(found)
        raise


def open_folder_at(folder: int, name: bytes) -> int | None:
    """A directory in a directory; None where there is none of that name."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES):
            return None
        raise


@contextmanager
def opened_file(folder: int, name: bytes) -> Iterator[tuple[int | None, os.stat_result] | None]:
    """A file's descriptor and status, None without a file of that name; no descriptor where it may not be read."""
    fd = None
    try:
        fd = os.open(name, _FILE, dir_fd=folder)
        status = os.fstat(fd)
    except PermissionError:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            yield None
            return
        raise
    try:
        yield (fd, status) if stat.S_ISREG(status.st_mode) else None
    finally:
        if fd is not None:
            os.close(fd)


def state_of(status: os.stat_result) -> str:
    """What tells one content of a file from the next; of a directory, itself."""
    if stat.S_ISDIR(status.st_mode):
        return f"d{status.st_ino:x}"
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def read_note(fd: int | None) -> Note | None:
    """What is noted, None where nothing is, or what makes no sense: others may write there too."""
    if fd is None:
        return None
    try:
        state, etag, content_type, headers, metadata = json.loads(os.getxattr(fd, NOTE))
        texts = [state, etag, content_type, *_texts(headers), *_texts(metadata)]
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if not all(isinstance(text, str) and not _UNFIT.search(text) for text in texts):
        return None
    return Note(state, etag, content_type, headers, metadata)


def _texts(pairs: dict[str, str]) -> list[Any]:
    return [*pairs.keys(), *pairs.values()]


def write_note(fd: int, note: Note) -> bool:
    """Keep a note; False where the file system keeps none and nothing is lost but the ETag. Raises KeyRefused."""
    try:
        os.setxattr(fd, NOTE, note.dump())
        return True
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            if note.says_nothing:
                return False
            raise KeyRefused("this file system keeps no metadata, nor a content type unlike the file's name") from error
        if error.errno in (errno.ENOSPC, errno.E2BIG, errno.ERANGE):
            raise KeyRefused("this file system has no room for that much metadata") from error
        raise


def note_of(key: str, attributes: NativeAttributes) -> Note:
    """What has to be noted of attributes: not the type that the name tells anyway."""
    told = attributes.content_type
    kind = "" if told in (UNSAID, guess(key)) else told
    return Note("", "", kind, attributes.headers, attributes.metadata)


def guess(key: str) -> str:
    """A content type by the name."""
    if key.endswith("/"):
        return DIRECTORY
    return _TYPES.guess_type(key.rpartition("/")[2])[0] or UNSAID


def entry_of(key: str, status: os.stat_result, note: Note | None) -> NativeEntry:
    state = state_of(status)
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    if not size:
        etag = NOTHING
    elif note is not None and note.etag and note.state == state:
        etag = note.etag
    else:  # no MD5, and said so by the dash
        etag = hashlib.md5(state.encode(), usedforsecurity=False).hexdigest() + "-1"
    return NativeEntry(key, size, etag, status.st_mtime_ns // 1_000_000, state)


def object_of(key: str, status: os.stat_result, note: Note | None) -> NativeObject:
    known = note or Note()
    attributes = NativeAttributes(known.content_type or guess(key), known.headers, known.metadata)
    return NativeObject(entry_of(key, status, note), attributes)


def is_empty(fd: int) -> bool:
    with os.scandir(fd) as entries:
        return next(iter(entries), None) is None


@contextmanager
def told_as_store_errors() -> Iterator[None]:
    """What the operating system refuses, in the words of stores."""
    try:
        yield
    except OSError as error:
        raise _translate(error) from error


def _translate(error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull("the store has no room")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreRefused(f"the server may not do this there: {error.strerror}")
    if error.errno == errno.ENAMETOOLONG:
        return KeyRefused("the name is too long for this file system")
    return StoreError(f"the store's disk fails: {error.strerror}")
