"""The composition root: settings in, one ASGI application out. The only file that knows every part."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backends.base import BlobStore
from backends.native import NativeStore
from backends.registry import CONNECTORS, LAYOUT, has_native, open_native, open_store, resolve
from backends.registry import identity as store_identity
from backends.registry import is_here as store_is_here
from backends.registry import kinds as store_kinds
from backends.registry import mask as store_mask
from gateway import heap
from gateway.admission import Admission
from gateway.audit.log import AuditLog
from gateway.auth.claims import claimed_key
from gateway.auth.credentials import MasterKey, load_master_key
from gateway.auth.keyring import KeyRing
from gateway.auth.sigv4 import Verifier
from gateway.buckets import Buckets
from gateway.carrier import Carrier
from gateway.catalog.base import Catalog
from gateway.catalog.companions import Accompanied
from gateway.catalog.sqlite import SqliteCatalog
from gateway.checker import Checker
from gateway.collector import Collector, run_forever
from gateway.content import ContentStore
from gateway.copies import Copies
from gateway.core import Core
from gateway.declared_mounts import DeclaredMounts
from gateway.encryption_keys import EncryptionKeys
from gateway.errors import GatewayError
from gateway.files import Files
from gateway.folders import make_folder
from gateway.generation import Generation
from gateway.grants import Grants, Groups
from gateway.identity import Users
from gateway.kms.base import Kms
from gateway.kms.local import LocalKms
from gateway.lifecycle import Calendar
from gateway.lifecycle import worker as lifecycle
from gateway.lifecycle.mover import Mover
from gateway.lifecycle.worker import LifecycleWorker
from gateway.log_delivery import LogDelivery
from gateway.metrics import Metrics
from gateway.metrics_door import PATH as METRICS
from gateway.metrics_door import ClientCount, MetricsDoor
from gateway.mounting import Mounts
from gateway.names import Names, StoreFactory, StoreKind
from gateway.objects import Objects
from gateway.rates import Rates
from gateway.rpc.app import RpcDoor
from gateway.s3.app import S3Door
from gateway.s3.errors import SlowDown, error_document
from gateway.s3.hosts import Domains
from gateway.s3.server_log import keep_lifecycle
from gateway.saved_mounts import SavedMounts
from gateway.settings import Settings
from gateway.store_policy import StorePolicy
from gateway.tenants import Tenants
from gateway.uploads import Limits, Uploads

CATALOG_FILE = "catalog.db"
MASTER_KEY_FILE = "master.key"
STORE_CONTEXT = b"store-config"
RPC_PREFIX = b"/api/nfs/"
STREAMS = b"/api/nfs/stream/"
WHOAMI = b"/api/auth/whoami"
HEALTH = b"/health"


def _store_factory(settings: Settings, master_key: MasterKey) -> StoreFactory:
    fsync = "true" if settings.durability == "fsync" else "false"
    defaults = {"fsync": fsync, "hot_bytes": str(settings.hot_bytes)}

    def unseal(sealed: bytes) -> dict[str, str]:
        config: dict[str, str] = json.loads(master_key.open(sealed, STORE_CONTEXT))
        return config

    def seal(config: Mapping[str, str]) -> bytes:
        return master_key.seal(json.dumps(dict(config), sort_keys=True).encode(), STORE_CONTEXT)

    policy = StorePolicy(settings.data_dir, settings.store_hosts, settings.credentials_dir)

    def open_blobs(backend_type: str, config: Mapping[str, str]) -> BlobStore:
        policy.check_open(config)
        return open_store(backend_type, config, defaults=defaults)

    def open_keys(backend_type: str, config: Mapping[str, str]) -> NativeStore | None:
        policy.check_open(config)
        return open_native(backend_type, config, defaults=defaults)

    return StoreFactory(
        open=open_blobs,
        open_native=open_keys,
        check_new=policy.check_new,
        resolve=resolve,
        has_native=has_native,
        identity=store_identity,
        mask=store_mask,
        seal=seal,
        unseal=unseal,
        kinds=_kinds,
        is_here=store_is_here,
        is_near=lambda store: store.device == os.stat(settings.data_dir).st_dev,
    )


def _kinds() -> list[StoreKind]:
    """The kinds of stores there are, and Nexus's names for those of them that can be served as they stand."""
    known = store_kinds()
    found = []
    for name, kind in known.items():
        takes = kind.optional - kind.required | ({LAYOUT} if kind.open_native is not None else set())
        found.append(StoreKind(name, tuple(sorted(kind.required)), tuple(sorted(takes))))
    for name, of in CONNECTORS.items():
        if known[of].open_native is not None:
            kind = known[of]
            found.append(StoreKind(name, tuple(sorted(kind.required)), tuple(sorted(kind.optional - kind.required))))
    return found


