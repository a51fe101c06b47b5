"""Buckets of Google Cloud Storage as they stand, against fake-gcs-server, and what only Google answers."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3

from backends import gcs_native
from backends.base import StoreError, StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.gcs_client import GcsClient
from backends.gcs_native import GcsNative, GcsUpload
from backends.native import KeyRefused, NativeAttributes, NativeStore, StateChanged
from backends.remote_native import RemoteNative, UploadGone
from backends.retrying import Retries
from tests.contracts.native_store import PLAIN, NativeStoreContract, chunks, put, shown
from tests.e2e.harness import unique
from tests.faithful_gcs import faithful
from tests.faults import Faults, proxy


class TestFakeGcs(NativeStoreContract):
    @pytest.fixture
    async def store(self, fake_gcs: dict[str, str]) -> AsyncIterator[NativeStore]:
        store = RemoteNative(faithful(fake_gcs), f"{unique('native')}/", timeout=10)
        yield store
        await store.close()


def error(status: int, reason: str, message: str) -> tuple[int, str, bytes]:
    told = {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
    return status, "application/json", json.dumps(told).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (error(404, "notFound", "no bucket"), StoreMisconfigured, "there is no bucket 'blobs'"),
        (error(403, "forbidden", "sa@p lacks it"), StoreMisconfigured, "need storage.objects.create on the bucket"),
        (error(401, "authError", "Invalid"), StoreMisconfigured, "does not accept the credentials"),
        (error(403, "rateLimitExceeded", "slow down"), StoreUnavailable, "answers 403 rateLimitExceeded"),
        (error(403, "quotaExceeded", "too much"), StoreFull, "takes no more"),
        (error(403, "retentionPolicyNotMet", "until 2030"), StoreRefused, "keeps this object: until 2030"),
        ((200, "text/html", b"<html>hotel login"), StoreUnavailable, "does not answer as Google Cloud Storage does"),
        ((200, "application/json", b"{}"), StoreUnavailable, "does not answer as Google Cloud Storage does"),
    ],
)
async def test_what_is_wrong_is_said(
    fake_gcs: dict[str, str], answer: tuple[int, str, bytes], kind: type[StoreError], message: str
) -> None:
    faults = Faults()
    with proxy(fake_gcs["endpoint"], faults) as url:
        store = RemoteNative(GcsNative({**fake_gcs, "endpoint": url}), "", timeout=5, retries=Retries(1, 5, 0.001))
        faults.answers = [answer] * 4
        with pytest.raises(kind, match=message):
            await put(store, unique("key"))
        await store.close()


async def test_what_google_cannot_keep_is_refused(fake_gcs: dict[str, str]) -> None:
    store = RemoteNative(faithful(fake_gcs), f"{unique('native')}/", timeout=5)
    for key in ("a\nb", "..", "a/../b"):
        with pytest.raises(KeyRefused):
            await put(store, key)
    with pytest.raises(KeyRefused, match="keeps no Expires"):
        await store.write("a", chunks(b"1"), NativeAttributes("a/b", {"Expires": "0"}))
    assert await shown(store) == []
    await store.close()


async def test_conditions_go_along_with_removals_and_patches(fake_gcs: dict[str, str]) -> None:
    faults = Faults()
    with proxy(fake_gcs["endpoint"], faults) as url:
        store = RemoteNative(GcsNative({**fake_gcs, "endpoint": url}), f"{unique('native')}/", timeout=5)
        made = await put(store, "a")
        generation = f"ifGenerationMatch={made.entry.state.partition('.')[0]}&ifMetagenerationMatch=1".encode()
        faults.answers = []
        await store.delete("a", made.entry.state)
        assert faults.heads[-1].startswith(b"DELETE") and generation in faults.heads[-1]
        made = await put(store, "a")
        generation = f"ifGenerationMatch={made.entry.state.partition('.')[0]}&ifMetagenerationMatch=1".encode()
        with pytest.raises(StoreUnavailable, match="does not answer"):  # the emulator's own kind of answer
            await RemoteNative(
                GcsNative({**fake_gcs, "endpoint": url}), store._prefix, timeout=5, retries=Retries(1)
            ).describe("a", PLAIN, made.entry.state)
        assert faults.heads[-1].startswith(b"PATCH") and generation in faults.heads[-1]
        await store.close()


def test_the_etag_of_a_composed_object_is_no_md5() -> None:
    composed = {name: value for name, value in ITEM.items() if name != "md5Hash"}
    entry = gcs_native._entry({**composed, "name": "a", "componentCount": 2})
    assert entry.etag == "7-2"
    assert gcs_native._entry({**ITEM, "name": "a"}).etag == "000000"


class Scripted(GcsClient):
    """A client that answers requests of a session in a given order."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes] | Exception) -> None:
        self._answers = list(answers)
        self.spans: list[str] = []
        self.hashes: list[str | None] = []
        self.http = self  # type: ignore[assignment]

    def whole(self, answer: Any) -> bytes:
        content: bytes = answer.read()
        return content

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
        assert headers is not None and method == "PUT"
        self.spans.append(f"{headers['Content-Range'].removeprefix('bytes ')} {b''.join(body).decode()}")
        self.hashes.append(headers.get("X-Goog-Hash"))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, told, content = answer
        assert status in well
        yield urllib3.HTTPResponse(io.BytesIO(content), headers=told, status=status, preload_content=False)


