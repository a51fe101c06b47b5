"""What a bucket's rules say of one of its versions, of a delete marker, of an upload. Pure functions of values.

Where several rules speak of the same thing, the earliest expiration counts, and of the transitions that are due the one
to the cheapest class: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.lifecycle.calendar import Calendar
from gateway.lifecycle.rules import ALL_128K, Filter, Lifecycle, Noncurrent, Rule
from gateway.storage_classes import PREFERENCE, TARGETS, may_move

SMALL = 128 * 1024
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
"""Classes that small objects may enter where the default minimum varies by class."""


class Facts(NamedTuple):
    """A version, as far as rules look at it."""

    key: str
    size: int
    tags: tuple[tuple[str, str], ...]
    storage_class: str
    since: int
    """When what is shown was written, or when what is not shown any more was replaced."""


class Due(NamedTuple):
    """An action, the time at which it is due, and the rule that says so."""

    at: int
    rule: Rule
    storage_class: str = ""


def expiration(lifecycle: Lifecycle, calendar: Calendar, facts: Facts) -> Due | None:
    """When what a key shows expires; of several rules the earliest, then the first, decides."""
    found: Due | None = None
    for rule in lifecycle.about(facts.key):
        if rule.expiration is None or not _admits(rule, facts):
            continue
        at = calendar.due(rule.expiration, facts.since)
        if found is None or at < found.at:
            found = Due(at, rule)
    return found


def transition(lifecycle: Lifecycle, calendar: Calendar, facts: Facts, now: int) -> Due | None:
    """The move that is due for what a key shows."""
    return _cheapest(
        (
            Due(calendar.due(each.when, facts.since), rule, each.storage_class)
            for rule in lifecycle.about(facts.key)
            if rule.transitions and _admits(rule, facts)
            for each in rule.transitions
            if _large_enough(lifecycle, rule.filter, facts.size, each.storage_class)
        ),
        facts.storage_class,
        now,
    )


def noncurrent_expiration(lifecycle: Lifecycle, calendar: Calendar, facts: Facts, newer: int, now: int) -> Rule | None:
    """The rule by which a version that is not shown goes now; ``newer`` ones were replaced after it."""
    for rule in lifecycle.about(facts.key):
        when = rule.noncurrent_expiration
        if when is not None and _admits(rule, facts) and _is_over(when, calendar, facts, newer, now):
            return rule
    return None


def noncurrent_transition(lifecycle: Lifecycle, calendar: Calendar, facts: Facts, newer: int, now: int) -> Due | None:
    """The move that is due for a version that is not shown."""
    return _cheapest(
        (
            Due(calendar.after(facts.since, each.when.days), rule, each.storage_class)
            for rule in lifecycle.about(facts.key)
            if rule.noncurrent_transitions and _admits(rule, facts)
            for each in rule.noncurrent_transitions
            if newer >= (each.when.newer or 0) and _large_enough(lifecycle, rule.filter, facts.size, each.storage_class)
        ),
        facts.storage_class,
        now,
    )


def most_newer(lifecycle: Lifecycle) -> int:
    """How many newer versions any rule counts at most."""
    return max(
        (
            when.newer or 0
            for rule in lifecycle.rules
            for when in (rule.noncurrent_expiration, *(each.when for each in rule.noncurrent_transitions))
            if when is not None
        ),
        default=0,
    )


def marker_expiration(lifecycle: Lifecycle, calendar: Calendar, facts: Facts, now: int) -> Rule | None:
    """The rule by which a delete marker goes that is all that is left of its key.

    At once where a rule is about such markers, else when it is as old as a rule lets objects get.
    """
    for rule in lifecycle.about(facts.key):
        if not _admits(rule, facts):
            continue
        if rule.expired_marker or (rule.expiration is not None and calendar.due(rule.expiration, facts.since) <= now):
            return rule
    return None


def abort(lifecycle: Lifecycle, calendar: Calendar, key: str, initiated_at: int) -> Due | None:
    """When an upload that is not completed is aborted."""
    found: Due | None = None
    for rule in lifecycle.about(key):
        if rule.abort_days is None:
            continue
        at = calendar.after(initiated_at, rule.abort_days)
        if found is None or at < found.at:
            found = Due(at, rule)
    return found


def _admits(rule: Rule, facts: Facts) -> bool:
    return rule.filter.admits(facts.key, facts.size, facts.tags)


def _is_over(when: Noncurrent, calendar: Calendar, facts: Facts, newer: int, now: int) -> bool:
    return newer >= (when.newer or 0) and calendar.after(facts.since, when.days) <= now


def _large_enough(lifecycle: Lifecycle, chosen: Filter, size: int, target: str) -> bool:
    """Whether an object is not too small to be moved. A filter by size decides instead, and for an operator's own
    classes there is no minimum: AWS's is about what its classes cost.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
    """
    if size >= SMALL or chosen.tells_size or target not in TARGETS:
        return True
    return lifecycle.default_minimum != ALL_128K and target in ARCHIVES


def _cheapest(moves: Iterable[Due], current: str, now: int) -> Due | None:
    """Of the moves that are due, the one to be done; None when the version is where it brings it, or past it."""
    due = [move for move in moves if move.at <= now]
    if not due:
        return None
    chosen = max(due, key=_preference)
    return chosen if may_move(current, chosen.storage_class) else None


def _preference(move: Due) -> tuple[int, int]:
    name = move.storage_class
    return (PREFERENCE.index(name) if name in PREFERENCE else -1), move.at