def _kms(settings: Settings, catalog: Catalog, master_key: MasterKey) -> Kms:
    # Their clients weigh some 20 MiB: who does without them does not carry them.
    if settings.kms == "vault":
        from gateway.kms.vault import VaultKms

        return VaultKms(settings.kms_url, settings.kms_token_text() or "", settings.kms_mount)
    if settings.kms == "aws":
        from gateway.kms.aws import AwsKms

        return AwsKms(settings.region, settings.kms_url)
    return LocalKms(catalog, master_key, settings.default_kms_key())


@asynccontextmanager
async def open_core(settings: Settings) -> AsyncIterator[Core]:
    """The core over a data directory, made where it is missing; closed on the way out."""
    data_dir = Path(settings.data_dir)
    await asyncio.to_thread(make_folder, data_dir)
    master_key = load_master_key(settings.master_key_text(), data_dir / MASTER_KEY_FILE)
    fsync = settings.durability == "fsync"
    catalog = Accompanied(SqliteCatalog(data_dir / CATALOG_FILE, fsync=fsync, kept_lookups=settings.hot_rows))
    declared = [kind.secret for kind in store_kinds().values()]
    audit = AuditLog(catalog, master_key, secret=frozenset().union(*declared))
    factory = _store_factory(settings, master_key)
    generation = Generation(catalog)
    names = Names(
        catalog,
        generation,
        factory,
        block_public_access=settings.block_public_access,
        classes=settings.storage_classes,
        deadline=settings.store_deadline,
    )
    kms = _kms(settings, catalog, master_key)
    keys = EncryptionKeys(
        catalog,
        master_key,
        kms,
        encrypts_all=settings.default_encryption == "sse-s3",
        default_kms_key=settings.default_kms_key(),
        cache_seconds=settings.kms_cache,
    )
    content = ContentStore(catalog, keys, threads=settings.content_threads, buffer_blocks=settings.buffer_blocks)
    objects = Objects(catalog, names, content, keys)
    copies = Copies(catalog, names, content, objects, limit=settings.max_put_size)
    limits = Limits(
        max_parts=settings.max_parts,
        min_part=settings.min_part_size,
        max_part=settings.max_put_size,
        max_object=settings.max_object_size,
    )
    mounts = Mounts(
        catalog,
        names,
        factory,
        block_size=settings.block_size,
        region=settings.region,
        ownership=settings.default_ownership,
    )
    try:
        await audit.open()
        yield Core(
            settings=settings,
            catalog=catalog,
            names=names,
            mounts=mounts,
            saved_mounts=SavedMounts(catalog, mounts, factory),
            declared_mounts=DeclaredMounts(catalog, names, mounts, factory),
            content=content,
            buckets=Buckets(catalog, names, settings.region, settings.default_ownership),
            objects=objects,
            copies=copies,
            files=Files(catalog, names, content, objects, copies),
            uploads=Uploads(catalog, names, content, keys, objects, limits),
            users=Users(catalog, master_key),
            tenants=Tenants(catalog, names),
            groups=Groups(catalog),
            grants=Grants(catalog, names),
            rates=Rates(settings.workers),
            admission=Admission(
                requests=settings.max_requests,
                memory=settings.body_memory,
                patience=settings.body_patience,
                writes_hang=lambda: catalog.hangs(settings.write_patience),
            ),
            keyring=KeyRing(catalog, generation, master_key),
            collector=Collector(catalog, names),
            lifecycle=LifecycleWorker(
                catalog,
                names,
                Mover(catalog, names, content, Carrier(catalog, content, keys), max_object=settings.max_object_size),
                Calendar(round(settings.lifecycle_day_seconds * 1000)),
            ),
            checker=Checker(catalog, names),
            encryption=keys,
            audit=audit,
            local_kms=kms if isinstance(kms, LocalKms) else None,
        )
    finally:
        await keys.close()
        await names.close()
        content.close()
        await catalog.close()


