"""A handler's result into status, headers and body, by closures compiled per operation at start-up.

A result has boto3's output shape. A key that the model lacks raises TypeError, so a typo cannot vanish; ``None`` is
left out; everything else is written, an empty string as an empty element.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from gateway.s3 import quirks
from gateway.s3.errors import InvalidArgument
from gateway.s3.model import Member, Operation
from gateway.s3.values import http_date, iso_date
from gateway.s3.xml_writer import compile_answer

Body = bytes | AsyncIterator[bytes]
Response = tuple[int, list[tuple[bytes, bytes]], Body]
Renderer = Callable[[Mapping[str, Any]], Response]
"""result -> (status, headers, body); raises TypeError for what the model lacks."""

_XML_TYPE = (b"content-type", b"application/xml")
_JSON_TYPE = (b"content-type", b"application/json")
_EMPTY = (b"content-length", b"0")
_LITERAL = frozenset(range(33, 127)) - frozenset(b"=?_")
"""Bytes that stand for themselves in a Q-encoded word."""
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]").search
PARTIAL_CONTENT, NO_CONTENT = 206, 204


def compile_renderer(operation: Operation) -> Renderer:
    """The renderer of an operation."""
    headed = [member for member in operation.outputs if member.location != "body"]
    formats = {each.name: (_wire(each), _header_formatter(each)) for each in headed if each.location != "headers"}
    prefixes = {each.name: _wire(each) for each in headed if each.location == "headers"}
    in_body = frozenset(member.name for member in operation.outputs if member.location == "body")
    to_body = _body_writer(operation)
    success, is_head = operation.status, operation.method == "HEAD"
    has_range = any(member.name == "ContentRange" for member in operation.outputs)

    def render(result: Mapping[str, Any]) -> Response:
        headers: list[tuple[bytes, bytes]] = []
        for name, value in result.items():
            found = formats.get(name)
            if found is not None:
                if value is not None:
                    headers.append((found[0], found[1](value)))
            elif name in prefixes:
                if value is not None:
                    _emit_metadata(headers, prefixes[name], value)
            elif name not in in_body:
                raise TypeError(f"the result of {operation.name} has no {name}")
        status = PARTIAL_CONTENT if has_range and result.get("ContentRange") is not None else success
        if is_head or status == NO_CONTENT:
            return status, headers, b""
        return status, headers, to_body(headers, result)

    return render


def _body_writer(operation: Operation) -> Callable[[list[tuple[bytes, bytes]], Mapping[str, Any]], Body]:
    """A function that makes the body and adds the headers that tell of it."""
    if operation.output_root is not None:
        write = compile_answer(operation)

        def write_xml(headers: list[tuple[bytes, bytes]], result: Mapping[str, Any]) -> Body:
            body = write(result)
            headers += (_XML_TYPE, (b"content-length", b"%d" % len(body)))
            return body

        return write_xml
    payload = operation.output_payload
    if payload is None:
        return _write_nothing
    name = payload.name
    if payload.shape.kind == "string":

        def write_text(headers: list[tuple[bytes, bytes]], result: Mapping[str, Any]) -> Body:
            body: bytes = (result.get(name) or "").encode()
            headers += (_JSON_TYPE, (b"content-length", b"%d" % len(body)))
            return body

        return write_text

    def write_stream(headers: list[tuple[bytes, bytes]], result: Mapping[str, Any]) -> Body:
        body: Body | None = result.get(name)
        if body is None:
            body = b""
        if isinstance(body, bytes) and result.get("ContentLength") is None:
            headers.append((b"content-length", b"%d" % len(body)))
        return body

    return write_stream


def _write_nothing(headers: list[tuple[bytes, bytes]], result: Mapping[str, Any]) -> Body:
    headers.append(_EMPTY)
    return b""


# -- headers


def _wire(member: Member) -> bytes:
    return member.wire.lower().encode()


def _header_formatter(member: Member) -> Callable[[Any], bytes]:
    match member.shape.kind:
        case "integer" | "long":
            return lambda value: b"%d" % value
        case "boolean":
            return lambda value: b"true" if value else b"false"
        case "timestamp" if member.shape.time_format == "iso8601":
            return lambda value: iso_date(value).encode()
        case "timestamp" if member.name in quirks.TEXT_TIMESTAMPS:
            return lambda value: _text(value) if isinstance(value, str) else http_date(value)
        case "timestamp":
            return http_date
    return _text


def _text(value: str) -> bytes:
    """Header text, as UTF-8 beyond ASCII. Raises InvalidArgument for control characters: none may split an answer."""
    if value.isprintable() and value.isascii():
        return value.encode()
    if _CONTROL(value):
        raise InvalidArgument("Header value cannot be represented using ISO-8859-1.", ArgumentValue=value)
    return value.encode("utf-8", "replace")


def _emit_metadata(headers: list[tuple[bytes, bytes]], prefix: bytes, pairs: Mapping[str, str]) -> None:
    for name, value in pairs.items():
        plain = value.isascii() and not _CONTROL(value)
        text = value.encode() if plain else _encoded_word(value)
        headers.append((prefix + name.lower().encode("latin-1", "replace"), text))


def _encoded_word(value: str) -> bytes:
    """One RFC 2047 word, as AWS answers with metadata beyond printable ASCII: Q where most is ASCII, else B."""
    raw = value.encode("utf-8", "replace")
    plain = sum(" " <= character <= "~" or character in "\t\r\n" for character in value)
    if plain <= len(value.encode("utf-16-le", "replace")) // 2 - plain:
        return b"=?UTF-8?B?" + base64.b64encode(raw) + b"?="
    quoted = "".join(["_" if byte == 32 else chr(byte) if byte in _LITERAL else f"={byte:02X}" for byte in raw])
    return b"=?UTF-8?Q?" + quoted.encode() + b"?="
