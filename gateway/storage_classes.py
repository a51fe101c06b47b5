"""Storage classes: S3's own, and which of them the operator has bound to a store.

A class that is bound to a mount point places what is written with it in the store that is mounted there, and lifecycle
transitions move objects to it. One that is not bound is a label: where such an object lies, its path decides.
"""

from __future__ import annotations

import re

from gateway.errors import BadRequest

STANDARD = "STANDARD"
"""Where this lies, mounts decide alone: it cannot be bound."""

TRANSITIONS: dict[str, frozenset[str]] = {
    STANDARD: frozenset(
        {"STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
    ),
    "REDUCED_REDUNDANCY": frozenset(
        {"STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
    ),
    "STANDARD_IA": frozenset({"INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}),
    "INTELLIGENT_TIERING": frozenset({"ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}),
    "ONEZONE_IA": frozenset({"GLACIER", "DEEP_ARCHIVE"}),
    "GLACIER_IR": frozenset({"GLACIER", "DEEP_ARCHIVE"}),
    "GLACIER": frozenset({"DEEP_ARCHIVE"}),
    "DEEP_ARCHIVE": frozenset(),
}
"""S3's classes, and to which of them a lifecycle rule may move an object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
"""

TARGETS = TRANSITIONS[STANDARD]
"""The classes of S3's that a rule may name."""

PREFERENCE = ("STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE")
"""Of two transitions that are due at once the later in this order is done: the cheaper class, but Intelligent-Tiering
before all but the archives. https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html"""

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,31}", re.ASCII)


def check_class_name(name: str) -> str:
    """A name that a class may be bound by: one of S3's, or the operator's own. Raises BadRequest."""
    if name == STANDARD:
        raise BadRequest("STANDARD is where mounts place what is written: it cannot be bound", "storage_class", name)
    if not _NAME.fullmatch(name):
        raise BadRequest("a storage class has up to 32 capital letters, digits and _", "storage_class", name)
    return name


def may_move(current: str, target: str) -> bool:
    """Whether a transition from one class to another exists. Between S3's own they go one way."""
    if current in TRANSITIONS and target in TRANSITIONS:
        return target in TRANSITIONS[current]
    return current != target
