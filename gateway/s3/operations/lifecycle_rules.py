"""Lifecycle rules from S3's members and back, and the refusal of each that AWS refuses, with its words.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from gateway.lifecycle import Filter, Noncurrent, NoncurrentTransition, Rule, Transition, When
from gateway.lifecycle.calendar import DAY_MS
from gateway.s3.errors import InvalidArgument, InvalidRequest, InvalidTag, MalformedXML, NotImplemented_
from gateway.storage_classes import TARGETS, may_move

MAX_RULES = 1000
MAX_ID = 255
MAX_PREFIX = 1024
MAX_SIZE = 1_099_511_627_776_000
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 256
INFREQUENT = frozenset({"STANDARD_IA", "ONEZONE_IA"})
"""Classes that an object may enter after 30 days only."""
INFREQUENT_DAYS = 30

Members = Mapping[str, Any]

_KINDS: dict[str, Callable[[Rule], bool]] = {
    "Expiration": lambda rule: rule.expiration is not None or rule.expired_marker is not None,
    "Transition": lambda rule: bool(rule.transitions),
    "NoncurrentVersionExpiration": lambda rule: rule.noncurrent_expiration is not None,
    "NoncurrentVersionTransition": lambda rule: bool(rule.noncurrent_transitions),
    "AbortIncompleteMultipartUpload": lambda rule: rule.abort_days is not None,
}


def read_rules(told: Sequence[Members], bound: Collection[str]) -> tuple[Rule, ...]:
    """The rules of a configuration; ``bound`` are the storage classes that have a store.

    Raises InvalidRequest, InvalidArgument, MalformedXML, and NotImplemented for a class without a store.
    """
    if not told:
        raise InvalidRequest("At least one lifecycle rule must be specified.")
    if len(told) > MAX_RULES:
        raise InvalidRequest(f"The number of lifecycle rules must not exceed the allowed limit of {MAX_RULES} rules.")
    _check_one_form(told)
    rules = tuple(_read_rule(rule, bound) for rule in told)
    if len({rule.id for rule in rules}) != len(rules):
        raise InvalidArgument("Rule ID must be unique. Found same ID for more than one rule")
    _check_overlaps(rules)
    _check_bound(rules, bound)
    return rules


def _check_one_form(told: Sequence[Members]) -> None:
    """All rules have a prefix of their own, or all have a filter."""
    for rule in told:
        if ("Prefix" in rule) == ("Filter" in rule):
            raise MalformedXML
    first = "Filter" in told[0]
    if all(("Filter" in rule) == first for rule in told):
        return
    raise InvalidRequest(
        "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."
        if first
        else "Filter element can only be used in Lifecycle V2."
    )


def _check_overlaps(rules: Sequence[Rule]) -> None:
    """Prefixes of rules of the first form may not overlap for the same kind of action; filters may."""
    for kind, has in _KINDS.items():
        prefixes = sorted(rule.filter.prefix or "" for rule in rules if rule.form == "prefix" and has(rule))
        for shorter, longer in pairwise(prefixes):
            # Sorted, what starts with a prefix follows it, so that neighbours tell.
            if longer.startswith(shorter):
                raise InvalidRequest(
                    f"Found overlapping prefixes '{shorter}' and '{longer}' for same action type '{kind}'"
                )


def _read_rule(told: Members, bound: Collection[str]) -> Rule:
    identity = told.get("ID") or _new_id()
    if len(identity) > MAX_ID:
        raise InvalidArgument(f"ID length should not exceed allowed limit of {MAX_ID}")
    if told["Status"] not in ("Enabled", "Disabled"):
        raise MalformedXML
    form, chosen = _read_filter(told)
    shown = _shown(chosen)
    expiration, marker = _read_expiration(told.get("Expiration"), chosen)
    rule = Rule(
        identity,
        told["Status"] == "Enabled",
        chosen,
        form,
        expiration,
        marker,
        _read_transitions(told.get("Transitions") or [], bound, shown),
        _read_noncurrent_transitions(told.get("NoncurrentVersionTransitions") or [], bound, shown, form),
        _read_noncurrent(told.get("NoncurrentVersionExpiration"), form),
        _read_abort(told.get("AbortIncompleteMultipartUpload"), chosen),
    )
    if not any(
        name in told for name in ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    ) and not (rule.transitions or rule.noncurrent_transitions):
        raise InvalidRequest("At least one action needs to be specified in a rule")
    _check_order(rule, shown)
    return rule


def _new_id() -> str:
    """An id in the form that AWS gives to rules without one."""
    return base64.b64encode(str(uuid.uuid4()).encode()).decode()


# -- filters


def _read_filter(told: Members) -> tuple[str, Filter]:
    """The form in which a rule tells what it is about, and what that is."""
    if "Prefix" in told:
        return "prefix", _filter(told)
    members = told["Filter"]
    if "And" not in members:
        if len(members) > 1:
            raise MalformedXML
        tag = members.get("Tag")
        return "filter", _filter({**members, "Tags": [tag] if tag else []})
    both = members["And"]
    parts = len(both) - ("Tags" in both) + len(both.get("Tags") or [])
    if len(members) > 1 or parts < 2:
        raise MalformedXML
    return "and", _filter(both)


def _filter(told: Members) -> Filter:
    prefix, larger, smaller = (told.get(name) for name in ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan"))
    if prefix is not None and len(prefix.encode()) > MAX_PREFIX:
        raise InvalidRequest(f"The maximum size of a prefix is {MAX_PREFIX}.")
    for name, value, least in (("ObjectSizeGreaterThan", larger, 0), ("ObjectSizeLessThan", smaller, 1)):
        if value is not None and not least <= value <= MAX_SIZE:
            raise InvalidRequest(f"'{name}' should be between {least} and {MAX_SIZE}.")
    if larger is not None and smaller is not None and smaller <= larger:
        raise InvalidRequest("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
    tags = tuple((tag["Key"], tag["Value"]) for tag in told.get("Tags") or [])
    if len({name for name, _ in tags}) != len(tags):
        raise InvalidRequest("Duplicate Tag Keys are not allowed.")
    for name, value in tags:
        if not 1 <= len(name) <= MAX_TAG_KEY:
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=name)
        if len(value) > MAX_TAG_VALUE:
            raise InvalidTag("The TagValue you have provided is invalid", TagKey=name, TagValue=value)
    return Filter(prefix, tags, larger, smaller)


def _shown(chosen: Filter) -> str:
    """A filter as AWS's messages show it."""
    parts = [f"prefix={chosen.prefix}"] if chosen.prefix is not None else []
    parts += [f"tag={{key={name}, value={value}}}" for name, value in chosen.tags]
    if chosen.larger_than is not None:
        parts.append(f"objectsizegreaterthan={chosen.larger_than}")
    if chosen.smaller_than is not None:
        parts.append(f"objectsizelessthan={chosen.smaller_than}")
    return f"({' and '.join(parts) or 'prefix='})"


