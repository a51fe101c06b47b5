"""The Nexus door itself: what it refuses, whom it lets in, mounts and keys."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Key, Server, refused, unique
from tests.e2e.rpc import (
    ACCESS_DENIED,
    BAD_PARAMETERS,
    CONFLICT,
    EXISTS,
    FORBIDDEN,
    INVALID_PATH,
    INVALID_REQUEST,
    NO_METHOD,
    NOT_FOUND,
    PARSE,
    VALIDATION,
    Rpc,
    blob,
)

RpcAs = Callable[..., Rpc]


# -- bad calls


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", BAD_PARAMETERS),
        (b"{", PARSE),
        (b"[1]", INVALID_REQUEST),
        (b"[" * 200_000, PARSE),
        (b'{"params": []}', BAD_PARAMETERS),
        (b'{"method": "write", "params": {"path": "/"}}', INVALID_REQUEST),
        (b'{"id": {"a": 1}, "params": {"path": "/"}}', INVALID_REQUEST),
        (b'{"params": {"path": 5}}', BAD_PARAMETERS),
        (b'{"params": {"path": null}}', BAD_PARAMETERS),
        (b'{"params": {"path": "/", "colour": 1}}', BAD_PARAMETERS),
        (b'{"params": {"path": "/", "return_metadata": "yes"}}', BAD_PARAMETERS),
        (b'{"params": {"path": {"__type__": "bytes", "data": "aGk="}}}', BAD_PARAMETERS),
        (b'{"params": {"path": "/\\ud800"}}', BAD_PARAMETERS),
        (b'{"params": {"path": "/a/\\u0000"}}', INVALID_PATH),
        (b'{"params": {"path": "/a/../b"}}', INVALID_PATH),
        (b'{"params": {"path": "/a/' + b"x" * 5000 + b'"}}', INVALID_PATH),
        (b'{"params": {"path": "/a/' + b"x" * 500_000 + b'"}}', BAD_PARAMETERS),
        (b'{"params": {"path": "/a/' + "\u00fc".encode() * 511 + b'"}}', NOT_FOUND),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_calls(rpc: Rpc, body: bytes, code: int) -> None:
    answer = rpc.raw("read", content=body)
    assert answer["error"]["code"] == code, answer
    assert rpc("exists", path="/") == {"exists": True}


def test_unknown_methods_and_ids(rpc: Rpc) -> None:
    assert rpc.raw("no_such", json={"id": 5})["error"]["code"] == NO_METHOD
    assert rpc.raw("exists", json={"id": 5, "params": {"path": "/"}}) == {
        "jsonrpc": "2.0",
        "id": 5,
        "result": {"exists": True},
    }


def test_wild_numbers(rpc: Rpc, bucket: str) -> None:
    rpc.write(f"/{bucket}/a", b"abc")
    for start, end in ((-1, 2), (2, 1), (0, 2**70), (0, 1.5), (True, 2)):
        rpc.refused(BAD_PARAMETERS, "read_range", path=f"/{bucket}/a", start=start, end=end)
    assert rpc("read_range", path=f"/{bucket}/a", start=1, end=2**62) == blob(b"bc")
    assert rpc("read_range", path=f"/{bucket}/a", start=9, end=12) == blob(b"")
    rpc.refused(NOT_FOUND, "get_version", path=f"/{bucket}/a", version=2**63 - 1)
    rpc.refused(BAD_PARAMETERS, "list", path=f"/{bucket}", limit=0)
    for grace in (-1, 2**62):
        rpc.refused(VALIDATION, "gc", grace_seconds=grace)
    rpc.refused(BAD_PARAMETERS, "gc", grace_seconds=1e308)


def test_an_evil_pattern_is_stopped_and_holds_nobody_up(server: Server, rpc_as: RpcAs, bucket: str) -> None:
    rpc = rpc_as()
    rpc.write(f"/{bucket}/a", b"a" * 40 + b"b")
    with httpx.Client(trust_env=False, timeout=1) as impatient, pytest.raises(httpx.ReadTimeout):
        call = {"params": {"pattern": "(a+)+$", "path": f"/{bucket}"}}
        headers = {"Authorization": f"Bearer {server.admin.api_key}"}
        impatient.post(f"{server.url}/api/nfs/grep", json=call, headers=headers)
    assert rpc("exists", path=f"/{bucket}/a") == {"exists": True}


def test_a_call_that_never_ends_or_ends_early_stores_nothing(server: Server, rpc: Rpc, bucket: str) -> None:
    call = json.dumps({"params": {"path": f"/{bucket}/cut", "content": blob(os.urandom(200_000))}}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST /api/nfs/write HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin.api_key}\r\n"
        connection.sendall(f"{head}Content-Length: {len(call)}\r\n\r\n".encode() + call[:150_000])
    assert rpc("exists", path=f"/{bucket}/cut") == {"exists": False}


def test_too_large_a_call_is_pointed_to_s3(new_server: Callable[..., Server], rpc_as: RpcAs) -> None:
    small = new_server(NEXUS_RPC_MAX_BODY=str(1024 * 1024))
    rpc = rpc_as(server=small)
    error = rpc.refused(VALIDATION, "write", path="/workspace/big", content=blob(bytes(2 * 1024 * 1024)))
    assert "S3" in error["message"] and "multipart" in error["message"]
    assert rpc("exists", path="/workspace/big") == {"exists": False}
    rpc.write("/workspace/fits", bytes(700_000))
    rpc.write("/workspace/too", bytes(700_000))
    error = rpc.refused(VALIDATION, "read_bulk", paths=["/workspace/fits", "/workspace/too"])
    assert "by themselves" in error["message"]


# -- who is let in


def test_whoami_status_and_health(server: Server) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        assert http.get("/health").json() == {"status": "healthy", "service": "nexus-rpc"}
        status = http.get("/api/nfs/status").json()
        assert {"read", "write", "list", "add_mount"} <= set(status["methods"]) and status["version"] == "1.0"
        assert str(server.data_dir) not in json.dumps(status)
        for headers in ({}, {"Authorization": "Bearer nxk_WRONG_wrong"}):
            answer = http.get("/api/auth/whoami", headers=headers)
            assert answer.status_code == 401 and answer.json()["error"] == "Unauthorized"
            answer = http.post("/api/nfs/read", json={"params": {"path": "/"}}, headers=headers)
            assert answer.status_code == 200 and answer.json()["error"]["code"] == ACCESS_DENIED
        known = http.get("/api/auth/whoami", headers={"Authorization": f"Bearer {server.admin.api_key}"}).json()
        assert known["authenticated"] and known["is_admin"] and known["tenant_id"] == "default"


def test_buckets_named_as_the_doors_paths_are_s3s(server: Server, s3: BaseClient) -> None:
    for name in ("api", "health"):
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="nfs/read", Body=b"mine")
        assert s3.get_object(Bucket=name, Key="nfs/read")["Body"].read() == b"mine"
        s3.delete_object(Bucket=name, Key="nfs/read")
        s3.delete_bucket(Bucket=name)


def test_tenants_do_not_see_each_other(server: Server, rpc_as: RpcAs) -> None:
    mine, theirs = unique("mine"), unique("theirs")
    alice, bob = rpc_as(server.user(unique("alice"), "acme")), rpc_as(server.user(unique("bob"), "globex"))
    alice("mkdir", path=f"/{mine}")
    alice.write(f"/{mine}/a", b"a")
    bob("mkdir", path=f"/{theirs}")
    assert alice("list", path="/")["files"] == [f"/{mine}", f"/{mine}/a"]
    assert bob("list", path="/")["files"] == [f"/{theirs}"] and bob("glob", pattern="**")["matches"] == []
    nowhere = unique("nowhere")
    for path in (f"/{mine}/a", f"/{mine}/none", f"/{mine}"):
        unknown = path.replace(mine, nowhere)
        for call in (
            {"method": "read"},
            {"method": "stat"},
            {"method": "exists"},
            {"method": "is_directory"},
            {"method": "list"},
            {"method": "get_metadata"},
            {"method": "get_etag"},
            {"method": "list_versions"},
            {"method": "get_version", "version": 1},
            {"method": "grep", "pattern": "a"},
            {"method": "read_bulk", "path": None, "paths": [path]},
            {"method": "delete"},
            {"method": "rmdir", "recursive": True},
            {"method": "write", "content": blob(b"x")},
            {"method": "append", "content": blob(b"x")},
            {"method": "set_metadata", "metadata": {"a": "b"}},
            {"method": "rename", "path": None, "old_path": path, "new_path": f"/{theirs}/x"},
            {"method": "copy", "new_path": f"/{theirs}/x"},
            {"method": "delete_bulk", "path": None, "paths": [path], "recursive": True},
        ):
            told = _told(bob, {"path": path, **call})
            assert told.replace(mine, "…") == _told(bob, _with(call, path, unknown)).replace(nowhere, "…"), call
    bob.refused(NOT_FOUND, "copy", path=f"/{mine}/a", new_path=f"/{theirs}/x")
    assert alice.read(f"/{mine}/a") == b"a" and bob("list", path=f"/{theirs}")["files"] == []


def _with(call: dict[str, Any], path: str, other: str) -> dict[str, Any]:
    named: dict[str, Any] = json.loads(json.dumps({"path": path, **call}).replace(path, other))
    return named


def _told(rpc: Rpc, call: dict[str, Any]) -> str:
    params = {name: value for name, value in call.items() if value is not None}
    answer = rpc.answer(**params)
    return json.dumps({name: answer[name] for name in ("result", "error") if name in answer})


def test_keys_confined_and_read_only(server: Server, rpc_as: RpcAs, bucket: str) -> None:
    admin = rpc_as()
    admin.write(f"/{bucket}/open/a", b"a")
    admin.write(f"/{bucket}/closed/b", b"b")

    def minted(*options: str) -> Rpc:
        return rpc_as(Key.of(server.nexus("admin", "create-user-key", "admin", *options)["api_key"]))

    reader, confined = minted("--readonly"), minted("--prefix", f"/{bucket}/open")
    assert reader.read(f"/{bucket}/closed/b") == b"b" and confined.read(f"/{bucket}/open/a") == b"a"
    for call in (
        {"method": "write", "path": f"/{bucket}/c", "content": blob(b"")},
        {"method": "append", "path": f"/{bucket}/open/a", "content": blob(b"")},
        {"method": "write_batch", "files": [[f"/{bucket}/c", blob(b"")]]},
        {"method": "delete", "path": f"/{bucket}/open/a"},
        {"method": "rename", "old_path": f"/{bucket}/open/a", "new_path": f"/{bucket}/c"},
        {"method": "mkdir", "path": f"/{bucket}/d"},
        {"method": "mkdir", "path": f"/{unique('new')}"},
        {"method": "rmdir", "path": f"/{bucket}/open", "recursive": True},
        {"method": "set_metadata", "path": f"/{bucket}/open/a", "metadata": {"a": "b"}},
        {"method": "rollback", "path": f"/{bucket}/open/a", "version": 1},
        {"method": "remove_mount", "mount_point": "/"},
        {"method": "admin_list_users"},
    ):
        reader.refused(FORBIDDEN, **call)
    for call in (
        {"method": "read", "path": f"/{bucket}/closed/b"},
        {"method": "list", "path": f"/{bucket}"},
        {"method": "write", "path": f"/{bucket}/closed/c", "content": blob(b"")},
        {"method": "rename", "old_path": f"/{bucket}/open/a", "new_path": f"/{bucket}/closed/c"},
        {"method": "rename", "old_path": f"/{bucket}/closed/b", "new_path": f"/{bucket}/open/c"},
        {"method": "rmdir", "path": f"/{bucket}", "recursive": True},
    ):
        confined.refused(FORBIDDEN, **call)
    assert confined("list", path=f"/{bucket}/open")["files"] == [f"/{bucket}/open/a"]
    assert admin("list", path=f"/{bucket}")["files"] == [f"/{bucket}/closed/b", f"/{bucket}/open/a"]


def test_a_buckets_policy_decides_here_as_well(server: Server, rpc_as: RpcAs, s3: BaseClient, bucket: str) -> None:
    name = unique("guest")
    guest = rpc_as(server.user(name, "guests"))
    s3.put_object(Bucket=bucket, Key="pub/a", Body=b"a")
    guest.refused(NOT_FOUND, "read", path=f"/{bucket}/pub/a")
    who, arn = {"AWS": f"arn:aws:iam::guests:user/{name}"}, f"arn:aws:s3:::{bucket}"
    at_home = {"IpAddress": {"aws:SourceIp": "127.0.0.1"}}
    below = {"StringLike": {"s3:prefix": ["pub/*"]}}
    statements = [
        {
            "Effect": "Allow",
            "Principal": who,
            "Action": "s3:GetObject",
            "Resource": f"{arn}/pub/*",
            "Condition": at_home,
        },
        {"Effect": "Allow", "Principal": who, "Action": "s3:ListBucket", "Resource": arn, "Condition": below},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": f"{arn}/pub/*"},
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    assert guest.read(f"/{bucket}/pub/a") == b"a"
    assert guest("list", path=f"/{bucket}/pub")["files"] == [f"/{bucket}/pub/a"]
    assert guest("list", path=f"/{bucket}")["files"] == []
    guest.refused(NOT_FOUND, "write", path=f"/{bucket}/pub/b", content=blob(b""))
    rpc_as().refused(FORBIDDEN, "delete", path=f"/{bucket}/pub/a")
    rpc_as().refused(FORBIDDEN, "rename", old_path=f"/{bucket}/pub/a", new_path=f"/{bucket}/b")
    rpc_as().refused(FORBIDDEN, "rmdir", path=f"/{bucket}/pub", recursive=True)
    assert guest.read(f"/{bucket}/pub/a") == b"a"


# -- mounts


def test_mounts_route_and_refuse(rpc: Rpc, s3: BaseClient, store_dir: Callable[[], Path]) -> None:
    fast, shut = unique("fast"), unique("shut")
    point = rpc(
        "add_mount", mount_point=f"/{fast}", backend_type="local", backend_config={"data_dir": str(store_dir())}
    )
    assert point == f"/{fast}"
    rpc.write(f"/{fast}/a", b"a")
    rpc("add_mount", mount_point=f"/{shut}", backend_type="local", backend_config={"data_dir": str(store_dir())})
    rpc.write(f"/{shut}/b", b"b")
    changed = rpc("update_mount", mount_point=f"/{shut}", readonly=True, priority=7)
    assert (changed["readonly"], changed["priority"]) == (True, 7)
    for call in (
        {"method": "write", "path": f"/{shut}/c", "content": blob(b"")},
        {"method": "append", "path": f"/{shut}/b", "content": blob(b"")},
        {"method": "delete", "path": f"/{shut}/b"},
        {"method": "mkdir", "path": f"/{shut}/d"},
        {"method": "rmdir", "path": f"/{shut}", "recursive": True},
        {"method": "rename", "old_path": f"/{shut}/b", "new_path": f"/{fast}/b"},
        {"method": "rename", "old_path": f"/{fast}/a", "new_path": f"/{shut}/a"},
        {"method": "copy", "path": f"/{fast}/a", "new_path": f"/{shut}/a"},
        {"method": "set_metadata", "path": f"/{shut}/b", "metadata": {"a": "b"}},
        {"method": "write_batch", "files": [[f"/{fast}/n", blob(b"")], [f"/{shut}/n", blob(b"")]]},
    ):
        assert f"read-only mount /{shut}" in rpc.refused(FORBIDDEN, **call)["message"]
    assert rpc("list", path=f"/{fast}")["files"] == [f"/{fast}/a"]
    assert rpc.read(f"/{shut}/b") == b"b"
    with refused("AccessDenied"):
        s3.put_object(Bucket=shut, Key="c", Body=b"")
    rpc("update_mount", mount_point=f"/{shut}", readonly=False)
    rpc("rename", old_path=f"/{shut}/b", new_path=f"/{fast}/b")
    assert rpc.read(f"/{fast}/b") == b"b" and rpc("stat", path=f"/{fast}/b")["mount_point"] == f"/{fast}"
    for change in ({"data_dir": str(store_dir())}, {"colour": "red"}, {"fsync": "maybe"}, {"data_dir": ["x"]}):
        rpc.refused(VALIDATION, "update_mount", mount_point=f"/{shut}", backend_config=change)
    rpc("update_mount", mount_point=f"/{shut}", backend_config={"fsync": False})
    assert rpc("get_mount", mount_point=f"/{shut}")["config"]["fsync"] == "false"
    rpc.refused(NOT_FOUND, "update_mount", mount_point="/none", priority=1)
    rpc.refused(
        VALIDATION, "add_mount", mount_point=f"/{fast}", backend_type="local", backend_config={"data_dir": "/x"}
    )
    rpc.refused(VALIDATION, "add_mount", mount_point=f"/{unique('m')}", backend_type="tape")
    assert rpc("remove_mount", mount_point=f"/{fast}")["removed"] is True
    assert "Backend not found" in rpc.refused(NOT_FOUND, "read", path=f"/{fast}/a")["message"]
    assert rpc("stat", path=f"/{fast}/a")["backend_type"] is None


def test_where_no_mount_or_bucket_is(rpc: Rpc) -> None:
    error = rpc.refused(NOT_FOUND, "write", path="/no-archives/file.txt", content=blob(b""))
    assert error["message"] == "Backend not found for path /no-archives/file.txt" and "path" not in error["data"]


def test_saved_mounts(rpc: Rpc, store_dir: Callable[[], Path]) -> None:
    point, folder = f"/{unique('saved')}", str(store_dir())
    given = {"mount_point": point, "backend_type": "local", "backend_config": {"data_dir": folder}, "priority": 3}
    assert rpc("save_mount", **given, description="for later", owner_user_id="alice", tenant_id="acme") == point
    rpc.refused(VALIDATION, "save_mount", **given)
    rpc.refused(VALIDATION, "save_mount", **{**given, "mount_point": "/other", "backend_type": "tape"})
    (saved,) = rpc("list_saved_mounts", owner_user_id="alice", tenant_id="acme")
    assert (saved["mount_point"], saved["description"], saved["config"]) == (point, "for later", {"data_dir": folder})
    assert rpc("list_saved_mounts", owner_user_id="bob") == [] and rpc("has_mount", mount_point=point) is False
    assert rpc("load_mount", mount_point=point) == point and rpc("get_mount", mount_point=point)["priority"] == 3
    rpc.refused(VALIDATION, "load_mount", mount_point=point)
    assert (
        rpc("delete_saved_mount", mount_point=point) is True and rpc("delete_saved_mount", mount_point=point) is False
    )
    rpc.refused(NOT_FOUND, "load_mount", mount_point=point)
    assert rpc("has_mount", mount_point=point) is True
    connectors = {each["name"]: each for each in rpc("list_connectors")}
    assert connectors["local"]["requires"] == ["data_dir"] and rpc("list_connectors", category="mail") == []


# -- users and keys


def test_keys_as_nexus_clients_manage_them(rpc: Rpc, rpc_as: RpcAs) -> None:
    name = unique("user")
    made = rpc("admin_create_key", user_id=name, name="laptop", tenant_id="acme", expires_days=3, subject_type="user")
    assert made["user_id"] == name and made["tenant_id"] == "acme" and made["api_key"].startswith("nxk_")
    caller = rpc_as(Key.of(made["api_key"]))
    assert caller("exists", path="/") == {"exists": True}
    caller.refused(FORBIDDEN, "admin_get_key", key_id=made["key_id"])
    row = rpc("admin_get_key", key_id=made["key_id"])
    assert (row["name"], row["revoked"], row["is_admin"], row["subject_id"]) == ("laptop", False, False, name)
    assert isinstance(row["created_at"], str) and isinstance(row["expires_at"], str) and row["last_used_at"] is None
    changed = rpc("admin_update_key", key_id=made["key_id"], name="desk", expires_days=30, is_admin=True)
    assert (changed["name"], changed["is_admin"]) == ("desk", True) and changed["expires_at"] > row["expires_at"]
    assert caller("admin_get_key", key_id=made["key_id"])["user_id"] == name
    assert rpc("admin_update_key", key_id=made["key_id"], is_admin=False)["is_admin"] is False
    for wrong in ({"is_admin": True}, {"tenant_id": "other"}, {"expires_days": 0}, {"subject_id": "somebody"}):
        rpc.refused(VALIDATION, "admin_create_key", **{"user_id": name, **wrong})
    rpc("admin_create_key", user_id=name)
    listed = rpc("admin_list_keys", user_id=name, limit=1, offset=1)
    assert listed["total"] == 2 and len(listed["keys"]) == 1
    assert rpc("admin_list_keys", user_id=name, is_admin=True)["total"] == 0
    assert rpc("admin_list_keys", user_id=name, tenant_id="acme", include_expired=False)["total"] == 2
    assert rpc("admin_revoke_key", key_id=made["key_id"]) == {"success": True, "key_id": made["key_id"]}
    caller.refused(ACCESS_DENIED, "exists", path="/")
    assert rpc("admin_list_keys", user_id=name, include_revoked=False)["total"] == 1
    for method in ("admin_get_key", "admin_revoke_key", "admin_update_key"):
        rpc.refused(NOT_FOUND, method, key_id="NXNOSUCHKEYNOSUCHKEY")
    assert [key["name"] for key in rpc("admin_get_user", user_id=name)["keys"]] == ["desk", ""]
    rpc.refused(EXISTS, "admin_create_user", user_id=name)


def test_the_last_admin_key_stays_one(new_server: Callable[..., Server], rpc_as: RpcAs) -> None:
    server = new_server()
    rpc = rpc_as(server=server)
    (key,) = rpc("admin_list_keys")["keys"]
    rpc.refused(VALIDATION, "admin_update_key", key_id=key["key_id"], is_admin=False)
    second = rpc("admin_create_key", user_id="second", is_admin=True)
    rpc("admin_update_key", key_id=key["key_id"], is_admin=False)
    rpc.refused(FORBIDDEN, "admin_list_keys")
    other = rpc_as(Key.of(second["api_key"]), server=server)
    other.refused(VALIDATION, "admin_update_key", key_id=second["key_id"], is_admin=False)


# -- files as they are


def test_streams_speak_http(server: Server, s3: BaseClient, bucket: str) -> None:
    with httpx.Client(base_url=f"{server.url}/api/nfs/stream", trust_env=False) as http:
        assert http.put(f"/{bucket}/a", content=b"x").status_code == 404, (
            "without a key it is S3's, which has no bucket api"
        )
        wrong = {"Authorization": "Bearer nxk_WRONG_wrong"}
        assert http.put(f"/{bucket}/a", content=b"x", headers=wrong).status_code == 401
        http.headers["Authorization"] = f"Bearer {server.admin.api_key}"
        told = http.put(f"/{bucket}/d/%C3%BC%20%2B", content=b"0123456789").json()["result"]
        assert (told["size"], told["version"]) == (10, 1)
        assert s3.get_object(Bucket=bucket, Key="d/ü +")["Body"].read() == b"0123456789"
        whole = http.get(f"/{bucket}/d/%C3%BC%20%2B")
        assert (whole.content, whole.status_code, whole.headers["etag"]) == (b"0123456789", 200, f'"{told["etag"]}"')
        for asked, status, content in (
            ("bytes=2-4", 206, b"234"),
            ("bytes=8-", 206, b"89"),
            ("bytes=-1", 206, b"9"),
            ("lines=1-2", 200, b"0123456789"),
        ):
            part = http.get(f"/{bucket}/d/%C3%BC%20%2B", headers={"Range": asked})
            assert (part.status_code, part.content, part.headers["x-nexus-size"]) == (status, content, "10")
        path = f"/{bucket}/d/%C3%BC%20%2B"
        assert http.get(path, headers={"Range": "bytes=2-4"}).headers["content-range"] == "bytes 2-4/10"
        for method, target, headers, status, code in (
            ("GET", f"/{bucket}/none", {}, 404, NOT_FOUND),
            ("GET", path, {"If-Match": '"other"'}, 412, CONFLICT),
            ("GET", path, {"Range": "bytes=50-"}, 416, BAD_PARAMETERS),
            ("PUT", path, {"If-Match": "other"}, 412, CONFLICT),
            ("PUT", path, {"If-None-Match": "*"}, 409, EXISTS),
            ("PUT", path, {"If-None-Match": "other"}, 400, VALIDATION),
            ("PUT", f"/{bucket}/%2E%2E/a", {}, 400, INVALID_PATH),
            ("PUT", f"/{bucket}/%00", {}, 400, INVALID_PATH),
            ("PUT", f"/{bucket}/%ff", {}, 400, INVALID_PATH),
            ("PUT", f"/{bucket}", {}, 400, INVALID_PATH),
            ("PUT", "/no-such-bucket/a", {}, 404, NOT_FOUND),
        ):
            answer = http.request(method, target, headers=headers, content=b"x" if method == "PUT" else None)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), (method, target, headers)
        assert http.get(path).content == b"0123456789"


def test_a_stream_cut_short_stores_nothing(server: Server, rpc: Rpc, bucket: str) -> None:
    rpc.write(f"/{bucket}/a", b"before")
    for framing in ("Content-Length: 9000000", "Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = f"PUT /api/nfs/stream/{bucket}/a HTTP/1.1\r\nHost: x\r\n{framing}\r\n"
            body = b"186a0\r\n" + bytes(100_000) + b"\r\n" if "chunked" in framing else bytes(100_000)
            connection.sendall(f"{head}Authorization: Bearer {server.admin.api_key}\r\n\r\n".encode() + body)
        assert rpc.read(f"/{bucket}/a") == b"before"
    assert rpc("list", path=f"/{bucket}")["files"] == [f"/{bucket}/a"]
