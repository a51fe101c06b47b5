"""Blobs in a container of Azure Blob Storage.

https://learn.microsoft.com/rest/api/storageservices/put-blob and the pages beside it
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from backends.azure_client import AzureClient, code_of, md5_of, parsed, read_account
from backends.azure_native import AzureNative
from backends.base import ByteRange, StoreRefused, StoreUnavailable
from backends.calls import Body
from backends.http import HttpBody, Nothing, starts_at
from backends.remote import Entry, RemoteStore
from backends.remote_native import RemoteNative
from backends.settings import read_prefix, read_timeout

PAGE = 1000
TAKEN = {"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"}


def open_store(config: Mapping[str, str]) -> RemoteStore:
    """Raises StoreMisconfigured. Does no I/O."""
    return RemoteStore(AzureContainer(config), read_prefix(config), timeout=read_timeout(config))


def open_native(config: Mapping[str, str]) -> RemoteNative:
    """Raises StoreMisconfigured. Does no I/O."""
    return RemoteNative(AzureNative(AzureClient(config)), read_prefix(config), timeout=read_timeout(config))


def identity(config: Mapping[str, str]) -> str:
    return f"{read_account(config).url}/{config['container']}/{read_prefix(config)}"


class AzureContainer:
    """A Container of the Blob service's calls."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self._client = AzureClient(config)
        self._http = self._client.http

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        return self._put(key, content, {"If-None-Match": "*"})

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        if not self._put(key, content, {}):
            raise StoreRefused(f"the container {self._client.container!r} does not let a blob be replaced")

    def _put(self, key: str, content: bytes, condition: Mapping[str, str]) -> bool:
        sent = {
            **condition,
            "Content-Type": "application/octet-stream",
            "Content-MD5": md5_of(content),
            "x-ms-blob-type": "BlockBlob",
        }
        with self._client.asked("PUT", key, "write", headers=sent, body=content, well=(201, 409, 412)) as answer:
            told = self._http.whole(answer)
            if answer.status == 201:
                return True
            if code_of(answer, told) in TAKEN:
                return False
            raise self._client.translated(answer, told, "write")

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        found = self._find(key)
        if found is None or found.headers["Content-Length"] != str(len(content)):
            return False
        return bool(found.headers.get("Content-MD5") == md5_of(content))

    def _find(self, key: str) -> urllib3.BaseHTTPResponse | None:
        with self._client.asked("HEAD", key, "read", well=(200, 404)) as answer:
            self._http.whole(answer)
            if answer.status == 404 and code_of(answer, b"") == "ContainerNotFound":
                raise self._client.translated(answer, b"", "read")
            return answer if answer.status == 200 else None

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        ranged = {"x-ms-range": f"bytes={span.start}-{span.stop - 1}"} if span is not None else {}
        with self._client.asked("GET", key, "read", headers=ranged, well=(200, 206, 404, 416)) as answer:
            if answer.status in (404, 416):
                told = self._http.whole(answer)
                if code_of(answer, told) == "ContainerNotFound":
                    raise self._client.translated(answer, told, "read")
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
        with self._client.asked("DELETE", key, "delete", headers=sent, well=(202, 404, 412)) as answer:
            told = self._http.whole(answer)
            if code_of(answer, told) == "ConditionNotMet":
                raise StoreUnavailable("a blob was written again while it was being removed")
            if answer.status == 412:
                raise self._client.translated(answer, told, "delete")
            if code_of(answer, told) == "ContainerNotFound":
                raise self._client.translated(answer, told, "delete")

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(PAGE)}
        if token:
            query["marker"] = token
        with self._client.asked("GET", "", "list", query) as answer:
            listing = parsed(self._http.whole(answer))
        return [_entry(blob) for blob in listing.iterfind("Blobs/Blob")], listing.findtext("NextMarker") or ""

    def check(self) -> None:
        with self._client.asked(
            "GET", "", "list", {"restype": "container", "comp": "list", "maxresults": "1"}
        ) as answer:
            self._http.whole(answer)

    def close(self) -> None:
        self._http.close()


def _entry(blob: Any) -> Entry:
    size, changed = blob.findtext("Properties/Content-Length"), blob.findtext("Properties/Last-Modified")
    return Entry(blob.findtext("Name"), int(size), _seconds(changed))


def _seconds(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()