class Application:
    """One ASGI application, two doors. The door is chosen once, here, by path and kind of credentials together."""

    def __init__(
        self, settings: Settings, worker: int = 0, *, ready: Callable[[Core], Awaitable[None]] | None = None
    ) -> None:
        """``ready`` is told the core before the first request. ``worker`` is the number of this process."""
        self._settings = settings
        self._worker = worker
        self._metrics: MetricsDoor | None = None
        self._ready = ready
        self._websites = Domains(settings.website_domains)
        self._hosted = Domains(settings.s3_domains)
        self._s3: S3Door | None = None
        self._rpc: RpcDoor | None = None
        self._keyring: KeyRing | None = None
        self.clients: ClientCount | None = None
        """What the server that runs this knows of its connections."""

    def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """What to await; every request passes here, so that there is no coroutine of its own around the door's."""
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        assert self._s3 is not None and self._rpc is not None
        path = scope["raw_path"]
        if path.startswith((RPC_PREFIX, WHOAMI, HEALTH)) and self._is_rpc(scope, path):
            return self._rpc(scope, receive, send)
        if path == METRICS and self._is_for_metrics(scope):
            assert self._metrics is not None
            return self._metrics(scope, receive, send)
        return self._s3(scope, receive, send)

    # -- what the server below asks of requests, from their heads (gateway.http.crowd)

    @property
    def refusal(self) -> bytes:
        return error_document(SlowDown(), "", "")

    async def is_vital(self, scope: dict[str, Any]) -> bool:
        """Whether a request is answered even under overload: what tells how the server is, and an admin's calls."""
        path = scope["raw_path"]
        if path == METRICS:
            return self._is_for_metrics(scope)
        if not (path.startswith((RPC_PREFIX, HEALTH)) and self._is_rpc(scope, path)):
            return False
        return path == HEALTH or (self._rpc is not None and await self._rpc.is_from_admin(scope))

    def share_of(self, scope: dict[str, Any]) -> str | None:
        """Who a request says that it is from: a lie changes for how long it waits, and nothing else."""
        path = scope["raw_path"]
        if (path == METRICS and self._is_for_metrics(scope)) or (path == HEALTH and self._is_rpc(scope, path)):
            return None
        assert self._keyring is not None
        share = self._keyring.share_of(claimed_key(scope)) or (scope.get("client") or ("",))[0]
        return f"{share} rpc" if path.startswith(RPC_PREFIX) else share

    def _is_rpc(self, scope: dict[str, Any], path: bytes) -> bool:
        """Whether a request on one of the Nexus door's paths is for it: a website may have such pages."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        return self._websites.bucket_of(host) is None and _is_rpc(scope, path)

    def _is_for_metrics(self, scope: dict[str, Any]) -> bool:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        is_bucket = self._websites.bucket_of(host) is not None or self._hosted.bucket_of(host) is not None
        return not is_bucket and self._metrics is not None and self._metrics.takes(scope)

    async def _live(self, receive: Any, send: Any) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # told to end at once: no error
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                core = await stack.enter_async_context(open_core(self._settings))
                await core.names.current()
                if self._ready is not None:
                    await self._ready(core)
                self._keyring = core.keyring
                counters = Metrics()
                logs = LogDelivery(core, seconds=self._settings.log_delivery_seconds)
                core.lifecycle.listen(keep_lifecycle(logs))
                verifier = Verifier(core.keyring.find, self._settings.regions, at_hand=core.keyring.at_hand)
                self._s3 = S3Door(
                    core,
                    verifier,
                    s3_domains=self._settings.s3_domains,
                    website_domains=self._settings.website_domains,
                    admits=core.buckets.open_to_anybody,
                    server_logs=logs,
                    admitted=core.count,
                    admission=core.admission,
                    metrics=counters,
                )
                self._rpc = RpcDoor(core, counters)
                self._metrics = MetricsDoor(
                    core, counters, self._settings.data_dir / CATALOG_FILE, self._worker, self.clients
                )
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
                return
            collecting = asyncio.create_task(
                run_forever(core.collector, self._settings.gc_interval, self._settings.gc_grace)
            )
            tending = asyncio.create_task(lifecycle.run_forever(core.lifecycle, self._settings.lifecycle_interval))
            delivering = asyncio.create_task(logs.run_forever())
            noting = asyncio.create_task(core.keyring.keep_uses())
            measuring = asyncio.create_task(self._metrics.leave_forever())
            thrifty = asyncio.create_task(heap.give_back_forever(lambda: not core.admission.memory_in_use))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._s3.flush_log()
            for task in (collecting, tending, delivering, noting, measuring, thrifty):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await logs.close()
            with contextlib.suppress(GatewayError):  # a full disk keeps nothing from stopping
                await core.keyring.flush_uses()
        await send({"type": "lifespan.shutdown.complete"})


def _is_rpc(scope: dict[str, Any], path: bytes) -> bool:
    """Whether a request on one of the Nexus door's paths is for it: ``api`` and ``health`` are legal bucket names."""
    if b"X-Amz-" in scope["query_string"]:
        return False
    authorization = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    if authorization is not None and authorization[:7].lower() != b"bearer ":
        return False
    if path.startswith(STREAMS) and scope["method"] in ("GET", "PUT"):
        return authorization is not None
    if path.startswith(RPC_PREFIX):
        return scope["method"] == "POST" or path == RPC_PREFIX + b"status"
    return path in (HEALTH, WHOAMI) and scope["method"] in ("GET", "HEAD")


def create_app() -> Application:
    """The factory that worker processes call: settings come from the environment."""
    return Application(Settings())
