"""Objects of native stores: what putting, reading, copying, deleting and listing them means.

The catalog knows nothing of them. Each is found in its store when it is asked for, and what was decided by an answer of
the store holds for the state that it had then: reads and conditional writes name that state, and the store compares.

Several sources may have a key: the native mount that serves its path, the catalog, native mounts that others overlie.
What is routed to a path comes first; what lies beneath shows through.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple

from backends.base import ByteRange, StoreError
from backends.native import Expected, NativeAttributes, NativeEntry, NativeObject, StateChanged
from gateway.acl import ENFORCED, Acl
from gateway.bodies import Checks, Source
from gateway.catalog.base import Row
from gateway.catalog.listing import Page
from gateway.catalog.objects import Removal, Removed
from gateway.conditions import UNCONDITIONAL, WriteConditions, check_write
from gateway.content import ContentStore
from gateway.encryption import Wanted
from gateway.encryption_keys import EncryptionKeys
from gateway.errors import (
    Conflict,
    GatewayError,
    IsDeleteMarker,
    NotHeld,
    ObjectNotFound,
    ObjectReplaced,
    PreconditionFailed,
    ReadOnlyMount,
)
from gateway.names import Names, NativeMount, Snapshot, same_bucket
from gateway.native_body import CheckedBody
from gateway.native_errors import told
from gateway.native_listing import CATALOG, Pages, RowOf, catalog_feed, list_objects, list_versions, native_feeds
from gateway.storage_classes import STANDARD
from gateway.types import Attributes, Bucket, Content, Lock, NativeRef, ObjectInfo
from gateway.versioning import ENABLED, NULL, versioning_of

_TYPES = mimetypes.MimeTypes()
"""Python's own table: what the machine has besides would make servers differ."""
Find = Callable[[Bucket, str, str | None], Awaitable[ObjectInfo]]
Delete = Callable[[Bucket, Removal], Awaitable[Removed]]


class Place(NamedTuple):
    """Where a native store would have a key."""

    native: NativeMount
    key: str


class Sources(NamedTuple):
    """The native stores that may have a key, on both sides of the catalog, in the order in which they win."""

    before: Sequence[Place]
    after: Sequence[Place]

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    @property
    def all(self) -> list[Place]:
        return [*self.before, *self.after]


NONE = Sources((), ())


class Target(NamedTuple):
    """A key that is about to be written in a native store."""

    bucket: Bucket
    key: str
    place: Place
    generation: int


class Said(NamedTuple):
    """What a write says besides its attributes, none of which a native store can hold."""

    acl: Acl | None = None
    lock: Lock | None = None
    wanted: Wanted | None = None


