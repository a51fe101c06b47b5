"""The checker of histories: defects that are planted are found, and it agrees with trying every order."""

from __future__ import annotations

import itertools
import random

import pytest

from reliability.linear.checker import ABSENT, Operation, Undecided, check


def write(call: int, end: int | None, value: int) -> Operation:
    return Operation(call, end, sets=(value,))


def read(call: int, end: int, value: int) -> Operation:
    return Operation(call, end, equal=value)


def swap(call: int, end: int | None, old: int, new: int) -> Operation:
    """If-Match, or If-None-Match: * where the old value is absent; it succeeded, or nobody knows."""
    return Operation(call, end, equal=old, sets=(new,))


def refused(call: int, end: int, old: int) -> Operation:
    return Operation(call, end, unlike=frozenset({old, ABSENT}))


GOOD = {
    "one after the other": [write(1, 2, 1), read(3, 4, 1), write(5, 6, ABSENT), read(7, 8, ABSENT)],
    "a read beside a write, before it": [write(1, 2, 1), write(3, 6, 2), read(4, 5, 1)],
    "a read beside a write, after it": [write(1, 2, 1), write(3, 6, 2), read(4, 5, 2)],
    "a lost write that was done": [write(1, None, 1), read(2, 3, ABSENT), read(4, 5, 1)],
    "a lost write that was not": [write(1, 2, 1), write(3, None, 2), read(4, 5, 1), write(6, 7, 3), read(8, 9, 3)],
    "a lost write that is seen late": [write(1, 2, 1), write(3, None, 2), read(4, 5, 1), read(6, 7, 2)],
    "a create refused by one that is lost": [swap(1, None, ABSENT, 1), refused(2, 3, ABSENT), read(4, 5, 1)],
    "one winner of two": [swap(1, 4, ABSENT, 1), refused(2, 3, ABSENT), read(5, 6, 1)],
    "a copy of any of three": [Operation(1, None, sets=(4, 5, 6)), read(2, 3, 5), read(4, 5, 5)],
}
BAD = {
    "a stale read": [write(1, 2, 1), write(3, 4, 2), read(5, 6, 1)],
    "back in time": [write(1, 2, 1), write(3, 8, 2), read(4, 5, 2), read(6, 7, 1)],
    "a lost update": [write(1, 2, 1), swap(3, 6, 1, 2), swap(4, 5, 1, 3), read(7, 8, 2)],
    "two winners": [swap(1, 4, ABSENT, 1), swap(2, 3, ABSENT, 2)],
    "no winner": [refused(1, 3, ABSENT), refused(2, 4, ABSENT)],
    "a delete that came back": [write(1, 2, 1), write(3, 4, ABSENT), read(5, 6, ABSENT), read(7, 8, 1)],
    "an acknowledged write that is gone": [write(1, 2, 1), read(3, 4, ABSENT)],
    "a write out of nothing": [write(1, 2, 1), read(3, 4, 2)],
    "a lost write that is done twice": [write(1, None, 1), read(2, 3, 1), write(4, 5, 2), read(6, 7, 2), read(8, 9, 1)],
    "a list without what was written": [write(1, 2, 1), read(3, 6, 1), read(4, 5, ABSENT)],
    "an If-Match refused by the value it names": [write(1, 2, 1), refused(3, 4, 1)],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_an_order_explains_is_no_violation(name: str) -> None:
    assert check(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_what_no_order_explains_is_found(name: str) -> None:
    violation = check(BAD[name])
    assert violation is not None
    assert "no order explains" in str(violation)


def every_order(history: list[Operation]) -> bool:
    """Whether one of all orders, with any of the operations whose outcome is unknown, explains the history."""
    certain = [each for each in history if each.end is not None]
    unknown = [each for each in history if each.end is None]
    chosen = (rest for count in range(len(unknown) + 1) for rest in itertools.combinations(unknown, count))
    return any(explains(order) for rest in chosen for order in itertools.permutations([*certain, *rest]))


def explains(order: tuple[Operation, ...]) -> bool:
    for index, later in enumerate(order):
        if any(later.end is not None and later.end < earlier.call for earlier in order[:index]):
            return False
    values = {ABSENT}
    for each in order:
        values = {after for value in values for after in each.after(value)}
    return bool(values)


def anything(dice: random.Random) -> list[Operation]:
    """A short history whose answers are made up."""
    count = dice.randrange(1, 7)
    times = dice.sample(range(100), 2 * count)
    history = []
    for index in range(count):
        call, end = sorted(times[2 * index : 2 * index + 2])
        sets = dice.choice(((), (ABSENT,), (index + 1,), (index + 1,), (1, 2)))
        history.append(
            Operation(
                call,
                None if sets and dice.random() < 0.3 else end,
                equal=dice.choice((None, ABSENT, 1, 2, 3)),
                unlike=frozenset(dice.sample((ABSENT, 1, 2), dice.choice((0, 0, 1, 2)))),
                sets=sets,
            )
        )
    return history


def test_it_agrees_with_trying_every_order() -> None:
    dice, violations = random.Random(20261125), 0
    for _ in range(1500):
        history = anything(dice)
        found = check(history) is not None
        assert found == (not every_order(history)), history
        violations += found
    assert 300 < violations < 1400, "histories of both kinds"


def register(dice: random.Random, steps: int) -> list[Operation]:
    """What clients see of a register that is one, each operation taking effect in the middle of its time."""
    value, open_, history, clock = ABSENT, list[int](), list[Operation](), 0
    for step in range(1, steps):
        clock += 10
        call, end = clock - dice.randrange(30), clock + 5 + dice.randrange(30)
        kind = dice.random()
        if kind < 0.4:
            history.append(read(2 * call * steps + step, 2 * end * steps + step, value))
            continue
        lost = dice.random() < 0.02
        if kind < 0.7:
            history.append(write(2 * call * steps + step, None if lost else 2 * end * steps + step, step))
            value = value if lost and dice.random() < 0.5 else step
        else:
            history.append(swap(2 * call * steps + step, None if lost else 2 * end * steps + step, value, step))
            value = step
        open_.append(step)
    return history


def test_long_histories_of_a_register_are_explained_and_a_stale_read_in_them_is_found() -> None:
    dice = random.Random(7)
    for _ in range(8):
        history = register(dice, 200)
        assert check(history) is None
        last = max(each.end or 0 for each in history)
        first = next(each for each in history if each.sets and each.end is not None)
        assert check([*history, read(last + 1, last + 2, first.sets[0])]) is not None


def test_many_of_unknown_outcome_are_decided() -> None:
    lost = [write(number, None, number) for number in range(1, 30)]
    assert check([*lost, read(100, 101, 7), read(102, 103, 9), read(104, 105, 9)]) is None
    assert check([*lost, read(100, 101, 7), read(102, 103, 9), read(104, 105, 7)]) is not None


def test_it_says_when_it_cannot_decide() -> None:
    history = [write(number, 200 + number, number) for number in range(1, 30)]
    with pytest.raises(Undecided):
        check([*history, read(100, 101, 99)], most=1000)
