"""Storage classes with stores of their own: what is written with them, copied to them, or moved to them by rules."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, refused, unique

BIG = bytes(range(256)) * 1024  # 256 KiB: small objects do not move to AWS's classes
HUGE = BIG * 72  # 18 MiB, three blocks
LATER = "2100-01-01"
PART = 5 << 20
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


@pytest.fixture(scope="module")
def server(new_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    server = new_server(NEXUS_LIFECYCLE_INTERVAL="86400", NEXUS_STORAGE_CLASSES='{"COLD": "/cold"}')
    server.mount("/archives", tmp_path_factory.mktemp("archives"))
    server.mount("/cold", tmp_path_factory.mktemp("cold"))
    server.nexus("storage-classes", "set", "GLACIER", "/archives")
    return server


@pytest.fixture(scope="module")
def s3(server: Server) -> Iterator[BaseClient]:
    client = server.s3()
    yield client
    client.close()


@pytest.fixture
def bucket(s3: BaseClient) -> str:
    name = unique("tier")
    s3.create_bucket(Bucket=name)
    return name


def stores(server: Server) -> dict[str, int]:
    """Bytes of objects by mount point of their store."""
    ids = {mount["store_id"]: mount["mount_point"] for mount in server.nexus("mounts", "list")}
    ids[next(mount["store_id"] for mount in server.nexus("mounts", "list") if mount["mount_point"] == "/")] = "/"
    return {ids[store["store_id"]]: store["logical_bytes"] for store in server.nexus("stats")}


def grown(server: Server, before: dict[str, int]) -> dict[str, int]:
    return {point: size - before[point] for point, size in stores(server).items() if size != before[point]}


def rule(s3: BaseClient, bucket: str, **actions: Any) -> None:
    rules = [{"ID": "r", "Status": "Enabled", "Filter": {}, **actions}]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def run(server: Server) -> dict[str, Any]:
    report: dict[str, Any] = server.nexus("lifecycle", "run", "--at", LATER)
    assert not report["problems"]
    return report


def body_of(s3: BaseClient, bucket: str, key: str = "key", **more: Any) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()
    return body


def facts(s3: BaseClient, bucket: str, **more: Any) -> dict[str, Any]:
    """All that HEAD tells, but for the storage class and what belongs to the answer itself."""
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED", **more)
    return {name: value for name, value in head.items() if name not in ("ResponseMetadata", "StorageClass")}


def test_what_is_written_with_a_class_lies_in_its_store(server: Server, s3: BaseClient, bucket: str) -> None:
    before = stores(server)
    s3.put_object(Bucket=bucket, Key="put", Body=BIG, StorageClass="GLACIER")
    assert grown(server, before) == {"/archives": len(BIG)}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", StorageClass="COLD")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=BIG)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.put_object(Bucket=bucket, Key="label", Body=BIG, StorageClass="STANDARD_IA")  # not bound: a label
    assert grown(server, before) == {"/archives": len(BIG), "/cold": len(BIG), "/": len(BIG)}
    classes = {entry["Key"]: entry["StorageClass"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert classes == {"put": "GLACIER", "parts": "COLD", "label": "STANDARD_IA"}
    assert all(body_of(s3, bucket, key) == BIG for key in classes)


def test_a_copy_onto_itself_moves(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BIG)
    before = stores(server)
    s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{bucket}/key", StorageClass="GLACIER")
    assert grown(server, before) == {"/": -len(BIG), "/archives": len(BIG)}
    assert s3.head_object(Bucket=bucket, Key="key")["StorageClass"] == "GLACIER" and body_of(s3, bucket) == BIG
    s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{bucket}/key", StorageClass="STANDARD")
    assert grown(server, before) == {}
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="key") and body_of(s3, bucket) == BIG


def put_all(s3: BaseClient, bucket: str) -> dict[str, bytes]:
    """Objects of each form: empty, packed, one block, several, of parts."""
    bodies = {"empty": b"", "small": b"small", "big": BIG, "huge": HUGE, "parts": HUGE[: PART + 1000]}
    for key, body in list(bodies.items())[:-1]:
        s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"name": key}, Tagging="a=1")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", Metadata={"name": "parts"})["UploadId"]
    parts = []
    for number, piece in enumerate((bodies["parts"][:PART], bodies["parts"][PART:]), 1):
        sent = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    return bodies


def all_of(s3: BaseClient, bucket: str, keys: Any) -> dict[str, Any]:
    """What is told of each key, without its class."""
    told = {}
    for key in keys:
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        told[key] = {name: value for name, value in head.items() if name not in ("ResponseMetadata", "StorageClass")}
    part = s3.head_object(Bucket=bucket, Key="parts", PartNumber=2)
    return {**told, "part": (part["PartsCount"], part["ContentLength"])}


def test_a_transition_moves_bytes_and_nothing_else(server: Server, s3: BaseClient, bucket: str) -> None:
    bodies = put_all(s3, bucket)
    told, before = all_of(s3, bucket, bodies), stores(server)
    total = sum(map(len, bodies.values()))
    rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "COLD"}])
    assert server.nexus("lifecycle", "run")["actions"] == []
    report = run(server)
    assert report["counts"]["Transition"] == len(bodies) and report["moved_bytes"] == total
    assert grown(server, before) == {"/": -total, "/cold": total}
    assert all_of(s3, bucket, bodies) == told
    assert all(body_of(s3, bucket, key) == body for key, body in bodies.items())
    assert body_of(s3, bucket, "huge", Range="bytes=8388600-8388700") == HUGE[8388600:8388701]
    assert {e["StorageClass"] for e in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {"COLD"}
    assert run(server)["counts"] == {}
    server.nexus("gc")
    assert server.run("fsck").returncode == 0
    assert all(body_of(s3, bucket, key) == body for key, body in bodies.items())


@pytest.mark.parametrize("options", [{"ServerSideEncryption": "AES256"}, CUSTOMER], ids=["SSE-S3", "SSE-C"])
def test_what_is_encrypted_moves_as_it_is(
    server: Server, s3: BaseClient, bucket: str, options: dict[str, str], tmp_path: Path
) -> None:
    """Even to a store in which tenants share contents, and without the customer's key."""
    reading = {name: value for name, value in options.items() if name.startswith("SSE")}
    bodies = {"small": b"small", "big": BIG, "huge": HUGE}
    told = {}
    for key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body, **options)
        told[key] = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **reading)
    point = f"/{unique('shared')}"
    server.mount(point, tmp_path / "shared", "--config", "dedup_scope=store")
    server.nexus("storage-classes", "set", "SHARED", point)
    before, total = stores(server), sum(map(len, bodies.values()))
    rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "SHARED"}])
    assert run(server)["counts"] == {"Transition": len(bodies)}
    assert grown(server, before) == {"/": -total, point: total}
    server.nexus("gc")
    for key, body in bodies.items():
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **reading)
        assert {**told[key], "StorageClass": "SHARED", "ResponseMetadata": head["ResponseMetadata"]} == head
        assert body_of(s3, bucket, key, **reading) == body
    assert body_of(s3, bucket, "huge", Range="bytes=8388600-8388700", **reading) == HUGE[8388600:8388701]
    assert not any(BIG[:4096] in file.read_bytes() for file in (tmp_path / "shared").rglob("*") if file.is_file())
    assert server.run("fsck", "--rehash").returncode == 0


