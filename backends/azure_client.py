"""Azure's Blob service: an account, its credentials, one request, and what its errors mean.

Its REST API over urllib3: azure-storage-blob reads a block whole before it hands out a byte, or else asks anew for
every piece. azure-identity finds credentials where the configuration has none.
https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import urllib3
from lxml import etree

from backends.base import StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.calls import THREADS
from backends.http import PASSING, Http, retry_after
from backends.settings import read_timeout, read_url

VERSION = "2021-12-02"
TOKEN_SCOPE = "https://storage.azure.com/.default"
RENEW_SECONDS = 300
UNKNOWN = {
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "PublicAccessNotPermitted",
}
EMULATOR = {
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
    "AccountName": "devstoreaccount1",
    # Not a secret: every emulator of Azure's storage has it.
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
}


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account: its address, and what is known to get in."""

    url: str
    name: str
    key: bytes | None
    sas: str


def read_account(config: Mapping[str, str]) -> Account:
    """The account of a configuration. Raises StoreMisconfigured."""
    text = config.get("connection_string")
    if (text is None) == ("account_url" not in config):
        raise StoreMisconfigured("azure needs either account_url or connection_string")
    told = _connection(text) if text is not None else {"BlobEndpoint": config["account_url"]}
    url = read_url("account_url", told.get("BlobEndpoint") or _default_endpoint(told))
    key = config.get("account_key") or told.get("AccountKey")
    sas = (config.get("sas") or told.get("SharedAccessSignature") or "").lstrip("?")
    if key and sas:
        raise StoreMisconfigured("azure takes account_key or sas, not both")
    return Account(url, told.get("AccountName") or _account_name(url), _key(key) if key else None, sas)


def _connection(text: str) -> dict[str, str]:
    """The fields of a connection string, as Azure's portal shows it."""
    pairs = [part.partition("=") for part in text.strip().strip(";").split(";")]
    if any(not name or not equals for name, equals, _ in pairs):
        raise StoreMisconfigured("connection_string is not name=value;name=value…")
    told = {name: value for name, _, value in pairs}
    return EMULATOR if told.get("UseDevelopmentStorage") == "true" else told


def _default_endpoint(told: Mapping[str, str]) -> str:
    if "AccountName" not in told:
        raise StoreMisconfigured("connection_string has neither BlobEndpoint nor AccountName")
    suffix = told.get("EndpointSuffix", "core.windows.net")
    return f"{told.get('DefaultEndpointsProtocol', 'https')}://{told['AccountName']}.blob.{suffix}"


def _account_name(url: str) -> str:
    """An emulator has the account in the path, Azure in the host."""
    parts = urlsplit(url)
    return parts.path.strip("/") or (parts.hostname or "").partition(".")[0]


