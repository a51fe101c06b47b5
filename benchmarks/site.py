"""A running server as operations see it: where it is, and what has been put into it so far."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import MIB, Request, Run, play
from benchmarks.signing import Signer

SMALL = 4096


class Unfit(Exception):
    """A server cannot be measured: it refuses what it should do, or answers wrong bytes."""


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    seconds: float = 3.0
    keys: int = 4000
    """Objects that GET and HEAD choose from."""
    listed: int = 100_000
    """Objects in the bucket that is listed, a thousand below each prefix."""
    fill_seconds: float = 45.0
    """A server that is slower to fill has fewer objects to list."""
    huge_listed: int = 10_000_000
    """The same in the gateway's large bucket."""
    folders: int = 1000
    """Common prefixes in the bucket that is listed with a delimiter."""
    large: int = 64 * MIB
    huge: int = 1024 * MIB
    multipart: int = 256 * MIB
    parts: int = 10_000
    """Parts of the upload that is completed with no more than that measured."""
    repeats: int = 4
    """How many large objects a connection moves in a run."""


@dataclass
class Site:
    """A running server, and what has been put into it so far."""

    name: str
    signer: Signer
    pid: int
    folder: Path
    scale: Scale
    bucket: str = "bench"
    written: list[str] = field(default_factory=list)
    readable: list[str] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    """Keys of objects that several operations need, by what they are."""
    data: Path | None = None
    """Where a server that takes no PUT has its files."""
    catalog: Path | None = None
    """The gateway's."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the figures must know."""
    idle_mib: float = 0.0
    """Memory before the first request of an operation."""
    _serial: int = 0

    def ready(self) -> None:
        self.make_bucket(self.bucket)

    def make_bucket(self, bucket: str) -> None:
        if self.data is not None:
            (self.data / bucket).mkdir(exist_ok=True)
            return
        status, _, body = self.signer.call("PUT", f"/{bucket}")
        if status not in (200, 409):
            raise Unfit(f"CreateBucket answers {status}: {body[:200]!r}")

    def play(self, requests: list[Request], connections: int, seconds: float, **options: object) -> Run:
        return play(
            self.signer.port,
            self.pid,
            requests,
            connections=connections,
            seconds=seconds,
            **options,  # type: ignore[arg-type]
        )

    def put(self, key: str, body: bytes, digest: str = "") -> Request:
        digest = digest or hashlib.sha256(body).hexdigest()
        return Request(self.signer.head("PUT", key, "", digest, len(body)), body)

    def fresh(self, count: int) -> list[str]:
        """Keys that were never used, in 256 folders."""
        first, self._serial = self._serial, self._serial + count
        return [f"/{self.bucket}/w/{number % 256:02x}/{number:08d}" for number in range(first, first + count)]

    def large_key(self) -> str:
        """A key that was never used, for a large object."""
        return f"/{self.bucket}/large/{self.fresh(1)[0][-8:]}"

    def fill(self, pairs: list[tuple[str, bytes]], connections: int = 8, seconds: float = 300) -> list[str]:
        """Put small objects; the keys of those that are there."""
        if self.data is None:
            run = self.play([self.put(key, body) for key, body in pairs], connections, seconds)
            if run.refused:
                raise Unfit(f"{run.refused} of {run.requests} PUTs were refused")
            return [pairs[number][0] for number in run.done]
        for key, body in pairs:
            path = self.data / key[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return [key for key, _ in pairs]

    def drop(self, keys: list[str]) -> None:
        for key in keys if self.data is None else ():
            self.signer.call("DELETE", key)

    @contextmanager
    def random_file(self, size: int) -> Iterator[Path]:
        """A file of random bytes, others each time: content that is stored already is another case."""
        path = self.folder / "body"
        try:
            with open(path, "wb") as file:
                for _ in range(-(-size // MIB)):
                    file.write(os.urandom(MIB))
            yield path
        finally:
            path.unlink(missing_ok=True)


def sha256_of(path: Path, start: int, size: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(start)
        while size:
            chunk = file.read(min(MIB, size))
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()
