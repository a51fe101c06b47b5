"""The store on Google Cloud Storage, against fake-gcs-server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from backends import gcs
from backends.base import BlobStore, StoreFull, StoreMisconfigured, StoreUnavailable
from backends.registry import identity, open_store
from backends.remote import RemoteStore
from backends.retrying import Retries
from tests import services
from tests.contracts.blob_store import RemoteStoreContract, name_of, names_in
from tests.e2e.harness import free_port, unique
from tests.faults import Faults, proxy


class TestFakeGcs(RemoteStoreContract):
    @pytest.fixture
    def config(self, fake_gcs: dict[str, str]) -> dict[str, str]:
        return {**fake_gcs, "prefix": unique("test")}

    @pytest.fixture
    async def store(self, config: dict[str, str]) -> AsyncIterator[BlobStore]:
        store = open_store("gcs", config)
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, config: dict[str, str]) -> services.GcsKeys:
        return services.GcsKeys(config)


async def test_a_scan_goes_on_page_after_page(fake_gcs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "PAGE", 3)
    store = open_store("gcs", {**fake_gcs, "prefix": unique("test")})
    names = {name_of(b"%d" % number, scope) for number in range(5) for scope in ("default", "acme")}
    for name in names:
        number = next(number for number in range(5) if name_of(b"%d" % number).digest == name.digest)
        await store.put(name, b"%d" % number)
    assert await names_in(store) == names
    await store.close()


async def test_an_emulator_is_found_by_its_variable(fake_gcs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for host in (fake_gcs["endpoint"], fake_gcs["endpoint"].removeprefix("http://")):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
        store = open_store("gcs", {"bucket": "blobs"})
        await store.probe()  # type: ignore[attr-defined]
        await store.close()
        assert identity("gcs", {"bucket": "blobs"}) == identity("gcs", fake_gcs)


@pytest.fixture
def google(fake_gcs: dict[str, str]) -> Iterator[tuple[Faults, dict[str, str]]]:
    """fake-gcs-server, by way of a proxy that can be told what to answer, as Google would."""
    faults = Faults()
    with proxy(fake_gcs["endpoint"], faults) as url:
        yield faults, {**fake_gcs, "endpoint": url}


def error(status: int, reason: str, message: str) -> tuple[int, str, bytes]:
    told = {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
    return status, "application/json", json.dumps(told).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            error(404, "notFound", "The specified bucket does not exist."),
            StoreMisconfigured,
            "no bucket 'blobs' of proj",
        ),
        (
            error(403, "forbidden", "sa@p lacks storage.objects.create"),
            StoreMisconfigured,
            "Storage Object",
        ),
        (
            error(401, "authError", "Invalid Credentials"),
            StoreMisconfigured,
            "does not accept the credentials: Invalid",
        ),
        (error(403, "rateLimitExceeded", "slow down"), StoreUnavailable, "answers 403 rateLimitExceeded"),
        (error(429, "", "slow down"), StoreUnavailable, "answers 429"),
        (error(403, "quotaExceeded", "too much"), StoreFull, "takes no more: too much"),
        ((502, "text/html", b"<html>bad gateway"), StoreUnavailable, "answers 502"),
        ((200, "text/html", b"<html>hotel login"), StoreUnavailable, "does not answer as Google Cloud Storage does"),
    ],
)
async def test_what_is_wrong_is_said(
    google: tuple[Faults, dict[str, str]], answer: tuple[int, str, bytes], kind: type[Exception], message: str
) -> None:
    faults, config = google
    store = RemoteStore(gcs.GcsBucket({**config, "project_id": "proj"}), "", timeout=5, retries=Retries(2, 5, 0.001))
    faults.answers = [answer] * 10
    with pytest.raises(kind, match=message):
        await store.put(name_of(b"x"), b"x")
    await store.close()


async def test_a_missing_bucket_is_told_from_a_missing_object(fake_gcs: dict[str, str]) -> None:
    store = open_store("gcs", {**fake_gcs, "bucket": "nonesuch"})
    with pytest.raises(StoreMisconfigured, match="there is no bucket 'nonesuch' at http"):
        await store.probe()  # type: ignore[attr-defined]
    await store.close()


def service_account(path: Path, token_uri: str) -> str:
    key = rsa.generate_private_key(65537, 2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    told = {"type": "service_account", "client_email": "sa@p", "private_key": text, "token_uri": token_uri}
    path.write_text(json.dumps(told))
    return str(path)


async def test_credentials_become_tokens(google: tuple[Faults, dict[str, str]], tmp_path: Path) -> None:
    faults, config = google
    issuer = Faults()

    def token(name: str) -> tuple[int, str, bytes]:
        return 200, "application/json", json.dumps({"access_token": name, "expires_in": 3600}).encode()

    with proxy(config["endpoint"], issuer) as token_uri:
        store = open_store("gcs", {**config, "credentials_path": service_account(tmp_path / "sa.json", token_uri)})
        issuer.answers = [token("one"), token("two")]
        await store.put(name_of(b"x"), b"x")
        assert b"Bearer one" in faults.heads[-1]
        faults.answers = [error(401, "authError", "Invalid Credentials")]
        await store.put(name_of(b"y"), b"y")
        assert b"Bearer two" in faults.heads[-1]
        assert await names_in(store) >= {name_of(b"x"), name_of(b"y")}
        await store.close()
        issuer.answers = [(400, "application/json", b'{"error": "invalid_grant", "error_description": "no account"}')]
        store = open_store("gcs", {**config, "credentials_path": str(tmp_path / "sa.json")})
        with pytest.raises(StoreMisconfigured, match=r"does not accept the credentials.*no account"):
            await store.probe()  # type: ignore[attr-defined]
        await store.close()


async def test_no_credentials_are_said_to_be_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    store = open_store("gcs", {"bucket": "b"})
    with pytest.raises(StoreMisconfigured, match="no Google credentials: give credentials_path, or set GOOGLE_APP"):
        await store.probe()  # type: ignore[attr-defined]
    await store.close()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    store = open_store("gcs", {"bucket": "b"})
    with pytest.raises(StoreMisconfigured, match=r"no Google credentials.*nowhere\.json"):
        await store.probe()  # type: ignore[attr-defined]
    await store.close()


async def test_a_service_that_is_not_there_may_come_back() -> None:
    store = open_store("gcs", {"bucket": "b", "endpoint": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.probe()  # type: ignore[attr-defined]
    await store.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"endpoint": "file:///etc/passwd"}, "endpoint must be like https://host"),
        ({"endpoint": "http://169.254.169.254"}, "link-local"),
        ({"credentials_path": "sa.json"}, "credentials_path must be an absolute path"),
        ({"credentials_path": "/nonesuch/sa.json"}, "not a usable file of Google credentials"),
        ({"credentials_path": "/etc/hostname"}, "not a usable file of Google credentials"),
        ({"location": "EU"}, "gcs has no setting location"),
    ],
)
def test_what_cannot_be_a_configuration_is_refused(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(StoreMisconfigured, match=message):
        open_store("gcs", {"bucket": "blobs", **wrong})