def _key(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise StoreMisconfigured("account_key is not base64") from None


class AzureClient:
    """Requests to one container."""

    def __init__(self, config: Mapping[str, str]) -> None:
        account = read_account(config)
        self.http = Http(account.url, timeout=read_timeout(config), connections=THREADS)
        self.container = config["container"]
        self._signer = _signer(account)
        self._sas = account.sas
        self._url = f"{account.url}/{quote(self.container, safe='')}"

    @contextmanager
    def asked(
        self,
        method: str,
        key: str,
        permission: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        well: tuple[int, ...] = (200,),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a request, when its status is one of those that are ``well``."""
        url = f"{self._url}/{quote(key)}" if key else self._url
        sent = {**(headers or {}), "x-ms-version": VERSION, "x-ms-date": formatdate(usegmt=True)}
        sent |= self._signer.sign(method, url, query or {}, sent, len(body))
        asked = "&".join(part for part in (urlencode(query or {}, quote_via=quote), self._sas) if part)
        answer = self.http.send(method, f"{url}?{asked}" if asked else url, sent, (body,) if body else ())
        if answer.status not in well:
            raise self.translated(answer, self.http.whole(answer), permission)
        yield answer

    def translated(self, answer: urllib3.BaseHTTPResponse, body: bytes, permission: str) -> Exception:
        status, code = answer.status, code_of(answer, body)
        if status in PASSING or code in ("Md5Mismatch", "ContainerBeingDeleted"):
            return StoreUnavailable(f"{self.http.base} answers {status} {code}", retry_after(answer.headers))
        if code == "AccountIsFull":
            return StoreFull(f"the storage account of {self.container!r} is full")
        if code == "ContainerNotFound":
            return StoreMisconfigured(
                f"there is no container {self.container!r} at {self.http.base}: make it, or correct 'container'"
            )
        if code in UNKNOWN or status == 401:
            return StoreMisconfigured(
                f"{self.http.base} does not accept the credentials ({code}): correct account_key, sas or"
                " connection_string, and see that this machine's clock is right"
            )
        if status == 403:
            return StoreMisconfigured(
                f"{self.http.base} refuses access ({code}): the credentials need the permission to {permission} blobs"
                f" of the container {self.container!r}, which the role Storage Blob Data Contributor gives"
            )
        return StoreRefused(f"{self.http.base} answers {status} {code}")


class _Unsigned:
    """The address says it all: a shared access signature is part of each URL."""

    def sign(
        self, method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str], length: int
    ) -> dict[str, str]:
        return {}


class _SharedKey(_Unsigned):
    """Each request is signed with the account's key.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """

    NAMED = ("Content-MD5", "Content-Type", "Date", "If-Modified-Since", "If-Match", "If-None-Match")
    LAST = ("If-Unmodified-Since", "Range")

    def __init__(self, name: str, key: bytes) -> None:
        self._name = name
        self._key = key

    def sign(
        self, method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str], length: int
    ) -> dict[str, str]:
        own = sorted((name.lower(), value) for name, value in headers.items() if name.lower().startswith("x-ms-"))
        lines = [method, "", "", str(length) if length else ""]
        lines += [headers.get(name, "") for name in (*self.NAMED, *self.LAST)]
        lines += [f"{name}:{value}" for name, value in own]
        lines += [f"/{self._name}{urlsplit(url).path}"]
        lines += [f"{name}:{value}" for name, value in sorted(query.items())]
        digest = hmac.new(self._key, "\n".join(lines).encode(), hashlib.sha256).digest()
        return {"Authorization": f"SharedKey {self._name}:{base64.b64encode(digest).decode()}"}


class _Token(_Unsigned):
    """Azure's own identities: environment, workload, machine, or who is logged in with the az command."""

    def __init__(self) -> None:
        try:
            self._identity = importlib.import_module("azure.identity")
        except ModuleNotFoundError as error:
            raise StoreMisconfigured(
                "azure without account_key, sas or a connection_string that has one needs azure-identity: pip install"
                " 'nexus-gateway[azure]'"
            ) from error
        self._credential: Any = None
        self._token: Any = None
        self._lock = threading.Lock()

    def sign(
        self, method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str], length: int
    ) -> dict[str, str]:
        core = importlib.import_module("azure.core.exceptions")
        with self._lock:
            if self._token is None or self._token.expires_on < time.time() + RENEW_SECONDS:
                try:
                    self._credential = self._credential or self._identity.DefaultAzureCredential()
                    self._token = self._credential.get_token(TOKEN_SCOPE)
                except core.ClientAuthenticationError as error:
                    raise StoreMisconfigured(
                        "no Azure credentials: give account_key, sas or connection_string, or set AZURE_CLIENT_ID,"
                        f" AZURE_TENANT_ID and AZURE_CLIENT_SECRET for the server ({error.message.splitlines()[0]})"
                    ) from error
                except core.AzureError as error:
                    raise StoreUnavailable(f"Azure's token service cannot be reached: {error}") from error
            return {"Authorization": f"Bearer {self._token.token}"}


def _signer(account: Account) -> _Unsigned:
    if account.key is not None:
        return _SharedKey(account.name, account.key)
    if account.sas:
        if not any(name == "sig" for name, _ in parse_qsl(account.sas)):
            raise StoreMisconfigured("sas is not a shared access signature: it has no sig=…")
        return _Unsigned()
    if not account.url.startswith("https:"):
        raise StoreMisconfigured("azure needs account_key or sas where account_url is not https")
    return _Token()


def md5_of(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def code_of(answer: urllib3.BaseHTTPResponse, body: bytes) -> str:
    """Azure's name of an error, which is in a header; an emulator may have it in the document alone."""
    told = answer.headers.get("x-ms-error-code", "")
    if not told and answer.status >= 400 and body.lstrip(b"\xef\xbb\xbf").startswith(b"<"):
        try:
            told = parsed(body).findtext("Code") or ""
        except StoreUnavailable:
            return ""
    return told


def parsed(body: bytes) -> Any:
    try:
        return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except etree.XMLSyntaxError as error:
        raise StoreUnavailable("the service does not answer as Azure does") from error
