"""``GET /metrics``: what all workers of this machine measured, for whoever may know it.

A bucket may be called ``metrics``. So this door takes only what S3 cannot mean: a request with a bearer key or token;
and, where the setting opens it to everybody, the exact path without any credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Protocol

from gateway import metrics
from gateway.core import Core
from gateway.metrics import Metrics, Sample

PATH = b"/metrics"
FLUSH_SECONDS = 1.0
STATES = ("ok", "degraded", "open", "unusable")

log = logging.getLogger("nexus.metrics")


class ClientCount(Protocol):
    """What the server below knows of its connections."""

    connections: int
    dismissed: int
    refused: int


class MetricsDoor:
    """Answers for every worker: the others leave their samples in the data directory."""

    def __init__(
        self, core: Core, counters: Metrics, catalog: Path, worker: int, crowd: ClientCount | None = None
    ) -> None:
        settings = core.settings
        self._core = core
        self._counters = counters
        self._crowd = crowd
        self._catalog = catalog
        self._worker = worker
        self._workers = settings.workers
        self._mode = settings.metrics
        token = settings.metrics_token
        self._token = b"" if token is None else token.get_secret_value().encode()
        self._folder = settings.data_dir / "metrics"
        self._started = time.time()

    def takes(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request for ``/metrics`` is for this door."""
        if self._mode == "off" or scope["method"] not in ("GET", "HEAD"):
            return False
        claim = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if claim is not None:
            return bool(claim[:7].lower() == b"bearer ")
        return self._mode == "open" and not scope["query_string"]

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        status, text = await self._answer(scope["headers"])
        body = text.encode()
        kind = metrics.CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, str]:
        if self._mode != "open":
            refusal = await self._refusal([value for name, value in headers if name == b"authorization"])
            if refusal is not None:
                return refusal
        await self._core.names.current()
        others = await asyncio.to_thread(self._others) if self._workers > 1 else []
        return 200, metrics.render([*self._own(), *others, *self._shared()])

    async def _refusal(self, claims: list[bytes]) -> tuple[int, str] | None:
        """Why a caller may not see it: it needs the token for metrics, or a key of an admin, be it read-only."""
        if len(claims) != 1:
            return 401, "one bearer token is needed\n"
        claim = claims[0][7:].strip()
        if self._token and hmac.compare_digest(claim, self._token):
            return None
        principal = await self._core.keyring.bearer(claim.decode("latin-1"))
        if principal is None:
            return 401, "a valid API key of an admin, or the token for metrics, is needed\n"
        if not principal.is_admin or principal.prefixes:
            return 403, "this needs a key of an admin that is not confined to paths\n"
        return None

    # -- samples

    def _own(self) -> Iterator[Sample]:
        """This worker's."""
        worker = {"worker": str(self._worker)}
        for sample in (*self._counters.samples(), *self._stores(), *self._process()):
            yield sample._replace(labels={**sample.labels, **worker})

    def _stores(self) -> Iterator[Sample]:
        snapshot = self._core.names.at_hand
        for mount in snapshot.table.mounts:
            store = snapshot.stores[mount.store_id]
            health = store.health()
            labels = {"mount": mount.mount_point, "store": str(mount.store_id), "type": store.info.backend_type}
            for state in STATES:
                yield Sample("nexus_store_state", {**labels, "state": state}, float(health.state == state))
            if store.guard is None:
                continue
            yield Sample("nexus_store_retry_seconds", labels, health.retry_after)
            if health.latency is not None:
                yield Sample("nexus_store_probe_seconds", labels, health.latency)
            yield Sample("nexus_store_calls_total", labels, health.calls)
            yield Sample("nexus_store_call_seconds_total", labels, health.seconds)
            yield Sample("nexus_store_errors_total", labels, health.failures)
            yield Sample("nexus_store_opened_total", labels, health.opened)

    def _process(self) -> Iterator[Sample]:
        crowd, admission = self._crowd, self._core.admission
        if crowd is not None:
            yield Sample("nexus_connections", {}, crowd.connections)
            yield Sample("nexus_connections_dismissed_total", {}, crowd.dismissed)
            yield Sample("nexus_connections_refused_total", {}, crowd.refused)
        yield Sample("nexus_requests_under_way", {}, admission.under_way)
        yield Sample("nexus_requests_refused_total", {}, admission.refused)
        yield Sample("nexus_body_memory_bytes", {}, admission.memory_in_use)
        buffers, collected = self._core.content.buffers, self._core.collector.collected
        yield Sample("nexus_buffers", {}, buffers.total)
        yield Sample("nexus_buffers_in_use", {}, buffers.total - buffers.free)
        yield Sample("nexus_gc_runs_total", {}, collected.runs)
        yield Sample("nexus_gc_blobs_total", {}, collected.blobs)
        yield Sample("nexus_gc_bytes_total", {}, collected.bytes)
        yield Sample("nexus_gc_kept_total", {}, collected.kept)
        yield Sample("nexus_start_time_seconds", {}, self._started)
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            yield Sample("nexus_resident_bytes", {}, pages * os.sysconf("SC_PAGE_SIZE"))

    def _shared(self) -> Iterator[Sample]:
        """What is the same for all workers."""
        size = 0
        for path in (self._catalog, self._catalog.with_name(f"{self._catalog.name}-wal")):
            with contextlib.suppress(OSError):
                size += path.stat().st_size
        yield Sample("nexus_catalog_bytes", {}, size)
        yield Sample("nexus_catalog_generation", {}, self._core.names.at_hand.generation)

    # -- other workers

    def _others(self) -> list[Sample]:
        found: list[Sample] = []
        for worker in range(self._workers):
            if worker != self._worker:
                with contextlib.suppress(OSError, ValueError, TypeError):
                    found += metrics.load((self._folder / f"{worker}.json").read_text())
        return found

    def _leave(self, text: str) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        fresh = self._folder / f"{self._worker}.new"
        fresh.write_text(text)
        fresh.replace(self._folder / f"{self._worker}.json")

    async def leave_forever(self) -> None:
        """Leave this worker's samples for the others, until cancelled; nothing where nobody would look."""
        if self._mode == "off" or self._workers == 1:
            return
        while True:
            try:
                await asyncio.to_thread(self._leave, metrics.dump(self._own()))
            except OSError as error:
                log.warning("what was measured could not be left for other workers: %s", error)
            await asyncio.sleep(FLUSH_SECONDS)
