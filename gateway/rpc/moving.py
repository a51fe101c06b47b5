"""Methods that remove, rename and copy files, one or many."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from gateway.access import owner_of_new
from gateway.catalog.objects import Removal
from gateway.conditions import UNCONDITIONAL, ReadConditions, WriteConditions
from gateway.errors import Conflict, GatewayError, ObjectNotFound, ObjectReplaced, PreconditionFailed
from gateway.files import kept
from gateway.rpc import paths
from gateway.rpc.directories import PAGE, remove_directory
from gateway.rpc.errors import BAD_PARAMETERS, VALIDATION, RpcError, exists, not_found, to_rpc_error
from gateway.rpc.methods import on_tree
from gateway.rpc.paths import Place
from gateway.rpc.tree import Found, Tree, refuse
from gateway.rpc.writing import Expected, file_place
from gateway.types import ObjectInfo

LOOKS = 10


@on_tree
async def delete(tree: Tree, *, path: str, if_match: str | None = None) -> dict[str, bool]:
    """Remove a file; a versioned bucket keeps what it was."""
    place = paths.parse(path)
    found = await _deletable(tree, place)
    expected = Expected(if_match)
    conditions = UNCONDITIONAL if if_match is None else await expected.conditions(tree, place)
    try:
        removal = Removal(place.key, conditions, owner_id=tree.principal.user_id)
        removed = await tree.core.objects.delete(found.bucket, removal)
    except (PreconditionFailed, ObjectNotFound):
        raise await expected.failure(tree, place) from None
    if not removed.existed:
        raise not_found(place.path)
    return {"success": True}


async def _deletable(tree: Tree, place: Place) -> Found:
    """The file at a path that the caller may delete. Raises RpcError."""
    bucket = await tree.bucket(place, "s3:DeleteObject", place.key) if place.key else None
    if bucket is not None:
        try:
            return Found(place, bucket, await tree.core.objects.find(bucket, place.key))
        except ObjectNotFound:
            pass
    if await tree.is_directory(place):
        raise refuse(place.path, "a directory is removed by rmdir", VALIDATION)
    raise not_found(place.path)


@on_tree
async def delete_bulk(tree: Tree, *, paths: list[str], recursive: bool = False) -> dict[str, dict[str, Any]]:
    """Remove several files, and directories with all below if that is wanted; each by itself."""
    return {path: await _outcome(_delete_any(tree, path, recursive)) for path in paths}


async def _delete_any(tree: Tree, path: str, recursive: bool) -> None:
    place = paths.parse(path)
    if recursive and place.bucket and await tree.find(place) is None and await tree.is_directory(place):
        await remove_directory(tree, place, recursive=True)
        return
    await delete(tree, path=path)


async def _outcome(act: Awaitable[Any]) -> dict[str, Any]:
    try:
        await act
    except (GatewayError, RpcError) as error:
        return {"success": False, "error": to_rpc_error(error).message}
    return {"success": True}


@on_tree
async def rename(tree: Tree, *, old_path: str, new_path: str) -> dict[str, bool]:
    """Give a file, or a directory with all below, another path, in another store if need be: copied, then deleted.

    Meanwhile both are there; never neither. What is at the new path already is left alone.
    """
    old, new = file_place(old_path), file_place(new_path)
    if old == new:
        raise exists(new.path)
    found = await tree.find(old)
    if found is not None:
        await _move(tree, found, new)
    elif await tree.is_directory(old):
        await _move_directory(tree, old, new)
    else:
        raise not_found(old.path)
    return {"success": True}


async def _move(tree: Tree, found: Found, new: Place) -> None:
    """Copy a file, then delete it, if nobody changes it meanwhile; else nothing was done. Raises Conflict."""
    old = found.place
    tree.permit("s3:DeleteObject", found.bucket, old.key)
    snapshot = await tree.core.names.current()
    snapshot.table.resolve_writable(old.path)
    found, copied = await _copy(tree, found, new, overwrite=False)
    conditions = WriteConditions(if_match=found.info.etag, if_match_modified_at=found.info.modified_at)
    try:
        await tree.core.objects.delete(found.bucket, Removal(old.key, conditions, owner_id=tree.principal.user_id))
    except (PreconditionFailed, ObjectNotFound):
        bucket = await tree.core.buckets.find(new.bucket)
        undo = WriteConditions(if_match=copied.etag, if_match_modified_at=copied.modified_at)
        await tree.core.objects.delete(bucket, Removal(new.key, undo, owner_id=tree.principal.user_id))
        raise Conflict(f"{old.path} was changed while it was renamed") from None


async def _move_directory(tree: Tree, old: Place, new: Place) -> None:
    if (new.bucket, new.key + "/") == (old.bucket, old.below) or new.path.startswith(old.path + "/"):
        raise refuse(new.path, "a directory cannot be moved into itself", VALIDATION)
    if await tree.find(new) is not None or await tree.is_directory(new):
        raise exists(new.path)
    bucket = await tree.listable(old)
    if bucket is None:
        raise not_found(old.path)
    after = ""
    while page := (await tree.core.objects.list(bucket, old.below, "", after, PAGE)).rows:
        for row in page:
            key = after = row[0].decode()
            info = await tree.core.objects.find(bucket, key)
            tree.permit("s3:GetObject", bucket, key, info)
            await _move(
                tree, Found(Place(old.bucket, key), bucket, info), Place(new.bucket, new.below + key[len(old.below) :])
            )


async def _copy(tree: Tree, found: Found, new: Place, overwrite: bool) -> tuple[Found, ObjectInfo]:
    """Copy a file; where it was replaced or moved to another store meanwhile, the one that is there by now.

    The file as it was copied, and the copy. Raises Conflict where it keeps changing.
    """
    for _ in range(LOOKS):
        try:
            return found, await _copy_once(tree, found, new, overwrite)
        except ObjectReplaced:
            found = await tree.file(found.place)
    raise Conflict(f"{found.place.path} keeps changing")


async def _copy_once(tree: Tree, found: Found, new: Place, overwrite: bool) -> ObjectInfo:
    bucket = await tree.bucket(new, "s3:PutObject", new.key)
    if found.info.attributes.tags:
        tree.permit("s3:GetObjectTagging", found.bucket, found.place.key, found.info)
    try:
        return await tree.core.copies.copy(
            found.info,
            found.bucket,
            bucket,
            new.key,
            owner_id=owner_of_new(tree.principal, bucket, None),
            attributes=None,
            algorithm=None,
            wanted=kept(found.info.encryption),
            limit=tree.core.settings.max_object_size,
            source_conditions=ReadConditions(),
            conditions=UNCONDITIONAL if overwrite else WriteConditions(if_none_match="*"),
        )
    except PreconditionFailed:
        raise exists(new.path) from None


@on_tree
async def rename_bulk(tree: Tree, *, renames: list[list[str]]) -> dict[str, dict[str, Any]]:
    """Rename several, each by itself; the answer is by the old paths."""
    if any(len(pair) != 2 for pair in renames):
        raise RpcError(BAD_PARAMETERS, "renames is a list of [old path, new path]")
    return {old: await _outcome(rename(tree, old_path=old, new_path=new)) for old, new in renames}


@on_tree
async def copy(tree: Tree, *, path: str, new_path: str, overwrite: bool = True) -> dict[str, Any]:
    """Copy a file with its metadata; within a store no byte moves."""
    found = await tree.file(paths.parse(path))
    new = file_place(new_path)
    if found.place == new:
        raise refuse(new.path, "a file is not copied onto itself", VALIDATION)
    _, info = await _copy(tree, found, new, overwrite)
    return {"etag": await tree.core.files.hash(info), "version": info.version, "size": info.size}
