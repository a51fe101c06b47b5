"""A gateway in this process, with two tenants in it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import sqlite3
from collections import defaultdict, deque
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.isolation.wire import GAP, HOST, Answer, Credentials, Request, escaped, normal, query_string, signed
from gateway.app import CATALOG_FILE, Application
from gateway.core import Core
from gateway.settings import Settings
from gateway.types import Quota

SECRET = "zqsecretz"
"""In everything of the other tenant's that alpha never names."""
OWN = ("a-one", "a-two", "a-acl")
FOREIGN = ("b-secret", "b-versions", "b-acl")
KNOWN_CONTENT = b"the same words in both tenants, " * 40
PEOPLE = {"ann": {}, "amy": {}, "reader": {"readonly": True}, "confined": {"prefixes": ("/a-one/dir",)}}
"""Alpha's: who owns the buckets, who owns all by a role, and keys that narrow."""

_CAPTURES = (
    ("upload", re.compile(rb"<UploadId>([^<]+)</UploadId>")),
    ("version", re.compile(rb"<VersionId>([^<]+)</VersionId>")),
    ("etag", re.compile(rb"<ETag>(?:&quot;|\")?([0-9a-f]{32}(?:-\d+)?)")),
)
_KEPT = 24
_OF_TENANT = {
    "tenants": "id = :t",
    "users": "tenant = :t",
    "buckets": "tenant = :t",
    "user_groups": "tenant = :t",
    "path_grants": "tenant = :t",
    "tenant_configs": "tenant = :t",
    "bucket_configs": "bucket_id IN (SELECT id FROM buckets WHERE tenant = :t)",
    "objects": "bucket_id IN (SELECT id FROM buckets WHERE tenant = :t)",
    "versions": "bucket_id IN (SELECT id FROM buckets WHERE tenant = :t)",
    "uploads": "bucket_id IN (SELECT id FROM buckets WHERE tenant = :t)",
    "parts": "upload_id IN (SELECT u.id FROM uploads AS u JOIN buckets AS b ON b.id = u.bucket_id WHERE b.tenant = :t)",
    "group_members": "group_id IN (SELECT id FROM user_groups WHERE tenant = :t)",
    "blobs": "scope = :t",
    "garbage": "scope = :t",
    "mounts": "1",
    "stores": "1",
    "saved_mounts": "1",
    "storage_classes": "1",
}


@dataclass
class World:
    """One gateway, the keys of its people, and what it gave out to alpha."""

    app: Application
    core: Core
    folder: Path
    other: str
    """The other tenant's name."""
    keys: dict[str, Credentials] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Ids of this world, and what stands for them in answers that are compared."""
    secrets: set[str] = field(default_factory=set)
    known: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Ids of the other tenant's that alpha got to know, by kind."""
    given: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=_KEPT)))
    _data_version: int = -1
    _state: str = ""

    def __post_init__(self) -> None:
        self._catalog = sqlite3.connect(self.folder / "data" / CATALOG_FILE, isolation_level=None)

    def close(self) -> None:
        self._catalog.close()

    # -- people

    async def user(self, name: str, tenant: str, display: str = "", **scope: Any) -> Credentials:
        user = await self.core.users.create_user(name, display, f"{name}@{tenant}.test", tenant)
        self.names[user.canonical_id] = f"CANONICAL-{name}"
        return await self.key(name, name, **scope)

    async def key(self, who: str, user: str, **scope: Any) -> Credentials:
        made = await self.core.users.create_key(user, who, **scope)
        self.keys[who] = Credentials(made.api_key)
        self.names |= {made.access_key_id: f"KEY-{who}", made.secret: f"SECRET-{who}"}
        return self.keys[who]

    # -- requests

    async def play(self, who: str | None, request: Request, *, in_query: bool = False) -> Answer:
        """Send a request as somebody, with their API key where it is for the Nexus door, else signed."""
        request = self._filled(request)
        key = self.keys[who] if who is not None else None
        headers = {"host": HOST, **request.headers}
        query = query_string(request.query)
        if request.path.startswith("/api/") or request.path == "/metrics":
            if key is not None:
                headers["authorization"] = f"Bearer {key.api_key}"
        elif key is not None:
            query, headers = signed(request, key, in_query=in_query)
        answer = await _exchange(self.app, request, query, headers)
        for kind, pattern in _CAPTURES:
            self.given[kind].extend(found.decode() for found in pattern.findall(answer.body)[:4])
        if (version := answer.headers.get("x-amz-version-id")) is not None:
            self.given["version"].append(version)
        return answer

    def _filled(self, request: Request) -> Request:
        def fill(text: str) -> str:
            return GAP.sub(lambda found: self._id(found[1], int(found[2])), text) if "@" in text else text

        body = fill(request.body.decode("latin-1")).encode("latin-1")
        headers = {name: fill(value) for name, value in request.headers.items()}
        if "content-md5" in headers:
            headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        query = {name: fill(value) for name, value in request.query.items()}
        return Request(request.method, fill(request.path), query, headers, body)

    def _id(self, kind: str, number: int) -> str:
        """Of small numbers the other tenant's that alpha knows, then those given out."""
        pool = [*self.known[kind], *reversed(self.given[kind])]
        return pool[number % len(pool)] if pool else "none"

    def comparable(self, answer: Answer) -> str:
        return normal(answer, self.names)

    # -- the other tenant

    def state_of_other(self) -> str:
        """A digest of every row of the other tenant's; counted anew only when the catalog changed."""
        version = self._catalog.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self._data_version = version
            hasher = hashlib.sha256()
            for table, where in _OF_TENANT.items():
                rows = self._catalog.execute(f"SELECT * FROM {table} WHERE {where}", {"t": self.other}).fetchall()
                hasher.update(repr((table, sorted(map(repr, rows)))).encode())
            self._state = hasher.hexdigest()
        return self._state


