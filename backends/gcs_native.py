"""A bucket of Google Cloud Storage as it stands.

The state of an object is its generation (of the bytes) and metageneration (of what is said of them), which the service
compares. A long body is a resumable upload: its session can be asked how far it came, and so every outcome is known.
https://cloud.google.com/storage/docs/resumable-uploads · https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

from backends.base import ByteRange, StoreRefused, StoreUnavailable
from backends.calls import Body
from backends.gcs_client import FULL_CONTROL, GcsClient, object_of
from backends.http import HttpBody, starts_at
from backends.native import Expected, KeyRefused, NativeAttributes, NativeEntry, NativeObject, NativePage, StateChanged
from backends.remote_native import BLOCK, UploadGone, last_of

LONGEST_KEY = 1024
HEADERS = {
    "CacheControl": "cacheControl",
    "ContentDisposition": "contentDisposition",
    "ContentEncoding": "contentEncoding",
    "ContentLanguage": "contentLanguage",
}
ENTRY = "name,size,md5Hash,componentCount,updated,generation,metageneration"
FIELDS = f"{ENTRY},contentType,{','.join(HEADERS.values())},metadata"
KEPT = re.compile(r"bytes=0-(\d+)")
GONE = (404, 410)
CANCELLED = 499


class GcsNative:
    """A NativeBucket of the JSON API's calls."""

    def __init__(self, config: Mapping[str, str], prefix: str = "") -> None:
        self._client = GcsClient(config, FULL_CONTROL)
        self._prefix = prefix

    def check_key(self, key: str) -> None:
        if len(key.encode()) > LONGEST_KEY:
            raise KeyRefused(f"a key of this store has at most {LONGEST_KEY} bytes, its prefix among them")
        if not {".", ".."}.isdisjoint(key.split("/")):
            raise KeyRefused("keys of this store have no segments '.' and '..'")
        if "\r" in key or "\n" in key or key.startswith(".well-known/acme-challenge/"):
            raise KeyRefused("Google Cloud Storage has no keys with line breaks, or below .well-known/acme-challenge/")

    def check_attributes(self, attributes: NativeAttributes) -> None:
        for name in attributes.headers:
            if name not in HEADERS:
                raise KeyRefused(f"Google Cloud Storage keeps no {name}")
        if not (attributes.content_type.isascii() and attributes.content_type.isprintable()):
            raise KeyRefused("a content type is printable ASCII in this store")

    # -- reading

    def find(self, key: str) -> NativeObject | None:
        url = self._client.object(key, fields=FIELDS)
        status, told = self._client.told("GET", url, "storage.objects.get", well=(200, 404))
        return _object({**told, "name": key}) if status == 200 else None

    def open(self, key: str, span: ByteRange, state: str) -> Body:
        generation = state.partition(".")[0]
        # Objects that are stored compressed are sent as they are only to those who say that they can read them.
        sent = {"Range": f"bytes={span.start}-{span.stop - 1}", "Accept-Encoding": "gzip"}
        url = self._client.object(key, alt="media", ifGenerationMatch=generation)
        with self._client.asked("GET", url, "storage.objects.get", sent, well=(200, 206, 404, 412, 416)) as answer:
            if answer.status in (404, 412, 416):
                self._client.http.whole(answer)
                raise _changed(key)
            if answer.headers.get("x-goog-generation", generation) != generation:
                answer.close()
                raise _changed(key)
            if not starts_at(answer, span.start):
                answer.close()
                raise StoreRefused(f"{self._client.http.base} does not serve ranges of an object")
            return HttpBody(self._client.http, answer)

    def page(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        # It begins with what it is told, and not after it.
        query = {"prefix": prefix, "startOffset": after, "maxResults": str(min(limit + 1, 1000))}
        query["fields"] = f"items({ENTRY}),prefixes,nextPageToken"
        if delimiter:
            query["delimiter"] = delimiter
        start = after.encode()
        while True:
            asked = self._client.objects(**{name: value for name, value in query.items() if value})
            _, found = self._client.told("GET", asked, "storage.objects.list")
            told = (_entry(each) for each in found.get("items", []))
            entries = [entry for entry in told if entry.key.encode() > start]
            prefixes = [
                name for name in found.get("prefixes", []) if name.encode() > start and not after.startswith(name)
            ]
            token = found.get("nextPageToken", "")
            if entries or prefixes or not token:
                return _cut(entries, prefixes, limit, bool(token))
            query["pageToken"] = token

    # -- changing

    def put(self, key: str, content: bytes, attributes: NativeAttributes, expected: Expected) -> NativeObject:
        entry = {"name": key, "md5Hash": _base64(hashlib.md5(content, usedforsecurity=False)), **_said(attributes)}
        boundary = secrets.token_hex(16)
        opening = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(entry)}\r\n"
            f"--{boundary}\r\nContent-Type: {attributes.content_type}\r\n\r\n"
        )
        url = self._client.upload(uploadType="multipart", fields=FIELDS, **_condition(expected))
        kind = {"Content-Type": f"multipart/related; boundary={boundary}"}
        body = (opening.encode(), content, f"\r\n--{boundary}--\r\n".encode())
        status, told = self._client.told("POST", url, "storage.objects.create", kind, body, well=(200, 404, 412))
        if status != 200:
            raise self._refused(key, status, expected)
        return _object({**told, "name": key})

    def _refused(self, key: str, status: int, expected: Expected) -> Exception:
        """What 404 or 412 means: a missing object where one was expected, else a missing bucket."""
        if status == 404 and expected.state is None:
            self.check()
        return _changed(key)

    def begin(self, key: str, attributes: NativeAttributes, expected: Expected) -> GcsUpload:
        url = self._client.upload(uploadType="resumable", fields=FIELDS, **_condition(expected))
        entry = json.dumps({"name": key, **_said(attributes)}).encode()
        kind = {"Content-Type": "application/json; charset=UTF-8"}
        with self._client.asked("POST", url, "storage.objects.create", kind, (entry,), (200, 404, 412)) as answer:
            self._client.http.whole(answer)
            if answer.status != 200:
                raise self._refused(key, answer.status, expected)
            session = parse_qs(urlsplit(answer.headers.get("Location", "")).query).get("upload_id")
        if not session:
            raise StoreUnavailable(f"{self._client.http.base} begins no upload")
        # At the address that we know, wherever the service says it is.
        return GcsUpload(self._client, key, self._client.upload(uploadType="resumable", upload_id=session[0]))

    def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        found = self.find(key)
        if found is None or found.entry.state != state:
            raise _changed(key)
        said = _said(attributes)
        # A patch leaves alone what it does not name.
        gone: dict[str, Any] = {name: None for name in HEADERS.values() if name not in said}
        lost = {name: None for name in found.attributes.metadata if name not in attributes.metadata}
        patch = {**gone, **said, "metadata": {**lost, **attributes.metadata}}
        url = self._client.object(key, fields=FIELDS, **_condition(Expected(state=state)))
        kind = {"Content-Type": "application/json; charset=UTF-8"}
        status, told = self._client.told(
            "PATCH", url, "storage.objects.update", kind, (json.dumps(patch).encode(),), well=(200, 404, 412)
        )
        if status != 200:
            raise _changed(key)
        return _object({**told, "name": key})

    def remove(self, key: str, state: str | None) -> None:
        condition = _condition(Expected(state=state))
        url = self._client.object(key, **condition)
        with self._client.asked("DELETE", url, "storage.objects.delete", well=(200, 204, 404, 412)) as answer:
            self._client.http.whole(answer)
            if answer.status == 412 or (answer.status == 404 and state is not None):
                raise _changed(key)

    # -- being

    def check(self) -> None:
        self._client.check(self._prefix)

    def close(self) -> None:
        self._client.close()


