"""What a newcomer does in the first hour: paste the two lines, then use stock aws-cli."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import urllib.request
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, aws, keys_of, unique

TREE_FILES = 2100


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real tree of just over 2,000 files: part of the Python standard library."""
    folder = tmp_path_factory.mktemp("tree") / "lib"
    library = Path(sysconfig.get_paths()["stdlib"])
    count = 0
    for where, folders, names in os.walk(library):
        folders[:] = sorted(name for name in folders if name not in ("site-packages", "dist-packages"))
        for name in sorted(names):
            path = Path(where, name)
            if count < TREE_FILES and path.is_file() and path.stat().st_size < 1024 * 1024:
                target = folder / path.relative_to(library)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                count += 1
    assert count > 2000
    return folder


def test_init_prints_lines_to_paste(server: Server) -> None:
    assert f"API key: {server.admin.api_key}" in [line.strip() for line in server.printed]
    pasted = dict(
        line.strip().removeprefix("export ").split("=", 1)
        for line in server.printed
        if line.strip().startswith("export ")
    )
    assert {name: value.strip("'\"") for name, value in pasted.items()} == server.admin.environment()
    assert len(server.admin.access_key) == 20
    assert server.admin.access_key.isalnum() and server.admin.access_key.upper() == server.admin.access_key


def test_the_workspace_is_there(server: Server) -> None:
    assert "workspace" in aws(server, "s3", "ls")


def test_health_needs_no_key(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/health", timeout=5) as answer:
        assert answer.status == 200


def test_make_copy_move_remove(server: Server, tmp_path: Path) -> None:
    bucket = unique("cli")
    original = tmp_path / "big file é.bin"
    original.write_bytes(os.urandom(20 * 1024 * 1024 + 17))
    aws(server, "s3", "mb", f"s3://{bucket}")
    aws(server, "s3", "cp", str(original), f"s3://{bucket}/a folder/ü+%.bin")
    aws(server, "s3", "cp", f"s3://{bucket}/a folder/ü+%.bin", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == original.read_bytes()

    aws(server, "s3", "mv", f"s3://{bucket}/a folder/ü+%.bin", f"s3://{bucket}/moved")
    assert [line.split(maxsplit=3)[2:] for line in aws(server, "s3", "ls", f"s3://{bucket}/").splitlines()] == [
        [str(original.stat().st_size), "moved"]
    ]
    aws(server, "s3", "mv", f"s3://{bucket}/moved", str(tmp_path / "home"))
    assert (tmp_path / "home").read_bytes() == original.read_bytes()
    assert aws(server, "s3", "ls", f"s3://{bucket}/", check=False) == ""
    aws(server, "s3", "rb", f"s3://{bucket}")
    assert "NoSuchBucket" in aws(server, "s3", "ls", f"s3://{bucket}/", check=False)


def test_presign_and_fetch(server: Server, s3: BaseClient, bucket: str) -> None:
    key = "odd +%&=?#é/../name"
    s3.put_object(Bucket=bucket, Key=key, Body=b"signed for you")
    url = aws(server, "s3", "presign", f"s3://{bucket}/{key}", "--expires-in", "60").strip()
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert answer.read() == b"signed for you"
    if curl := shutil.which("curl"):
        done = subprocess.run([curl, "-sS", "--fail", "--path-as-is", url], capture_output=True, check=True)
        assert done.stdout == b"signed for you"


def test_sync_a_real_tree_both_ways(server: Server, s3: BaseClient, tree: Path, tmp_path: Path) -> None:
    bucket = unique("sync")
    expected = digests(tree)
    aws(server, "s3", "mb", f"s3://{bucket}")
    aws(server, "s3", "sync", "--quiet", str(tree), f"s3://{bucket}/lib")
    listed = aws(server, "s3", "ls", "--recursive", f"s3://{bucket}/").splitlines()
    assert len(listed) == len(expected)
    assert keys_of(s3, bucket) == sorted((f"lib/{name}" for name in expected), key=str.encode)

    aws(server, "s3", "sync", "--quiet", f"s3://{bucket}/lib", str(tmp_path / "down"))
    assert digests(tmp_path / "down") == expected
    # Nothing is left to do, so nothing is done.
    assert aws(server, "s3", "sync", str(tree), f"s3://{bucket}/lib") == ""

    aws(server, "s3", "rm", "--quiet", "--recursive", f"s3://{bucket}/")
    assert aws(server, "s3", "ls", "--recursive", f"s3://{bucket}/", check=False) == ""
    aws(server, "s3", "rb", f"s3://{bucket}")


def test_low_level_commands(server: Server, bucket: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"x" * 1000)
    aws(server, "s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", str(body), "--metadata", "a=b")
    assert '"a": "b"' in aws(server, "s3api", "head-object", "--bucket", bucket, "--key", "k")
    aws(server, "s3api", "get-object", "--bucket", bucket, "--key", "k", "--range", "bytes=1-3", str(tmp_path / "part"))
    assert (tmp_path / "part").read_bytes() == b"xxx"
    assert "404" in aws(server, "s3api", "head-object", "--bucket", bucket, "--key", "absent", check=False)
