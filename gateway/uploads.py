"""What multipart uploads mean: parts are stored as they come, completion is one catalog transaction."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import pairwise

from backends.base import ByteRange
from gateway import checksums
from gateway.acl import Acl
from gateway.bodies import Checks, Source, default_checksum
from gateway.catalog import listing, tenants
from gateway.catalog import uploads as verbs
from gateway.catalog.base import Catalog
from gateway.catalog.blobs import ClaimLost
from gateway.catalog.listing import Page
from gateway.catalog.objects import NewObject
from gateway.catalog.uploads import Completed
from gateway.conditions import UNCONDITIONAL, ReadConditions, WriteConditions, check_copy_source
from gateway.content import ContentStore, Stored
from gateway.encryption import SSE_C, CustomerKey, Wanted
from gateway.encryption_keys import Domain, EncryptionKeys
from gateway.errors import (
    DigestMismatch,
    EntityTooLarge,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    MountsChanged,
    Overloaded,
    PartDigestMismatch,
    SizeMismatch,
    StorageFull,
    UploadNotFound,
)
from gateway.names import Names, OpenStore, Snapshot, same_bucket
from gateway.native import Said, Target
from gateway.objects import ATTEMPTS, Bytes, Objects, check_key, etag_of_parts, now_ms
from gateway.types import Attributes, Bucket, Checksum, Lock, ObjectInfo, Part, Quota, Upload


@dataclass(frozen=True, slots=True)
class Limits:
    """AWS's limits of a multipart upload, as settings."""

    max_parts: int
    min_part: int
    max_part: int
    max_object: int


@dataclass(frozen=True, slots=True)
class ChosenPart:
    """A part as a completion names it."""

    number: int
    etag: str
    checksum: Checksum | None