async def _exchange(app: Application, request: Request, query: str, headers: dict[str, str]) -> Answer:
    raw = escaped(request.path).encode()
    pieces = [request.body]
    told: dict[str, Any] = {"status": 0, "headers": {}, "chunks": []}

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told["status"] = message["status"]
            told["headers"] = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            told["chunks"].append(message.get("body", b""))

    if request.body or request.method in ("PUT", "POST"):
        headers = {**headers, "content-length": str(len(request.body))}
    scope = {
        "type": "http",
        "scheme": "http",
        "http_version": "1.1",
        "method": request.method,
        "raw_path": raw,
        "path": request.path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return Answer(told["status"], told["headers"], b"".join(told["chunks"]))


# -- making worlds


@asynccontextmanager
async def running(folder: Path, *, full: bool) -> AsyncIterator[World]:
    """A world; ``full``, the other tenant has secrets."""
    settings = Settings(data_dir=folder / "data", durability="none", log_delivery_seconds=1e8, lifecycle_interval=1e8)
    cores: list[Core] = []

    async def ready(core: Core) -> None:
        cores.append(core)

    app = Application(settings, ready=ready)
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started, stopped = asyncio.Event(), asyncio.Event()
    problems: list[str] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"].endswith("failed"):
            problems.append(message["message"])
        (stopped if "shutdown" in message["type"] else started).set()

    await messages.put({"type": "lifespan.startup"})
    task = asyncio.create_task(app({"type": "lifespan"}, messages.get, send))
    await started.wait()
    if problems:
        raise RuntimeError(problems[0])
    world = World(app, cores[0], folder, "beta" if full else "gamma")
    try:
        await _populate(world, full=full)
        yield world
    finally:
        world.close()
        await messages.put({"type": "lifespan.shutdown"})
        await stopped.wait()
        await task


async def _populate(world: World, *, full: bool) -> None:
    core = world.core
    admin = await core.users.create_user("root", "Root", "", "default", is_admin=True)
    world.names[admin.canonical_id] = "CANONICAL-root"
    await world.key("root", "root")
    principal = await core.keyring.bearer(world.keys["root"].api_key)
    assert principal is not None
    await core.mounts.add("/", "local", {"data_dir": str(world.folder / "store")}, owner=principal)
    await core.buckets.create("workspace", principal)
    # Alpha comes first, so that its numbers in the catalog are the same in both worlds.
    await core.tenants.create("alpha", Quota(None, None), None)
    for who, scope in PEOPLE.items():
        if scope:
            await world.key(who, "ann", **scope)
        else:
            await world.user(who, "alpha")
    world.known["canonical"] = [known for known, name in world.names.items() if name == "CANONICAL-ann"]
    await core.groups.create("a-team", "alpha")
    for name in OWN:
        await _done(world, "ann", Request("PUT", f"/{name}"))
    await _done(world, "ann", _document("/a-two", "versioning", "<Status>Enabled</Status>", "VersioningConfiguration"))
    rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
    await _done(world, "ann", _document("/a-acl", "ownershipControls", rule, "OwnershipControls"))
    await _call(world, "root", "admin_grant", subject="amy", role="owner", path="/")
    for name in OWN:
        for key in ("dir/x", "z"):
            await _done(world, "ann", Request("PUT", f"/{name}/{key}", body=f"{name} {key}".encode()))
    await (_secrets(world) if full else _little(world))


async def _little(world: World) -> None:
    """The names of buckets that alpha tries are taken here, too; by somebody else, for something else."""
    await world.core.tenants.create("gamma", Quota(5_000, None), None)
    await world.user("gwen", "gamma")
    for name in FOREIGN:
        await _done(world, "gwen", Request("PUT", f"/{name}", headers=_ownership(name)))


async def _secrets(world: World) -> None:
    core = world.core
    await core.tenants.create("beta", Quota(10**9, 10**6), None)
    await world.user("bob", "beta", f"Bob {SECRET}")
    await world.user("bea", "beta", f"Bea {SECRET}")
    await world.user(f"{SECRET}-user", "beta")
    await core.groups.create("b-team", "beta")
    await core.groups.add("b-team", "bea")
    await core.groups.create(f"{SECRET}-team", "beta")
    for name in (*FOREIGN, f"{SECRET}-bucket"):
        await _done(world, "bob", Request("PUT", f"/{name}", headers=_ownership(name)))
    principal = await core.keyring.bearer(world.keys["root"].api_key)
    assert principal is not None
    point, data_dir = f"/b-secret/{SECRET}-mount", str(world.folder / f"{SECRET}-store")
    await core.mounts.add(point, "local", {"data_dir": data_dir}, owner=principal)
    await _done(
        world, "bob", _document("/b-versions", "versioning", "<Status>Enabled</Status>", "VersioningConfiguration")
    )
    headers = {"x-amz-meta-note": SECRET, "x-amz-tagging": f"{SECRET}=1", "content-type": f"text/{SECRET}"}
    for bucket in FOREIGN:
        for key in ("plan.txt", "reports/q1", "dir/x", f"{SECRET}-mount/k", f"reports/{SECRET}"):
            body = KNOWN_CONTENT if key == "dir/x" else f"{SECRET} content of {key}".encode()
            answer = await _done(world, "bob", Request("PUT", f"/{bucket}/{key}", headers=headers, body=body))
            if "x-amz-version-id" in answer.headers:
                world.known["version"] = [answer.headers["x-amz-version-id"]]
    for key in ("plan.txt", f"{SECRET}.part"):
        begun = await _done(world, "bob", Request("POST", f"/b-secret/{key}", {"uploads": ""}, headers))
        upload = begun.body.decode().partition("<UploadId>")[2].partition("<")[0]
        part = {"uploadId": upload, "partNumber": "1"}
        await _done(world, "bob", Request("PUT", f"/b-secret/{key}", part, body=SECRET.encode()))
        world.known["upload"] = world.known["upload"] or [upload]
        world.secrets.add(upload)
    statement = {"Sid": SECRET, "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::beta:user/bea"}}
    statement |= {"Action": "s3:*", "Resource": "arn:aws:s3:::b-secret/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
    await _done(world, "bob", Request("PUT", "/b-secret", {"policy": ""}, body=policy))
    await _call(world, "bob", "admin_grant", subject="bea", role="editor", path="/b-versions/reports")
    await _call(world, "bob", "admin_grant", subject="group:b-team", role="viewer", path=f"/b-versions/{SECRET}")
    world.secrets |= {SECRET} | {
        known for known, name in world.names.items() if name.endswith(("bob", "bea", "user")) and len(known) > 8
    }
    world.secrets -= set(world.known["upload"])
    world.given.clear()  # what was given out so far was not given to alpha


def _ownership(bucket: str) -> dict[str, str]:
    """ACLs are in force in the same buckets in both worlds: a visitor without a key can tell that they may be."""
    return {"x-amz-object-ownership": "ObjectWriter"} if bucket.endswith("-acl") else {}


async def _done(world: World, who: str, request: Request) -> Answer:
    answer = await world.play(who, request)
    if answer.status >= 300:
        raise RuntimeError(f"{request.method} {request.path}: {answer}")
    return answer


async def _call(world: World, who: str, method: str, **params: Any) -> None:
    answer = await _done(
        world, who, Request("POST", f"/api/nfs/{method}", body=json.dumps({"params": params}).encode())
    )
    if b'"error"' in answer.body:
        raise RuntimeError(f"{method}: {answer.body!r}")


def _document(path: str, query: str, inner: str, root: str) -> Request:
    body = f"<{root}>{inner}</{root}>".encode()
    return Request("PUT", path, {query: ""}, {"content-md5": ""}, body)
