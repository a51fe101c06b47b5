"""Blobs in a container of Azure Blob Storage.

Six calls of its REST API over urllib3: azure-storage-blob reads a block whole before it hands out a byte, or else asks
anew for every piece. azure-identity finds credentials where the configuration has none.
https://learn.microsoft.com/rest/api/storageservices/put-blob and the pages beside it
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
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import urllib3
from lxml import etree

from backends.base import (
    ByteRange,
    StoreFull,
    StoreMisconfigured,
    StoreRefused,
    StoreUnavailable,
)
from backends.calls import THREADS, Body
from backends.http import PASSING, Http, HttpBody, Nothing, retry_after, starts_at
from backends.remote import Entry, RemoteStore
from backends.settings import read_prefix, read_timeout, read_url

VERSION = "2021-12-02"
PAGE = 1000
TOKEN_SCOPE = "https://storage.azure.com/.default"
RENEW_SECONDS = 300
TAKEN = {"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"}
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


def open_store(config: Mapping[str, str]) -> RemoteStore:
    """Raises StoreMisconfigured. Does no I/O."""
    return RemoteStore(AzureContainer(config), read_prefix(config), timeout=read_timeout(config))


def identity(config: Mapping[str, str]) -> str:
    return f"{read_account(config).url}/{config['container']}/{read_prefix(config)}"


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


class AzureContainer:
    """A Container of the Blob service's calls."""

    def __init__(self, config: Mapping[str, str]) -> None:
        account = read_account(config)
        self._http = Http(account.url, timeout=read_timeout(config), connections=THREADS)
        self._signer = _signer(account)
        self._sas = account.sas
        self._container = config["container"]
        self._url = f"{account.url}/{quote(self._container, safe='')}"

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        return self._put(key, content, {"If-None-Match": "*"})

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        if not self._put(key, content, {}):
            raise StoreRefused(f"the container {self._container!r} does not let a blob be replaced")

    def _put(self, key: str, content: bytes, condition: Mapping[str, str]) -> bool:
        sent = {
            **condition,
            "Content-Type": "application/octet-stream",
            "Content-MD5": _md5(content),
            "x-ms-blob-type": "BlockBlob",
        }
        with self._asked("PUT", key, "write", headers=sent, body=content, well=(201, 409, 412)) as answer:
            told = self._http.whole(answer)
            if answer.status == 201:
                return True
            if _code(answer, told) in TAKEN:
                return False
            raise self._translated(answer, told, "write")

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        found = self._find(key)
        if found is None or found.headers["Content-Length"] != str(len(content)):
            return False
        return bool(found.headers.get("Content-MD5") == _md5(content))

    def _find(self, key: str) -> urllib3.BaseHTTPResponse | None:
        with self._asked("HEAD", key, "read", well=(200, 404)) as answer:
            self._http.whole(answer)
            if answer.status == 404 and _code(answer, b"") == "ContainerNotFound":
                raise self._translated(answer, b"", "read")
            return answer if answer.status == 200 else None

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        ranged = {"x-ms-range": f"bytes={span.start}-{span.stop - 1}"} if span is not None else {}
        with self._asked("GET", key, "read", headers=ranged, well=(200, 206, 404, 416)) as answer:
            if answer.status in (404, 416):
                told = self._http.whole(answer)
                if _code(answer, told) == "ContainerNotFound":
                    raise self._translated(answer, told, "read")
                return Nothing() if answer.status == 416 else None
            if span is not None and not starts_at(answer, span.start):
                answer.close()
                raise StoreRefused(f"{self._http.base} does not serve ranges of a blob")
            return HttpBody(self._http, answer)

    def head(self, key: str) -> Entry | None:
        found = self._find(key)
        if found is None:
            return None
        told = found.headers
        return Entry(key, int(told["Content-Length"]), _seconds(told["Last-Modified"]), told["ETag"])

    def remove(self, key: str, version: str) -> None:
        # A blob that has snapshots can only go with them.
        sent = {"x-ms-delete-snapshots": "include", "If-Match": version}
        with self._asked("DELETE", key, "delete", headers=sent, well=(202, 404, 412)) as answer:
            told = self._http.whole(answer)
            if _code(answer, told) == "ConditionNotMet":
                raise StoreUnavailable("a blob was written again while it was being removed")
            if answer.status == 412:
                raise self._translated(answer, told, "delete")
            if _code(answer, told) == "ContainerNotFound":
                raise self._translated(answer, told, "delete")

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(PAGE)}
        if token:
            query["marker"] = token
        with self._asked("GET", "", "list", query) as answer:
            listing = _xml(self._http.whole(answer))
        return [_entry(blob) for blob in listing.iterfind("Blobs/Blob")], listing.findtext("NextMarker") or ""

    def check(self) -> None:
        with self._asked("GET", "", "list", {"restype": "container", "comp": "list", "maxresults": "1"}) as answer:
            self._http.whole(answer)

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def _asked(
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
        answer = self._http.send(method, f"{url}?{asked}" if asked else url, sent, (body,) if body else ())
        if answer.status not in well:
            raise self._translated(answer, self._http.whole(answer), permission)
        yield answer

    def _translated(self, answer: urllib3.BaseHTTPResponse, body: bytes, permission: str) -> Exception:
        status, code = answer.status, _code(answer, body)
        if status in PASSING or code in ("Md5Mismatch", "ContainerBeingDeleted"):
            return StoreUnavailable(f"{self._http.base} answers {status} {code}", retry_after(answer.headers))
        if code == "AccountIsFull":
            return StoreFull(f"the storage account of {self._container!r} is full")
        if code == "ContainerNotFound":
            return StoreMisconfigured(
                f"there is no container {self._container!r} at {self._http.base}: make it, or correct 'container'"
            )
        if code in UNKNOWN or status == 401:
            return StoreMisconfigured(
                f"{self._http.base} does not accept the credentials ({code}): correct account_key, sas or"
                " connection_string, and see that this machine's clock is right"
            )
        if status == 403:
            return StoreMisconfigured(
                f"{self._http.base} refuses access ({code}): the credentials need the permission to {permission} blobs"
                f" of the container {self._container!r}, which the role Storage Blob Data Contributor gives"
            )
        return StoreRefused(f"{self._http.base} answers {status} {code}")


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


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _code(answer: urllib3.BaseHTTPResponse, body: bytes) -> str:
    """Azure's name of an error, which is in a header; an emulator may have it in the document alone."""
    told = answer.headers.get("x-ms-error-code", "")
    if not told and answer.status >= 400 and body.lstrip(b"\xef\xbb\xbf").startswith(b"<"):
        try:
            told = _xml(body).findtext("Code") or ""
        except StoreUnavailable:
            return ""
    return told


def _xml(body: bytes) -> Any:
    try:
        return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except etree.XMLSyntaxError as error:
        raise StoreUnavailable("the service does not answer as Azure does") from error


def _entry(blob: Any) -> Entry:
    size, changed = blob.findtext("Properties/Content-Length"), blob.findtext("Properties/Last-Modified")
    return Entry(blob.findtext("Name"), int(size), _seconds(changed))


def _seconds(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()
