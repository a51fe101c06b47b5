"""What putting, reading, deleting and listing objects mean. (``gateway.copies`` copies them.)"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from backends.base import ByteRange
from gateway.acl import Acl
from gateway.bodies import Checks, Pieces, Source
from gateway.catalog import blobs, listing, tenants, versions
from gateway.catalog import objects as verbs
from gateway.catalog.base import Catalog
from gateway.catalog.blobs import ClaimLost
from gateway.catalog.listing import Page
from gateway.catalog.objects import NewObject, Removal, Removed
from gateway.conditions import (
    UNCONDITIONAL,
    WriteConditions,
    check_write,
)
from gateway.content import ContentStore, Stored
from gateway.encryption import CustomerKey, Wanted
from gateway.encryption_keys import Domain, EncryptionKeys
from gateway.errors import (
    Conflict,
    ContentUnavailable,
    IsDeleteMarker,
    KeyTooLong,
    MountsChanged,
    NotHeld,
    ObjectNotFound,
    ObjectReplaced,
    Overloaded,
    StorageFull,
    VersionNotFound,
)
from gateway.names import Names, OpenStore, Snapshot, same_bucket
from gateway.native import NativeObjects, Said
from gateway.types import Attributes, Bucket, Lock, ObjectInfo, ObjectPart, Quota
from gateway.versioning import NULL, SUSPENDED, place_of, shown_id, versioning_of

MAX_KEY = 1024
ATTEMPTS = 20
MAX_VERSION = 2**48


@dataclass(slots=True)
class Opened:
    """An object that is being read: ``span`` of its bytes, at once or as they come."""

    info: ObjectInfo
    span: ByteRange
    body: bytes | AsyncIterator[bytes]


@dataclass(slots=True)
class Staged:
    """A body that is stored and has no name yet."""

    new: NewObject
    stored: Stored
    snapshot: Snapshot


class Objects:
    """Objects by bucket and key. Callers are authorised before they come here."""

    def __init__(self, catalog: Catalog, names: Names, content: ContentStore, keys: EncryptionKeys) -> None:
        self._catalog = catalog
        self._names = names
        self._content = content
        self._keys = keys
        self.native = NativeObjects(names, content, keys)

    # -- reading

    async def find(self, bucket: Bucket, key: str, version_id: str | None = None) -> ObjectInfo:
        """What a key shows, or one of its versions. Raises ObjectNotFound, VersionNotFound, IsDeleteMarker."""
        if self._names.at_hand.has_natives and not version_id and (sources := self.native.sources(bucket, key)):
            return await self.native.find(sources, bucket, key, version_id, self._find)
        return await self._find(bucket, key, version_id)

    async def _find(self, bucket: Bucket, key: str, version_id: str | None = None) -> ObjectInfo:
        """The same, of what the catalog has."""
        if version_id is not None:
            found = await self._catalog.read(versions.find_version, bucket.id, key, version_id)
        else:
            found = await self._catalog.find(verbs.find_object(bucket.id, key))
        if found is None:
            if version_id is not None:
                raise VersionNotFound(bucket.name, key, shown_id(version_id))
            raise ObjectNotFound(bucket.name, key, await self._marker(bucket, key))
        if found.is_marker:
            raise IsDeleteMarker(bucket.name, key, shown_id(found.version_id), found.modified_at)
        return found

    async def _marker(self, bucket: Bucket, key: str) -> str | None:
        """The version id of the delete marker that hides a key, as S3 shows it."""
        if versioning_of(bucket) is None:
            return None
        last = await self._catalog.read(versions.latest, bucket.id, key.encode())
        return shown_id(last.version_id) if last is not None and last.is_marker else None

    async def open(
        self, bucket: Bucket, key: str, info: ObjectInfo, span: ByteRange, customer: CustomerKey | None = None
    ) -> Opened:
        """Start reading bytes [start, stop) of an object found before.

        The first bytes are in hand when this returns, so that what cannot be read is an error and not a cut
        connection. ``customer`` is the key that came with the request, checked against the object's already.
        Raises ContentUnavailable, BackendNotFound, KmsError; ObjectNotFound when it has just been deleted,
        ObjectReplaced when it was overwritten: whether the caller may read what is there now is to be decided anew.
        """
        try:
            return await self._open(bucket, key, info, span, customer)
        except ContentUnavailable:
            await self._look_again(bucket, info)
            raise

    @asynccontextmanager
    async def reading(self, bucket: Bucket, info: ObjectInfo) -> AsyncIterator[None]:
        """Read an object found before in the block: what is missing because it was deleted, overwritten or moved
        meanwhile raises ObjectNotFound or ObjectReplaced instead of ContentUnavailable.
        """
        try:
            yield
        except ContentUnavailable:
            await self._look_again(bucket, info)
            raise

    async def _look_again(self, bucket: Bucket, info: ObjectInfo) -> None:
        """Raise ObjectNotFound or ObjectReplaced where an object that cannot be read is not what it was."""
        if info.native is not None:
            return
        again = await self.find(bucket, info.key, info.version_id or None)
        if again.content != info.content:
            raise ObjectReplaced("it was replaced while it was read; read it again") from None

    async def _open(
        self, bucket: Bucket, key: str, info: ObjectInfo, span: ByteRange, customer: CustomerKey | None
    ) -> Opened:
        content = info.content
        if span.stop <= span.start:
            return Opened(info, span, b"")
        snapshot = await self._names.current()
        if info.native is not None:
            native = self.native.read(snapshot, f"/{bucket.name}/{key}", info, span)
            return Opened(info, span, _prepend(await anext(native, b""), native))
        store = snapshot.holding(content.store_id, f"/{bucket.name}/{key}")
        if content.sealed:
            opened = await self._content.read_small_sealed(store, content, span, customer)
            if opened is not None:
                return Opened(info, span, opened)
        elif (small := self._content.read_small(store, content)) is not None:
            return Opened(info, span, small if len(small) == span.stop - span.start else small[span.start : span.stop])
        chunks = self._content.read(store, content, span, customer)
        first = await anext(chunks, b"")
        return Opened(info, span, _prepend(first, chunks))

    async def parts(self, info: ObjectInfo) -> list[ObjectPart]:
        """The parts that a multipart upload put together; empty for other objects."""
        if info.content.manifest_id is None or not info.parts:
            return []
        layout = await self._catalog.scan(blobs.manifest_parts, info.content.manifest_id)
        parts, offset = [], 0
        for number, size, checksum in json.loads(layout or "[]"):
            parts.append(ObjectPart(number, offset, size, checksum))
            offset += size
        return parts

    # -- writing

    async def put(
        self,
        bucket: Bucket,
        key: str,
        source: Source,
        attributes: Attributes,
        checks: Checks,
        *,
        owner_id: str,
        acl: Acl | None = None,
        lock: Lock | None = None,
        wanted: Wanted | None = None,
        conditions: WriteConditions = UNCONDITIONAL,
    ) -> ObjectInfo:
        """Store a body, encrypted as ``wanted`` or, where that is None, as the bucket says, and name it.

        Everything that can be refused early is, before the body is read.
        """
        snapshot = await self._names.current()
        if snapshot.has_natives and (target := self.native.target(snapshot, bucket, key)) is not None:
            check_key(key)
            return await self.native.put(
                target, source, attributes, checks, Said(acl, lock, wanted), conditions, self.find
            )
        staged = await self.stage(
            bucket,
            key,
            source,
            attributes,
            checks,
            owner_id=owner_id,
            acl=acl,
            lock=lock,
            wanted=wanted,
            conditions=conditions,
        )
        return await self.name(staged.new, staged.stored, staged.snapshot)

    async def stage(
        self,
        bucket: Bucket,
        key: str,
        source: Source,
        attributes: Attributes,
        checks: Checks,
        *,
        owner_id: str,
        acl: Acl | None = None,
        lock: Lock | None = None,
        wanted: Wanted | None = None,
        conditions: WriteConditions = UNCONDITIONAL,
    ) -> Staged:
        """The first half of a put: the body is stored, and has yet to be named."""
        check_key(key)
        snapshot = await self._names.current()
        if snapshot.has_natives and self.native.target(snapshot, bucket, key) is not None:
            raise NotHeld("This path is in a native store, which cannot take one object together with others.")
        store = snapshot.writable(bucket, key, attributes.storage_class)
        if conditions:
            conditions = await self.check_early(bucket, key, conditions)
        if bucket.quota is not None:
            await self.check_room(bucket, bucket.quota, key, source.length or 0)
        scope, domain = store.scope_for(bucket), None
        if (wanted := wanted or self._keys.default_for(bucket)) is not None:
            scope, domain = await self.place(store, bucket, wanted)
        stored = await self._content.store(source, store, scope, checks, domain)
        new = NewObject(
            bucket,
            key,
            stored.content,
            stored.etag,
            owner_id,
            attributes,
            stored.checksum,
            now_ms(),
            conditions,
            acl=acl,
            lock=lock,
            encryption=domain.encryption if domain else None,
        )
        return Staged(new, stored, snapshot)

    async def place(self, store: OpenStore, bucket: Bucket, wanted: Wanted | None) -> tuple[str, Domain | None]:
        """The scope of new content, and what encrypts it. Raises KmsError."""
        scope = store.scope_for(bucket)
        wanted = wanted or self._keys.default_for(bucket)
        if wanted is None:
            return scope, None
        domain = await self._keys.for_writing(bucket.name, scope, wanted)
        return domain.scope(scope), domain

    async def check_early(self, bucket: Bucket, key: str, conditions: WriteConditions) -> WriteConditions:
        """Raise where conditions do not hold now; what the catalog has to check when it names the object."""
        if self.native.sources(bucket, key):
            return await self.native.conditions_beneath(bucket, key, conditions, self.find)
        present = await self._catalog.find(verbs.find_object(bucket.id, key))
        check_write(
            conditions,
            bucket.name,
            key,
            (present.etag, present.size, present.modified_at) if present else None,
        )
        return conditions

    async def check_room(self, bucket: Bucket, quota: Quota, key: str, size: int) -> None:
        """Raise QuotaExceeded before a body is read that will not fit. What just fits is decided when it is named."""
        status = versioning_of(bucket)
        if status == SUSPENDED:
            return  # what the write takes the place of is seen when it does
        used = await self._catalog.read(tenants.usage, bucket.tenant)
        old = await self._catalog.find(verbs.find_object(bucket.id, key)) if status is None else None
        grown = used._replace(
            objects=used.objects + (old is None), object_bytes=used.object_bytes + size - (old.size if old else 0)
        )
        tenants.check_quota(quota, used, grown)

    async def name(self, new: NewObject, stored: Stored, snapshot: Snapshot) -> ObjectInfo:
        """Commit a stored body under its name, looking again where the world moved on meanwhile."""
        try:
            for _ in range(ATTEMPTS):
                try:
                    claim = stored.claim(snapshot.generation)
                    return await self._content.name(verbs.put_object, new, stored.blocks, claim)
                except MountsChanged:
                    snapshot, bucket = await still_there(self._names, new, stored.store)
                    new = replace(new, bucket=bucket)
                except ClaimLost:
                    await self._content.reclaim(stored)
            raise Overloaded("the configuration keeps changing")
        except StorageFull:
            raise  # noting garbage needs the room that is not there; a sweep finds it
        except BaseException:
            await self._content.abandon(stored.store, stored.scope, stored.blocks)
            raise

    def body(
        self, source: ObjectInfo, bucket: Bucket, snapshot: Snapshot, span: ByteRange, key: CustomerKey | None
    ) -> Bytes:
        """A span of the bytes of an object, as a body."""
        size, path = span.stop - span.start, f"/{bucket.name}/{source.key}"
        if source.native is not None:
            return Bytes(self.native.read(snapshot, path, source, span), size)
        origin = snapshot.holding(source.content.store_id, path)
        return Bytes(self._content.read(origin, source.content, span, key), size)

    async def delete(self, bucket: Bucket, removal: Removal) -> Removed:
        """Remove a key, or a version of it.

        Raises by the conditions, ObjectLocked, ReadOnlyMount, BackendNotFound.
        """
        check_key(removal.key)
        if self._names.at_hand.has_natives and (sources := self.native.sources(bucket, removal.key)):
            return await self.native.delete(sources, bucket, removal, self._find, self._delete)
        return await self._delete(bucket, removal)

    async def _delete(self, bucket: Bucket, removal: Removal) -> Removed:
        """The same, of what the catalog has."""
        for _ in range(ATTEMPTS):
            snapshot = await self._names.current()
            snapshot.table.resolve_writable(f"/{bucket.name}/{removal.key}")
            try:
                return await self._catalog.write(verbs.delete_object, bucket, removal, now_ms(), snapshot.generation)
            except MountsChanged:
                bucket = await same_bucket(self._names, bucket)
        raise Overloaded("the configuration keeps changing")

    async def set_tags(
        self, bucket: Bucket, key: str, tags: tuple[tuple[str, str], ...], version_id: str | None = None
    ) -> None:
        """Replace an object's tags. Raises ObjectNotFound, VersionNotFound, IsDeleteMarker, ReadOnlyMount."""
        await self._check_writable(bucket, key)
        if await self.native.shown(bucket, key, version_id, self.find) is not None:
            if tags:
                raise NotHeld("This object is in a native store, which has no tags.")
            return
        await self._catalog.write(versions.set_tags, bucket, key, version_id, tags)

    async def set_legal_hold(self, bucket: Bucket, key: str, version_id: str | None, held: bool) -> None:
        """Put a version under a legal hold or lift it. Raises as ``set_tags``."""
        await self._check_lockable(bucket, key, version_id)
        await self._catalog.write(versions.set_legal_hold, bucket, key, version_id, held)

    async def set_retention(
        self, bucket: Bucket, key: str, version_id: str | None, mode: str | None, until: int | None, *, bypass: bool
    ) -> None:
        """Replace a version's retention. Raises as ``set_tags``, and ObjectLocked."""
        await self._check_lockable(bucket, key, version_id)
        await self._catalog.write(versions.set_retention, bucket, key, version_id, mode, until, now_ms(), bypass)

    async def _check_writable(self, bucket: Bucket, key: str) -> None:
        snapshot = await self._names.current()
        snapshot.table.resolve_writable(f"/{bucket.name}/{key}")

    async def _check_lockable(self, bucket: Bucket, key: str, version_id: str | None) -> None:
        await self._check_writable(bucket, key)
        if await self.native.shown(bucket, key, version_id, self.find) is not None:
            raise NotHeld("This object is in a native store, which has no object lock.")

    async def set_acl(self, bucket: Bucket, info: ObjectInfo, acl: Acl | None) -> None:
        """Replace the ACL of an object found before; nothing else of it changes. Raises Conflict, ReadOnlyMount."""
        await self._check_writable(bucket, info.key)
        if info.native is not None:
            raise NotHeld("This object is in a native store, whose objects have no ACL of their own.")
        await self._catalog.write(verbs.set_acl, bucket, info, acl)

    async def list(
        self, bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int, *, owners: bool = True
    ) -> Page:
        """A page of keys and common prefixes past ``after``; see ``gateway.catalog.listing``."""
        if limit == 0:
            return Page([], [], False, b"")
        # Without a delimiter a page is one range of the index, read at once: about a millisecond, and a third of what
        # it costs in a thread, where each row changes hands with the event loop. Seeks past prefixes can be many.
        look = self._catalog.scan if delimiter else self._catalog.read
        where, columns = (bucket.id, prefix.encode(), delimiter.encode()), listing.OWNED if owners else listing.UNOWNED

        async def pages(past: bytes, most: int) -> Page:
            return await look(listing.list_objects, *where, past, most, columns)

        if self._names.at_hand.natives(bucket.name):
            return await self.native.list(bucket, prefix, delimiter, after, limit, pages)
        return await pages(after.encode(), limit)

    async def list_versions(
        self, bucket: Bucket, prefix: str, delimiter: str, after: str, after_id: str | None, limit: int
    ) -> Page:
        """A page of versions and common prefixes, of each key the latest first, past version ``after_id`` of ``after``.

        With ``after_id`` None, past all versions of ``after``. The version itself may be gone: who empties a bucket
        pages through what it has just deleted.
        """
        if limit == 0:
            return Page([], [], False, b"")
        past, told = None, b""
        if after_id:
            past = place_of(after_id)
        elif after_id == NULL and after:
            found = await self._catalog.read(versions.find_version, bucket.id, after, NULL)
            # Where it was is not known once it is gone: the key's versions are told again rather than some not at all.
            past = found.version if found is not None else MAX_VERSION
            if await self.native.shown(bucket, after, NULL, self.find) is not None:
                past = MAX_VERSION  # it was the native object, which comes before all that the catalog has
                told = after.encode()

        async def pages(at: bytes, most: int) -> Page:
            nonlocal past
            page = await self._catalog.scan(
                listing.list_versions, bucket.id, prefix.encode(), delimiter.encode(), at, past, most
            )
            past = page.rows[-1][1] if page.rows and page.last == page.rows[-1][0] else None
            return page

        if self._names.at_hand.natives(bucket.name):
            return await self.native.list_versions(bucket, prefix, delimiter, after, limit, pages, told)
        return await pages(after.encode(), limit)


