"""``/metrics``: who may see it, what it says, and that a bucket of that name is none the worse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, unique

TOKEN = "only-for-metrics"


@pytest.fixture(scope="module")
def node(new_server: Callable[..., Server]) -> Server:
    return new_server("--workers", "2", NEXUS_METRICS_TOKEN=TOKEN)


@pytest.fixture
def s3(node: Server) -> Iterator[BaseClient]:
    client = node.s3()
    yield client
    client.close()


def metrics(node: Server, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return httpx.get(f"{node.url}/metrics", headers=headers, timeout=30, trust_env=False)


def value(text: str, family: str, **labels: str) -> float:
    """The sum of a family's series that have these labels."""
    lines = [line for line in text.splitlines() if line.startswith(f"{family}{{")]
    chosen = [line for line in lines if all(f'{name}="{told}"' in line for name, told in labels.items())]
    return sum(float(line.rsplit(" ", 1)[1]) for line in chosen)


def test_all_workers_requests_are_told(node: Server, s3: BaseClient) -> None:
    bucket = unique("counted")
    s3.create_bucket(Bucket=bucket)
    for number in range(20):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"x" * 1000)
    assert node.run("mounts", "list").returncode == 0
    deadline = time.monotonic() + 15
    while True:
        text = metrics(node, TOKEN).text
        counted = value(text, "nexus_requests_total", operation="PutObject", status="200")
        listed = value(text, "nexus_requests_total", door="rpc", operation="list_mounts", status="ok")
        if counted == 20 and listed:
            break
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    assert value(text, "nexus_received_bytes_total", operation="PutObject") == 20_000
    assert value(text, "nexus_request_seconds_bucket", operation="PutObject", le="+Inf") == 20
    assert value(text, "nexus_store_state", mount="/workspace", state="ok") == 2, "by each worker"
    assert value(text, "nexus_catalog_bytes") > 8192
    assert {'worker="0"', 'worker="1"'} <= set(text.replace("}", ",").replace("{", ",").split(","))


def test_only_admins_and_the_token_see_it(node: Server, s3: BaseClient) -> None:
    user = node.user(unique("user"))
    assert metrics(node, node.admin.api_key).status_code == 200
    assert metrics(node, user.api_key).status_code == 403
    for wrong in ("wrong", node.admin.api_key + "x", TOKEN + "x"):
        refusal = metrics(node, wrong)
        assert refusal.status_code == 401 and "nexus_requests" not in refusal.text
    assert metrics(node).status_code in (403, 404), "S3 answers nobody"
    s3.create_bucket(Bucket="metrics")
    s3.put_object(Bucket="metrics", Key="a", Body=b"a")
    assert s3.list_objects_v2(Bucket="metrics")["KeyCount"] == 1
    signer = node.s3(signature_version="s3v4")
    presigned = signer.generate_presigned_url("list_objects_v2", Params={"Bucket": "metrics"})
    signer.close()
    assert "<Key>a</Key>" in httpx.get(presigned, trust_env=False).text


def test_it_can_be_open_and_off(new_server: Callable[..., Server]) -> None:
    node = new_server(NEXUS_METRICS="open")
    answer = metrics(node)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    client = node.s3()
    client.create_bucket(Bucket="metrics")
    assert client.list_objects_v2(Bucket="metrics")["KeyCount"] == 0
    client.close()
    node.stop()
    node.environment["NEXUS_METRICS"] = "off"
    node.start()
    assert metrics(node, node.admin.api_key).status_code in (400, 403, 404)
