"""Files over the Nexus door, and the same files over S3."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, unique
from tests.e2e.rpc import (
    BAD_PARAMETERS,
    CONFLICT,
    EXISTS,
    FORBIDDEN,
    INVALID_PATH,
    NO_METHOD,
    NOT_FOUND,
    VALIDATION,
    Rpc,
    blob,
    unblob,
)

MIB = 1024 * 1024


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3 * MIB + 1, 17 * MIB])
def test_the_same_bytes_by_both_doors(rpc: Rpc, s3: BaseClient, bucket: str, size: int) -> None:
    content = os.urandom(size)
    told = rpc.write(f"/{bucket}/by-rpc", content)
    assert (told["size"], told["version"]) == (size, 1)
    got = s3.get_object(Bucket=bucket, Key="by-rpc")
    assert got["Body"].read() == content and got["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    s3.put_object(Bucket=bucket, Key="by-s3", Body=content)
    assert rpc.read(f"/{bucket}/by-s3") == content
    stat = rpc("stat", path=f"/{bucket}/by-s3")
    assert stat["etag"] == told["etag"] and stat["size"] == size and not stat["is_directory"]
    if size <= 8 * MIB:
        assert told["etag"] == sha256(content)
    middle = unblob(rpc("read_range", path=f"/{bucket}/by-s3", start=size // 2, end=size // 2 + 1000))
    assert middle == content[size // 2 :][:1000]


def test_a_files_life(rpc: Rpc, bucket: str) -> None:
    path = f"/{bucket}/d/a.txt"
    first = rpc.write(path, b"one")
    second = rpc.write(path, b"two")
    assert second["version"] == 2 and second["modified_at"]["__type__"] == "datetime"
    stat = rpc("stat", path=path)
    assert stat["created_at"] == first["modified_at"] and stat["modified_at"] == second["modified_at"]
    assert stat["backend_type"] == "local" and stat["mount_point"] == "/"
    whole = rpc("read", path=path, return_metadata=True)
    assert unblob(whole.pop("content")) == b"two" and whole == second
    assert rpc("get_etag", path=path) == {"etag": sha256(b"two")}
    assert rpc("exists", path=path) == {"exists": True} == rpc("exists", path=f"/{bucket}/d")
    assert rpc("append", path=path, content=blob(b" three"))["version"] == 3
    assert rpc.read(path) == b"two three"
    assert rpc("delete", path=path) == {"success": True}
    assert rpc("exists", path=path) == {"exists": False} == rpc("exists", path=f"/{bucket}/d")
    assert rpc.refused(NOT_FOUND, "delete", path=path)["data"] == {"path": path}
    assert rpc.refused(NOT_FOUND, "read", path=f"{path}//")["message"] == f"File not found: {path}"
    assert rpc("get_etag", path=path) == {"etag": None} and rpc("get_metadata", path=path) == {"metadata": None}
    again = rpc("append", path=path, content="text is UTF-8: ü")
    assert again["version"] == 1 and rpc.read(path).decode() == "text is UTF-8: ü"


def test_conditions_are_about_the_content(rpc: Rpc, bucket: str) -> None:
    path = f"/{bucket}/a"
    absent = rpc.refused(CONFLICT, "write", path=path, content=blob(b"x"), if_match=sha256(b"x"))["data"]
    assert absent["current_etag"] == "(file does not exist)" and absent["path"] == path
    assert rpc.write(path, b"one", if_none_match=True)["version"] == 1
    rpc.refused(EXISTS, "write", path=path, content=blob(b"x"), if_none_match=True)
    facts = rpc.refused(CONFLICT, "write", path=path, content=blob(b"x"), if_match="0" * 64)["data"]
    assert facts == {"path": path, "expected_etag": "0" * 64, "current_etag": sha256(b"one")}
    rpc.refused(CONFLICT, "append", path=path, content=blob(b"x"), if_match="0" * 64)
    rpc.refused(CONFLICT, "delete", path=path, if_match="0" * 64)
    rpc.refused(BAD_PARAMETERS, "write", path=path, content=blob(b"x"), if_match="0", if_none_match=True)
    assert rpc.read(path) == b"one"
    assert rpc.write(path, b"two", if_match=sha256(b"one"))["version"] == 2
    assert rpc.write(path, b"forced", if_match="0" * 64, if_none_match=True, force=True)["version"] == 3
    assert rpc("delete", path=path, if_match=sha256(b"forced")) == {"success": True}


def test_appends_and_creates_at_once(rpc: Rpc, rpc_as: Callable[..., Rpc], bucket: str) -> None:
    path, callers = f"/{bucket}/log", [rpc_as() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: callers[n % 8]("append", path=path, content=blob(b"%03d\n" % n)), range(48)))
        created = pool.map(
            lambda n: (
                "result"
                in callers[n].answer("write", path=f"/{bucket}/lock", content=blob(b"%d" % n), if_none_match=True)
            ),
            range(8),
        )
        assert sum(created) == 1
    assert sorted(rpc.read(path).split()) == [b"%03d" % n for n in range(48)]


def test_a_batch_is_all_or_nothing(rpc: Rpc, bucket: str) -> None:
    files = [[f"/{bucket}/{n}", blob(bytes([n]) * (n * 9000))] for n in range(20)]
    told = rpc("write_batch", files=files)
    assert [each["size"] for each in told] == [n * 9000 for n in range(20)]
    assert all(rpc.read(f"/{bucket}/{n}") == bytes([n]) * (n * 9000) for n in range(20))
    twice = rpc("write_batch", files=[[f"/{bucket}/t", blob(b"1")], [f"/{bucket}/t", blob(b"2")]])
    assert [each["version"] for each in twice] == [1, 2] and rpc.read(f"/{bucket}/t") == b"2"
    for bad, code in (("/no-such-bucket/x", NOT_FOUND), (f"/{bucket}/../x", INVALID_PATH), ("/", INVALID_PATH)):
        rpc.refused(code, "write_batch", files=[[f"/{bucket}/new", blob(b"x")], [bad, blob(b"x")]])
    rpc.refused(
        INVALID_PATH, "write_batch", files=[[f"/{bucket}/new", blob(b"x")], [f"/{bucket}/{'k' * 1050}", blob(b"")]]
    )
    rpc.refused(BAD_PARAMETERS, "write_batch", files=[[f"/{bucket}/new", blob(b"x")], [f"/{bucket}/b"]])
    assert rpc("exists", path=f"/{bucket}/new") == {"exists": False}
    assert rpc("write_batch", files=[]) == []


def test_many_files_at_once(rpc: Rpc, bucket: str) -> None:
    rpc("write_stream", path=f"/{bucket}/a", chunks=blob(b"aa"))
    rpc("write_stream", path=f"/{bucket}/b", chunks=[blob(b"b"), blob(b"b")])
    found = rpc("read_bulk", paths=[f"/{bucket}/a", f"/{bucket}/none", f"{bucket}/b"])
    assert [value and unblob(value) for value in found.values()] == [b"aa", None, b"bb"]
    detailed = rpc("read_bulk", paths=[f"/{bucket}/a"], return_metadata=True)[f"/{bucket}/a"]
    assert unblob(detailed["content"]) == b"aa" and detailed["etag"] == sha256(b"aa")
    rpc.refused(NOT_FOUND, "read_bulk", paths=[f"/{bucket}/none"], skip_errors=False)
    moved = rpc("rename_bulk", renames=[[f"/{bucket}/a", f"/{bucket}/c"], [f"/{bucket}/none", f"/{bucket}/d"]])
    assert moved[f"/{bucket}/a"] == {"success": True} and not moved[f"/{bucket}/none"]["success"]
    gone = rpc("delete_bulk", paths=[f"/{bucket}/c", f"/{bucket}/none"])
    assert gone[f"/{bucket}/c"] == {"success": True} and "not found" in gone[f"/{bucket}/none"]["error"]


def test_directories_are_what_s3_consoles_make(rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    assert rpc("mkdir", path=f"/{bucket}/made") == {"success": True}
    assert s3.head_object(Bucket=bucket, Key="made/")["ContentLength"] == 0
    s3.put_object(Bucket=bucket, Key="by-s3/", Body=b"")
    s3.put_object(Bucket=bucket, Key="implied/deep/file", Body=b"x")
    for path in ("made", "by-s3", "implied", "implied/deep", ""):
        assert rpc("is_directory", path=f"/{bucket}/{path}") == {"is_directory": True}
        assert rpc("stat", path=f"/{bucket}/{path}/")["is_directory"]
    assert rpc("is_directory", path=f"/{bucket}/implied/deep/file") == {"is_directory": False}
    rpc.refused(EXISTS, "mkdir", path=f"/{bucket}/implied")
    rpc.refused(EXISTS, "mkdir", path=f"/{bucket}/implied/deep/file", exist_ok=True)
    rpc("mkdir", path=f"/{bucket}/implied", exist_ok=True)
    rpc.refused(NOT_FOUND, "mkdir", path=f"/{bucket}/x/y/z")
    rpc.refused(EXISTS, "mkdir", path=f"/{bucket}/implied/deep/file/z", parents=True)
    rpc("mkdir", path=f"/{bucket}/x/y/z", parents=True)
    assert rpc("list", path=f"/{bucket}/x") == {"files": [f"/{bucket}/x/y", f"/{bucket}/x/y/z"]}
    rpc.refused(VALIDATION, "rmdir", path=f"/{bucket}/x")
    rpc.refused(VALIDATION, "delete", path=f"/{bucket}/x")
    rpc("rmdir", path=f"/{bucket}/x", recursive=True)
    rpc("rmdir", path=f"/{bucket}/made")
    rpc.refused(NOT_FOUND, "rmdir", path=f"/{bucket}/made")
    rpc.refused(VALIDATION, "rmdir", path=f"/{bucket}/implied/deep/file")
    rpc.refused(VALIDATION, "rmdir", path="/", recursive=True)
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == ["by-s3/", "implied/", "implied/deep/file"]


def test_buckets_are_directories_of_the_root(rpc: Rpc, s3: BaseClient) -> None:
    name = unique("dir")
    rpc("mkdir", path=f"/{name}")
    s3.head_bucket(Bucket=name)
    rpc.refused(EXISTS, "mkdir", path=f"/{name}")
    rpc("mkdir", path=f"/{name}", exist_ok=True)
    rpc.refused(VALIDATION, "mkdir", path="/Not_A_Bucket")
    assert f"/{name}" in rpc("list", path="/", recursive=False)["files"]
    assert name in rpc("get_available_namespaces")["namespaces"]
    rpc.write(f"/{name}/f")
    rpc.refused(VALIDATION, "rmdir", path=f"/{name}")
    rpc("rmdir", path=f"/{name}", recursive=True)
    assert rpc("exists", path=f"/{name}") == {"exists": False}


def test_listing(rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    for key in ("a.txt", "a/x", "a/b/y", "a/b/z", "b/", "ü", "odd//key", "../odd"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    root = f"/{bucket}"
    paths = ["a.txt", "a/b/y", "a/b/z", "a/x", "b", "ü"]
    assert rpc("list", path=root)["files"] == [f"{root}/{path}" for path in paths]
    flat = rpc("list", path=root, recursive=False)["files"]
    assert flat == [f"{root}/{path}" for path in ("a", "a.txt", "b", "odd", "ü")]
    assert rpc("list", path=f"{root}/a", recursive=False)["files"] == [f"{root}/a/b", f"{root}/a/x"]
    details = rpc("list", path=root, recursive=False, details=True)["files"]
    nothing = dict.fromkeys(("modified_at", "created_at", "etag", "mime_type"))
    assert details[0] == {"path": f"{root}/a", "size": 0, **nothing, "is_directory": True}
    assert details[1]["etag"] == sha256(b"a.txt") and details[1]["created_at"]["__type__"] == "datetime"
    assert rpc("list", path=f"{root}/none")["files"] == [] == rpc("list", path="/no-such-bucket")["files"]
    assert rpc("list", path=f"{root}/a.txt")["files"] == [f"{root}/a.txt"]
    assert rpc("list", path=root, prefix=f"{root}/a/b")["files"] == [f"{root}/a/b/y", f"{root}/a/b/z"]
    assert rpc("list", path=root, prefix="a.")["files"] == [f"{root}/a.txt"]
    assert rpc("list", path="/", prefix=f"{root}/a/x", show_parsed=True)["files"] == [f"{root}/a/x"]


@pytest.fixture(scope="module")
def own(server: Server) -> Iterator[Rpc]:
    """The door as a user who sees two buckets of their own, each with directories of files."""
    key = server.user(unique("pager"))
    with closing(server.s3(key)) as s3:
        for bucket in (unique("one"), unique("two")):
            s3.create_bucket(Bucket=bucket)
            for name in [f"{d}/{n}" for d in "abc" for n in range(2)]:
                s3.put_object(Bucket=bucket, Key=name, Body=b"")
    caller = Rpc(server, key)
    yield caller
    caller.close()


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages(own: Rpc, recursive: bool, limit: int) -> None:
    first = own("list", path="/", recursive=False)["files"][0]
    for path in (first, "/"):
        whole = own("list", path=path, recursive=recursive)["files"]
        found, after = [], None
        for _ in range(len(whole) + 1):
            page = own("list", path=path, recursive=recursive, limit=limit, after=after)
            found += page["files"]
            after = page["next"]
            if after is None:
                break
        assert after is None
        assert sorted(found) == sorted(whole) and len(set(found)) == len(found)


def test_glob_and_grep(rpc: Rpc, bucket: str) -> None:
    root = f"/{bucket}"
    rpc.write(f"{root}/a.py", b"import os\nprint('Hello')\n")
    rpc.write(f"{root}/d/b.py", b"hello\r\nworld")
    rpc.write(f"{root}/d/c.bin", b"hello\0hello")
    rpc.write(f"{root}/d/long", b"x" * 3 * MIB + b"\nhello")
    assert rpc("glob", pattern="**/*.py", path=root)["matches"] == [f"{root}/a.py", f"{root}/d/b.py"]
    assert rpc("glob", pattern=f"{root}/?/*")["matches"] == [f"{root}/d/{name}" for name in ("b.py", "c.bin", "long")]
    found = rpc("grep", pattern="hel+o", path=root, search_mode="auto")["results"]
    row = {"file": f"{root}/d/b.py", "line": 1, "content": "hello", "match": "hello"}
    assert found[0] == row and [each["file"] for each in found] == [f"{root}/d/b.py", f"{root}/d/long"]
    more = rpc("grep", pattern="hello", path=root, ignore_case=True, file_pattern="*.py", max_results=1)["results"]
    assert [(each["file"], each["line"], each["match"]) for each in more] == [(f"{root}/a.py", 2, "Hello")]
    assert rpc("grep", pattern="hello", path=f"{root}/a.py")["results"] == []
    rpc.refused(VALIDATION, "grep", pattern="(", path=root)


def test_renaming_keeps_what_is_there(rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    root = f"/{bucket}"
    s3.put_object(Bucket=bucket, Key="a", Body=b"a", Metadata={"m": "1"}, Tagging="t=2", ContentType="text/x")
    rpc.write(f"{root}/b", b"b")
    rpc.refused(EXISTS, "rename", old_path=f"{root}/a", new_path=f"{root}/b")
    rpc.refused(EXISTS, "rename", old_path=f"{root}/a", new_path=f"{root}/a")
    rpc.refused(NOT_FOUND, "rename", old_path=f"{root}/none", new_path=f"{root}/c")
    rpc("rename", old_path=f"{root}/a", new_path=f"{root}/d/c")
    head = s3.head_object(Bucket=bucket, Key="d/c")
    assert (head["Metadata"], head["ContentType"], head["TagCount"]) == ({"m": "1"}, "text/x", 1)
    rpc("rename", old_path=f"{root}/d", new_path=f"{root}/e/f")
    assert rpc("list", path=root)["files"] == [f"{root}/b", f"{root}/e/f/c"]
    rpc.refused(EXISTS, "rename", old_path=f"{root}/e", new_path=f"{root}/b")
    rpc.refused(VALIDATION, "rename", old_path=f"{root}/e", new_path=f"{root}/e/g")
    assert rpc("copy", path=f"{root}/b", new_path=f"{root}/b2")["etag"] == sha256(b"b")
    rpc.refused(EXISTS, "copy", path=f"{root}/b", new_path=f"{root}/e/f/c", overwrite=False)
    assert rpc.read(f"{root}/b2") == b"b" == rpc.read(f"{root}/b")


def test_metadata_is_s3s_user_metadata(rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    path = f"/{bucket}/a.txt"
    told = rpc.write(path, b"x")
    rpc("set_metadata", path=path, metadata={"tier": "hot", "accessed_at": "2026-01-02T03:04:05", "n": 5, "b": True})
    rpc("set_metadata", path=path, metadata={"tier": "cold", "b": None})
    head = s3.head_object(Bucket=bucket, Key="a.txt")
    assert head["Metadata"] == {"tier": "cold", "accessed_at": "2026-01-02T03:04:05", "n": "5"}
    assert head["ContentType"] == "text/plain"
    found = rpc("get_metadata", path=path)["metadata"]
    assert found["tier"] == "cold" and found["path"] == path and found["etag"] == found["physical_path"] == told["etag"]
    assert found["version"] == 1 and found["modified_at"] == told["modified_at"] and found["tenant_id"] == "default"
    rpc.write(path, b"y")
    assert s3.head_object(Bucket=bucket, Key="a.txt")["Metadata"]["tier"] == "cold", "metadata stays with the path"
    s3.put_object(Bucket=bucket, Key="a.txt", Body=b"z", Metadata={"size": "huge", "__type__": "bytes", "own": "1"})
    found = rpc("get_metadata", path=path)["metadata"]
    assert found["size"] == 1 and found["own"] == "1" and "tier" not in found and "__type__" not in found
    for bad in ({"Upper": "x"}, {"a b": "x"}, {"": "x"}, {"a": "x\r\ny"}, {"a": ["x"]}, {"a": "x" * 2048}, {"a": " x"}):
        rpc.refused(VALIDATION, "set_metadata", path=path, metadata=bad)
    rpc.refused(NOT_FOUND, "set_metadata", path=f"/{bucket}/none", metadata={"a": "b"})
    rpc("mkdir", path=f"/{bucket}/dir")
    rpc("set_metadata", path=f"/{bucket}/dir", metadata={"a": "b"})
    assert s3.head_object(Bucket=bucket, Key="dir/")["Metadata"] == {"a": "b"}


def test_versions(rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    path = f"/{bucket}/a"
    for content in (b"one", b"two", b"three"):
        rpc.write(path, content)
    rows = rpc("list_versions", path=path)
    assert [(row["version"], row["size"]) for row in rows] == [(3, 5), (2, 3), (1, 3)]
    assert unblob(rpc("get_version", path=path, version=1)) == b"one"
    assert "version 9" in rpc.refused(NOT_FOUND, "get_version", path=path, version=9)["message"]
    assert rpc("rollback", path=path, version=1)["version"] == 4
    assert rpc.read(path) == b"one"
    rpc("set_metadata", path=path, metadata={"a": "b"})
    assert rpc("stat", path=path)["version"] == 5, "where versions are kept, new metadata makes one"
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {"a": "b"}
    rpc("delete", path=path)
    rpc.refused(NOT_FOUND, "read", path=path)
    assert len(rpc("list_versions", path=path)) == 5
    assert rpc("rollback", path=path, version=2)["success"] and rpc.read(path) == b"two"


def test_what_object_lock_protects_stays(rpc: Rpc, s3: BaseClient) -> None:
    name = unique("locked")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    version = s3.put_object(Bucket=name, Key="a", Body=b"kept", ObjectLockLegalHoldStatus="ON")["VersionId"]
    rpc.write(f"/{name}/a", b"over it")
    rpc("delete", path=f"/{name}/a")
    assert s3.get_object(Bucket=name, Key="a", VersionId=version)["Body"].read() == b"kept"
    rpc.refused(VALIDATION, "rmdir", path=f"/{name}", recursive=True)


def test_encrypted_files_show_the_hash_of_their_bytes(rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    path, content = f"/{bucket}/a", os.urandom(100_000)
    assert rpc.write(path, content)["etag"] == sha256(content)
    assert s3.head_object(Bucket=bucket, Key="a")["ServerSideEncryption"] == "AES256"
    assert rpc.read(path) == content
    assert rpc.write(path, b"small", if_match=sha256(content))["etag"] == sha256(b"small")
    assert rpc("list", path=f"/{bucket}", details=True)["files"][0]["etag"] == sha256(b"small")
    rpc("append", path=path, content=blob(b"er"))
    assert rpc.read(path) == b"smaller"
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={"Rules": [rule | {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}]},
    )
    s3.put_object(Bucket=bucket, Key="c", Body=b"secret", **key)
    for method in ({"method": "read"}, {"method": "append", "content": blob(b"x")}):
        assert "customer's key" in rpc.refused(FORBIDDEN, path=f"/{bucket}/c", **method)["message"]
    rpc.refused(FORBIDDEN, "rename", old_path=f"/{bucket}/c", new_path=f"/{bucket}/d")
    assert rpc("stat", path=f"/{bucket}/c")["etag"] != sha256(b"secret")


def test_two_versions_are_compared(rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    path = f"/{bucket}/a.txt"
    for content in (b"one\ntwo\n", b"one\n2\nthree", b"one\n2\nthree", b"\xff\xfe", b"\n" * 1001):
        rpc.write(path, content)
    told = rpc("diff_versions", path=path, v1=1, v2=2)
    assert (told["size_v1"], told["size_v2"], told["size_delta"], told["content_changed"]) == (8, 11, 3, True)
    assert rpc("diff_versions", path=path, v1=2, v2=3)["content_changed"] is False
    lines = rpc("diff_versions", path=path, v1=1, v2=2, mode="content").splitlines()
    assert lines[2:] == ["@@ -1,2 +1,3 @@", " one", "-two", "+2", "+three"]
    for v1, v2 in ((3, 4), (3, 5)):
        assert (
            "only texts" in rpc.refused(VALIDATION, "diff_versions", path=path, v1=v1, v2=v2, mode="content")["message"]
        )
    rpc.refused(NOT_FOUND, "diff_versions", path=path, v1=1, v2=9)
    rpc.refused(VALIDATION, "diff_versions", path=path, v1=1, v2=2, mode="html")


def test_content_ids_of_many(rpc: Rpc, bucket: str) -> None:
    etag = rpc.write(f"/{bucket}/a", b"a")["etag"]
    found = rpc("batch_get_content_ids", paths=[f"/{bucket}/a", f"/{bucket}/none", "/no-such-bucket/x"])
    assert found == {f"/{bucket}/a": etag, f"/{bucket}/none": None, "/no-such-bucket/x": None}


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("sync_mount", "nothing to synchronise"),
        ("sandbox_create", "not supported"),
        ("rebac_check", "docs/access.md"),
        ("raed", "no method 'raed'"),
    ],
)
def test_what_is_not_served_is_said_as_such(rpc: Rpc, method: str, says: str) -> None:
    assert says in rpc.refused(NO_METHOD, method)["message"]
