"""The store on Azure Blob Storage, against Azurite."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from backends import azure, azure_client
from backends.base import BlobStore, StoreFull, StoreMisconfigured, StoreUnavailable, read_all
from backends.registry import identity, mask, open_store
from backends.remote import RemoteStore
from backends.retrying import Retries
from tests import services
from tests.contracts.blob_store import RemoteStoreContract, name_of, names_in
from tests.e2e.harness import free_port, unique
from tests.faults import Faults, proxy

KEY = base64.b64encode(b"key").decode()


class TestAzurite(RemoteStoreContract):
    @pytest.fixture
    def config(self, azurite: dict[str, str]) -> dict[str, str]:
        return {**azurite, "prefix": unique("test")}

    @pytest.fixture
    async def store(self, config: dict[str, str]) -> AsyncIterator[BlobStore]:
        store = open_store("azure", config)
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, config: dict[str, str]) -> services.AzureKeys:
        return services.AzureKeys(config)


async def test_a_scan_goes_on_page_after_page(azurite: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "PAGE", 3)
    store = open_store("azure", {**azurite, "prefix": unique("test")})
    contents = {name_of(b"%d" % number, scope): b"%d" % number for number in range(5) for scope in ("default", "acme")}
    for name, content in contents.items():
        await store.put(name, content)
    assert await names_in(store) == set(contents)
    await store.close()


def sas(config: dict[str, str], **permissions: bool) -> str:
    return generate_container_sas(
        "devstoreaccount1",
        config["container"],
        account_key=services.AZURE_KEY,
        permission=ContainerSasPermissions(**permissions),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )


async def test_a_shared_access_signature_gets_in_as_far_as_it_says(azurite: dict[str, str]) -> None:
    bare = {"container": "blobs", "account_url": azurite["account_url"], "prefix": unique("test")}
    able = open_store("azure", {**bare, "sas": "?" + sas(azurite, read=True, write=True, delete=True, list=True)})
    await able.put(name_of(b"x"), b"x")
    assert await read_all(able, name_of(b"x")) == b"x"
    assert await names_in(able) == {name_of(b"x")}
    await able.close()
    reader = open_store("azure", {**bare, "sas": sas(azurite, read=True, list=True)})
    await reader.probe()  # type: ignore[attr-defined]
    assert await read_all(reader, name_of(b"x")) == b"x"
    with pytest.raises(StoreMisconfigured, match="need the permission to write blobs of the container 'blobs'"):
        await reader.put(name_of(b"y"), b"y")
    await reader.close()


async def test_a_connection_string_is_enough(azurite: dict[str, str]) -> None:
    text = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={services.AZURE_KEY};"
    config = {"container": "blobs", "connection_string": f"{text}BlobEndpoint={azurite['account_url']};"}
    store = open_store("azure", config)
    await store.probe()  # type: ignore[attr-defined]
    await store.close()
    assert identity("azure", config) == identity("azure", azurite)


async def test_what_is_wrong_with_the_real_thing_is_said(azurite: dict[str, str]) -> None:
    for wrong, message in [
        ({"container": "nonesuch"}, "there is no container 'nonesuch' at http"),
        ({"account_key": KEY}, "refuses access .AuthorizationFailure.: the credentials need"),
        ({"account_url": f"http://127.0.0.1:{free_port()}/devstoreaccount1"}, "cannot be reached"),
    ]:
        store = open_store("azure", {**azurite, **wrong})
        with pytest.raises((StoreMisconfigured, StoreUnavailable), match=message):
            await store.probe()  # type: ignore[attr-defined]
        await store.close()
    gone = open_store("azure", {**azurite, "container": "nonesuch"})
    for operation in (gone.stat(name_of(b"x")), read_all(gone, name_of(b"x")), gone.delete(name_of(b"x"))):
        with pytest.raises(StoreMisconfigured, match="there is no container"):
            await operation
    await gone.close()


@pytest.fixture
def told(azurite: dict[str, str]) -> Iterator[tuple[Faults, dict[str, str]]]:
    """Azurite, by way of a proxy that can be told what to answer, as Azure would."""
    faults = Faults()
    with proxy(azurite["account_url"], faults) as url:
        yield faults, {**azurite, "account_url": url}


def error(status: int, code: str) -> tuple[int, str, bytes]:
    document = f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>m</Message></Error>'
    return status, "application/xml", document.encode()


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            error(403, "AuthenticationFailed"),
            StoreMisconfigured,
            "does not accept the credentials .AuthenticationFailed",
        ),
        (error(403, "AuthorizationPermissionMismatch"), StoreMisconfigured, "Storage Blob Data Contributor"),
        (error(404, "ContainerNotFound"), StoreMisconfigured, "there is no container 'blobs'"),
        (error(409, "AccountIsFull"), StoreFull, "is full"),
        (error(409, "ContainerBeingDeleted"), StoreUnavailable, "ContainerBeingDeleted"),
        (error(503, "ServerBusy"), StoreUnavailable, "answers 503 ServerBusy"),
        (error(500, "OperationTimedOut"), StoreUnavailable, "answers 500 OperationTimedOut"),
        (error(400, "Md5Mismatch"), StoreUnavailable, "answers 400 Md5Mismatch"),
        ((502, "text/html", b"<html>"), StoreUnavailable, "answers 502"),
    ],
)
async def test_what_azure_says_is_passed_on(
    told: tuple[Faults, dict[str, str]], answer: tuple[int, str, bytes], kind: type[Exception], message: str
) -> None:
    faults, config = told
    store = RemoteStore(azure.AzureContainer(config), "", timeout=5, retries=Retries(2, 5, 0.001))
    faults.answers = [answer] * 10
    with pytest.raises(kind, match=message):
        await store.put(name_of(b"x"), b"x")
    await store.close()


def test_identities_give_tokens_that_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Credential:
        def get_token(self, scope: str) -> AccessToken:
            assert scope == "https://storage.azure.com/.default"
            given.append(scope)
            return AccessToken(f"token{len(given)}", int(time.time()) + (10 if len(given) == 1 else 3600))

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Credential)
    signer = azure_client._signer(azure_client.read_account({"account_url": "https://a.blob.core.windows.net"}))
    tokens = [signer.sign("GET", "https://a.blob.core.windows.net/c", {}, {}, 0)["Authorization"] for _ in range(3)]
    assert tokens == ["Bearer token1", "Bearer token2", "Bearer token2"]


def test_no_identity_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Credential:
        def get_token(self, scope: str) -> Any:
            raise ClientAuthenticationError("nobody is logged in\nand much more")

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Credential)
    signer = azure_client._signer(azure_client.read_account({"account_url": "https://a.blob.core.windows.net"}))
    with pytest.raises(StoreMisconfigured, match=r"no Azure credentials: give account_key.*\(nobody is logged in\)"):
        signer.sign("GET", "https://a.blob.core.windows.net/c", {}, {}, 0)


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        (f"AccountName=a;AccountKey={KEY}", "https://a.blob.core.windows.net", "a"),
        (
            f"AccountName=a;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            "https://a.blob.core.chinacloudapi.cn",
            "a",
        ),
        (f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={KEY}", "http://a.blob.core.windows.net", "a"),
        ("BlobEndpoint=https://a.example/;SharedAccessSignature=sv=1&sig=x%3D", "https://a.example", "a"),
        ("UseDevelopmentStorage=true", "http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1"),
    ],
)
def test_connection_strings(text: str, url: str, name: str) -> None:
    account = azure_client.read_account({"connection_string": text})
    assert (account.url, account.name) == (url, name)
    assert (account.key is None) == ("AccountKey" not in text and "Development" not in text)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "either account_url or connection_string"),
        ({"account_url": "https://a", "connection_string": "AccountName=a"}, "either account_url or connection_string"),
        ({"account_url": "file:///etc/passwd"}, "account_url must be like https://host"),
        ({"account_url": "http://169.254.169.254", "account_key": KEY}, "link-local"),
        ({"connection_string": "BlobEndpoint=http://169.254.169.254;AccountName=a"}, "link-local"),
        ({"connection_string": "nonsense"}, "connection_string is not"),
        ({"connection_string": f"AccountKey={KEY}"}, "neither BlobEndpoint nor AccountName"),
        ({"account_url": "https://a", "account_key": "%"}, "account_key is not base64"),
        ({"account_url": "https://a", "account_key": KEY, "sas": "sig=x"}, "not both"),
        ({"account_url": "https://a", "sas": "sv=1"}, "it has no sig"),
        ({"account_url": "http://a"}, "needs account_key or sas where account_url is not https"),
        ({"account_url": "https://a", "key": "x"}, "azure has no setting key"),
    ],
)
def test_what_cannot_be_a_configuration_is_refused(config: dict[str, str], message: str) -> None:
    with pytest.raises(StoreMisconfigured, match=message):
        open_store("azure", {"container": "blobs", **config})


def test_secrets_are_masked() -> None:
    shown = mask("azure", {"container": "c", "connection_string": "one", "account_key": "two", "sas": "three"})
    assert shown == {"container": "c", "connection_string": "********", "account_key": "********", "sas": "********"}


async def test_a_removal_takes_nothing_that_was_written_since(azurite: dict[str, str]) -> None:
    container = azure.AzureContainer(azurite)
    key = unique("key")
    container.create(key, b"x", "")
    first = container.head(key)
    container.replace(key, b"x", "")
    assert first is not None and first.version
    with pytest.raises(StoreUnavailable, match="written again while it was being removed"):
        container.remove(key, first.version)
    second = container.head(key)
    assert second is not None
    container.remove(key, second.version)
    assert container.head(key) is None
    container.close()
