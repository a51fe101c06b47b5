"""The aws-chunked decoder: any split, any damage."""

from __future__ import annotations

import hashlib
import hmac
import io
import itertools

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.auth import errors
from gateway.auth.chunked import Chain, Decoder, Seed, strip_aws_chunked

SEED = Seed(b"k" * 32, b"20240101T000000Z", b"20240101/us-east-1/s3/aws4_request", b"5" * 64)
BODY = bytes(range(256)) * 80
CRC = "x-amz-checksum-crc32"


def sign(kind: str, previous: bytes, digest: bytes) -> bytes:
    string = b"\n".join([f"AWS4-HMAC-SHA256-{kind}".encode(), SEED.timestamp, SEED.scope, previous, digest])
    return hmac.digest(SEED.signing_key, string, "sha256").hex().encode()


def hashed(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def signed(body: bytes = BODY, size: int = 8192, trailers: bytes | None = None, separator: bytes = b"") -> bytes:
    wire, previous = b"", SEED.signature
    for chunk in [*(body[at : at + size] for at in range(0, len(body), size)), b""]:
        previous = sign("PAYLOAD", previous, hashed(b"") + b"\n" + hashed(chunk))
        wire += b"%x;chunk-signature=%s\r\n" % (len(chunk), previous)
        wire += chunk + b"\r\n" if chunk else b""
    if trailers is None:
        return wire + b"\r\n"
    canonical = trailers.replace(b"\r\n", b"\n")
    signature = sign("TRAILER", previous, hashed(canonical))
    return wire + trailers + separator + b"x-amz-trailer-signature:" + signature + b"\r\n\r\n"


def unsigned(body: bytes = BODY, size: int = 8192) -> bytes:
    wrapper = AwsChunkedWrapper(io.BytesIO(body), Crc32Checksum, CRC, chunk_size=size)
    return bytes(wrapper.read())


FORMS = {
    "signed": (signed(), None, True),
    "signed-trailer": (signed(trailers=b"x-amz-checksum-crc32:AAAAAA==\r\n"), [CRC], True),
    "unsigned-trailer": (unsigned(), [CRC], False),
}


def decoder(announced: list[str] | None, is_signed: bool, length: int = len(BODY)) -> Decoder:
    return Decoder(length, chain=Chain(SEED) if is_signed else None, announced=announced)


def decode(wire: bytes, target: Decoder, step: int = 1 << 20) -> bytes:
    decoded = [piece for at in range(0, len(wire), step) for piece in target.feed(wire[at : at + step])]
    target.finish()
    return b"".join(decoded)


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> tuple[bytes, list[str] | None, bool]:
    return FORMS[request.param]


@pytest.mark.parametrize("step", [1, 2, 7, 8191, 8192, 8193, 1 << 20])
def test_any_split(form: tuple[bytes, list[str] | None, bool], step: int) -> None:
    wire, announced, is_signed = form
    target = decoder(announced, is_signed)
    assert decode(wire, target, step) == BODY
    assert set(target.trailers) == set(announced or [])


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, len(FORMS["signed"][0])), max_size=20), name=st.sampled_from(list(FORMS)))
def test_random_splits(cuts: list[int], name: str) -> None:
    wire, announced, is_signed = FORMS[name]
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    target = decoder(announced, is_signed)
    pieces = [piece for a, b in itertools.pairwise(edges) for piece in target.feed(wire[a:b])]
    target.finish()
    assert b"".join(pieces) == BODY


def test_every_cut_short_body_is_incomplete(form: tuple[bytes, list[str] | None, bool]) -> None:
    wire, announced, is_signed = form
    for missing in [*range(1, 200), 9000]:
        if is_signed and announced and missing == 2:
            continue  # only the empty line after the trailers' signature is missing
        target = decoder(announced, is_signed)
        with pytest.raises((errors.IncompleteBody, errors.SignatureDoesNotMatch)):
            decode(wire[:-missing], target)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(FORMS["signed"][0]) - 1), flip=st.integers(1, 255))
def test_no_damaged_signed_body_passes(at: int, flip: int) -> None:
    wire = bytearray(FORMS["signed"][0])
    wire[at] ^= flip
    # The case of hex digits of a size is free.
    if bytes(wire).lower() == FORMS["signed"][0].lower() and chr(wire[at]) in "ABCDEF":
        return
    with pytest.raises((errors.IncompleteBody, errors.SignatureDoesNotMatch, errors.InvalidChunkSizeError)):
        decode(bytes(wire), decoder(None, True))


def test_nothing_may_follow(form: tuple[bytes, list[str] | None, bool]) -> None:
    wire, announced, is_signed = form
    target = decoder(announced, is_signed)
    with pytest.raises(errors.IncompleteBody):
        decode(wire + b"x", target)


