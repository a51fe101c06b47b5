"""What is measured: each operation prepares its requests, sends them, and tells what a second and a request cost."""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import MIB, Request, Run, play
from benchmarks.signing import Signer

SMALL = 4096
PART = 8 * MIB
PROBE_SECONDS = 0.4
MOST_PUTS = 60_000


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
    large: int = 64 * MIB
    multipart: int = 256 * MIB
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
    listed: int = 0
    _serial: int = 0

    def ready(self) -> None:
        status, _, body = self.signer.call("PUT", f"/{self.bucket}")
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


def put_new(site: Site, connections: int) -> Run:
    return _puts(site, connections, lambda: os.urandom(SMALL))


def put_same(site: Site, connections: int) -> Run:
    content = os.urandom(SMALL)
    return _puts(site, connections, lambda: content)


def _puts(site: Site, connections: int, content: Callable[[], bytes]) -> Run:
    def go(count: int, seconds: float) -> Run:
        keys = site.fresh(count)
        run = site.play([site.put(key, content()) for key in keys], connections, seconds)
        site.written += [keys[number] for number in run.done]
        return run

    probe = go(1000, PROBE_SECONDS)  # a plan is made once: it must last, and not much longer
    return go(int(min(MOST_PUTS, max(500, probe.rate * site.scale.seconds * 1.5))), site.scale.seconds)


def get(site: Site, connections: int) -> Run:
    return _reads(site, connections, "GET")


def head(site: Site, connections: int) -> Run:
    return _reads(site, connections, "HEAD")


def _reads(site: Site, connections: int, method: str) -> Run:
    if not site.readable:
        _fill(site)
    keys = random.sample(site.readable, len(site.readable))
    requests = [Request(site.signer.head(method, key)) for key in keys]
    return site.play(requests, connections, site.scale.seconds, loop=True)


def _fill(site: Site) -> None:
    keys = [f"/{site.bucket}/r/{number % 256:02x}/{number:06d}" for number in range(site.scale.keys)]
    bodies = [os.urandom(SMALL) for _ in keys]
    run = site.play([site.put(key, body) for key, body in zip(keys, bodies, strict=True)], 8, 120)
    site.readable = [keys[number] for number in run.done]
    if len(run.done) < len(keys):
        raise Unfit(f"{len(keys) - len(run.done)} of {len(keys)} PUTs failed")
    status, _, body = site.signer.call("GET", keys[7])
    if status != 200 or body != bodies[7]:
        raise Unfit(f"GET answers {status}, or other bytes than were put")


def delete(site: Site, connections: int) -> Run:
    want = 20_000
    if len(site.written) < 2000:
        keys = site.fresh(4000)
        run = site.play([site.put(key, os.urandom(SMALL)) for key in keys], 8, 60)
        site.written += [keys[number] for number in run.done]
    keys, site.written = site.written[:want], site.written[want:]
    return site.play([Request(site.signer.head("DELETE", key)) for key in keys], connections, site.scale.seconds)


