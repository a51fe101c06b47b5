"""Cross-origin resource sharing: which rule of a bucket lets a page of another origin ask. Pure values.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
"""The methods that a rule may allow."""
ANYBODY = "*"
MAX_ORIGIN, MAX_REQUESTED = 2048, 64
"""No rule allows a longer origin, or more headers than this: browsers ask for a few."""


@dataclass(frozen=True, slots=True)
class CorsRule:
    """One rule. Origins and headers may hold one ``*``, which stands for any text, also for none."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    """Those that a request may bring, in any case."""
    exposed: tuple[str, ...] = ()
    """Headers of the answer that the page may see."""
    max_age: int | None = None
    """Seconds for which a browser may remember the answer to a preflight."""
    id: str | None = None

    @property
    def allows_anybody(self) -> bool:
        """Whether pages of every origin may ask; they must not send then what tells who the user is."""
        return ANYBODY in self.origins


class CorsRules:
    """The rules of a bucket, compiled."""

    def __init__(self, rules: Iterable[CorsRule]) -> None:
        self.rules = tuple(rules)
        self._compiled = [(rule, _one_of(rule.origins), _one_of(map(str.lower, rule.headers))) for rule in self.rules]

    def match(self, origin: str, method: str, headers: Sequence[str] = ()) -> CorsRule | None:
        """The first rule that lets a page of ``origin`` send ``method`` with ``headers``; None where none does.

        Origins and methods are compared in their case, headers in any.
        """
        if len(origin) > MAX_ORIGIN or len(headers) > MAX_REQUESTED:
            return None
        names = {name.lower() for name in headers}
        for rule, is_origin, is_header in self._compiled:
            if method in rule.methods and is_origin(origin) and all(map(is_header, names)):
                return rule
        return None


def _one_of(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text fits any of the patterns.

    Anybody may ask, so it is no expression that takes time to match, and no walk through thousands of patterns:
    those whose ends are as long as one another's are looked up at once.
    """
    told = set(patterns)
    shapes: dict[tuple[int, int], set[str]] = {}
    for before, star, after in (text.partition("*") for text in told):
        if star:
            shapes.setdefault((len(before), len(after)), set()).add(before + after)

    def fits(text: str) -> bool:
        return text in told or any(
            before + after <= len(text) and text[:before] + text[len(text) - after :] in ends
            for (before, after), ends in shapes.items()
        )

    return fits


def dump(rules: Sequence[CorsRule]) -> str:
    return json.dumps([asdict(rule) for rule in rules])


def load(text: str) -> CorsRules:
    return CorsRules(_load_rule(told) for told in json.loads(text))


def _load_rule(told: Mapping[str, Any]) -> CorsRule:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return CorsRule(**values)
