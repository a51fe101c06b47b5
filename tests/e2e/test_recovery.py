"""Lost keys and fresh starts: what the owner of the data directory may do on the machine itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Key, Server, nexus

Recover = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    running.start()
    yield running
    running.stop()


def recover(server: Server, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return nexus("admin", "recover", "--data-dir", str(server.data_dir), *options, environment=environment)


def test_a_new_admin_key_while_the_server_runs_and_while_it_does_not(own: Server) -> None:
    own.nexus("admin", "revoke-key", own.admin.access_key)
    assert own.run("admin", "list-users").returncode != 0, "the last key is gone"

    done = recover(own)
    assert done.returncode == 0 and "Save it now" in done.stdout, done.stderr
    own.admin = Key.of(done.stdout.split("API key: ")[1].split()[0])
    assert [user["id"] for user in own.nexus("admin", "list-users")] == ["admin"]
    own.s3().list_buckets()
    entry = json.loads(own.run("audit", "--action", "recover_admin", "--json").stdout)
    assert entry["user"].startswith("machine:") and entry["target"] == "admin"
    assert own.admin.secret_key not in json.dumps(entry)

    own.nexus("admin", "create-user", "boss", "--admin")
    own.nexus("admin", "create-user", "alice")
    own.stop()
    own.admin = Key.of(json.loads(recover(own, "--user", "boss", "--json").stdout)["api_key"])
    refused = recover(own, "--user", "alice")
    assert refused.returncode == 1 and "alice is no admin; admins are admin, boss" in refused.stderr
    own.start()
    assert own.nexus("audit", "verify")["ok"]


def test_recovery_makes_nothing_where_nothing_is(own: Server, tmp_path: Path) -> None:
    own.stop()
    missing = tmp_path / "elsewhere"
    done = nexus("admin", "recover", "--data-dir", str(missing))
    assert done.returncode == 1 and "is no data directory" in done.stderr and not missing.exists()

    wrong = recover(own, NEXUS_MASTER_KEY="ab" * 32)
    assert wrong.returncode == 1 and "master key" in wrong.stderr and "Traceback" not in wrong.stderr
    shutil.move(own.data_dir / "master.key", tmp_path / "kept")
    done = recover(own)
    assert done.returncode == 1 and "the master key is not here" in done.stderr
    assert not (own.data_dir / "master.key").exists()
    shutil.move(tmp_path / "kept", own.data_dir / "master.key")
    own.start()
    own.s3().list_buckets()


def test_starting_over_says_what_goes_and_asks(own: Server, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    own.mount("/elsewhere", elsewhere)
    own.s3().put_object(Bucket="elsewhere", Key="key", Body=bytes(2_000_000))
    own.s3().put_object(Bucket="workspace", Key="key", Body=b"old")
    (own.data_dir / "notes.txt").write_text("somebody's own")
    start = ("serve", "--data-dir", str(own.data_dir), "--port")
    running = nexus(*start, "1", "--reset", "--init", "--yes")
    assert running.returncode == 1 and own.s3().get_object(Bucket="workspace", Key="key")["Body"].read() == b"old"
    own.stop()

    unasked = nexus(*start, str(own.port), "--init", "--reset")
    assert unasked.returncode == 2 and "nothing was deleted" in unasked.stderr
    assert "catalog.db" in unasked.stdout and "every user, key, mount, object" in unasked.stdout
    assert nexus(*start, str(own.port), "--reset", "--yes").returncode == 2, "--reset goes with --init"
    own.start()
    assert own.s3().get_object(Bucket="workspace", Key="key")["Body"].read() == b"old"
    own.stop()

    former, own.admin = own.admin, Key("", "", "")
    own.options = ("--reset", "--yes", "--admin-user", "boss")
    own.start()
    assert "Admin user created: boss" in own.printed
    assert [bucket["Name"] for bucket in own.s3().list_buckets()["Buckets"]] == ["workspace"]
    assert own.s3().list_objects_v2(Bucket="workspace")["KeyCount"] == 0
    assert own.run("admin", "list-users", key=former).returncode != 0
    assert (own.data_dir / "notes.txt").exists() and any(elsewhere.rglob("*")), "what is not ours is left alone"


def test_the_version() -> None:
    done = nexus("--version")
    assert done.returncode == 0 and done.stdout.startswith("nexus")


def test_when_a_key_was_last_used(own: Server) -> None:
    unused, used = own.user("alice"), own.user("bob")
    client = own.s3(used)
    client.list_buckets()
    assert own.run("ls", "/workspace", key=unused).returncode in (0, 1)
    third = own.nexus("admin", "create-user-key", "bob")
    own.stop()
    own.start()
    keys = {key["key_id"]: key for key in own.nexus("admin", "list-keys")}
    assert keys[used.access_key]["last_used_at"] and keys[unused.access_key]["last_used_at"]
    assert keys[used.access_key]["last_used_at"] >= keys[used.access_key]["created_at"]
    assert keys[third["key_id"]]["last_used_at"] is None