class NativeObjects:
    """Objects by bucket and key, where a native store has them."""

    def __init__(self, names: Names, content: ContentStore, keys: EncryptionKeys) -> None:
        self._names = names
        self._content = content
        self._keys = keys

    # -- where

    def sources(self, bucket: Bucket, key: str) -> Sources:
        """Where a key may be besides the catalog."""
        snapshot = self._names.at_hand
        natives = snapshot.natives(bucket.name)
        return _sources(snapshot, natives, bucket.name, key) if natives else NONE

    def target(self, snapshot: Snapshot, bucket: Bucket, key: str) -> Target | None:
        """Where a write of a key goes, if that is a native store. Raises ReadOnlyMount."""
        natives = snapshot.natives(bucket.name)
        if not natives:
            return None
        mount = snapshot.table.resolve_writable(f"/{bucket.name}/{key}")
        for native in natives:
            if native.mount is mount and (name := native.key_of(key)) is not None:
                return Target(bucket, key, Place(native, name), snapshot.generation)
        return None

    # -- reading

    async def find(
        self, sources: Sources, bucket: Bucket, key: str, version_id: str | None, catalog: Find
    ) -> ObjectInfo:
        """What a key shows. Raises as ``Objects.find``; ContentUnavailable, StoreUnreachable."""
        for place in sources.before:
            if (found := await self._find(place, bucket, key)) is not None:
                return found
        try:
            return await catalog(bucket, key, version_id)
        except IsDeleteMarker:
            raise
        except ObjectNotFound:
            for place in sources.after:
                if (found := await self._find(place, bucket, key)) is not None:
                    return found
            raise

    async def _find(self, place: Place, bucket: Bucket, key: str) -> ObjectInfo | None:
        try:
            found = await place.native.store.use_native().find(place.key)
        except StoreError as error:
            raise told(error) from error
        return None if found is None else _info(bucket, key, place, found)

    async def read(
        self, snapshot: Snapshot, path: str, info: ObjectInfo, span: ByteRange
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an object in the state in which it was found. Raises ObjectReplaced, StoreUnreachable …"""
        assert info.native is not None
        if span.stop <= span.start:
            return
        store = snapshot.holding(info.native.store_id, path).use_native()
        try:
            async for chunk in store.read(info.native.key, span, info.native.state):
                yield chunk
        except StoreError as error:
            raise told(error) from error

    # -- writing

    def check(self, bucket: Bucket, attributes: Attributes, said: Said) -> None:
        """Raise NotHeld for what a native store cannot keep of a write."""
        self.check_bucket(bucket)
        if attributes.tags:
            raise NotHeld("This path is in a native store, which has no tags.")
        if attributes.storage_class != STANDARD:
            raise NotHeld("This path is in a native store, whose objects have no other storage class than STANDARD.")
        if "WebsiteRedirectLocation" in attributes.headers:
            raise NotHeld("This path is in a native store, which has no website redirects.")
        if said.acl is not None and bucket.ownership != ENFORCED:
            raise NotHeld("This path is in a native store, whose objects have no ACL of their own.")
        if said.lock is not None:
            raise NotHeld("This path is in a native store, which has no object lock.")
        if said.wanted is not None or self._keys.default_for(bucket) is not None:
            raise NotHeld("This path is in a native store, which keeps content as it is: it is not encrypted here.")

    def check_bucket(self, bucket: Bucket) -> None:
        """Raise NotHeld where what a bucket promises of all its objects is not true of native ones."""
        if versioning_of(bucket) == ENABLED:
            raise NotHeld("This path is in a native store, which keeps no versions, and its bucket is versioned.")

    async def put(
        self,
        target: Target,
        source: Source,
        attributes: Attributes,
        checks: Checks,
        said: Said,
        conditions: WriteConditions,
        find: Find,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> ObjectInfo:
        """Write a body into the store, which shows it once everything said of it proved true.

        ``before_end`` is asked last of all. Raises as ``Objects.put``, and NotHeld, KeyNotHeld.
        """
        bucket, key, place, _ = target
        self.check(bucket, attributes, said)
        expected = await self._expected(target, conditions, find)

        async def still() -> None:
            await self._still_there(target)
            if before_end is not None:
                await before_end()

        body = CheckedBody(source, checks, self._content.run, still)
        store = place.native.store.use_native()
        try:
            async with aclosing(body.__aiter__()) as chunks:
                made = await store.write(place.key, chunks, _native(attributes), expected)
        except StateChanged as error:
            raise _lost(conditions) from error
        except StoreError as error:
            raise told(error) from error
        return replace(_info(bucket, key, place, made), checksum=body.checksum)

    async def _expected(self, target: Target, conditions: WriteConditions, find: Find) -> Expected:
        """Conditions, once they hold, as what must be in the store when it writes."""
        if not conditions:
            return Expected()
        bucket, key, place, _ = target
        present = await _present(find, bucket, key)
        check_write(conditions, bucket.name, key, _facts(present))
        if present is None or not _lies_at(present, place):
            return Expected(absent=True)
        assert present.native is not None
        return Expected(state=present.native.state)

    async def _still_there(self, target: Target) -> None:
        """Raise Conflict where a key is served by another store than when its write began."""
        self._names.forget()
        snapshot = await self._names.current()
        if snapshot.generation == target.generation:
            return
        bucket = await same_bucket(self._names, target.bucket)
        now = self.target(snapshot, bucket, target.key)
        if now is None or (now.place.native.store.info.id, now.place.key) != (
            target.place.native.store.info.id,
            target.place.key,
        ):
            raise Conflict("the mounts of this key changed meanwhile")
        self.check_bucket(bucket)

    async def describe(self, bucket: Bucket, info: ObjectInfo, attributes: Attributes) -> ObjectInfo:
        """Replace what is said of an object found before. Raises NotHeld, ObjectReplaced, ReadOnlyMount."""
        assert info.native is not None
        snapshot = await self._names.current()
        target = self.target(snapshot, bucket, info.key)
        if target is None or not _lies_at(info, target.place):
            raise NotHeld("This object lies in a native store beneath the mount that takes writes of its path.")
        self.check(bucket, attributes, Said())
        try:
            made = await target.place.native.store.use_native().describe(
                info.native.key, _native(attributes), info.native.state
            )
        except StoreError as error:
            raise told(error) from error
        return _info(bucket, info.key, target.place, made)

    def is_at(self, info: ObjectInfo, target: Target) -> bool:
        """Whether an object is the very one that a write would replace."""
        return _lies_at(info, target.place)

    async def conditions_beneath(
        self, bucket: Bucket, key: str, conditions: WriteConditions, find: Find
    ) -> WriteConditions:
        """Conditions on a key that is to be written in the catalog, as the catalog can check them.

        What is shown may be an object of a native store beneath; then the catalog must have nothing.
        """
        present = await _present(find, bucket, key)
        check_write(conditions, bucket.name, key, _facts(present))
        if present is None or present.native is None:
            return conditions
        return WriteConditions(if_none_match="*")

    # -- deleting

    async def delete(self, sources: Sources, bucket: Bucket, removal: Removal, find: Find, delete: Delete) -> Removed:
        """Remove a key from wherever it is; ``find`` and ``delete`` are the catalog's. Refused before anything is done.

        Raises as ``Objects.delete``, and NotHeld.
        """
        if removal.version_id not in (None, NULL):
            return await delete(bucket, removal)
        path = f"/{bucket.name}/{removal.key}"
        snapshot = await self._names.current()
        snapshot.table.resolve_writable(path)
        found = await asyncio.gather(*(self._find(place, bucket, removal.key) for place in sources.all))
        held = [(place, info) for place, info in zip(sources.all, found, strict=True) if info is not None]
        if not held:
            return await delete(bucket, removal)
        for place, _ in held:
            if place.native.mount.readonly:
                raise ReadOnlyMount(path, place.native.mount.mount_point)
        if removal.version_id is None:
            self.check_bucket(bucket)
        recorded = await _present(find, bucket, removal.key, removal.version_id)
        shown = held[0][1] if recorded is None or held[0][0] in sources.before else recorded
        check_write(removal.conditions, bucket.name, removal.key, _facts(shown))
        # What is shown goes last, so that an older one never appears.
        removed = Removed(True)
        if recorded is not None:
            removed = await delete(bucket, replace(removal, conditions=UNCONDITIONAL))
        for place, info in reversed(held):
            await self._delete(place, info, removal.conditions)
        return removed

    async def _delete(self, place: Place, info: ObjectInfo, conditions: WriteConditions) -> None:
        assert info.native is not None
        try:
            await place.native.store.use_native().delete(place.key, info.native.state if conditions else None)
        except StateChanged as error:
            raise _lost(conditions) from error
        except StoreError as error:
            raise told(error) from error

    # -- listing

    async def list(self, bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int, catalog: Pages) -> Page:
        """As ``Objects.list``, with what native stores have; ``catalog`` reads the catalog's pages."""

        def row_of(native: NativeMount, name: bytes, entry: NativeEntry) -> Row:
            return name, entry.size, entry.etag, entry.modified_at, STANDARD, bucket.owner_id, None, None

        return await self._merged(bucket, prefix, delimiter, after, limit, catalog, row_of)

    async def list_files(
        self, bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int, catalog: Pages
    ) -> Page:
        """The same with rows of key and ObjectInfo, as ``catalog``'s must be."""

        def row_of(native: NativeMount, name: bytes, entry: NativeEntry) -> Row:
            key = name.decode()
            return name, _info(bucket, key, Place(native, entry.key), NativeObject(entry, _guessed(key)))

        return await self._merged(bucket, prefix, delimiter, after, limit, catalog, row_of)

    async def _merged(
        self, bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int, catalog: Pages, row_of: RowOf
    ) -> Page:
        natives = self._names.at_hand.natives(bucket.name)
        feeds = native_feeds(natives, prefix, delimiter, after, limit, row_of)
        feeds.append(catalog_feed(catalog, after.encode(), limit))
        return await list_objects(feeds, limit, self._order(bucket))

    async def list_versions(
        self,
        bucket: Bucket,
        prefix: str,
        delimiter: str,
        after: str,
        limit: int,
        catalog: Pages,
        told: bytes = b"",
    ) -> Page:
        """As ``Objects.list_versions``; ``catalog`` remembers itself where in a key's versions it is.

        ``told`` is the key whose native object ended the page before.
        """

        def row_of(native: NativeMount, name: bytes, entry: NativeEntry) -> Row:
            owner, facts = bucket.owner_id, (entry.size, entry.etag, entry.modified_at)
            return name, 1, NULL, 0, None, *facts, STANDARD, owner, None, None

        natives = self._names.at_hand.natives(bucket.name)
        feeds = native_feeds(natives, prefix, delimiter, after, limit, row_of)
        feeds.append(catalog_feed(catalog, after.encode(), limit))
        return await list_versions(feeds, limit, self._order(bucket), told)

    def _order(self, bucket: Bucket) -> Callable[[str], Sequence[int]]:
        """The ranks of the sources of a key."""
        snapshot = self._names.at_hand
        natives = snapshot.natives(bucket.name)

        def order(key: str) -> Sequence[int]:
            before, after = _sources(snapshot, natives, bucket.name, key)
            ranks = {native.mount.mount_point: rank for rank, native in enumerate(natives)}
            known = [ranks[place.native.mount.mount_point] for place in (*before, *after)]
            return [*known[: len(before)], CATALOG, *known[len(before) :]]

        return order

    async def shown(self, bucket: Bucket, key: str, version_id: str | None, find: Find) -> ObjectInfo | None:
        """The native object that a key shows, None where it shows none."""
        if version_id or not self.sources(bucket, key):
            return None
        present = await _present(find, bucket, key, version_id)
        return present if present is not None and present.native is not None else None


def _sources(snapshot: Snapshot, natives: Sequence[NativeMount], bucket: str, key: str) -> Sources:
    places = [Place(native, name) for native in natives if (name := native.key_of(key)) is not None]
    if not places:
        return NONE
    wins = places[0].native.mount is snapshot.table.resolve(f"/{bucket}/{key}")
    return Sources(places[:1], places[1:]) if wins else Sources((), places)


def _info(bucket: Bucket, key: str, place: Place, found: NativeObject) -> ObjectInfo:
    entry, said = found.entry, found.attributes
    store_id = place.native.store.info.id
    return ObjectInfo(
        bucket.id,
        key,
        Content(store_id, "", entry.size),
        entry.etag,
        entry.modified_at,
        entry.modified_at,
        bucket.owner_id,
        Attributes(said.content_type, dict(said.headers), dict(said.metadata)),
        None,
        1,
        native=NativeRef(store_id, place.key, entry.state),
    )


def _guessed(key: str) -> NativeAttributes:
    """Listings of stores do not tell types; the name does."""
    return NativeAttributes(_TYPES.guess_type(key.rpartition("/")[2])[0] or "binary/octet-stream")


def _native(attributes: Attributes) -> NativeAttributes:
    return NativeAttributes(attributes.content_type, attributes.headers, attributes.metadata)


def _lies_at(info: ObjectInfo, place: Place) -> bool:
    ref = info.native
    return ref is not None and (ref.store_id, ref.key) == (place.native.store.info.id, place.key)


def _facts(present: ObjectInfo | None) -> tuple[str, int, int] | None:
    return None if present is None else (present.etag, present.size, present.modified_at)


async def _present(find: Find, bucket: Bucket, key: str, version_id: str | None = None) -> ObjectInfo | None:
    try:
        return await find(bucket, key, version_id)
    except ObjectNotFound:
        return None


def _lost(conditions: WriteConditions) -> GatewayError:
    """What to tell a writer whose conditions held when it came, and no longer."""
    if conditions.if_none_match is not None:
        return PreconditionFailed("If-None-Match")
    if conditions:
        return PreconditionFailed("If-Match")
    return ObjectReplaced("it was replaced meanwhile")
