"""Directories served as they stand: through S3 and calls, with the clients that people have."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.harness import Server, unique
from tests.e2e.native import code_of, keys
from tests.e2e.rpc import VALIDATION, Rpc, blob, unblob

MIB = 1024 * 1024


def aws(server: Server, *arguments: str) -> str:
    environment = {**os.environ, **server.admin.environment(), "AWS_DEFAULT_REGION": "us-east-1"}
    command = ["aws", "--endpoint-url", server.url, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_existing_directory_mounted_read_only_shows_its_files(
    server: Server, s3: BaseClient, folder: Path, tmp_path: Path
) -> None:
    name = unique("datasets")
    server.nexus("mounts", "add", f"/{name}", "local", "--config", f"data_dir={folder}", "--readonly")
    before = sorted(path for path in folder.rglob("*"))
    everything = ["data.old", "data/2024/a.csv", "data/b.csv", "empty/", "readme.txt"]
    assert keys(s3, name) == everything
    assert keys(s3, name, PaginationConfig={"PageSize": 1}) == everything
    assert sorted(keys(s3, name, Delimiter="/")) == ["data.old", "data/", "empty/", "readme.txt"]
    assert keys(s3, name, Prefix="data/", Delimiter="/") == ["data/b.csv", "data/2024/"]
    assert "readme.txt" in aws(server, "s3", "ls", f"s3://{name}/")
    aws(server, "s3", "cp", f"s3://{name}/data/2024/a.csv", str(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_text() == "1,2\n"
    head = s3.head_object(Bucket=name, Key="readme.txt")
    status = (folder / "readme.txt").stat()
    assert (head["ContentLength"], head["ContentType"]) == (5, "text/plain")
    assert int(head["LastModified"].timestamp()) == int(status.st_mtime)
    assert "-" in head["ETag"]
    part = s3.get_object(Bucket=name, Key="readme.txt", Range="bytes=1-3", IfMatch=head["ETag"])
    assert part["Body"].read() == b"ell"
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=name, Key="new", Body=b"1")
    assert code_of(refused) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as refused:
        s3.delete_object(Bucket=name, Key="readme.txt")
    assert code_of(refused) == ("AccessDenied", 403)
    assert sorted(folder.rglob("*")) == before, "nothing is written at mount time, nor by reading"


def test_an_upload_is_a_plain_file_and_a_file_is_an_object(s3: BaseClient, mounted: str, folder: Path) -> None:
    put = s3.put_object(
        Bucket=mounted, Key="new/x.json", Body=b"{}", ContentType="application/x-mine", Metadata={"a": "b"}
    )
    assert (folder / "new" / "x.json").read_bytes() == b"{}"
    head = s3.head_object(Bucket=mounted, Key="new/x.json")
    assert head["ETag"] == put["ETag"] == f'"{hashlib.md5(b"{}").hexdigest()}"'
    assert (head["Metadata"], head["ContentType"]) == ({"a": "b"}, "application/x-mine")
    (folder / "new" / "x.json").write_text("others write, too")
    changed = s3.get_object(Bucket=mounted, Key="new/x.json")
    assert changed["Body"].read() == b"others write, too"
    assert changed["ETag"] != put["ETag"]
    s3.delete_object(Bucket=mounted, Key="new/x.json")
    s3.delete_object(Bucket=mounted, Key="new/x.json")
    assert not (folder / "new").exists()


def test_a_multipart_upload_lands_as_one_plain_file(
    server: Server, s3: BaseClient, mounted: str, folder: Path, tmp_path: Path
) -> None:
    content = os.urandom(20 * MIB)
    (tmp_path / "big").write_bytes(content)
    aws(server, "s3", "cp", str(tmp_path / "big"), f"s3://{mounted}/deep/big.bin")
    assert (folder / "deep" / "big.bin").read_bytes() == content
    assert (
        s3.get_object(Bucket=mounted, Key="deep/big.bin", Range="bytes=9000000-9000009")["Body"].read()
        == (content[9000000:9000010])
    )
    assert ".nexus" not in "".join(keys(s3, mounted))


def test_completing_again_answers_the_same(s3: BaseClient, mounted: str, folder: Path) -> None:
    upload = s3.create_multipart_upload(Bucket=mounted, Key="m", Metadata={"k": "v"})["UploadId"]
    named = {"Bucket": mounted, "Key": "m", "UploadId": upload}
    first = s3.upload_part(**named, PartNumber=1, Body=b"a" * 5 * MIB)
    copied = s3.upload_part_copy(**named, PartNumber=2, CopySource=f"{mounted}/readme.txt")
    parts = [
        {"PartNumber": 1, "ETag": first["ETag"]},
        {"PartNumber": 2, "ETag": copied["CopyPartResult"]["ETag"]},
    ]
    assert not (folder / "m").exists()
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert (folder / "m").read_bytes() == b"a" * 5 * MIB + b"hello"
    again = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"] == s3.head_object(Bucket=mounted, Key="m")["ETag"]
    assert s3.head_object(Bucket=mounted, Key="m")["Metadata"] == {"k": "v"}


def test_what_is_not_as_declared_leaves_no_trace(s3: BaseClient, mounted: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=mounted, Key="wrong/x", Body=b"1", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    assert code_of(refused) == ("BadDigest", 400)
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=mounted, Key="readme.txt", Body=b"1", ChecksumCRC32="AAAAAA==")
    assert code_of(refused) == ("BadDigest", 400)
    assert (folder / "readme.txt").read_text() == "hello"
    left = [path for path in sorted(folder.rglob("*")) if ".nexus" not in path.parts]
    assert left == before
    assert not list((folder / ".nexus" / "drafts").iterdir())


def test_conditions_are_decided_by_the_store(s3: BaseClient, mounted: str, folder: Path) -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=mounted, Key="readme.txt", Body=b"1", IfNoneMatch="*")
    assert code_of(refused) == ("PreconditionFailed", 412)
    etag = s3.head_object(Bucket=mounted, Key="readme.txt")["ETag"]
    s3.put_object(Bucket=mounted, Key="readme.txt", Body=b"mine", IfMatch=etag)
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=mounted, Key="readme.txt", Body=b"again", IfMatch=etag)
    assert code_of(refused) == ("PreconditionFailed", 412)
    assert (folder / "readme.txt").read_text() == "mine"
    s3.put_object(Bucket=mounted, Key="fresh", Body=b"1", IfNoneMatch="*")
    assert (folder / "fresh").read_text() == "1"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("k", {"Tagging": "a=b"}, "NotImplemented"),
    ("k", {"StorageClass": "STANDARD_IA"}, "NotImplemented"),
    ("k", {"ServerSideEncryption": "AES256"}, "NotImplemented"),
    ("k", {"WebsiteRedirectLocation": "/there"}, "NotImplemented"),
    ("a//b", {}, "InvalidArgument"),
    ("a/../b", {}, "InvalidArgument"),
    ("../b", {}, "InvalidArgument"),
    ("data", {}, "InvalidArgument"),
    ("readme.txt/below", {}, "InvalidArgument"),
    ("n" * 256, {}, "InvalidArgument"),
    (".nexus/x", {}, "InvalidArgument"),
]


@pytest.mark.parametrize(("key", "asked", "code"), REFUSED)
def test_what_a_directory_cannot_hold_is_refused(
    s3: BaseClient, mounted: str, folder: Path, key: str, asked: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=mounted, Key=key, Body=b"1", **asked)
    assert code_of(refused)[0] == code
    assert len(keys(s3, mounted)) == 5


def test_links_lead_nowhere(s3: BaseClient, mounted: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "way").symlink_to(tmp_path)
    assert not {"link", "way", "way/secret"} & set(keys(s3, mounted))
    for key in ("link", "way/secret"):
        with pytest.raises(ClientError) as absent:
            s3.get_object(Bucket=mounted, Key=key)
        assert code_of(absent) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=mounted, Key="way/new", Body=b"1")
    assert code_of(refused)[0] == "InvalidArgument"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


def test_copies_go_into_and_out_of_a_directory(s3: BaseClient, mounted: str, bucket: str, folder: Path) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"cas", Metadata={"k": "v"})
    s3.copy_object(Bucket=mounted, Key="to", CopySource=f"{bucket}/from")
    assert (folder / "to").read_bytes() == b"cas"
    assert s3.head_object(Bucket=mounted, Key="to")["Metadata"] == {"k": "v"}
    s3.copy_object(Bucket=bucket, Key="back", CopySource=f"{mounted}/readme.txt")
    assert s3.get_object(Bucket=bucket, Key="back")["Body"].read() == b"hello"
    s3.copy_object(Bucket=mounted, Key="within", CopySource=f"{mounted}/to")
    assert (folder / "within").read_bytes() == b"cas"
    said = {"MetadataDirective": "REPLACE", "Metadata": {"n": "w"}}
    s3.copy_object(Bucket=mounted, Key="within", CopySource=f"{mounted}/within", **said)
    assert s3.head_object(Bucket=mounted, Key="within")["Metadata"] == {"n": "w"}
    assert (folder / "within").read_bytes() == b"cas"


def test_calls_see_the_same_files(rpc: Rpc, s3: BaseClient, mounted: str, folder: Path) -> None:
    root = f"/{mounted}"
    assert rpc.read(f"{root}/readme.txt") == b"hello"
    assert rpc("list", path=f"{root}/data", recursive=False)["files"] == [f"{root}/data/2024", f"{root}/data/b.csv"]
    assert rpc("glob", pattern="**/*.csv", path=root)["matches"] == [f"{root}/data/2024/a.csv", f"{root}/data/b.csv"]
    written = rpc.write(f"{root}/notes/n.txt", b"one")
    assert (folder / "notes" / "n.txt").read_text() == "one"
    assert rpc("stat", path=f"{root}/notes/n.txt")["etag"] == written["etag"]
    rpc("append", path=f"{root}/notes/n.txt", content=blob(b" two"))
    assert (folder / "notes" / "n.txt").read_text() == "one two"
    assert unblob(rpc("read_range", path=f"{root}/notes/n.txt", start=4, end=7)) == b"two"
    rpc("set_metadata", path=f"{root}/notes/n.txt", metadata={"by": "me"})
    assert s3.head_object(Bucket=mounted, Key="notes/n.txt")["Metadata"] == {"by": "me"}
    rpc("rename", old_path=f"{root}/notes/n.txt", new_path=f"{root}/data/m.txt")
    assert not (folder / "notes").exists()
    assert (folder / "data" / "m.txt").read_text() == "one two"
    rpc("rename", old_path=f"{root}/data", new_path=f"{root}/moved")
    assert (folder / "moved" / "2024" / "a.csv").read_text() == "1,2\n"
    assert not (folder / "data").exists()
    rpc("mkdir", path=f"{root}/made/by/call", parents=True)
    assert (folder / "made" / "by" / "call").is_dir()
    rpc("rmdir", path=f"{root}/made", recursive=True)
    assert not (folder / "made").exists()
    refused = rpc.refused(VALIDATION, "write_batch", files=[[f"{root}/x", blob(b"1")]])
    assert "native store" in refused["message"]
    assert not (folder / "x").exists()


def test_a_versioned_bucket_takes_nothing_new_into_a_native_store(s3: BaseClient, mounted: str, folder: Path) -> None:
    s3.put_bucket_versioning(Bucket=mounted, VersioningConfiguration={"Status": "Enabled"})
    for act in (
        lambda: s3.put_object(Bucket=mounted, Key="new", Body=b"1"),
        lambda: s3.delete_object(Bucket=mounted, Key="readme.txt"),
        lambda: s3.create_multipart_upload(Bucket=mounted, Key="new"),
    ):
        with pytest.raises(ClientError) as refused:
            act()
        assert code_of(refused) == ("NotImplemented", 501)
    assert s3.get_object(Bucket=mounted, Key="readme.txt", VersionId="null")["Body"].read() == b"hello"
    with pytest.raises(ClientError) as absent:
        s3.get_object(Bucket=mounted, Key="readme.txt", VersionId="x" * 32)
    assert code_of(absent) == ("NoSuchVersion", 404)
    s3.delete_object(Bucket=mounted, Key="readme.txt", VersionId="null")
    assert not (folder / "readme.txt").exists()


def test_parts_are_garbage_once_an_upload_is_complete(new_server: Callable[..., Server], folder: Path) -> None:
    own = new_server()
    s3 = own.s3()
    own.nexus("mounts", "add", "/own", "local", "--config", f"data_dir={folder}", "--config", "layout=native")
    upload = s3.create_multipart_upload(Bucket="own", Key="m")["UploadId"]
    named = {"Bucket": "own", "Key": "m", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"x" * MIB)
    own.kill()
    own.start()
    assert own.nexus("fsck")["findings"] == []
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert own.nexus("gc", "--grace", "0")["blobs"] == 1
    assert own.nexus("fsck")["findings"] == []
    assert (folder / "m").read_bytes() == b"x" * MIB


def test_what_tags_and_locks_would_say_is_refused(s3: BaseClient, mounted: str) -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object_tagging(Bucket=mounted, Key="readme.txt", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert code_of(refused) == ("NotImplemented", 501)
    assert s3.get_object_tagging(Bucket=mounted, Key="readme.txt")["TagSet"] == []
    grants = s3.get_object_acl(Bucket=mounted, Key="readme.txt")["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]


def test_completing_at_once_makes_one_object(s3: BaseClient, mounted: str, folder: Path) -> None:
    upload = s3.create_multipart_upload(Bucket=mounted, Key="m")["UploadId"]
    named = {"Bucket": mounted, "Key": "m", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"a" * 8 * MIB)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: s3.complete_multipart_upload(**named, MultipartUpload=parts)["ETag"], range(4))
        )
    assert len(set(answers)) == 1
    assert (folder / "m").stat().st_size == 8 * MIB
    again = s3.create_multipart_upload(Bucket=mounted, Key="m")["UploadId"]
    s3.abort_multipart_upload(Bucket=mounted, Key="m", UploadId=again)
    with pytest.raises(ClientError) as refused:
        s3.complete_multipart_upload(Bucket=mounted, Key="m", UploadId=again, MultipartUpload=parts)
    assert code_of(refused)[0] == "NoSuchUpload"


def test_one_of_many_creators_wins(s3: BaseClient, mounted: str, folder: Path) -> None:
    def create(number: int) -> int:
        try:
            s3.put_object(Bucket=mounted, Key="one", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(16)))
    assert sorted(statuses) == [200] + [412] * 15


def test_no_increment_of_a_counter_is_lost(new_server: Callable[..., Server], folder: Path) -> None:
    """Compare and swap, over two processes that share the directory."""
    own = new_server("--workers", "2")
    own.nexus("mounts", "add", "/own", "local", "--config", f"data_dir={folder}", "--config", "layout=native")
    client = own.s3()
    client.put_object(Bucket="own", Key="count", Body=b"0")

    def count(_: int) -> int:
        done = 0
        while done < 10:
            seen = client.get_object(Bucket="own", Key="count")
            value = int(seen["Body"].read())
            try:
                client.put_object(Bucket="own", Key="count", Body=b"%d" % (value + 1), IfMatch=seen["ETag"])
                done += 1
            except ClientError as error:
                assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(count, range(4))) == 40
    assert (folder / "count").read_text() == "40"


def test_no_rule_touches_what_lies_in_a_native_store(
    new_server: Callable[..., Server], folder: Path, store_dir: Callable[[], Path]
) -> None:
    own = new_server()
    s3 = own.s3()
    own.nexus("mounts", "add", "/own", "local", "--config", f"data_dir={folder}", "--config", "layout=native")
    rules = [{"ID": "soon", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]
    s3.put_bucket_lifecycle_configuration(Bucket="own", LifecycleConfiguration={"Rules": rules})
    assert "Expiration" not in s3.head_object(Bucket="own", Key="readme.txt")
    own.nexus("lifecycle", "run", "--at", "2099-01-01T00:00:00Z")
    assert len(keys(s3, "own")) == 5
    refused = own.run("storage-classes", "set", "COLD", "/own")
    assert refused.returncode != 0 and "native store" in refused.stderr


def test_a_connection_that_breaks_leaves_nothing(server: Server, s3: BaseClient, mounted: str, folder: Path) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": mounted, "Key": "readme.txt"})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest("PUT", url.removeprefix(server.url))
    connection.putheader("Content-Length", str(2 * MIB))
    connection.endheaders()
    connection.send(b"1" * MIB)
    connection.close()
    s3.put_object(Bucket=mounted, Key="after", Body=b"1")
    assert s3.get_object(Bucket=mounted, Key="readme.txt")["Body"].read() == b"hello"
