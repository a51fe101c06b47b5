"""Methods that write files and say things of them."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from gateway.access import owner_of_new
from gateway.bodies import Checks, Source
from gateway.conditions import UNCONDITIONAL, WriteConditions
from gateway.errors import ObjectNotFound, Overloaded, PreconditionFailed
from gateway.files import kept
from gateway.objects import Bytes, Staged
from gateway.rpc import paths
from gateway.rpc.errors import ABSENT, BAD_PARAMETERS, INVALID_PATH, VALIDATION, RpcError, conflict, exists, not_found
from gateway.rpc.methods import on_tree
from gateway.rpc.paths import Place
from gateway.rpc.reading import open_, version_facts
from gateway.rpc.tree import Found, Tree
from gateway.types import Attributes, Bucket, ObjectInfo

SMALL, SLICE = 64 * 1024, 512 * 1024
"""Bytes of content that are handed on at once: whole up to the one, else the other."""
APPENDS = 100
"""How often an append looks again because somebody else wrote."""
AT_ONCE = 8
"""Files of a batch that are stored at the same time."""
MAX_BATCH = 10_000
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_TYPES = mimetypes.MimeTypes()
"""Python's own table: what the machine has besides would make servers differ."""

Content = bytes | str


@on_tree
async def write(
    tree: Tree,
    *,
    path: str,
    content: Content,
    if_match: str | None = None,
    if_none_match: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Write a file, new or over the old one; its user metadata and tags stay."""
    place = file_place(path)
    expected = Expected(None if force else if_match, if_none_match and not force)
    info = await put(tree, place, source_of(content), expected)
    return await version_facts(tree, info)


@on_tree
async def write_stream(tree: Tree, *, path: str, chunks: bytes | str | list[bytes]) -> dict[str, Any]:
    """Write a file from one blob or several."""
    whole = b"".join(chunks) if isinstance(chunks, list) else chunks
    return await version_facts(tree, await put(tree, file_place(path), source_of(whole), Expected()))


class Expected:
    """What a writer thinks is there: a content hash, nothing, or whatever."""

    def __init__(self, etag: str | None = None, absent: bool = False) -> None:
        if etag is not None and absent:
            raise RpcError(BAD_PARAMETERS, "if_match and if_none_match exclude each other")
        self.etag = etag.strip('"') if etag is not None else None
        self.absent = absent

    async def conditions(self, tree: Tree, place: Place) -> WriteConditions:
        """What the commit has to check. Raises RpcError where it would fail now; needs leave to read."""
        if self.absent:
            return WriteConditions(if_none_match="*")
        if self.etag is None:
            return UNCONDITIONAL
        found = await tree.find(place)
        current = ABSENT if found is None else await tree.core.files.hash(found.info)
        if found is None or current != self.etag:
            raise conflict(place.path, self.etag, current)
        return WriteConditions(if_match=found.info.etag)

    async def failure(self, tree: Tree, place: Place) -> RpcError:
        """What to tell the writer who lost."""
        if self.absent:
            return exists(place.path)
        found = await tree.find(place)
        current = ABSENT if found is None else await tree.core.files.hash(found.info)
        return conflict(place.path, self.etag or "", current)


async def put(tree: Tree, place: Place, source: Source, expected: Expected) -> ObjectInfo:
    """Store a body under a path. Raises RpcError where the path is not as expected."""
    bucket = await tree.bucket(place, "s3:PutObject", place.key)
    conditions = await expected.conditions(tree, place)
    try:
        return await tree.core.objects.put(
            bucket,
            place.key,
            source,
            await _attributes(tree, bucket, place.key),
            _checks(tree),
            owner_id=owner_of_new(tree.principal, bucket, None),
            conditions=conditions,
        )
    except (PreconditionFailed, ObjectNotFound):
        raise await expected.failure(tree, place) from None


def _checks(tree: Tree) -> Checks:
    return Checks(limit=tree.core.settings.max_object_size)


async def _attributes(tree: Tree, bucket: Bucket, key: str) -> Attributes:
    """What a new version of a file is said to be: its type by its name, the rest as people said it of the last."""
    kind = _TYPES.guess_type(key.rpartition("/")[2])[0] or "application/octet-stream"
    try:
        last = (await tree.core.objects.find(bucket, key)).attributes
    except ObjectNotFound:
        return Attributes(kind)
    return Attributes(kind, metadata=last.metadata, tags=last.tags)


@on_tree
async def append(
    tree: Tree, *, path: str, content: Content, if_match: str | None = None, force: bool = False
) -> dict[str, Any]:
    """Add to the end of a file, made where it is missing. Of several who append at once each is heard."""
    place = file_place(path)
    expected = Expected(None if force else if_match)
    bucket = await tree.bucket(place, "s3:PutObject", place.key)
    for _ in range(APPENDS):
        await expected.conditions(tree, place)
        found = await tree.find(place)
        try:
            info = await _append(tree, bucket, place, found, content)
        except (PreconditionFailed, ObjectNotFound):
            continue
        return await version_facts(tree, info)
    raise Overloaded("the file keeps changing")


async def _append(tree: Tree, bucket: Bucket, place: Place, found: Found | None, content: Content) -> ObjectInfo:
    if found is None:
        source, attributes = source_of(content), await _attributes(tree, bucket, place.key)
        conditions, wanted = WriteConditions(if_none_match="*"), None
    else:
        opened = await open_(tree, found, 0, found.info.size)
        added = source_of(content)
        source = Bytes(_one_after_the_other(opened.body, added), opened.info.size + (added.length or 0))
        attributes, conditions = opened.info.attributes, WriteConditions(if_match=opened.info.etag)
        wanted = kept(opened.info.encryption)
    return await tree.core.objects.put(
        bucket,
        place.key,
        source,
        attributes,
        _checks(tree),
        owner_id=owner_of_new(tree.principal, bucket, None),
        wanted=wanted,
        conditions=conditions,
    )


async def _one_after_the_other(first: bytes | AsyncIterator[bytes], then: Bytes) -> AsyncIterator[bytes]:
    if isinstance(first, bytes):
        yield first
    else:
        async for chunk in first:
            yield chunk
    async for chunk in then:
        yield chunk


@on_tree
async def write_batch(tree: Tree, *, files: list[list[Any]]) -> list[dict[str, Any]]:
    """Write several files, all or none."""
    if len(files) > MAX_BATCH:
        raise RpcError(VALIDATION, f"a batch has at most {MAX_BATCH} files")
    wanted = [_pair(pair) for pair in files]
    buckets = [await tree.bucket(place, "s3:PutObject", place.key) for place, _ in wanted]
    turns = asyncio.Semaphore(AT_ONCE)

    async def stage(place: Place, bucket: Bucket, content: Content) -> Staged:
        async with turns:
            return await tree.core.objects.stage(
                bucket,
                place.key,
                source_of(content),
                await _attributes(tree, bucket, place.key),
                _checks(tree),
                owner_id=owner_of_new(tree.principal, bucket, None),
            )

    tasks = (stage(place, bucket, content) for (place, content), bucket in zip(wanted, buckets, strict=True))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    staged = [outcome for outcome in outcomes if isinstance(outcome, Staged)]
    if len(staged) < len(outcomes):
        await tree.core.files.abandon(staged)
        raise next(outcome for outcome in outcomes if isinstance(outcome, BaseException))
    return [await version_facts(tree, info) for info in await tree.core.files.put_all(staged)]


def _pair(pair: Sequence[Any]) -> tuple[Place, Content]:
    if len(pair) != 2 or not isinstance(pair[0], str) or not isinstance(pair[1], bytes | bytearray | str):
        raise RpcError(BAD_PARAMETERS, "files is a list of [path, content]")
    return file_place(pair[0]), bytes(pair[1]) if isinstance(pair[1], bytearray) else pair[1]


@on_tree
async def set_metadata(tree: Tree, *, path: str, metadata: dict[str, Any]) -> dict[str, bool]:
    """Set user metadata of a file, as S3 shows it in x-amz-meta-*; what is null goes, what is not named stays."""
    changes = {check_name(name): as_text(value) for name, value in metadata.items()}
    place = file_place(path)
    bucket = await tree.bucket(place, "s3:PutObject", place.key)
    try:
        await tree.core.files.set_metadata(bucket, place.key, changes)
    except ObjectNotFound:
        # A directory that mkdir made is a key of its own.
        try:
            await tree.core.files.set_metadata(bucket, place.below, changes)
        except ObjectNotFound:
            raise not_found(place.path) from None
    return {"success": True}


def check_name(name: str) -> str:
    """A name of metadata, which is part of a header's name. Raises RpcError."""
    if not _NAME.fullmatch(name):
        reason = "it has lower-case letters, digits and -._ as S3 shows it in the header x-amz-meta-NAME"
        raise RpcError(VALIDATION, f"bad name of metadata {name!r}: {reason}")
    return name


def as_text(value: Any) -> str | None:
    """A value of metadata; numbers and truths as JSON writes them. Raises RpcError."""
    if value is None or isinstance(value, str):
        if value is not None and (any(char < " " or char == "\x7f" for char in value) or value != value.strip()):
            raise RpcError(VALIDATION, "a value of metadata has no control characters, and no spaces around it")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise RpcError(VALIDATION, "a value of metadata is a text or a number")


def file_place(path: str) -> Place:
    """Where a file is to be. Raises RpcError for the root and for a bucket."""
    place = paths.parse(path)
    if not place.key:
        raise RpcError(INVALID_PATH, f"{path!r} cannot be a file: files lie in a bucket, as /bucket/name")
    return place


def source_of(content: Content) -> Bytes:
    """Content as a body."""
    whole = content.encode() if isinstance(content, str) else content
    return Bytes(_slices(whole), len(whole))


async def _slices(whole: bytes) -> AsyncIterator[bytes]:
    if len(whole) <= SMALL:
        yield bytes(whole)
        return
    view = memoryview(whole)
    for start in range(0, len(whole), SLICE):
        yield bytes(view[start : start + SLICE])
