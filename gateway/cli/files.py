"""``nexus ls|cp|cat|rm|stat|mkdir``: files by path, over the server's own S3 door.

The API key holds an S3 pair, so large copies go as multipart transfers, in parallel and with flat memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

import typer

from gateway.cli.client import USAGE, CliError, Json, Key, Url, print_json, print_table, server

REMOTE = "nx:"
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="With everything below.")]


class Remote(NamedTuple):
    """``/bucket/key`` on the server; an empty bucket is the root, an empty key the bucket."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}"


def remote(path: str) -> Remote:
    """A server path, with or without ``nx:`` in front. Raises CliError for a relative one."""
    path = path.removeprefix(REMOTE)
    if not path.startswith("/"):
        raise CliError(f"a path on the server starts with '/': {path}", USAGE)
    bucket, _, key = path[1:].partition("/")
    return Remote(bucket, key)


def _object(path: str) -> Remote:
    found = remote(path)
    if not found.bucket or not found.key:
        raise CliError(f"{path} is not a file: name it as /bucket/key", USAGE)
    return found


class Store:
    """An S3 client of the server, whose errors are told in one line."""

    def __init__(self, url: str | None, api_key: str | None) -> None:
        import boto3
        from botocore.config import Config

        chosen = server(url, api_key)
        parts = chosen.api_key.split("_")
        if len(parts) != 3 or parts[0] != "nxk":
            raise CliError("the API key does not look like nxk_<id>_<secret>", USAGE)
        self.url = chosen.url
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=chosen.url,
            aws_access_key_id=parts[1],
            aws_secret_access_key=parts[2],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3, "mode": "standard"}),
        )

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

        if isinstance(error, EndpointConnectionError):
            raise CliError(f"cannot reach {self.url}", 3) from None
        if isinstance(error, ClientError):
            told = error.response["Error"]
            raise CliError(f"{told.get('Message') or told.get('Code')} ({told.get('Code')})") from None
        if isinstance(error, BotoCoreError | OSError):
            raise CliError(str(error)) from None

    def entries(self, path: Remote, recursive: bool) -> Iterator[dict[str, Any]]:
        """What lies at and below a path: directories without ``size``."""
        delimiter = {} if recursive else {"Delimiter": "/"}
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=path.bucket, Prefix=path.key, **delimiter)
        for page in pages:
            for prefix in page.get("CommonPrefixes", ()):
                yield {"path": f"/{path.bucket}/{prefix['Prefix']}"}
            for item in page.get("Contents", ()):
                yield {
                    "path": f"/{path.bucket}/{item['Key']}",
                    "size": item["Size"],
                    "modified_at": item["LastModified"].isoformat(),
                    "etag": item["ETag"].strip('"'),
                }


