"""Any text as the value of a header, reversibly: plain where it can be, else as RFC 2047 writes words."""

from __future__ import annotations

import base64
import re

_WORD = re.compile(r"=\?UTF-8\?B\?([A-Za-z0-9+/]*={0,2})\?=", re.IGNORECASE)
_PLAIN = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def to_header(text: str) -> str:
    """What to send for a text. What already looks like an encoded word is encoded again, so that it comes back."""
    if _PLAIN.fullmatch(text) and not _WORD.fullmatch(text):
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def from_header(value: str) -> str:
    """The text that was sent; what somebody else wrote in another way is left as it is."""
    found = _WORD.fullmatch(value)
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except ValueError:
        return value
