"""Stores that are packages of their own: the template, installed as a package is, and packages that are broken."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.e2e.harness import Server, keys_of, unique
from tests.e2e.rpc import Rpc

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "plugin-store"
MIB = 1024 * 1024
BROKEN = {
    "unfound": ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    "ended": ("raise SystemExit(3)", "SystemExit: 3"),
    "wrong": ("backend = 'a text'", "is no BackendType but 'a text'"),
    "unnamed": ("", "AttributeError: module 'unnamed' has no attribute 'backend'"),
    "careless": (
        "from backends.registry import BackendType\n"
        "backend = BackendType(open=lambda config: config['none'], identity=lambda config: 'x')",
        "careless cannot be opened: KeyError: 'none'",
    ),
    "empty": (
        "from backends.registry import BackendType\n"
        "backend = BackendType(open=lambda config: object(), identity=lambda config: 'x')",
        "empty opens something that is no store: it has no put, get",
    ),
}


def _pip() -> list[str]:
    """An environment may borrow the system's pip, as ./run does."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    return [os.environ.get("PYTHON") or shutil.which("python3") or "", "-m", "pip", "--python", sys.executable]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the template was installed into, from a copy, since building leaves traces."""
    source, target = tmp_path_factory.mktemp("source") / "plugin-store", tmp_path_factory.mktemp("installed")
    shutil.copytree(TEMPLATE, source)
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [*_pip(), "install", *options, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages none of which is of any use."""
    folder = tmp_path_factory.mktemp("broken")
    for name, (code, _) in BROKEN.items():
        (folder / f"{name}.py").write_text(code)
        about = folder / f"nexus_{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: nexus-{name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[nexus.backends]\n{name} = {name}:backend\n")
    return folder


def path_of(*folders: Path) -> str:
    return os.pathsep.join(map(str, (ROOT, *folders)))


def test_the_template_is_short_and_keeps_the_contract(installed: Path, tmp_path: Path) -> None:
    assert len((TEMPLATE / "nexus_store_sqlite.py").read_text().splitlines()) < 100
    suite = shutil.copy(TEMPLATE / "test_nexus_store_sqlite.py", tmp_path)
    shutil.copy(TEMPLATE / "pyproject.toml", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    environment = {**os.environ, "PYTHONPATH": path_of(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_store_from_a_package_is_mounted_like_any(
    new_server: Callable[..., Server], installed: Path, broken: Path, tmp_path: Path
) -> None:
    server = new_server(PYTHONPATH=path_of(installed, broken))
    file, name = tmp_path / "blobs.db", unique("theirs")
    done = server.run("mounts", "add", f"/{name}", "sqlite", "--config", f"path={file}")
    assert (done.returncode, done.stdout) == (0, f"Mounted sqlite at /{name}.\n"), done.stderr
    s3, content = server.s3(), os.urandom(20 * MIB)
    s3.put_object(Bucket=name, Key="small", Body=b"small")
    s3.put_object(Bucket=name, Key="large", Body=content)
    s3.put_object(Bucket=name, Key="again", Body=content)
    assert s3.get_object(Bucket=name, Key="again")["Body"].read() == content
    span = s3.get_object(Bucket=name, Key="large", Range=f"bytes={8 * MIB - 2}-{8 * MIB + 1}")["Body"].read()
    assert span == content[8 * MIB - 2 : 8 * MIB + 2]
    s3.delete_object(Bucket=name, Key="large")
    server.nexus("gc", "--grace", "0")
    assert server.run("fsck", "--rehash").returncode == 0
    assert s3.get_object(Bucket=name, Key="again")["Body"].read() == content

    refusal = server.run("mounts", "add", f"/{unique('wrong')}", "sqlite", "--config", "path=relative")
    assert refusal.returncode == 1 and "path must be an absolute path in a directory that exists" in refusal.stderr

    # The package goes, and takes nothing with it but what lies in its store; it comes back, and so does that.
    server.stop()
    server.environment["PYTHONPATH"] = path_of(broken)
    server.start()
    assert f"/{name}" in server.run("mounts", "list").stdout
    assert str(file) not in server.run("mounts", "list").stdout, "nobody knows any more what is secret"
    s3.put_object(Bucket="workspace", Key="meanwhile", Body=b"meanwhile")
    assert keys_of(s3, name) == ["again", "small"]
    for operation, more in ((s3.get_object, {}), (s3.put_object, {"Body": b"more"})):
        with pytest.raises(ClientError) as failure:
            operation(Bucket=name, Key="again", **more)
        assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    server.stop()
    server.environment["PYTHONPATH"] = path_of(installed)
    server.start()
    assert s3.get_object(Bucket=name, Key="again")["Body"].read() == content
    s3.close()


def test_packages_that_are_broken_are_told_and_harm_nobody(
    new_server: Callable[..., Server], broken: Path, installed: Path
) -> None:
    server = new_server(PYTHONPATH=path_of(broken, installed))
    for name, (_, message) in BROKEN.items():
        done = server.run("mounts", "add", f"/{unique('broken')}", name)
        assert done.returncode == 1 and message in done.stderr, done.stderr
    rpc = Rpc(server, None)
    offered = {kind["name"] for kind in rpc("list_connectors")}
    rpc.close()
    assert {"local", "sqlite"} <= offered and not {"unfound", "ended", "wrong", "unnamed"} & offered
    assert "'wrong', wrong:backend of the package nexus-wrong, is no BackendType" in server.log.read_text()
    s3 = server.s3()
    s3.put_object(Bucket="workspace", Key="well", Body=b"well")
    s3.close()