ITEM = {"generation": "7", "metageneration": "1", "size": "6", "updated": "2026-11-25T12:00:00Z", "md5Hash": "AAAA"}
MADE: tuple[int, dict[str, str], bytes] = (200, {}, json.dumps(ITEM).encode())
LOST = StoreUnavailable("broke off")


def kept(upto: int) -> tuple[int, dict[str, str], bytes]:
    return 308, {"Range": f"bytes=0-{upto}"} if upto >= 0 else {}, b""


@pytest.mark.parametrize(
    ("answers", "spans"),
    [
        ([kept(3), MADE], ["0-3/* abcd", "4-5/6 ef"]),
        ([kept(1), kept(3), MADE], ["0-3/* abcd", "2-3/* cd", "4-5/6 ef"]),
        ([LOST, kept(-1), kept(3), MADE], ["0-3/* abcd", "*/* ", "0-3/* abcd", "4-5/6 ef"]),
        ([LOST, kept(3), MADE], ["0-3/* abcd", "*/* ", "4-5/6 ef"]),
        ([kept(3), LOST, MADE], ["0-3/* abcd", "4-5/6 ef", "*/* "]),
        ([kept(3), LOST, kept(4), MADE], ["0-3/* abcd", "4-5/6 ef", "*/* ", "5-5/6 f"]),
        ([kept(3), LOST, kept(5), MADE], ["0-3/* abcd", "4-5/6 ef", "*/* ", "*/6 "]),
    ],
)
def test_a_resumable_upload_goes_on_where_it_is(answers: list[Any], spans: list[str]) -> None:
    client = Scripted(*answers)
    upload = GcsUpload(client, "key", "http://session")
    attempt(lambda: upload.send(0, b"abcd"))
    made = attempt(lambda: upload.finish(1, b"ef"))
    assert (made.entry.key, made.entry.state) == ("key", "7.1")
    assert client.spans == spans
    last = next(told for span, told in zip(client.spans, client.hashes, strict=True) if "/6" in span)
    assert last is not None and last.startswith("md5=")
    assert upload.etag == hashlib.md5(b"abcdef").hexdigest()


def attempt(step: Callable[[], Any]) -> Any:
    for _ in range(3):
        try:
            return step()
        except StoreUnavailable:
            continue
    raise AssertionError("it does not end")


@pytest.mark.parametrize(("status", "kind"), [(412, StateChanged), (404, UploadGone), (410, UploadGone)])
def test_a_session_that_is_over_is_told(status: int, kind: type[Exception]) -> None:
    upload = GcsUpload(Scripted((status, {}, b"")), "key", "http://session")
    with pytest.raises(kind):
        upload.finish(0, b"abc")
