"""Operations on objects of 4 KiB."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from benchmarks.load import Request, Run
from benchmarks.site import SMALL, Site, Unfit

PROBE_SECONDS = 0.4
MOST_PUTS = 60_000
MOST_DELETES = 20_000


def put_new(site: Site, connections: int) -> Run:
    return _puts(site, connections, lambda: os.urandom(SMALL))


def put_same(site: Site, connections: int) -> Run:
    content = os.urandom(SMALL)
    return _puts(site, connections, lambda: content)


def _puts(site: Site, connections: int, content: Callable[[], bytes]) -> Run:
    def go(count: int, seconds: float) -> Run:
        keys = site.fresh(count)
        run = site.play([site.put(key, content()) for key in keys], connections, seconds)
        site.written += [keys[number] for number in run.done]
        return run

    probe = go(1000, PROBE_SECONDS)  # a plan is made once: it must last, and not much longer
    return go(int(min(MOST_PUTS, max(500, probe.rate * site.scale.seconds * 1.5))), site.scale.seconds)


def get(site: Site, connections: int) -> Run:
    return _reads(site, connections, "GET")


def head(site: Site, connections: int) -> Run:
    return _reads(site, connections, "HEAD")


def _reads(site: Site, connections: int, method: str) -> Run:
    if not site.readable:
        _fill(site)
    keys = random.sample(site.readable, len(site.readable))
    requests = [Request(site.signer.head(method, key)) for key in keys]
    return site.play(requests, connections, site.scale.seconds, loop=True)


def get_cold(site: Site, connections: int) -> Run:
    """Objects that nobody read before, each once: no memory of a server has them."""
    keys = site.fill([(key, os.urandom(SMALL)) for key in site.fresh(site.scale.keys)])
    site.written += keys
    requests = [Request(site.signer.head("GET", key)) for key in random.sample(keys, len(keys))]
    return site.play(requests, connections, site.scale.seconds)


def _fill(site: Site) -> None:
    pairs = [
        (f"/{site.bucket}/r/{number % 256:02x}/{number:06d}", os.urandom(SMALL)) for number in range(site.scale.keys)
    ]
    site.readable = site.fill(pairs)
    if len(site.readable) < len(pairs):
        raise Unfit(f"{len(pairs) - len(site.readable)} of {len(pairs)} PUTs failed")
    key, content = pairs[7]
    status, _, body = site.signer.call("GET", key)
    if status != 200 or body != content:
        raise Unfit(f"GET answers {status}, or other bytes than were put")


def delete(site: Site, connections: int) -> Run:
    if len(site.written) < site.scale.keys:
        site.written += site.fill([(key, os.urandom(SMALL)) for key in site.fresh(site.scale.keys)])
    keys, site.written = site.written[:MOST_DELETES], site.written[MOST_DELETES:]
    run = site.play([Request(site.signer.head("DELETE", key)) for key in keys], connections, site.scale.seconds)
    gone = set(run.done)
    site.written += [key for number, key in enumerate(keys) if number not in gone]
    return run
