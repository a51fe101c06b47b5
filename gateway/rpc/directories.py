"""Methods about directories: zero-byte keys that end in a slash, and whatever has a key below it."""

from __future__ import annotations

from gateway.access import authorize_creation, owner_of_new
from gateway.bodies import Checks
from gateway.catalog.objects import Removal
from gateway.conditions import WriteConditions
from gateway.errors import BucketExists, BucketNotFound, PreconditionFailed
from gateway.rpc import paths
from gateway.rpc.errors import VALIDATION, exists, not_found
from gateway.rpc.methods import on_tree
from gateway.rpc.paths import Place
from gateway.rpc.tree import Tree, refuse
from gateway.rpc.writing import source_of
from gateway.types import Attributes, Bucket

DIRECTORY = Attributes("application/x-directory")
PAGE = 1000


@on_tree
async def is_directory(tree: Tree, *, path: str) -> dict[str, bool]:
    """Whether there is a directory, and no file of that name."""
    place = paths.parse(path)
    return {"is_directory": await tree.find(place) is None and await tree.is_directory(place)}


@on_tree
async def mkdir(tree: Tree, *, path: str, parents: bool = False, exist_ok: bool = False) -> dict[str, bool]:
    """Make a directory; in the root, a bucket."""
    place = paths.parse(path)
    if await tree.find(place) is not None or (not exist_ok and await tree.is_directory(place)):
        raise exists(place.path)
    if parents:
        await _make_parents(tree, place)
    elif place.parent.bucket and not await tree.is_directory(place.parent):
        raise not_found(place.parent.path)
    await _make(tree, place, exist_ok)
    return {"success": True}


async def _make_parents(tree: Tree, place: Place) -> None:
    missing = []
    while place.parent.bucket and not await tree.is_directory(place.parent):
        place = place.parent
        if await tree.find(place) is not None:
            raise exists(place.path)
        missing.append(place)
    for each in reversed(missing):
        await _make(tree, each, exist_ok=True)


async def _make(tree: Tree, place: Place, exist_ok: bool) -> None:
    if not place.key:
        await _make_bucket(tree, place, exist_ok)
        return
    bucket = await tree.bucket(place, "s3:PutObject", place.below)
    try:
        await tree.core.objects.put(
            bucket,
            place.below,
            source_of(b""),
            DIRECTORY,
            Checks(),
            owner_id=owner_of_new(tree.principal, bucket, None),
            conditions=WriteConditions(if_none_match="*"),
        )
    except PreconditionFailed:
        if not exist_ok:
            raise exists(place.path) from None


async def _make_bucket(tree: Tree, place: Place, exist_ok: bool) -> None:
    if not place.bucket:
        return  # the root is always there
    owner = authorize_creation(tree.principal, place.bucket)
    try:
        try:
            present = await tree.core.buckets.find(place.bucket)
        except BucketNotFound:
            async with tree.recording("mkdir", place.path):
                await tree.core.buckets.create(place.bucket, owner)
        else:
            raise BucketExists(place.bucket, by_caller=present.owner_id == owner.user_id)
    except BucketExists as error:
        if not (exist_ok and (error.by_caller or tree.principal.is_admin)):
            raise


@on_tree
async def rmdir(tree: Tree, *, path: str, recursive: bool = False) -> dict[str, bool]:
    """Remove an empty directory, or one with all that is below; in the root, a bucket."""
    place = paths.parse(path)
    if not place.bucket:
        raise refuse("/", "the root stays", VALIDATION)
    if await tree.find(place) is not None:
        raise refuse(place.path, "not a directory", VALIDATION)
    if not await tree.is_directory(place):
        raise not_found(place.path)
    if place.key:
        await remove_directory(tree, place, recursive)
    else:
        async with tree.recording("rmdir", place.path, {"recursive": recursive}):
            await remove_directory(tree, place, recursive)
    return {"success": True}


async def remove_directory(tree: Tree, place: Place, recursive: bool) -> None:
    """Remove a directory that is there. Raises RpcError where it is not empty, unless that goes too."""
    bucket = await tree.bucket(place, "s3:DeleteObject" if place.key else "s3:DeleteBucket", place.below or None)
    if recursive:
        await _empty(tree, bucket, place)
    elif (await tree.core.objects.list(bucket, place.below, "", place.below, 1)).rows:
        raise refuse(place.path, "the directory is not empty", VALIDATION)
    if place.key:
        await tree.core.objects.delete(bucket, Removal(place.below, owner_id=tree.principal.user_id))
    else:
        try:
            await tree.core.buckets.delete(bucket)
        except BucketNotFound:
            return


async def _empty(tree: Tree, bucket: Bucket, place: Place) -> None:
    """Remove every key below a directory, each with the caller's leave."""
    after = place.below
    while page := (await tree.core.objects.list(bucket, place.below, "", after, PAGE)).rows:
        for row in page:
            key = after = row[0].decode()
            tree.permit("s3:DeleteObject", bucket, key)
            await tree.core.objects.delete(bucket, Removal(key, owner_id=tree.principal.user_id))
