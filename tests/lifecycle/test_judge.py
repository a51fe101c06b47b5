"""Rows of versions as they are read, page after page, and what is decided of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.catalog.lifecycle import Mandate, Replaced
from gateway.lifecycle import Calendar, Filter, Lifecycle, Noncurrent, NoncurrentTransition, Rule
from gateway.lifecycle.decide import Facts
from gateway.lifecycle.judge import Judge
from gateway.lifecycle.visit import batches, spans
from gateway.types import Bucket, Lock

NOW = 1000
BUCKET = Bucket(1, "b", "o", "t", 0, "us-east-1")
GONE = Rule("gone", True, Filter(), noncurrent_expiration=Noncurrent(1))
MARKERS = Rule("markers", True, Filter(), expired_marker=True)


def row(
    key: str, version: int, *, marker: bool = False, latest: bool = False, age: int = 100, **more: Lock
) -> Replaced:
    return Replaced(Facts(key, 10, (), "STANDARD", NOW - age), version, f"v{version}", marker, latest, more.get("lock"))


def judged(rules: Sequence[Rule], pages: Sequence[Sequence[Replaced]], fixed: str = "-") -> tuple[list[str], ...]:
    """What expires, which markers, and what moves: as key and number."""
    mandate = Mandate(BUCKET, Lifecycle(tuple(rules)), Calendar(10), NOW, NOW, 1)
    judge = Judge(mandate, NOW, lambda key: not key.startswith(fixed))
    found: tuple[list[str], ...] = ([], [], [])
    for number, page in enumerate(pages, 1):
        judge.take_all(page)
        if number == len(pages):
            judge.end()
        verdicts = judge.harvest()
        for names, some in zip(found, (verdicts.expired, verdicts.markers, verdicts.moves), strict=True):
            names += [f"{each.facts.key}{each.version}" for each, _ in some]
    return found


MARKER = row("a", 3, marker=True, latest=True)


@pytest.mark.parametrize(
    ("rows", "expired", "markers"),
    [
        ([MARKER], [], ["a3"]),
        ([MARKER, row("a", 2)], ["a2"], ["a3"]),
        ([MARKER, row("a", 2, age=1)], [], []),
        ([MARKER, row("a", 2), row("a", 1, lock=Lock(legal_hold=True))], ["a2"], []),
        ([MARKER, row("a", 2, marker=True), row("b", 1, age=1)], ["a2"], ["a3"]),
        ([MARKER, row("b", 2, marker=True, latest=True)], [], ["a3", "b2"]),
        ([row("a", 2), row("a", 1)], ["a2", "a1"], []),
        ([row("a", 2, lock=Lock("COMPLIANCE", NOW)), row("a", 1, lock=Lock("COMPLIANCE", NOW + 1))], ["a2"], []),
    ],
)
def test_markers_go_with_the_last_thing_they_hide_however_the_pages_fall(
    rows: list[Replaced], expired: list[str], markers: list[str]
) -> None:
    assert judged([GONE, MARKERS], [rows]) == (expired, markers, [])
    assert judged([GONE, MARKERS], [[each] for each in rows]) == (expired, markers, [])
    assert judged([GONE, MARKERS], [rows], fixed="") == ([], [], [])


def test_newer_versions_are_counted_per_key_and_over_pages() -> None:
    rule = Rule("some", True, Filter(), noncurrent_expiration=Noncurrent(1, 2))
    rows = [row(key, version) for key in "ab" for version in (4, 3, 2, 1)]
    expected = (["a2", "a1", "b2", "b1"], [], [])
    assert judged([rule], [rows]) == expected
    assert judged([rule], [rows[:3], rows[3:5], rows[5:]]) == expected


def test_what_expires_does_not_move_and_markers_never_do() -> None:
    move = Rule("move", True, Filter(), noncurrent_transitions=(NoncurrentTransition("COLD", Noncurrent(1)),))
    old = Rule("old", True, Filter("a"), noncurrent_expiration=Noncurrent(1))
    rows = [row("a", 1), row("b", 2, marker=True), row("b", 1)]
    assert judged([move, old], [rows]) == (["a1"], [], ["b1"])


def test_ranges_of_rules_do_not_overlap() -> None:
    rules = [Rule(name, True, Filter(prefix)) for name, prefix in (("1", "b/c"), ("2", "b/"), ("3", "a"), ("4", "b/"))]
    assert spans(rules) == [(b"a", b"b"), (b"b/", b"b0")]
    assert spans([*rules, Rule("all", True, Filter())]) == [(b"", b"\xff")]
    assert spans([]) == []


def test_batches() -> None:
    assert list(batches([1, 2, 3], 2)) == [[1, 2], [3]] and list(batches([], 2)) == []
