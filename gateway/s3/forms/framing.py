"""The multipart/form-data framing of a body, taken apart as it arrives.

A push decoder: it holds back no more than could be the beginning of a delimiter, or the headers of one part, so its
memory does not follow what is sent. Strict where two readers could understand two things: a delimiter line holds
nothing but the boundary, every part is one of form-data and has a name, and a body without its closing delimiter is
not whole. https://www.rfc-editor.org/rfc/rfc2046#section-5.1 and https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.s3.errors import MalformedPOSTRequest

MAX_HEADERS = 8 * 1024
"""Bytes of the headers of one part."""
MAX_PADDING = 64
"""Blanks that mail gateways were said to put behind a boundary."""

_BOUNDARY = re.compile(
    rb"""multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"\r\n]{1,200})"|([^\s";]{1,200}))\s*(?:;.*)?""", re.I
)
_PARAMETER = re.compile(rb';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:\\"|[^"])*)"|([^\s";]*))[ \t]*')

_CONTENT, _DELIMITER, _HEADERS, _EPILOGUE = range(4)


class Part(NamedTuple):
    """The head of a part; its content follows."""

    name: str
    filename: str | None
    offset: int
    """Where in the body the content begins."""


Event = Part | bytes
"""A part begins, or bytes of the part that began last."""


def is_form(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == b"multipart/form-data"


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that a Content-Type tells. Raises MalformedPOSTRequest."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise MalformedPOSTRequest
    return found[1] or found[2]


class Framing:
    """``feed`` what arrives, ``finish`` at the end of the stream. Both raise MalformedPOSTRequest."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._state = _CONTENT
        self._within = False
        """Whether content belongs to a part; what comes before the first one is nobody's."""
        self._held = b"\r\n"  # as if a line had ended before the body, which may begin with a delimiter
        self.offset = -2
        """How much of the body was taken apart; what is held back comes after it."""

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        data = self._held + data  # which copies nothing where nothing is held, and makes any buffer bytes
        at, end = 0, len(data)
        while at < end:
            step = _STEPS[self._state](self, data, at, events)
            if step is None:
                break
            at = step
        self._held = data[at:] if at < end else b""
        self.offset += at
        return events

    def finish(self) -> None:
        if self._state != _EPILOGUE:
            raise MalformedPOSTRequest

    def _take_content(self, data: bytes, at: int, events: list[Event]) -> int | None:
        """Content up to a delimiter. None, here and below, when it takes more to go on."""
        stop = data.find(self._delimiter, at)
        if stop >= 0:
            self._emit(data, at, stop, events)
            self._state = _DELIMITER
            return stop + len(self._delimiter)
        # No delimiter holds a second CR, so only one that the last CR begins can be cut off by the end of the data.
        last = data.rfind(b"\r", max(at, len(data) - len(self._delimiter) + 1))
        stop = last if last >= 0 and self._delimiter.startswith(data[last:]) else len(data)
        self._emit(data, at, stop, events)
        return stop if stop > at else None

    def _emit(self, data: bytes, start: int, stop: int, events: list[Event]) -> None:
        if self._within and stop > start:
            events.append(data[start:stop])

    def _take_delimiter(self, data: bytes, at: int, events: list[Event]) -> int | None:
        """What follows a boundary: two dashes, or the end of the line."""
        if data.startswith(b"--", at):
            self._state = _EPILOGUE
            return at + 2
        line_end = data.find(b"\r\n", at, at + MAX_PADDING + 2)
        if line_end < 0:
            rest = data[at:]
            if rest.lstrip(b" \t") not in (b"", b"\r", b"-") or len(rest) > MAX_PADDING:
                raise MalformedPOSTRequest
            return None
        if data[at:line_end].strip(b" \t"):
            raise MalformedPOSTRequest
        self._state = _HEADERS
        return line_end + 2

    def _take_headers(self, data: bytes, at: int, events: list[Event]) -> int | None:
        stop = data.find(b"\r\n\r\n", at, at + MAX_HEADERS)
        if stop < 0:
            if len(data) - at >= MAX_HEADERS:
                raise MalformedPOSTRequest
            return None
        name, filename = _disposition(data[at:stop])
        events.append(Part(name, filename, self.offset + stop + 4))
        self._within = True
        self._state = _CONTENT
        return stop + 4

    def _drop(self, data: bytes, at: int, events: list[Event]) -> int | None:
        return len(data)


_STEPS = (Framing._take_content, Framing._take_delimiter, Framing._take_headers, Framing._drop)
"""By state."""


def _disposition(block: bytes) -> tuple[str, str | None]:
    """Name and file name of a part, from its headers; the others mean nothing (RFC 7578, 4.8)."""
    disposition = None
    for line in block.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or line[:1] in b" \t" or b"\r" in line or b"\n" in line:
            raise MalformedPOSTRequest
        if name.strip().lower() == b"content-disposition":
            if disposition is not None:
                raise MalformedPOSTRequest
            disposition = value.strip()
    kind, _, _ = (disposition or b"").partition(b";")
    if disposition is None or kind.strip().lower() != b"form-data":
        raise MalformedPOSTRequest
    parameters = _parameters(disposition[len(kind) :])
    if not parameters.get("name"):
        raise MalformedPOSTRequest
    return parameters["name"], parameters.get("filename")


def _parameters(text: bytes) -> dict[str, str]:
    """Parameters of a header by name, each once.

    A backslash escapes a quote only: old browsers send a file's whole path with all its backslashes.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            if text[at:].strip(b" \t;"):
                raise MalformedPOSTRequest
            break
        name = parameter[1].decode("latin-1").lower()
        value = parameter[3] if parameter[2] is None else parameter[2].replace(b'\\"', b'"')
        if name in found:
            raise MalformedPOSTRequest
        try:
            found[name] = value.decode()
        except UnicodeDecodeError:
            raise MalformedPOSTRequest from None
        at = parameter.end()
    return found