class Uploads:
    """Multipart uploads by bucket, key and upload id. Callers are authorised before they come here."""

    def __init__(
        self,
        catalog: Catalog,
        names: Names,
        content: ContentStore,
        keys: EncryptionKeys,
        objects: Objects,
        limits: Limits,
    ) -> None:
        self._catalog = catalog
        self._names = names
        self._content = content
        self._keys = keys
        self._objects = objects
        self.limits = limits
        self._completing: dict[str, tuple[Sequence[Part], asyncio.Task[ObjectInfo]]] = {}
        """By upload, what is being put together in native stores by this worker."""

    async def create(
        self,
        bucket: Bucket,
        key: str,
        attributes: Attributes,
        *,
        owner_id: str,
        acl: Acl | None = None,
        lock: Lock | None = None,
        wanted: Wanted | None = None,
        checksum_algorithm: str | None,
        checksum_type: str | None,
    ) -> Upload:
        """Begin an upload; its parts go to the store that serves the key now, encrypted as in ``Objects.put``.

        Raises ReadOnlyMount, KmsError.
        """
        check_key(key)
        for _ in range(ATTEMPTS):
            snapshot = await self._names.current()
            if self._objects.native.target(snapshot, bucket, key) is not None:
                self._objects.native.check(bucket, attributes, Said(acl, lock, wanted))
            store = snapshot.writable(bucket, key, attributes.storage_class)
            scope = store.scope_for(bucket)
            encrypted = wanted or self._keys.default_for(bucket)
            domain = await self._keys.for_writing(bucket.name, scope, encrypted) if encrypted else None
            now = now_ms()
            upload = Upload(
                # Uploads of one key are listed in the order in which they began, which is the order of their ids.
                f"{now:012x}{secrets.token_urlsafe(36)}",
                bucket.id,
                key,
                now,
                owner_id,
                store.info.id,
                domain.scope(scope) if domain else scope,
                attributes,
                checksum_algorithm,
                checksum_type,
                acl,
                lock,
                domain.encryption if domain else None,
            )
            try:
                await self._catalog.write(verbs.create_upload, upload, snapshot.generation)
                return upload
            except MountsChanged:
                bucket = await same_bucket(self._names, bucket)
        raise Overloaded("the configuration keeps changing")

    async def find(self, bucket: Bucket, key: str, upload_id: str) -> Upload:
        """An upload under way of that very key. Raises UploadNotFound."""
        upload = await self._catalog.read(verbs.find_upload, upload_id)
        if upload is None or (upload.bucket_id, upload.key) != (bucket.id, key):
            raise UploadNotFound(upload_id)
        return upload

    async def key_of(self, bucket: Bucket, upload_id: str) -> str | None:
        """The key of an upload under way; None where there is none of that id in the bucket."""
        upload = await self._catalog.read(verbs.find_upload, upload_id)
        return upload.key if upload is not None and upload.bucket_id == bucket.id else None

    async def put_part(
        self,
        bucket: Bucket,
        upload: Upload,
        number: int,
        source: Source,
        checks: Checks,
        customer: CustomerKey | None = None,
    ) -> Part:
        """Store one part. The checksum follows the upload's algorithm, or ``checks``'.

        ``customer`` is the key of an upload that is encrypted with a customer's, checked already.
        """
        snapshot, store = await self._place(bucket, upload)
        if bucket.quota is not None:
            await self._check_room(bucket, bucket.quota, upload, number, source.length or 0)
        domain = await self._domain(bucket, upload, customer)
        stored = await self._content.store(source, store, upload.scope, checks, domain)
        part = await self._name(bucket, upload, number, stored, snapshot)
        return replace(part, checksum=stored.checksum)

    async def _check_room(self, bucket: Bucket, quota: Quota, upload: Upload, number: int, size: int) -> None:
        """Raise QuotaExceeded before a body is read that will not fit."""
        used = await self._catalog.read(tenants.usage, bucket.tenant)
        old = next((part.size for part in await self.parts(upload, number - 1, 1) if part.number == number), 0)
        tenants.check_quota(quota, used, used._replace(part_bytes=used.part_bytes + size - old))

    async def _place(self, bucket: Bucket, upload: Upload) -> tuple[Snapshot, OpenStore]:
        snapshot = await self._names.current()
        path = f"/{bucket.name}/{upload.key}"
        snapshot.table.resolve_writable(path)
        return snapshot, snapshot.holding(upload.store_id, path)

    async def _domain(self, bucket: Bucket, upload: Upload, customer: CustomerKey | None) -> Domain | None:
        """What encrypts the parts of an upload."""
        if upload.encryption is None:
            return None
        wanted = Wanted(upload.encryption, customer if upload.encryption.kind == SSE_C else None)
        return await self._keys.for_writing(bucket.name, upload.scope.rpartition(".")[0], wanted)

    async def _name(self, bucket: Bucket, upload: Upload, number: int, stored: Stored, snapshot: Snapshot) -> Part:
        # Of an upload that asked for none, every part has the one of which the whole's is made.
        checksum = stored.checksum if upload.checksum_algorithm else default_checksum(stored.blocks)
        try:
            for _ in range(ATTEMPTS):
                now = now_ms()
                part = Part(number, stored.content, stored.etag, now, checksum)
                try:
                    claim = stored.claim(snapshot.generation)
                    return await self._content.name(verbs.put_part, bucket, upload.id, part, stored.blocks, claim, now)
                except MountsChanged:
                    snapshot, _ = await self._place(bucket, upload)
                    bucket = await same_bucket(self._names, bucket)
                except ClaimLost:
                    await self._content.reclaim(stored)
            raise Overloaded("the configuration keeps changing")
        except StorageFull:
            raise  # noting garbage needs the room that is not there; a sweep finds it
        except BaseException:
            await self._content.abandon(stored.store, stored.scope, stored.blocks)
            raise

    async def copy_part(
        self,
        bucket: Bucket,
        upload: Upload,
        number: int,
        source: ObjectInfo,
        source_bucket: Bucket,
        span: ByteRange,
        conditions: ReadConditions,
        customer: CustomerKey | None = None,
        source_key: CustomerKey | None = None,
    ) -> Part:
        """Make a part of a span of an object. Raises PreconditionFailed, EntityTooLarge."""
        check_copy_source(conditions, source.etag, source.modified_at)
        size = span.stop - span.start
        if size > self.limits.max_part:
            raise EntityTooLarge(size, self.limits.max_part)
        snapshot, store = await self._place(bucket, upload)
        if bucket.quota is not None:
            await self._check_room(bucket, bucket.quota, upload, number, size)
        body = self._objects.body(source, source_bucket, snapshot, span, source_key)
        checks = Checks(algorithm=upload.checksum_algorithm or "CRC64NVME", limit=self.limits.max_part)
        domain = await self._domain(bucket, upload, customer)
        stored = await self._content.store(body, store, upload.scope, checks, domain)
        return await self._name(bucket, upload, number, stored, snapshot)

    async def parts(self, upload: Upload, after: int, limit: int) -> list[Part]:
        return await self._catalog.scan(verbs.list_parts, upload.id, after, limit)

    async def abort(self, bucket: Bucket, key: str, upload_id: str) -> None:
        """Raises UploadNotFound, ReadOnlyMount."""
        upload = await self.find(bucket, key, upload_id)
        snapshot = await self._names.current()
        snapshot.table.resolve_writable(f"/{bucket.name}/{key}")
        await self._catalog.write(verbs.abort_upload, upload.id, now_ms())

    # -- completion

    async def completed(self, bucket: Bucket, key: str, upload_id: str) -> Completed | None:
        """What an upload that is already complete answered, so that a repeated call answers the same."""
        done = await self._catalog.read(verbs.find_completed, upload_id)
        if done is None or (done.upload.bucket_id, done.upload.key) != (bucket.id, key):
            return None
        return done

    async def complete(
        self,
        bucket: Bucket,
        upload: Upload,
        chosen: Sequence[ChosenPart],
        *,
        whole: Checksum | None,
        size: int | None,
        conditions: WriteConditions = UNCONDITIONAL,
    ) -> ObjectInfo:
        """Make the chosen parts one object. ``whole`` and ``size`` are what the client says of the result.

        Raises InvalidPart, InvalidPartOrder, EntityTooSmall, EntityTooLarge, SizeMismatch, DigestMismatch,
        PreconditionFailed.
        """
        if any(later.number < part.number for part, later in pairwise(chosen)):
            raise InvalidPartOrder(upload.id)
        chosen = list({part.number: part for part in chosen}.values())  # of one number the last word counts
        parts = await self._match(upload, chosen)
        total = sum(part.size for part in parts)
        if total > self.limits.max_object:
            raise EntityTooLarge(total, self.limits.max_object)
        if size is not None and size != total:
            raise SizeMismatch(size, total)
        checksum = self._checksum(upload, parts)
        if whole is not None and not _is_told(whole, checksum):
            raise DigestMismatch(whole.algorithm, whole.value, checksum.value if checksum else "none")
        target = self._objects.native.target(await self._names.current(), bucket, upload.key)
        if target is not None:
            return await self._complete_native(target, upload, parts, checksum, conditions)
        if conditions and self._objects.native.sources(bucket, upload.key):
            find = self._objects.find
            conditions = await self._objects.native.conditions_beneath(bucket, upload.key, conditions, find)
        content = parts[0].content
        for _ in range(ATTEMPTS):
            snapshot, _ = await self._place(bucket, upload)
            new = NewObject(
                bucket,
                upload.key,
                type(content)(upload.store_id, upload.scope, total),
                etag_of_parts([part.etag for part in parts]),
                upload.owner_id,
                upload.attributes,
                checksum,
                now_ms(),
                conditions,
                len(parts),
                _layout(upload, parts),
                upload.acl,
                upload.lock,
                upload.encryption,
            )
            try:
                return await self._catalog.write(verbs.complete_upload, upload, new, parts, snapshot.generation)
            except MountsChanged:
                bucket = await same_bucket(self._names, bucket)
        raise Overloaded("the configuration keeps changing")

    async def _complete_native(
        self,
        target: Target,
        upload: Upload,
        parts: Sequence[Part],
        checksum: Checksum | None,
        conditions: WriteConditions,
    ) -> ObjectInfo:
        """Put the parts together in a native store, which takes a while.

        It goes on when the client gives up waiting: one that asks again meanwhile waits for the same.
        """
        chosen, task = self._completing.get(upload.id, (None, None))
        if task is None or chosen != parts:
            task = asyncio.create_task(self._put_together(target, upload, parts, checksum, conditions))
            self._completing[upload.id] = parts, task
            task.add_done_callback(lambda done: self._forget(upload.id, done))
        return await asyncio.shield(task)

    def _forget(self, upload_id: str, task: asyncio.Task[ObjectInfo]) -> None:
        known = self._completing.get(upload_id)
        if known is not None and known[1] is task:
            del self._completing[upload_id]
        if not task.cancelled():
            task.exception()  # whoever waits is told; nobody may be waiting any more

    async def _put_together(
        self,
        target: Target,
        upload: Upload,
        parts: Sequence[Part],
        checksum: Checksum | None,
        conditions: WriteConditions,
    ) -> ObjectInfo:
        """Write the parts as one object, then end the upload: a repetition before that does it again."""
        bucket = target.bucket

        async def alive() -> None:
            await self.find(bucket, upload.key, upload.id)

        said = Said(upload.acl, upload.lock, Wanted(upload.encryption) if upload.encryption else None)
        total = sum(part.size for part in parts)
        body = Bytes(self._bytes_of(bucket, upload, parts), total)
        checks, find = Checks(limit=total), self._objects.find
        try:
            made = await self._objects.native.put(
                target, body, upload.attributes, checks, said, conditions, find, alive
            )
            made = replace(made, checksum=checksum)
            await self._catalog.write(verbs.end_upload, upload.id, made, parts, now_ms())
            return made
        except UploadNotFound:
            # Another worker may have been asked again, and was faster.
            done = await self.completed(bucket, upload.key, upload.id)
            if done is None or done.parts != [(part.number, part.etag) for part in parts]:
                raise
            return replace(await find(bucket, upload.key), etag=done.etag, checksum=done.checksum)

    async def _bytes_of(self, bucket: Bucket, upload: Upload, parts: Sequence[Part]) -> AsyncIterator[bytes]:
        snapshot = await self._names.current()
        for part in parts:
            if part.size:
                store = snapshot.holding(part.content.store_id, f"/{bucket.name}/{upload.key}")
                whole = self._content.read(store, part.content, ByteRange(0, part.size))
                async with aclosing(whole) as chunks:
                    async for chunk in chunks:
                        yield chunk

    async def _match(self, upload: Upload, chosen: Sequence[ChosenPart]) -> list[Part]:
        """The stored parts that a completion names, each with the ETag and checksum it says."""
        stored = {part.number: part for part in await self.parts(upload, 0, self.limits.max_parts)}
        parts = []
        for choice in chosen:
            part = stored.get(choice.number)
            if part is None or part.etag != choice.etag:
                raise InvalidPart(upload.id, choice.number, choice.etag)
            if choice.checksum is not None and choice.checksum != part.checksum:
                told = choice.checksum.algorithm
                if upload.checksum_algorithm is not None and told != upload.checksum_algorithm:
                    raise PartDigestMismatch(told, choice.number)
                raise InvalidPart(upload.id, choice.number, choice.etag)
            parts.append(part)
        for part in parts[:-1]:
            if part.size < self.limits.min_part:
                raise EntityTooSmall(part.number, part.etag, part.size, self.limits.min_part)
        return parts

    def _checksum(self, upload: Upload, parts: Sequence[Part]) -> Checksum | None:
        """The checksum of the whole, from those of its parts."""
        algorithm = upload.checksum_algorithm or "CRC64NVME"
        digests = []
        for part in parts:
            if part.checksum is None or part.checksum.algorithm != algorithm:
                return None
            digests.append(checksums.decode(algorithm, part.checksum.value))
        if upload.checksum_type == "COMPOSITE":
            return Checksum(algorithm, checksums.composite(algorithm, digests), "COMPOSITE")
        whole = digests[0]
        for part, digest in zip(parts[1:], digests[1:], strict=True):
            whole = checksums.combine(algorithm, whole, digest, part.size)
        return Checksum(algorithm, checksums.encode(whole))

    async def list(self, bucket: Bucket, prefix: str, delimiter: str, after: str, after_id: str, limit: int) -> Page:
        """Uploads under way, in the order of their keys and ids, past (``after``, ``after_id``)."""
        if limit == 0:
            return Page([], [], False, b"")
        return await self._catalog.scan(
            listing.list_uploads,
            bucket.id,
            prefix.encode(),
            delimiter.encode(),
            after.encode(),
            after_id,
            limit,
        )


def _is_told(told: Checksum, checksum: Checksum | None) -> bool:
    """Whether a client says the right checksum of a whole; of a composite one it may leave out the number of parts."""
    if checksum is None or told.algorithm != checksum.algorithm:
        return False
    return checksum.value == told.value or (
        checksum.type == checksums.COMPOSITE and checksum.value.partition("-")[0] == told.value
    )


def _layout(upload: Upload, parts: Sequence[Part]) -> str:
    """The parts' numbers, sizes and checksums, as kept with the object."""
    shown = upload.checksum_algorithm is not None
    return json.dumps(
        [[part.number, part.size, part.checksum.value if shown and part.checksum else None] for part in parts],
        separators=(",", ":"),
    )
