"""Methods about the versions of a file, which a versioned bucket keeps: numbered from 1, one more per write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from difflib import unified_diff
from typing import Any

from gateway.access import owner_of_new
from gateway.conditions import ReadConditions
from gateway.errors import BadRequest, ObjectNotFound
from gateway.files import kept
from gateway.rpc import paths
from gateway.rpc.errors import not_found
from gateway.rpc.methods import on_tree
from gateway.rpc.paths import Place
from gateway.rpc.reading import content_of, open_
from gateway.rpc.tree import Found, Tree
from gateway.rpc.values import moment

MAX_VERSIONS = 10_000
MAX_DIFF, MAX_LINES = 64 * 1024, 1000
"""Largest versions that are compared by their content: what that costs grows much faster than they do."""


@on_tree
async def list_versions(tree: Tree, *, path: str) -> list[dict[str, Any]]:
    """The versions of a file, the latest first; a bucket that is not versioned has the present one."""
    place = paths.parse(path)
    bucket = await tree.listable(place) if place.key else None
    if bucket is None:
        raise not_found(place.path)
    tree.permit("s3:ListBucketVersions", bucket, place.key, prefix=place.key)
    infos = await tree.core.files.versions(bucket, place.key, MAX_VERSIONS)
    if not infos:
        raise not_found(place.path)
    hashes = await tree.core.files.hashes(infos)
    return [
        {
            "version": info.version,
            "version_id": info.version_id or "null",
            "etag": content_hash,
            "content_hash": content_hash,
            "size": info.size,
            "mime_type": info.attributes.content_type,
            "created_at": moment(info.modified_at),
            "created_by": info.owner_id,
        }
        for info, content_hash in zip(infos, hashes, strict=True)
    ]


@on_tree
async def get_version(tree: Tree, *, path: str, version: int) -> Any:
    """The bytes of one version of a file."""
    found = await _version(tree, paths.parse(path), version)
    return content_of(await open_(tree, found, 0, found.info.size))


@on_tree
async def diff_versions(tree: Tree, *, path: str, v1: int, v2: int, mode: str = "metadata") -> Any:
    """What two versions of a file have of their own: facts (``metadata``), or a unified diff of text (``content``)."""
    place = paths.parse(path)
    pair = [await _version(tree, place, number) for number in (v1, v2)]
    if mode == "content":
        return await _difference(tree, pair, (v1, v2))
    if mode != "metadata":
        raise BadRequest("mode is metadata or content", "mode", mode)
    hashes = await tree.core.files.hashes([found.info for found in pair])
    sizes = [found.info.size for found in pair]
    return {
        "path": place.path,
        "v1": v1,
        "v2": v2,
        "content_changed": hashes[0] != hashes[1],
        "size_delta": sizes[1] - sizes[0],
        **{f"size_v{number}": size for number, size in enumerate(sizes, 1)},
        **{f"content_hash_v{number}": content_hash for number, content_hash in enumerate(hashes, 1)},
        **{f"created_at_v{number}": moment(found.info.modified_at) for number, found in enumerate(pair, 1)},
    }


async def _difference(tree: Tree, pair: Sequence[Found], numbers: tuple[int, int]) -> str:
    limit = f"only texts of at most {MAX_DIFF} bytes and {MAX_LINES} lines are compared by their content"
    if any(found.info.size > MAX_DIFF for found in pair):
        raise BadRequest(limit, "mode", "content")
    texts = []
    for found in pair:
        opened = await open_(tree, found, 0, found.info.size)
        content = opened.body if isinstance(opened.body, bytes) else b"".join([chunk async for chunk in opened.body])
        try:
            texts.append(content.decode().splitlines(keepends=True))
        except UnicodeDecodeError:
            raise BadRequest(limit, "mode", "content") from None
    if any(len(text) > MAX_LINES for text in texts):
        raise BadRequest(limit, "mode", "content")
    names = [f"{found.place.path} (version {number})" for found, number in zip(pair, numbers, strict=True)]
    lines = await asyncio.to_thread(lambda: list(unified_diff(texts[0], texts[1], names[0], names[1])))
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


@on_tree
async def rollback(tree: Tree, *, path: str, version: int) -> dict[str, Any]:
    """Bring an old version back, as a new one; what came after it stays in the history."""
    place = paths.parse(path)
    found = await _version(tree, place, version)
    bucket = await tree.bucket(place, "s3:PutObject", place.key)
    info = await tree.core.copies.copy(
        found.info,
        bucket,
        bucket,
        place.key,
        owner_id=owner_of_new(tree.principal, bucket, None),
        attributes=None,
        algorithm=None,
        wanted=kept(found.info.encryption),
        limit=tree.core.settings.max_object_size,
        source_conditions=ReadConditions(),
    )
    return {"success": True, "version": info.version}


async def _version(tree: Tree, place: Place, number: int) -> Found:
    bucket = await tree.listable(place) if place.key else None
    if bucket is None:
        raise not_found(place.path)
    try:
        info = await tree.core.files.version(bucket, place.key, number)
    except ObjectNotFound:
        raise not_found(f"{place.path}, version {number}") from None
    tree.permit("s3:GetObjectVersion" if info.version_id else "s3:GetObject", bucket, place.key, info)
    return Found(place, bucket, info)
