"""A store that hangs or fails is answered for at once, with 503 and when to try again; other stores notice nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.harness import Server, refused, unique
from tests.e2e.rpc import Rpc
from tests.faults import Faults, proxy

MIB = 1024 * 1024


@dataclass
class Pair:
    """A node with a mount whose service may be made to hang, and one whose service is well."""

    node: Server
    s3: BaseClient
    faults: Faults
    ill: str
    well: str

    def row(self) -> dict[str, Any]:
        (row,) = [row for row in self.node.nexus("mounts", "list") if row["mount_point"] == f"/{self.ill}"]
        return dict(row)


@pytest.fixture(scope="module")
def pair(new_server: Callable[..., Server], moto: dict[str, str]) -> Iterator[Pair]:
    node = new_server(NEXUS_STORE_DEADLINE="1", NEXUS_GC_INTERVAL="100000")
    faults, ill, well = Faults(weights={"silence": 1}, silence=600), unique("ill"), unique("well")
    with proxy(moto["endpoint_url"], faults) as url:
        for name, config in ((ill, {**moto, "endpoint_url": url}), (well, moto)):
            settings = [word for key, value in config.items() for word in ("-c", f"{key}={value}")]
            done = node.run("mounts", "add", f"/{name}", "s3", *settings, "-c", f"prefix={name}")
            assert done.returncode == 0, done.stderr
        s3 = node.s3(max_pool_connections=70)
        yield Pair(node, s3, faults, ill, well)
        s3.close()
        node.kill()


def wait_until_well(pair: Pair) -> None:
    pair.faults.rate = 0.0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            pair.s3.put_object(Bucket=pair.ill, Key="back", Body=b"back")
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the store was not found again")


def test_a_store_that_hangs_takes_nothing_with_it(pair: Pair) -> None:
    pair.s3.put_object(Bucket=pair.ill, Key="kept", Body=b"kept")
    pair.s3.put_object(Bucket=pair.well, Key="warm", Body=b"warm")
    before = pair.node.resident()
    pair.faults.rate = 1.0
    body, slowest = os.urandom(9 * MIB), 0.0

    def upload(number: int) -> str:
        try:
            pair.s3.put_object(Bucket=pair.ill, Key=f"{number}", Body=body)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "stored"

    with ThreadPoolExecutor(50) as pool:
        hanging = [pool.submit(upload, number) for number in range(50)]
        while not all(each.done() for each in hanging):
            started = time.monotonic()
            pair.s3.put_object(Bucket=pair.well, Key="meanwhile", Body=body)
            assert pair.s3.get_object(Bucket=pair.well, Key="meanwhile")["Body"].read() == body
            slowest = max(slowest, time.monotonic() - started)
        assert {each.result() for each in hanging} == {"ServiceUnavailable"}
    assert slowest < 20, "on a machine that others use as well"
    assert pair.node.resident() - before < 350 * MIB

    started = time.monotonic()
    with refused("ServiceUnavailable", 503) as seen:
        pair.s3.get_object(Bucket=pair.ill, Key="kept")
    assert time.monotonic() - started < 1
    assert 1 <= int(seen[0].response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 30
    row = pair.row()
    assert row["state"] == "open" and row["open_until"] and "did not answer" in row["last_error"]
    assert "open until" in pair.node.run("mounts", "list").stdout

    wait_until_well(pair)
    assert pair.s3.get_object(Bucket=pair.ill, Key="kept")["Body"].read() == b"kept"
    assert pair.row()["state"] == "ok"
    assert pair.row()["latency_ms"] > 0


def test_the_nexus_door_says_which_mount_and_when(pair: Pair, rpc_as: Callable[..., Rpc]) -> None:
    wait_until_well(pair)
    pair.faults.rate = 1.0
    assert "did not answer" in pair.node.run("mounts", "list", "--probe").stdout
    caller = rpc_as(server=pair.node)
    error = caller.refused(-32050, "read", path=f"/{pair.ill}/back")
    assert f"mounted at /{pair.ill} is out of order; try again in" in error["message"]
    assert error["data"]["retry_after"] >= 1
    answer = httpx.get(
        f"{pair.node.url}/api/nfs/stream/{pair.ill}/back",
        headers={"Authorization": f"Bearer {pair.node.admin.api_key}"},
    )
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    wait_until_well(pair)
