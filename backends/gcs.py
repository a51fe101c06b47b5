"""Blobs in a bucket of Google Cloud Storage.

https://cloud.google.com/storage/docs/json_api/v1/objects · https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from awscrt.checksums import crc32c

from backends.base import ByteRange, StoreRefused, StoreUnavailable
from backends.calls import Body
from backends.gcs_client import GcsClient, read_endpoint
from backends.gcs_native import GcsNative
from backends.http import HttpBody, Nothing, starts_at
from backends.remote import Entry, RemoteStore
from backends.remote_native import RemoteNative
from backends.settings import read_prefix, read_timeout

PAGE = 1000


def open_store(config: Mapping[str, str]) -> RemoteStore:
    """Raises StoreMisconfigured. Does no network I/O."""
    return RemoteStore(GcsBucket(config), read_prefix(config), timeout=read_timeout(config))


def open_native(config: Mapping[str, str]) -> RemoteNative:
    """As ``open_store``, in the layout ``native``."""
    prefix = read_prefix(config)
    return RemoteNative(GcsNative(config, prefix), prefix, timeout=read_timeout(config))


def identity(config: Mapping[str, str]) -> str:
    return f"{read_endpoint(config)}/{config['bucket']}/{read_prefix(config)}"


class GcsBucket:
    """A Container of the JSON API's calls."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self._client = GcsClient(config)

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        return self._put(key, content, ifGenerationMatch="0")

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        if not self._put(key, content):
            raise StoreRefused(f"the bucket {self._client.bucket!r} does not let an object be replaced")

    def _put(self, key: str, content: bytes, **condition: str) -> bool:
        checksum = _checksum(content)
        entry = {"name": key, "contentType": "application/octet-stream", "crc32c": checksum}
        boundary = secrets.token_hex(16)
        opening = (
            f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{json.dumps(entry)}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        url = self._client.upload(uploadType="multipart", fields="crc32c,size", **condition)
        body = (opening.encode(), content, f"\r\n--{boundary}--\r\n".encode())
        kind = {"Content-Type": f"multipart/related; boundary={boundary}"}
        status, told = self._client.told("POST", url, "storage.objects.create", kind, body, well=(200, 412))
        if status == 412:
            return False
        if told.get("crc32c") != checksum:
            raise StoreUnavailable("an object was damaged on its way to Google")
        return True

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        found = self._find(key)
        return found is not None and int(found["size"]) == len(content) and found.get("crc32c") == _checksum(content)

    def _find(self, key: str) -> dict[str, Any] | None:
        url = self._client.object(key, fields="size,crc32c,timeCreated,generation")
        status, told = self._client.told("GET", url, "storage.objects.get", well=(200, 404))
        return told if status == 200 else None

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        ranged = {"Range": f"bytes={span.start}-{span.stop - 1}"} if span is not None else {}
        url = self._client.object(key, alt="media")
        with self._client.asked("GET", url, "storage.objects.get", ranged, well=(200, 206, 404, 416)) as answer:
            if answer.status in (404, 416):
                self._client.http.whole(answer)
                return Nothing() if answer.status == 416 else None
            if span is not None and not starts_at(answer, span.start):
                answer.close()
                raise StoreRefused(f"{self._client.http.base} does not serve ranges of an object")
            return HttpBody(self._client.http, answer)

    def head(self, key: str) -> Entry | None:
        found = self._find(key)
        return _entry({**found, "name": key}) if found is not None else None

    def remove(self, key: str, version: str) -> None:
        url = self._client.object(key, ifGenerationMatch=version)
        with self._client.asked("DELETE", url, "storage.objects.delete", well=(200, 204, 404, 412)) as answer:
            self._client.http.whole(answer)
            if answer.status == 412:
                raise StoreUnavailable("an object was written again while it was being removed")

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        query = {"prefix": prefix, "maxResults": str(PAGE), "fields": "items(name,size,timeCreated),nextPageToken"}
        if token:
            query["pageToken"] = token
        _, found = self._client.told("GET", self._client.objects(**query), "storage.objects.list")
        return [_entry(each) for each in found.get("items", [])], found.get("nextPageToken", "")

    def check(self) -> None:
        self._client.check()

    def close(self) -> None:
        self._client.http.close()


def _checksum(content: bytes) -> str:
    return base64.b64encode(crc32c(content).to_bytes(4, "big")).decode()


def _entry(item: Mapping[str, Any]) -> Entry:
    stored_at = datetime.fromisoformat(item["timeCreated"]).timestamp()
    return Entry(item["name"], int(item["size"]), stored_at, item.get("generation", ""))
