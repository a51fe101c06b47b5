"""s3fs-fuse: the bucket as a folder of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.clients.files import BIG, MIB, digest, digests, noise, plant
from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Debian, NotInstallable, Tool

PATIENCE = 30


@client("s3fs-fuse", Debian("s3fs", ("s3fs", "libfuse2", "fuse")))
def s3fs_fuse(stand: Stand, tool: Tool) -> None:
    """mount; write a multipart file, change its middle, append, read it at random, rename; a tree copied in, listed,
    renamed and removed; mount again and compare."""
    stand.make_bucket()
    with _mounted(stand, tool) as here:
        big = bytearray(noise(BIG))
        (here / "big").write_bytes(big)
        with open(here / "big", "r+b") as file:
            file.seek(9 * MIB)
            file.write(b"changed")
        big[9 * MIB : 9 * MIB + 7] = b"changed"
        with open(here / "big", "ab") as file:
            file.write(b"more")
        big += b"more"
        with open(here / "big", "rb") as file:
            for start in (len(big) - 9, 0, 9 * MIB - 3):
                file.seek(start)
                assert file.read(9) == big[start : start + 9], start
        os.rename(here / "big", here / "a folder ü+%")
        expected = plant(stand.folder / "tree")
        shutil.copytree(stand.folder / "tree", here / "tree")
        os.rename(here / "tree", here / "moved")
        assert digests(here / "moved") == expected
        shutil.copytree(here / "moved", here / "doomed")
        shutil.rmtree(here / "doomed")
    stand.holds("a folder ü+%", digest(bytes(big)))
    assert {key for key in stand.keys("moved/") if not key.endswith("/")} == {f"moved/{name}" for name in expected}
    assert not stand.keys("doomed") and not stand.keys("tree")
    with _mounted(stand, tool) as here:
        assert digests(here / "moved") == expected
        assert (here / "a folder ü+%").read_bytes() == big


@contextmanager
def _mounted(stand: Stand, tool: Tool) -> Iterator[Path]:
    """The bucket's folder while s3fs runs."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise NotInstallable("there is no /dev/fuse here that may be opened")
    here, password = stand.folder / "mounted", stand.folder / "password"
    here.mkdir(exist_ok=True)
    password.write_text(f"{stand.access_key}:{stand.secret_key}")
    password.chmod(0o600)
    options = f"url={stand.url},passwd_file={password},use_path_request_style,multipart_size=5,endpoint=us-east-1"
    environment = {name: value for name, value in stand.environment(tool).items() if not name.startswith("AWS_")}
    with open(stand.folder / "log", "wb") as log:
        process = subprocess.Popen(
            [*tool.command, stand.bucket, str(here), "-f", "-o", options],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_mounted(here, process, stand.folder / "log")
        yield here
    finally:
        if here.is_mount():
            _unmount(here)
        process.terminate()
        process.wait(30)


def _wait_until_mounted(here: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not here.is_mount():
        if process.poll() is not None and "fuse: " in (told := log.read_text()):
            raise NotInstallable(f"this machine does not let it mount: {told.strip().splitlines()[-1]}")
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)


def _unmount(here: Path) -> None:
    """As its user; else as root."""
    helper = shutil.which("fusermount") or shutil.which("fusermount3")
    for words in ([helper, "-u"] if helper else [], ["umount"]):
        if words and subprocess.run([*words, str(here)], capture_output=True).returncode == 0:
            return
