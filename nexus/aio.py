"""A connection to a Nexus server for asyncio: ``nexus.client`` again, to be awaited."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any

import httpx

from nexus import wire
from nexus.bodies import CHUNK, AsyncSource, Content, Progress, size_of, watched_async
from nexus.errors import ConflictError, NexusFileNotFoundError
from nexus.mounts import AsyncMountManager
from nexus.results import Entry, Mount, Stat
from nexus.wire import CONNECT_TIMEOUT, DEFAULT_TIMEOUT

LIST_PAGE = 5000


class AsyncRemoteNexusFS:
    """Files on a server: ``RemoteNexusFS`` with methods to be awaited. Close it, or use ``async with``."""

    def __init__(
        self,
        server_url: str,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.server_url = server_url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Timeout(timeout, connect=connect_timeout)
        self._http = httpx.AsyncClient(headers=headers, timeout=limits, transport=transport)
        self.mount_manager = AsyncMountManager(self.call)

    async def __aenter__(self) -> AsyncRemoteNexusFS:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # -- calls

    async def call(self, method: str, **params: Any) -> Any:
        """The result of an RPC method. Raises NexusError and its kinds, NexusConnectionError when nothing answers."""
        body, repeatable = wire.call_body(method, params), wire.is_repeatable(method, params)
        url, headers = f"{self.server_url}/api/nfs/{method}", {"Content-Type": "application/json"}
        answer, attempts = await self._send("POST", url, repeatable, headers=headers, content=body)
        try:
            return wire.result_of(self.server_url, answer)
        except NexusFileNotFoundError:
            if attempts > 1 and method in wire.REMOVING:
                return {"success": True}  # the attempt whose answer was lost did it
            raise

    async def _send(self, method: str, url: str, repeatable: bool, **request: Any) -> tuple[httpx.Response, int]:
        """An answer, and the attempts that it took."""
        for attempt in range(wire.ATTEMPTS):
            last = attempt == wire.ATTEMPTS - 1
            try:
                answer = await self._http.request(method, url, **request)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if last or not wire.may_repeat(error, repeatable):
                    raise wire.unreachable(self.server_url, error) from error
                await asyncio.sleep(wire.delay(attempt))
                continue
            if last or not wire.comes_back_later(answer, repeatable):
                return answer, attempt + 1
            await asyncio.sleep(wire.delay(attempt, answer))
        raise AssertionError("unreachable")

    async def whoami(self) -> dict[str, Any]:
        """Whose key this is. Raises NexusPermissionError when it is nobody's."""
        answer, _ = await self._send("GET", f"{self.server_url}/api/auth/whoami", True)
        return wire.whoami_of(self.server_url, answer)

    # -- content

    async def read(self, path: str) -> bytes:
        """A file's bytes."""
        return b"".join([chunk async for chunk in self.stream(path)])

    async def read_range(self, path: str, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``."""
        return b"".join([chunk async for chunk in self.stream(path, start=start, end=end)]) if end > start else b""

    async def stream(
        self,
        path: str,
        chunk_size: int = CHUNK,
        *,
        start: int = 0,
        end: int | None = None,
        progress: Progress | None = None,
    ) -> AsyncIterator[bytes]:
        """A file's bytes as they come; where the connection breaks it goes on from there.

        Raises ConflictError where the file was changed meanwhile.
        """
        at, etag, failures = start, "", 0
        url = wire.stream_url(self.server_url, path)
        while True:
            headers = wire.range_header(at, end) | ({"If-Match": etag} if etag else {})
            try:
                async with self._http.stream("GET", url, headers=headers) as answer:
                    if answer.status_code == wire.PAST_THE_END:
                        return
                    if answer.status_code not in (200, 206):
                        await answer.aread()
                        wire.check_stream(self.server_url, answer)
                    if etag and answer.headers["etag"] != etag:
                        raise ConflictError(f"{path} was changed while it was read", etag, answer.headers["etag"])
                    etag, size = answer.headers["etag"], int(answer.headers["x-nexus-size"])
                    async for chunk in answer.aiter_bytes(chunk_size):
                        failures, at = 0, at + len(chunk)
                        yield chunk
                        if progress is not None:
                            progress(at - start, (size if end is None else min(end, size)) - start)
                    return
            except httpx.HTTPError as error:
                failures += 1
                if failures >= wire.ATTEMPTS or not wire.may_repeat(error, True):
                    raise wire.unreachable(self.server_url, error) from error
                await asyncio.sleep(wire.delay(failures - 1))

    async def write(
        self,
        path: str,
        content: Content,
        *,
        if_match: str | None = None,
        if_none_match: bool = False,
        force: bool = False,
    ) -> Stat:
        """Write a file: over what is there, unless ``if_match`` tells another ETag or ``if_none_match`` is wanted.

        Raises ConflictError, FileExistsError.
        """
        headers = wire.write_headers(if_match, if_none_match, force)
        whole = content.encode() if isinstance(content, str) else bytes(content)
        answer, _ = await self._send(
            "PUT", wire.stream_url(self.server_url, path), not headers, headers=headers, content=whole
        )
        return Stat(wire.result_of(self.server_url, answer))

    async def write_stream(
        self,
        path: str,
        source: AsyncSource,
        *,
        size: int | None = None,
        progress: Progress | None = None,
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> Stat:
        """Write a file from an open file or an iterable of bytes, of any size. ``size`` may tell how many there are."""
        size = size_of(source) if size is None else size
        headers = wire.write_headers(if_match, if_none_match, force=False)
        if size is not None:
            headers["Content-Length"] = str(size)
        try:
            url = wire.stream_url(self.server_url, path)
            answer = await self._http.put(url, headers=headers, content=watched_async(source, size, progress))
        except httpx.HTTPError as error:
            raise wire.unreachable(self.server_url, error) from error
        return Stat(wire.result_of(self.server_url, answer))

    async def append(self, path: str, content: Content, *, if_match: str | None = None) -> Stat:
        """Add to the end of a file, made where it is missing."""
        return Stat(await self.call("append", path=path, content=content, if_match=if_match))

    async def write_batch(self, files: Iterable[tuple[str, Content]]) -> builtins.list[Stat]:
        """Write several files, all or none."""
        return [
            Stat(each) for each in await self.call("write_batch", files=[[path, content] for path, content in files])
        ]

    async def read_bulk(self, paths: Iterable[str]) -> dict[str, bytes | None]:
        """Several files; None for what cannot be read."""
        found: dict[str, bytes | None] = await self.call("read_bulk", paths=list(paths))
        return found

    # -- files

    async def stat(self, path: str) -> Stat:
        """``size``, ``etag``, ``version``, ``modified_at``, ``created_at``, ``is_directory``, ``backend_type`` …"""
        return Stat(await self.call("stat", path=path))

    async def exists(self, path: str) -> bool:
        return bool((await self.call("exists", path=path))["exists"])

    async def is_directory(self, path: str) -> bool:
        return bool((await self.call("is_directory", path=path))["is_directory"])

    async def delete(self, path: str, *, if_match: str | None = None) -> None:
        """Remove a file. Raises NexusFileNotFoundError."""
        await self.call("delete", path=path, if_match=if_match)

    remove = delete

    async def rename(self, old_path: str, new_path: str) -> None:
        """Give a file or directory another path, in another store if need be. Raises FileExistsError."""
        await self.call("rename", old_path=old_path, new_path=new_path)

    async def copy(self, path: str, new_path: str, *, overwrite: bool = True) -> Stat:
        """Copy a file with its metadata, on the server."""
        return Stat(await self.call("copy", path=path, new_path=new_path, overwrite=overwrite))

    async def get_metadata(self, path: str) -> dict[str, Any]:
        """All that is known of a file, with what ``set_metadata`` said of it. Raises NexusFileNotFoundError."""
        found: dict[str, Any] | None = (await self.call("get_metadata", path=path))["metadata"]
        if found is None:
            raise NexusFileNotFoundError(f"File not found: {path}")
        return found

    async def set_metadata(self, path: str, metadata: Mapping[str, Any]) -> None:
        """Say things of a file, which S3 shows as user metadata; None takes back, what is not named stays."""
        await self.call("set_metadata", path=path, metadata=dict(metadata))

    # -- directories

    async def list(self, path: str = "/", *, recursive: bool = True, prefix: str | None = None) -> builtins.list[Entry]:
        """What lies below a directory, by path."""
        found: builtins.list[Entry] = []
        after: str | None = None
        while True:
            page = await self.call(
                "list", path=path, recursive=recursive, prefix=prefix, details=True, limit=LIST_PAGE, after=after
            )
            found += [Entry(entry) for entry in page["files"]]
            after = page["next"]
            if after is None:
                return sorted(found, key=lambda entry: str(entry["path"]))

    async def glob(self, pattern: str, path: str = "/") -> builtins.list[str]:
        """The files whose paths match: ``*`` and ``?`` within a name, ``**`` over directories."""
        found: builtins.list[str] = (await self.call("glob", pattern=pattern, path=path))["matches"]
        return found

    async def grep(self, pattern: str, path: str = "/", **options: Any) -> builtins.list[Entry]:
        """The lines that match: ``file``, ``line``, ``content``, ``match``."""
        return [Entry(row) for row in (await self.call("grep", pattern=pattern, path=path, **options))["results"]]

    async def mkdir(self, path: str, *, parents: bool = True, exist_ok: bool = True) -> None:
        """Make a directory, with those above it."""
        await self.call("mkdir", path=path, parents=parents, exist_ok=exist_ok)

    async def rmdir(self, path: str, *, recursive: bool = False) -> None:
        """Remove an empty directory, or one with all below. Raises ValidationError where it is not empty."""
        await self.call("rmdir", path=path, recursive=recursive)

    # -- versions

    async def list_versions(self, path: str) -> builtins.list[Stat]:
        return [Stat(each) for each in await self.call("list_versions", path=path)]

    async def get_version(self, path: str, version: int) -> bytes:
        content: bytes = await self.call("get_version", path=path, version=version)
        return content

    async def rollback(self, path: str, version: int) -> None:
        """Bring an old version back, as a new one."""
        await self.call("rollback", path=path, version=version)

    # -- mounts

    async def list_mounts(self) -> builtins.list[Mount]:
        return await self.mount_manager.list_mounts()

    async def get_mount_info(self, path: str) -> Mount | None:
        """The mount that serves a path, or None."""
        return await self.mount_manager.serving(path)

    async def add_mount(
        self, mount_point: str, backend_type: str, backend_config: Mapping[str, Any], **options: Any
    ) -> str:
        return await self.mount_manager.add_mount(mount_point, backend_type, backend_config, **options)

    async def remove_mount(self, mount_point: str) -> bool:
        return await self.mount_manager.remove_mount(mount_point)

    async def get_mount(self, mount_point: str) -> Mount | None:
        return await self.mount_manager.get_mount(mount_point)

    async def has_mount(self, mount_point: str) -> bool:
        return await self.mount_manager.has_mount(mount_point)
