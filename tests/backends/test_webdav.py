"""The store in a folder of a WebDAV server, against rclone's."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends import webdav as module
from backends.base import BlobStore, StoreError, StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.registry import identity, mask, open_store
from backends.remote import RemoteStore
from backends.retrying import Retries
from tests import services
from tests.contracts.blob_store import RemoteStoreContract, name_of, names_in
from tests.e2e.harness import free_port, unique
from tests.faults import Faults, proxy


class TestWebdav(RemoteStoreContract):
    @pytest.fixture
    def config(self, webdav: dict[str, str]) -> dict[str, str]:
        return {**webdav, "prefix": unique("test")}

    @pytest.fixture
    async def store(self, config: dict[str, str]) -> AsyncIterator[BlobStore]:
        store = open_store("webdav", config)
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, config: dict[str, str]) -> services.WebdavKeys:
        return services.WebdavKeys(config)


@pytest.fixture
def dav(webdav: dict[str, str]) -> Iterator[tuple[Faults, dict[str, str]]]:
    """The server by way of a proxy that can be told what to answer."""
    faults = Faults()
    with proxy(webdav["url"], faults) as url:
        yield faults, {**webdav, "url": url, "prefix": unique("test")}


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, StoreMisconfigured, "does not accept the credentials: correct 'user' and 'password'"),
        (403, StoreMisconfigured, "refuses MKCOL: the user needs to read, write, list, move and delete"),
        (405, StoreRefused, "does not let us write: it answers 405"),
        (423, StoreUnavailable, "answers 423"),
        (503, StoreUnavailable, "answers 503"),
        (507, StoreFull, "takes no more"),
    ],
)
async def test_what_is_wrong_is_said(
    dav: tuple[Faults, dict[str, str]], status: int, kind: type[Exception], message: str
) -> None:
    faults, config = dav
    container = module.WebdavFolder(config)
    container.head("wakes")
    container._swept.acquire()
    store = RemoteStore(container, "", timeout=5, retries=Retries(2, 5, 0.001))
    faults.answers = [(status, "text/plain", b"no")] * 10
    with pytest.raises(kind, match=message):
        await store.put(name_of(b"x"), b"x")
    await store.close()


async def test_what_cannot_be_moved_leaves_nothing(webdav: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    config = {**webdav, "prefix": unique("test")}
    folder = module.WebdavFolder(config)
    store = RemoteStore(folder, f"{config['prefix']}/", timeout=5, retries=Retries(1, 5, 0.001))
    await store.put(name_of(b"first"), b"first")
    deliver = folder._deliver

    def fail_to_move(method: str, *rest: Any, **more: Any) -> int:
        if method == "MOVE":
            raise StoreUnavailable("it broke off")
        return deliver(method, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "_deliver", fail_to_move)
        with pytest.raises(StoreUnavailable):
            await store.put(name_of(b"second"), b"second")
    assert await names_in(store) == {name_of(b"first")}
    await store.put(name_of(b"second"), b"second")
    assert await names_in(store) == {name_of(b"first"), name_of(b"second")}
    aside = folder._members(f"{config['prefix']}/tmp/", depth="1")
    assert aside == []
    await store.close()


async def test_what_never_arrived_is_cleared_away(tmp_path: Path) -> None:
    with services.webdav(tmp_path) as config:
        aside = tmp_path / "dav" / "p" / "tmp"
        aside.mkdir(parents=True)
        for name, age in (("old", 2 * 86_400), ("new", 60)):
            (aside / name).write_bytes(b"half a bl")
            os.utime(aside / name, (time.time() - age,) * 2)
        store = open_store("webdav", {**config, "prefix": "p"})
        await store.put(name_of(b"x"), b"x")
        assert [path.name for path in aside.iterdir()] == ["new"]
        assert await names_in(store) == {name_of(b"x")}
        await store.close()


async def test_a_folder_that_only_reads_says_so(tmp_path: Path) -> None:
    with services.webdav(tmp_path, "--read-only") as config:
        store = open_store("webdav", config)
        with pytest.raises(StoreError):
            await store.put(name_of(b"x"), b"x")
        assert await names_in(store) == set()
        await store.close()


async def test_a_probe_says_what_is_wrong(webdav: dict[str, str]) -> None:
    for config, message in (
        ({**webdav, "password": "wrong"}, "does not accept the credentials"),
        ({**webdav, "url": webdav["url"] + "/nonesuch"}, "there is no folder .*/nonesuch: make it, or correct 'url'"),
        ({"url": f"http://127.0.0.1:{free_port()}"}, "cannot be reached or broke off: (Failed|\\[Errno)"),
    ):
        store = open_store("webdav", config)
        with pytest.raises(StoreError, match=message):
            await store.probe()  # type: ignore[attr-defined]
        await store.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": "ftp://host"}, "url must be like https://host"),
        ({"url": "http://user:secret@host"}, "without credentials"),
        ({"user": "me"}, "a user needs a password"),
        ({"user": "me", "password": "x", "token": "y"}, "not both"),
    ],
)
def test_what_cannot_be_a_configuration_is_refused(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(StoreMisconfigured, match=message):
        open_store("webdav", {"url": "http://host", **wrong})


def test_secrets_are_not_shown_and_a_folder_is_one_store() -> None:
    config = {"url": "http://host/dav/", "user": "me", "password": "secret", "prefix": "/a/"}
    assert "secret" not in str(mask("webdav", config))
    assert identity("webdav", config) == identity("webdav", {"url": "http://host/dav", "prefix": "a"})
