"""Blobs in a folder of a WebDAV server: Nextcloud, ownCloud, Apache, a NAS, a hoster's disk.

WebDAV knows neither checksums nor a creation that fails where a name is taken, but it can move. So a blob is sent to
a name that nobody reads, and moved to its own where that is free (``Overwrite: F``): who finds a blob finds all of it.
A name that is taken is read and compared. RFC 4918; https://www.rfc-editor.org/rfc/rfc4918
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import urllib3
from lxml import etree

from backends.base import ByteRange, StoreError, StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.calls import THREADS, Body
from backends.http import PASSING, Http, HttpBody, Nothing, retry_after, starts_at
from backends.remote import Entry, RemoteStore
from backends.settings import read_prefix, read_timeout, read_url

DAV = "{DAV:}"
UNDER_WAY = "tmp/"
"""Where blobs are that are on their way."""
FORGOTTEN_SECONDS = 24 * 3600.0
"""After how long one that never arrived is cleared away."""
LOCKED = 423
FULL = {413, 507}
NO_PARENT = frozenset({403, 404, 409})
"""What servers answer, too, where a folder is missing."""
ASKED = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop>'
    b"</propfind>"
)


def open_store(config: Mapping[str, str]) -> RemoteStore:
    """Raises StoreMisconfigured. Does no network I/O."""
    return RemoteStore(WebdavFolder(config), read_prefix(config), timeout=read_timeout(config))


def identity(config: Mapping[str, str]) -> str:
    return f"{read_url('url', config['url'])}/{read_prefix(config)}"


class Member(NamedTuple):
    """What a listing tells of one member of a folder."""

    key: str
    is_folder: bool
    size: int
    modified_at: float


class WebdavFolder:
    """A Container of WebDAV's methods."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self._url = read_url("url", config["url"])
        self._path = unquote(urlsplit(self._url).path) + "/"
        self._http = Http(self._url, timeout=read_timeout(config), connections=THREADS)
        self._headers = _authorization(config)
        self._prefix = read_prefix(config)
        self._swept = threading.Lock()
        self._folders: set[str] = set()
        """Folders that are there, as far as we know."""

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        return self._place(key, content, overwrite="F")

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        self._place(key, content, overwrite="T")

    def _place(self, key: str, content: bytes, *, overwrite: str) -> bool:
        """Send a blob aside and move it to its name; False where that is taken."""
        self._sweep_once()
        aside = f"{self._prefix}{UNDER_WAY}{secrets.token_hex(16)}"
        self._expect(self._deliver("PUT", aside, aside, body=content), (200, 201, 204), "write")
        # A path, without the host: what a proxy in between calls the server may be another name than ours.
        move = {"Destination": urlsplit(self._address(key)).path, "Overwrite": overwrite}
        try:
            status = self._deliver("MOVE", aside, key, move)
            if status != 412:
                self._expect(status, (201, 204), "move")
                return True
        except BaseException:
            self._clear(aside)
            raise
        self._clear(aside)
        return False

    def _deliver(
        self, method: str, key: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> int:
        """Make a request that needs the folder of ``target``; once more, where somebody took the folder away."""
        folder = target.rpartition("/")[0] + "/"
        known = folder in self._folders
        if not known:
            self._make_folder(folder)
            self._folders.add(folder)
        status = self._send(method, key, headers, body, well=NO_PARENT if known else frozenset())
        if status not in NO_PARENT:
            return status
        self._make_folder(folder)
        return self._send(method, key, headers, body)

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        body = self.open(key, None)
        if body is None or body.size != len(content):
            if body is not None:
                body.close()
            return False
        try:
            found = bytearray()
            while chunk := body.read(len(content) - len(found)):
                found += chunk
            return bytes(found) == content
        finally:
            body.close()

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        ranged = {"Range": f"bytes={span.start}-{span.stop - 1}"} if span is not None else {}
        answer = self._http.send("GET", self._address(key), {**self._headers, **ranged})
        if answer.status in (404, 416):
            self._http.whole(answer)
            return Nothing() if answer.status == 416 else None
        if answer.status not in (200, 206):
            raise self._translated(answer, self._http.whole(answer), "read")
        if span is not None and not starts_at(answer, span.start):
            answer.close()
            raise StoreRefused(f"{self._url} does not serve ranges of a file")
        return HttpBody(self._http, answer)

    def head(self, key: str) -> Entry | None:
        members = self._members(key, depth="0")
        return _entry(members[0]) if members else None

    def remove(self, key: str, version: str) -> None:
        self._expect(self._send("DELETE", key), (200, 204, 404), "remove")

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        """The files of one folder; the token tells the folders that are still to be looked into."""
        folders: list[str] = json.loads(token) if token else [prefix]
        found = self._members(folders.pop(), depth="1")
        folders += sorted((member.key for member in found if member.is_folder), reverse=True)
        return [_entry(member) for member in found if not member.is_folder], json.dumps(folders) if folders else ""

    def check(self) -> None:
        if not self._members("", depth="0"):
            raise StoreMisconfigured(f"there is no folder {self._url}: make it, or correct 'url'")

    def close(self) -> None:
        self._http.close()

    # -- folders

    def _make_folder(self, folder: str) -> None:
        """Make a folder, and before it those that it is in."""
        status = self._send("MKCOL", folder)
        if status in (404, 409) and "/" in folder[:-1]:
            self._make_folder(folder[:-1].rpartition("/")[0] + "/")
            status = self._send("MKCOL", folder)
        self._expect(status, (200, 201, 301, 405), "make a folder")  # 405, or its new address: it is there

    def _members(self, key: str, *, depth: str) -> list[Member]:
        """What is told of a file or folder (depth 0) or of what is in it (1); empty where there is none."""
        sent = {**self._headers, "Depth": depth, "Content-Type": "application/xml"}
        answer = self._http.send("PROPFIND", self._address(key), sent, (ASKED,))
        told = self._http.whole(answer)
        if answer.status == 404:
            return []
        if answer.status in (405, 501):
            raise StoreMisconfigured(f"{self._url} is no folder of a WebDAV server: it answers {answer.status}")
        if answer.status != 207:
            raise self._translated(answer, told, "list")
        members = [self._member(each) for each in _parsed(told, self._url).iter(f"{DAV}response")]
        return [member for member in members if depth == "0" or member.key.rstrip("/") != key.rstrip("/")]

    def _member(self, response: etree._Element) -> Member:
        href = unquote(urlsplit(response.findtext(f"{DAV}href", "").strip()).path)
        is_folder = response.find(f".//{DAV}collection") is not None
        size = response.findtext(f".//{DAV}getcontentlength") or "0"
        modified = response.findtext(f".//{DAV}getlastmodified")
        key = href.removeprefix(self._path).rstrip("/") + ("/" if is_folder else "")
        if not href.startswith(self._path) and href != self._path.rstrip("/"):
            raise StoreRefused(f"{self._url} lists what does not lie below it: {href}")
        return Member(key, is_folder, int(size) if size.isdecimal() else 0, _seconds(modified))

    def _sweep_once(self) -> None:
        """Clear away, once in a process, what others sent and never moved."""
        if not self._swept.acquire(blocking=False):
            return
        for member in self._members(self._prefix + UNDER_WAY, depth="1"):
            if not member.is_folder and member.modified_at < time.time() - FORGOTTEN_SECONDS:
                self._send("DELETE", member.key)

    # -- requests

    def _address(self, key: str) -> str:
        return f"{self._url}/{quote(key)}"

    def _send(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        well: frozenset[int] = frozenset(),
    ) -> int:
        """Make a request whose answer is its status. Raises for those that are about the service, but for ``well``."""
        answer = self._http.send(method, self._address(key), {**self._headers, **(headers or {})}, (body,))
        told, status = self._http.whole(answer), answer.status
        if status not in well and (status in PASSING or status in FULL or status in (401, 403, LOCKED)):
            raise self._translated(answer, told, method)
        return status

    def _clear(self, aside: str) -> None:
        """Remove what lies aside; where that fails, a later process does."""
        with suppress(StoreError):
            self._send("DELETE", aside)

    def _expect(self, status: int, well: tuple[int, ...], act: str) -> None:
        if status not in well:
            raise StoreRefused(f"{self._url} does not let us {act}: it answers {status}")

    def _translated(self, answer: urllib3.BaseHTTPResponse, body: bytes, act: str) -> Exception:
        status = answer.status
        if status in PASSING or status == LOCKED:
            return StoreUnavailable(f"{self._url} answers {status}", retry_after(answer.headers))
        if status in FULL:
            return StoreFull(f"{self._url} takes no more: it answers {status}")
        if status == 401:
            return StoreMisconfigured(f"{self._url} does not accept the credentials: correct 'user' and 'password'")
        if status == 403:
            return StoreMisconfigured(
                f"{self._url} refuses {act}: the user needs to read, write, list, move and delete in that folder"
            )
        return StoreRefused(f"{self._url} answers {status}: {body[:200].decode(errors='replace')}")


def _authorization(config: Mapping[str, str]) -> dict[str, str]:
    if config.get("token") and (config.get("user") or config.get("password")):
        raise StoreMisconfigured("either a token or a user and password, not both")
    if config.get("token"):
        return {"Authorization": f"Bearer {config['token']}"}
    if bool(config.get("user")) != bool(config.get("password")):
        raise StoreMisconfigured("a user needs a password, and a password a user")
    if not config.get("user"):
        return {}
    pair = f"{config['user']}:{config['password']}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _parsed(body: bytes, url: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise StoreUnavailable(f"{url} does not answer as WebDAV servers do: {error}") from error


def _seconds(text: str | None) -> float:
    """When a file was changed, in Unix seconds; now, where it is not told: nothing is old then."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else time.time()
    except ValueError:
        return time.time()


def _entry(member: Member) -> Entry:
    return Entry(member.key, member.size, member.modified_at)
