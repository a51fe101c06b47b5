"""What the server tells, as Python values: ``entry['path']`` and ``entry.path`` are the same."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any


class Record(dict[str, Any]):
    """A row of an answer: a dictionary whose keys are attributes as well."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Mount(Record):
    """A mount: ``mount_point``, ``backend_type``, ``priority``, ``readonly``, ``config`` …"""


class Entry(Record):
    """A file or directory in a listing: ``path``, ``size``, ``is_directory``, ``modified_at``, ``etag`` …"""


class Stat(Record):
    """A file or directory, or what a write made of it: ``size``, ``etag``, ``version``, ``modified_at`` …"""


def decode(value: Any) -> Any:
    """A JSON object of an answer as what it stands for: called with each object, the innermost first.

    Times are texts in ISO format, local and without an offset, to be compared with ``datetime.now()``.
    """
    kind = value.get("__type__")
    if kind == "bytes":
        return base64.b64decode(value["data"], validate=True)
    if kind == "datetime":
        return datetime.fromisoformat(value["data"]).astimezone().replace(tzinfo=None).isoformat()
    if kind == "timedelta":
        return timedelta(seconds=value["seconds"])
    return value


def encode(value: Any) -> Any:
    """JSON for what JSON has no form of."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"__type__": "bytes", "data": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"__type__": "datetime", "data": value.astimezone().isoformat()}
    if isinstance(value, timedelta):
        return {"__type__": "timedelta", "seconds": value.total_seconds()}
    raise TypeError(f"a {type(value).__name__} cannot be sent")