def test_readers_see_the_same_bytes_before_during_and_after(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=HUGE)
    etag = s3.head_object(Bucket=bucket, Key="key")["ETag"]
    rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])
    over = threading.Event()
    wrong: list[Any] = []

    def read() -> None:
        while not over.is_set():
            answer = s3.get_object(Bucket=bucket, Key="key")
            if answer["Body"].read() != HUGE or answer["ETag"] != etag:
                wrong.append(answer)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert run(server)["counts"] == {"Transition": 1}
        server.nexus("gc")
    finally:
        over.set()
        reader.join()
    assert not wrong and body_of(s3, bucket) == HUGE


def test_versions_move_by_their_own_rule(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="key", Body=BIG + each)["VersionId"] for each in (b"1", b"2", b"3")]
    before, told = stores(server), [facts(s3, bucket, VersionId=each) for each in ids]
    rule(
        s3,
        bucket,
        NoncurrentVersionTransitions=[{"NoncurrentDays": 1, "StorageClass": "GLACIER", "NewerNoncurrentVersions": 1}],
    )
    report = run(server)
    assert [each["version_id"] for each in report["actions"]] == [ids[0]]
    assert grown(server, before) == {"/": -len(BIG) - 1, "/archives": len(BIG) + 1}
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [entry["StorageClass"] for entry in listed] == ["STANDARD", "STANDARD", "GLACIER"]
    assert [facts(s3, bucket, VersionId=each) for each in ids] == told
    assert body_of(s3, bucket, VersionId=ids[0]) == BIG + b"1"


def test_objects_go_down_step_by_step_and_never_back(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BIG)
    s3.put_object(Bucket=bucket, Key="small", Body=b"1")
    rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "COLD"}, {"Days": 100_000, "StorageClass": "GLACIER"}])
    assert run(server)["counts"] == {"Transition": 2}
    rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])
    assert [each["key"] for each in run(server)["actions"]] == ["key"]  # AWS moves no small objects
    assert s3.head_object(Bucket=bucket, Key="small")["StorageClass"] == "COLD"


def test_expiration_comes_before_a_move_and_a_delete_marker_after(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BIG)
    rules = {"Transitions": [{"Days": 1, "StorageClass": "COLD"}], "Expiration": {"Days": 2}}
    rule(s3, bucket, **rules)
    assert run(server)["counts"] == {"Expiration": 1}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="key", Body=BIG)
    assert run(server)["counts"] == {"Transition": 1, "Expiration": 1}
    assert s3.list_object_versions(Bucket=bucket)["Versions"][0]["StorageClass"] == "COLD"


