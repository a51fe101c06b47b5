"""Reading bodies over ASGI: lengths, ends, digests."""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping
from typing import Any

import pytest

from gateway import errors as domain
from gateway.auth import errors
from gateway.auth.payload import UNSIGNED, Mode, Payload, Receive

TRAILED = Payload(Mode.UNSIGNED_TRAILER)
FRAMED = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
FRAMED_HEADERS = {
    b"content-length": b"%d" % len(FRAMED),
    b"x-amz-decoded-content-length": b"5",
    b"x-amz-trailer": b"x-amz-checksum-crc32",
}


def sends(*chunks: bytes, ended: bool = True) -> Receive:
    """A client that sends these chunks and then ends its request, or goes away."""
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": not ended or index < len(chunks)}
        for index, chunk in enumerate(chunks, 1)
    ]

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return receive


async def test_a_literal_body() -> None:
    body = UNSIGNED.open(sends(b"he", b"", b"llo"), {b"content-length": b"5"})
    body.require_length()
    assert body.length == 5
    assert [chunk async for chunk in body] == [b"he", b"llo"]


async def test_a_body_of_unknown_length() -> None:
    body = UNSIGNED.open(sends(b"he", b"llo"), {b"transfer-encoding": b"chunked"})
    body.require_length()
    assert body.length is None
    assert await body.read(5) == b"hello"


async def test_no_body() -> None:
    body = UNSIGNED.open(sends(), {})
    assert body.length == 0
    assert await body.read(0) == b""
    with pytest.raises(errors.MissingContentLength) as caught:
        body.require_length()
    assert caught.value.status == 411


@pytest.mark.parametrize("text", [b"", b"+5", b"5_0", b" 5", b"0x5", b"-1", b"\xd9\xa1", b"9" * 16, b"5,5"])
async def test_lengths_are_ascii_digits(text: bytes) -> None:
    with pytest.raises(errors.InvalidArgument):
        UNSIGNED.open(sends(), {b"content-length": text})
    with pytest.raises(errors.InvalidArgument):
        TRAILED.open(sends(), {b"content-length": b"5", b"x-amz-decoded-content-length": text})


async def test_two_ways_of_framing_are_one_too_many() -> None:
    with pytest.raises(errors.InvalidRequest):
        UNSIGNED.open(sends(), {b"content-length": b"5", b"transfer-encoding": b"chunked"})


@pytest.mark.parametrize(
    "receive",
    [
        lambda: sends(b"hell"),
        lambda: sends(b"hello!"),
        lambda: sends(b"hello", b"!"),
        lambda: sends(b"hel", ended=False),
        lambda: sends(b"hello", ended=False),
        lambda: sends(),
    ],
)
@pytest.mark.parametrize("payload", [UNSIGNED, Payload(Mode.SIGNED, "0" * 64)])
async def test_more_or_less_than_declared(receive: Any, payload: Payload) -> None:
    body = payload.open(receive(), {b"content-length": b"5"})
    with pytest.raises(domain.IncompleteBody):
        await body.read(100)


async def test_no_byte_beyond_the_declared_length_is_handed_out() -> None:
    received = []
    with pytest.raises(errors.IncompleteBody):
        async for chunk in UNSIGNED.open(sends(b"hello", b"!", b"!"), {b"content-length": b"5"}):
            received.append(chunk)
    assert received == [b"hello"]


async def test_read_checks_the_digest() -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    body = Payload(Mode.SIGNED, digest).open(sends(b"hello"), {b"content-length": b"5"})
    assert body.sha256 == digest
    assert await body.read(5) == b"hello"
    body = Payload(Mode.SIGNED, digest).open(sends(b"hellO"), {b"content-length": b"5"})
    with pytest.raises(errors.XAmzContentSHA256Mismatch) as caught:
        await body.read(5)
    assert caught.value.detail["ClientComputedContentSHA256"] == digest


async def test_read_is_bounded() -> None:
    with pytest.raises(errors.MaxMessageLengthExceeded):
        await UNSIGNED.open(sends(b"hello"), {b"content-length": b"5"}).read(4)
    with pytest.raises(errors.MaxMessageLengthExceeded):
        await UNSIGNED.open(sends(b"hel", b"lo"), {b"transfer-encoding": b"chunked"}).read(4)


@pytest.mark.parametrize("step", [1, 7, 100])
async def test_a_framed_body(step: int) -> None:
    chunks = [FRAMED[at : at + step] for at in range(0, len(FRAMED), step)]
    body = TRAILED.open(sends(*chunks), FRAMED_HEADERS)
    assert body.length == 5
    assert body.sha256 is None
    assert await body.read(5) == b"hello"
    assert body.trailers == {"x-amz-checksum-crc32": "NhCmhg=="}


async def test_trailers_come_only_with_a_whole_body() -> None:
    body = TRAILED.open(sends(FRAMED[:-4], ended=False), FRAMED_HEADERS)
    with pytest.raises(errors.IncompleteBody):
        await body.read(5)
    assert body.trailers == {}


async def test_a_framed_body_needs_its_decoded_length() -> None:
    with pytest.raises(errors.MissingContentLength):
        TRAILED.open(sends(FRAMED), {b"content-length": b"50"})


async def test_trailers_that_nobody_would_read_are_refused() -> None:
    with pytest.raises(errors.InvalidRequest, match="x-amz-trailer"):
        TRAILED.open(sends(), {**FRAMED_HEADERS, b"x-amz-trailer": b"x-amz-meta-a"})
    with pytest.raises(errors.MalformedTrailerError):
        UNSIGNED.open(sends(), FRAMED_HEADERS)


async def test_drain_reads_to_the_end_or_to_the_limit() -> None:
    headers = {b"content-length": b"9"}
    assert await UNSIGNED.open(sends(b"abc", b"def", b"ghi"), headers).drain(9)
    assert not await UNSIGNED.open(sends(b"abc", b"def", b"ghi"), headers).drain(3)
    assert not await UNSIGNED.open(sends(b"abc", ended=False), headers).drain(9)
