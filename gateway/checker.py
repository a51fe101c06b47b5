"""fsck: does every name have its bytes, and every byte a name? And counts, for ``nexus stats``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from backends.base import (
    Blob,
    BlobDamaged,
    BlobName,
    BlobNotFound,
    StoreError,
    StoreMisconfigured,
    StoreRefused,
    StoreUnavailable,
)
from gateway.catalog import audit, blobs, encryption, tenants
from gateway.catalog.base import Busy, Catalog, exclusively
from gateway.collector import PATIENCE_SECONDS, RIGHT
from gateway.errors import ContentUnavailable, Overloaded
from gateway.names import Names, OpenStore

BATCH = 500
MAX_FINDINGS = 10_000
USAGE = "usage"
"""What is kept of a tenant's usage is not what its rows add up to: quotas are off, nothing is lost."""
MAX_PATHS = 10
LOOKING = 16
TROUBLE = (StoreUnavailable, StoreMisconfigured, StoreRefused)
"""What a store is to blame for, and none of its blobs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: ``orphan`` (harmless), ``missing`` or ``damaged``; or ``unreachable``,
    a store that cannot be looked into."""

    kind: str
    store_id: int
    scope: str
    digest: str
    detail: str
    paths: list[str]


@dataclass(slots=True)
class FsckReport:
    """What was compared and what was found."""

    blobs: int = 0
    objects: int = 0
    findings: list[Finding] = field(default_factory=list)
    unmounted: int = 0
    """Blobs that the catalog knows in stores that are not mounted."""

    @property
    def exit_code(self) -> int:
        """0 clean, 1 orphans only, 2 something missing, damaged or out of reach."""
        kinds = {finding.kind for finding in self.findings}
        return 2 if kinds - {"orphan", USAGE} else 1 if kinds else 0


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds: ``objects`` of ``logical_bytes``, kept as ``blobs`` of ``stored_bytes``."""

    store_id: int
    backend_type: str
    location: str
    objects: int
    logical_bytes: int
    blobs: int
    stored_bytes: int


class Checker:
    """Compares the catalog with the stores, both ways."""

    def __init__(self, catalog: Catalog, names: Names) -> None:
        self._catalog = catalog
        self._names = names

    async def run(self, rehash: bool = False) -> FsckReport:
        """Compare; with ``rehash`` also read every blob and hash it. Nothing is removed.

        A blob found damaged is marked, so that the next upload of the same bytes repairs it. Waits for a collection
        under way to end; raises Overloaded when it does not.
        """
        try:
            # The collector must not remove what was just seen in the catalog and is about to be looked for.
            async with exclusively(self._catalog, RIGHT, PATIENCE_SECONDS):
                return await self._check(rehash)
        except Busy:
            raise Overloaded("a collection is under way") from None

    async def _check(self, rehash: bool) -> FsckReport:
        report = FsckReport()
        report.objects = await self._catalog.scan(audit.count_objects)
        report.unmounted = await self._catalog.scan(audit.count_unmounted)
        for drift in await self._catalog.scan(tenants.count_usage, mend=False):
            told = f"the tenant {drift.tenant} uses {drift.counted.total_bytes} bytes, not {drift.kept.total_bytes};"
            report.findings.append(Finding(USAGE, 0, "", "", f"{told} nexus admin usage --recount corrects it", []))
        snapshot = await self._names.current()
        for store_id, scope, digest in await self._catalog.scan(audit.objects_without_blobs, MAX_FINDINGS):
            await self._add(report, "missing", store_id, BlobName(scope, digest.hex()), "no blob is recorded")
        for store in snapshot.stores.values():
            try:
                await self._check_rows(store, rehash, report)
                await self._check_store(store, report)
            except (*TROUBLE, ContentUnavailable) as error:
                report.findings.append(Finding("unreachable", store.info.id, "", "", str(error), []))
            for scope, digest in await self._catalog.scan(encryption.blobs_without_keys, store.info.id, MAX_FINDINGS):
                name = BlobName(scope, digest.hex())
                await self._add(report, "damaged", store.info.id, name, "the key that wraps its key is lost")
            for scope, digest, size in await self._catalog.scan(audit.unreferenced, store.info.id, MAX_FINDINGS):
                name = BlobName(scope, digest.hex())
                await self._add(report, "orphan", store.info.id, name, f"{size} bytes that nothing names")
        return report

    async def _check_rows(self, store: OpenStore, rehash: bool, report: FsckReport) -> None:
        """Each row of the catalog has its blob."""
        scope, digest = "", b""
        slots = asyncio.Semaphore(LOOKING)
        trouble: list[StoreError] = []
        while rows := await self._catalog.scan(blobs.rows_after, store.info.id, scope, digest, BATCH):
            scope, digest = rows[-1][0], rows[-1][1]

            async def check(row: tuple[str, bytes, int, int]) -> None:
                async with slots:
                    if not trouble:
                        try:
                            await self._check_row(store, row, rehash, report)
                        except TROUBLE as error:
                            trouble.append(error)

            await asyncio.gather(*(check(row) for row in rows if row[3] != blobs.DYING))
            if trouble:
                raise trouble[0]
            report.blobs += len(rows)

    async def _check_row(
        self, store: OpenStore, row: tuple[str, bytes, int, int], rehash: bool, report: FsckReport
    ) -> None:
        scope, digest, size, state = row
        name = BlobName(scope, digest.hex())
        kind, detail = "", ""
        try:
            blob = await store.use().stat(name)
            if blob is None:
                kind, detail = "missing", "the store does not have it"
            elif blob.size != size:
                kind, detail = "damaged", f"{blob.size} bytes instead of {size}"
            elif rehash and (found := await _rehash(store, name)) != name.digest:
                kind, detail = "damaged", f"its bytes hash to {found}"
        except (BlobDamaged, BlobNotFound) as error:
            kind, detail = "damaged", str(error)
        except TROUBLE:
            raise
        except StoreError as error:
            kind, detail = "damaged", f"it cannot be read: {error}"
        if kind:
            await self._add(report, kind, store.info.id, name, detail)
            await self._catalog.write(blobs.set_state, store.info.id, *name, blobs.LIVE, blobs.DAMAGED)
        elif state == blobs.DAMAGED and rehash:
            await self._catalog.write(blobs.set_state, store.info.id, *name, blobs.DAMAGED, blobs.LIVE)

    async def _check_store(self, store: OpenStore, report: FsckReport) -> None:
        """Each blob of the store has its row."""
        batch: list[Blob] = []
        async for blob in store.use().scan():
            batch.append(blob)
            if len(batch) >= BATCH:
                await self._check_batch(store, batch, report)
                batch = []
        await self._check_batch(store, batch, report)

    async def _check_batch(self, store: OpenStore, batch: Sequence[Blob], report: FsckReport) -> None:
        names = [(blob.name.scope, blob.name.digest) for blob in batch]
        states = await self._catalog.scan(audit.states_of, store.info.id, names)
        for blob, state in zip(batch, states, strict=True):
            if state is None:
                await self._add(report, "orphan", store.info.id, blob.name, f"{blob.size} bytes that no row knows")

    async def _add(self, report: FsckReport, kind: str, store_id: int, name: BlobName, detail: str) -> None:
        if len(report.findings) >= MAX_FINDINGS:
            return
        paths = []
        if kind != "orphan":
            paths = await self._catalog.scan(audit.named_by, store_id, *name, MAX_PATHS)
        report.findings.append(Finding(kind, store_id, name.scope, name.digest, detail, paths))

    async def stats(self) -> list[StoreStats]:
        """What every store holds, mounted or not."""
        snapshot = await self._names.current()
        found = []
        for store_id, backend_type, _, objects, logical, count, stored in await self._catalog.scan(audit.usage):
            points = sorted(mount.mount_point for mount in snapshot.table.mounts if mount.store_id == store_id)
            location = ", ".join(points) or "(not mounted)"
            found.append(StoreStats(store_id, backend_type, location, objects, logical, count, stored))
        return found


async def _rehash(store: OpenStore, name: BlobName) -> str:
    digest = hashlib.sha256()
    async for chunk in store.use().get(name):
        await asyncio.to_thread(digest.update, chunk)
    return digest.hexdigest()
