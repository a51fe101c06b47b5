"""What rules say of a version and when: tables of values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.lifecycle import (
    Calendar,
    Filter,
    Lifecycle,
    Noncurrent,
    NoncurrentTransition,
    Rule,
    Transition,
    When,
)
from gateway.lifecycle.calendar import EVER, NEVER
from gateway.lifecycle.decide import (
    Facts,
    abort,
    expiration,
    marker_expiration,
    noncurrent_expiration,
    noncurrent_transition,
    transition,
)
from gateway.lifecycle.rules import VARIES

DAYS = Calendar()
BIG = 200 * 1024


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


START = at("2026-01-15T10:30:00")


def rule(name: str = "r", chosen: Filter | None = None, enabled: bool = True, **actions: Any) -> Rule:
    return Rule(name, enabled, chosen or Filter(), **actions)


def facts(
    key: str = "key", size: int = BIG, tags: tuple[tuple[str, str], ...] = (), storage_class: str = "STANDARD"
) -> Facts:
    return Facts(key, size, tags, storage_class, START)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-01-15T10:30:00", 3, "2026-01-19"),  # the user guide's own example, in another year
        ("2026-01-15T00:00:00", 1, "2026-01-17"),
        ("2026-01-15T23:59:59.999", 1, "2026-01-17"),
        ("2026-01-15T10:30:00", 0, "2026-01-16"),
        ("2024-02-28T12:00:00", 1, "2024-03-01"),
        ("2026-12-31T12:00:00", 1, "2027-01-02"),
    ],
)
def test_days_end_at_the_midnight_after(start: str, days: int, end: str) -> None:
    assert DAYS.after(at(start), days) == at(end)


def test_a_shorter_day_has_no_midnight() -> None:
    assert Calendar(5000).after(1234, 2) == 11_234


def test_what_began_too_late_is_not_due() -> None:
    assert DAYS.latest_start(When(days=2), at("2026-01-19")) == at("2026-01-17")
    assert DAYS.latest_start(When(date=at("2026-01-19")), at("2026-01-19")) == EVER
    assert DAYS.latest_start(When(date=at("2026-01-20")), at("2026-01-19")) == NEVER


@pytest.mark.parametrize(
    ("chosen", "admitted"),
    [
        (Filter(), True),
        (Filter("ke"), True),
        (Filter("kex"), False),
        (Filter(tags=(("a", "1"),)), True),
        (Filter(tags=(("a", "1"), ("b", "2"))), True),
        (Filter(tags=(("a", "2"),)), False),
        (Filter(tags=(("a", "1"), ("c", "3"))), False),
        (Filter(larger_than=99), True),
        (Filter(larger_than=100), False),
        (Filter(smaller_than=101), True),
        (Filter(smaller_than=100), False),
        (Filter("k", (("a", "1"),), 99, 101), True),
        (Filter("k", (("a", "1"),), 99, 100), False),
    ],
)
def test_a_filter_admits_what_all_of_it_holds_for(chosen: Filter, admitted: bool) -> None:
    assert chosen.admits("key", 100, (("a", "1"), ("b", "2"))) is admitted


def test_the_earliest_expiration_counts_and_of_equals_the_first() -> None:
    week, day, same = (rule(name, expiration=When(days=days)) for name, days in (("w", 7), ("d", 1), ("s", 1)))
    off = rule("off", enabled=False, expiration=When(date=at("2000-01-01")))
    due = expiration(Lifecycle((off, week, day, same)), DAYS, facts())
    assert due is not None and (due.at, due.rule.id) == (at("2026-01-17"), "d")
    assert expiration(Lifecycle((rule(chosen=Filter("other"), expiration=When(days=1)),)), DAYS, facts()) is None
    assert expiration(Lifecycle((rule(expired_marker=True),)), DAYS, facts()) is None


def moves(*transitions: tuple[str, int], **more: Any) -> Rule:
    return rule(transitions=tuple(Transition(name, When(days=days)) for name, days in transitions), **more)


@pytest.mark.parametrize(
    ("current", "now", "expected"),
    [
        ("STANDARD", "2026-01-16", None),
        ("STANDARD", "2026-01-17", "COLD"),
        ("COLD", "2026-01-17", None),
        ("STANDARD", "2026-01-23", "COLDER"),  # both are due: the later one
        ("COLD", "2026-01-23", "COLDER"),
        ("COLDER", "2026-01-23", None),
    ],
)
def test_classes_of_our_own_follow_their_days(current: str, now: str, expected: str | None) -> None:
    lifecycle = Lifecycle((moves(("COLDER", 7), ("COLD", 1)),))
    due = transition(lifecycle, DAYS, facts(storage_class=current, size=1), at(now))
    assert (due and due.storage_class) == expected


@pytest.mark.parametrize(
    ("names", "current", "expected"),
    [
        (("STANDARD_IA", "GLACIER"), "STANDARD", "GLACIER"),
        (("INTELLIGENT_TIERING", "GLACIER_IR"), "STANDARD", "INTELLIGENT_TIERING"),
        (("INTELLIGENT_TIERING", "DEEP_ARCHIVE"), "STANDARD", "DEEP_ARCHIVE"),
        (("STANDARD_IA",), "GLACIER", None),  # never back
        (("GLACIER_IR",), "ONEZONE_IA", None),
        (("GLACIER",), "GLACIER", None),
        (("GLACIER",), "COLD", "GLACIER"),
        (("COLD",), "GLACIER", "COLD"),
        (("STANDARD_IA",), "REDUCED_REDUNDANCY", "STANDARD_IA"),
    ],
)
def test_of_transitions_due_at_once_the_cheapest_is_done(
    names: tuple[str, ...], current: str, expected: str | None
) -> None:
    lifecycle = Lifecycle(tuple(moves((name, 1)) for name in names))
    due = transition(lifecycle, DAYS, facts(storage_class=current), at("2026-02-01"))
    assert (due and due.storage_class) == expected


@pytest.mark.parametrize(
    ("size", "target", "minimum", "chosen", "moved"),
    [
        (131_072, "GLACIER", None, Filter(), True),
        (131_071, "GLACIER", None, Filter(), False),
        (131_071, "STANDARD_IA", VARIES, Filter(), False),
        (131_071, "GLACIER", VARIES, Filter(), True),
        (1, "DEEP_ARCHIVE", VARIES, Filter(), True),
        (1, "STANDARD_IA", None, Filter(larger_than=0), True),
        (1, "COLD", None, Filter(), True),
    ],
)
def test_small_objects_stay_unless_a_rule_is_about_sizes(
    size: int, target: str, minimum: str | None, chosen: Filter, moved: bool
) -> None:
    rules = (moves((target, 1), chosen=chosen),)
    lifecycle = Lifecycle(rules, minimum) if minimum else Lifecycle(rules)
    assert (transition(lifecycle, DAYS, facts(size=size), at("2026-02-01")) is not None) is moved
    noncurrent = rule(chosen=chosen, noncurrent_transitions=(NoncurrentTransition(target, Noncurrent(1)),))
    lifecycle = Lifecycle((noncurrent,), lifecycle.default_minimum)
    assert (noncurrent_transition(lifecycle, DAYS, facts(size=size), 0, at("2026-02-01")) is not None) is moved


@pytest.mark.parametrize(
    ("when", "newer", "now", "goes"),
    [
        (Noncurrent(1), 0, "2026-01-16", False),
        (Noncurrent(1), 0, "2026-01-17", True),
        (Noncurrent(1, 2), 1, "2026-01-17", False),
        (Noncurrent(1, 2), 2, "2026-01-17", True),
        (Noncurrent(1, 2), 2, "2026-01-16", False),
    ],
)
def test_replaced_versions_go_when_both_age_and_number_are_over(
    when: Noncurrent, newer: int, now: str, goes: bool
) -> None:
    lifecycle = Lifecycle((rule(noncurrent_expiration=when),))
    assert (noncurrent_expiration(lifecycle, DAYS, facts(), newer, at(now)) is not None) is goes


@pytest.mark.parametrize(
    ("actions", "now", "goes"),
    [
        ({"expired_marker": True}, "2026-01-15", True),
        ({"expired_marker": False}, "2030-01-15", False),
        ({"expiration": When(days=1)}, "2026-01-16", False),
        ({"expiration": When(days=1)}, "2026-01-17", True),
        ({"noncurrent_expiration": Noncurrent(1)}, "2030-01-01", False),
    ],
)
def test_markers_that_hide_nothing(actions: dict[str, Any], now: str, goes: bool) -> None:
    marker = Facts("key", 0, (), "STANDARD", START)
    assert (marker_expiration(Lifecycle((rule(**actions),)), DAYS, marker, at(now)) is not None) is goes


def test_uploads_are_aborted_by_the_earliest_rule_for_their_key() -> None:
    lifecycle = Lifecycle((rule("7", abort_days=7), rule("2", Filter("logs/"), abort_days=2)))
    logs, other = abort(lifecycle, DAYS, "logs/a", START), abort(lifecycle, DAYS, "a", START)
    assert logs is not None and (logs.at, logs.rule.id) == (at("2026-01-18"), "2")
    assert other is not None and (other.at, other.rule.id) == (at("2026-01-23"), "7")
    assert abort(Lifecycle((rule(expiration=When(days=1)),)), DAYS, "a", START) is None


def test_the_rules_about_a_key_come_in_their_order() -> None:
    told = [("long", "logs/a"), ("all", None), ("short", "logs/"), ("other", "x"), ("empty", "")]
    lifecycle = Lifecycle((*(rule(name, Filter(prefix)) for name, prefix in told), rule("off", enabled=False)))
    assert [each.id for each in lifecycle.about("logs/a/1")] == ["long", "all", "short", "empty"]
    assert [each.id for each in lifecycle.about("log")] == ["all", "empty"]
    assert Lifecycle(()).about("a") == []
