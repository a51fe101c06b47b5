"""Conditional requests as tables: RFC 9110 for reads, S3's documentation for writes."""

from __future__ import annotations

import pytest

from gateway.conditions import ReadConditions, WriteConditions, check_copy_source, check_read, check_write
from gateway.errors import NotModified, ObjectNotFound, PreconditionFailed

NOW = 1_700_000_000_123
BEFORE, SAME, AFTER = 1_699_999_999_000, 1_700_000_000_000, 1_700_000_001_000


@pytest.mark.parametrize(
    ("conditions", "outcome"),
    [
        (ReadConditions(), None),
        (ReadConditions(if_match='"e"'), None),
        (ReadConditions(if_match="e"), None),
        (ReadConditions(if_match="*"), None),
        (ReadConditions(if_match='"x", "e"'), None),
        (ReadConditions(if_match='"x"'), PreconditionFailed),
        (ReadConditions(if_none_match='"x"'), None),
        (ReadConditions(if_none_match='"e"'), NotModified),
        (ReadConditions(if_none_match='W/"e"'), NotModified),
        (ReadConditions(if_none_match="*"), NotModified),
        (ReadConditions(if_modified_since=BEFORE), None),
        (ReadConditions(if_modified_since=SAME), NotModified),
        (ReadConditions(if_modified_since=AFTER), NotModified),
        (ReadConditions(if_unmodified_since=AFTER), None),
        (ReadConditions(if_unmodified_since=SAME), None),
        (ReadConditions(if_unmodified_since=BEFORE), PreconditionFailed),
        # an ETag decides over a date (RFC 9110, 13.2.2)
        (ReadConditions(if_match='"e"', if_unmodified_since=BEFORE), None),
        (ReadConditions(if_none_match='"x"', if_modified_since=AFTER), None),
        (ReadConditions(if_none_match='"e"', if_modified_since=BEFORE), NotModified),
    ],
)
def test_reads(conditions: ReadConditions, outcome: type[Exception] | None) -> None:
    if outcome is None:
        check_read(conditions, "e", NOW)
        check_copy_source(conditions, "e", NOW)
        return
    with pytest.raises(outcome):
        check_read(conditions, "e", NOW)
    with pytest.raises(PreconditionFailed, match="x-amz-copy-source-If"):
        check_copy_source(conditions, "e", NOW)


PRESENT = ("e", 5, NOW)


@pytest.mark.parametrize(
    ("conditions", "present", "outcome"),
    [
        (WriteConditions(), None, None),
        (WriteConditions(), PRESENT, None),
        (WriteConditions(if_none_match="*"), None, None),
        (WriteConditions(if_none_match="*"), PRESENT, PreconditionFailed),
        (WriteConditions(if_none_match='"x"'), PRESENT, None),
        (WriteConditions(if_none_match='"e"'), PRESENT, PreconditionFailed),
        (WriteConditions(if_match='"e"'), PRESENT, None),
        (WriteConditions(if_match='"x"'), PRESENT, PreconditionFailed),
        (WriteConditions(if_match="*"), PRESENT, None),
        (WriteConditions(if_match="*"), None, ObjectNotFound),
        (WriteConditions(if_match='"e"'), None, ObjectNotFound),
        (WriteConditions(if_match_size=5), PRESENT, None),
        (WriteConditions(if_match_size=6), PRESENT, PreconditionFailed),
        (WriteConditions(if_match_size=6), None, None),
        (WriteConditions(if_match_modified_at=SAME), PRESENT, None),
        (WriteConditions(if_match_modified_at=AFTER), PRESENT, PreconditionFailed),
    ],
)
def test_writes(
    conditions: WriteConditions, present: tuple[str, int, int] | None, outcome: type[Exception] | None
) -> None:
    if outcome is None:
        check_write(conditions, "b", "k", present)
        return
    with pytest.raises(outcome):
        check_write(conditions, "b", "k", present)
