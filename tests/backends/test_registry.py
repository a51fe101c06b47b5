"""How a configuration becomes a store, and what is said of one that cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.base import BlobName, StoreMisconfigured
from backends.registry import identity, mask, open_native, open_store, resolve


@pytest.mark.parametrize(
    ("backend_type", "config", "message"),
    [
        ("nonesuch", {}, "unknown backend type 'nonesuch'; there are azure, gcs, local, memory, postgres, s3"),
        ("local", {}, "local needs data_dir"),
        ("local", {"data_dir": "/x", "colour": "red"}, "local has no setting colour"),
        ("local", {"data_dir": "relative"}, "absolute path"),
        ("local", {"data_dir": "/tmp", "fsync": "maybe"}, "fsync must be true or false"),
        ("local", {"data_dir": "/tmp", "pack_limit": "-1"}, "pack_limit must be a number"),
    ],
)
def test_what_cannot_be_opened_is_said(backend_type: str, config: dict[str, str], message: str) -> None:
    with pytest.raises(StoreMisconfigured, match=message):
        open_store(backend_type, config)


def test_one_directory_is_one_store_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    spellings = [tmp_path / "real", tmp_path / "link", tmp_path / "real" / ".." / "real"]
    assert len({identity("local", {"data_dir": str(path)}) for path in spellings}) == 1
    assert identity("local", {"data_dir": str(tmp_path)}) != identity("local", {"data_dir": str(spellings[0])})


def test_clients_of_clouds_are_loaded_when_a_mount_needs_them() -> None:
    clients = ("google", "azure", "psycopg")
    program = f"import gateway.app, sys; print([name for name in sys.modules if name.startswith({clients})])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_client_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("backends.gcs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(StoreMisconfigured, match=r"gcs needs the package google.*pip install 'nexus-gateway\[gcs\]'"):
        open_store("gcs", {"bucket": "b"})


def test_what_is_not_secret_is_shown(tmp_path: Path) -> None:
    assert mask("local", {"data_dir": "/x"}) == {"data_dir": "/x"}


def test_a_layout_is_one_of_two_and_not_every_type_has_both(tmp_path: Path) -> None:
    local = {"data_dir": str(tmp_path)}
    assert open_native("local", local) is None
    assert identity("local", {**local, "layout": "cas"}) == identity("local", local)
    assert identity("local", {**local, "layout": "native"}) != identity("local", local)
    with pytest.raises(StoreMisconfigured, match="memory has no layout 'native'"):
        open_store("memory", {"name": "x", "layout": "native"})
    with pytest.raises(StoreMisconfigured, match="layout is 'cas' or 'native'"):
        open_store("local", {**local, "layout": "other"})


def test_connectors_are_names_of_native_stores() -> None:
    assert resolve("s3_connector", {"bucket": "b"}) == ("s3", {"bucket": "b", "layout": "native"})
    assert resolve("s3", {"bucket": "b"}) == ("s3", {"bucket": "b"})
    with pytest.raises(StoreMisconfigured, match="layout of gcs_connector is native"):
        resolve("gcs_connector", {"bucket": "b", "layout": "cas"})


async def test_opening_a_native_directory_makes_nothing(tmp_path: Path) -> None:
    config = {"data_dir": str(tmp_path), "layout": "native"}
    native, blobs = open_native("local", config), open_store("local", config)
    assert native is not None
    name = BlobName("default", "0" * 64)
    assert await blobs.stat(name) is None and [blob async for blob in blobs.scan()] == []
    await blobs.delete(name)
    assert os.listdir(tmp_path) == []
    await native.close()
    await blobs.close()