def _plain_only(chosen: Filter, action: str) -> None:
    """Raise InvalidRequest where a filter looks at more than the key."""
    if chosen.tags:
        raise InvalidRequest(f"{action} cannot be specified with Tags.")
    if chosen.tells_size:
        raise InvalidRequest(f"{action} cannot be specified with Object Size.")


# -- actions


def _positive(value: int, name: str, action: str) -> int:
    if value <= 0:
        raise InvalidArgument(f"'{name}' for {action} action must be a positive integer")
    return value


def _midnight(date: datetime) -> int:
    """A date in Unix milliseconds. Raises InvalidArgument for another time of the day than its start."""
    millis = int(date.timestamp() * 1000)
    if millis % DAY_MS or date.microsecond:
        raise InvalidArgument("'Date' must be at midnight GMT", ArgumentName="Date", ArgumentValue=date.isoformat())
    return millis


def _read_expiration(told: Members | None, chosen: Filter) -> tuple[When | None, bool | None]:
    if told is None:
        return None, None
    if len(told) != 1:
        raise MalformedXML
    marker = told.get("ExpiredObjectDeleteMarker")
    if marker is not None:
        _plain_only(chosen, "ExpiredObjectDeleteMarker")
        return None, marker
    if "Date" in told:
        return When(date=_midnight(told["Date"])), None
    return When(days=_positive(told["Days"], "Days", "Expiration")), None


