"""Directories are synced into those above them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.base import StoreMisconfigured
from backends.local import LocalStore
from gateway.folders import make_folder


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are synced from now on."""
    seen: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_each_directory_that_is_made_is_synced_into_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = synced(monkeypatch)
    make_folder(tmp_path / "a" / "b")
    assert set(seen) == {str(tmp_path), str(tmp_path / "a")}
    seen.clear()
    make_folder(tmp_path / "a" / "b")
    assert seen == []


async def test_a_new_store_is_on_the_disk_whatever_it_syncs_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = synced(monkeypatch)
    store = LocalStore(tmp_path / "made" / "store", fsync=False)
    await store.close()
    assert {str(tmp_path), str(tmp_path / "made"), str(tmp_path / "made" / "store")} <= set(seen)
    assert any("nexus-store.json." in path for path in seen)


def test_a_store_whose_marker_is_damaged_says_so(tmp_path: Path) -> None:
    (tmp_path / "nexus-store.json").write_text("")
    with pytest.raises(StoreMisconfigured, match="damaged"):
        LocalStore(tmp_path)
