"""What a gateway must hold for one client: its world, and the effects that operations have on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from reliability.bodies import body_of

UNKNOWN = ""
"""The id of what the gateway named in an answer that did not arrive."""


class Held(NamedTuple):
    """An object: the digest of its bytes, their number and, where it is known, its ETag."""

    sha256: str
    size: int
    etag: str

    def matches(self, other: Held | None) -> bool:
        return other is not None and self[:2] == other[:2] and (UNKNOWN in (self.etag, other.etag) or self == other)


class Version(NamedTuple):
    """A version of a key; without an object, a delete marker."""

    id: str
    held: Held | None


class Part(NamedTuple):
    """A part of an upload, from which its bytes can be made again."""

    seed: str
    size: int
    etag: str

    @classmethod
    def of(cls, seed: str, size: int) -> Part:
        return cls(seed, size, hashlib.md5(body_of(seed, size), usedforsecurity=False).hexdigest())


def held(content: bytes) -> Held:
    """What a put of a body leaves."""
    return Held(
        hashlib.sha256(content).hexdigest(), len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()
    )


def put_together(parts: dict[int, Part]) -> Held:
    """What completing an upload of these parts leaves."""
    whole, etags = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for _, part in sorted(parts.items()):
        whole.update(body_of(part.seed, part.size))
        etags.update(bytes.fromhex(part.etag))
    return Held(whole.hexdigest(), sum(part.size for part in parts.values()), f"{etags.hexdigest()}-{len(parts)}")


@dataclass(frozen=True)
class Upload:
    key: str
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class World:
    """Objects by key; versions by key, the latest first; uploads by id."""

    objects: dict[str, Held] = field(default_factory=dict)
    versions: dict[str, tuple[Version, ...]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def after(self, effect: Effect | None) -> World:
        """A copy, with an effect on it."""
        copy = World(dict(self.objects), dict(self.versions), dict(self.uploads))
        if effect is not None:
            effect.on(copy)
        return copy


class Effect(Protocol):
    """What an operation does to a world when it succeeds."""

    def on(self, world: World) -> None: ...


@dataclass(frozen=True)
class Put:
    """Of a body, or a copy of one."""

    key: str
    held: Held

    def on(self, world: World) -> None:
        world.objects[self.key] = self.held


@dataclass(frozen=True)
class Delete:
    """Of keys, each by itself."""

    keys: tuple[str, ...]

    def on(self, world: World) -> None:
        for key in self.keys:
            world.objects.pop(key, None)


@dataclass(frozen=True)
class AddVersion:
    """Of a body, or of a delete marker, to a versioned bucket."""

    key: str
    version: Version

    def on(self, world: World) -> None:
        world.versions[self.key] = (self.version, *world.versions.get(self.key, ()))


@dataclass(frozen=True)
class DropVersion:
    key: str
    id: str

    def on(self, world: World) -> None:
        kept = tuple(version for version in world.versions.get(self.key, ()) if version.id != self.id)
        world.versions[self.key] = kept


@dataclass(frozen=True)
class Create:
    """Of an upload."""

    id: str
    key: str

    def on(self, world: World) -> None:
        world.uploads[self.id] = Upload(self.key)


@dataclass(frozen=True)
class PutPart:
    id: str
    number: int
    part: Part

    def on(self, world: World) -> None:
        upload = world.uploads[self.id]
        world.uploads[self.id] = replace(upload, parts={**upload.parts, self.number: self.part})


@dataclass(frozen=True)
class Complete:
    id: str
    key: str
    held: Held

    def on(self, world: World) -> None:
        del world.uploads[self.id]
        world.objects[self.key] = self.held


@dataclass(frozen=True)
class Abort:
    id: str

    def on(self, world: World) -> None:
        del world.uploads[self.id]
