"""Is there an order of what clients did to one key that explains what each was told?

An operation took effect at one moment between its call and its return; one of unknown outcome at any moment after its
call, or never. The search goes through the events in their order and keeps every *configuration* that they allow: the
register's value, and which operations under way took effect already. Only when an operation returns it must have, so
only then others that are under way are tried before it. All orders are covered thereby (G. Lowe, "Testing for
linearizability", 2017, calls it just-in-time). It decides exactly, or raises `Undecided`; it never guesses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ABSENT = 0
"""The value of a key that is not there; written values are greater."""
MOST = 200_000
"""Configurations beyond which a key is undecided."""
Configuration = tuple[int, frozenset[int]]


class Undecided(Exception):
    """The history allows more configurations than we want to look at."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation tells of a register. ``call`` and ``end`` count events; no two are equal.

    It took effect when the value was ``equal`` (if that is told) and none of ``unlike``; it left one of ``sets``, or
    the value as it was where that is empty. ``end`` None: nobody knows whether it took effect.
    """

    call: int
    end: int | None
    equal: int | None = None
    unlike: frozenset[int] = frozenset()
    sets: tuple[int, ...] = ()
    told: str = ""

    def after(self, value: int) -> tuple[int, ...]:
        """What the value may be afterwards; nothing where it cannot take effect."""
        if (self.equal is not None and value != self.equal) or value in self.unlike:
            return ()
        return self.sets or (value,)


@dataclass(frozen=True, slots=True)
class Violation:
    """No order explains this operation's answer."""

    operation: Operation
    values: frozenset[int]
    """What the register could have held before."""
    pending: tuple[Operation, ...]
    before: tuple[Operation, ...]
    """The last that returned before it."""

    def __str__(self) -> str:
        lines = [f"no order explains {self.operation}; the value was one of {sorted(self.values)}"]
        lines += [f"  under way: {each}" for each in self.pending]
        lines += [f"  before:    {each}" for each in self.before]
        return "\n".join(lines)


def check(history: Iterable[Operation], initial: int = ABSENT, most: int = MOST) -> Violation | None:
    """None where some order explains the history."""
    operations = list(history)
    calls = [(each.call, index) for index, each in enumerate(operations)]
    ends = [(each.end, index) for index, each in enumerate(operations) if each.end is not None]
    pending: set[int] = set()
    """What was called; what is of unknown outcome never leaves."""
    returned: list[int] = []
    configurations: set[Configuration] = {(initial, frozenset())}
    for at, index in sorted(calls + ends):
        if at == operations[index].call:
            pending.add(index)
            continue
        kept = _return(operations, configurations, pending, index, most)
        if not kept:
            return Violation(
                operations[index],
                frozenset(value for value, _ in configurations),
                tuple(operations[each] for each in sorted(pending - {index})),
                tuple(operations[each] for each in returned[-8:]),
            )
        configurations = kept
        pending.discard(index)
        returned.append(index)
    return None


def _return(
    operations: Sequence[Operation],
    configurations: Iterable[Configuration],
    pending: set[int],
    returning: int,
    most: int,
) -> set[Configuration]:
    """The configurations in which this operation took effect, by trying all others that are under way before it.

    One that used up operations of unknown outcome which another of the same value did not need allows nothing more
    than that one, and is dropped: what is unknown need never take effect.
    """
    unknown = frozenset(each for each in pending if operations[each].end is None)
    least: dict[Configuration, list[frozenset[int]]] = {}
    open_: deque[Configuration] = deque()
    count = 0

    def add(value: int, done: frozenset[int]) -> None:
        nonlocal count
        used = done & unknown
        others = least.setdefault((value, done - unknown), [])
        if not any(each <= used for each in others):
            others[:] = [each for each in others if not used <= each]
            others.append(used)
            open_.append((value, done))
            count += 1

    for value, done in sorted(configurations, key=lambda each: len(each[1])):
        add(value, done)
    while open_:
        value, done = open_.popleft()
        if returning in done:
            continue
        for each in pending - done:
            for after in operations[each].after(value):
                add(after, done | {each})
        if count > most:
            raise Undecided(f"more than {most} configurations at {operations[returning]}")
    return {
        (value, (known - {returning}) | used)
        for (value, known), each in least.items()
        if returning in known
        for used in each
    }
