"""What is counted of requests, and how all that is measured is written for Prometheus.

Counting costs a dictionary look-up and a few additions for each request; everything else is worked out when somebody
asks. Each worker counts for itself, and every series says which worker it is: workers come and go, and sums that forget
one would run backwards. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram of durations, in seconds."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FAMILIES = {
    "nexus_requests_total": ("counter", "Requests answered, by door, operation and HTTP status or RPC code."),
    "nexus_request_seconds": ("histogram", "How long requests took until their last byte was sent."),
    "nexus_received_bytes_total": ("counter", "Bytes of request bodies."),
    "nexus_sent_bytes_total": ("counter", "Bytes of answers' bodies."),
    "nexus_store_state": ("gauge", "1 for the state that a mount's store is in: ok, degraded, open or unusable."),
    "nexus_store_retry_seconds": ("gauge", "Seconds until the open breaker of a mount's store lets a probe through."),
    "nexus_store_probe_seconds": ("gauge", "How long the last answered probe of a mount's store took."),
    "nexus_store_calls_total": ("counter", "Calls of stores behind a network; a piece of a body is one."),
    "nexus_store_call_seconds_total": ("counter", "How long those calls took together."),
    "nexus_store_errors_total": ("counter", "Calls that failed because the store did not answer as it should."),
    "nexus_store_opened_total": ("counter", "How often the breaker of a mount's store opened."),
    "nexus_buffers": ("gauge", "Blocks that may be in memory on their way to stores."),
    "nexus_buffers_in_use": ("gauge", "Blocks that are in memory on their way to stores."),
    "nexus_connections": ("gauge", "Connections that clients have open."),
    "nexus_connections_dismissed_total": ("counter", "Connections that were closed to make room for others."),
    "nexus_connections_refused_total": ("counter", "Clients that were told to slow down: no connection was free."),
    "nexus_requests_under_way": ("gauge", "Requests that are being answered."),
    "nexus_requests_refused_total": ("counter", "Requests that were told to slow down: too much was under way."),
    "nexus_body_memory_bytes": ("gauge", "Memory taken for long bodies on their way through."),
    "nexus_gc_runs_total": ("counter", "Collections of garbage."),
    "nexus_gc_blobs_total": ("counter", "Blobs that were collected."),
    "nexus_gc_bytes_total": ("counter", "Bytes of blobs that were collected."),
    "nexus_gc_kept_total": ("counter", "Blobs that could not be collected, each time that was tried."),
    "nexus_catalog_bytes": ("gauge", "Size of the catalog's files."),
    "nexus_catalog_generation": ("gauge", "How often the configuration was changed."),
    "nexus_start_time_seconds": ("gauge", "When the worker started, in Unix seconds."),
    "nexus_resident_bytes": ("gauge", "Memory that the worker has resident."),
}


class Sample(NamedTuple):
    """A value; ``family`` is a row of FAMILIES."""

    family: str
    labels: Mapping[str, str]
    value: float
    suffix: str = ""
    """What a histogram's series ends with."""


class Metrics:
    """The counters of one worker. One event loop uses them."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, object], list[float]] = {}
        self.count = 0

    def request(self, door: str, operation: str, status: object, seconds: float, received: int, sent: int) -> None:
        """Count a request. Operations are those of a table, never a text of a client's."""
        key = (door, operation, status)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = [0.0] * (4 + len(BOUNDS))
        self.count += 1
        row[0] += 1
        row[1] += seconds
        row[2] += received
        row[3] += sent
        at = bisect_left(BOUNDS, seconds)
        if at < len(BOUNDS):
            row[4 + at] += 1

    def samples(self) -> Iterable[Sample]:
        totals: dict[tuple[str, str], list[float]] = {}
        for (door, operation, status), row in list(self._rows.items()):
            labels = {"door": door, "operation": operation}
            yield Sample("nexus_requests_total", {**labels, "status": str(status)}, row[0])
            total = totals.setdefault((door, operation), [0.0] * len(row))
            totals[door, operation] = [one + other for one, other in zip(total, row, strict=True)]
        for (door, operation), row in totals.items():
            labels, below = {"door": door, "operation": operation}, 0.0
            for bound, count in zip(BOUNDS, row[4:], strict=True):
                below += count
                yield Sample("nexus_request_seconds", {**labels, "le": f"{bound:g}"}, below, "_bucket")
            yield Sample("nexus_request_seconds", {**labels, "le": "+Inf"}, row[0], "_bucket")
            yield Sample("nexus_request_seconds", labels, row[1], "_sum")
            yield Sample("nexus_request_seconds", labels, row[0], "_count")
            yield Sample("nexus_received_bytes_total", labels, row[2])
            yield Sample("nexus_sent_bytes_total", labels, row[3])


def render(samples: Iterable[Sample]) -> str:
    """Samples as Prometheus reads them."""
    lines: dict[str, list[str]] = {}
    for family, labels, value, suffix in samples:
        told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        lines.setdefault(family, []).append(f"{family}{suffix}{{{told}}} {value:.15g}\n")
    text: list[str] = []
    for family, (kind, meaning) in FAMILIES.items():
        if family in lines:
            text += (f"# HELP {family} {meaning}\n# TYPE {family} {kind}\n", *lines[family])
    return "".join(text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def dump(samples: Iterable[Sample]) -> str:
    """Samples for another worker to load."""
    return json.dumps([list(sample) for sample in samples])


def load(text: str) -> list[Sample]:
    return [Sample(*each) for each in json.loads(text) if each[0] in FAMILIES]
