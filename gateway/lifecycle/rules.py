"""A bucket's lifecycle rules as values: what they select, what they do, and how they are kept as a text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any

from gateway.bucket_configs import LIFECYCLE
from gateway.types import Bucket

ALL_128K, VARIES = "all_storage_classes_128K", "varies_by_storage_class"
DEFAULT_MINIMUMS = (ALL_128K, VARIES)
"""Which objects are too small for transitions, where a rule's filter does not speak of sizes."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects a rule is about: all of it must hold."""

    prefix: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    larger_than: int | None = None
    smaller_than: int | None = None

    def admits(self, key: str, size: int, tags: tuple[tuple[str, str], ...]) -> bool:
        return (
            key.startswith(self.prefix or "")
            and (self.larger_than is None or size > self.larger_than)
            and (self.smaller_than is None or size < self.smaller_than)
            and all(tag in tags for tag in self.tags)
        )

    @property
    def tells_size(self) -> bool:
        return self.larger_than is not None or self.smaller_than is not None


@dataclass(frozen=True, slots=True)
class When:
    """An age in days, or a date (Unix milliseconds, a midnight)."""

    days: int | None = None
    date: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """Move what a key shows to a storage class."""

    storage_class: str
    when: When


@dataclass(frozen=True, slots=True)
class Noncurrent:
    """A version that was replaced so many days ago, and since then so many times again."""

    days: int
    newer: int | None = None


@dataclass(frozen=True, slots=True)
class NoncurrentTransition:
    """Move replaced versions to a storage class."""

    storage_class: str
    when: Noncurrent


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    enabled: bool
    filter: Filter
    form: str = "filter"
    """How the filter was told, so that it is shown so again: ``prefix`` of the rule itself, ``filter``, or ``and``."""
    expiration: When | None = None
    expired_marker: bool | None = None
    """Whether delete markers that hide nothing go; None where it was not told."""
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[NoncurrentTransition, ...] = ()
    noncurrent_expiration: Noncurrent | None = None
    abort_days: int | None = None
    """Age at which an upload that was not completed is aborted."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The configuration of a bucket."""

    rules: tuple[Rule, ...]
    default_minimum: str = ALL_128K
    _by_prefix: Mapping[str, tuple[tuple[int, Rule], ...]] = field(init=False, compare=False, repr=False)
    _lengths: tuple[int, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        by_prefix: dict[str, tuple[tuple[int, Rule], ...]] = {}
        for place, rule in enumerate(self.rules):
            if rule.enabled:
                prefix = rule.filter.prefix or ""
                by_prefix[prefix] = (*by_prefix.get(prefix, ()), (place, rule))
        object.__setattr__(self, "_by_prefix", by_prefix)
        object.__setattr__(self, "_lengths", tuple(sorted({len(prefix) for prefix in by_prefix})))

    @property
    def enabled(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.enabled]

    def about(self, key: str) -> list[Rule]:
        """The enabled rules whose prefix a key has, in their order: few, where there are a thousand."""
        found: list[tuple[int, Rule]] = []
        for length in self._lengths:
            found += self._by_prefix.get(key[:length], ())
        if len(self._lengths) > 1:
            found.sort(key=itemgetter(0))
        return [rule for _, rule in found]

    def dump(self) -> str:
        told = {"rules": [asdict(rule) for rule in self.rules], "default_minimum": self.default_minimum}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def lifecycle_of(bucket: Bucket) -> Lifecycle | None:
    """The bucket's lifecycle configuration, None without one."""
    return bucket.config(LIFECYCLE, load) if bucket.configs else None


def load(text: str) -> Lifecycle:
    told = json.loads(text)
    return Lifecycle(tuple(_rule(rule) for rule in told["rules"]), told["default_minimum"])


def _rule(told: Mapping[str, Any]) -> Rule:
    filter_ = told["filter"]
    noncurrent = told["noncurrent_expiration"]
    return Rule(
        told["id"],
        told["enabled"],
        Filter(**{**filter_, "tags": tuple((name, value) for name, value in filter_["tags"])}),
        told["form"],
        When(**told["expiration"]) if told["expiration"] else None,
        told["expired_marker"],
        tuple(Transition(each["storage_class"], When(**each["when"])) for each in told["transitions"]),
        tuple(
            NoncurrentTransition(each["storage_class"], Noncurrent(**each["when"]))
            for each in told["noncurrent_transitions"]
        ),
        Noncurrent(**noncurrent) if noncurrent else None,
        told["abort_days"],
    )
