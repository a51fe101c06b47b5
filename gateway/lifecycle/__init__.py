"""Lifecycle: what a bucket's rules say of its versions, and the worker that does it.

The rules and their dates are pure functions here; what they do to the catalog is in ``gateway.catalog.lifecycle``.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html
"""

from gateway.lifecycle.calendar import Calendar
from gateway.lifecycle.rules import (
    Filter,
    Lifecycle,
    Noncurrent,
    NoncurrentTransition,
    Rule,
    Transition,
    When,
    lifecycle_of,
)

__all__ = [
    "Calendar",
    "Filter",
    "Lifecycle",
    "Noncurrent",
    "NoncurrentTransition",
    "Rule",
    "Transition",
    "When",
    "lifecycle_of",
]
