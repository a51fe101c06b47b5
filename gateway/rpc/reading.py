"""Methods that read files and tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.base import ByteRange
from gateway.encryption import check_reader
from gateway.errors import BackendNotFound, GatewayError, NotAllowed
from gateway.objects import Opened
from gateway.rpc import paths
from gateway.rpc.errors import BAD_PARAMETERS, VALIDATION, RpcError, not_found
from gateway.rpc.methods import on_tree
from gateway.rpc.paths import Place
from gateway.rpc.tree import Found, Tree
from gateway.rpc.values import Streamed, moment
from gateway.types import Bucket, ObjectInfo


@on_tree
async def read(tree: Tree, *, path: str, return_metadata: bool = False, parsed: bool = False) -> Any:
    """A file's bytes, with what is known of them if that is wanted."""
    if parsed:
        raise RpcError(VALIDATION, "files are served as they are: there is no parser here")
    found = await tree.file(paths.parse(path))
    opened = await open_(tree, found, 0, found.info.size)
    if not return_metadata:
        return content_of(opened)
    return {"content": content_of(opened), **await version_facts(tree, opened.info)}


@on_tree
async def read_range(tree: Tree, *, path: str, start: int, end: int) -> Any:
    """The bytes from ``start`` up to, not including, ``end``; fewer where the file ends before."""
    if not 0 <= start <= end:
        raise RpcError(BAD_PARAMETERS, f"no range: {start} to {end}")
    found = await tree.file(paths.parse(path))
    return content_of(await open_(tree, found, start, end))


@on_tree
async def read_bulk(
    tree: Tree, *, paths: list[str], return_metadata: bool = False, skip_errors: bool = True
) -> dict[str, Any]:
    """Several files; null for what cannot be read, unless errors are wanted."""
    room = tree.core.settings.rpc_max_body
    answer: dict[str, Any] = {}
    for path in paths:
        try:
            content, facts = await _whole(tree, path, room, return_metadata)
        except (GatewayError, RpcError) as error:
            if not skip_errors or _is_over(error):
                raise
            answer[path] = None
            continue
        room -= len(content)
        answer[path] = {"content": content, **facts} if return_metadata else content
    return answer


async def _whole(tree: Tree, path: str, room: int, facts: bool) -> tuple[bytes, dict[str, Any]]:
    found = await tree.file(paths.parse(path))
    if found.info.size > room:
        limit = tree.core.settings.rpc_max_body
        raise RpcError(VALIDATION, f"{_OVER} {limit} bytes of content: read larger files by themselves")
    opened = await open_(tree, found, 0, found.info.size)
    content = opened.body if isinstance(opened.body, bytes) else b"".join([chunk async for chunk in opened.body])
    return content, await version_facts(tree, opened.info) if facts else {}


_OVER = "a bulk read has at most"


def _is_over(error: Exception) -> bool:
    return isinstance(error, RpcError) and error.message.startswith(_OVER)


@on_tree
async def stat(tree: Tree, *, path: str) -> dict[str, Any]:
    """Size, times, ETag and place of a file or directory."""
    place = paths.parse(path)
    found = await tree.find(place)
    if found is None:
        return await _stat_directory(tree, place)
    facts = {**await version_facts(tree, found.info), "is_directory": False}
    return {**facts, "created_at": moment(found.info.created_at), **await _place_facts(tree, place, found.info)}


async def _stat_directory(tree: Tree, place: Place) -> dict[str, Any]:
    if not await tree.is_directory(place):
        raise not_found(place.path)
    untold = dict.fromkeys(("etag", "version", "modified_at", "created_at"))
    return {"size": 0, **untold, "is_directory": True, **await _place_facts(tree, place)}


async def _place_facts(tree: Tree, place: Place, info: ObjectInfo | None = None) -> dict[str, Any]:
    """The mount that serves a path, and the kind of store that a file lies in: null where that is not mounted."""
    snapshot = await tree.core.names.current()
    try:
        mount = snapshot.table.resolve(place.path)
    except BackendNotFound:
        return {"backend_type": None, "mount_point": None}
    store_id = info.content.store_id if info is not None and info.size else mount.store_id
    store = snapshot.stores.get(store_id)
    return {"backend_type": store.info.backend_type if store else None, "mount_point": mount.mount_point}


