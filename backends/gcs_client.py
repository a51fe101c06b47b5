"""A bucket of Google Cloud Storage: requests of the JSON API, who we are to it, and what its refusals mean.

Over urllib3, with google-auth for credentials: google-cloud-storage weighs tens of MB, and reads either a whole object
or piece by piece, with a request for each.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import google.auth
import google.auth.exceptions
import google.auth.transport.urllib3
import urllib3
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

from backends.base import StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.calls import THREADS
from backends.http import PASSING, Http, retry_after
from backends.settings import read_timeout, read_url

GOOGLE = "https://storage.googleapis.com"
READ_WRITE = "https://www.googleapis.com/auth/devstorage.read_write"
FULL_CONTROL = "https://www.googleapis.com/auth/devstorage.full_control"
"""Besides what the other covers, it covers patches of what is said of objects."""
TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded"}
FULL = {"quotaExceeded"}
NO_CREDENTIALS = (
    "no Google credentials: give credentials_path, or set GOOGLE_APPLICATION_CREDENTIALS, or run 'gcloud auth"
    " application-default login' as the server's user"
)
HELD = {"retentionPolicyNotMet", "objectUnderActiveHold"}


def read_endpoint(config: Mapping[str, str]) -> str:
    """The service's address: Google's, unless the configuration or STORAGE_EMULATOR_HOST says otherwise."""
    if config.get("endpoint"):
        return read_url("endpoint", config["endpoint"])
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return GOOGLE
    return read_url("STORAGE_EMULATOR_HOST", emulator if "://" in emulator else f"http://{emulator}")


class GcsClient:
    """Requests about one bucket."""

    def __init__(self, config: Mapping[str, str], scope: str = READ_WRITE) -> None:
        endpoint = read_endpoint(config)
        self.http = Http(endpoint, timeout=read_timeout(config), connections=THREADS)
        self.bucket = config["bucket"]
        self._credentials = _Credentials(config, endpoint, scope)
        self._project = config.get("project_id")
        self._objects = f"{endpoint}/storage/v1/b/{quote(self.bucket, safe='')}/o"
        self._upload = f"{endpoint}/upload/storage/v1/b/{quote(self.bucket, safe='')}/o"

    def object(self, key: str, **query: str) -> str:
        return f"{self._objects}/{quote(key, safe='')}?{urlencode(query)}"

    def objects(self, **query: str) -> str:
        return f"{self._objects}?{urlencode(query)}"

    def upload(self, **query: str) -> str:
        return f"{self._upload}?{urlencode(query)}"

    def told(
        self,
        method: str,
        url: str,
        permission: str,
        headers: Mapping[str, str] | None = None,
        body: tuple[bytes, ...] = (),
        well: tuple[int, ...] = (200,),
    ) -> tuple[int, dict[str, Any]]:
        """The status of an answer that is ``well``, and what it says; nothing where it is not 200."""
        with self.asked(method, url, permission, headers, body, well) as answer:
            told = self.http.whole(answer)
            return answer.status, object_of(told) if answer.status == 200 else {}

    def check(self, prefix: str = "") -> None:
        """Ask for the least that shows the bucket is there for us."""
        self.told("GET", self.objects(maxResults="1", prefix=prefix, fields="items(name)"), "storage.objects.list")

    def close(self) -> None:
        self.http.close()

    @contextmanager
    def asked(
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
        token = self._credentials.sign(sent, self.http)
        answer = self.http.send(method, url, sent, body)
        if answer.status == 401 and token:
            # Ended before its time: a new one, once.
            self.http.whole(answer)
            self._credentials.expire(token)
            self._credentials.sign(sent, self.http)
            answer = self.http.send(method, url, sent, body)
        if answer.status not in well:
            raise self._translated(answer, self.http.whole(answer), permission)
        yield answer

    def _translated(self, answer: urllib3.BaseHTTPResponse, body: bytes, permission: str) -> Exception:
        status, (reason, message) = answer.status, _told(body)
        if status in PASSING or reason in TOO_FAST:
            return StoreUnavailable(f"{self.http.base} answers {status} {reason}", retry_after(answer.headers))
        if reason in HELD:
            return StoreRefused(f"the bucket {self.bucket!r} keeps this object: {message}")
        if reason in FULL:
            return StoreFull(f"the bucket {self.bucket!r} takes no more: {message}")
        if status == 404:
            of_project = f" of project {self._project}" if self._project else ""
            return StoreMisconfigured(
                f"there is no bucket {self.bucket!r}{of_project} at {self.http.base}: make it, or correct 'bucket'"
            )
        if status == 401:
            return StoreMisconfigured(f"Google does not accept the credentials: {message or NO_CREDENTIALS}")
        if status == 403:
            return StoreMisconfigured(
                f"Google refuses access: the credentials need {permission} on the bucket {self.bucket!r}, which the"
                f" role Storage Object Admin (roles/storage.objectAdmin) gives ({message})"
            )
        return StoreRefused(f"{self.http.base} answers {status} {reason}: {message}")


class _Credentials:
    """Who we are to Google, looked for when it is first needed: looking may ask the machine's metadata service."""

    def __init__(self, config: Mapping[str, str], endpoint: str, scope: str) -> None:
        self._scope = scope
        self._lock = threading.Lock()
        self._found: Any = None
        path = config.get("credentials_path")
        if path is not None:
            self._found = _read(path, scope)
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
                    self._found, _ = google.auth.default(scopes=[self._scope])
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


def _read(path: str, scope: str) -> Any:
    """Credentials from a key file. Only kinds that name no further file, program or address of their own choosing."""
    if not Path(path).is_absolute():
        raise StoreMisconfigured(f"credentials_path must be an absolute path: {path}")
    try:
        told = json.loads(Path(path).read_text())
        kind = told["type"]
        if kind == "service_account":
            return service_account.Credentials.from_service_account_info(told, scopes=[scope])  # type: ignore[no-untyped-call]
        if kind == "authorized_user":
            return oauth2.Credentials.from_authorized_user_info(told, scopes=[scope])  # type: ignore[no-untyped-call]
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


def object_of(body: bytes) -> dict[str, Any]:
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
