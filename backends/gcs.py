"""Blobs in a bucket of Google Cloud Storage.

Six calls of the JSON API over urllib3, with google-auth for credentials: google-cloud-storage weighs tens of MB, and
reads either a whole object or piece by piece, with a request for each.
https://cloud.google.com/storage/docs/json_api/v1/objects · https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import google.auth
import google.auth.exceptions
import google.auth.transport.urllib3
import urllib3
from awscrt.checksums import crc32c
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

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

GOOGLE = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
PAGE = 1000
TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded"}
FULL = {"quotaExceeded"}
NO_CREDENTIALS = (
    "no Google credentials: give credentials_path, or set GOOGLE_APPLICATION_CREDENTIALS, or run 'gcloud auth"
    " application-default login' as the server's user"
)


def open_store(config: Mapping[str, str]) -> RemoteStore:
    """Raises StoreMisconfigured. Does no network I/O."""
    return RemoteStore(GcsBucket(config), read_prefix(config), timeout=read_timeout(config))


def identity(config: Mapping[str, str]) -> str:
    return f"{read_endpoint(config)}/{config['bucket']}/{read_prefix(config)}"


def read_endpoint(config: Mapping[str, str]) -> str:
    """The service's address: Google's, unless the configuration or STORAGE_EMULATOR_HOST says otherwise."""
    if config.get("endpoint"):
        return read_url("endpoint", config["endpoint"])
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return GOOGLE
    return read_url("STORAGE_EMULATOR_HOST", emulator if "://" in emulator else f"http://{emulator}")


class GcsBucket:
    """A Container of the JSON API's calls."""

    def __init__(self, config: Mapping[str, str]) -> None:
        endpoint = read_endpoint(config)
        self._http = Http(endpoint, timeout=read_timeout(config), connections=THREADS)
        self._credentials = _Credentials(config, endpoint)
        self._bucket = config["bucket"]
        self._project = config.get("project_id")
        self._objects = f"{endpoint}/storage/v1/b/{quote(self._bucket, safe='')}/o"
        self._upload = f"{endpoint}/upload/storage/v1/b/{quote(self._bucket, safe='')}/o"

    def _object(self, key: str, **query: str) -> str:
        return f"{self._objects}/{quote(key, safe='')}?{urlencode(query)}"

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        return self._put(key, content, ifGenerationMatch="0")

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        if not self._put(key, content):
            raise StoreRefused(f"the bucket {self._bucket!r} does not let an object be replaced")

    def _put(self, key: str, content: bytes, **condition: str) -> bool:
        checksum = _checksum(content)
        entry = {"name": key, "contentType": "application/octet-stream", "crc32c": checksum}
        boundary = secrets.token_hex(16)
        opening = (
            f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{json.dumps(entry)}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        url = f"{self._upload}?{urlencode({'uploadType': 'multipart', 'fields': 'crc32c,size', **condition})}"
        body = (opening.encode(), content, f"\r\n--{boundary}--\r\n".encode())
        kind = {"Content-Type": f"multipart/related; boundary={boundary}"}
        with self._asked("POST", url, "storage.objects.create", kind, body, well=(200, 412)) as answer:
            told = self._http.whole(answer)
            if answer.status == 412:
                return False
        if _object_of(told).get("crc32c") != checksum:
            raise StoreUnavailable("an object was damaged on its way to Google")
        return True

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        found = self._find(key)
        return found is not None and int(found["size"]) == len(content) and found.get("crc32c") == _checksum(content)

    def _find(self, key: str) -> dict[str, Any] | None:
        url = self._object(key, fields="size,crc32c,timeCreated,generation")
        with self._asked("GET", url, "storage.objects.get", well=(200, 404)) as answer:
            told = self._http.whole(answer)
            return _object_of(told) if answer.status == 200 else None

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        ranged = {"Range": f"bytes={span.start}-{span.stop - 1}"} if span is not None else {}
        url = self._object(key, alt="media")
        with self._asked("GET", url, "storage.objects.get", ranged, well=(200, 206, 404, 416)) as answer:
            if answer.status in (404, 416):
                self._http.whole(answer)
                return Nothing() if answer.status == 416 else None
            if span is not None and not starts_at(answer, span.start):
                answer.close()
                raise StoreRefused(f"{self._http.base} does not serve ranges of an object")
            return HttpBody(self._http, answer)

    def head(self, key: str) -> Entry | None:
        found = self._find(key)
        return _entry({**found, "name": key}) if found is not None else None

    def remove(self, key: str, version: str) -> None:
        url = self._object(key, ifGenerationMatch=version)
        with self._asked("DELETE", url, "storage.objects.delete", well=(200, 204, 404, 412)) as answer:
            self._http.whole(answer)
            if answer.status == 412:
                raise StoreUnavailable("an object was written again while it was being removed")

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        query = {"prefix": prefix, "maxResults": str(PAGE), "fields": "items(name,size,timeCreated),nextPageToken"}
        if token:
            query["pageToken"] = token
        with self._asked("GET", f"{self._objects}?{urlencode(query)}", "storage.objects.list") as answer:
            found = _object_of(self._http.whole(answer))
        return [_entry(each) for each in found.get("items", [])], found.get("nextPageToken", "")

    def check(self) -> None:
        url = f"{self._objects}?{urlencode({'maxResults': '1', 'fields': 'items(name)'})}"
        with self._asked("GET", url, "storage.objects.list") as answer:
            self._http.whole(answer)

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def _asked(
        self,
        method: str,
        url: str,
        permission: str,
        headers: Mapping[str, str] | None = None,
        body: tuple[bytes, ...] = (),
        well: tuple[int, ...] = (200,),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a request, when its status is one of those that are ``well``."""
        sent = dict(headers or {})
        token = self._credentials.sign(sent, self._http)
        answer = self._http.send(method, url, sent, body)
        if answer.status == 401 and token:
            # Ended before its time: a new one, once.
            self._http.whole(answer)
            self._credentials.expire(token)
            self._credentials.sign(sent, self._http)
            answer = self._http.send(method, url, sent, body)
        if answer.status not in well:
            raise self._translated(answer, self._http.whole(answer), permission)
        yield answer

    def _translated(self, answer: urllib3.BaseHTTPResponse, body: bytes, permission: str) -> Exception:
        status, (reason, message) = answer.status, _told(body)
        if status in PASSING or reason in TOO_FAST:
            return StoreUnavailable(f"{self._http.base} answers {status} {reason}", retry_after(answer.headers))
        if reason in FULL:
            return StoreFull(f"the bucket {self._bucket!r} takes no more: {message}")
        if status == 404:
            of_project = f" of project {self._project}" if self._project else ""
            return StoreMisconfigured(
                f"there is no bucket {self._bucket!r}{of_project} at {self._http.base}: make it, or correct 'bucket'"
            )
        if status == 401:
            return StoreMisconfigured(f"Google does not accept the credentials: {message or NO_CREDENTIALS}")
        if status == 403:
            return StoreMisconfigured(
                f"Google refuses access: the credentials need {permission} on the bucket {self._bucket!r}, which the"
                f" role Storage Object Admin (roles/storage.objectAdmin) gives ({message})"
            )
        return StoreRefused(f"{self._http.base} answers {status} {reason}: {message}")


class _Credentials:
    """Who we are to Google, looked for when it is first needed: looking may ask the machine's metadata service."""

    def __init__(self, config: Mapping[str, str], endpoint: str) -> None:
        self._lock = threading.Lock()
        self._found: Any = None
        path = config.get("credentials_path")
        if path is not None:
            self._found = _read(path)
        # A token for Google is not shown to anybody else but by explicit wish.
        host = urlsplit(endpoint).hostname or ""
        self._anonymous = path is None and not host.endswith(".googleapis.com")

    def sign(self, headers: dict[str, str], http: Http) -> str:
        """Put a valid token into headers; the token."""
        if self._anonymous:
            return ""
        try:
            with self._lock:
                if self._found is None:
                    self._found, _ = google.auth.default(scopes=[SCOPE])
                if not self._found.valid:
                    self._found.refresh(google.auth.transport.urllib3.Request(http.pool))  # type: ignore[no-untyped-call]
                self._found.apply(headers)
                return str(self._found.token)
        except google.auth.exceptions.DefaultCredentialsError as error:
            raise StoreMisconfigured(f"{NO_CREDENTIALS} ({error})") from error
        except google.auth.exceptions.TransportError as error:
            raise StoreUnavailable(f"Google's token service cannot be reached: {error}") from error
        except google.auth.exceptions.GoogleAuthError as error:
            if getattr(error, "retryable", False):
                raise StoreUnavailable(f"Google's token service fails: {error}") from error
            raise StoreMisconfigured(f"Google does not accept the credentials: {error}") from error

    def expire(self, token: str) -> None:
        with self._lock:
            if self._found.token == token:
                self._found.token = None


def _read(path: str) -> Any:
    """Credentials from a key file. Only kinds that name no further file, program or address of their own choosing."""
    if not Path(path).is_absolute():
        raise StoreMisconfigured(f"credentials_path must be an absolute path: {path}")
    try:
        told = json.loads(Path(path).read_text())
        kind = told["type"]
        if kind == "service_account":
            return service_account.Credentials.from_service_account_info(told, scopes=[SCOPE])  # type: ignore[no-untyped-call]
        if kind == "authorized_user":
            return oauth2.Credentials.from_authorized_user_info(told, scopes=[SCOPE])  # type: ignore[no-untyped-call]
    except OSError as error:
        raise StoreMisconfigured(
            f"credentials_path is not a usable file of Google credentials: {path}: {error.strerror}"
        ) from error
    except (google.auth.exceptions.GoogleAuthError, ValueError, KeyError, TypeError):
        pass  # what is told of it must not be of what else may stand in a file of that name
    raise StoreMisconfigured(
        f"credentials_path is not a usable file of Google credentials: {path} has no key of a service account or of an"
        " authorized user"
    )


def _checksum(content: bytes) -> str:
    return base64.b64encode(crc32c(content).to_bytes(4, "big")).decode()


def _entry(item: Mapping[str, Any]) -> Entry:
    stored_at = datetime.fromisoformat(item["timeCreated"]).timestamp()
    return Entry(item["name"], int(item["size"]), stored_at, item.get("generation", ""))


def _object_of(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StoreUnavailable("the service does not answer as Google Cloud Storage does")
    return found


def _told(body: bytes) -> tuple[str, str]:
    """The reason and the message of an error."""
    try:
        error = json.loads(body)["error"]
        return str(error.get("errors", [{}])[0].get("reason", "")), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "", body[:200].decode(errors="replace")
