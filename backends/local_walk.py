"""The files below a root in the order of S3 listings: by the bytes of their whole keys.

Directories are read as they are needed, each sorted with its directories as ``name/``, which is what makes the order
that of whole keys; those that lie before the place where a page begins are not entered. Blocks: for worker threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator

from backends.local_files import (
    entry_of,
    is_empty,
    open_folder_at,
    opened_file,
    opened_folder,
    read_note,
)
from backends.native import KeyRefused, NativeEntry, NativePage

MAX_KEY = 1024
REMEMBERED = 1_000_000
"""Names of directories that are kept sorted, for the next page of the same listing."""
WORTH_IT = 2000
"""Names that a directory has at least to be remembered."""
_SETTLED_NS = 2_000_000_000
"""A directory that was changed less than this ago may change again without another time: it is not remembered."""
_PAST = b"\xff"


class Walker:
    """Lists one tree; remembers large directories by what they were like when they were read."""

    def __init__(self, root: str, hidden: bytes) -> None:
        self._root = root
        self._hidden = hidden
        self._known: OrderedDict[tuple[int, int], tuple[int, list[bytes]]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def page(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        """As ``NativeStore.list``."""
        entries: list[NativeEntry] = []
        prefixes: list[str] = []
        last = ""
        for item in self._items(prefix.encode(), delimiter.encode(), after.encode()):
            if len(entries) + len(prefixes) == limit:
                return NativePage(entries, prefixes, last)
            if isinstance(item, bytes):
                last = item.decode()
                prefixes.append(last)
            else:
                last = item.key
                entries.append(item)
        return NativePage(entries, prefixes)

    def _items(self, prefix: bytes, delimiter: bytes, after: bytes) -> Iterator[NativeEntry | bytes]:
        if delimiter in (b"", b"/"):
            yield from self._walk(prefix, after, shallow=bool(delimiter))
            return
        at: bytes | None = after
        if after.startswith(prefix) and (cut := after.find(delimiter, len(prefix))) >= 0:
            at = after[: cut + len(delimiter)] + _PAST
        while at is not None:
            start, at = at, None
            for item in self._walk(prefix, start, shallow=False):
                assert isinstance(item, NativeEntry)
                key = item.key.encode()
                cut = key.find(delimiter, len(prefix))
                if cut < 0:
                    yield item
                    continue
                rolled = key[: cut + len(delimiter)]
                yield rolled
                at = rolled + _PAST
                break

    def _walk(self, prefix: bytes, after: bytes, *, shallow: bool) -> Iterator[NativeEntry | bytes]:
        """Keys with a prefix past ``after``; ``shallow``, directories below it rather than what they hold."""
        base = prefix[: prefix.rfind(b"/") + 1]
        names = base.split(b"/")[:-1]
        if any(name in (b"", b".", b"..") or b"\0" in name or len(name) > 255 for name in names):
            return
        if base == self._hidden or base.startswith(self._hidden):
            return
        with contextlib.ExitStack() as stack:
            try:
                fd = stack.enter_context(opened_folder(self._root, names))
            except (FileNotFoundError, PermissionError, KeyRefused):
                return
            if base and base == prefix and base > after and (marker := _marker(fd, base)) is not None:
                yield marker
            yield from self._below(fd, base, prefix[len(base) :], after, shallow)

    def _below(self, fd: int, base: bytes, rest: bytes, after: bytes, shallow: bool) -> Iterator[NativeEntry | bytes]:
        names = self._names(fd)
        for index in range(_first(names, base, rest, after), len(names)):
            name = names[index]
            if not name.startswith(rest):
                break
            key = base + name
            if key == self._hidden or len(key) > MAX_KEY:
                continue
            if not name.endswith(b"/"):
                with opened_file(fd, name) as found:
                    if found is not None:
                        yield entry_of(key.decode(), found[1], read_note(found[0]))
            elif shallow:
                if key > after:
                    yield key
            elif (folder := open_folder_at(fd, name[:-1])) is not None:
                try:
                    if key > after and (marker := _marker(folder, key)) is not None:
                        yield marker
                    yield from self._below(folder, key, b"", after, shallow)
                finally:
                    os.close(folder)

    def _names(self, fd: int) -> list[bytes]:
        """The names in a directory that can be part of a key, sorted; directories' end in a slash."""
        status = os.fstat(fd)
        place = (status.st_dev, status.st_ino)
        with self._lock:
            known = self._known.get(place)
            if known is not None and known[0] == status.st_mtime_ns:
                self._known.move_to_end(place)
                return known[1]
        now = time.time_ns()
        names = []
        with os.scandir(fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                try:
                    name.decode()
                except UnicodeDecodeError:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    names.append(name + b"/")
                elif entry.is_file(follow_symlinks=False):
                    names.append(name)
        names.sort()
        if len(names) >= WORTH_IT and now - status.st_mtime_ns > _SETTLED_NS:
            self._remember(place, status.st_mtime_ns, names)
        return names

    def _remember(self, place: tuple[int, int], time_ns: int, names: list[bytes]) -> None:
        with self._lock:
            if place in self._known:
                self._count -= len(self._known.pop(place)[1])
            self._known[place] = (time_ns, names)
            self._count += len(names)
            while self._count > REMEMBERED and self._known:
                self._count -= len(self._known.popitem(last=False)[1][1])


def _first(names: list[bytes], base: bytes, rest: bytes, after: bytes) -> int:
    """Where to begin in a directory's names: at what is past ``after`` or holds what is."""
    start = bisect_left(names, rest)
    if not after.startswith(base):
        return start if after < base else len(names)
    tail = after[len(base) :]
    folder, slash, _ = tail.partition(b"/")
    past = bisect_left(names, folder + slash) if slash else bisect_right(names, tail)
    return max(start, past)


def _marker(fd: int, key: bytes) -> NativeEntry | None:
    """A directory as an object of its own: one that is empty, or that was made as such."""
    note = read_note(fd)
    if note is None and not is_empty(fd):
        return None
    return entry_of(key.decode(), os.fstat(fd), note)