@on_tree
async def exists(tree: Tree, *, path: str) -> dict[str, bool]:
    """Whether there is a file or a directory."""
    place = paths.parse(path)
    return {"exists": await tree.find(place) is not None or await tree.is_directory(place)}


@on_tree
async def get_etag(tree: Tree, *, path: str) -> dict[str, str | None]:
    """A file's content hash; null without a file."""
    found = await tree.find(paths.parse(path))
    return {"etag": None if found is None else await tree.core.files.hash(found.info)}


@on_tree
async def batch_get_content_ids(tree: Tree, *, paths: list[str]) -> dict[str, str | None]:
    """The content hashes of files by path; null for what is not there or may not be read."""
    found = {}
    for path in paths:
        try:
            found[path] = (await get_etag(tree, path=path))["etag"]
        except (NotAllowed, RpcError):
            found[path] = None
    return found


@on_tree
async def get_metadata(tree: Tree, *, path: str) -> dict[str, Any]:
    """All that is known of a file or directory, its user metadata (S3's x-amz-meta-*) beside it; null without one."""
    place = paths.parse(path)
    found = await tree.find(place)
    if found is not None:
        return {"metadata": await _metadata(tree, found)}
    if not place.bucket or not await tree.is_directory(place):
        return {"metadata": None}
    facts = await _place_facts(tree, place)
    untold = dict.fromkeys(("physical_path", "etag", "mime_type", "created_at", "modified_at", "version"))
    known = {"path": place.path, "backend_name": facts["backend_type"], "size": 0, **untold}
    return {"metadata": {**known, "tenant_id": tree.principal.tenant, "is_directory": True}}


async def _metadata(tree: Tree, found: Found) -> dict[str, Any]:
    place, bucket, info = found
    content_hash = await tree.core.files.hash(info)
    told = {name: value for name, value in info.attributes.metadata.items() if name != "__type__"}
    return {
        **told,
        "path": place.path,
        "backend_name": (await _place_facts(tree, place, info))["backend_type"],
        "physical_path": content_hash,
        "size": info.size,
        "etag": content_hash,
        "mime_type": info.attributes.content_type,
        "created_at": moment(info.created_at),
        "modified_at": moment(info.modified_at),
        "version": info.version,
        "tenant_id": bucket.tenant,
        "is_directory": False,
    }


async def version_facts(tree: Tree, info: ObjectInfo) -> dict[str, Any]:
    """What reading and writing tell of a version."""
    content_hash = await tree.core.files.hash(info)
    return {
        "etag": content_hash,
        "version": info.version,
        "modified_at": moment(info.modified_at),
        "size": info.size,
    }


async def file_entries(tree: Tree, bucket: Bucket, infos: Sequence[ObjectInfo]) -> list[dict[str, Any]]:
    """Files as a listing details them."""
    hashes = await tree.core.files.hashes(infos)
    return [
        {
            "path": Place(bucket.name, info.key).path,
            "size": info.size,
            "modified_at": moment(info.modified_at),
            "created_at": moment(info.created_at),
            "etag": content_hash,
            "mime_type": info.attributes.content_type,
            "is_directory": False,
        }
        for info, content_hash in zip(infos, hashes, strict=True)
    ]


async def open_(tree: Tree, found: Found, start: int, end: int) -> Opened:
    """Start reading bytes of a file."""
    check_reader(found.info.encryption, None)
    size = found.info.size
    span = ByteRange(min(start, size), min(end, size))
    return await tree.core.objects.open(found.bucket, found.place.key, found.info, span)


def content_of(opened: Opened) -> bytes | Streamed:
    """What was opened, as the value of an answer."""
    if isinstance(opened.body, bytes):
        return opened.body
    return Streamed(opened.span.stop - opened.span.start, opened.body)