class GcsUpload:
    """A resumable upload: its bytes come in order, and the last of them make the object."""

    parallel = 1

    def __init__(self, client: GcsClient, key: str, session: str) -> None:
        self._client = client
        self._key = key
        self._session = session
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._turn = threading.Lock()
        """A call that was left alone may still be under way when the next one comes."""
        self._hashed = self._sent = -1
        """The last parts that the digest, and the service, have."""
        self._start = 0
        """Where the part that is sent now begins."""
        self._unsure = False

    @property
    def etag(self) -> str:
        return self._md5.hexdigest()

    def part_size(self, number: int) -> int:
        return BLOCK

    def send(self, number: int, content: bytes) -> None:
        with self._turn:
            if number <= self._sent:
                return
            self._hash(number, content)
            if self._move(content, total=None) is not None:
                raise StoreRefused("the service made an object of an upload that has not ended")
            self._start += len(content)
            self._sent = number

    def finish(self, number: int, content: bytes) -> NativeObject:
        with self._turn:
            self._hash(number, content)
            made = self._move(content, total=self._start + len(content))
        if made is None:
            raise StoreUnavailable("the service does not end an upload that has come whole")
        return made

    def _hash(self, number: int, content: bytes) -> None:
        if number > self._hashed:
            self._md5.update(content)
            self._hashed = number

    def _move(self, content: bytes, total: int | None) -> NativeObject | None:
        """Send what the service does not have of a part; the object, if it made one of the whole."""
        kept: int | NativeObject = self._start
        if self._unsure:
            kept = self._ask("bytes */*", b"", None)
        self._unsure = True
        size, end = "*" if total is None else str(total), self._start + len(content)
        while not isinstance(kept, NativeObject) and (kept < end or total is not None):
            if kept < self._start:
                raise UploadGone("the service lost a part of an upload")
            rest = content[kept - self._start :]
            # All may be there already, and only not be said to be all.
            span = f"{kept}-{end - 1}" if rest else "*"
            now = self._ask(f"bytes {span}/{size}", rest, total)
            if not isinstance(now, NativeObject) and now <= kept:
                raise StoreUnavailable("the service takes nothing of an upload")
            kept = now
        # Asking once more what became of it is right, too.
        self._unsure = isinstance(kept, NativeObject)
        return kept if isinstance(kept, NativeObject) else None

    def _ask(self, span: str, content: bytes, total: int | None) -> int | NativeObject:
        """How many bytes the service has, or the object, after a request of the session."""
        sent = {"Content-Range": span}
        if total is not None:
            sent["X-Goog-Hash"] = f"md5={_base64(self._md5)}"
        well = (200, 201, 308, 412, *GONE)
        with self._client.asked("PUT", self._session, "storage.objects.create", sent, (content,), well) as answer:
            body = self._client.http.whole(answer)
            return self._answered(answer, body)

    def _answered(self, answer: urllib3.BaseHTTPResponse, body: bytes) -> int | NativeObject:
        if answer.status == 412:
            raise _changed(self._key)
        if answer.status in GONE:
            raise UploadGone("the service knows nothing of the upload")
        if answer.status == 308:
            kept = KEPT.fullmatch(answer.headers.get("Range", ""))
            return int(kept[1]) + 1 if kept else 0
        return _object({**object_of(body), "name": self._key})

    def abort(self) -> None:
        well = (200, 204, CANCELLED, *GONE)
        sent = {"Content-Length": "0"}
        with self._client.asked("DELETE", self._session, "storage.objects.create", sent, well=well) as answer:
            self._client.http.whole(answer)


