"""Who changed what: an admin's questions to the audit log, and an auditor's."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient

from gateway.app import CATALOG_FILE
from tests.e2e.harness import Server, refused, unique
from tests.e2e.rpc import FORBIDDEN, VALIDATION, Rpc


def entries(server: Server, *options: str) -> list[dict[str, Any]]:
    done = server.run("audit", *options, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def last(server: Server, action: str) -> dict[str, Any]:
    return entries(server, "--action", action, "--last", "1")[0]


def test_the_first_start_is_in_the_log(server: Server) -> None:
    first = entries(server, "--since", "2020-01-01")[:2]
    assert [entry["action"] for entry in first] == ["open_audit_log", "init"]
    assert first[1]["peer"] == "machine" and first[1]["target"] == "admin"


def test_a_change_is_there_with_who_when_whence_and_what(server: Server, tmp_path: Path, rpc: Rpc) -> None:
    point = f"/{unique('audited')}"
    rpc("add_mount", mount_point=point, backend_type="local", backend_config={"data_dir": str(tmp_path)})
    entry = last(server, "add_mount")
    assert (entry["user"], entry["key"], entry["tenant"]) == ("admin", server.admin.access_key, "default")
    assert (entry["peer"], entry["target"], entry["outcome"]) == ("127.0.0.1", point, "done")
    assert entry["parameters"]["backend_config"] == {"data_dir": str(tmp_path)}
    assert entry["at"].startswith("20") and len(entry["hash"]) == 64
    assert f"outcome=done seq={entry['seq']} hash={entry['hash']}" in server.log.read_text()
    assert f"request={entry['request']}" in server.log.read_text()

    before = entry["seq"]
    rpc("list_mounts")
    rpc("update_mount", mount_point=point, readonly=True)
    rpc("remove_mount", mount_point=point)
    after = [each["action"] for each in entries(server, "--since", "2020-01-01") if each["seq"] > before]
    assert after == ["update_mount", "remove_mount"], "what only reads is not in it"


def test_secrets_are_not_in_the_log(server: Server, rpc: Rpc) -> None:
    config = {"bucket": "b", "secret_access_key": "hush-hush", "endpoint_url": "http://user:hush-hush@127.0.0.1:1"}
    rpc.refused(VALIDATION, "add_mount", mount_point="/x", backend_type="s3", backend_config=config)
    entry = last(server, "add_mount")
    assert entry["outcome"] == "failed" and "hush-hush" not in json.dumps(entry) and entry["error"]
    key = server.nexus("admin", "create-user-key", "admin")
    assert key["secret_access_key"] not in json.dumps(last(server, "admin_create_key"))
    assert key["secret_access_key"].encode() not in (server.data_dir / CATALOG_FILE).read_bytes()


def test_a_refused_attempt_is_there_too(server: Server, rpc_as: Callable[..., Rpc]) -> None:
    user = unique("mallory")
    mallory = rpc_as(server.user(user))
    for method, params in (
        ("admin_create_user", {"user_id": "evil", "is_admin": True}),
        ("remove_mount", {"mount_point": "/"}),
        ("audit_list", {}),
        ("gc", {"nonsense": 1}),
    ):
        mallory.refused(FORBIDDEN, method, **params)
    found = entries(server, "--user", user)
    assert [(entry["action"], entry["target"], entry["outcome"]) for entry in found] == [
        ("admin_create_user", "evil", "refused"),
        ("remove_mount", "/", "refused"),
        ("audit_list", None, "refused"),
        ("gc", None, "refused"),
    ]


def test_what_s3_changes_of_rights_is_there(server: Server, s3: BaseClient, client: Callable[..., BaseClient]) -> None:
    bucket, user = unique("audited"), unique("bob")
    s3.create_bucket(Bucket=bucket)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_object(Bucket=bucket, Key="key", Body=b"not an admin's action")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key"}]})
    bob = client(server.user(user))
    with refused("AccessDenied"):
        bob.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)
    found = [entry for entry in entries(server, "--last", "1000") if entry["target"] == f"/{bucket}"]
    assert [(entry["action"], entry["user"], entry["outcome"]) for entry in found] == [
        ("s3:CreateBucket", "admin", "done"),
        ("s3:PutPublicAccessBlock", "admin", "done"),
        ("s3:PutBucketPolicy", "admin", "done"),
        ("s3:DeleteBucketPolicy", user, "refused"),
        ("s3:DeleteBucketPolicy", "admin", "done"),
        ("s3:DeleteBucket", "admin", "done"),
    ]
    assert json.loads(found[2]["parameters"]["Policy"]) == json.loads(policy)


def test_buckets_are_made_and_removed_by_the_nexus_door_as_well(server: Server, rpc: Rpc) -> None:
    bucket = unique("audited")
    rpc("mkdir", path=f"/{bucket}")
    rpc("mkdir", path=f"/{bucket}", exist_ok=True)
    rpc("mkdir", path=f"/{bucket}/folder")
    rpc("rmdir", path=f"/{bucket}/folder")
    rpc("rmdir", path=f"/{bucket}")
    found = [entry for entry in entries(server, "--last", "100") if (entry["target"] or "").startswith(f"/{bucket}")]
    assert [(entry["action"], entry["outcome"]) for entry in found] == [("mkdir", "done"), ("rmdir", "done")]


def test_somebody_may_watch(server: Server, rpc: Rpc) -> None:
    command = [sys.executable, "-m", "gateway", "audit", "--follow", "--json", "--last", "1", "--action", "gc"]
    environment = {**os.environ, "NEXUS_URL": server.url, "NEXUS_API_KEY": server.admin.api_key}
    rpc("gc", grace_seconds=101)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        try:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["parameters"] == {"grace_seconds": 101}
            rpc("gc", grace_seconds=102)
            assert json.loads(watching.stdout.readline())["parameters"] == {"grace_seconds": 102}
        finally:
            watching.kill()


@pytest.fixture(scope="module")
def busy(new_server: Callable[..., Server]) -> Server:
    return new_server("--workers", "2")


def test_workers_at_once_make_one_chain(busy: Server, rpc_as: Callable[..., Rpc]) -> None:
    callers = [rpc_as(server=busy) for _ in range(6)]

    def act(number: int) -> None:
        rpc = callers[number % 6]
        rpc("admin_create_user", user_id=f"user-{number}")
        rpc("lifecycle_run", dry_run=True)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(30)))
    verdict = busy.nexus("audit", "verify")
    assert verdict["ok"] and verdict["entries"] == 2 + 60
    assert [entry["seq"] for entry in entries(busy, "--since", "2020-01-01")] == list(range(1, 63))


def test_a_kill_leaves_a_sound_log_with_all_that_was_acknowledged(
    new_server: Callable[..., Server], rpc_as: Callable[..., Rpc]
) -> None:
    server = new_server()
    callers = [rpc_as(server=server) for _ in range(4)]
    acknowledged: list[str] = []

    def act(caller: int) -> None:
        for number in range(1000):
            user = f"user-{caller}-{number}"
            try:
                callers[caller]("admin_create_user", user_id=user)
            except httpx.HTTPError:
                return
            acknowledged.append(user)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(act, caller) for caller in range(4)]
        while len(acknowledged) < 40 and not all(each.done() for each in running):
            time.sleep(0.01)
        server.kill()
    server.start()
    assert server.nexus("audit", "verify")["ok"]
    found = {entry["target"] for entry in entries(server, "--since", "2020-01-01", "--action", "admin_create_user")}
    users = {user["id"] for user in server.nexus("admin", "list-users")} - {"admin"}
    assert set(acknowledged) <= users == found, "no user without an entry, no entry without a user"


def test_an_auditor_finds_what_an_intruder_changed(busy: Server) -> None:
    head = busy.run("audit", "head").stdout
    done = busy.run("audit", "verify", "--head", head)
    assert done.returncode == 0 and "0 problems" in done.stdout, done.stdout + done.stderr

    with sqlite3.connect(busy.data_dir / CATALOG_FILE) as conn:
        conn.execute("DROP TRIGGER audit_log_lasts")
        conn.execute("DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)")
    done = busy.run("audit", "verify")
    assert done.returncode == 1 and "the log was cut" in done.stdout
    done = busy.run("audit", "verify", "--head", head)
    assert done.returncode == 1 and "is not what was noted" in done.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--since", "yesterday"), "ISO 8601"),
        (("verify", "--head", "7"), "--head is what"),
        (("--last", "0"), "--last"),
    ],
)
def test_mistakes_are_told_in_a_line(server: Server, options: tuple[str, ...], says: str) -> None:
    done = server.run("audit", *options)
    assert done.returncode != 0 and says in done.stderr and "Traceback" not in done.stderr
