"""Directories served as they stand, among other mounts: what each is, what shows through, whose a key is."""

from __future__ import annotations

import http.client
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.harness import Server, unique
from tests.e2e.native import code_of, keys, mount
from tests.e2e.rpc import Rpc

MIB = 1024 * 1024


def test_a_directory_within_a_bucket_shows_among_its_objects(
    rpc: Rpc, s3: BaseClient, bucket: str, folder: Path
) -> None:
    for key in ("a", "files/data/b.csv", "files/mine", "z"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"before")
    mount(rpc, f"/{bucket}/files", folder)
    everything = [
        "a", "files/data.old", "files/data/2024/a.csv", "files/data/b.csv", "files/empty/", "files/mine",
        "files/readme.txt", "z",
    ]  # fmt: skip
    assert keys(s3, bucket) == everything
    for size in (1, 2, 3):
        assert keys(s3, bucket, PaginationConfig={"PageSize": size}) == everything
        shown = keys(s3, bucket, Delimiter="/", PaginationConfig={"PageSize": size})
        assert sorted(shown) == ["a", "files/", "z"]
    assert keys(s3, bucket, Prefix="files/da") == everything[1:4]
    # What the catalog had beneath shows through, and is hidden where the directory has the key as well.
    assert s3.get_object(Bucket=bucket, Key="files/mine")["Body"].read() == b"before"
    assert s3.get_object(Bucket=bucket, Key="files/data/b.csv")["Body"].read() == b"3\n"
    s3.put_object(Bucket=bucket, Key="files/mine", Body=b"after")
    assert (folder / "mine").read_bytes() == b"after"
    assert s3.get_object(Bucket=bucket, Key="files/mine")["Body"].read() == b"after"
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [each["Key"] for each in versions] == everything
    assert {each["VersionId"] for each in versions} == {"null"}
    # Deleting deletes from both: nothing older comes back.
    s3.delete_object(Bucket=bucket, Key="files/mine")
    assert not (folder / "mine").exists()
    assert "files/mine" not in keys(s3, bucket)


def test_a_bucket_is_not_deleted_over_files(s3: BaseClient, mounted: str, folder: Path) -> None:
    with pytest.raises(ClientError) as refused:
        s3.delete_bucket(Bucket=mounted)
    assert code_of(refused)[0] == "BucketNotEmpty"


def test_the_servers_own_directory_is_not_served(server: Server) -> None:
    for folder in (server.data_dir, server.data_dir / "store", server.folder):
        refused = server.run(
            "mounts", "add", f"/{unique('own')}", "local", "--config", f"data_dir={folder}", "--config", "layout=native"
        )
        assert refused.returncode != 0 and "own directory" in refused.stderr


