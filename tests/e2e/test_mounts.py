"""Mount rules through the S3 door, while a server of two workers runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, aws, keys_of, refused, unique
from tests.e2e.signing import Raw, Socket, request

CONNECTIONS = 8
"""Enough that both workers answer some."""


@pytest.fixture(scope="module")
def node(new_server: Callable[..., Server]) -> Server:
    return new_server("--workers", "2")


@pytest.fixture
def client(node: Server) -> Iterator[BaseClient]:
    made = node.s3()
    yield made
    made.close()


@pytest.fixture
def clients(node: Server) -> Iterator[list[BaseClient]]:
    """Clients with a connection each: the kernel spreads them over the workers."""
    made = [node.s3() for _ in range(CONNECTIONS)]
    for each in made:
        each.list_buckets()
    yield made
    for each in made:
        each.close()


@pytest.fixture
def mount(node: Server, store_dir: Callable[[], Path]) -> Iterator[Callable[..., Path]]:
    """Mounts an empty local store; what is left of it is unmounted after the test."""
    points: list[str] = []

    def make(point: str, *options: str, store: Path | None = None) -> Path:
        folder = store or store_dir()
        node.mount(point, folder, *options)
        points.append(point)
        return folder

    yield make
    there = {row["mount_point"] for row in node.nexus("mounts", "list")}
    for point in there.intersection(points):
        node.unmount(point)


def holds(store: Path) -> bool:
    """Whether a store has any larger content."""
    return any(path.is_file() for path in (store / "cas").rglob("*"))


BODY = b"x" * 100_000
"""Too large to be packed, so that a file tells where it went."""


def test_init_mounts(node: Server) -> None:
    rows = {row["mount_point"]: row for row in node.nexus("mounts", "list")}
    assert {"/", "/workspace"} <= rows.keys()
    assert rows["/"]["priority"] == 0
    assert rows["/"]["store_id"] == rows["/workspace"]["store_id"]


def test_a_mount_makes_its_bucket(node: Server, client: BaseClient, mount: Callable[..., Path]) -> None:
    name = unique("fast")
    store = mount(f"/{name}")
    assert name in aws(node, "s3", "ls")
    client.put_object(Bucket=name, Key="key", Body=BODY)
    assert holds(store)
    info = node.nexus("mounts", "info", f"/{name}")
    assert str(store) in str(info)


def test_names_that_s3_would_not_take(node: Server, client: BaseClient, mount: Callable[..., Path]) -> None:
    store = mount("/us_west_mount")
    client.put_object(Bucket="us_west_mount", Key="key", Body=BODY)
    assert holds(store)
    with refused("InvalidBucketName", 400):
        client.create_bucket(Bucket="us_east_mount")


def test_the_longest_prefix_wins(client: BaseClient, mount: Callable[..., Path]) -> None:
    name = unique("deep")
    outer, inner = mount(f"/{name}"), mount(f"/{name}/shared")
    client.put_object(Bucket=name, Key="sharedx", Body=BODY + b"1")  # whole segments: not below the inner mount
    assert (holds(outer), holds(inner)) == (True, False)
    client.put_object(Bucket=name, Key="shared/x", Body=BODY + b"2")
    assert holds(inner)
    assert len([path for path in (inner / "cas").rglob("*") if path.is_file()]) == 1
    assert keys_of(client, name) == ["shared/x", "sharedx"]


def test_priority_wins_over_length(client: BaseClient, mount: Callable[..., Path]) -> None:
    name = unique("prio")
    outer, inner = mount(f"/{name}", "--priority", "10"), mount(f"/{name}/a/b", "--priority", "5")
    client.put_object(Bucket=name, Key="a/b/c", Body=BODY)
    assert (holds(outer), holds(inner)) == (True, False)


def test_three_stores_in_one_bucket_by_aws_cli(
    node: Server, client: BaseClient, mount: Callable[..., Path], tmp_path: Path
) -> None:
    name = unique("three")
    stores = [mount(f"/{name}"), mount(f"/{name}/b"), mount(f"/{name}/b/c", "--priority", "1")]
    tree = tmp_path / "tree"
    for number, key in enumerate(("x", "b/x", "b/c/x")):
        (tree / key).parent.mkdir(parents=True, exist_ok=True)
        (tree / key).write_bytes(BODY + bytes([number]))
    aws(node, "s3", "sync", "--quiet", str(tree), f"s3://{name}/")
    assert [len([path for path in (store / "cas").rglob("*") if path.is_file()]) for store in stores] == [1, 1, 1]
    aws(node, "s3", "sync", "--quiet", f"s3://{name}/", str(tmp_path / "down"))
    for key in ("x", "b/x", "b/c/x"):
        assert (tmp_path / "down" / key).read_bytes() == (tree / key).read_bytes()
    aws(node, "s3", "mv", "--quiet", f"s3://{name}/x", f"s3://{name}/b/c/y")  # from one store to another
    assert client.get_object(Bucket=name, Key="b/c/y")["Body"].read() == BODY + b"\0"


def test_read_only(node: Server, client: BaseClient, mount: Callable[..., Path], tmp_path: Path) -> None:
    name = unique("frozen")
    store = mount(f"/{name}")
    client.put_object(Bucket=name, Key="a/key", Body=b"there", Tagging="a=1")
    client.put_object(Bucket=name, Key="free", Body=b"free")
    upload = client.create_multipart_upload(Bucket=name, Key="a/upload")["UploadId"]
    mount(f"/{name}/a", "--readonly", store=store)
    assert client.get_object(Bucket=name, Key="a/key")["Body"].read() == b"there"
    for operation, more in (
        ("put_object", {"Key": "a/key", "Body": b"evil"}),
        ("put_object", {"Key": "a/new", "Body": b"evil"}),
        ("put_object", {"Key": "a", "Body": b"evil"}),
        ("delete_object", {"Key": "a/key"}),
        ("delete_object", {"Key": "a/absent"}),
        ("copy_object", {"Key": "a/copy", "CopySource": f"{name}/free"}),
        ("create_multipart_upload", {"Key": "a/new"}),
        ("upload_part", {"Key": "a/upload", "UploadId": upload, "PartNumber": 1, "Body": b"evil"}),
        ("put_object_tagging", {"Key": "a/key", "Tagging": {"TagSet": []}}),
        ("delete_object_tagging", {"Key": "a/key"}),
    ):
        with refused("AccessDenied", 403) as errors:
            getattr(client, operation)(Bucket=name, **more)
        assert f"/{name}/a" in errors[0].response["Error"]["Message"], operation
    told = client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a/key"}, {"Key": "free"}]})
    assert [(entry["Key"], entry["Code"]) for entry in told["Errors"]] == [("a/key", "AccessDenied")]
    assert [entry["Key"] for entry in told["Deleted"]] == ["free"]
    assert keys_of(client, name) == ["a/key"]
    assert client.get_object_tagging(Bucket=name, Key="a/key")["TagSet"] == [{"Key": "a", "Value": "1"}]
    (tmp_path / "up").write_bytes(b"evil")
    assert "read-only" in aws(node, "s3", "cp", str(tmp_path / "up"), f"s3://{name}/a/b", check=False)


def test_a_read_only_mount_refuses_before_the_body(
    node: Server, client: BaseClient, mount: Callable[..., Path]
) -> None:
    name = unique("frozen")
    mount(f"/{name}", "--readonly")
    signed = Raw(node).sign("PUT", f"/{name}/key")
    with Socket(node) as connection:
        headers = {**signed.headers, "content-length": str(10**9), "expect": "100-continue"}
        connection.send(request("PUT", f"/{name}/key", headers))
        assert connection.head().startswith(b"HTTP/1.1 403 ")


def test_placement_is_recorded(client: BaseClient, mount: Callable[..., Path]) -> None:
    name = unique("placed")
    first = mount(f"/{name}")
    client.put_object(Bucket=name, Key="dir/old", Body=BODY + b"old")
    second = mount(f"/{name}/dir", "--priority", "100")
    assert client.get_object(Bucket=name, Key="dir/old")["Body"].read() == BODY + b"old"
    client.put_object(Bucket=name, Key="dir/new", Body=BODY + b"new")
    assert (holds(first), holds(second)) == (True, True)
    assert keys_of(client, name) == ["dir/new", "dir/old"]
    client.put_object(Bucket=name, Key="dir/old", Body=b"again")
    assert client.get_object(Bucket=name, Key="dir/old")["Body"].read() == b"again"


def test_remove_and_add_again(node: Server, client: BaseClient, mount: Callable[..., Path]) -> None:
    name = unique("gone")
    store = mount(f"/{name}")
    client.put_object(Bucket=name, Key="key", Body=BODY)
    node.unmount(f"/{name}")
    with refused("NoSuchBackend", 404) as errors:
        client.get_object(Bucket=name, Key="key")
    assert errors[0].response["Error"]["Message"] == f"Backend not found for path /{name}/key"
    assert keys_of(client, name) == ["key"]  # the catalog still knows it
    mount(f"/{name}", store=store)
    assert client.get_object(Bucket=name, Key="key")["Body"].read() == BODY


def test_where_no_mount_serves(node: Server, client: BaseClient) -> None:
    [root] = [row for row in node.nexus("mounts", "list") if row["mount_point"] == "/"]
    name = unique("lonely")
    client.create_bucket(Bucket=name)
    node.unmount("/")
    try:
        with refused("NoSuchBackend", 404) as errors:
            client.put_object(Bucket=name, Key="key", Body=b"x")
        assert errors[0].response["Error"]["Message"] == f"Backend not found for path /{name}/key"
    finally:
        node.mount("/", Path(root["config"]["data_dir"]))
    client.put_object(Bucket=name, Key="key", Body=b"x")


def test_changes_are_seen_by_every_worker_at_once(
    node: Server, clients: list[BaseClient], mount: Callable[..., Path]
) -> None:
    name = unique("seen")
    mount(f"/{name}")
    for number, each in enumerate(clients):
        each.put_object(Bucket=name, Key=f"{number}", Body=b"x")
    mount(f"/{name}/frozen", "--readonly")
    for each in clients:
        with refused("AccessDenied", 403):
            each.put_object(Bucket=name, Key="frozen/x", Body=b"x")
    node.unmount(f"/{name}/frozen")
    for each in clients:
        each.put_object(Bucket=name, Key="frozen/x", Body=b"x")
    node.unmount(f"/{name}")
    for each in clients:
        with refused("NoSuchBackend", 404):
            each.get_object(Bucket=name, Key="0")


def test_wrong_mounts_are_refused(node: Server, mount: Callable[..., Path], store_dir: Callable[[], Path]) -> None:
    name = unique("once")
    mount(f"/{name}")
    before = node.nexus("mounts", "list")
    folder = f"data_dir={store_dir()}"
    for arguments in (
        (f"/{name}", "local", "--config", folder),  # there is one
        ("relative", "local", "--config", folder),
        ("/a/../b", "local", "--config", folder),
        ("/other", "nonsense", "--config", folder),
        ("/other", "local", "--config", "data_dir=/proc/nothing/here"),
        ("/other", "local", "--config", folder, "--config", "unknown=1"),
    ):
        done = node.run("mounts", "add", *arguments)
        assert done.returncode != 0, arguments
        assert done.stderr.strip() and "Traceback" not in done.stderr, done.stderr
    assert node.run("mounts", "remove", "/never-there").returncode != 0
    assert node.nexus("mounts", "list") == before


def test_mounts_survive_a_restart(node: Server, client: BaseClient, mount: Callable[..., Path]) -> None:
    name = unique("kept")
    mount(f"/{name}", "--priority", "7")
    client.put_object(Bucket=name, Key="key", Body=BODY)
    before = node.nexus("mounts", "list")
    node.stop()
    node.start()
    assert node.nexus("mounts", "list") == before
    assert client.get_object(Bucket=name, Key="key")["Body"].read() == BODY