def test_an_object_overwritten_while_it_moves_is_the_new_one(server: Server, s3: BaseClient, bucket: str) -> None:
    for number in range(40):
        s3.put_object(Bucket=bucket, Key=f"{number:02}", Body=BIG + b"old%d" % number)
    rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "COLD"}])

    def overwrite() -> None:
        for number in range(40):
            s3.put_object(Bucket=bucket, Key=f"{number:02}", Body=BIG + b"new%d" % number)

    writer = threading.Thread(target=overwrite)
    writer.start()
    while writer.is_alive():
        run(server)
    writer.join()
    run(server)
    for number in range(40):
        answer = s3.get_object(Bucket=bucket, Key=f"{number:02}")
        assert answer["Body"].read() == BIG + b"new%d" % number and answer["StorageClass"] == "COLD"
    server.nexus("gc")
    assert server.run("fsck").returncode == 0


def test_changes_of_the_configuration_do_not_stop_moves(server: Server, s3: BaseClient, bucket: str) -> None:
    for number in range(30):
        s3.put_object(Bucket=bucket, Key=f"{number:02}", Body=BIG + b"%d" % number)
    rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "COLD"}])
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})

    changer = threading.Thread(target=change)
    changer.start()
    try:
        assert run(server)["counts"] == {"Transition": 30}
    finally:
        over.set()
        changer.join()
    assert {entry["StorageClass"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {"COLD"}


def test_bindings_are_checked(server: Server, s3: BaseClient, bucket: str, tmp_path: Path) -> None:
    listed = {each["storage_class"]: each["mount_point"] for each in server.nexus("storage-classes", "list")}
    assert listed.items() >= {"COLD": "/cold", "GLACIER": "/archives"}.items()
    for arguments, told in (
        (("set", "STANDARD", "/cold"), "cannot be bound"),
        (("set", "lower", "/cold"), "capital letters"),
        (("set", "GLACIER", "/nowhere"), "/nowhere"),
        (("remove", "DEEP_ARCHIVE"), "no such storage class"),
    ):
        done = server.run("storage-classes", *arguments)
        assert done.returncode == 1 and told in done.stderr, done.stderr
    with refused("InvalidStorageClass", 400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"1", StorageClass="NOSUCH")
    with refused("InvalidStorageClass", 400):
        s3.create_multipart_upload(Bucket=bucket, Key="key", StorageClass="NOSUCH")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_class_whose_mount_takes_no_writes_refuses_them(
    server: Server, s3: BaseClient, bucket: str, tmp_path: Path
) -> None:
    server.mount("/frozen", tmp_path / "frozen", "--readonly", "--config", "layout=cas")
    server.nexus("storage-classes", "set", "DEEP_ARCHIVE", "/frozen")
    try:
        with refused("AccessDenied", 403):
            s3.put_object(Bucket=bucket, Key="key", Body=BIG, StorageClass="DEEP_ARCHIVE")
        s3.put_object(Bucket=bucket, Key="key", Body=BIG)
        rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}])
        done = server.run("lifecycle", "run", "--at", LATER)
        assert done.returncode == 1 and "DEEP_ARCHIVE" in done.stderr
        server.unmount("/frozen")
        with refused("NoSuchBackend", 404):
            s3.put_object(Bucket=bucket, Key="other", Body=BIG, StorageClass="DEEP_ARCHIVE")
    finally:
        server.nexus("storage-classes", "remove", "DEEP_ARCHIVE")
    # A rule for a class that lost its store moves nothing, and says so.
    done = server.run("lifecycle", "run", "--at", LATER)
    assert done.returncode == 1 and "DEEP_ARCHIVE" in done.stderr
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="key")
    s3.delete_bucket_lifecycle(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="key", Body=BIG, StorageClass="DEEP_ARCHIVE")  # a label again
    assert body_of(s3, bucket) == BIG


KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


@pytest.mark.parametrize(
    ("members", "to_read"),
    [({"ServerSideEncryption": "AES256"}, {}), ({"ServerSideEncryption": "aws:kms"}, {}), (KEY, KEY)],
    ids=["sse-s3", "sse-kms", "sse-c"],
)
def test_encrypted_objects_move_as_they_are_and_without_their_key(
    server: Server, s3: BaseClient, bucket: str, members: dict[str, str], to_read: dict[str, str]
) -> None:
    def cold() -> int:
        return sum(store["logical_bytes"] for store in server.nexus("stats") if "/cold" in store["location"])

    for size in (100, len(HUGE)):
        s3.put_object(Bucket=bucket, Key="key", Body=HUGE[:size], **members)
        rule(s3, bucket, Transitions=[{"Days": 1, "StorageClass": "COLD"}])
        before, told = cold(), facts(s3, bucket, **to_read)
        run(server)
        assert cold() == before + size
        assert s3.head_object(Bucket=bucket, Key="key", **to_read)["StorageClass"] == "COLD"
        assert facts(s3, bucket, **to_read) == told
        assert body_of(s3, bucket, **to_read) == HUGE[:size]
        assert body_of(s3, bucket, Range="bytes=70-80", **to_read) == HUGE[70:81]
    server.nexus("gc")
    assert body_of(s3, bucket, **to_read) == HUGE
    assert server.run("fsck", "--rehash").returncode == 0
