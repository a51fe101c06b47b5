"""The ``nexus`` command as a person types it, against real servers."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Key, Server, free_port, nexus, refused, unique

COMMANDS = [
    *("serve", "ls", "cp", "cat", "rm", "stat", "mkdir", "stats", "gc", "fsck"),
    *("admin create-user", "admin list-users", "admin delete-user", "admin create-user-key", "admin list-keys"),
    *("admin revoke-key", "mounts add", "mounts list", "mounts info", "mounts remove"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = nexus(*command.split(), "--help")
    assert done.returncode == 0
    assert f"Example: nexus {command}" in " ".join(done.stdout.split())


# -- serve


def test_the_first_start_prints_what_to_paste(server: Server) -> None:
    (api_key,) = [line for line in server.printed if line.startswith("API key: nxk_")]
    key = Key.of(api_key.removeprefix("API key: "))
    assert f"export AWS_ACCESS_KEY_ID={key.access_key}" in server.printed
    assert f"export AWS_SECRET_ACCESS_KEY={key.secret_key}" in server.printed
    assert re.fullmatch(r"[A-Z0-9]{20}", key.access_key)
    assert key.secret_key not in server.log.read_text()


def test_init_again_changes_nothing_and_says_what_to_do(new_server: Callable[..., Server]) -> None:
    running = new_server()
    key = running.admin
    running.stop()
    running.options = ("--init",)
    running.start()
    output = (running.folder / "output").read_text()
    assert "nothing was changed" in output and "nexus admin create-user-key" in output
    assert "API key" not in output
    assert running.admin == key and running.nexus("admin", "list-users")[0]["id"] == "admin"


def test_the_admin_may_have_another_name(new_server: Callable[..., Server], tmp_path: Path) -> None:
    running = new_server("--admin-user", "root")
    assert "Admin user created: root" in running.printed
    assert [user["id"] for user in running.nexus("admin", "list-users")] == ["root"]
    bad = nexus(
        "serve", "--init", "--admin-user", "no way", "--port", str(free_port()), "--data-dir", str(tmp_path / "d")
    )
    assert bad.returncode == 1 and "no user's id" in bad.stderr and not (tmp_path / "d").exists()


def test_an_empty_directory_wants_init(tmp_path: Path) -> None:
    done = nexus("serve", "--port", str(free_port()), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1 and "--init" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [("NEXUS_LOG_LEVEL", "loud", "log_level"), ("NEXUS_MASTER_KEY", "abc", "not a key of 32 bytes")],
)
def test_a_setting_that_is_none_is_told_in_a_line(tmp_path: Path, name: str, value: str, what: str) -> None:
    where = ("--port", str(free_port()), "--data-dir", str(tmp_path / "data"))
    for command in (("serve", "--init"), ("serve",)):
        done = nexus(*command, *where, environment={name: value})
        assert done.returncode and what in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_named_and_nothing_is_made(server: Server, tmp_path: Path) -> None:
    done = nexus("serve", "--init", "--port", str(server.port), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port} is in use" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_killed_worker_is_replaced_and_the_rest_ends_with_the_supervisor(new_server: Callable[..., Server]) -> None:
    running = new_server("--workers", "2")
    assert running.process is not None
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    first = children.read_text().split()
    assert len(first) == 2
    os.kill(int(first[0]), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while set(children.read_text().split()) & {first[0]} or len(children.read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert running.nexus("mounts", "list")
    running.process.terminate()
    assert running.process.wait(20) == 0


# -- users and keys


def test_users_and_their_keys(server: Server) -> None:
    name = unique("u")
    user = server.nexus(
        "admin", "create-user", name, "--name", "Some One", "--email", "s@example.com", "--tenant", "t1"
    )
    assert (user["id"], user["tenant"], len(user["canonical_id"])) == (name, "t1", 64)
    brief = server.nexus("admin", "create-user", unique("brief"), "--expires-days", "3")
    assert brief["expires_at"] and server.s3(Key.of(brief["api_key"])).list_buckets()["Buckets"] == []
    again = server.run("admin", "create-user", name)
    assert again.returncode == 1 and "user exists" in again.stderr
    printed = server.run("admin", "create-user-key", name, "--name", "laptop").stdout.splitlines()
    assert [line.split("=")[0].split(":")[0] for line in printed] == [
        "API key",
        "export AWS_ACCESS_KEY_ID",
        "export AWS_SECRET_ACCESS_KEY",
    ]
    key = Key.of(printed[0].removeprefix("API key: "))
    assert name in server.run("admin", "list-users").stdout
    (listed,) = server.nexus("admin", "list-keys", "--user", name)
    assert listed["key_id"] == key.access_key and key.secret_key not in json.dumps(listed)
    assert server.run("stats", key=key).returncode == 1, "not an admin"
    seen = server.run("mounts", "list", key=key)
    assert seen.returncode == 0 and str(server.data_dir) not in seen.stdout, "mounts, but not their configurations"
    server.s3(key).list_buckets()
    (known,) = server.nexus("admin", "get-user", name)["keys"]
    assert known["name"] == "laptop" and "laptop" in server.run("admin", "get-user", "--user-id", name).stdout
    updated = server.nexus("admin", "update-key", key.access_key, "--name", "desk", "--expires-days", "9", "--is-admin")
    assert (updated["name"], updated["is_admin"]) == ("desk", True) and updated["expires_at"]
    assert server.nexus("admin", "update-key", key.access_key, "--no-admin")["is_admin"] is False
    assert server.nexus("admin", "create-key", name)["user_id"] == name
    assert server.run("admin", "revoke-key", key.access_key).returncode == 0
    with refused("InvalidAccessKeyId", 403):
        server.s3(key).list_buckets()
    assert "valid API key" in server.run("stats", key=key).stderr
    assert server.run("admin", "delete-user", name).returncode == 0
    assert server.run("admin", "delete-user", name).returncode == 1


def test_owners_and_the_last_admin_stay(server: Server, s3: BaseClient) -> None:
    name = unique("u")
    owner = server.s3(server.user(name))
    owner.create_bucket(Bucket=name)
    assert "owns buckets" in server.run("admin", "delete-user", name).stderr
    assert "last admin" in server.run("admin", "delete-user", "admin").stderr
    s3.delete_bucket(Bucket=name)
    assert server.run("admin", "delete-user", name).returncode == 0


def test_restricted_keys_are_restricted(server: Server) -> None:
    name = unique("u")
    full = server.s3(server.user(name))
    full.create_bucket(Bucket=name)
    full.put_object(Bucket=name, Key="in/a", Body=b"a")
    full.put_object(Bucket=name, Key="out/b", Body=b"b")
    reader = server.s3(Key.of(server.nexus("admin", "create-user-key", name, "--readonly")["api_key"]))
    assert reader.get_object(Bucket=name, Key="in/a")["Body"].read() == b"a"
    for refusal in (
        lambda: reader.put_object(Bucket=name, Key="in/a", Body=b"x"),
        lambda: reader.delete_object(Bucket=name, Key="in/a"),
        lambda: reader.create_bucket(Bucket=unique("b")),
    ):
        with refused("AccessDenied", 403):
            refusal()
    confined = server.s3(Key.of(server.nexus("admin", "create-user-key", name, "--prefix", f"/{name}/in")["api_key"]))
    confined.put_object(Bucket=name, Key="in/c", Body=b"c")
    assert confined.list_objects_v2(Bucket=name, Prefix="in/")["KeyCount"] == 2
    for refusal in (
        lambda: confined.get_object(Bucket=name, Key="out/b"),
        lambda: confined.list_objects_v2(Bucket=name),
        lambda: confined.list_objects_v2(Bucket=name, Prefix="i"),
        lambda: confined.list_objects_v2(Bucket=name, Prefix="in"),
        lambda: confined.list_object_versions(Bucket=name, Prefix="in"),
        lambda: confined.list_multipart_uploads(Bucket=name, Prefix="in"),
        lambda: confined.copy_object(Bucket=name, Key="in/x", CopySource=f"{name}/out/b"),
        lambda: confined.put_object(Bucket=name, Key="inside", Body=b"x"),
        lambda: confined.delete_bucket(Bucket=name),
    ):
        with refused("AccessDenied", 403):
            refusal()


# -- how it finds the server


def test_url_and_key_from_flags_environment_and_file(server: Server, tmp_path: Path) -> None:
    api_key = server.admin.api_key
    assert nexus("stats", "--url", server.url, "--api-key", api_key).returncode == 0
    assert nexus("stats", "--url", server.url).returncode == 2
    nowhere = nexus("stats", "--url", f"http://127.0.0.1:{free_port()}", "--api-key", api_key)
    assert nowhere.returncode == 3 and "cannot reach" in nowhere.stderr
    file = tmp_path / "nexus" / "config.toml"
    file.parent.mkdir()
    file.write_text(f'url = "{server.url}"\napi_key = "{api_key}"\n')
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    file.chmod(0o644)
    open_to_all = nexus("stats", environment=environment)
    assert open_to_all.returncode == 2 and "chmod 600" in open_to_all.stderr
    file.chmod(0o600)
    assert nexus("stats", "--json", environment=environment).returncode == 0


# -- files


def test_files_by_path(server: Server, tmp_path: Path) -> None:
    at = f"/{unique('files')}"
    assert server.run("mkdir", at).returncode == 0
    big = os.urandom(20 * 1024 * 1024)
    (tmp_path / "big").write_bytes(big)
    assert server.run("cp", str(tmp_path / "big"), f"nx:{at}/dir/").returncode == 0
    assert server.run("cp", f"nx:{at}/dir/big", f"nx:{at}/copy").returncode == 0
    assert server.run("cp", f"nx:{at}/copy", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == big
    assert [entry["path"] for entry in server.nexus("ls", at)] == [f"{at}/dir/", f"{at}/copy"]
    assert [entry["path"] for entry in server.nexus("ls", "-r", at)] == [f"{at}/copy", f"{at}/dir/big"]
    assert server.nexus("stat", f"{at}/copy")["size"] == len(big)
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "x.txt").write_text("x")
    assert server.run("cp", "-r", str(tmp_path / "tree"), f"nx:{at}/tree").returncode == 0
    assert server.run("cat", f"{at}/tree/a/x.txt").stdout == "x"
    assert server.run("cp", "-r", f"nx:{at}/tree", str(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out" / "a" / "x.txt").read_text() == "x"
    assert server.run("rm", f"{at}/copy").returncode == 0
    assert server.run("rm", f"{at}/copy").returncode == 1
    assert server.run("rm", "-r", at).returncode == 0
    assert server.nexus("ls", at) == []


def test_a_key_cannot_leave_the_target(server: Server, s3: BaseClient, bucket: str, tmp_path: Path) -> None:
    s3.put_object(Bucket=bucket, Key="a/../../evil", Body=b"evil")
    done = server.run("cp", "-r", f"nx:/{bucket}/a", str(tmp_path / "deep" / "target"))
    assert done.returncode == 1 and "would leave" in done.stderr
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("cp", "a", "b"),
        ("ls", "relative"),
        ("cat", "/bucket-only"),
        ("mounts", "add", "/x", "local", "{bad"),
        ("nope",),
    ],
)
def test_wrong_usage_is_code_2(server: Server, arguments: tuple[str, ...]) -> None:
    done = server.run(*arguments)
    assert done.returncode == 2
    assert done.stderr and "Traceback" not in done.stderr


# -- maintenance


def test_maintenance_of_a_stopped_server(new_server: Callable[..., Server]) -> None:
    running = new_server()
    running.s3().put_object(Bucket="workspace", Key="k", Body=b"x" * 100_000)
    running.s3().delete_object(Bucket="workspace", Key="k")
    where = ("--data-dir", str(running.data_dir), "--json")
    held = nexus("gc", *where)
    assert held.returncode == 1 and "a server is running" in held.stderr
    running.stop()
    assert json.loads(nexus("gc", *where).stdout)["blobs"] == 1
    assert nexus("fsck", *where).returncode == 0
    assert nexus("fsck", "--data-dir", str(running.folder)).returncode == 2


# -- the Nexus door


def call(server: Server, name: str, /, headers: dict[str, str] | None = None, **body: object) -> httpx.Response:
    known = {"Authorization": f"Bearer {server.admin.api_key}"} if headers is None else headers
    return httpx.post(f"{server.url}/api/nfs/{name}", headers=known, json={"jsonrpc": "2.0", "id": "7", **body})


def test_errors_travel_in_a_200(server: Server) -> None:
    for answer, code in (
        (call(server, "stats", headers={}), -32003),
        (call(server, "stats", headers={"Authorization": "Bearer nxk_wrong"}), -32003),
        (call(server, "stats", headers={"Authorization": f"Bearer {server.admin.api_key}x"}), -32003),
        (call(server, "nonesuch"), -32601),
        (call(server, "stats", method="gc"), -32600),
        (call(server, "stats", params={"surprise": 1}), -32602),
        (call(server, "gc", params={"grace_seconds": "soon"}), -32602),
        (call(server, "get_mount", params={}), -32602),
        (call(server, "remove_mount", params={"mount_point": "/absent"}), -32000),
        (call(server, "add_mount", params={"mount_point": "/x", "backend_type": "no"}), -32005),
    ):
        assert answer.status_code == 200
        assert answer.json()["error"]["code"] == code, answer.json()
    known = call(server, "list_mounts").json()
    assert known["id"] == "7" and {"/", "/workspace"} <= {mount["mount_point"] for mount in known["result"]}


def test_buckets_may_be_named_as_the_door(server: Server, s3: BaseClient) -> None:
    for name, key in (("api", "nfs/stats"), ("health", "x")):
        s3.create_bucket(Bucket=name if len(name) > 2 else name + "-")
        s3.put_object(Bucket=name, Key=key, Body=b"data")
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == b"data"
        s3.delete_object(Bucket=name, Key=key)
        s3.delete_bucket(Bucket=name)
    assert httpx.get(f"{server.url}/health").json()["status"] == "healthy"
    who = httpx.get(f"{server.url}/api/auth/whoami", headers={"Authorization": f"Bearer {server.admin.api_key}"})
    assert who.json()["is_admin"] is True
    assert httpx.get(f"{server.url}/api/auth/whoami").status_code == 401


def test_mistakes_are_told_in_a_line(server: Server) -> None:
    for arguments, environment, told in (
        (("gc", "--data-dir", str(server.data_dir)), {}, "a server is running on it"),
        (("fsck", "--data-dir", str(server.data_dir)), {}, "a server is running on it"),
        (("ls",), {"NEXUS_URL": "localhost:1", "NEXUS_API_KEY": server.admin.api_key}, "starts with http://"),
        (("serve",), {"NEXUS_WEBSITE_DOMAINS": "web.example.com"}, "lists and maps are JSON"),
    ):
        done = nexus(*arguments, environment=environment)
        assert done.returncode in (1, 2) and told in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_no_key_is_made_for_a_name_that_nobody_has(server: Server) -> None:
    done = server.run("admin", "create-user-key", "nobody-by-that-name")
    assert done.returncode == 1 and "nobody-by-that-name" in done.stderr and not done.stdout
    assert "nobody-by-that-name" not in [user["id"] for user in server.nexus("admin", "list-users")]


def test_fsck_tells_of_stores_that_are_not_mounted(new_server: Callable[..., Server], tmp_path: Path) -> None:
    server = new_server()
    server.mount("/away", tmp_path / "away")
    with closing(server.s3()) as s3:
        s3.put_object(Bucket="away", Key="key", Body=b"x")
    assert server.nexus("fsck")["unmounted"] == 0
    server.unmount("/away")
    assert server.nexus("fsck")["unmounted"] == 1
    assert "1 more blobs lie in stores that are not mounted" in server.run("fsck").stdout
