"""A gateway process that a test may start, kill and start again, and the clients that speak to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"
START_SECONDS = 30
ONCE = {"total_max_attempts": 1, "mode": "standard"}
"""Retries would hide what a test is about."""


@dataclass(frozen=True)
class Key:
    """A pair that speaks S3, and the API key it is part of."""

    access_key: str
    secret_key: str
    api_key: str

    @classmethod
    def of(cls, api_key: str) -> Key:
        _, access_key, secret_key = api_key.split("_", 2)
        return cls(access_key, secret_key, api_key)

    def environment(self) -> dict[str, str]:
        """What ``nexus serve --init`` tells to paste, as an environment for aws-cli."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


@dataclass
class Server:
    """``nexus serve`` on a data directory that outlives the process."""

    folder: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    """A command that runs it in some other way."""
    port: int = 0
    admin: Key = field(default_factory=lambda: Key("", "", ""))
    printed: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, wait until it answers; the first time with ``--init``, which prints the admin's key."""
        first = not self.admin.api_key
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "gateway", "serve", "--port", str(self.port), "--data-dir", str(self.data_dir)]
        command = [*self.prefix, *command, *["--init"] * first, *self.options]
        output = self.folder / "output"
        with open(self.log, "ab") as log, open(output, "wb") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=_environment(self.environment),
                start_new_session=True,
            )
        self._wait_until_healthy()
        if first:
            self.printed = output.read_text().splitlines()
            self.admin = Key.of(_after("API key:", self.printed))

    def _wait_until_healthy(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the gateway did not start: {self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """End it as an operator does; it must not linger."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                self.kill()

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def s3(self, key: Key | None = None, host: str = "127.0.0.1", **options: Any) -> BaseClient:
        """A boto3 client; ``options`` go into botocore's Config."""
        key = key or self.admin
        settings: dict[str, Any] = {"retries": ONCE, "s3": {"addressing_style": "path"}, "max_pool_connections": 40}
        return boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{self.port}",
            region_name=REGION,
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
            config=Config(**{**settings, **options}),
        )

    def run(self, *arguments: str, key: Key | None = None) -> subprocess.CompletedProcess[str]:
        """A ``nexus`` command against this server, whatever comes of it."""
        environment = {"NEXUS_URL": self.url, "NEXUS_API_KEY": (key or self.admin).api_key}
        return nexus(*arguments, environment=environment)

    def nexus(self, *arguments: str) -> Any:
        """A ``nexus`` command as the admin, which must succeed; its JSON."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, f"nexus {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def user(self, name: str, tenant: str = "default") -> Key:
        """Make a user and a key for it."""
        self.nexus("admin", "create-user", name, "--name", f"The {name}", "--tenant", tenant)
        return Key.of(self.nexus("admin", "create-user-key", name)["api_key"])

    def mount(self, point: str, data_dir: Path, *options: str) -> Any:
        """Mount a local store."""
        return self.nexus("mounts", "add", point, "local", "--config", f"data_dir={data_dir}", *options)

    def unmount(self, point: str) -> None:
        done = self.run("mounts", "remove", point)
        assert done.returncode == 0, done.stdout + done.stderr

    def resident(self) -> int:
        """Bytes of memory that the server's processes have resident."""
        assert self.process is not None
        return sum(_resident(pid) for pid in _tree(self.process.pid))


def nexus(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The ``nexus`` command as a person runs it."""
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=_environment(environment or {}),
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def aws(server: Server, *arguments: str, check: bool = True, cwd: Path | None = None) -> str:
    """Stock aws-cli with nothing but the pasted lines and the endpoint; what it printed."""
    environment = {**server.admin.environment(), "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
    command = [sys.executable, "-m", "awscli", "--endpoint-url", server.url, "--region", REGION, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=_environment(environment), cwd=cwd, stdin=subprocess.DEVNULL
    )
    assert not check or done.returncode == 0, f"aws {' '.join(arguments)}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
    return done.stdout + ("" if check else done.stderr)


@contextmanager
def refused(code: str, status: int | None = None) -> Iterator[list[ClientError]]:
    """The block ends in an S3 error of that code; it is in the list afterwards."""
    seen: list[ClientError] = []
    try:
        yield seen
    except ClientError as error:
        seen.append(error)
        told = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert told == (code, status or told[1]), error
    assert seen, f"{code} expected, but it succeeded"


def keys_of(client: BaseClient, bucket: str, prefix: str = "") -> list[str]:
    """Every key of a bucket, in the order in which it is listed."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "NEXUS_"))}
    root = str(Path(__file__).parents[2])
    return {**kept, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1", **more}


def _after(label: str, lines: list[str]) -> str:
    for line in lines:
        if line.strip().startswith(label):
            return line.split(label, 1)[1].strip()
    raise RuntimeError(f"{label!r} was not printed: {lines}")


def _tree(root: int) -> list[int]:
    """A process and everything it started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def unique(word: str) -> str:
    """A bucket name that no other test uses."""
    return f"{word}-{uuid.uuid4().hex[:12]}"
