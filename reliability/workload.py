"""Clients that write all kinds of things and remember what they were told.

Each has keys of its own, so that it knows what they must hold; contents they share.
"""

from __future__ import annotations

import base64
import hashlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from reliability.bodies import body_of
from reliability.s3 import S3, Answer, Broken
from reliability.world import (
    UNKNOWN,
    Abort,
    AddVersion,
    Complete,
    Create,
    Delete,
    DropVersion,
    Effect,
    Part,
    Put,
    PutPart,
    Version,
    World,
    held,
    put_together,
)

PLAIN, VERSIONED = "plain", "versioned"
"""The buckets."""
REFUSED = "refused/"
"""Below this prefix only writes that must be refused are tried."""
KEYS, VERSIONED_KEYS, SHARED = 10, 4, 6
UPLOADS, VERSIONS = 3, 12
SIZES = (0, 1, 300, 4096, 4096, 30_000, 70_000, 300_000, 1_200_000)
PART_SIZES = (40, 5_000, 70_000, 400_000)
SETTINGS = {
    "NEXUS_MIN_PART_SIZE": "1",
    "NEXUS_BLOCK_SIZE": str(256 * 1024),
    "NEXUS_GC_INTERVAL": "0.2",
    "NEXUS_GC_GRACE": "0",
    "NEXUS_LOG_LEVEL": "warning",
}
"""The gateway's: small parts and blocks, so that much happens in little time, and a collector that spares nothing."""
EXCUSES = frozenset({"503 SlowDown"})
"""Refusals that any request may meet: a collector without grace took a block before it had a name."""


@dataclass
class Step:
    """An operation: what it does when it succeeds, and the marks of when it began and was acknowledged."""

    effect: Effect
    began: int
    acknowledged: int | None = None


def no_mark() -> int:
    return 0


