"""Objects as files: what the Nexus door asks of the core beyond what S3 has.

A file's content hash is the SHA-256 of its bytes, and of the list of its blocks' digests where it has several blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.catalog import files as verbs
from gateway.catalog import listing
from gateway.catalog.base import Catalog
from gateway.catalog.blobs import ClaimLost
from gateway.catalog.listing import Page
from gateway.catalog.rows import FILE, file_info
from gateway.conditions import ReadConditions, WriteConditions
from gateway.content import ContentStore
from gateway.copies import Copies
from gateway.encryption import SSE_C, Encryption, Wanted, check_reader
from gateway.errors import (
    MountsChanged,
    ObjectNotFound,
    ObjectReplaced,
    Overloaded,
    PreconditionFailed,
    StorageFull,
)
from gateway.names import Names
from gateway.objects import ATTEMPTS, Objects, Staged, still_there
from gateway.types import Bucket, Content, ObjectInfo
from gateway.versioning import versioning_of

MAX_METADATA = 2048
"""S3's limit for the user metadata of an object: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""
MAX_HASHES = 20_000
LATEST = 2**62


class Files:
    """Files over objects. Callers are authorised before they come here."""

    def __init__(self, catalog: Catalog, names: Names, content: ContentStore, objects: Objects, copies: Copies) -> None:
        self._catalog = catalog
        self._names = names
        self._content = content
        self._objects = objects
        self._copies = copies
        self._hashes: dict[Content, str] = {}
        """Of contents whose hash has to be looked up; a content never changes."""

    # -- content hashes

    async def hash(self, info: ObjectInfo) -> str:
        return (await self.hashes([info]))[0]

    async def hashes(self, infos: Sequence[ObjectInfo]) -> list[str]:
        """The content hashes of several files; S3's ETag of one under a customer's key, which tells nothing."""
        unknown = {
            info.content
            for info in infos
            if info.native is None and _is_long(info.content) and info.content not in self._hashes
        }
        if unknown:
            contents = list(unknown)
            found = zip(contents, await self._catalog.scan(verbs.hash_contents, contents), strict=True)
            if len(self._hashes) > MAX_HASHES:
                self._hashes.clear()
            self._hashes.update(found)
        return [self._shown_hash(info) for info in infos]

    def _shown_hash(self, info: ObjectInfo) -> str:
        if info.native is not None or (info.encryption is not None and info.encryption.kind == SSE_C):
            return info.etag
        return self._hashes[info.content] if _is_long(info.content) else info.content.digest or verbs.NOTHING

    # -- listing and versions

    async def page(
        self, bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int
    ) -> tuple[list[ObjectInfo], list[str], str | None]:
        """A page of files and of the common prefixes among them, and what to continue after if there is more."""

        async def pages(past: bytes, most: int) -> Page:
            page = await self._catalog.scan(
                listing.list_objects, bucket.id, prefix.encode(), delimiter.encode(), past, most, FILE
            )
            return page._replace(rows=[(row[0], file_info(row)) for row in page.rows])

        if self._names.at_hand.natives(bucket.name):
            page = await self._objects.native.list_files(bucket, prefix, delimiter, after, limit, pages)
        else:
            page = await pages(after.encode(), limit)
        infos = [info for _, info in page.rows]
        return infos, [found.decode() for found in page.prefixes], page.last.decode() if page.truncated else None

    async def versions(self, bucket: Bucket, key: str, limit: int) -> list[ObjectInfo]:
        """The versions of a key that have content, the latest first; of a native object, itself alone."""
        if (native := await self._objects.native.shown(bucket, key, None, self._objects.find)) is not None:
            return [native]
        return await self._catalog.scan(verbs.numbered_versions, bucket.id, key, LATEST, limit)

    async def version(self, bucket: Bucket, key: str, number: int) -> ObjectInfo:
        """One of them by its number. Raises ObjectNotFound."""
        if (native := await self._objects.native.shown(bucket, key, None, self._objects.find)) is not None:
            if number != native.version:
                raise ObjectNotFound(bucket.name, key)
            return native
        found = await self._catalog.scan(verbs.numbered_versions, bucket.id, key, min(number, LATEST) + 1, 1)
        if not found or found[0].version != number:
            raise ObjectNotFound(bucket.name, key)
        return found[0]

    # -- changing

    async def set_metadata(self, bucket: Bucket, key: str, changes: Mapping[str, str | None]) -> None:
        """Set user metadata, and remove that with None. In a versioned bucket this makes a version, else it does not.

        Raises ObjectNotFound, BadRequest, ReadOnlyMount, Overloaded.
        """
        if (native := await self._objects.native.shown(bucket, key, None, self._objects.find)) is not None:
            await self._describe(bucket, native, changes)
            return
        if versioning_of(bucket) is None:
            snapshot = await self._names.current()
            snapshot.table.resolve_writable(f"/{bucket.name}/{key}")
            await self._catalog.write(verbs.change_metadata, bucket, key, changes, MAX_METADATA)
            return
        for _ in range(ATTEMPTS):
            info = await self._objects.find(bucket, key)
            merged = verbs.merge_metadata(info.attributes.metadata, changes, MAX_METADATA)
            try:
                await self._copies.copy(
                    info,
                    bucket,
                    bucket,
                    key,
                    owner_id=info.owner_id,
                    acl=info.acl,
                    attributes=replace(info.attributes, metadata=merged),
                    algorithm=None,
                    wanted=kept(info.encryption),
                    source_conditions=ReadConditions(),
                    conditions=WriteConditions(if_match=info.etag, if_match_modified_at=info.modified_at),
                )
                return
            except PreconditionFailed:
                continue  # somebody wrote meanwhile: merge into what is there now
        raise Overloaded("the file keeps changing")

    async def _describe(self, bucket: Bucket, info: ObjectInfo, changes: Mapping[str, str | None]) -> None:
        """``set_metadata`` for an object of a native store."""
        for _ in range(ATTEMPTS):
            merged = verbs.merge_metadata(info.attributes.metadata, changes, MAX_METADATA)
            try:
                await self._objects.native.describe(bucket, info, replace(info.attributes, metadata=merged))
                return
            except ObjectReplaced:
                info = await self._objects.find(bucket, info.key)
                if info.native is None:
                    break
        raise Overloaded("the file keeps changing")

    async def put_all(self, staged: Sequence[Staged]) -> list[ObjectInfo]:
        """Name several bodies, all or none; what was stored is left to the collector where that fails."""
        try:
            return await self._name_all(list(staged))
        except StorageFull:
            raise
        except BaseException:
            await self.abandon(staged)
            raise

    async def abandon(self, staged: Sequence[Staged]) -> None:
        """Leave bodies that will have no name to the collector."""
        for each in staged:
            await self._content.abandon(each.stored.store, each.stored.scope, each.stored.blocks)

    async def _name_all(self, staged: list[Staged]) -> list[ObjectInfo]:
        for _ in range(ATTEMPTS):
            try:
                files = [
                    verbs.ToName(each.new, each.stored.blocks, each.stored.claim(each.snapshot.generation))
                    for each in staged
                ]
                return await self._content.name(verbs.put_all, files)
            except MountsChanged:
                for index, each in enumerate(staged):
                    snapshot, bucket = await still_there(self._names, each.new, each.stored.store)
                    staged[index] = Staged(replace(each.new, bucket=bucket), each.stored, snapshot)
            except ClaimLost:
                for each in staged:
                    await self._content.reclaim(each.stored)
        raise Overloaded("the configuration keeps changing")


def kept(encryption: Encryption | None) -> Wanted | None:
    """What asks to encrypt as something is: what is made of an encrypted file is no less so.

    Raises CustomerKeyNeeded.
    """
    check_reader(encryption, None)
    return None if encryption is None else Wanted(encryption)


def _is_long(content: Content) -> bool:
    """Whether a content's hash is not in its row."""
    return content.manifest_id is not None or (content.sealed and content.digest is not None)
