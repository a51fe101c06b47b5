"""Real servers, one per test process, and a bucket per test: tests neither share names nor wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Key, Server, unique
from tests.e2e.native import mount
from tests.e2e.rpc import Rpc


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway as ``nexus serve --init --s3-domain localhost --website-domain s3-website.localhost`` leaves it."""
    options = ("--s3-domain", "localhost", "--website-domain", "s3-website.localhost")
    running = Server(tmp_path_factory.mktemp("gateway"), options)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts gateways of the test's own, with options and environment; all are gone at the end of the module."""
    started: list[Server] = []

    def start(*options: str, **environment: str) -> Server:
        running = Server(tmp_path_factory.mktemp("own"), options, environment)
        started.append(running)
        running.start()
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def s3(server: Server) -> Iterator[BaseClient]:
    """The admin's boto3 client. It is thread-safe."""
    client = server.s3()
    yield client
    client.close()


@pytest.fixture
def client(server: Server) -> Iterator[Callable[..., BaseClient]]:
    """Makes clients with options of botocore's Config; closed after the test."""
    made: list[BaseClient] = []

    def make(*arguments: Any, **options: Any) -> BaseClient:
        made.append(server.s3(*arguments, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def rpc_as(server: Server) -> Iterator[Callable[..., Rpc]]:
    """Makes callers of the Nexus door by their keys, the admin's where none is told; closed after the test."""
    made: list[Rpc] = []

    def make(key: Key | None = None, *, server: Server = server) -> Rpc:
        made.append(Rpc(server, key))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def rpc(rpc_as: Callable[..., Rpc]) -> Rpc:
    """The admin as a caller of the Nexus door."""
    return rpc_as()


@pytest.fixture
def bucket(s3: BaseClient) -> str:
    """A fresh bucket."""
    name = unique("test")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def store_dir(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes empty directories for local stores."""
    return lambda: tmp_path_factory.mktemp("store")


@pytest.fixture
def folder(store_dir: Callable[[], Path]) -> Path:
    """A directory that somebody filled."""
    root = store_dir()
    (root / "readme.txt").write_text("hello")
    (root / "data" / "2024").mkdir(parents=True)
    (root / "data" / "2024" / "a.csv").write_text("1,2\n")
    (root / "data" / "b.csv").write_text("3\n")
    (root / "data.old").write_text("x")
    (root / "empty").mkdir()
    return root


@pytest.fixture
def mounted(rpc: Rpc, folder: Path) -> str:
    """A bucket that is that directory, for writing too."""
    name = unique("native")
    mount(rpc, f"/{name}", folder)
    return name
