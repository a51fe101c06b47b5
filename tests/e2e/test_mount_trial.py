"""``nexus mounts test`` and ``info``, and secrets that are not on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, unique
from tests.services import GcsKeys, S3Keys


@pytest.fixture(scope="module")
def node(new_server: Callable[..., Server]) -> Server:
    return new_server()


def words(config: dict[str, str]) -> list[str]:
    return [word for name, value in config.items() for word in ("-c", f"{name}={value}")]


def steps(node: Server, *arguments: str, passed: bool = True) -> dict[str, dict[str, Any]]:
    done = node.run("mounts", "test", *arguments, "--json")
    assert done.returncode == (0 if passed else 1), done.stdout + done.stderr
    trial = json.loads(done.stdout)
    assert trial["passed"] is passed
    return {step["name"]: step for step in trial["steps"]} | {"clock": trial["clock_skew_seconds"]}


def test_a_store_that_is_well(node: Server, moto: dict[str, str], fake_gcs: dict[str, str]) -> None:
    for kind, config, keys in (("s3", moto, S3Keys), ("gcs", fake_gcs, GcsKeys)):
        config, name = {**config, "prefix": unique("t")}, unique("tried")
        found = steps(node, "--type", kind, *words(config))
        assert {step["outcome"] for name, step in found.items() if name != "clock"} == {"passed"}
        assert found["write"]["ms"] > 0 and abs(found["clock"]) < 5
        assert node.run("mounts", "add", f"/{name}", kind, *words(config)).returncode == 0
        assert steps(node, f"/{name}").keys() == found.keys()
        assert keys(config).keys() == [], "nothing is left of it"


def test_local_stores_in_both_layouts(node: Server, tmp_path: Path) -> None:
    for layout in ("cas", "native"):
        point = f"/{unique(layout)}"
        (tmp_path / layout).mkdir()
        node.mount(point, tmp_path / layout, "--config", f"layout={layout}")
        shown = node.run("mounts", "test", point)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert "clock: the store's and the server's agree" in shown.stdout
    assert not list((tmp_path / "native").glob("nexus-probe*"))
    (tmp_path / "native" / "a.txt").write_text("here")
    point = f"/{unique('readonly')}"
    node.mount(point, tmp_path / "native", "--readonly")
    found = steps(node, point)
    assert found["write"]["outcome"] == "skipped" and found["read"]["outcome"] == "passed"


def test_what_is_wrong_is_said(node: Server, moto: dict[str, str]) -> None:
    wrong = steps(node, "--type", "s3", *words({**moto, "bucket": "nonesuch"}), passed=False)
    assert "there is no bucket 'nonesuch'" in wrong["connect"]["message"]
    assert wrong["write"]["outcome"] == "skipped"
    wrong = steps(node, "--type", "s3", *words({**moto, "colour": "red"}), passed=False)
    assert "s3 has no setting colour" in wrong["open"]["message"]
    assert node.run("mounts", "test", f"/{unique('none')}").returncode == 1
    assert node.run("mounts", "test").returncode == 2
    user = node.user(unique("user"))
    assert "admin" in node.run("mounts", "test", "/", key=user).stderr


def test_info_says_why_and_where(node: Server, tmp_path: Path) -> None:
    name = unique("info")
    node.mount(f"/{name}", tmp_path / "a")
    client: BaseClient = node.s3()
    client.put_object(Bucket=name, Key="old", Body=b"before")
    node.mount(f"/{name}/deep", tmp_path / "b", "--priority", "20")
    client.put_object(Bucket=name, Key="deep/new", Body=b"after it")
    client.close()
    found = node.nexus("mounts", "info", f"/{name}/deep/new")
    assert [mount["mount_point"] for mount in found["mounts"]] == [f"/{name}/deep", f"/{name}", "/"]
    assert found["mounts"][0]["reason"] == f"serves the path: priority 20 of /{name}/deep beats 0 of /{name}"
    assert found["placement"]["mount_points"] == [f"/{name}/deep"] and found["placement"]["size"] == 8
    shown = node.run("mounts", "info", f"/{name}/old").stdout
    assert f"of the same priority, /{name} is longer than /" in shown
    assert f"/{name}/old has 6 bytes, in the store mounted at /{name}\n" in shown
    node.unmount(f"/{name}")
    assert "in a store that is not mounted" in node.run("mounts", "info", f"/{name}/old").stdout
    assert node.nexus("mounts", "info", f"/{name}/nonesuch")["placement"] is None


def test_secrets_need_not_be_on_the_command_line(node: Server, moto: dict[str, str], tmp_path: Path) -> None:
    secret = moto["secret_access_key"]
    (tmp_path / "key").write_text(secret + "\n")
    config = {**moto, "prefix": unique("s"), "secret_access_key": f"@{tmp_path / 'key'}"}
    assert node.run("mounts", "add", f"/{unique('file')}", "s3", *words(config)).returncode == 0
    config["secret_access_key"] = "@-"
    environment = {"NEXUS_URL": node.url, "NEXUS_API_KEY": node.admin.api_key, "A_SECRET": secret}
    command = [sys.executable, "-m", "gateway", "mounts", "add", f"/{unique('in')}", "s3", *words(config)]
    done = subprocess.run(command, input=secret, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    config["secret_access_key"] = "@env:A_SECRET"
    command = [sys.executable, "-m", "gateway", "mounts", "add", f"/{unique('env')}", "s3", *words(config)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for wrong in ("@/nonesuch", "@env:NONESUCH_X"):
        config["secret_access_key"] = wrong
        done = node.run("mounts", "add", f"/{unique('wrong')}", "s3", *words(config))
        assert done.returncode == 2 and "secret_access_key: " in done.stderr


def test_a_removal_says_what_cannot_be_read_any_more(node: Server, tmp_path: Path) -> None:
    name = unique("gone")
    node.mount(f"/{name}", tmp_path / "a")
    client: BaseClient = node.s3()
    for key in ("a", "b"):
        client.put_object(Bucket=name, Key=key, Body=b"12345")
    client.close()
    node.mount(f"/{name}/also", tmp_path / "a")
    done = node.run("mounts", "remove", f"/{name}/also")
    assert (done.returncode, done.stderr) == (0, ""), "another mount has the store"
    done = node.run("mounts", "remove", f"/{name}")
    assert done.returncode == 0
    assert f"/{name}: 2 objects (10 bytes) cannot be read until it is mounted again" in done.stderr
    assert node.run("mounts", "remove", f"/{name}").returncode == 1
