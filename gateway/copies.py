"""What copying an object means: naming its content once more, or where that cannot be, an upload."""

from __future__ import annotations

from dataclasses import replace

from backends.base import ByteRange
from gateway import checksums
from gateway.acl import Acl
from gateway.bodies import Checks
from gateway.catalog import blobs
from gateway.catalog import objects as verbs
from gateway.catalog.base import Catalog
from gateway.catalog.objects import NewObject
from gateway.conditions import UNCONDITIONAL, ReadConditions, WriteConditions, check_copy_source
from gateway.content import ContentStore
from gateway.encryption import CustomerKey, Encryption, Wanted
from gateway.encryption_keys import Domain
from gateway.errors import ContentUnavailable, EntityTooLarge, MountsChanged, Overloaded
from gateway.names import Names, OpenStore, Snapshot
from gateway.native import Said, Target
from gateway.objects import ATTEMPTS, Bytes, Objects, check_key, now_ms, still_there
from gateway.storage_classes import STANDARD
from gateway.types import Attributes, Bucket, Checksum, Lock, ObjectInfo


class Copies:
    """Copies objects. Callers are authorised, to read the source as well, before they come here."""

    def __init__(self, catalog: Catalog, names: Names, content: ContentStore, objects: Objects, *, limit: int) -> None:
        self._catalog = catalog
        self._names = names
        self._content = content
        self._objects = objects
        self._limit = limit

    async def copy(
        self,
        source: ObjectInfo,
        source_bucket: Bucket,
        bucket: Bucket,
        key: str,
        *,
        owner_id: str,
        acl: Acl | None = None,
        attributes: Attributes | None,
        algorithm: str | None,
        lock: Lock | None = None,
        wanted: Wanted | None = None,
        source_key: CustomerKey | None = None,
        limit: int | None = None,
        source_conditions: ReadConditions,
        conditions: WriteConditions = UNCONDITIONAL,
    ) -> ObjectInfo:
        """Copy an object; within a store and a domain of encryption no byte moves.

        ``attributes`` None keeps the source's; ``source_key`` is the key of one that is encrypted with a customer's.
        Raises EntityTooLarge for a source over the limit, else that of S3's single copy; PreconditionFailed, KmsError;
        ObjectReplaced where the source is another, or elsewhere, by now: look again.
        """
        check_key(key)
        check_copy_source(source_conditions, source.etag, source.modified_at)
        limit = self._limit if limit is None else limit
        if source.size > limit:
            raise EntityTooLarge(source.size, limit)
        snapshot = await self._names.current()
        target = self._objects.native.target(snapshot, bucket, key)
        if target is not None:
            said = Said(acl, lock, wanted)
            return await self._into_native(
                source, source_bucket, target, attributes, algorithm, said, source_key, conditions, snapshot
            )
        attributes = source.attributes if attributes is None else attributes
        store = snapshot.writable(bucket, key, attributes.storage_class)
        if conditions:
            conditions = await self._objects.check_early(bucket, key, conditions)
        if bucket.quota is not None:
            await self._objects.check_room(bucket, bucket.quota, key, source.size)
        scope, domain = await self._objects.place(store, bucket, wanted)
        new = NewObject(
            bucket,
            key,
            source.content,
            source.etag,
            owner_id,
            attributes,
            await self._checksum(source, source_bucket, algorithm, snapshot, source_key),
            now_ms(),
            conditions,
            source.parts,
            acl=acl,
            lock=lock,
            encryption=domain.encryption if domain else None,
        )
        if source.native is not None or (
            source.content.size and (store.info.id, scope) != (source.content.store_id, source.content.scope)
        ):
            body = self._objects.body(source, source_bucket, snapshot, ByteRange(0, source.size), source_key)
            return await self._by_bytes(source, source_bucket, body, new, store, scope, domain, snapshot)
        for _ in range(ATTEMPTS):
            try:
                return await self._catalog.write(verbs.copy_object, new, source, snapshot.generation)
            except MountsChanged:
                snapshot, bucket = await still_there(self._names, new, store)
                new = replace(new, bucket=bucket)
        raise Overloaded("the configuration keeps changing")

    async def _into_native(
        self,
        source: ObjectInfo,
        source_bucket: Bucket,
        target: Target,
        attributes: Attributes | None,
        algorithm: str | None,
        said: Said,
        key: CustomerKey | None,
        conditions: WriteConditions,
        snapshot: Snapshot,
    ) -> ObjectInfo:
        """A copy into a native store: the bytes go there, unless they are there and only what is said changes."""
        if attributes is None:  # the class that the source was placed by says nothing of this place
            attributes = replace(source.attributes, storage_class=STANDARD)
        if self._objects.native.is_at(source, target):
            self._objects.native.check(target.bucket, attributes, said)
            if conditions:
                await self._objects.check_early(target.bucket, target.key, conditions)
            return await self._objects.native.describe(target.bucket, source, attributes)
        body = self._objects.body(source, source_bucket, snapshot, ByteRange(0, source.size), key)
        checks = Checks(algorithm=algorithm or "CRC64NVME", limit=source.size)
        async with self._objects.reading(source_bucket, source):
            return await self._objects.native.put(
                target, body, attributes, checks, said, conditions, self._objects.find
            )

    async def _by_bytes(
        self,
        source: ObjectInfo,
        source_bucket: Bucket,
        body: Bytes,
        new: NewObject,
        store: OpenStore,
        scope: str,
        domain: Domain | None,
        snapshot: Snapshot,
    ) -> ObjectInfo:
        """A copy between stores or scopes: a real upload, which keeps the parts, and the ETag where it may."""
        async with self._objects.reading(source_bucket, source):
            stored = await self._content.store(body, store, scope, Checks(limit=source.size), domain)
        if source.native is not None:  # its ETag may be none of ours, and it has no checksum that we know
            new = replace(new, checksum=new.checksum or stored.checksum)
        elif not source.parts and not _hides_md5(source.encryption) and stored.md5.hex() != source.etag:
            await self._content.abandon(stored.store, stored.scope, stored.blocks)
            raise ContentUnavailable("the source's bytes do not match its ETag")
        layout = None
        if source.parts and source.content.manifest_id is not None:
            layout = await self._catalog.scan(blobs.manifest_parts, source.content.manifest_id)
        etag = stored.etag
        if source.parts:
            etag = f"{etag}-{source.parts}" if _hides_md5(new.encryption) else source.etag
        return await self._objects.name(
            replace(new, content=stored.content, etag=etag, layout=layout), stored, snapshot
        )

    async def _checksum(
        self,
        source: ObjectInfo,
        bucket: Bucket,
        algorithm: str | None,
        snapshot: Snapshot,
        key: CustomerKey | None,
    ) -> Checksum | None:
        """The source's checksum, or one of another algorithm, computed by reading the source."""
        have = source.checksum
        if algorithm is None or (have and have.algorithm == algorithm and have.type == "FULL_OBJECT"):
            return have
        hasher = checksums.new(algorithm)
        if source.size:
            async with self._objects.reading(bucket, source):
                async for chunk in self._objects.body(source, bucket, snapshot, ByteRange(0, source.size), key):
                    await self._content.run(hasher.update, chunk)
        return Checksum(algorithm, checksums.encode(hasher.digest()))


def _hides_md5(encryption: Encryption | None) -> bool:
    return encryption is not None and encryption.hides_md5
