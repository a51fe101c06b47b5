"""The run itself: clients at a set pace, a collector, samples, and the checks at the end."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

from botocore.client import BaseClient

from reliability.processes import MIB, Sample, sample, sizes
from reliability.soak import multipart, reads, rude, writes
from reliability.soak.client import AGED, PLAIN, VERSIONED, Client, Place, Site, demand
from reliability.soak.verdict import Bounds, Line, Swept, lines
from tests.e2e.harness import Server, nexus

Operation = Callable[[Client, Place], Awaitable[None]]
OPERATIONS: dict[Operation, int] = {
    reads.get: 10,
    reads.get_present: 12,
    reads.get_version: 3,
    reads.get_range: 10,
    reads.head: 8,
    reads.not_modified: 2,
    reads.list_keys: 5,
    reads.list_versions: 2,
    reads.list_parts: 1,
    reads.presigned_get: 2,
    reads.rpc_read: 3,
    writes.put: 18,
    writes.put_chunked: 3,
    writes.put_if_absent: 3,
    writes.put_if_match: 3,
    writes.put_presigned: 1,
    writes.post_form: 1,
    writes.rpc_write: 3,
    writes.rpc_delete: 1,
    writes.copy: 4,
    writes.tag: 1,
    writes.put_aged: 1,
    writes.delete: 5,
    writes.delete_version: 3,
    writes.delete_several: 2,
    multipart.complete: 3,
    multipart.complete_if_absent: 1,
    multipart.abort: 1,
    multipart.abandon: 1,
    rude.cut_put: 2,
    rude.cut_part: 1,
    rude.leave_get: 2,
    rude.bad_signature: 2,
    rude.bad_body: 1,
}
"""How often each is done, among the others."""

CLIENTS = 8
SAMPLE_SECONDS = 5.0
DAY_SECONDS = 10
"""What the server's lifecycle rules take for a day."""
OLDEST_SECONDS = 90
MANY_PROBLEMS = 50
ENVIRONMENT = {
    "NEXUS_MIN_PART_SIZE": str(multipart.LEAST),
    "NEXUS_LIFECYCLE_DAY_SECONDS": str(DAY_SECONDS),
    "NEXUS_LIFECYCLE_INTERVAL": "15",
}


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    seed: int
    rate: float
    workers: int = 1
    gc_seconds: float = 60
    bounds: Bounds = field(default_factory=Bounds)


@dataclass
class Verdict:
    operations: int
    slow: int
    problems: list[str]
    lines: list[Line]
    done: dict[str, int]

    @property
    def good(self) -> bool:
        return self.operations > 0 and not self.problems and all(line.flat for line in self.lines)