def ls(
    path: Annotated[str, typer.Argument(help="A path on the server.")] = "/",
    recursive: Recursive = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """List buckets, or what lies below a path.

    Example: nexus ls /workspace/data
    """
    at = remote(path)
    with Store(url, api_key) as store:
        if not at.bucket:
            buckets = store.s3.list_buckets()["Buckets"]
            found = [{"path": f"/{b['Name']}", "created_at": b["CreationDate"].isoformat()} for b in buckets]
            print_json(found) if as_json else print_table(("path",), [[b["path"]] for b in found])
            return
        folder = Remote(at.bucket, at.key if not at.key or at.key.endswith("/") else at.key + "/")
        found = list(store.entries(folder, recursive))
        if not found and at.key:
            found = [entry for entry in store.entries(at, recursive) if entry["path"] == str(at)]
        if not found and at.key:
            raise CliError(f"nothing at {at}")
        if not found:
            store.s3.head_bucket(Bucket=at.bucket)
    if as_json:
        print_json(found)
    else:
        rows = [[entry["path"], entry.get("size"), entry.get("modified_at")] for entry in found]
        print_table(("path", "size", "modified_at"), rows)


def cat(
    path: Annotated[str, typer.Argument(help="A file on the server.")], url: Url = None, api_key: Key = None
) -> None:
    """Write a file to standard output.

    Example: nexus cat /workspace/a.txt
    """
    at = _object(path)
    with Store(url, api_key) as store:
        body = store.s3.get_object(Bucket=at.bucket, Key=at.key)["Body"]
        for chunk in body.iter_chunks(1024 * 1024):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def stat(
    path: Annotated[str, typer.Argument(help="A file on the server.")],
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Tell size, times, ETag and metadata of a file.

    Example: nexus stat /workspace/a.txt --json
    """
    at = _object(path)
    with Store(url, api_key) as store:
        head = store.s3.head_object(Bucket=at.bucket, Key=at.key)
    found = {
        "path": str(at),
        "size": head["ContentLength"],
        "modified_at": head["LastModified"].isoformat(),
        "etag": head["ETag"].strip('"'),
        "content_type": head["ContentType"],
        "metadata": head["Metadata"],
    }
    if as_json:
        print_json(found)
    else:
        print_table(("field", "value"), found.items())


def mkdir(
    path: Annotated[str, typer.Argument(help="A bucket, or a directory in one.")], url: Url = None, api_key: Key = None
) -> None:
    """Make a bucket or a directory. A directory is a key that ends in a slash.

    Example: nexus mkdir /reports
    """
    at = remote(path)
    if not at.bucket:
        raise CliError("the root is there already", USAGE)
    with Store(url, api_key) as store:
        if at.key.rstrip("/"):
            store.s3.put_object(Bucket=at.bucket, Key=at.key.rstrip("/") + "/", Body=b"")
        else:
            store.s3.create_bucket(Bucket=at.bucket)


def rm(
    path: Annotated[str, typer.Argument(help="A file, or with --recursive all below a path.")],
    recursive: Recursive = False,
    url: Url = None,
    api_key: Key = None,
) -> None:
    """Remove a file. With --recursive, everything below a path.

    Example: nexus rm --recursive /workspace/old/
    """
    at = remote(path) if recursive else _object(path)
    if not at.bucket:
        raise CliError("name a bucket", USAGE)
    with Store(url, api_key) as store:
        if not recursive:
            store.s3.head_object(Bucket=at.bucket, Key=at.key)
            store.s3.delete_object(Bucket=at.bucket, Key=at.key)
            return
        folder = Remote(at.bucket, at.key if not at.key or at.key.endswith("/") else at.key + "/")
        keys = [entry["path"][len(at.bucket) + 2 :] for entry in store.entries(folder, True)]
        for start in range(0, len(keys), 1000):
            batch = [{"Key": key} for key in keys[start : start + 1000]]
            done = store.s3.delete_objects(Bucket=at.bucket, Delete={"Objects": batch, "Quiet": True})
            for error in done.get("Errors", ()):
                raise CliError(f"{error['Key']}: {error['Message']}")


# -- copying


def cp(
    source: Annotated[str, typer.Argument(help="A local path, or nx:/bucket/key on the server.")],
    target: Annotated[str, typer.Argument(help="A local path, or nx:/bucket/key on the server.")],
    recursive: Recursive = False,
    url: Url = None,
    api_key: Key = None,
) -> None:
    """Copy files to, from or on the server. Server paths start with nx: so that they are no local ones.

    Example: nexus cp big.bin nx:/workspace/big.bin
    """
    if not (source.startswith(REMOTE) or target.startswith(REMOTE)):
        raise CliError(f"neither path is on the server: write it as {REMOTE}/bucket/key", USAGE)
    with Store(url, api_key) as store:
        copies = list(_plan(store, source, target, recursive))
        with _Progress(sum(size for _, _, size in copies)) as progress:
            for origin, goal, _ in copies:
                _copy(store, origin, goal, progress)


Place = Remote | Path


def _plan(store: Store, source: str, target: str, recursive: bool) -> Iterator[tuple[Place, Place, int]]:
    """(from, to, bytes) of each file to copy."""
    if source.startswith(REMOTE):
        at = remote(source)
        if recursive:
            base = Remote(at.bucket, at.key if not at.key or at.key.endswith("/") else at.key + "/")
            for entry in store.entries(base, True):
                key = entry["path"][len(at.bucket) + 2 :]
                if not key.endswith("/"):
                    yield Remote(at.bucket, key), _below(target, key[len(base.key) :]), entry["size"]
            return
        at = _object(source)
        size = store.s3.head_object(Bucket=at.bucket, Key=at.key)["ContentLength"]
        yield at, _goal(target, at.key.rsplit("/", 1)[-1]), size
        return
    local = Path(source)
    if local.is_dir():
        if not recursive:
            raise CliError(f"{source} is a directory: copy it with --recursive", USAGE)
        for path in sorted(local.rglob("*")):
            if path.is_file():
                yield path, _below(target, path.relative_to(local).as_posix()), path.stat().st_size
        return
    if not local.is_file():
        raise CliError(f"no such file: {source}")
    yield local, _goal(target, local.name), local.stat().st_size


def _goal(target: str, name: str) -> Place:
    """Where one file goes: into a target that is a directory, else to the target itself."""
    if target.startswith(REMOTE):
        at = remote(target)
        return Remote(at.bucket, at.key + name) if not at.key or at.key.endswith("/") else at
    path = Path(target)
    return path / name if path.is_dir() or target.endswith("/") else path


def _below(target: str, name: str) -> Place:
    if target.startswith(REMOTE):
        at = remote(target)
        folder = at.key if not at.key or at.key.endswith("/") else at.key + "/"
        return Remote(at.bucket, folder + name)
    # A key is data and may hold '..': nothing is ever written outside of the target.
    path = Path(target) / name
    if not path.resolve().is_relative_to(Path(target).resolve()):
        raise CliError(f"the key {name!r} would leave {target}")
    return path


def _copy(store: Store, origin: Place, goal: Place, progress: _Progress) -> None:
    if isinstance(origin, Remote) and isinstance(goal, Remote):
        source = {"Bucket": origin.bucket, "Key": origin.key}
        store.s3.copy(source, goal.bucket, goal.key, Callback=progress.add)
    elif isinstance(origin, Remote) and isinstance(goal, Path):
        goal.parent.mkdir(parents=True, exist_ok=True)
        store.s3.download_file(origin.bucket, origin.key, str(goal), Callback=progress.add)
    elif isinstance(origin, Path) and isinstance(goal, Remote):
        with origin.open("rb") as file:
            _upload(store, file, goal, progress)


def _upload(store: Store, file: BinaryIO, goal: Remote, progress: _Progress) -> None:
    from boto3.exceptions import S3UploadFailedError

    try:
        store.s3.upload_fileobj(file, goal.bucket, goal.key, Callback=progress.add)
    except S3UploadFailedError as error:
        raise CliError(str(error)) from None


class _Progress:
    """A progress bar on a terminal, for copies long enough to watch."""

    WORTH_SHOWING = 16 * 1024 * 1024

    def __init__(self, total: int) -> None:
        self._bar: Any = None
        if sys.stderr.isatty() and total >= self.WORTH_SHOWING:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("copy", total=total)

    def __enter__(self) -> _Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar:
            self._bar.stop()

    def add(self, count: int) -> None:
        if self._bar:
            self._bar.update(self._task, advance=count)