def _class_of(told: Members, bound: Collection[str]) -> str:
    """The class that a transition names: one of S3's, or the operator's. Raises MalformedXML."""
    name: str = told.get("StorageClass", "")
    if name not in bound and name not in TARGETS:
        raise MalformedXML
    return name


def _check_bound(rules: Sequence[Rule], bound: Collection[str]) -> None:
    """Raise NotImplemented for a class without a store: nothing would ever move there."""
    for rule in rules:
        names = [each.storage_class for each in rule.transitions]
        for name in names + [each.storage_class for each in rule.noncurrent_transitions]:
            if name not in bound:
                message = f"No store is bound to the storage class {name} on this server"
                raise NotImplemented_(message, StorageClass=name)


def _read_transitions(told: Sequence[Members], bound: Collection[str], shown: str) -> tuple[Transition, ...]:
    transitions = tuple(_read_transition(each, bound) for each in told)
    if len({each.when.days is None for each in transitions}) > 1:
        raise InvalidRequest(
            f"Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for filter '{shown}'"
        )
    by_date = bool(transitions) and transitions[0].when.days is None
    moments = [(each.storage_class, (each.when.date if by_date else each.when.days) or 0) for each in transitions]
    _check_waterfall(moments, "Date" if by_date else "Days", "Transition", shown)
    return transitions


def _read_transition(told: Members, bound: Collection[str]) -> Transition:
    storage_class = _class_of(told, bound)
    if ("Days" in told) == ("Date" in told):
        raise MalformedXML
    if "Date" in told:
        return Transition(storage_class, When(date=_midnight(told["Date"])))
    days = told["Days"]
    if days < 0:
        raise InvalidArgument("'Days' in Transition action must be nonnegative")
    _check_infrequent(days, storage_class, "Days", "Transition")
    return Transition(storage_class, When(days=days))


def _check_infrequent(days: int, storage_class: str, name: str, action: str) -> None:
    if storage_class in INFREQUENT and days < INFREQUENT_DAYS:
        raise InvalidArgument(
            f"'{name}' in {action} action must be greater than or equal to {INFREQUENT_DAYS} "
            f"for storageClass '{storage_class}'"
        )


def _check_waterfall(moments: Sequence[tuple[str, int]], name: str, action: str, shown: str) -> None:
    """Each class once, and S3's own in the order in which objects move through them."""
    if len({storage_class for storage_class, _ in moments}) != len(moments):
        raise InvalidRequest(
            f"'StorageClass' must be different for '{action}' actions in same 'Rule' with filter '{shown}'"
        )
    for first, before in moments:
        for second, after in moments:
            if first in TARGETS and second in TARGETS and may_move(first, second) and after <= before:
                raise InvalidArgument(
                    f"'{name}' in the {action} action for StorageClass '{second}' for filter '{shown}' must be greater "
                    f"than '{name}' in the {action} action for StorageClass '{first}' for filter '{shown}'"
                )


def _read_noncurrent(told: Members | None, form: str) -> Noncurrent | None:
    if told is None:
        return None
    if "NoncurrentDays" not in told:
        raise MalformedXML
    days = _positive(told["NoncurrentDays"], "NoncurrentDays", "NoncurrentVersionExpiration")
    return Noncurrent(days, _newer(told, "NoncurrentVersionExpiration", form))


def _newer(told: Members, action: str, form: str) -> int | None:
    newer: int | None = told.get("NewerNoncurrentVersions")
    if newer is None:
        return None
    if form == "prefix":
        raise InvalidRequest("NewerNoncurrentVersions element can only be used in Lifecycle V2.")
    return _positive(newer, "NewerNoncurrentVersions", action)


