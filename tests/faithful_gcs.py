"""What fake-gcs-server leaves out of the JSON API, made up for in front of it: conditions of removals and patches.

It also answers patches in a way of its own, knows no null in them, counts no metagenerations, and appends whatever is
sent to a session, even what it has, and cannot be asked how far one came.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import urllib3

from backends.gcs_client import GcsClient
from backends.gcs_native import GcsNative


@dataclass
class Session:
    """A resumable upload, kept here until its last byte came."""

    entry: dict[str, Any]
    condition: dict[str, str]
    content: bytearray = field(default_factory=bytearray)
    made: dict[str, Any] | None = None
    unsure: bool = False


class Faithful(GcsClient):
    """A client to whom the emulator seems to do what Google does."""

    def __init__(self, config: Mapping[str, str], sessions: bool) -> None:
        super().__init__(config)
        self._keeps_sessions = sessions
        self._sessions: dict[str, Session] = {}

    def told(
        self,
        method: str,
        url: str,
        permission: str,
        headers: Mapping[str, str] | None = None,
        body: tuple[bytes, ...] = (),
        well: tuple[int, ...] = (200,),
    ) -> tuple[int, dict[str, Any]]:
        if method != "PATCH":
            return super().told(method, url, permission, headers, body, well)
        key = unquote(urlsplit(url).path.rpartition("/")[2])
        item = self._holding(url)
        if item is None:
            assert 412 in well
            return 412, {}
        for name, value in json.loads(body[0]).items():
            item[name] = {**item.get(name, {}), **value} if name == "metadata" else value
        item["metadata"] = {name: value for name, value in item["metadata"].items() if value is not None}
        with self.asked("GET", self.object(key, alt="media"), "", {"Accept-Encoding": "gzip"}) as answer:
            content = self.http.whole(answer)
        said = {name: value for name, value in item.items() if name in SAID and value is not None}
        kind = item["contentType"].encode()
        parts = b"--q\r\nContent-Type: application/json\r\n\r\n" + json.dumps({"name": key, **said}).encode()
        parts += b"\r\n--q\r\nContent-Type: " + kind + b"\r\n\r\n" + content + b"\r\n--q--\r\n"
        sent = {"Content-Type": "multipart/related; boundary=q"}
        upload = self.upload(uploadType="multipart", ifGenerationMatch=str(item["generation"]))
        return super().told("POST", upload, permission, sent, (parts,), (200, 412))

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
        if method == "DELETE" and "ifGenerationMatch" in url and self._holding(url) is None:
            # Anything that is not so: the emulator heeds it here.
            method, url = "POST", self.upload(uploadType="multipart", ifGenerationMatch="1")
            headers = {"Content-Type": "multipart/related; boundary=q"}
            body = (b'--q\r\nContent-Type: application/json\r\n\r\n{"name":"nothing"}\r\n--q\r\n\r\n\r\n--q--\r\n',)
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if "upload_id" in query and self._keeps_sessions:
            # Each step meets the network twice: on its way, and on the way back.
            self.check()
            answer = self._step(method, self._sessions[query["upload_id"]], (headers or {}), b"".join(body))
            self.check()
            yield answer
            return
        with super().asked(method, url, permission, headers, body, well) as answer:
            if query.get("uploadType") == "resumable" and "Location" in answer.headers:
                known = parse_qs(urlsplit(answer.headers["Location"]).query)["upload_id"][0]
                condition = {name: value for name, value in query.items() if name.startswith("if")}
                self._sessions[known] = Session(json.loads(body[0]), condition)
            yield answer

    def _step(
        self, method: str, session: Session, headers: Mapping[str, str], content: bytes
    ) -> urllib3.BaseHTTPResponse:
        if method == "DELETE":
            return _answer(499)
        span, _, total = headers["Content-Range"].removeprefix("bytes ").partition("/")
        if span != "*":
            assert int(span.partition("-")[0]) == len(session.content), "a session goes on where it is"
            session.content += content
        whole = total != "*" and len(session.content) == int(total)
        if session.unsure:
            whole = not self._arrived(session) and whole
            session.unsure = False
        if whole and session.made is None:
            digest = base64.b64encode(hashlib.md5(session.content).digest()).decode()
            assert headers.get("X-Goog-Hash", f"md5={digest}") == f"md5={digest}"
            session.unsure = True
            status, made = self._commit(session)
            session.unsure = False
            if status == 412:
                return _answer(412)
            session.made = made
        if session.made is not None:
            return _answer(200, json.dumps(session.made).encode())
        return _answer(308, Range=f"bytes=0-{len(session.content) - 1}") if session.content else _answer(308)

    def _commit(self, session: Session) -> tuple[int, dict[str, Any]]:
        parts = b"--q\r\nContent-Type: application/json\r\n\r\n" + json.dumps(session.entry).encode()
        parts += b"\r\n--q\r\nContent-Type: " + session.entry["contentType"].encode()
        parts += b"\r\n\r\n" + session.content + b"\r\n--q--\r\n"
        sent = {"Content-Type": "multipart/related; boundary=q"}
        upload = self.upload(uploadType="multipart", **session.condition)
        return super().told("POST", upload, "", sent, (parts,), (200, 412))

    def _arrived(self, session: Session) -> bool:
        """Whether a commit whose answer got lost made the object."""
        status, item = super().told("GET", self.object(session.entry["name"]), "", well=(200, 404))
        digest = base64.b64encode(hashlib.md5(session.content).digest()).decode()
        if status == 200 and item.get("md5Hash") == digest:
            session.made = item
        return session.made is not None

    def _holding(self, url: str) -> dict[str, Any] | None:
        """The object of a request, if what the request says of its generations is so."""
        query = parse_qs(urlsplit(url).query)
        key = unquote(urlsplit(url).path.rpartition("/")[2])
        status, item = super().told("GET", self.object(key), "storage.objects.get", well=(200, 404))
        wanted = query["ifGenerationMatch"][0], query["ifMetagenerationMatch"][0]
        return item if status == 200 and (item["generation"], item["metageneration"]) == wanted else None


def _answer(status: int, body: bytes = b"", **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)


SAID = ("cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "metadata")


def faithful(config: Mapping[str, str], *, sessions: bool = False) -> GcsNative:
    """A bucket through the emulator; with ``sessions``, those of uploads survive failures as Google's do."""
    bucket = GcsNative(config)
    bucket._client = Faithful(config, sessions)
    return bucket
