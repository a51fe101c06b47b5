"""``nexus.connect()`` without a server: the gateway runs inside the program, on a data directory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nexus
from tests.e2e.harness import Server, keys_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NEXUS_")]:
        monkeypatch.delenv(name)


def test_files_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NEXUS_DURABILITY", "none")
    with nexus.connect() as nx:
        nx.write("/workspace/a.txt", b"hi")
        assert nx.whoami()["is_admin"] and [mount.mount_point for mount in nx.list_mounts()] == ["/", "/workspace"]
        nx.mount_manager.add_mount("/fast", "local", {"data_dir": str(tmp_path / "fast")})
        nx.write_stream("/fast/big", (bytes(1024 * 1024) for _ in range(20)))
        assert sum(map(len, nx.stream("/fast/big"))) == 20 * 1024 * 1024
        with nexus.connect({"data_dir": str(tmp_path / "data")}) as second:
            assert second.read("/workspace/a.txt") == b"hi", "several programs share a data directory"
            second.write("/workspace/a.txt", b"changed")
        assert nx.read("/workspace/a.txt") == b"changed"
    with nexus.connect() as nx:
        assert nx.read("/workspace/a.txt") == b"changed" and nx.has_mount("/fast")

    async def later() -> bytes:
        async with nexus.connect_async() as nx:
            return await nx.read("/workspace/a.txt")

    assert asyncio.run(later()) == b"changed"
    leftover = [path.name for path in (tmp_path / "data").iterdir() if path.name.endswith("-wal")]
    assert leftover == [], "closing it closed the catalog"


def test_beside_a_server(server: Server) -> None:
    with nexus.connect({"data_dir": str(server.data_dir)}) as nx:
        nx.write("/workspace/embedded.txt", b"seen by both")
        s3 = server.s3()
        assert s3.get_object(Bucket="workspace", Key="embedded.txt")["Body"].read() == b"seen by both"
        assert "embedded.txt" in keys_of(s3, "workspace")
        s3.close()
        nx.remove("/workspace/embedded.txt")


def test_its_key_is_in_no_catalog(tmp_path: Path) -> None:
    with nexus.connect({"data_dir": str(tmp_path)}) as nx:
        assert nx.call("admin_list_keys")["total"] == 0
        (entry,) = nx.call("audit_list", action="init")["entries"]
        assert entry["peer"] == "machine"


def _run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
    )


def test_a_program_that_forgets_to_close_ends(tmp_path: Path) -> None:
    program = "import nexus; nx = nexus.connect(); nx.write('/workspace/a', b'kept'); print(nx.read('/workspace/a'))"
    done = _run(program, NEXUS_DATA_DIR=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'kept'\n", "")
    with nexus.connect({"data_dir": str(tmp_path)}) as nx:
        assert nx.read("/workspace/a") == b"kept"


def test_the_client_alone_says_what_is_missing(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["gateway"] = None  # as where the server's code is not installed
import nexus
assert not any(name.startswith("gateway.") for name in sys.modules)
try:
    nexus.connect()
except nexus.NexusError as error:
    print(error)
"""
    done = _run(program, NEXUS_DATA_DIR=str(tmp_path / "data"))
    assert "is not installed" in done.stdout and not (tmp_path / "data").exists(), done.stderr
    program = (
        "import sys, nexus; print([name for name in sys.modules if name.split('.')[0] in ('gateway', 'backends')])"
    )
    assert _run(program).stdout == "[]\n"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "NEXUS_DATA_DIR"),
        ({"data_dir": "/x", "url": "http://x"}, "or a data_dir"),
        ({"data_dir": "/x", "api_key": "nxk"}, "or a data_dir"),
        ({"folder": "/x"}, "config has no folder"),
    ],
)
def test_mistakes(config: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        nexus.connect(config)


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(nexus.NexusError, match="cannot be used"):
        nexus.connect({"data_dir": str(tmp_path / "file")})
