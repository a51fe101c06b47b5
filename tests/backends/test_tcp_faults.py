"""Stores that do not speak HTTP, over connections that break, stall and crawl."""

from __future__ import annotations

import os
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest

from backends.base import BlobStore, StoreUnavailable, read_all
from backends.registry import open_store
from backends.remote import Container, RemoteStore
from backends.retrying import Retries
from tests import services
from tests.backends.test_faults import STUBBORN, Stubborn, live_at_random
from tests.contracts.blob_store import RemoteStoreContract, name_of, names_in
from tests.e2e.harness import unique
from tests.tcp_faults import WEIGHTS, TcpFaults, tcp_proxy


@dataclass(frozen=True)
class Service:
    """A service, a way to it through a proxy, and how its store is made."""

    backend_type: str
    direct: dict[str, str]
    faulty: dict[str, str]
    container: Callable[[dict[str, str]], Container]
    prefix: str
    keys: Callable[[dict[str, str]], services.Keys]
    faults: TcpFaults


def _postgres(config: dict[str, str]) -> Container:
    from backends.postgres import PostgresTables, read_schema
    from backends.postgres_server import read_server

    return PostgresTables(read_server(config), read_schema(config))


@pytest.fixture(params=["postgres"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    name = unique("test").replace("-", "_")
    direct = {**request.getfixturevalue("postgres"), "schema": name}
    faults = TcpFaults(rate=0.7, seed=zlib.crc32(request.node.name.encode()))
    with tcp_proxy(direct["host"], int(direct["port"]), faults) as port:
        faulty = {**direct, "port": str(port), "timeout": "0.7"}
        yield Service("postgres", direct, faulty, _postgres, "", services.PostgresKeys, faults)


class TestContract(RemoteStoreContract):
    """The whole contract, over connections of which most do not live long."""

    @pytest.fixture
    async def store(self, service: Service) -> AsyncIterator[BlobStore]:
        store = Stubborn(service.container(service.faulty), service.prefix, timeout=1, retries=STUBBORN)
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, service: Service) -> services.Keys:
        return service.keys(service.direct)

    async def test_it_is_well(self, store: BlobStore) -> None:
        """A probe is one attempt, so that it tells the truth about one."""

    test_what_is_no_name_is_refused = None
    """Nothing is asked of a service then."""


async def test_no_acknowledged_write_is_lost_and_no_byte_is_wrong(service: Service) -> None:
    service.faults.rate = 0.95
    retries = Retries(2, 10, 0.002, 0.01)
    store = RemoteStore(service.container(service.faulty), service.prefix, timeout=1, retries=retries, threads=8)
    await live_at_random(store, open_store(service.backend_type, service.direct), 40)
    assert set(WEIGHTS) <= set(service.faults.met), service.faults.met


@pytest.mark.parametrize("fault", sorted(set(WEIGHTS) - {"slow"}))
async def test_what_never_gets_better_is_told(service: Service, fault: str) -> None:
    content = os.urandom(1000)
    plain = open_store(service.backend_type, service.direct)
    await plain.put(name_of(content), content)
    service.faults.rate, service.faults.weights, service.faults.life = 1.0, {fault: 1}, 1
    hasty = service.container({**service.faulty, "timeout": "0.3"})
    attempts = 1 if fault == "silence" else 2
    store = RemoteStore(hasty, service.prefix, timeout=0.3, retries=Retries(attempts, 10, 0.002, 0.01))
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: read_all(store, name_of(content)),
        lambda: names_in(store),
        lambda: store.put(name_of(b"new"), b"new"),
        lambda: store.stat(name_of(content)),
        store.probe,
    ]
    for operation in operations[:: 3 if fault == "silence" else 1]:
        with pytest.raises(StoreUnavailable, match=r"cannot be reached or broke off|did not answer"):
            await operation()
    await store.close()
    assert await read_all(plain, name_of(content)) == content
    await plain.close()
