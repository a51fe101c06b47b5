"""Checksums against published values, and combined against computed ones."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest
from awscrt import checksums as crt

from gateway import checksums

CRCS = ["CRC32", "CRC32C", "CRC64NVME"]


def digest(algorithm: str, *chunks: bytes) -> bytes:
    hasher = checksums.new(algorithm)
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.digest()


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("SHA1", hashlib.sha1(b"123456789").hexdigest()),
        ("SHA256", hashlib.sha256(b"123456789").hexdigest()),
    ],
)
def test_check_values(algorithm: str, expected: str) -> None:
    assert digest(algorithm, b"123456789").hex() == expected
    assert digest(algorithm, b"1234", b"", bytearray(b"56"), memoryview(b"x789")[1:]).hex() == expected
    assert len(digest(algorithm)) == checksums.ALGORITHMS[algorithm].size


def test_headers_name_algorithms() -> None:
    assert checksums.HEADERS["x-amz-checksum-crc64nvme"] == "CRC64NVME"
    assert (
        set(checksums.HEADERS.values())
        == set(checksums.ALGORITHMS)
        == {
            *CRCS,
            *("SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"),
        }
    )


def test_multipart_types() -> None:
    types = {name: row.multipart_types for name, row in checksums.ALGORITHMS.items()}
    assert types == {
        "CRC32": ("COMPOSITE", "FULL_OBJECT"),
        "CRC32C": ("COMPOSITE", "FULL_OBJECT"),
        "CRC64NVME": ("FULL_OBJECT",),
        **dict.fromkeys(("SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"), ("COMPOSITE",)),
    }


@pytest.mark.parametrize(
    ("algorithm", "empty"),
    [
        ("MD5", "d41d8cd98f00b204e9800998ecf8427e"),
        ("XXHASH64", "ef46db3751d8e999"),
        ("XXHASH3", "2d06800538d394c2"),
        ("XXHASH128", "99aa06d3014798d86001c324468d497f"),
    ],
)
def test_published_values(algorithm: str, empty: str) -> None:
    """Of no bytes, with seed 0, in canonical byte order: https://github.com/Cyan4973/xxHash."""
    assert digest(algorithm, b"").hex() == empty


@pytest.mark.parametrize("algorithm", list(checksums.ALGORITHMS))
def test_encode_and_decode(algorithm: str) -> None:
    raw = digest(algorithm, b"x")
    assert checksums.decode(algorithm, checksums.encode(raw)) == raw
    wrong = base64.b64encode(raw + b"x").decode()
    for text in [
        "",
        "=",
        "AA==",
        wrong,
        checksums.encode(raw) + "\n",
        "é",
        checksums.encode(raw).rstrip("="),
        raw.hex(),
    ]:
        with pytest.raises(ValueError):
            checksums.decode(algorithm, text)


def test_decode_takes_one_spelling_only() -> None:
    with pytest.raises(ValueError):
        checksums.decode("CRC32", "AAAAAB==")


@pytest.mark.parametrize("algorithm", CRCS)
@pytest.mark.parametrize("sizes", [(0, 0), (0, 5), (5, 0), (1, 1), (3, 1000), (100_000, 65_537)])
def test_combine(algorithm: str, sizes: tuple[int, int]) -> None:
    first, second = (random.Random(size).randbytes(size) for size in sizes)
    combined = checksums.combine(algorithm, digest(algorithm, first), digest(algorithm, second), len(second))
    assert combined == digest(algorithm, first + second)


@pytest.mark.parametrize(
    ("algorithm", "oracle"),
    [("CRC32", crt.combine_crc32), ("CRC32C", crt.combine_crc32c), ("CRC64NVME", crt.combine_crc64nvme)],
)
def test_combine_over_great_lengths(algorithm: str, oracle: object) -> None:
    assert callable(oracle)
    source = random.Random(1)
    size = checksums.ALGORITHMS[algorithm].size
    for length in (5 * 1024**3, 2**40 + 1, *(source.randrange(2**43) for _ in range(20))):
        first, second = source.randbytes(size), source.randbytes(size)
        expected = oracle(int.from_bytes(first), int.from_bytes(second), length)
        assert checksums.combine(algorithm, first, second, length) == expected.to_bytes(size)


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256"])
def test_hashes_do_not_combine(algorithm: str) -> None:
    with pytest.raises(ValueError):
        checksums.combine(algorithm, b"", b"", 1)


def test_composite() -> None:
    parts = [hashlib.sha256(text).digest() for text in (b"a", b"b")]
    expected = base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode()
    assert checksums.composite("SHA256", parts) == f"{expected}-2"
