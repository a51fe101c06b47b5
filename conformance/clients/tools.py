"""How clients come onto the machine: by package managers and package names, into a cache folder outside this tree.

Each ``Source`` either has its tool, makes it, or raises ``NotInstallable`` with the reason. Nothing is installed
into the system. What is made is kept by name and version, so that a second run starts at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
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
        raise NotInstallable(f"{Path(words[0]).name}: {_cause(done.stderr + done.stdout)}")


def _cause(text: str) -> str:
    """The line of a package manager's complaint that is likely to say why; without colours and addresses."""
    plain = re.sub(r"\x1b\[[0-9;]*m|https?://\S+", "", text)
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not line.startswith("[notice]")]
    errors = [line for line in lines if re.search(r"error|not available", line, re.IGNORECASE)]
    return (errors or lines[-1:] or ["failed without a word"])[0][:200]


@contextmanager
def made_once(name: str) -> Iterator[tuple[Path, bool]]:
    """A folder of the cache and whether it must be filled; a failure while filling it leaves nothing behind.

    Who comes while another process fills it waits.
    """
    folder = cache() / name
    stamp = folder / ".complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists():
            yield folder, False
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
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


def told_version(*command: str, pattern: str = r"\d+(\.\d+)+", environment: Mapping[str, str] | None = None) -> str:
    """The first thing in a program's own words that looks like a version."""
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, env=env)
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

    @property
    def _folder(self) -> str:
        return f"python/{self.lock}-{_fingerprint(LOCKS / f'{self.lock}.txt')}"

    @property
    def is_here(self) -> bool:
        """Whether it was installed before."""
        return (cache() / self._folder / ".complete").exists()

    def get(self) -> Tool:
        lock = LOCKS / f"{self.lock}.txt"
        with made_once(self._folder) as (folder, missing):
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


@dataclass(frozen=True)
class GoProgram:
    """A program of ours below ``sdk``, built with the module whose version it is about."""

    folder: str
    module: str

    def get(self) -> Tool:
        require("go", "there is no Go here to build it with")
        source = HERE / "sdk" / self.folder
        with made_once(f"go/{self.folder}-{_fingerprint(*sorted(source.iterdir()))}") as (folder, missing):
            if missing:
                install("go", "build", "-p", "1", "-o", folder / "program", ".", cwd=source)
        version = re.search(rf"{re.escape(self.module)} v(\S+)", (source / "go.mod").read_text())
        return Tool((str(folder / "program"),), version[1] if version else "unknown")


@dataclass(frozen=True)
class Npm:
    """A program of ours below ``sdk``, with the packages that its package.json pins."""

    folder: str
    package: str

    def get(self) -> Tool:
        node = require("node", "there is no Node.js here")
        source = HERE / "sdk" / self.folder
        with made_once(f"npm/{self.folder}-{_fingerprint(*sorted(source.iterdir()))}") as (folder, missing):
            if missing:
                shutil.copytree(source, folder, dirs_exist_ok=True)
                install("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
        version = json.loads((source / "package.json").read_text())["dependencies"][self.package]
        return Tool((node, str(folder / "main.js")), version, folder)


@dataclass(frozen=True)
class Maven:
    """A program of ours below ``sdk``, compiled against the artifacts that its pom.xml pins."""

    folder: str
    version: str
    """The name of the property that tells it."""

    def get(self) -> Tool:
        java = require("java", "there is no Java here")
        source = HERE / "sdk" / self.folder
        files = sorted(path for path in source.rglob("*") if path.is_file())
        with made_once(f"maven/{self.folder}-{_fingerprint(*files)}") as (folder, missing):
            if missing:
                shutil.copytree(source, folder, dirs_exist_ok=True)
                goals = ("compile", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath")
                install("mvn", "--batch-mode", "--quiet", *goals, cwd=folder)
        classpath = f"{folder / 'target/classes'}{os.pathsep}{(folder / 'target/classpath').read_text().strip()}"
        told = re.search(rf"<{self.version}>(.*)</", (source / "pom.xml").read_text())
        return Tool((java, "-cp", classpath, "Main"), told[1] if told else "unknown", folder)


@dataclass(frozen=True)
class Debian:
    """A program of Debian's packages, unpacked into the cache: neither root nor a change of the system is needed."""

    program: str
    packages: tuple[str, ...]
    """The one with the program first, then libraries that the machine may lack."""
    version: tuple[str, ...] = ("--version",)

    def get(self) -> Tool:
        if present := shutil.which(self.program):
            return Tool((present,), told_version(present, *self.version))
        require("apt-get", f"{self.program} is not on this machine, nor apt-get to have it from")
        with made_once(f"debian/{'-'.join(self.packages)}") as (folder, missing):
            if missing:
                self._unpack(folder)
        program = next(folder.glob(f"root/usr/*bin/{self.program}"))
        libraries = os.pathsep.join(str(path) for path in folder.glob("root/**/lib/*-linux-gnu"))
        environment = (("LD_LIBRARY_PATH", libraries),)
        version = told_version(str(program), *self.version, environment={"LD_LIBRARY_PATH": libraries})
        return Tool((str(program),), version, folder, environment)

    def _unpack(self, folder: Path) -> None:
        download = ("apt-get", "download", "--quiet", *self.packages)
        try:
            install(*download, cwd=folder)
        except NotInstallable:  # a new machine has no list of packages yet
            install("apt-get", "update", "--quiet")
            install(*download, cwd=folder)
        for package in folder.glob("*.deb"):
            install("dpkg", "--extract", package, folder / "root")
