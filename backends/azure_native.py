"""A container of Azure Blob Storage as it stands.

The state of an object is its ETag, which every write and every change of what is said of it makes anew. Long bodies
are blocks, of which the commit makes a blob; blocks that are never committed go by themselves after a week.
https://learn.microsoft.com/rest/api/storageservices/put-block-list and the pages beside it
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

import urllib3

from backends.azure_client import AzureClient, code_of, md5_of, parsed
from backends.azure_said import check_said, said_of, sent_of
from backends.base import ByteRange, StoreError, StoreRefused, StoreUnavailable
from backends.bookmarks import Bookmarks
from backends.calls import Body
from backends.http import HttpBody, starts_at
from backends.native import Expected, KeyRefused, NativeAttributes, NativeEntry, NativeObject, NativePage, StateChanged
from backends.ordered_md5 import OrderedMd5
from backends.remote_native import BLOCK, PAST, Upload, UploadGone

LONGEST_KEY = 1024
SEGMENTS = 254
BLOCKS = 50_000
SMALL_BLOCKS = 25_000
PARALLEL = 4
WALK = 5000
"""How many names a page has that is read to get somewhere."""
ATTEMPTS = 3
OTHER = {"BlobAlreadyExists", "BlobNotFound", "ConditionNotMet", "TargetConditionNotMet"}
GONE = {"InvalidBlockList"}
_UNHELD = re.compile(r"(?:^|/)\.+(?:/|$)|\.(?:/|$)|\\")


class AzureNative:
    """A NativeBucket of the Blob service's calls."""

    def __init__(self, client: AzureClient) -> None:
        self._client = client
        self._bookmarks = Bookmarks()

    def check_key(self, key: str) -> None:
        if len(key) > LONGEST_KEY or key.count("/") >= SEGMENTS:
            raise KeyRefused(f"a name in Azure has at most {LONGEST_KEY} characters and {SEGMENTS} segments")
        # Azure would take the dots away, or climb up by them, and makes slashes of backslashes.
        if _UNHELD.search(key):
            raise KeyRefused("in Azure no segment of a name ends in a dot, and no name has a backslash")

    def check_attributes(self, attributes: NativeAttributes) -> None:
        check_said(attributes)

    # -- reading

    def find(self, key: str) -> NativeObject | None:
        with self._client.asked("HEAD", key, "read", well=(200, 404)) as answer:
            self._client.http.whole(answer)
            if answer.status == 404:
                self._require_container(answer, b"", "read")
                return None
        told = answer.headers
        return _object(key, int(told["Content-Length"]), told, said_of(told))

    def _require_container(self, answer: urllib3.BaseHTTPResponse, body: bytes, permission: str) -> None:
        if answer.status == 404 and code_of(answer, body) == "ContainerNotFound":
            raise self._client.translated(answer, body, permission)

    def open(self, key: str, span: ByteRange, state: str) -> Body:
        sent = {"x-ms-range": f"bytes={span.start}-{span.stop - 1}", "If-Match": f'"{state}"'}
        with self._client.asked("GET", key, "read", headers=sent, well=(206, 404, 412, 416)) as answer:
            if answer.status != 206:
                body = self._client.http.whole(answer)
                self._require_container(answer, body, "read")
                raise _changed(key)
            if not starts_at(answer, span.start):
                answer.close()
                raise StoreRefused(f"{self._client.http.base} does not serve ranges of a blob")
            if _state(answer.headers) != state:
                answer.close()
                raise _changed(key)
            return HttpBody(self._client.http, answer)

    def page(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        """Azure goes on from a marker of its own only. Those that it gave are kept, by the name that came before."""
        listing, start = (prefix, delimiter), after.encode()
        while True:
            passed, marker = self._bookmarks.nearest(listing, after)
            there = passed in (after, after.removesuffix(PAST)) or start <= prefix.encode()
            size = limit if there else WALK
            found, following = self._ask(prefix, delimiter, marker, size)
            names = sorted(found, key=str.encode)
            if names and names[0].encode() <= passed.encode():
                raise StoreRefused(
                    "this container does not list names in the order of their bytes, as those with a hierarchical"
                    " namespace: it cannot be served as it stands"
                )
            fresh = [name for name in names if name.encode() > start]
            if following:
                self._bookmarks.keep(listing, names[-1] if names else passed, following)
            if fresh or not following:
                taken = fresh[:limit]
                entries = [entry for name in taken if (entry := found[name]) is not None]
                more = following or len(fresh) > limit
                return NativePage(
                    entries, [name for name in taken if found[name] is None], taken[-1] if more and taken else ""
                )

    def _ask(self, prefix: str, delimiter: str, marker: str, size: int) -> tuple[dict[str, NativeEntry | None], str]:
        """Entries by key, None for a common prefix; and the marker of what comes next."""
        query = {"restype": "container", "comp": "list", "maxresults": str(size)}
        query |= {
            name: text for name, text in (("prefix", prefix), ("delimiter", delimiter), ("marker", marker)) if text
        }
        with self._client.asked("GET", "", "list", query) as answer:
            listing = parsed(self._client.http.whole(answer))
        found: dict[str, NativeEntry | None] = {_name(each): _entry(each) for each in listing.iterfind("Blobs/Blob")}
        found |= {_name(each): None for each in listing.iterfind("Blobs/BlobPrefix")}
        return found, listing.findtext("NextMarker") or ""

    def check(self) -> None:
        self._ask("", "", "", 1)

    def close(self) -> None:
        self._client.http.close()

    # -- changing

    def put(self, key: str, content: bytes, attributes: NativeAttributes, expected: Expected) -> NativeObject:
        md5 = md5_of(content)
        sent = {"Content-MD5": md5, "x-ms-blob-type": "BlockBlob", **sent_of(attributes), **_condition(expected)}
        with self._changing("PUT", key, "write", headers=sent, body=content) as answer:
            return _object(key, len(content), {**answer.headers, "Content-MD5": md5}, attributes)

    def begin(self, key: str, attributes: NativeAttributes, expected: Expected) -> Upload:
        if expected.absent or expected.state is not None:
            found = self.find(key)
            if (found.entry.state if found is not None else None) != expected.state:
                raise _changed(key)
        return AzureUpload(self, key, attributes, expected)

    def send_block(self, key: str, block: str, content: bytes) -> None:
        query = {"comp": "block", "blockid": block}
        with self._changing("PUT", key, "write", query, {"Content-MD5": md5_of(content)}, content):
            return

    def commit(
        self, key: str, blocks: list[str], size: int, md5: str, attributes: NativeAttributes, expected: Expected
    ) -> NativeObject:
        document = "".join(f"<Latest>{block}</Latest>" for block in blocks)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{document}</BlockList>'.encode()
        sent = {"x-ms-blob-content-md5": md5, "Content-MD5": md5_of(body), **sent_of(attributes)}
        sent |= _condition(expected)
        with self._changing("PUT", key, "write", {"comp": "blocklist"}, sent, body) as answer:
            return _object(key, size, {**answer.headers, "Content-MD5": md5}, attributes)

    def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        """Two calls where headers and metadata both change: Azure has none for both."""
        with self._client.asked("HEAD", key, "read", well=(200, 404)) as answer:
            self._client.http.whole(answer)
            self._require_container(answer, b"", "read")
        if answer.status == 404 or _state(answer.headers) != state:
            raise _changed(key)
        there, wanted = sent_of(said_of(answer.headers)), sent_of(attributes)
        told: Mapping[str, str] = answer.headers
        md5 = {"x-ms-blob-content-md5": told["Content-MD5"]} if "Content-MD5" in told else {}
        steps = [
            ("metadata", {name: value for name, value in wanted.items() if name.startswith("x-ms-meta-")}),
            ("properties", {name: value for name, value in wanted.items() if not name.startswith("x-ms-meta-")}),
        ]
        size, begun = int(told["Content-Length"]), False
        for step, sent in steps:
            is_metadata = step == "metadata"
            if sent == {name: value for name, value in there.items() if name.startswith("x-ms-meta-") is is_metadata}:
                continue
            if not is_metadata:
                sent = {**sent, **md5}  # else it would go
            told = self._say(key, step, sent, _state(told), insist=begun)
            begun = True
        kept = {**told, "Content-MD5": answer.headers.get("Content-MD5", "")}
        return _object(key, size, kept, attributes)

    def _say(self, key: str, step: str, sent: Mapping[str, str], state: str, *, insist: bool) -> Mapping[str, str]:
        """One of the steps; the second is tried again at once, lest half of what is said be new."""
        for attempt in range(ATTEMPTS if insist else 1):
            try:
                with self._changing("PUT", key, "write", {"comp": step}, {**sent, "If-Match": f'"{state}"'}) as answer:
                    return answer.headers
            except StoreUnavailable:
                if not insist or attempt == ATTEMPTS - 1:
                    raise
            except StateChanged as error:
                if not attempt:
                    raise
                # By somebody else, or by the attempt whose answer was lost: who asked looks which.
                raise StoreUnavailable(f"whether {key!r} was changed cannot be told: {error}") from error
        raise AssertionError("there is at least one attempt")

    def remove(self, key: str, state: str | None) -> None:
        # A blob that has snapshots can only go with them.
        sent = {"x-ms-delete-snapshots": "include", **_condition(Expected(state=state))}
        with self._client.asked("DELETE", key, "delete", headers=sent, well=(202, 404, 412)) as answer:
            told = self._client.http.whole(answer)
            self._require_container(answer, told, "delete")
            if answer.status == 412:
                if code_of(answer, told) in OTHER:
                    raise _changed(key)
                raise self._client.translated(answer, told, "delete")

    @contextmanager
    def _changing(
        self,
        method: str,
        key: str,
        permission: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a change that was made. Raises StateChanged, UploadGone."""
        well = (200, 201, 400, 404, 409, 412)
        with self._client.asked(method, key, permission, query, headers, body, well) as answer:
            told = self._client.http.whole(answer)
            if answer.status < 300:
                yield answer
                return
            code = code_of(answer, told)
            if code in OTHER or (answer.status == 404 and not code):
                raise _changed(key)
            if code in GONE:
                raise UploadGone(f"{self._client.http.base} has not all blocks of a blob: somebody else wrote it")
            raise self._client.translated(answer, told, permission)


class AzureUpload:
    """Blocks of one blob to be, under names that no other upload has."""

    parallel = PARALLEL

    def __init__(self, bucket: AzureNative, key: str, attributes: NativeAttributes, expected: Expected) -> None:
        self._bucket = bucket
        self._key = key
        self._attributes = attributes
        self._expected = expected
        self._nonce = secrets.token_hex(12)
        self._md5 = OrderedMd5()
        self._last = -1
        self.etag = ""

    def part_size(self, number: int) -> int:
        if number >= BLOCKS - 1:
            raise StoreRefused(f"a blob has at most {BLOCKS} blocks, and this one would have more")
        return BLOCK if number < SMALL_BLOCKS else 2 * BLOCK

    def _block(self, number: int) -> str:
        return base64.b64encode(f"{self._nonce}{number:06}".encode()).decode()

    def send(self, number: int, content: bytes) -> None:
        self._md5.take(number, content)
        self._bucket.send_block(self._key, self._block(number), content)

    def finish(self, number: int, content: bytes) -> NativeObject:
        if self._last != number:
            self.send(number, content)
            self._last = number
        digest = self._md5.digest()
        self.etag, md5 = digest.hex(), base64.b64encode(digest).decode()
        blocks = [self._block(each) for each in range(number + 1)]
        return self._bucket.commit(self._key, blocks, self._md5.size, md5, self._attributes, self._expected)

    def abort(self) -> None:
        """Nothing to be done: Azure has no call for it, and shows nothing of what was not committed."""


def _condition(expected: Expected) -> dict[str, str]:
    if expected.absent:
        return {"If-None-Match": "*"}
    return {"If-Match": f'"{expected.state}"'} if expected.state is not None else {}


def _changed(key: str) -> StoreError:
    return StateChanged(f"{key!r} is not what it was")


def _state(told: Mapping[str, str]) -> str:
    return next(value for name, value in told.items() if name.lower() == "etag").strip('"')


def _object(key: str, size: int, told: Mapping[str, str], said: NativeAttributes) -> NativeObject:
    plain = {name.lower(): value for name, value in told.items()}
    entry = _entry_of(key, size, plain["etag"], plain.get("content-md5", ""), plain["last-modified"])
    return NativeObject(entry, said)


def _entry(blob: Any) -> NativeEntry:
    told = blob.find("Properties")
    texts = [told.findtext(name) or "" for name in ("Etag", "Content-MD5", "Last-Modified")]
    return _entry_of(_name(blob), int(told.findtext("Content-Length")), *texts)


def _entry_of(key: str, size: int, etag: str, md5: str, modified: str) -> NativeEntry:
    state = etag.strip('"')
    # A blob that others made of blocks need not have an MD5.
    shown = base64.b64decode(md5).hex() if md5 else f"{state}-1"
    return NativeEntry(key, size, shown, int(parsedate_to_datetime(modified).timestamp() * 1000), state)


def _name(element: Any) -> str:
    """A name; one that XML cannot hold comes percent-encoded."""
    name = element.find("Name")
    return unquote(name.text) if name.get("Encoded") == "true" else str(name.text)