@dataclass
class Client:
    """One writer. ``world`` is what was acknowledged, ``doubt`` the effect whose outcome is unknown."""

    name: str
    random: random.Random
    mark: Callable[[], int] = no_mark
    """Notes a moment."""
    excuses: frozenset[str] = EXCUSES
    excused: Callable[[], None] | None = None
    """Called after each excused refusal, to wait, say."""
    world: World = field(default_factory=World)
    doubt: Effect | None = None
    done: int = 0
    problem: str = ""
    history: list[Step] | None = None
    """Kept where it is not None."""
    _made: int = 0

    def run(self, s3: S3, stop: threading.Event) -> None:
        """Work until told, or until the connection breaks; ``problem`` tells an answer that must not be."""
        acts, weights = zip(*ACTS.items(), strict=True)
        try:
            while not stop.is_set() and not self.problem:
                self.random.choices(acts, weights)[0](self, s3)
        except Broken:
            return
        finally:
            s3.close()

    def _attempt(
        self,
        effect: Effect,
        send: Callable[[], Answer],
        settle: Callable[[Answer], Effect] | None = None,
        *,
        refusal: str = "",
    ) -> None:
        """Send what has an effect; ``settle`` puts into it what only the answer tells. With a refusal, expect that."""
        step = Step(effect, self.mark())
        if not refusal:
            self.doubt = effect
            if self.history is not None:
                self.history.append(step)
        answer = send()
        if refusal and str(answer) == refusal:
            return
        failed = f"500 {answer.text('Code')}" if answer.ok and b"<Error><Code>" in answer.body[:200] else str(answer)
        if failed in self.excuses or failed.replace("500", "503") in self.excuses:
            self._forget(step)
            if self.excused is not None:
                self.excused()
            return
        if refusal or not answer.ok or failed != str(answer):
            told = f"{refusal} expected" if refusal else "not a success"
            self.problem = f"{self.name}: {effect}: {answer}, {told}: {answer.body[:300]!r}"
            return
        step.acknowledged = self.mark()
        step.effect = settle(answer) if settle else effect
        self.world = self.world.after(step.effect)
        self.doubt = None
        self.done += 1

    def _forget(self, step: Step) -> None:
        """Refused means not stored."""
        self.doubt = None
        if self.history is not None and self.history[-1] is step:
            self.history.pop()

    # -- what to write

    def _key(self) -> str:
        return f"{self.name}/{self.random.randrange(KEYS)}"

    def _body(self) -> bytes:
        """New content, or one that all clients put: the deletes of one must not take what others named."""
        size = self.random.choice(SIZES)
        if self.random.random() < 0.35:
            return body_of(f"shared {self.random.randrange(SHARED)}", size)
        return body_of(self._seed(), size)

    def _seed(self) -> str:
        self._made += 1
        return f"{self.name} {self._made} {self.random.random()}"

    # -- operations

    def put(self, s3: S3) -> None:
        key, body = self._key(), self._body()
        self._attempt(Put(key, held(body)), lambda: s3.call("PUT", f"/{PLAIN}/{key}", body=body))

    def put_if(self, s3: S3) -> None:
        """A conditional put, whose condition holds or not."""
        key, body = self._key(), self._body()
        present, fits = self.world.objects.get(key), self.random.random() < 0.6
        if present is None and fits:
            condition = {"if-none-match": "*"}
        elif present is None:
            self._refused(s3, key, body, {"if-match": '"0123456789abcdef0123456789abcdef"'}, "404 NoSuchKey")
            return
        elif fits and present.etag:
            condition = {"if-match": f'"{present.etag}"'}
        else:
            self._refused(s3, key, body, {"if-none-match": "*"}, "412 PreconditionFailed")
            return
        self._attempt(Put(key, held(body)), lambda: s3.call("PUT", f"/{PLAIN}/{key}", headers=condition, body=body))

    def _refused(self, s3: S3, key: str, body: bytes, headers: dict[str, str], refusal: str, digest: str = "") -> None:
        self._attempt(
            Put(key, held(body)),
            lambda: s3.call("PUT", f"/{PLAIN}/{key}", headers=headers, body=body, digest=digest),
            refusal=refusal,
        )

    def put_wrong(self, s3: S3) -> None:
        """A body that is not what its request says: refused after it was read, over a key or where none is."""
        body = body_of(self._seed(), self.random.choice(SIZES[2:]))
        key = self._key() if self.random.random() < 0.5 else f"{REFUSED}{self.name}"
        if self.random.random() < 0.5:
            self._refused(s3, key, body, {}, "400 XAmzContentSHA256Mismatch", digest="0" * 64)
        else:
            self._refused(s3, key, body, {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "400 BadDigest")

    def copy(self, s3: S3) -> None:
        if not self.world.objects:
            return
        source, key = self.random.choice(sorted(self.world.objects)), self._key()
        if source == key:
            return
        made = self.world.objects[source]._replace(etag=UNKNOWN)
        headers = {"x-amz-copy-source": f"/{PLAIN}/{source}"}
        self._attempt(
            Put(key, made),
            lambda: s3.call("PUT", f"/{PLAIN}/{key}", headers=headers),
            lambda answer: Put(key, made._replace(etag=answer.text("ETag"))),
        )

    def delete(self, s3: S3) -> None:
        key = self._key()
        self._attempt(Delete((key,)), lambda: s3.call("DELETE", f"/{PLAIN}/{key}"))

    def delete_several(self, s3: S3) -> None:
        keys = tuple(sorted({self._key() for _ in range(4)}))
        listed = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
        self._attempt(
            Delete(keys),
            lambda: s3.call("POST", f"/{PLAIN}", {"delete": ""}, *_xml(f"<Delete>{listed}</Delete>")),
            lambda answer: self._deleted(keys, answer),
        )

    def _deleted(self, keys: tuple[str, ...], answer: Answer) -> Delete:
        """What was deleted of several keys, each of which may be refused by itself."""
        refused = {entry["Key"]: entry["Code"] for _, entry in answer.elements("Error")}
        for code in refused.values():
            if not self.excuses & {f"500 {code}", f"503 {code}", f"507 {code}"}:
                self.problem = f"{self.name}: {keys} were to be deleted: {refused}"
        return Delete(tuple(key for key in keys if key not in refused))

    def read(self, s3: S3) -> None:
        """Read what was written."""
        key = self._key()
        answer, expected = s3.call("GET", f"/{PLAIN}/{key}"), self.world.objects.get(key)
        if str(answer) in self.excuses:
            return
        found = held(answer.body)._replace(etag=answer.etag) if answer.ok else None
        if (found is None) != (expected is None) or (found is not None and not found.matches(expected)):
            self.problem = f"{self.name}: GET {key}: {answer} {found}, expected {expected}"

    def add_version(self, s3: S3) -> None:
        key = f"{self.name}/{self.random.randrange(VERSIONED_KEYS)}"
        if len(self.world.versions.get(key, ())) >= VERSIONS:
            self.drop_version(s3)
            return
        if self.random.random() < 0.3:
            version, body = Version(UNKNOWN, None), b""
            method = "DELETE"
        else:
            body = self._body()
            version, method = Version(UNKNOWN, held(body)), "PUT"
        self._attempt(
            AddVersion(key, version),
            lambda: s3.call(method, f"/{VERSIONED}/{key}", body=body),
            lambda answer: AddVersion(key, version._replace(id=answer.headers["x-amz-version-id"])),
        )

    def drop_version(self, s3: S3) -> None:
        there = [(key, version) for key, versions in sorted(self.world.versions.items()) for version in versions]
        if there:
            key, version = self.random.choice(there)
            query = {"versionId": version.id}
            self._attempt(DropVersion(key, version.id), lambda: s3.call("DELETE", f"/{VERSIONED}/{key}", query))

    # -- multipart

    def multipart(self, s3: S3) -> None:
        """The next step of an upload, mostly of one that was begun, perhaps before the last crash."""
        ids = sorted(self.world.uploads)
        if len(ids) < UPLOADS and self.random.random() < 0.3:
            self._create(s3)
            return
        if not ids:
            return
        upload_id = self.random.choice(ids)
        upload, draw = self.world.uploads[upload_id], self.random.random()
        path, query = f"/{PLAIN}/{upload.key}", {"uploadId": upload_id}
        if draw < 0.08:
            self._attempt(Abort(upload_id), lambda: s3.call("DELETE", path, query))
        elif draw < 0.4 and upload.parts:
            self._complete(s3, upload_id)
        else:
            self._part(s3, upload_id)

    def _create(self, s3: S3) -> None:
        key = self._key()
        effect = Create(UNKNOWN, key)
        self._attempt(
            effect,
            lambda: s3.call("POST", f"/{PLAIN}/{key}", {"uploads": ""}),
            lambda answer: replace(effect, id=answer.text("UploadId")),
        )

    def _part(self, s3: S3, upload_id: str) -> None:
        seed = self._seed() if self.random.random() < 0.7 else f"shared {self.random.randrange(SHARED)}"
        part, number = Part.of(seed, self.random.choice(PART_SIZES)), self.random.randint(1, 5)
        query = {"uploadId": upload_id, "partNumber": str(number)}
        path = f"/{PLAIN}/{self.world.uploads[upload_id].key}"
        body = body_of(part.seed, part.size)
        self._attempt(PutPart(upload_id, number, part), lambda: s3.call("PUT", path, query, body=body))

    def _complete(self, s3: S3, upload_id: str) -> None:
        upload = self.world.uploads[upload_id]
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{part.etag}</ETag></Part>"
            for number, part in sorted(upload.parts.items())
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
        self._attempt(
            Complete(upload_id, upload.key, put_together(upload.parts)),
            lambda: s3.call("POST", f"/{PLAIN}/{upload.key}", {"uploadId": upload_id}, *_xml(body)),
        )


def _xml(text: str) -> tuple[dict[str, str], bytes]:
    body = text.encode()
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return {"content-md5": digest}, body


Act = Callable[[Client, S3], None]
ACTS: dict[Act, int] = {
    Client.put: 32,
    Client.put_if: 8,
    Client.put_wrong: 4,
    Client.copy: 8,
    Client.delete: 8,
    Client.delete_several: 3,
    Client.read: 5,
    Client.add_version: 10,
    Client.drop_version: 4,
    Client.multipart: 18,
}


def set_up(s3: S3) -> None:
    """Make the buckets."""
    for name in (PLAIN, VERSIONED):
        assert s3.call("PUT", f"/{name}").ok
    state = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert s3.call("PUT", f"/{VERSIONED}", {"versioning": ""}, body=state).ok


def clients(count: int, seed: int, mark: Callable[[], int] = no_mark, *, keep: bool = False) -> list[Client]:
    """Clients with seeds of their own; ``keep`` has them keep their history."""
    return [
        Client(f"c{number}", random.Random(f"{seed} {number}"), mark, history=[] if keep else None)
        for number in range(count)
    ]


def holds(client: Client, at: int) -> tuple[World, Effect | None]:
    """What was acknowledged to a client by a moment, and the effect under way then."""
    world = World()
    for step in client.history or ():
        if step.acknowledged is not None and step.acknowledged <= at:
            world = world.after(step.effect)
        elif step.began <= at:
            return world, step.effect
    return world, None