class Soak:
    """A server of its own and its clients; ``tell`` gets a line now and then."""

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
        self.plan = plan
        self.tell = tell
        self.server = Server(folder, ("--workers", str(plan.workers)), ENVIRONMENT)
        self.samples: list[Sample] = []
        self.swept: list[Swept] = []
        self.started = 0.0

    def run(self) -> Verdict:
        self.server.start()
        try:
            boto = self.server.s3(signature_version="s3v4")
            prepare(boto)
            self.site = Site(self.server, boto)
            self.clients = [Client(self.site, number, self.plan.seed) for number in range(CLIENTS)]
            asyncio.run(self._load())
            boto.close()
            self._end()
        finally:
            self.server.kill()
        found = lines(self.samples, self.swept, self.plan.bounds)
        return Verdict(self.site.operations, self.site.slow, self.site.problems, found, dict(self.site.done))

    # While it lasts

    async def _load(self) -> None:
        self.started = time.monotonic()
        self.next_slot = self.started
        others = [asyncio.create_task(each) for each in (self._sample(), self._collect(), self._report())]
        await asyncio.gather(*(self._client(client) for client in self.clients))
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.gather(*(verify(client) for client in self.clients))
        for client in self.clients:
            client.connection.close()

    def _left(self) -> bool:
        return time.monotonic() < self.started + self.plan.seconds and len(self.site.problems) < MANY_PROBLEMS

    async def _client(self, client: Client) -> None:
        while self._left():
            await self._pace()
            operation = client.dice.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
            place = client.place()
            changes = place if operation.__module__ != reads.__name__ else None
            await client.guarded(operation.__name__, changes, operation(client, place))
            await client.guarded("", None, writes.trim(client))
            if client.dice.random() < 0.02:
                client.connection.close()

    async def _pace(self) -> None:
        """Wait for the next of the slots, which are no debt when the server was slow."""
        now = time.monotonic()
        slot = self.next_slot = max(self.next_slot + 1 / self.plan.rate, now)
        await asyncio.sleep(slot - now)

    async def _sample(self) -> None:
        while True:
            self.samples.append(await asyncio.to_thread(self._sample_now))
            await asyncio.sleep(min(SAMPLE_SECONDS, self.plan.seconds / 20))

    def _sample_now(self) -> Sample:
        assert self.server.process is not None
        return sample(time.monotonic() - self.started, self.server.process.pid, self.server.data_dir)

    async def _collect(self) -> None:
        """Collect garbage without grace, and look whether the lifecycle rules do their work."""
        caller = Client(self.site, -1, self.plan.seed)
        try:
            while True:
                await asyncio.sleep(self.plan.gc_seconds)
                await caller.guarded("gc", None, self._collect_now(caller))
        finally:
            caller.connection.close()

    async def _collect_now(self, caller: Client) -> None:
        call = b'{"params": {"grace_seconds": 0}}'
        answer = json.loads((await caller.send("POST", "/api/nfs/gc", caller.bearer(), call)).body)
        demand("result" in answer and not answer["result"]["problems"], f"gc: {answer}")
        live = sum(client.bytes_held() for client in self.clients)
        data = sum(size for _, size in await asyncio.to_thread(lambda: list(sizes(self.server.data_dir))))
        self.swept.append(Swept(time.monotonic() - self.started, data, live))
        for element, stamp in (("{*}Contents", "{*}LastModified"), ("{*}Upload", "{*}Initiated")):
            query = {"list-type": "2"} if "Contents" in element else {"uploads": ""}
            root = ElementTree.fromstring((await caller.call("GET", f"/{AGED}", query)).body)
            for entry in root.iterfind(element):
                age = datetime.now(UTC) - datetime.fromisoformat(entry.findtext(stamp, ""))
                demand(age < timedelta(seconds=OLDEST_SECONDS), f"{entry.findtext('{*}Key')} is of age {age}")

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(60)
            if self.samples:
                self.tell(self._line(self.samples[-1]))

    def _line(self, now: Sample) -> str:
        after = f"{(self.swept[-1].data_bytes - self.swept[-1].live_bytes) / MIB:.0f} MiB" if self.swept else "?"
        return (
            f"{now.at / 60:4.0f} min: {self.site.operations} operations, {len(self.site.problems)} problems, "
            f"{self.site.slow} SlowDown; memory {now.memory_mib:.0f} MiB, {now.descriptors} descriptors, "
            f"{now.threads} threads, WAL {now.wal_bytes / MIB:.1f} MiB, data {now.data_bytes / MIB:.0f} MiB, "
            f"beyond the live set {after}"
        )

    # At the end

    def _end(self) -> None:
        """Collect, compare what is stored with what must be, to the byte; stop; check the stopped store in full."""
        problems = self.site.problems
        self._empty_aged()
        collected = self.server.nexus("gc")
        live: dict[bytes, int] = {}
        for client in self.clients:
            live |= client.blocks()
        stored = sum(each["stored_bytes"] for each in self.server.nexus("stats"))
        self.tell(f"last gc: {collected}; stored {stored} bytes, live {sum(live.values())} bytes")
        if stored != sum(live.values()) and not problems:
            problems.append(f"{stored} bytes are stored of {sum(live.values())} that are live")
        self.server.stop()
        problems += errors_in(self.server.log)
        checked = nexus("fsck", "--rehash", "--json", "--data-dir", str(self.server.data_dir))
        self.tell(f"fsck: exit {checked.returncode} {' '.join(checked.stdout.split())[:500]}")
        if checked.returncode:
            problems.append(f"fsck: {checked.stdout[:1000]}{checked.stderr[:1000]}")
        for path, size in sorted(sizes(self.server.data_dir)):
            if path.suffix == ".db":
                self.tell(
                    f"{path.relative_to(self.server.data_dir)}: {size} bytes, of which {free_pages(path)} are free"
                )

    def _empty_aged(self) -> None:
        boto = self.server.s3()
        for page in boto.get_paginator("list_objects_v2").paginate(Bucket=AGED):
            for entry in page.get("Contents", []):
                boto.delete_object(Bucket=AGED, Key=entry["Key"])
        for upload in boto.list_multipart_uploads(Bucket=AGED).get("Uploads", []):
            boto.abort_multipart_upload(Bucket=AGED, Key=upload["Key"], UploadId=upload["UploadId"])
        boto.close()


def prepare(boto: BaseClient) -> None:
    for bucket in (PLAIN, VERSIONED, AGED):
        boto.create_bucket(Bucket=bucket)
    boto.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    boto.put_bucket_encryption(Bucket=AGED, ServerSideEncryptionConfiguration={"Rules": [rule]})
    days = {"Expiration": {"Days": 1}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    rules = [{"ID": "short", "Status": "Enabled", "Filter": {"Prefix": ""}, **days}]
    boto.put_bucket_lifecycle_configuration(Bucket=AGED, LifecycleConfiguration={"Rules": rules})


async def verify(client: Client) -> None:
    """Everything a client holds reads and lists as it must."""
    for place, held in list(client.held.items()):
        await client.guarded("verify", None, client.verify(place))
        for version in held if place.bucket == VERSIONED else []:
            if version.content is not None:
                await client.guarded("verify", None, _verify_version(client, place, version.id))
    for bucket in (PLAIN, VERSIONED):
        await client.guarded("verify", None, reads.list_keys(client, Place(bucket, "")))
    await client.guarded("verify", None, reads.list_versions(client, Place(VERSIONED, "")))


async def _verify_version(client: Client, place: Place, version_id: str) -> None:
    version = next(each for each in client.held[place] if each.id == version_id)
    await client.verify_version(place, version, await client.call("GET", place.path, {"versionId": version_id}))


def errors_in(log: Path) -> list[str]:
    """What the server took for its own fault."""
    with open(log, errors="replace") as lines:
        return [f"in the log: {line.strip()[:300]}" for line in lines if " ERROR " in line or "Traceback" in line][:10]


def free_pages(path: Path) -> int:
    """Bytes of a database that hold nothing."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        (free,) = database.execute("PRAGMA freelist_count").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
        return int(free) * int(size)