class Bytes(Pieces):
    """A source made of bytes that come from this side of the door."""

    def __init__(self, chunks: AsyncIterator[bytes], length: int) -> None:
        self._chunks = chunks
        self.length: int | None = length
        self.sha256: str | None = None
        self.trailers: dict[str, str] = {}

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks


async def still_there(names: Names, new: NewObject, store: OpenStore) -> tuple[Snapshot, Bucket]:
    """The configuration, and the bucket's, as they are now, if a write that began under others may still go on.

    Raises BucketNotFound when the bucket went, Conflict when the key is served by another store now.
    """
    snapshot = await names.current()
    bucket = await same_bucket(names, new.bucket)
    if snapshot.writable(bucket, new.key, new.attributes.storage_class).info.id != store.info.id:
        raise Conflict("the mounts of this key changed meanwhile")
    return snapshot, bucket


def check_key(key: str) -> None:
    """Raises KeyTooLong over 1,024 bytes of UTF-8."""
    if len(key) > MAX_KEY // 4 and (size := len(key.encode())) > MAX_KEY:
        raise KeyTooLong(size, MAX_KEY)


def etag_of_parts(etags: Sequence[str]) -> str:
    """The ETag of a multipart object: MD5 of its parts' MD5s, and their number."""
    joined = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _prepend(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    # A reader that goes away must release the files at once, not when the collector of garbage comes by.
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk
