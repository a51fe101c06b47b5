"""One client of the soak: keys that are its alone, what each must hold, and calls whose answers are checked."""

from __future__ import annotations

import base64
import hashlib
import html
import random
import re
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from botocore.client import BaseClient

from reliability.soak.contents import Content, pick_size, single
from reliability.wire import Answer, Connection, Hung, Lost
from tests.e2e.harness import Server
from tests.e2e.signing import UNSIGNED, Raw

PLAIN, VERSIONED, AGED = "soak-plain", "soak-versioned", "soak-aged"
SPELLINGS = ("", "", "", " +&<'\"%", "/ü/€", "//x")
COMMON = 40
"""Numbers of contents that all clients write, so that one's delete must leave another's blobs alone."""
_ETAG = re.compile(rb"<ETag>([^<]*)</ETag>")


class Wrong(Exception):
    """An answer that must not be."""


class Slow(Exception):
    """503 SlowDown: refused, and so not done."""


@dataclass(frozen=True, slots=True)
class Version:
    """``content`` is None for a delete marker."""

    id: str
    content: Content | None
    etag: str


@dataclass(frozen=True, slots=True)
class Place:
    bucket: str
    key: str

    @property
    def path(self) -> str:
        return f"/{self.bucket}/{self.key}"

    @property
    def has_path(self) -> bool:
        """Whether the Nexus door can name it."""
        return "//" not in self.key


@dataclass(slots=True)
class Upload:
    place: Place
    id: str
    parts: dict[int, tuple[Content, str]] = field(default_factory=dict)


@dataclass
class Site:
    """What clients share."""

    server: Server
    boto: BaseClient
    keys: int = 40
    """Keys of a client in each bucket."""
    client_bytes: int = 48 * 1024 * 1024
    """What a client lets lie, about."""
    numbers: count[int] = field(default_factory=lambda: count(COMMON))
    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    slow: int = 0

    @property
    def operations(self) -> int:
        return self.done.total()


class Client:
    def __init__(self, site: Site, number: int, seed: int) -> None:
        self.site = site
        self.name = f"c{number}"
        self.dice = random.Random(f"{seed} {number}")
        self.signer = Raw(site.server)
        self.connection = Connection(self.signer)
        self.held: dict[Place, list[Version]] = {}
        """Newest first; in the bucket without versioning at most one."""
        self.uploads: list[Upload] = []
        self.lost: set[Place] = set()
        """Keys whose state nobody knows since something went wrong there; never used again."""

    # What there is

    def place(self) -> Place:
        while True:
            number = self.dice.randrange(self.site.keys)
            bucket = self.dice.choice((PLAIN, PLAIN, VERSIONED))
            place = Place(bucket, f"{self.name}/{number:02}{SPELLINGS[number % len(SPELLINGS)]}")
            if place not in self.lost:
                return place

    def present(self) -> Place | None:
        """Any place with an object."""
        found = [place for place in self.held if self.current(place) is not None]
        return self.dice.choice(found) if found else None

    def current(self, place: Place) -> Version | None:
        versions = self.held.get(place)
        return versions[0] if versions and versions[0].content is not None else None

    def content(self) -> Content:
        if self.dice.random() < 0.2:
            number = self.dice.randrange(COMMON)
            return single(number, number * 1009)
        return single(next(self.site.numbers), pick_size(self.dice))

    def bytes_held(self) -> int:
        versions = (version.content for held in self.held.values() for version in held)
        return sum(content.size for content in versions if content is not None)

    def blocks(self) -> dict[bytes, int]:
        """Every block that must be kept for this client."""
        found: dict[bytes, int] = {}
        contents = [version.content for held in self.held.values() for version in held]
        contents += [content for upload in self.uploads for content, _ in upload.parts.values()]
        for content in contents:
            if content is not None:
                found |= content.blocks()
        return found

    # What becomes of it

    def wrote(self, place: Place, content: Content, answer: Answer, etag: str = "") -> None:
        told = etag or answer.headers.get("etag", "")
        self._push(place, Version(answer.headers.get("x-amz-version-id", "null"), content, told))

    def deleted(self, place: Place, version_id: str) -> None:
        """The key as such, not one of its versions."""
        if place.bucket == VERSIONED:
            self._push(place, Version(version_id, None, ""))
        else:
            self.held.pop(place, None)

    def removed(self, place: Place, version_id: str) -> None:
        rest = [version for version in self.held[place] if version.id != version_id]
        self.held[place] = rest
        if not rest:
            del self.held[place]

    def _push(self, place: Place, version: Version) -> None:
        former = self.held.get(place, []) if place.bucket == VERSIONED else []
        self.held[place] = [version, *former]

    # Calls

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        expect: int | Sequence[int] = 200,
        payload: str = "",
    ) -> Answer:
        """A signed request that must be answered so; the body is signed where nothing else is told."""
        told = payload or (hashlib.sha256(body).hexdigest() if len(body) <= 64 * 1024 else UNSIGNED)
        answer = await self.connection.s3(method, path, query, headers, body, told)
        return checked(answer, f"{method} {path} {dict(query or {})}", expect)

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", expect: int = 200
    ) -> Answer:
        """A request that is signed already, or by a key of the Nexus door."""
        answer = await self.connection.send(method, target, headers, body)
        return checked(answer, f"{method} {target.partition('?')[0]}", expect)

    def bearer(self) -> dict[str, str]:
        return {"host": self.signer.host, "authorization": f"Bearer {self.site.server.admin.api_key}"}

    # Checks

    async def verify(self, place: Place) -> None:
        """The key reads as it must, or is not there."""
        version = self.current(place)
        if version is None:
            answer = await self.call("GET", place.path, expect=404)
            demand(answer.code == "NoSuchKey", f"{place}: {answer}")
        else:
            await self.verify_version(place, version, await self.call("GET", place.path))

    async def verify_version(self, place: Place, version: Version, answer: Answer, body: bytes | None = None) -> None:
        assert version.content is not None
        expected = version.content.read() if body is None else body
        demand(len(answer.body) == len(expected), f"{place}: {len(answer.body)} bytes, not {len(expected)}")
        demand(answer.body == expected, f"{place}: other bytes than were written")
        demand(answer.headers["etag"] == version.etag, f"{place}: ETag {answer.headers['etag']}, not {version.etag}")
        if place.bucket == VERSIONED:
            demand(answer.headers["x-amz-version-id"] == version.id, f"{place}: another version than {version.id}")

    async def guarded(self, name: str, place: Place | None, work: Awaitable[None]) -> None:
        """Do something; what is wrong about it is noted, and the place that it changes not used again."""
        try:
            await work
            if name:
                self.site.done[name] += 1
        except Slow:
            self.site.slow += 1
        except (Wrong, Lost, Hung) as error:
            self.site.problems.append(f"{name}: {type(error).__name__}: {error}")
            if place is not None:
                self.lost.add(place)
                self.held.pop(place, None)


def checked(answer: Answer, told: str, expect: int | Sequence[int]) -> Answer:
    if answer.status == 503 and answer.code == "SlowDown":
        raise Slow
    allowed = (expect,) if isinstance(expect, int) else expect
    demand(answer.status in allowed, f"{told}: {answer} {answer.body[:200]!r}")
    demand(not answer.code or answer.status >= 300, f"{told}: an error in a {answer.status}: {answer.body[:200]!r}")
    return answer


def demand(holds: bool, told: str) -> None:
    if not holds:
        raise Wrong(told)


def etag_of(answer: Answer) -> str:
    """The ETag that XML tells."""
    found = _ETAG.search(answer.body)
    demand(found is not None, f"no ETag in {answer.body[:200]!r}")
    assert found is not None
    return html.unescape(found[1].decode())


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def quoted_md5(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
