"""Removes blobs that no name has pointed at for a grace period.

The name goes first, when an object is deleted; the bytes go here. Each removal is decided in a transaction that
saw no reference and marked the blob dying; only then are the bytes deleted, and only then the row. A put that
meets a dying blob waits; one that is under way while blobs are marked sees the store's epoch change and looks
again (``gateway.catalog.blobs``). So garbage goes, and only garbage, whatever the grace period.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from backends.base import Blob, BlobName, StoreError
from gateway.catalog import blobs, uploads
from gateway.catalog.base import Busy, Catalog, exclusively
from gateway.catalog.blobs import Garbage
from gateway.errors import Overloaded
from gateway.names import Names, OpenStore, Snapshot

log = logging.getLogger("nexus.collector")

BATCH = 500
DISSOLVE = 5000
REMEMBER_COMPLETED_MS = 7 * 24 * 3600 * 1000
DELETING = 8
RIGHT = "collector"
"""Who removes blobs, or must see none removed, holds this right."""
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class GcReport:
    """What a collection removed: blobs and their bytes; ``orphans`` of them no row knew; ``kept`` could not go."""

    blobs: int = 0
    bytes: int = 0
    orphans: int = 0
    kept: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Collected:
    """Several collections together."""

    runs: int = 0
    blobs: int = 0
    bytes: int = 0
    kept: int = 0

    def add(self, report: GcReport) -> None:
        self.runs += 1
        self.blobs += report.blobs
        self.bytes += report.bytes
        self.kept += report.kept


class Collector:
    """The one remover of blobs; at most one runs at a time, over all processes."""

    def __init__(self, catalog: Catalog, names: Names) -> None:
        self._catalog = catalog
        self._names = names
        self.collected = Collected()
        """What this process collected since it started."""

    async def run(self, grace_seconds: float, *, sweep: bool = True, patience: float = PATIENCE_SECONDS) -> GcReport:
        """Remove what has been garbage for ``grace_seconds``; with ``sweep`` also files that no row knows.

        Waits up to ``patience`` seconds for another collection to end. Raises Overloaded when it does not.
        """
        try:
            async with exclusively(self._catalog, RIGHT, patience):
                report = await self._collect(grace_seconds, sweep)
        except Busy:
            raise Overloaded("another collection is under way") from None
        self.collected.add(report)
        return report

    async def _collect(self, grace_seconds: float, sweep: bool) -> GcReport:
        report = GcReport()
        before = int((time.time() - grace_seconds) * 1000)
        snapshot = await self._names.current()
        await self._catalog.write(uploads.forget_completed, before - REMEMBER_COMPLETED_MS)
        await self._dissolve(before)
        while dying := await self._catalog.scan(blobs.dying_blobs, BATCH):
            if not await self._remove(dying, snapshot, report):
                break
        await self._remove_marked(before, snapshot, report)
        if sweep:
            for store in snapshot.stores.values():
                await self._sweep(store, grace_seconds, snapshot, report)
        return report

    async def _dissolve(self, before: int) -> None:
        while dead := await self._catalog.scan(blobs.dead_manifests, before, BATCH):
            for manifest_id in dead:
                while not await self._catalog.write(blobs.dissolve_manifest, manifest_id, DISSOLVE):
                    pass

    async def _remove_marked(self, before: int, snapshot: Snapshot, report: GcReport) -> None:
        after = (-1, "", b"")
        while marks := await self._catalog.scan(blobs.due_garbage, before, after, BATCH):
            after = marks[-1][:3]
            usable = [mark for mark in marks if _deletable(mark.store_id, snapshot)]
            report.kept += len(marks) - len(usable)
            dying = await self._catalog.write(blobs.mark_dying, usable)
            await self._remove(dying, snapshot, report)

    async def _remove(self, dying: Sequence[Garbage], snapshot: Snapshot, report: GcReport) -> bool:
        """Delete the bytes of dying blobs, then their rows; whether any progress was made."""
        gone: list[Garbage] = []
        slots = asyncio.Semaphore(DELETING)

        async def delete(mark: Garbage) -> None:
            store = snapshot.stores.get(mark.store_id)
            if store is None or store.blobs is None:
                report.kept += 1
                return
            name = BlobName(mark.scope, mark.digest.hex())
            async with slots:
                try:
                    blob = await store.blobs.stat(name)
                    await store.blobs.delete(name)
                except StoreError as error:
                    report.kept += 1
                    report.problems.append(f"store {mark.store_id}: {error}")
                    return
            gone.append(mark)
            if blob is not None:
                report.blobs += 1
                report.bytes += blob.size

        await asyncio.gather(*(delete(mark) for mark in dying))
        await self._catalog.write(blobs.forget, gone)
        return bool(gone)

    async def _sweep(self, store: OpenStore, grace_seconds: float, snapshot: Snapshot, report: GcReport) -> None:
        """Remove blobs that no row knows: left by a crash between bytes and name."""
        if store.blobs is None or not _deletable(store.info.id, snapshot):
            return
        oldest = time.time() - grace_seconds
        batch: list[Blob] = []
        try:
            async for blob in store.blobs.scan():
                if blob.stored_at <= oldest:
                    batch.append(blob)
                if len(batch) >= BATCH:
                    await self._sweep_batch(store, batch, snapshot, report)
                    batch = []
            await self._sweep_batch(store, batch, snapshot, report)
        except StoreError as error:
            report.problems.append(f"store {store.info.id}: {error}")

    async def _sweep_batch(self, store: OpenStore, batch: Sequence[Blob], snapshot: Snapshot, report: GcReport) -> None:
        by_scope: dict[str, list[str]] = {}
        for blob in batch:
            by_scope.setdefault(blob.name.scope, []).append(blob.name.digest)
        for scope, digests in by_scope.items():
            known = await self._catalog.scan(blobs.states, store.info.id, scope, digests)
            unknown = [Garbage(store.info.id, scope, bytes.fromhex(d), 0) for d in digests if d not in known]
            if unknown:
                dying = await self._catalog.write(blobs.mark_dying, unknown)
                before = report.blobs
                await self._remove(dying, snapshot, report)
                report.orphans += report.blobs - before


def _deletable(store_id: int, snapshot: Snapshot) -> bool:
    """Whether a store is mounted for writing somewhere: a read-only one is left as it is."""
    return any(mount.store_id == store_id and not mount.readonly for mount in snapshot.table.mounts)


async def run_forever(collector: Collector, interval: float, grace_seconds: float) -> None:
    """Collect every ``interval`` seconds until cancelled; where several workers do, one gets its turn."""
    while True:
        await asyncio.sleep(interval)
        try:
            report = await collector.run(grace_seconds, sweep=False, patience=0)
            if report.blobs:
                log.info("collected %d blobs, %d bytes", report.blobs, report.bytes)
        except Overloaded:
            continue
        except Exception:
            log.exception("a collection failed")