@pytest.mark.parametrize("length", [len(BODY) - 1, len(BODY) + 1, 0])
def test_the_declared_length_is_the_length(form: tuple[bytes, list[str] | None, bool], length: int) -> None:
    wire, announced, is_signed = form
    with pytest.raises(errors.IncompleteBody):
        decode(wire, decoder(announced, is_signed, length))


@pytest.mark.parametrize(
    "wire",
    [
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5;name=value\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\r\n\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhello\r\n",
        b"5\r\nhello",
        b"\r\n",
        b"",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"0" * 1000,
    ],
)
def test_bad_framing(wire: bytes) -> None:
    with pytest.raises(errors.IncompleteBody):
        decode(wire, decoder([], False, 5))


def test_a_chunk_signature_is_needed_where_chunks_are_signed() -> None:
    with pytest.raises(errors.IncompleteBody):
        decode(b"5\r\nhello\r\n0\r\n\r\n", decoder(None, True, 5))
    with pytest.raises(errors.IncompleteBody):
        decode(signed(b"hello").replace(b"chunk-signature", b"chunk-checksum"), decoder(None, True, 5))


def test_chunks_cannot_be_swapped() -> None:
    wire = signed(BODY[:16384])
    size = len(b"2000;chunk-signature=\r\n\r\n") + 64 + 8192
    swapped = wire[size : 2 * size] + wire[:size] + wire[2 * size :]
    with pytest.raises(errors.SignatureDoesNotMatch):
        decode(swapped, decoder(None, True, 16384))


def test_only_the_last_chunk_may_be_small() -> None:
    with pytest.raises(errors.InvalidChunkSizeError) as caught:
        decode(unsigned(BODY, 4096), decoder([CRC], False))
    assert caught.value.detail == {"Chunk": "1", "BadChunkSize": "4096"}


def test_signed_chunks_are_bounded() -> None:
    target = Decoder(len(BODY), chain=Chain(SEED), max_signed_chunk=10000)
    with pytest.raises(errors.InvalidChunkSizeError):
        decode(signed(size=len(BODY)), target)


@pytest.mark.parametrize("body", [b"", b"x"])
def test_small_bodies(body: bytes) -> None:
    assert decode(signed(body), decoder(None, True, len(body))) == body
    assert decode(unsigned(body), decoder([CRC], False, len(body))) == body


def test_trailers_may_be_none() -> None:
    assert decode(b"5\r\nhello\r\n0\r\n\r\n", decoder([], False, 5)) == b"hello"


@pytest.mark.parametrize(
    "trailers",
    [
        b"",
        b"x-amz-checksum-crc32c:AAAAAA==\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:AAAAAA==\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-meta-a:b\r\n",
        b"x-amz-checksum-crc32\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\n",
        b"x-amz-trailer-signature:0\r\n",
        b"x-amz-checksum-crc32:" + b"A" * 300 + b"\r\n",
    ],
)
def test_bad_trailers(trailers: bytes) -> None:
    with pytest.raises(errors.MalformedTrailerError):
        decode(b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n", decoder([CRC], False, 5))


def test_trailers_are_bounded_though_empty_lines_are_free() -> None:
    wire = signed(trailers=b"x-amz-checksum-crc32:AAAAAA==\r\n", separator=b"\r\n" * 3000)
    with pytest.raises(errors.MalformedTrailerError):
        decode(wire, decoder([CRC], True))


def test_trailer_names_and_values_are_taken_without_case_and_space() -> None:
    target = decoder([CRC], False, 5)
    decode(b"5\r\nhello\r\n0\r\nX-Amz-Checksum-CRC32: AAAAAA== \r\n\r\n", target)
    assert target.trailers == {CRC: "AAAAAA=="}


def test_signed_trailers_cannot_be_changed_or_unsigned() -> None:
    wire = signed(trailers=b"x-amz-checksum-crc32:AAAAAA==\r\n")
    with pytest.raises(errors.SignatureDoesNotMatch):
        decode(wire.replace(b"AAAAAA==", b"AAAAAB=="), decoder([CRC], True))
    start = wire.index(b"x-amz-trailer-signature")
    with pytest.raises(errors.IncompleteBody):
        decode(wire[:start] + b"\r\n", decoder([CRC], True))
    with pytest.raises(errors.MalformedTrailerError):
        decode(wire[:-2] + b"x-amz-checksum-crc32c:AAAAAA==\r\n\r\n", decoder([CRC], True))


def test_signed_trailers_as_minio_go_writes_them() -> None:
    wire = signed(trailers=b"x-amz-checksum-crc32:AAAAAA==\n", separator=b"\r\n")
    assert decode(wire, decoder([CRC], True)) == BODY


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, AWS-Chunked", "gzip"),
        ("gzip", "gzip"),
        ("", None),
        ("gzip, br", "gzip, br"),
    ],
)
def test_strip_aws_chunked(sent: str, kept: str | None) -> None:
    assert strip_aws_chunked(sent) == kept
