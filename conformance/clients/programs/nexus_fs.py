"""nexus-fs-python: the Nexus client from the package registry, against the Nexus door; S3 sees the same files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from nexus_client import (
    AsyncRemoteNexusFS,
    ConflictError,
    InvalidPathError,
    NexusError,
    NexusFileNotFoundError,
    NexusPermissionError,
    RemoteNexusFS,
    ValidationError,
)

from conformance.clients.files import MIB, bucket, folder, left, noise

URL, KEY = os.environ["AWS_ENDPOINT_URL"], os.environ["NEXUS_API_KEY"]


def refused(kind: type[Exception], act: object, *arguments: object, **options: object) -> Exception:
    try:
        act(*arguments, **options)  # type: ignore[operator]
    except kind as error:
        return error
    raise AssertionError(f"{act} {arguments} was not refused")


def files(nx: RemoteNexusFS, root: str) -> None:
    written = nx.write(f"{root}/a.bin", b"\x00\xff")
    assert written["size"] == 2 and nx.read(f"{root}/a.bin") == b"\x00\xff"
    assert nx.stat(f"{root}/a.bin")["etag"] == written["etag"] == nx.get_etag(f"{root}/a.bin")
    assert b"".join(nx.stream(f"{root}/a.bin", chunk_size=1)) == b"\x00\xff"
    assert nx.list(root) == [f"{root}/a.bin"]
    assert nx.read(f"{root}/a.bin", return_metadata=True)["version"] == 1
    assert nx.write(f"{root}/a.bin", "text", if_match=written["etag"])["version"] == 2
    assert nx.append(f"{root}/a.bin", b" more")["size"] == 9
    nx.write_batch([(f"{root}/d/1", b"1"), (f"{root}/d/2", b"2")])
    nx.write_stream(f"{root}/s", iter([b"a", b"b"]))
    assert nx.read_bulk([f"{root}/s", f"{root}/none"]) == {f"{root}/s": b"ab", f"{root}/none": None}
    assert nx.read_range(f"{root}/s", 1, 2) == b"b"
    big = noise(20 * MIB)
    nx.write(f"{root}/big", big)
    assert nx.read(f"{root}/big") == big
    left("big", big)
    nx.rename(f"{root}/s", f"{root}/t")
    assert not nx.exists(f"{root}/s") and nx.get_metadata(f"{root}/t")["size"] == 2
    assert nx.rename_bulk([(f"{root}/t", f"{root}/u")])[f"{root}/t"]["success"]
    assert nx.delete_bulk([f"{root}/u", f"{root}/none"])[f"{root}/u"]["success"]
    assert nx.list_versions(f"{root}/a.bin")[0]["version"] == 3 and nx.get_version(f"{root}/a.bin", 3) == b"text more"
    assert nx.diff_versions(f"{root}/a.bin", 3, 3)["content_changed"] is False
    assert "\n+" not in nx.diff_versions(f"{root}/a.bin", 3, 3, mode="content")
    ids = nx.batch_get_content_ids([f"{root}/a.bin", f"{root}/none"])
    assert ids == {f"{root}/a.bin": nx.get_etag(f"{root}/a.bin"), f"{root}/none": None}
    nx.rollback(f"{root}/a.bin", 3)
    left("a.bin", b"text more")


def directories(nx: RemoteNexusFS, root: str) -> None:
    nx.mkdir(f"{root}/x/y", parents=True)
    assert nx.is_directory(f"{root}/x") and nx.exists(f"{root}/x/y") and nx.stat(f"{root}/x")["is_directory"]
    refused(FileExistsError, nx.mkdir, f"{root}/x")
    refused(ValidationError, nx.rmdir, f"{root}/x")
    nx.rmdir(f"{root}/x", recursive=True)
    details = nx.list(root, recursive=False, details=True)
    assert [entry["path"] for entry in details if entry["is_directory"]] == [f"{root}/d"]
    assert nx.glob("**/[12]", root) == [f"{root}/d/1", f"{root}/d/2"]
    assert nx.grep("m.re", root)[0]["file"] == f"{root}/a.bin"
    assert root[1:] in nx.get_available_namespaces()


def refusals(nx: RemoteNexusFS, root: str) -> None:
    assert str(refused(NexusFileNotFoundError, nx.read, f"{root}/none")) == f"File not found: {root}/none"
    refused(FileExistsError, nx.write, f"{root}/a.bin", b"", if_none_match=True)
    refused(ConflictError, nx.write, f"{root}/a.bin", b"", if_match="0" * 64)
    refused(InvalidPathError, nx.read, f"{root}/../a")
    told = refused(NexusError, nx.write, "/no-such-place/a", b"")
    assert "Backend not found for path /no-such-place/a" in str(told)
    assert "nothing to synchronise" in str(refused(NexusError, nx.sync_mount, root))
    assert "not supported" in str(refused(NexusError, nx.workspace_log))
    refused(NexusPermissionError, RemoteNexusFS(URL, api_key="nxk_WRONG_wrong").read, f"{root}/a.bin")


def mounts(nx: RemoteNexusFS, root: str, store: Path) -> None:
    config = {"data_dir": str(store)}
    assert nx.add_mount(f"{root}/fast", "local", config, priority=20)
    assert any(mount["mount_point"] == f"{root}/fast" for mount in nx.list_mounts())
    nx.write(f"{root}/fast/a", b"a")
    nx.rename(f"{root}/fast/a", f"{root}/slow")
    assert nx.read(f"{root}/slow") == b"a" and nx.has_mount(f"{root}/fast")
    assert nx.get_mount(f"{root}/fast")["backend_type"] == "local" and nx.list_connectors()
    assert nx.remove_mount(f"{root}/fast")["removed"]
    nx.save_mount(f"{root}/kept", "local", config, readonly=True)
    nx.load_mount(f"{root}/kept")
    refused(NexusPermissionError, nx.write, f"{root}/kept/a", b"")
    assert nx.remove_mount(f"{root}/kept")["removed"] and nx.delete_saved_mount(f"{root}/kept")


async def for_asyncio(root: str) -> None:
    async with AsyncRemoteNexusFS(URL, api_key=KEY) as nx:
        await nx.write(f"{root}/async", b"async")
        assert b"".join([chunk async for chunk in nx.stream(f"{root}/async")]) == b"async"
        assert await nx.exists(f"{root}/async")
        await nx.delete(f"{root}/async")
        assert not await nx.exists(f"{root}/async")


def main() -> None:
    root = f"/{bucket()}"
    nx = RemoteNexusFS(URL, api_key=KEY)
    assert nx.tenant_id == "default"
    nx.mkdir(root)
    files(nx, root)
    directories(nx, root)
    refusals(nx, root)
    mounts(nx, root, folder() / "store")
    asyncio.run(for_asyncio(root))


if __name__ == "__main__":
    main()
