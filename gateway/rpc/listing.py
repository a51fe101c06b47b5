"""Methods that find files: list, glob, grep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from gateway.errors import NotAllowed
from gateway.rpc import paths
from gateway.rpc.errors import BAD_PARAMETERS, VALIDATION, RpcError
from gateway.rpc.globbing import Pattern
from gateway.rpc.grepping import Grep
from gateway.rpc.methods import on_tree
from gateway.rpc.paths import Place
from gateway.rpc.reading import file_entries, open_
from gateway.rpc.tree import Found, Tree
from gateway.types import Bucket, ObjectInfo

PAGE = 1000
MAX_ENTRIES = 1_000_000
"""Most entries of one answer: whoever has more to list pages."""
MAX_RESULTS = 100_000
_END = "\U0010ffff"
"""Past every key that a path can name."""


class Page(NamedTuple):
    """What one look at the catalog found below a directory."""

    bucket: Bucket | None
    files: list[ObjectInfo]
    directories: list[str]
    """As paths."""
    after: str
    """What to continue after: ``/bucket/key``; empty when there is no more."""


@on_tree
async def list_(
    tree: Tree,
    *,
    path: str = "/",
    recursive: bool = True,
    details: bool = False,
    prefix: str | None = None,
    show_parsed: bool = True,
    limit: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    """What lies below a directory, by path; with ``limit``, page by page: ``next`` is the ``after`` of the next."""
    if limit is not None and limit < 1:
        raise RpcError(BAD_PARAMETERS, "limit is at least 1")
    start, wanted = paths.parse(path), _absolute(path, prefix)
    entries: list[Any] = []
    rest = ""
    async for page in walk(tree, start, recursive, wanted, after or "", min(limit or PAGE, PAGE)):
        entries += [entry async for entry in _entries(tree, page, wanted, details)]
        rest = page.after
        if limit is not None and len(entries) >= limit:
            break
        if len(entries) > MAX_ENTRIES:
            raise RpcError(VALIDATION, f"over {MAX_ENTRIES} entries: list a directory below, or page with limit")
    else:
        rest = ""
    if not entries and not after:
        entries = [entry async for entry in _itself(tree, start, wanted, details)]
    entries.sort(key=(lambda entry: entry["path"]) if details else None)
    return {"files": entries} if limit is None else {"files": entries, "next": rest or None}


def _absolute(path: str, prefix: str | None) -> str:
    """The text that wanted paths begin with."""
    if prefix is None or prefix.startswith("/"):
        return prefix or ""
    return f"{paths.parse(path).path.rstrip('/')}/{prefix}"


async def _entries(tree: Tree, page: Page, wanted: str, details: bool) -> AsyncIterator[Any]:
    for directory in page.directories:
        if directory.startswith(wanted):
            yield directory_entry(directory) if details else directory
    if page.bucket is None:
        return
    files = [info for info in page.files if Place(page.bucket.name, info.key).path.startswith(wanted)]
    if not details:
        for info in files:
            yield Place(page.bucket.name, info.key).path
        return
    for entry in await file_entries(tree, page.bucket, files):
        yield entry


async def _itself(tree: Tree, place: Place, wanted: str, details: bool) -> AsyncIterator[Any]:
    """A file, where that is what was to be listed."""
    found = await tree.find(place) if place.path.startswith(wanted) else None
    if found is not None:
        yield (await file_entries(tree, found.bucket, [found.info]))[0] if details else place.path


def directory_entry(path: str) -> dict[str, Any]:
    untold = dict.fromkeys(("modified_at", "created_at", "etag", "mime_type"))
    return {"path": path, "size": 0, **untold, "is_directory": True}


async def walk(
    tree: Tree, start: Place, recursive: bool, wanted: str = "", after: str = "", size: int = PAGE
) -> AsyncIterator[Page]:
    """What is below a directory, page by page, each file once; ``wanted`` spares what begins otherwise."""
    if start.bucket:
        bucket = await tree.listable(start)
        if bucket is not None:
            async for page in _walk_bucket(tree, bucket, start, recursive, wanted, after, size):
                yield page
        return
    last = after[1:].partition("/")[0]
    for bucket in await tree.buckets():
        if bucket.name < last:
            continue
        root = f"/{bucket.name}"
        if bucket.name != last:
            yield Page(None, [], [root], root)
        if recursive and (whole := await tree.listable(Place(bucket.name, ""), quietly=True)) is not None:
            async for page in _walk_bucket(tree, whole, Place(bucket.name, ""), True, wanted, after, size):
                yield page._replace(after=page.after or f"{root}/{_END}")


async def _walk_bucket(
    tree: Tree, bucket: Bucket, start: Place, recursive: bool, wanted: str, after: str, size: int
) -> AsyncIterator[Page]:
    prefix = start.below
    root = f"/{bucket.name}/"
    if wanted.startswith(root + prefix):
        prefix = wanted[len(root) :]
    at: str | None = after[len(root) :] if after.startswith(root) else ""
    while at is not None:
        infos, common, at = await tree.core.files.page(bucket, prefix, "" if recursive else "/", at, size)
        files, directories = _sorted_out(bucket, start, infos, common)
        yield Page(bucket, files, directories, "" if at is None else root + at)


def _sorted_out(
    bucket: Bucket, start: Place, infos: list[ObjectInfo], common: list[str]
) -> tuple[list[ObjectInfo], list[str]]:
    """Files and directories of a page; keys that no path names are left to S3."""
    files = [info for info in infos if not info.key.endswith("/") and paths.is_key(info.key)]
    marked = (info.key for info in infos if info.key.endswith("/"))
    return files, [f"/{bucket.name}/{key[:-1]}" for key in _directories(start, marked, common)]


def _directories(start: Place, marked: Iterator[str], common: list[str]) -> Iterator[str]:
    for key in (*marked, *common):
        if key != start.below and paths.is_key(key[:-1]):
            yield key


@on_tree
async def glob(tree: Tree, *, pattern: str, path: str = "/") -> dict[str, list[str]]:
    """The files whose paths match: ``*`` and ``?`` within a name, ``**`` over any number of directories."""
    start = paths.parse(path)
    matcher = Pattern(start.path, pattern)
    base = paths.parse(matcher.base)
    found: list[str] = []
    async for page in walk(tree, base, recursive=True):
        for info in page.files:
            assert page.bucket is not None
            candidate = Place(page.bucket.name, info.key).path
            if matcher.matches(candidate):
                found.append(candidate)
        if len(found) > MAX_ENTRIES:
            raise RpcError(VALIDATION, f"over {MAX_ENTRIES} matches")
    return {"matches": sorted(found)}


@on_tree
async def grep(
    tree: Tree,
    *,
    pattern: str,
    path: str = "/",
    file_pattern: str | None = None,
    ignore_case: bool = False,
    max_results: int = 100,
    search_mode: str = "auto",
) -> dict[str, list[dict[str, Any]]]:
    """The lines of text files below a path that match a regular expression. It has a deadline."""
    if not 1 <= max_results <= MAX_RESULTS:
        raise RpcError(BAD_PARAMETERS, f"max_results is from 1 to {MAX_RESULTS}")
    start = paths.parse(path)
    matcher = (
        Pattern(start.path, file_pattern if "/" in file_pattern else f"**/{file_pattern}") if file_pattern else None
    )
    async with Grep(pattern, ignore_case, max_results) as search:
        async for found in _files(tree, start):
            if matcher is not None and not matcher.matches(found.place.path):
                continue
            opened = await open_(tree, found, 0, found.info.size)
            await search.feed(found.place.path, opened.body)
            if search.full:
                break
    return {"results": search.results}


async def _files(tree: Tree, start: Place) -> AsyncIterator[Found]:
    """The files below a path that the caller may read; the file itself, if it is one."""
    itself = await tree.find(start)
    if itself is not None:
        yield itself
        return
    async for page in walk(tree, start, recursive=True):
        for info in page.files:
            assert page.bucket is not None
            try:
                tree.permit("s3:GetObject", page.bucket, info.key, info)
            except NotAllowed:
                continue
            yield Found(Place(page.bucket.name, info.key), page.bucket, info)


@on_tree
async def get_available_namespaces(tree: Tree) -> dict[str, list[str]]:
    """The names in the root: buckets."""
    return {"namespaces": [bucket.name for bucket in await tree.buckets()]}
