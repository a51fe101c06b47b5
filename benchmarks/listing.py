"""Operations that list: a page of a thousand keys, or of a thousand common prefixes."""

from __future__ import annotations

import random
import re

from benchmarks.load import Request, Run
from benchmarks.site import Site, Unfit

PAGE = 1000
BATCH = 10_000
BODY = b"a small object"
BY_PREFIX = "list-type=2&max-keys=1000&prefix="
BY_DELIMITER = "delimiter=%2F&list-type=2&max-keys=1000"


def list_keys(site: Site, connections: int) -> Run:
    """ListObjectsV2: the thousand keys of a prefix, of 10^5 keys in the bucket."""
    bucket = f"{site.bucket}-list"
    if not site.listed:
        site.make_bucket(bucket)
        site.listed = _fill(site, bucket)
    return _pages(site, connections, bucket, site.listed)


def _fill(site: Site, bucket: str) -> int:
    """How many objects there are then; a whole number of pages."""
    left, filled = site.scale.fill_seconds, 0
    while filled < site.scale.listed and left > 0:
        numbers = range(filled, min(filled + BATCH, site.scale.listed))
        keys = [f"/{bucket}/{key_of(number)}" for number in numbers]
        run = site.play([site.put(key, BODY) for key in keys], 16, max(left, 5))
        if run.refused:
            raise Unfit(f"{run.refused} PUTs were refused while the bucket was filled")
        left -= run.seconds
        filled += len(run.done)
    if filled < PAGE:
        raise Unfit(f"it takes too long to fill: {filled} objects in {site.scale.fill_seconds:.0f} s")
    if filled < site.scale.listed:
        print(f"list: {site.name}: {filled:,} objects after {site.scale.fill_seconds:.0f} s, and no more", flush=True)
    return filled - filled % PAGE


def key_of(number: int) -> str:
    """A key of the bucket: a thousand below each prefix."""
    return f"p{number // PAGE:05d}/k{number % PAGE:06d}"


def _pages(site: Site, connections: int, bucket: str, count: int) -> Run:
    prefixes = [f"p{number:05d}%2F" for number in random.sample(range(count // PAGE), min(count // PAGE, PAGE))]
    _check(site, bucket, BY_PREFIX + prefixes[0], rb"<Key>", PAGE)
    return _lists(site, connections, bucket, [BY_PREFIX + prefix for prefix in prefixes])


def list_prefixes(site: Site, connections: int) -> Run:
    """ListObjectsV2 with a delimiter: a thousand common prefixes, with a key below each."""
    bucket = f"{site.bucket}-folders"
    if "folders" not in site.made:
        site.make_bucket(bucket)
        site.fill([(f"/{bucket}/p{number:05d}/k", BODY) for number in range(site.scale.folders)], 16)
        site.made["folders"] = bucket
    _check(site, bucket, BY_DELIMITER, rb"<CommonPrefixes>", site.scale.folders)
    return _lists(site, connections, bucket, [BY_DELIMITER])


def _check(site: Site, bucket: str, query: str, tag: bytes, count: int) -> None:
    status, _, page = site.signer.call("GET", f"/{bucket}", query)
    if status != 200 or len(re.findall(tag, page)) != count:
        raise Unfit(f"a page of {count:,} has others, or status {status}")


def _lists(site: Site, connections: int, bucket: str, queries: list[str]) -> Run:
    requests = [Request(site.signer.head("GET", f"/{bucket}", query)) for query in queries]
    return site.play(requests, connections, site.scale.seconds, loop=True)
