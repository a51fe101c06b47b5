"""What is counted, and how it is written."""

from __future__ import annotations

import re
import timeit

from gateway.metrics import Metrics, Sample, dump, load, render


def test_requests_are_counted_by_door_operation_and_status() -> None:
    counters = Metrics()
    counters.request("s3", "GetObject", 200, 0.002, 0, 100)
    counters.request("s3", "GetObject", 200, 99.0, 0, 50)
    counters.request("s3", "GetObject", 404, 0.0001, 7, 3)
    lines = render(counters.samples()).splitlines()
    assert 'nexus_requests_total{door="s3",operation="GetObject",status="200"} 2' in lines
    assert 'nexus_request_seconds_bucket{door="s3",operation="GetObject",le="0.001"} 1' in lines
    assert 'nexus_request_seconds_bucket{door="s3",operation="GetObject",le="0.0025"} 2' in lines
    assert 'nexus_request_seconds_bucket{door="s3",operation="GetObject",le="60"} 2' in lines
    assert 'nexus_request_seconds_bucket{door="s3",operation="GetObject",le="+Inf"} 3' in lines
    assert 'nexus_request_seconds_count{door="s3",operation="GetObject"} 3' in lines
    assert 'nexus_sent_bytes_total{door="s3",operation="GetObject"} 153' in lines
    assert 'nexus_received_bytes_total{door="s3",operation="GetObject"} 7' in lines


def test_labels_cannot_break_out() -> None:
    text = render([Sample("nexus_store_calls_total", {"mount": '/a"\\\n} 1\nevil'}, 1)])
    assert text.splitlines()[2] == 'nexus_store_calls_total{mount="/a\\"\\\\\\n} 1\\nevil"} 1'
    assert len(text.splitlines()) == 3


def test_what_a_worker_leaves_is_what_it_measured() -> None:
    counters = Metrics()
    counters.request("rpc", "read", "ok", 0.5, 1, 2)
    assert render(load(dump(counters.samples()))) == render(counters.samples())


def test_each_line_is_as_prometheus_reads_them() -> None:
    counters = Metrics()
    counters.request("s3", "PutObject", 200, 0.0123456789, 10**12, 0)
    for line in render(counters.samples()).splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+\{(\w+="[^"]*",?)*\} [0-9.e+-]+', line), line


def test_counting_costs_next_to_nothing() -> None:
    counters = Metrics()
    rounds = 20_000
    seconds = min(
        timeit.repeat(lambda: counters.request("s3", "GetObject", 200, 0.002, 0, 100), number=rounds, repeat=5)
    )
    assert seconds / rounds < 20e-6, "some 1 µs on a machine that does nothing else"
    print(f"{seconds / rounds * 1e6:.2f} µs")