def _changed(key: str) -> StateChanged:
    return StateChanged(f"{key!r} is not what it was")


def _condition(expected: Expected) -> dict[str, str]:
    if expected.absent:
        return {"ifGenerationMatch": "0"}
    if expected.state is None:
        return {}
    generation, _, metageneration = expected.state.partition(".")
    return {"ifGenerationMatch": generation, "ifMetagenerationMatch": metageneration}


def _cut(entries: list[NativeEntry], prefixes: list[str], limit: int, more: bool) -> NativePage:
    """The first of them: one more was asked for than is wanted, for the one that the listing comes after."""
    names = sorted([*(entry.key for entry in entries), *prefixes], key=str.encode)
    if len(names) > limit:
        chosen, more = set(names[:limit]), True
        entries = [entry for entry in entries if entry.key in chosen]
        prefixes = [name for name in prefixes if name in chosen]
    last = last_of((entry.key for entry in entries), prefixes) if more else ""
    return NativePage(entries, prefixes, last)


# -- objects


def _object(item: Mapping[str, Any]) -> NativeObject:
    headers = {name: item[field] for name, field in HEADERS.items() if item.get(field)}
    kind = item.get("contentType") or "application/octet-stream"
    return NativeObject(_entry(item), NativeAttributes(kind, headers, dict(item.get("metadata") or {})))


def _entry(item: Mapping[str, Any]) -> NativeEntry:
    try:
        generation, metageneration = item["generation"], item["metageneration"]
        if "md5Hash" in item:
            etag = base64.b64decode(item["md5Hash"]).hex()
        else:
            # Composed of others, or encrypted with a key of the customer's.
            etag = f"{int(generation):x}-{item.get('componentCount', 1)}"
        modified = int(datetime.fromisoformat(item["updated"]).timestamp() * 1000)
        return NativeEntry(item["name"], int(item["size"]), etag, modified, f"{generation}.{metageneration}")
    except (KeyError, ValueError, TypeError) as error:
        raise StoreUnavailable("the service does not answer as Google Cloud Storage does") from error


def _said(attributes: NativeAttributes) -> dict[str, Any]:
    said: dict[str, Any] = {HEADERS[name]: value for name, value in attributes.headers.items()}
    return {**said, "contentType": attributes.content_type, "metadata": dict(attributes.metadata)}


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
