"""obstore: Rust's object_store, what Delta Lake, Polars, DataFusion and Lance are built on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.request import urlopen

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError
from obstore.store import S3Store

from conformance.clients.files import BIG, MIB, SPECIAL_KEYS, bucket, left, noise


def carry(store: S3Store) -> None:
    big = noise(BIG)
    attributes = {"Content-Type": "a/b", "colour": "blue"}
    obstore.put(store, "big", big, chunk_size=5 * MIB, max_concurrency=4, attributes=attributes)
    got = obstore.get(store, "big")
    assert got.attributes["colour"] == "blue" and got.attributes["Content-Type"] == "a/b"
    assert bytes(got.bytes()) == big
    starts = [0, 5 * MIB - 2, BIG - 3]
    ranges = obstore.get_ranges(store, "big", starts=starts, lengths=[3] * 3)
    assert [bytes(each) for each in ranges] == [big[start : start + 3] for start in starts]
    with obstore.open_writer(store, "streamed", buffer_size=5 * MIB) as writer:
        for start in range(0, BIG, MIB):
            writer.write(big[start : start + MIB])
    obstore.copy(store, "streamed", "copied")
    obstore.rename(store, "copied", "renamed")
    left("renamed", big)


def odd_keys(store: S3Store) -> None:
    for number, key in enumerate(SPECIAL_KEYS):
        body = noise(100 + number, number)
        obstore.put(store, f"special/{key}", body)
        obstore.copy(store, f"special/{key}", f"copied/{key}")
        with urlopen(obstore.sign(store, "GET", f"copied/{key}", timedelta(minutes=1)), timeout=10) as answer:
            assert answer.read() == body
        left(f"copied/{key}", body)
    listed = [each["path"] for each in obstore.list(store, "copied").collect()]
    assert listed == sorted((f"copied/{key}" for key in SPECIAL_KEYS), key=str.encode)
    assert len(obstore.list_with_delimiter(store, "special")["common_prefixes"]) == 3
    obstore.delete(store, [f"special/{key}" for key in SPECIAL_KEYS])
    assert obstore.list(store, "special").collect() == []


def conditions(store: S3Store) -> None:
    """Of sixteen writers that each want to be first, one is; then each update is based on the one before."""

    def first(number: int) -> int:
        try:
            obstore.put(store, "first", str(number).encode(), mode="create")
        except AlreadyExistsError:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(first, range(16))) == 1
    seen = obstore.head(store, "first")
    obstore.put(store, "first", b"second", mode={"e_tag": seen["e_tag"]})
    try:
        obstore.put(store, "first", b"third", mode={"e_tag": seen["e_tag"]})
        raise AssertionError("a stale update was taken")
    except PreconditionError:
        left("first", b"second")


def main() -> None:
    store = S3Store(bucket(), endpoint=os.environ["AWS_ENDPOINT_URL"], client_options={"allow_http": True})
    carry(store)
    odd_keys(store)
    conditions(store)
    try:
        obstore.head(store, "absent")
        raise AssertionError("an absent key was found")
    except (NotFoundError, FileNotFoundError):
        pass


main()
