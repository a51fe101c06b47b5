"""Wildcards and policy variables: ``*`` is any text, ``?`` any character, ``${aws:username}`` a value of the request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gateway.policy.keys import fold

Lookup = Callable[[str], Sequence[str] | None]
"""The values of a condition key in a request; None where the request has none."""

_LITERALS = {"*": "*", "?": "?", "$": "$"}
"""``${*}`` and the like: the character itself, no wildcard."""
MAX_COMPILED = 256
"""A longer value of a variable fits no pattern that has a ``?``: only those are compiled once more for each request."""


class Pattern:
    """A text of a policy that a value is held against."""

    __slots__ = ("_compiled", "_fixed", "_flags", "_folds", "_holes", "_parts", "_wild", "start", "text", "whole")

    def __init__(self, text: str, *, variables: bool = True, wild: bool = True, ignore_case: bool = False) -> None:
        self.text = text
        self._wild = wild
        self._folds = ignore_case
        self._flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        # Text and variables by turns: the odd ones are names.
        self._parts = _apart(text) if variables else [text]
        self._holes = wild and any("?" in part for part in self._parts[::2])
        fixed = len(self._parts) == 1
        self._compiled = re.compile(glob(self._segments(re.escape)), self._flags) if fixed and self._holes else None
        self._fixed = self._segments(str) if fixed else None
        simple = self._fixed is not None and self._compiled is None and not ignore_case
        self.start = self._fixed[0] if simple and self._fixed is not None and self._fixed[1:] == [""] else None
        """What all begin with that fit, where that is all there is to it: ``text*``."""
        self.whole = self._fixed[0] if simple and self._fixed is not None and len(self._fixed) == 1 else None
        """What alone fits, where that is all there is to it: ``text``."""

    def matches(self, value: str, lookup: Lookup) -> bool:
        """Whether a value fits; a variable that the request has no single value for fits nothing."""
        if self._compiled is not None:
            return self._compiled.fullmatch(value) is not None
        if self._fixed is not None:
            return self._fits(self._fixed, value) if self._folds else _fits(self._fixed, value)
        values = []
        for name in self._parts[1::2]:
            found = _value_of(name, lookup)
            if found is None:
                return False
            values.append(found)
        if sum(map(len, values)) > len(value):
            return False
        if not self._holes:
            return self._fits(self._segments(str, values), value)
        if max(map(len, values)) > MAX_COMPILED:
            return False
        return re.fullmatch(glob(self._segments(re.escape, values)), value, self._flags) is not None

    def _fits(self, segments: Sequence[str], value: str) -> bool:
        if self._folds:
            return _fits([text.lower() for text in segments], value.lower())
        return _fits(segments, value)

    def _segments(self, literal: Callable[[str], str], values: Sequence[str] = ()) -> list[str]:
        """What lies between the stars, with the values of the variables in it; ``literal`` quotes a text."""
        segments = [""]
        for index, part in enumerate(self._parts):
            if index % 2:
                segments[-1] += literal(values[index // 2])
                continue
            for number, text in enumerate(part.split("*") if self._wild else [part]):
                if number:
                    segments.append("")
                segments[-1] += literal(text).replace(r"\?", ".") if self._wild else literal(text)
        return segments


def _apart(text: str) -> list[str]:
    """Text and names of variables by turns, text first and last. What opens no variable that ends is text."""
    parts: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0 and (end := text.find("}", start)) >= 0:
        parts += (text[at:start], text[start + 2 : end])
        at = end + 1
    return [*parts, text[at:]]


def _fits(segments: Sequence[str], value: str) -> bool:
    """Whether a value is these texts with any others between them, without an expression that takes time to compile."""
    first, last = segments[0], segments[-1]
    if len(segments) == 1:
        return value == first
    at, end = len(first), len(value) - len(last)
    if at > end or not (value.startswith(first) and value.endswith(last)):
        return False
    for text in segments[1:-1]:
        at = value.find(text, at, end)
        if at < 0:
            return False
        at += len(text)
    return True


def glob(segments: Sequence[str]) -> str:
    """The expression of what lies between stars.

    Each segment is found where it first fits and stays there (an atomic group), which is all that a pattern of stars
    needs; so no policy can make matching take longer than value times pattern.
    """
    if len(segments) == 1:
        return segments[0]
    between = "".join(f"(?>.*?{segment})" for segment in segments[1:-1] if segment)
    return f"{segments[0]}{between}.*{segments[-1]}"


def _value_of(variable: str, lookup: Lookup) -> str | None:
    """The value of ``aws:username`` or of ``aws:username, 'nobody'``."""
    if variable in _LITERALS:
        return _LITERALS[variable]
    name, comma, default = variable.partition(",")
    values = lookup(fold(name.strip()))
    if values is not None and len(values) == 1:
        return values[0]
    default = default.strip()
    if comma and len(default) >= 2 and default[0] == default[-1] == "'":
        return default[1:-1]
    return None