def list_keys(site: Site, connections: int) -> Run:
    """ListObjectsV2: the thousand keys of a prefix."""
    _fill_listed(site)
    prefixes = [f"p{number:05d}%2F" for number in range(site.listed // 1000)]
    query = "list-type=2&max-keys=1000&prefix="
    _, _, page = site.signer.call("GET", f"/{site.bucket}-list", query + prefixes[0])
    if len(re.findall(rb"<Key>", page)) != 1000:
        raise Unfit("a page of 1,000 keys has others")
    return _lists(site, connections, [query + prefix for prefix in prefixes])


def list_prefixes(site: Site, connections: int) -> Run:
    """ListObjectsV2 with a delimiter: common prefixes, a thousand keys below each."""
    _fill_listed(site)
    return _lists(site, connections, ["delimiter=%2F&list-type=2&max-keys=1000"])


def _lists(site: Site, connections: int, queries: list[str]) -> Run:
    requests = [Request(site.signer.head("GET", f"/{site.bucket}-list", query)) for query in queries]
    random.shuffle(requests)
    return site.play(requests, connections, site.scale.seconds, loop=True)


def _fill_listed(site: Site) -> None:
    if site.listed:
        return
    site.signer.call("PUT", f"/{site.bucket}-list")
    body = b"a small object"
    digest = hashlib.sha256(body).hexdigest()
    for start in range(0, site.scale.listed, 10_000):
        numbers = range(start, min(start + 10_000, site.scale.listed))
        keys = [f"/{site.bucket}-list/p{number // 1000:05d}/k{number % 1000:06d}" for number in numbers]
        run = site.play([site.put(key, body, digest) for key in keys], 16, 300)
        if len(run.done) < len(keys):
            raise Unfit(f"the bucket to list could not be filled beyond {start + len(run.done)}")
    site.listed = site.scale.listed


def put_large(site: Site, connections: int) -> Run:
    return _large_puts(site, connections, [site.scale.large] * connections * site.scale.repeats)[0]


def _large_puts(site: Site, connections: int, sizes: list[int]) -> tuple[Run, list[str]]:
    bodies = _body(site, max(sizes) + len(sizes) * 4096)
    requests, keys = [], []
    for number, size in enumerate(sizes):
        key = f"/{site.bucket}/large/{site.fresh(1)[0][-8:]}"
        part = (number * 4096, size)  # each begins elsewhere in one file: no two have a block in common
        requests.append(Request(site.signer.head("PUT", key, "", _digest(bodies, *part), size), part))
        keys.append(key)
    run = site.play(requests, connections, 600, bodies=bodies)
    _drop(site, keys)
    return run, keys


def get_large(site: Site, connections: int) -> Run:
    bodies = _body(site, site.scale.large)
    key = f"/{site.bucket}/large/read"
    head = site.signer.head("PUT", key, "", _digest(bodies, 0, site.scale.large), site.scale.large)
    if site.play([Request(head, (0, site.scale.large))], 1, 60, bodies=bodies).refused:
        raise Unfit("a large PUT failed")
    count = connections * site.scale.repeats * 2
    run = site.play([Request(site.signer.head("GET", key))] * count, connections, 600)
    if run.received != count * site.scale.large:
        raise Unfit("large GETs gave other sizes")
    _drop(site, [key])
    return run


def multipart(site: Site, connections: int) -> Run:
    """A whole object in parts of 8 MiB, begun and completed: times and processor time are of the object."""
    bodies = _body(site, site.scale.multipart)
    key = f"/{site.bucket}/large/parts"
    status, _, answer = site.signer.call("POST", key, "uploads=")
    found = re.search(rb"<UploadId>([^<]+)</UploadId>", answer)
    if status != 200 or not found:
        raise Unfit(f"CreateMultipartUpload answers {status}")
    upload = found[1].decode()
    requests = []
    for number, at in enumerate(range(0, site.scale.multipart, PART), 1):
        query = f"partNumber={number}&uploadId={upload}"
        requests.append(Request(site.signer.head("PUT", key, query, _digest(bodies, at, PART), PART), (at, PART)))
    run = site.play(requests, connections, 600, bodies=bodies)
    if run.refused:
        raise Unfit("parts were refused")
    _complete(site, key, upload, bodies)
    _drop(site, [key])
    return Run(1, run.seconds, run.cpu_seconds, [run.seconds * 1000], 0, 0, run.peak_mib, [0])


def _complete(site: Site, key: str, upload: str, bodies: Path) -> None:
    parts = []
    with open(bodies, "rb") as file:
        for number in range(1, site.scale.multipart // PART + 1):
            etag = hashlib.md5(file.read(PART), usedforsecurity=False).hexdigest()
            parts.append(f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>")
    body = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
    status, _, answer = site.signer.call("POST", key, f"uploadId={upload}", body)
    if status != 200 or b"<ETag>" not in answer:
        raise Unfit(f"CompleteMultipartUpload answers {status}: {answer[:200]!r}")


def put_huge(site: Site, connections: int) -> Run:
    """One PUT of 1 GiB: what counts is the memory."""
    return _large_puts(site, 1, [1024 * MIB])[0]


def _body(site: Site, size: int) -> Path:
    """A file of random bytes, others each time it is asked for: content that is stored already is another case."""
    path = site.folder / "body"
    with open(path, "wb") as file:
        for _ in range(-(-size // MIB)):
            file.write(os.urandom(MIB))
    return path


def _digest(path: Path, start: int, size: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(start)
        while size:
            chunk = file.read(min(MIB, size))
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def _drop(site: Site, keys: list[str]) -> None:
    for key in keys:
        site.signer.call("DELETE", key)


@dataclass(frozen=True)
class Operation:
    """An operation as the table names it; ``bytes`` is what one moves, 0 for small ones."""

    run: Callable[[Site, int], Run]
    title: str
    connections: tuple[int, ...]
    bytes: Callable[[Scale], int] = lambda scale: 0


OPERATIONS = {
    "get": Operation(get, "GET 4 KiB", (1, 16, 64)),
    "head": Operation(head, "HEAD", (1, 16, 64)),
    "put": Operation(put_new, "PUT 4 KiB, new content", (1, 16, 64)),
    "put-same": Operation(put_same, "PUT 4 KiB, content already stored", (16,)),
    "delete": Operation(delete, "DELETE", (16,)),
    "list": Operation(list_keys, "LIST 1,000 keys", (1, 16)),
    "list-prefixes": Operation(list_prefixes, "LIST common prefixes", (1,)),
    "get-large": Operation(get_large, "GET 64 MiB", (1, 4), lambda scale: scale.large),
    "put-large": Operation(put_large, "PUT 64 MiB", (1, 4), lambda scale: scale.large),
    "multipart": Operation(multipart, "multipart 256 MiB", (4,), lambda scale: scale.multipart),
    "put-huge": Operation(put_huge, "PUT 1 GiB", (1,), lambda scale: 1024 * MIB),
}
