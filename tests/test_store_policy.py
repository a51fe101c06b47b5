"""What a store's configuration may point the server at."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends import pinned
from backends.base import StoreMisconfigured, StoreUnavailable, is_forbidden
from backends.http import Http
from backends.registry import open_store
from gateway.store_policy import StorePolicy, hosts_of
from tests.e2e.harness import free_port


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("::1", False),
        ("8.8.8.8", False),
    ],
)
def test_where_clouds_tell_credentials(address: str, forbidden: bool) -> None:
    assert is_forbidden(address) is forbidden


@pytest.mark.parametrize(
    ("config", "hosts"),
    [
        ({"endpoint_url": "http://minio:9000", "bucket": "b"}, ["minio"]),
        ({"endpoint": "http://[fe80::1]:80/"}, ["fe80::1"]),
        ({"connection_string": "BlobEndpoint=https://x.example/a;AccountKey=k=="}, ["x.example"]),
        ({"connection_string": "AccountName=a;EndpointSuffix=evil.example"}, ["evil.example"]),
        ({"host": "one, [::1]"}, ["one", "::1"]),
        ({"dsn": "host=one,two dbname=x"}, ["one", "two"]),
        ({"dsn": "postgresql://user:pw@db.example/x"}, ["db.example"]),
        ({"bucket": "b", "prefix": "x"}, []),
    ],
)
def test_every_host_of_a_configuration_is_seen(config: dict[str, str], hosts: list[str]) -> None:
    assert list(hosts_of(config)) == hosts


def refusal(policy: StorePolicy, config: dict[str, str], kind: str = "s3", *others: tuple[str, dict[str, str]]) -> str:
    try:
        policy.check_open(config)
        policy.check_new(kind, config, others)
    except StoreMisconfigured as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        ((), "127.0.0.1", True),
        ((), "169.254.169.254", False),
        (("169.254.169.254",), "169.254.169.254", False),
        (("minio.example",), "127.0.0.1", False),
        (("127.0.0.0/8",), "127.0.0.1", True),
        (("127.0.0.0/8",), "localhost", True),
        (("10.0.0.0/8",), "localhost", False),
        (("LOCALHOST",), "localhost.", True),
        (("local*",), "localhost", True),
        (("*.example.com",), "localhost", False),
    ],
)
def test_hosts_are_allowed_by_name_and_by_where_they_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts: tuple[str, ...], host: str, allowed: bool
) -> None:
    def look_up(name: str, *rest: Any, **more: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1" if name.startswith("local") else name, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    told = refusal(StorePolicy(tmp_path, hosts), {"endpoint_url": f"http://{host}:9000"})
    assert (told == "") is allowed, told


def test_a_name_that_leads_to_metadata_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = [(socket.AF_INET, 1, 6, "", (address, 0)) for address in ("10.0.0.1", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *rest, **more: found)
    assert "link-local" in refusal(StorePolicy(tmp_path), {"endpoint_url": "http://innocent.example"})

    def fail(*rest: Any, **more: Any) -> Any:
        raise socket.gaierror("no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(StoreUnavailable, match="cannot be looked up"):
        StorePolicy(tmp_path).check_new("s3", {"endpoint_url": "http://away.example"}, [])
    StorePolicy(tmp_path).check_open({"endpoint_url": "http://away.example"})


@pytest.fixture
def forbidden_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """As if this machine were where a name leads to after it was checked."""
    return lambda: monkeypatch.setattr(pinned, "is_forbidden", lambda address: address == "127.0.0.1")


async def test_a_connection_looks_whom_it_reached(moto: dict[str, str], forbidden_here: Callable[[], None]) -> None:
    store: Any = open_store("s3", moto)
    await store.probe()
    forbidden_here()
    other: Any = open_store("s3", moto)
    with pytest.raises((StoreMisconfigured, StoreUnavailable), match="it is refused"):
        await other.probe()
    http = Http(moto["endpoint_url"], timeout=5, connections=1)
    with pytest.raises(StoreMisconfigured, match="it is refused"):
        http.send("GET", moto["endpoint_url"], {})
    for each in (store, other):
        await each.close()
    http.close()


def test_credentials_stay_in_their_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "keys" / "a.json", tmp_path / "b.json"
    inside.parent.mkdir()
    (tmp_path / "keys" / "link").symlink_to(outside)
    policy = StorePolicy(tmp_path, (), tmp_path / "keys")
    assert refusal(policy, {"credentials_path": str(inside)}) == ""
    for path in (outside, tmp_path / "keys" / "link", tmp_path / "keys" / ".." / "b.json"):
        assert "credentials_path must be in" in refusal(policy, {"credentials_path": str(path)})
    assert refusal(StorePolicy(tmp_path), {"credentials_path": str(outside)}) == ""


@pytest.mark.parametrize(
    ("place", "layout", "told"),
    [
        ("/proc/self", "cas", "no place for files"),
        ("/sys", "cas", "no place for files"),
        ("/dev/x", "cas", "no place for files"),
        ("/dev/shm/x", "cas", ""),
        ("data", "cas", "keeps its own"),
        ("data/metrics/x", "cas", "keeps its own"),
        ("data/catalog.db/x", "cas", "keeps its own"),
        ("data/store", "cas", ""),
        (".", "native", "its master key too"),
        (".", "cas", "overlaps"),
        ("elsewhere", "native", ""),
        ("blobs/cas", "native", "overlaps"),
        ("blobs", "native", "overlaps"),
        ("blobs/x", "cas", ""),
        ("plain/x", "cas", "overlaps"),
        ("plain/x", "native", ""),
    ],
)
def test_directories_do_not_get_in_each_others_way(tmp_path: Path, place: str, layout: str, told: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalog.db").touch()
    others = [
        ("local", {"data_dir": str(tmp_path / "blobs")}),
        ("local", {"data_dir": str(tmp_path / "plain"), "layout": "native"}),
        ("memory", {"name": "x"}),
    ]
    config = {"data_dir": str(tmp_path / place), "layout": layout}
    found = refusal(StorePolicy(tmp_path / "data"), config, "local", *others)
    assert (told in found) if told else not found


def test_nobody_answers_there_is_told_as_before() -> None:
    http = Http(f"http://127.0.0.1:{free_port()}", timeout=1, connections=1)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        http.send("GET", http.base, {})
    http.close()