def test_a_mount_beneath_shows_through_and_is_not_written(rpc: Rpc, s3: BaseClient, bucket: str, folder: Path) -> None:
    """The bucket itself is a directory of low rank; what is written goes where it is routed."""
    mount(rpc, f"/{bucket}", folder, priority=-1, readonly=True)
    assert s3.get_object(Bucket=bucket, Key="readme.txt")["Body"].read() == b"hello"
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="readme.txt", Body=b"1", IfNoneMatch="*")
    assert code_of(refused) == ("PreconditionFailed", 412)
    etag = s3.head_object(Bucket=bucket, Key="readme.txt")["ETag"]
    s3.put_object(Bucket=bucket, Key="readme.txt", Body=b"over it", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="readme.txt")["Body"].read() == b"over it"
    assert (folder / "readme.txt").read_text() == "hello"
    listed = {each["Key"]: each["Size"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed["readme.txt"] == len("over it") and len(listed) == 5
    with pytest.raises(ClientError) as refused:
        s3.delete_object(Bucket=bucket, Key="readme.txt")
    assert code_of(refused) == ("AccessDenied", 403)
    assert s3.get_object(Bucket=bucket, Key="readme.txt")["Body"].read() == b"over it", "nothing was done"


def layout_of(server: Server, mount_point: str) -> str:
    found = {each["mount_point"]: each for each in server.nexus("mounts", "list")}
    return str(found[mount_point]["config"].get("layout", "cas"))


def test_a_read_only_mount_of_a_store_of_ours_is_no_native_one(
    server: Server, s3: BaseClient, store_dir: Callable[[], Path]
) -> None:
    first, second, root = unique("rw"), unique("ro"), store_dir()
    server.nexus("mounts", "add", f"/{first}", "local", "--config", f"data_dir={root}")
    s3.put_object(Bucket=first, Key="a", Body=b"1")
    server.nexus("mounts", "add", f"/{second}", "local", "--config", f"data_dir={root}", "--readonly")
    assert (layout_of(server, f"/{first}"), layout_of(server, f"/{second}")) == ("cas", "cas")
    for name in (first, second):
        server.nexus("mounts", "remove", f"/{name}")
    server.nexus("mounts", "add", f"/{second}", "local", "--config", f"data_dir={root}", "--readonly")
    assert layout_of(server, f"/{second}") == "cas"
    assert keys(s3, second) == []


def test_the_command_says_what_a_mount_became(server: Server, folder: Path, store_dir: Callable[[], Path]) -> None:
    name = unique("became")
    for options, told in (
        ((f"data_dir={folder}", "--readonly"), ", read-only: what is in the store is served as it stands.\n"),
        ((f"data_dir={folder}", "-c", "layout=native"), ": what is in the store is served as it stands.\n"),
        (
            (f"data_dir={store_dir()}", "--readonly", "-c", "layout=cas"),
            ", read-only, as a store of blobs (layout cas).\n",
        ),
        ((f"data_dir={store_dir()}",), ".\n"),
    ):
        done = server.run("mounts", "add", f"/{name}", "local", "-c", *options)
        assert done.stdout == f"Mounted local at /{name}{told}", done.stderr
        server.nexus("mounts", "remove", f"/{name}")


def test_nothing_is_made_to_be_read(server: Server, tmp_path: Path) -> None:
    name, mistyped = unique("mistyped"), tmp_path / "mistyped"
    done = server.run("mounts", "add", f"/{name}", "local", "-c", f"data_dir={mistyped}", "--readonly")
    assert done.returncode == 1 and str(mistyped) in done.stderr
    assert not mistyped.exists() and f"/{name}" not in server.run("mounts", "list").stdout


def test_a_native_mount_may_be_opened_for_writing_later(server: Server, s3: BaseClient, folder: Path) -> None:
    name = unique("later")
    server.nexus("mounts", "add", f"/{name}", "local", "--config", f"data_dir={folder}", "--readonly")
    assert layout_of(server, f"/{name}") == "native"
    server.nexus("mounts", "update", f"/{name}", "--writable")
    s3.put_object(Bucket=name, Key="new", Body=b"1")
    assert (folder / "new").read_bytes() == b"1"
    server.nexus("mounts", "remove", f"/{name}")
    assert keys(s3, name) == []
    assert (folder / "readme.txt").exists()


def test_overlying_mounts_are_one_name_space(
    rpc: Rpc, s3: BaseClient, bucket: str, store_dir: Callable[[], Path]
) -> None:
    """Random changes over a catalog, a directory above it and one beneath, held against what they should make."""
    rng = random.Random(1)
    above, beneath = store_dir(), store_dir()
    names = ["a", "d/a", "d/b", "x/a", "x/d/a", "x/d/b", "z"]
    catalog: dict[str, bytes] = {}
    top: dict[str, bytes] = {}
    low: dict[str, bytes] = {}
    for key in names[1::2]:
        catalog[key] = b"catalog"
        s3.put_object(Bucket=bucket, Key=key, Body=catalog[key])
    for key in names[::2]:
        low[key] = b"beneath"
        (beneath / key).parent.mkdir(parents=True, exist_ok=True)
        (beneath / key).write_bytes(low[key])
    mount(rpc, f"/{bucket}/x", above)
    mount(rpc, f"/{bucket}", beneath, priority=-1)

    def shown(key: str) -> bytes | None:
        return next((source[key] for source in (top, catalog, low) if key in source), None)

    for turn in range(30):
        key = rng.choice(names)
        if rng.random() < 0.6:
            (top if key.startswith("x/") else catalog)[key] = body = b"%d" % turn
            s3.put_object(Bucket=bucket, Key=key, Body=body)
        else:
            for source in (top, catalog, low):
                source.pop(key, None)
            s3.delete_object(Bucket=bucket, Key=key)
        for each in (key, rng.choice(names)):
            try:
                found: bytes | None = s3.get_object(Bucket=bucket, Key=each)["Body"].read()
            except s3.exceptions.NoSuchKey:
                found = None
            assert found == shown(each), each
        if turn % 5 == 0:
            present = [name for name in names if shown(name) is not None]
            assert keys(s3, bucket, PaginationConfig={"PageSize": rng.randint(1, 6)}) == present
            rolled = {name.partition("/")[0] + "/" if "/" in name else name for name in present}
            assert set(keys(s3, bucket, Delimiter="/", PaginationConfig={"PageSize": 2})) == rolled


def test_a_write_whose_mount_goes_meanwhile_is_refused(
    server: Server, s3: BaseClient, mounted: str, folder: Path
) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": mounted, "Key": "late"})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest("PUT", url.removeprefix(server.url))
    connection.putheader("Content-Length", str(2 * MIB))
    connection.endheaders()
    connection.send(b"1" * MIB)
    server.nexus("mounts", "remove", f"/{mounted}")
    connection.send(b"2" * MIB)
    answer = connection.getresponse()
    assert answer.status == 409, answer.read()
    connection.close()
    assert not (folder / "late").exists()
    assert not list((folder / ".nexus" / "drafts").iterdir())


def test_versions_of_keys_in_the_catalog_and_a_directory_end(s3: BaseClient, rpc: Rpc, tmp_path: Path) -> None:
    """One null version a key, however the pages are cut."""
    bucket = unique("versions")
    s3.create_bucket(Bucket=bucket)
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"recorded")
    for key in "bc":
        (tmp_path / key).write_text("native")
    mount(rpc, f"/{bucket}", tmp_path)
    for size in (1, 2, 3):
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": size, "MaxItems": 9}
        )
        found = [(version["Key"], version["Size"]) for page in pages for version in page.get("Versions", [])]
        assert found == [("a", 8), ("b", 6), ("c", 6)]
