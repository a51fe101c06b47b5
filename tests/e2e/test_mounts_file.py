"""Mounts as a file declares them: planned, applied, and made so before the server serves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Server, unique


@pytest.fixture(scope="module")
def node(new_server: Callable[..., Server]) -> Server:
    return new_server()


class File:
    """A mounts file of local stores, and what comes of it."""

    def __init__(self, node: Server, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self.path = folder / f"{unique('mounts')}.toml"

    def write(self, *mounts: dict[str, Any]) -> None:
        lines = []
        for mount in mounts:
            lines.append("[[mount]]")
            lines += [f"{name} = {self.literal(value)}" for name, value in mount.items()]
        self.path.write_text("\n".join(lines))

    def literal(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name} = {self.literal(each)}" for name, each in value.items()) + "}"
        return f'"{value}"' if isinstance(value, str) else str(value)

    def local(self, point: str, folder: str, **more: Any) -> dict[str, Any]:
        return {"point": point, "type": "local", "config": {"data_dir": str(self.folder / folder)}, **more}

    def plan(self) -> subprocess.CompletedProcess[str]:
        return self.node.run("mounts", "plan", str(self.path))

    def apply(self) -> subprocess.CompletedProcess[str]:
        return self.node.run("mounts", "apply", str(self.path), "--yes")

    def points(self) -> dict[str, dict[str, Any]]:
        return {row["mount_point"]: row for row in self.node.nexus("mounts", "list")}


@pytest.fixture
def file(node: Server, tmp_path: Path) -> File:
    return File(node, tmp_path)


def test_a_file_is_planned_and_applied_and_then_changes_nothing(file: File) -> None:
    one, two = f"/{unique('one')}", f"/{unique('two')}"
    file.write(file.local(one, "a"), file.local(two, "b", priority=5, readonly=True, layout="cas"))
    planned = file.plan()
    assert planned.returncode == 2, planned.stderr
    assert f"+ {one} (local)" in planned.stdout and "2 to add." in planned.stdout
    assert one not in file.points(), "a plan changes nothing"
    assert file.node.run("mounts", "apply", str(file.path)).returncode == 2, "nobody there to ask"
    assert file.apply().returncode == 0
    made = file.points()
    assert made[two]["priority"] == 5 and made[two]["readonly"] and made[two]["managed_by"] == file.path.stem
    for done in (file.plan(), file.apply()):
        assert (done.returncode, done.stdout) == (0, "No changes.\n")

    file.write(file.local(two, "b", priority=7, layout="cas"))
    planned = file.plan()
    assert planned.returncode == 2
    assert f"- {one} (local)" in planned.stdout
    assert f"~ {two} (local)\n      priority: 5 -> 7\n      readonly: yes -> no\n" in planned.stdout
    assert "1 to update, 1 to remove." in planned.stdout
    assert file.apply().returncode == 0
    assert one not in file.points() and file.points()[two]["priority"] == 7
    assert file.plan().returncode == 0


def test_what_was_mounted_by_hand_is_left_alone_until_it_is_declared(file: File) -> None:
    point = f"/{unique('hand')}"
    file.node.mount(point, file.folder / "hand")
    file.write()
    assert file.apply().stdout == "No changes.\n"
    file.write(file.local(point, "hand"))
    assert f"managed_by: (none) -> {file.path.stem}" in file.plan().stdout
    assert file.apply().returncode == 0
    file.write()
    assert file.apply().returncode == 0
    assert point not in file.points()


def test_another_store_at_the_same_point_replaces_the_first(file: File) -> None:
    point = f"/{unique('moved')}"
    file.write(file.local(point, "a"))
    assert file.apply().returncode == 0
    before = file.points()[point]["store_id"]
    file.write(file.local(point, "b"))
    assert f"-/+ {point} (local)" in file.plan().stdout
    assert file.apply().returncode == 0
    assert file.points()[point]["store_id"] != before
    assert file.plan().returncode == 0


def test_a_bad_file_changes_nothing(file: File) -> None:
    good, bad = f"/{unique('good')}", f"/{unique('bad')}"
    before = file.points()
    for wrong, told in [
        ({"point": bad, "type": "local", "config": {"data_dir": "relative"}}, "data_dir must be an absolute path"),
        ({"point": bad, "type": "local", "config": {"colour": "red"}}, "local has no setting colour"),
        ({"point": bad, "type": "nonesuch"}, "unknown backend type"),
        ({"point": bad, "type": "local", "config": {"data_dir": "/proc/1/x"}}, bad),
        (file.local(bad, "a", config={"data_dir": str(file.folder / "a"), "fsync": False}), "the same store as"),
        ({"point": "bad", "type": "local"}, "line 5: a mount point starts with '/'"),
    ]:
        file.write(file.local(good, "a"), wrong)
        done = file.apply()
        assert done.returncode == 1, done.stdout
        assert told in done.stderr and str(file.path) in done.stderr
        assert file.plan().returncode in (1, 2)
    assert file.points() == before


def test_a_file_does_not_serve_as_it_stands_what_it_keeps_blobs_in(file: File) -> None:
    """Neither of the two is mounted when the other is tried."""
    (file.folder / "both" / "blobs").mkdir(parents=True)
    before = file.points()
    file.write(
        file.local(f"/{unique('shown')}", "both", layout="native"),
        file.local(f"/{unique('kept')}", "both/blobs", layout="cas"),
    )
    done = file.apply()
    assert (done.returncode, file.points()) == (1, before)
    assert "overlaps" in done.stderr


def test_secrets_come_from_elsewhere_and_are_not_shown(
    file: File, moto: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    point = f"/{unique('cloud')}"
    secret = {"file": "secret"}
    (file.folder / "secret").write_text(moto["secret_access_key"] + "\n")
    config: dict[str, Any] = {**moto, "secret_access_key": secret, "prefix": unique("p")}
    file.write({"point": point, "type": "s3", "config": config})
    planned, applied = file.plan(), file.apply()
    assert applied.returncode == 0, applied.stderr
    assert "secret_access_key = ********" in planned.stdout
    assert file.plan().returncode == 0
    (file.folder / "secret").write_text("another\n")
    assert "secret_access_key: ******** -> ********" in file.plan().stdout
    shown = planned.stdout + applied.stdout + file.plan().stdout + file.node.run("audit", "list").stdout
    assert moto["secret_access_key"] not in shown.replace(moto.get("access_key_id", "-"), "") and "another" not in shown


def test_a_server_starts_with_its_file(new_server: Callable[..., Server], tmp_path: Path) -> None:
    path, data = tmp_path / "mounts.toml", tmp_path / "store"
    path.write_text(f'[[mount]]\npoint = "/declared"\ntype = "local"\nconfig = {{data_dir = "{data}"}}\n')
    node = new_server("--mounts", str(path))
    assert any("Mounts: add /declared (local)" in line for line in node.printed)
    client = node.s3()
    client.put_object(Bucket="declared", Key="a", Body=b"a")
    client.close()
    assert next((data).iterdir())
    node.stop()
    node.start()
    node.stop()
    path.write_text('[[mount]]\npoint = "/declared"\ntype = "local"\n')
    with pytest.raises(RuntimeError, match=r"line 1 \(/declared\): local needs data_dir"):
        node.start()
    path.write_text("")
    node.start()
    assert "/declared" not in [row["mount_point"] for row in node.nexus("mounts", "list")]
    assert {"/", "/workspace"} <= {row["mount_point"] for row in node.nexus("mounts", "list")}
    node.stop()
