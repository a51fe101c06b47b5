"""Valid input made invalid: the mutations that all fuzzers share, over bytes and the tokens of a grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

MOST = 16 * 1024
"""Bytes that a mutated case has at most, but for what a generator makes long on purpose."""

NUMBERS = (
    *(b"0", b"-1", b"+1", b"00", b"1_0", b" 5", b"1e3", b"0x10", b"1.5", b"NaN", b"Infinity", b"-0"),
    *(b"255", b"256", b"1000", b"1001", b"10000", b"10001", b"65535", b"65536"),
    *(b"2147483647", b"2147483648", b"4294967296", b"9223372036854775807", b"9223372036854775808"),
    *(b"18446744073709551615", b"18446744073709551616", b"99999999999999999999999999", b"9" * 400, b"9" * 5000),
    *("٣".encode(), "１２".encode(), "²".encode(), "௧".encode()),
)
NASTY = (
    *(b"\x00", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\t", b"\x0b", b"\x7f", b"\x80", b"\xff", b"\xfe\xff"),
    *(b"%", b"%0", b"%00", b"%0d%0a", b"%2F", b"%2e%2e", b"%ff", b"%C0%AF", b"%u0041", b"%%", b"+", b"%2B"),
    *(b"..", b"../", b"/../", b"//", b"/./", b"\\", b"'", b'"', b"<", b">", b"&", b";", b"#", b"?", b"*", b"$"),
    *(b"${", b"}", b"{", b"[", b"]", b":", b",", b"=", b"null", b"true", b"\\u0000", b"\\ud800", b"\\"),
    *("\u202e".encode(), "\ufeff".encode(), "\U0001f600".encode(), "\u2028".encode(), "İ".encode(), "ß".encode()),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3\x28", b"\xef\xbf\xbe", b"=?UTF-8?B?AA==?=", b"=?utf-8?q?=00?="),
)
_NUMBER = re.compile(rb"[0-9]+")


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of them; ``Random.choice`` takes three times as long."""
    return items[int(rng.random() * len(items))]


def below(rng: Random, limit: int) -> int:
    return int(rng.random() * limit)


def number(rng: Random) -> bytes:
    """A number, likely one at the edge of something."""
    chance = rng.random()
    if chance < 0.5:
        return pick(rng, NUMBERS)
    return b"%d" % below(rng, 10 ** (1 + below(rng, 12)))


class Mutator:
    """Mutates cases of one grammar: ``seeds`` to begin with and to splice from, ``tokens`` to put in."""

    def __init__(self, seeds: Sequence[bytes], tokens: Sequence[bytes] = (), most: int = MOST) -> None:
        self._seeds = seeds
        self._tokens = (*tokens, *tokens, *NASTY) if tokens else NASTY
        self._most = most
        self._ways: tuple[Callable[[Random, bytes], bytes], ...] = (
            *(self._flip, self._insert, self._insert, self._replace, self._replace, self._cut, self._cut),
            *(self._double, self._splice, self._number, self._number, self._shorten, self._repeat, self._swap),
        )

    def seed(self, rng: Random) -> bytes:
        return pick(rng, self._seeds)

    def __call__(self, rng: Random, case: bytes) -> bytes:
        """The case with one to six mutations, mostly few."""
        for _ in range(1 + int(6 * rng.random() ** 3)):
            case = pick(rng, self._ways)(rng, case)
        return case[: self._most]

    def _span(self, rng: Random, case: bytes) -> tuple[int, int]:
        start = below(rng, len(case) + 1)
        return start, start + below(rng, min(len(case) - start, 1 + below(rng, 64)) + 1)

    def _flip(self, rng: Random, case: bytes) -> bytes:
        if not case:
            return bytes((below(rng, 256),))
        at = below(rng, len(case))
        return case[:at] + bytes((case[at] ^ (1 << below(rng, 8)),)) + case[at + 1 :]

    def _insert(self, rng: Random, case: bytes) -> bytes:
        at = below(rng, len(case) + 1)
        return case[:at] + pick(rng, self._tokens) + case[at:]

    def _replace(self, rng: Random, case: bytes) -> bytes:
        start, stop = self._span(rng, case)
        return case[:start] + pick(rng, self._tokens) + case[stop:]

    def _cut(self, rng: Random, case: bytes) -> bytes:
        start, stop = self._span(rng, case)
        return case[:start] + case[stop:]

    def _double(self, rng: Random, case: bytes) -> bytes:
        start, stop = self._span(rng, case)
        return case[:stop] + case[start:]

    def _splice(self, rng: Random, case: bytes) -> bytes:
        other = self.seed(rng)
        start, stop = self._span(rng, other)
        at = below(rng, len(case) + 1)
        return case[:at] + (other[start:] if rng.random() < 0.3 else other[start:stop] + case[at:])

    def _number(self, rng: Random, case: bytes) -> bytes:
        found = [each.span() for each in _NUMBER.finditer(case)]
        if not found:
            return self._insert(rng, case)
        start, stop = pick(rng, found)
        return case[:start] + number(rng) + case[stop:]

    def _shorten(self, rng: Random, case: bytes) -> bytes:
        return case[: below(rng, len(case) + 1)] if rng.random() < 0.5 else case[below(rng, len(case) + 1) :]

    def _repeat(self, rng: Random, case: bytes) -> bytes:
        start, stop = self._span(rng, case)
        piece = case[start:stop]
        times = 1 + below(rng, 1 << below(rng, 11))
        return case[:start] + piece * min(times, 1 + self._most // max(len(piece), 1)) + case[stop:]

    def _swap(self, rng: Random, case: bytes) -> bytes:
        first, second = sorted((self._span(rng, case), self._span(rng, case)))
        if first[1] > second[0]:
            return case
        return (
            case[: first[0]]
            + case[second[0] : second[1]]
            + case[first[1] : second[0]]
            + case[first[0] : first[1]]
            + case[second[1] :]
        )
