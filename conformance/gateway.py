"""A gateway of our own for a run: started in a temporary directory, stopped at the end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 30


@dataclass(frozen=True)
class Credentials:
    """What a user needs to speak S3 here."""

    user_id: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Gateway:
    """A running gateway: its URL, its admin's API key, its data directory and its process."""

    url: str
    api_key: str
    data_dir: Path
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def admin(self) -> Credentials:
        _, key_id, secret = self.api_key.split("_")
        return Credentials("admin", key_id, secret)

    def nexus(self, *arguments: str) -> Any:
        """Run a ``nexus`` command as the admin; its JSON."""
        environment = {**os.environ, "NEXUS_URL": self.url, "NEXUS_API_KEY": self.api_key}
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments, "--json"], capture_output=True, text=True, env=environment
        )
        if done.returncode:
            raise RuntimeError(f"nexus {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def user(self, name: str, display_name: str, email: str, tenant: str) -> tuple[Credentials, dict[str, Any]]:
        """Make a user with a key; its credentials, and the user as the gateway shows it."""
        user = self.nexus("admin", "create-user", name, "--name", display_name, "--email", email, "--tenant", tenant)
        key = self.nexus("admin", "create-user-key", name)
        _, key_id, secret = key["api_key"].split("_")
        return Credentials(name, key_id, secret), user


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_gateway(*options: str, environment: dict[str, str] | None = None) -> Iterator[Gateway]:
    """Start ``nexus serve --init`` with more options, wait until it answers, stop it in the end."""
    with tempfile.TemporaryDirectory(prefix="nexus-conformance-") as folder:
        data_dir = Path(folder) / "data"
        port = free_port()
        with open(Path(folder) / "log", "wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gateway", "serve", "--init"),
                    *("--port", str(port), "--data-dir", str(data_dir), *options),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
            try:
                yield Gateway(f"http://127.0.0.1:{port}", _started(process, port, log.name), data_dir, process)
            finally:
                process.terminate()
                process.wait(30)


def _started(process: subprocess.Popen[bytes], port: int, log: str) -> str:
    """The API key that a new gateway printed, once it serves."""
    assert process.stdout is not None
    api_key = ""
    for raw in process.stdout:
        line = raw.decode().strip()
        if line.startswith("API key:"):
            api_key = line.split(":", 1)[1].strip()
            break
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return api_key
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start: {Path(log).read_text()[-2000:]}")
