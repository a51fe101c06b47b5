"""Operations that list: a page of a thousand keys, or of a thousand common prefixes."""

from __future__ import annotations

import random
import re

from benchmarks.catalog_fill import BELOW_EACH, fill
from benchmarks.load import Request, Run
from benchmarks.site import Site, Unfit

PAGE = BELOW_EACH
BATCH = 10_000
BODY = b"a small object"
PATTERN = "pattern"
"""The key of the object that all others in a filled catalog are copies of; it comes after them."""
BY_PREFIX = "list-type=2&max-keys=1000&prefix="
BY_DELIMITER = "delimiter=%2F&list-type=2&max-keys=1000"


def list_keys(site: Site, connections: int) -> Run:
    """ListObjectsV2: the thousand keys of a prefix, of 10^5 keys in the bucket."""
    return _pages(site, connections, f"{site.bucket}-list", site.scale.listed)


def list_huge(site: Site, connections: int) -> Run:
    """The same of 10^7 keys."""
    return _pages(site, connections, f"{site.bucket}-huge", site.scale.huge_listed)


def _pages(site: Site, connections: int, bucket: str, count: int) -> Run:
    count = _filled(site, bucket, count) // PAGE
    prefixes = [f"p{number:05d}%2F" for number in random.sample(range(count), min(count, PAGE))]
    _check(site, bucket, BY_PREFIX + prefixes[0], rb"<Key>", PAGE)
    return _lists(site, connections, bucket, [BY_PREFIX + prefix for prefix in prefixes])


def _filled(site: Site, bucket: str, count: int) -> int:
    """How many keys a bucket has once it was filled; of the gateway, straight in its catalog."""
    if bucket not in site.made:
        site.make_bucket(bucket)
        if site.catalog is not None:
            site.fill([(f"/{bucket}/{PATTERN}", BODY)])
            fill(site.catalog, bucket, PATTERN, count)
        else:
            wanted, count = count, _fill(site, bucket, count)
            if count < wanted:
                site.notes.append(f"lists: {site.name} has {count:,} keys, more took longer than there is time for")
        site.made[bucket] = str(count)
    return int(site.made[bucket])


def _fill(site: Site, bucket: str, count: int) -> int:
    """Put as many as there is time for; how many there are then."""
    left, filled = site.scale.fill_seconds, 0
    while filled < count and left > 0:
        keys = [f"/{bucket}/p{number // PAGE:05d}/k{number % PAGE:06d}" for number in range(filled, filled + BATCH)]
        run = site.play([site.put(key, BODY) for key in keys[: count - filled]], 16, max(left, 5))
        if run.refused:
            raise Unfit(f"{run.refused} PUTs were refused while the bucket was filled")
        left -= run.seconds
        filled += len(run.done)
    if filled < PAGE:
        raise Unfit(f"it takes too long to fill: {filled} objects in {site.scale.fill_seconds:.0f} s")
    return filled


def list_prefixes(site: Site, connections: int) -> Run:
    """ListObjectsV2 with a delimiter: a thousand common prefixes, with a key below each."""
    bucket = f"{site.bucket}-folders"
    if bucket not in site.made:
        site.make_bucket(bucket)
        site.made[bucket] = str(len(site.fill([(f"/{bucket}/p{n:05d}/k", BODY) for n in range(site.scale.folders)])))
    return _folders(site, connections, bucket)


def list_folders(site: Site, connections: int) -> Run:
    """The same with a thousand keys below each."""
    bucket = f"{site.bucket}-deep"
    _filled(site, bucket, site.scale.folders * BELOW_EACH)
    return _folders(site, connections, bucket)


def _folders(site: Site, connections: int, bucket: str) -> Run:
    _check(site, bucket, BY_DELIMITER, rb"<CommonPrefixes>", site.scale.folders)
    return _lists(site, connections, bucket, [BY_DELIMITER])


def _check(site: Site, bucket: str, query: str, tag: bytes, count: int) -> None:
    status, _, page = site.signer.call("GET", f"/{bucket}", query)
    if status != 200 or len(re.findall(tag, page)) != count:
        raise Unfit(f"a page of {count:,} has others, or status {status}")


def _lists(site: Site, connections: int, bucket: str, queries: list[str]) -> Run:
    requests = [Request(site.signer.head("GET", f"/{bucket}", query)) for query in queries]
    return site.play(requests, connections, site.scale.seconds, loop=True)
