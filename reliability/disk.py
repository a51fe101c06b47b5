"""A disk of which a power cut may drop everything that was not synced.

The model is the strictest that POSIX allows: bytes are safe once their file was synced, a name once its directory was,
and of what is not safe any part may be there or not, whatever came first. Two things are taken for granted: a rename
happens wholly or not at all, and writing some bytes of a file leaves its other bytes alone.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reliability.recording import Kind, Record

SECTORS = (512, 4096)


@dataclass(frozen=True, slots=True)
class _Write:
    """``data`` at an offset, or, where it is None, an end of the file there."""

    at: int
    data: bytes | None

    def on(self, content: bytearray) -> None:
        if self.data is None:
            if self.at > len(content):
                content.extend(bytes(self.at - len(content)))
            del content[self.at :]
            return
        if self.at > len(content):
            content.extend(bytes(self.at - len(content)))
        content[self.at : self.at + len(self.data)] = self.data

    def torn(self, size: int) -> _Write:
        return self if self.data is None else _Write(self.at, self.data[:size])

    def sectors(self, size: int) -> list[_Write]:
        if self.data is None:
            return [self]
        return [_Write(self.at + at, self.data[at : at + size]) for at in range(0, len(self.data), size)]


@dataclass(eq=False)
class _File:
    path: str
    """Where it was made."""
    safe: bytearray = field(default_factory=bytearray)
    pending: list[_Write] = field(default_factory=list)
    synced: int = 0
    """How many writes have become safe so far."""

    def sync(self, upto: int) -> None:
        count = max(0, upto - self.synced)
        for write in self.pending[:count]:
            write.on(self.safe)
        del self.pending[:count]
        self.synced += count


@dataclass(eq=False)
class _Folder:
    safe: dict[str, _File | _Folder] = field(default_factory=dict)
    now: dict[str, _File | _Folder] = field(default_factory=dict)


@dataclass(eq=False)
class _Naming:
    """A change of names: each (folder, name) gets a node or loses what it has. Safe once ``home`` is synced."""

    home: _Folder
    changes: list[tuple[_Folder, str, _File | _Folder | None]]

    def touches(self, other: _Naming) -> bool:
        ours = {(id(folder), name) for folder, name, _ in self.changes}
        return any((id(folder), name) in ours for folder, name, _ in other.changes)


FORGETS: dict[str, Callable[[str | None], bool]] = {
    "": lambda path: False,
    "folders": lambda path: path is None,
    "blobs": lambda path: path is not None and "staging/" in path,
    "packs": lambda path: path is not None and "packs.db" in path,
    "catalog": lambda path: path is not None and "catalog.db" in path,
}
"""Defects to plant: whose syncs are forgotten. Told the path of a file, None for a directory."""

Loss = Callable[[random.Random, "_Pending"], None]


@dataclass
class _Pending:
    """What a power cut decides about: leave in it what is to be kept."""

    names: list[_Naming]
    writes: dict[_File, list[_Write]]


class Disk:
    """A directory on such a disk, by what was recorded of it. Syncs of what ``forgets`` names do nothing: a defect."""

    def __init__(self, forgets: str = "") -> None:
        self._forgets = FORGETS[forgets]
        self._root = _Folder()
        self._nodes: dict[int, _File | _Folder] = {}
        self._names: list[_Naming] = []
        self._syncs: dict[int, tuple[_File | _Folder, int, list[_Naming]]] = {}

    def apply(self, record: Record) -> None:
        match record.kind:
            case Kind.CREATE:
                self._add(record, _File(record.path))
            case Kind.MKDIR if record.path == ".":
                self._nodes[record.inode] = self._root
            case Kind.MKDIR:
                self._add(record, _Folder())
            case Kind.RENAME:
                node = self._find(record.path)
                self._name((record.other, node), (record.path, None))
            case Kind.LINK:
                self._name((record.other, self._find(record.path)))
            case Kind.REMOVE:
                self._name((record.path, None))
            case Kind.WRITE | Kind.TRUNCATE:
                node = self._nodes[record.inode]
                assert isinstance(node, _File)
                node.pending.append(_Write(record.at, record.data if record.kind == Kind.WRITE else None))
            case Kind.SYNC_BEGINS:
                node = self._nodes.get(record.inode, self._root)
                names = [each for each in self._names if each.home is node]
                upto = node.synced + len(node.pending) if isinstance(node, _File) else 0
                self._syncs[record.at] = (node, upto, names)
            case Kind.SYNC_ENDS:
                node, upto, names = self._syncs.pop(record.at)
                if self._forgets(node.path if isinstance(node, _File) else None):
                    return
                if isinstance(node, _File):
                    node.sync(upto)
                for each in names:
                    self._secure(each)

    def _add(self, record: Record, node: _File | _Folder) -> None:
        self._nodes[record.inode] = node
        self._name((record.path, node))

    def _parent(self, path: str) -> tuple[_Folder, str]:
        *above, name = path.split("/")
        folder = self._root
        for each in above:
            below = folder.now[each]
            assert isinstance(below, _Folder)
            folder = below
        return folder, name

    def _find(self, path: str) -> _File | _Folder:
        folder, name = self._parent(path)
        return folder.now[name]

    def _name(self, *changes: tuple[str, _File | _Folder | None]) -> None:
        made: list[tuple[_Folder, str, _File | _Folder | None]] = []
        for path, node in changes:
            folder, name = self._parent(path)
            made.append((folder, name, node))
        for folder, name, node in made:
            _set(folder.now, name, node)
        self._names.append(_Naming(made[0][0], made))

    def _secure(self, naming: _Naming) -> None:
        """Make a change of names safe, and those before it that it builds on."""
        if naming not in self._names:
            return
        at = self._names.index(naming)
        for earlier in self._names[:at]:
            if earlier.touches(naming):
                self._secure(earlier)
        self._names.remove(naming)
        for folder, name, node in naming.changes:
            _set(folder.safe, name, node)

    # -- power cuts

    def write_down(self, folder: Path, loss: Loss, chance: random.Random) -> None:
        """Make a directory what it would be after a power cut now. Whatever is there goes."""
        files = [node for node in self._nodes.values() if isinstance(node, _File)]
        pending = _Pending(list(self._names), {file: list(file.pending) for file in files if file.pending})
        loss(chance, pending)
        names: dict[int, dict[str, _File | _Folder]] = {}

        def entries(of: _Folder) -> dict[str, _File | _Folder]:
            return names.setdefault(id(of), dict(of.safe))

        for naming in pending.names:
            for at, name, node in naming.changes:
                _set(entries(at), name, node)

        def write(of: _Folder, where: Path) -> None:
            where.mkdir(mode=0o700)
            for name, node in entries(of).items():
                if isinstance(node, _Folder):
                    write(node, where / name)
                    continue
                content = bytearray(node.safe)
                for each in pending.writes.get(node, ()):
                    each.on(content)
                (where / name).touch(0o600)
                (where / name).write_bytes(content)

        if folder.exists():
            shutil.rmtree(folder)
        write(self._root, folder)


def _set(entries: dict[str, _File | _Folder], name: str, node: _File | _Folder | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


# -- what may be lost


def nothing_lost(chance: random.Random, pending: _Pending) -> None:
    """Everything had reached the disk: as after the end of the process alone."""


def all_lost(chance: random.Random, pending: _Pending) -> None:
    """Nothing that was not synced."""
    pending.names.clear()
    pending.writes.clear()


def bytes_lost(chance: random.Random, pending: _Pending) -> None:
    """The names are there, what they name is not: files of no bytes, or old ones."""
    pending.writes.clear()


def names_lost(chance: random.Random, pending: _Pending) -> None:
    """The bytes are there, and nothing names them."""
    pending.names.clear()


def some_lost(chance: random.Random, pending: _Pending) -> None:
    """Any names, any sectors."""
    pending.names[:] = [each for each in pending.names if chance.random() < 0.5]
    for file, writes in pending.writes.items():
        size = chance.choice(SECTORS)
        parts = [part for write in writes for part in write.sectors(size)]
        pending.writes[file] = [part for part in parts if chance.random() < 0.5]


def torn(chance: random.Random, pending: _Pending) -> None:
    """Writes reached the disk in order up to one of each file, of which a part did."""
    for file, writes in pending.writes.items():
        last = chance.randrange(len(writes))
        data, size = writes[last].data or b"", chance.choice(SECTORS)
        pending.writes[file] = [*writes[:last], writes[last].torn(size * chance.randrange(len(data) // size + 1))]


LOSSES: tuple[Loss, ...] = (all_lost, some_lost, torn, bytes_lost, names_lost)