def _read_noncurrent_transitions(
    told: Sequence[Members], bound: Collection[str], shown: str, form: str
) -> tuple[NoncurrentTransition, ...]:
    action, transitions = "NoncurrentVersionTransition", []
    for each in told:
        storage_class = _class_of(each, bound)
        if "NoncurrentDays" not in each:
            raise MalformedXML
        days = each["NoncurrentDays"]
        if days < 0:
            raise InvalidArgument(f"'NoncurrentDays' in {action} action must be nonnegative")
        _check_infrequent(days, storage_class, "NoncurrentDays", action)
        transitions.append(NoncurrentTransition(storage_class, Noncurrent(days, _newer(each, action, form))))
    _check_waterfall([(each.storage_class, each.when.days) for each in transitions], "NoncurrentDays", action, shown)
    return tuple(transitions)


def _read_abort(told: Members | None, chosen: Filter) -> int | None:
    if told is None:
        return None
    action = "AbortIncompleteMultipartUpload"
    _plain_only(chosen, action)
    if "DaysAfterInitiation" not in told:
        raise MalformedXML
    return _positive(told["DaysAfterInitiation"], "DaysAfterInitiation", action)


def _check_order(rule: Rule, shown: str) -> None:
    """Nothing moves when or after it expires, and one rule counts days or names dates."""
    if rule.expiration is not None:
        for each in rule.transitions:
            if (each.when.days is None) != (rule.expiration.days is None):
                raise InvalidRequest(
                    "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for "
                    f"filter '{shown}'"
                )
            name = "Date" if each.when.days is None else "Days"
            if (each.when.days, each.when.date) >= (rule.expiration.days, rule.expiration.date):
                raise InvalidArgument(
                    f"'{name}' in the Expiration action for filter '{shown}' must be greater than '{name}' in the "
                    "Transition action"
                )
    if rule.noncurrent_expiration is not None and any(
        each.when.days >= rule.noncurrent_expiration.days for each in rule.noncurrent_transitions
    ):
        raise InvalidArgument(
            f"'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '{shown}' must be greater than "
            "'NoncurrentDays' in the NoncurrentVersionTransition action"
        )


# -- and back


def rule_members(rule: Rule) -> dict[str, Any]:
    """A rule as it is shown."""
    members: dict[str, Any] = {"ID": rule.id, "Status": "Enabled" if rule.enabled else "Disabled"}
    members |= _filter_members(rule)
    if rule.expiration is not None:
        members["Expiration"] = _when_members(rule.expiration)
    elif rule.expired_marker is not None:
        members["Expiration"] = {"ExpiredObjectDeleteMarker": rule.expired_marker}
    if rule.transitions:
        members["Transitions"] = [
            {**_when_members(each.when), "StorageClass": each.storage_class} for each in rule.transitions
        ]
    if rule.noncurrent_transitions:
        members["NoncurrentVersionTransitions"] = [
            {**_noncurrent_members(each.when), "StorageClass": each.storage_class}
            for each in rule.noncurrent_transitions
        ]
    if rule.noncurrent_expiration is not None:
        members["NoncurrentVersionExpiration"] = _noncurrent_members(rule.noncurrent_expiration)
    if rule.abort_days is not None:
        members["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": rule.abort_days}
    return members


def _filter_members(rule: Rule) -> dict[str, Any]:
    chosen = rule.filter
    if rule.form == "prefix":
        return {"Prefix": chosen.prefix}
    told: dict[str, Any] = {
        "Prefix": chosen.prefix,
        "ObjectSizeGreaterThan": chosen.larger_than,
        "ObjectSizeLessThan": chosen.smaller_than,
    }
    tags = [{"Key": name, "Value": value} for name, value in chosen.tags]
    if rule.form == "and":
        return {"Filter": {"And": {**told, "Tags": tags}}}
    return {"Filter": {**told, "Tag": tags[0] if tags else None}}


def _when_members(when: When) -> dict[str, Any]:
    return {"Days": when.days} if when.date is None else {"Date": when.date}


def _noncurrent_members(when: Noncurrent) -> dict[str, Any]:
    return {"NoncurrentDays": when.days, "NewerNoncurrentVersions": when.newer}
