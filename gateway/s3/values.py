"""Scalars on the wire: dates, integers and booleans as text, both ways. Strict in what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import gmtime

Time = int | datetime
"""How handlers tell a time: Unix milliseconds, or an aware datetime."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FRACTIONS = tuple(f".{millis:03}Z" for millis in range(1000))
_MINUTES = tuple(f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02}" for second in range(60))
_DIGITS = {"integer": 10, "long": 19}
_MOST = {"integer": 2**31 - 1, "long": 2**63 - 1}


def parse_integer(text: str, kind: str) -> int:
    """A decimal of ASCII digits within the range of its kind; ``int`` alone takes `` 5``, ``1_0`` and ``٣``.

    Raises ValueError.
    """
    digits = text[1:] if text.startswith("-") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS[kind]):
        raise ValueError(text)
    value = int(text)
    if abs(value) > _MOST[kind]:
        raise ValueError(text)
    return value


def parse_boolean(text: str) -> bool:
    """Raises ValueError for what is neither ``true`` nor ``false`` in any case."""
    match text.strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise ValueError(text)


def parse_time(text: str) -> datetime:
    """An aware datetime from ISO 8601 or any of HTTP's three date formats. Raises ValueError."""
    text = text.strip()
    try:
        when = datetime.fromisoformat(text) if text[:1].isdigit() else parsedate_to_datetime(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError(text) from error


def _millis(when: Time) -> int:
    if isinstance(when, datetime):
        seconds = int(when.replace(microsecond=0).timestamp())
        return seconds * 1000 + when.microsecond // 1000
    return when


def http_date(when: Time) -> bytes:
    """``Wed, 12 Oct 2009 17:50:00 GMT``: whole seconds, rounded down."""
    return _http_second((when if type(when) is int else _millis(when)) // 1000)


@lru_cache(maxsize=4096)
def _http_second(second: int) -> bytes:
    t = gmtime(second)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon]} {t.tm_year} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    ).encode()


def iso_date(when: Time) -> str:
    """``2009-10-12T17:50:30.123Z``."""
    millis = when if type(when) is int else _millis(when)
    return _iso_second(millis // 1000) + _FRACTIONS[millis % 1000]


def iso_dates(times: Sequence[Time]) -> list[str]:
    """The same for many, which is a good part of the cost of a listing."""
    try:
        return [_iso_second(millis // 1000) + _FRACTIONS[millis % 1000] for millis in times]  # type: ignore[operator]
    except TypeError:
        return [iso_date(when) for when in times]


def iso_seconds(times: Sequence[Time]) -> list[str]:
    """Times whose fraction nobody shall see: ``2009-10-12T17:50:30.000Z``."""
    seconds = [(when if type(when) is int else _millis(when)) // 1000 for when in times]
    texts = {second: f"{_iso_second(second)}.000Z" for second in set(seconds)}
    return [texts[second] for second in seconds]


def _iso_second(second: int) -> str:
    day, rest = divmod(second, 86400)
    minutes, seconds = divmod(rest, 60)
    return _iso_day(day) + _MINUTES[minutes] + _SECONDS[seconds]


@lru_cache(maxsize=4096)
def _iso_day(day: int) -> str:
    t = gmtime(day * 86400)
    return f"{t.tm_year}-{t.tm_mon:02}-{t.tm_mday:02}T"
