"""``import nexus`` against a real server, by both of its clients."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from botocore.client import BaseClient

import nexus
from tests.e2e.harness import Server, free_port, unique

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def nx(server: Server) -> Iterator[nexus.RemoteNexusFS]:
    with nexus.connect({"url": server.url, "api_key": server.admin.api_key}) as connected:
        yield connected


def test_mounts_while_the_server_runs(nx: nexus.RemoteNexusFS, store_dir: Callable[[], Path]) -> None:
    point, folder = f"/{unique('m')}", str(store_dir())
    cas = {"data_dir": folder, "layout": "cas"}
    assert nx.whoami()["is_admin"] is True
    assert nx.mount_manager.add_mount(point, "local", cas, priority=5, readonly=True) == point
    (mount,) = [each for each in nx.list_mounts() if each.mount_point == point]
    assert (mount.backend_type, mount["priority"], mount.readonly) == ("local", 5, True)
    info = nx.get_mount_info(f"{point}/deep/key")
    assert info is not None and info.mount_point == point
    assert nx.has_mount(point) and nx.get_mount(f"{point}/deep") is None
    with pytest.raises(nexus.NexusPermissionError, match=f"read-only mount {point}"):
        nx.write(f"{point}/a", b"")
    assert nx.mount_manager.update_mount(point, readonly=False, priority=6).priority == 6
    assert nx.write(f"{point}/a", b"a").size == 1
    with pytest.raises(nexus.ValidationError, match="exists"):
        nx.add_mount(point, "local", {"data_dir": folder})
    with pytest.raises(nexus.ValidationError, match="no setting colour"):
        nx.add_mount("/other", "local", {"data_dir": "/tmp", "colour": "red"})
    assert nx.remove_mount(point)
    with pytest.raises(nexus.BackendError, match=f"Backend not found for path {point}/a"):
        nx.read(f"{point}/a")
    with pytest.raises(nexus.NexusFileNotFoundError):
        nx.mount_manager.remove_mount(point)


def test_files(nx: nexus.RemoteNexusFS, s3: BaseClient, bucket: str) -> None:
    path = f"/{bucket}/d/ü+%20 a.txt"
    written = nx.write(path, b"one", if_none_match=True)
    assert (written.version, written["size"]) == (1, 3) and nx.read(path) == b"one"
    assert s3.get_object(Bucket=bucket, Key="d/ü+%20 a.txt")["Body"].read() == b"one"
    with pytest.raises(FileExistsError):
        nx.write(path, b"x", if_none_match=True)
    with pytest.raises(nexus.ConflictError) as conflict:
        nx.write(path, b"x", if_match="0" * 64)
    assert (conflict.value.expected_etag, conflict.value.current_etag) == ("0" * 64, written.etag)
    assert nx.write(path, "two", if_match=written.etag).version == 2
    assert nx.append(path, b" three").size == 9 and nx.read_range(path, 4, 7) == b"thr"
    assert nx.read_range(path, 8, 99) == b"e" and nx.read_range(path, 9, 99) == b"" == nx.read_range(path, 99, 100)
    stat = nx.stat(path)
    age = datetime.now() - datetime.fromisoformat(stat["created_at"])
    assert timedelta(0) <= age < timedelta(minutes=5) and stat.is_directory is False and stat.mount_point == "/"
    nx.set_metadata(path, {"tier": "hot", "n": 1})
    nx.set_metadata(path, {"tier": "cold"})
    meta = nx.get_metadata(path)
    assert (meta["tier"], meta["n"], meta["size"], meta.get("accessed_at", "never")) == ("cold", "1", 9, "never")
    assert nx.copy(path, f"/{bucket}/b").etag == nx.stat(path).etag
    nx.rename(f"/{bucket}/b", f"/{bucket}/c")
    assert [(entry.path, entry["is_directory"]) for entry in nx.list(f"/{bucket}", recursive=False)] == [
        (f"/{bucket}/c", False),
        (f"/{bucket}/d", True),
    ]
    assert nx.glob("**/*.txt", f"/{bucket}") == [path] and nx.grep("thr", f"/{bucket}")[0].file == f"/{bucket}/c"
    nx.remove(path)
    for gone in (nx.read, nx.stat, nx.remove, nx.get_metadata):
        with pytest.raises(FileNotFoundError, match="File not found: "):
            gone(path)
    assert not nx.exists(path) and not nx.is_directory(f"/{bucket}/d")
    with pytest.raises(nexus.InvalidPathError):
        nx.write(f"/{bucket}/../x", b"")


def test_directories_and_versions(nx: nexus.RemoteNexusFS, s3: BaseClient, bucket: str) -> None:
    nx.mkdir(f"/{bucket}/a/b")
    nx.mkdir(f"/{bucket}/a/b")
    assert nx.stat(f"/{bucket}/a").is_directory
    with pytest.raises(nexus.ValidationError, match="not empty"):
        nx.rmdir(f"/{bucket}/a")
    nx.rmdir(f"/{bucket}/a", recursive=True)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    nx.write_batch([(f"/{bucket}/v", b"1"), (f"/{bucket}/v", b"2")])
    assert [each.version for each in nx.list_versions(f"/{bucket}/v")] == [2, 1]
    nx.rollback(f"/{bucket}/v", 1)
    assert nx.read(f"/{bucket}/v") == b"1" == nx.get_version(f"/{bucket}/v", 3)
    assert nx.read_bulk([f"/{bucket}/v", f"/{bucket}/none"]) == {f"/{bucket}/v": b"1", f"/{bucket}/none": None}


def test_lists_of_any_length(nx: nexus.RemoteNexusFS, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.client.LIST_PAGE", 7)
    nx.write_batch([(f"/{bucket}/{number:03}", b"") for number in range(50)])
    assert [entry.path for entry in nx.list(f"/{bucket}")] == [f"/{bucket}/{number:03}" for number in range(50)]
    assert {f"/{bucket}", f"/{bucket}/049"} <= {entry.path for entry in nx.list()}


def test_streams_of_any_size(nx: nexus.RemoteNexusFS, s3: BaseClient, bucket: str, server: Server) -> None:
    piece, seen = os.urandom(MIB), []
    before = server.resident()

    def progress(done: int, total: int | None) -> None:
        seen.append((done, total))

    path = f"/{bucket}/big"
    assert nx.write_stream(path, (piece for _ in range(96)), progress=progress).size == 96 * MIB
    assert seen[-1] == (96 * MIB, None) and s3.head_object(Bucket=bucket, Key="big")["ContentLength"] == 96 * MIB
    seen.clear()
    assert all(chunk == piece for chunk in nx.stream(path, MIB, progress=progress)) and seen[-1] == (96 * MIB, 96 * MIB)
    assert b"".join(nx.stream(path, start=MIB - 1, end=MIB + 1)) == piece[-1:] + piece[:1]
    assert server.resident() - before < 64 * MIB
    nx.write_stream(path, io.BytesIO(piece), progress=progress)
    assert seen[-1] == (MIB, MIB) and nx.read(path) == piece
    for condition in ({"if_match": "0" * 64}, {"if_none_match": True}):
        with pytest.raises((nexus.ConflictError, FileExistsError)):
            nx.write_stream(path, (piece for _ in range(20)), **condition)
    with pytest.raises(nexus.BackendError):
        nx.write_stream("/no-such-bucket/big", (piece for _ in range(20)))
    assert nx.read(path) == piece


def test_for_asyncio(server: Server, bucket: str, store_dir: Callable[[], Path]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(4):
            yield bytes([number]) * MIB

    async def story() -> None:
        async with nexus.AsyncRemoteNexusFS(server.url, server.admin.api_key) as nx:
            path = f"/{bucket}/a"
            assert (await nx.write(path, b"a")).size == 1 and await nx.read(path) == b"a"
            assert (await nx.write_stream(path, pieces())).size == 4 * MIB
            assert [chunk[0] async for chunk in nx.stream(path, MIB)] == [0, 1, 2, 3]
            assert await nx.read_range(path, MIB, MIB + 2) == b"\1\1"
            await nx.append(path, b"!")
            await nx.set_metadata(path, {"a": "b"})
            assert (await nx.get_metadata(path))["a"] == "b" and (await nx.stat(path)).version == 3
            await nx.mkdir(f"/{bucket}/d")
            await nx.copy(path, f"/{bucket}/d/b")
            await nx.rename(path, f"/{bucket}/c")
            assert [entry.path for entry in await nx.list(f"/{bucket}")] == [
                f"/{bucket}/{p}" for p in ("c", "d", "d/b")
            ]
            assert await nx.glob("**/b", f"/{bucket}") == [f"/{bucket}/d/b"]
            await nx.rmdir(f"/{bucket}/d", recursive=True)
            await nx.remove(f"/{bucket}/c")
            with pytest.raises(FileNotFoundError):
                await nx.read(f"/{bucket}/c")
            point = f"/{unique('async')}"
            await nx.mount_manager.add_mount(point, "local", {"data_dir": str(store_dir())})
            info = await nx.get_mount_info(f"{point}/x")
            assert info is not None and info.mount_point == point
            assert point in [mount.mount_point for mount in await nx.list_mounts()]
            assert await nx.remove_mount(point) and (await nx.whoami())["is_admin"]

    asyncio.run(story())


def test_what_goes_wrong_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with nexus.RemoteNexusFS(server.url, "nxk_wrong") as nx:
        for refused in (
            nx.list_mounts,
            nx.whoami,
            lambda: nx.read("/workspace/a"),
            lambda: nx.write("/workspace/a", b""),
        ):
            with pytest.raises(nexus.NexusPermissionError):
                refused()
    monkeypatch.setattr("nexus.wire.FIRST_DELAY", 0.001)
    with nexus.RemoteNexusFS(f"http://127.0.0.1:{free_port()}", "x") as nx, pytest.raises(nexus.NexusConnectionError):
        nx.list_mounts()
    monkeypatch.delenv("NEXUS_URL", raising=False)
    with pytest.raises(ValueError, match="NEXUS_URL"):
        nexus.connect()
    with pytest.raises(ValueError, match="no color"):
        nexus.connect({"url": server.url, "color": "red"})
    monkeypatch.setenv("NEXUS_URL", server.url)
    monkeypatch.setenv("NEXUS_API_KEY", server.admin.api_key)
    with nexus.connect() as nx:
        assert nx.list_mounts()
