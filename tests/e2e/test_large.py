"""Large objects: bytes come back as they went, and the server's memory does not grow with them."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, unique

MIB = 1024 * 1024
GIB = 1024 * MIB
ALLOWED = 100 * MIB


class Pattern(io.RawIOBase):
    """A file of any size that costs nothing: one MiB over and over, each time stamped with its number."""

    def __init__(self, size: int, seed: str) -> None:
        self._size = size
        self._at = 0
        self._stamp = hashlib.sha256(seed.encode()).digest()
        self._rest = hashlib.shake_128(seed.encode()).digest(MIB - 40)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def __len__(self) -> int:
        return self._size

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._at + size, self._size)
        pieces = []
        while self._at < stop:
            number, start = divmod(self._at, MIB)
            block = number.to_bytes(8, "big") + self._stamp + self._rest
            pieces.append(block[start : min(MIB, start + stop - self._at)])
            self._at += len(pieces[-1])
        return b"".join(pieces)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class Comparer(io.RawIOBase):
    """A file that may only be written with what a pattern says."""

    def __init__(self, expected: Pattern) -> None:
        self._expected = expected
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, chunk: bytes) -> int:  # type: ignore[override]
        assert bytes(chunk) == self._expected.read(len(chunk)), f"other bytes after {self.size}"
        self.size += len(chunk)
        return len(chunk)


@contextmanager
def memory_of(server: Server, idle: int) -> Iterator[None]:
    """What happens inside must leave the resident memory within 100 MiB of ``idle``, at every moment."""
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, server.resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert most - idle <= ALLOWED, f"{most // MIB} MiB resident, {idle // MIB} MiB when idle"


@pytest.fixture(scope="module")
def roomy(new_server: Callable[..., Server]) -> tuple[Server, int]:
    """A server of its own, for others would share its memory, and its resident size: warm but idle."""
    server = new_server()
    client = server.s3()
    client.put_object(Bucket="workspace", Key="warm", Body=b"x")
    client.get_object(Bucket="workspace", Key="warm")["Body"].read()
    client.close()
    return server, server.resident()


@pytest.fixture(scope="module")
def lean(roomy: tuple[Server, int]) -> Iterator[BaseClient]:
    """A client that sends bodies as they are, without reading them three times to sign and sum them first."""
    client = roomy[0].s3(
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    yield client
    client.close()


def read_back(client: BaseClient, bucket: str, key: str, expected: Pattern) -> None:
    comparer = Comparer(expected)
    body = client.get_object(Bucket=bucket, Key=key)["Body"]
    for chunk in body.iter_chunks(MIB):
        comparer.write(chunk)
    assert comparer.size == len(expected)


def test_one_gib_by_boto3s_default_transfer(roomy: tuple[Server, int]) -> None:
    bucket = unique("large")
    client = roomy[0].s3()
    client.create_bucket(Bucket=bucket)
    with memory_of(*roomy):
        client.upload_fileobj(Pattern(GIB, "multipart"), bucket, "key")
        assert client.head_object(Bucket=bucket, Key="key")["ETag"].endswith('-128"')
        read_back(client, bucket, "key", Pattern(GIB, "multipart"))
    client.close()


def test_one_gib_in_one_put(roomy: tuple[Server, int], lean: BaseClient) -> None:
    bucket = unique("large")
    lean.create_bucket(Bucket=bucket)
    with memory_of(*roomy):
        lean.put_object(Bucket=bucket, Key="key", Body=Pattern(GIB, "single"))
        read_back(lean, bucket, "key", Pattern(GIB, "single"))


def test_twenty_clients_at_once(roomy: tuple[Server, int], lean: BaseClient) -> None:
    bucket = unique("large")
    lean.create_bucket(Bucket=bucket)
    size = 64 * MIB

    def work(number: int) -> None:
        lean.put_object(Bucket=bucket, Key=f"key-{number}", Body=Pattern(size, f"client {number}"))
        read_back(lean, bucket, f"key-{number}", Pattern(size, f"client {number}"))

    with memory_of(*roomy), ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
