"""XML, read with distrust and written with care. No other module of the door touches it.

Reading: no DTD, no entities, no network, a bounded size, depth (the parser itself stops at 256 levels, and only
elements the model knows are walked) and number of elements, the right root in any namespace or none, unknown elements
ignored. Whatever else is wrong is ``MalformedXML``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from lxml import etree

from gateway.s3 import quirks
from gateway.s3.model import Member, Operation, Shape
from gateway.s3.values import parse_boolean, parse_integer, parse_time

Reader = Callable[[Any], Any]
"""Turns an lxml element (untyped: lxml ships no types) into a value shaped as boto3's input."""

_SCHEMA_INSTANCE_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


class XMLError(ValueError):
    """The document is not well-formed, or not what the operation takes."""


# -- writing

# XML 1.0 has no way to write most control characters, yet keys hold them. AWS writes them as numeric references,
# which XML 1.1 parsers take; strict clients ask for encoding-type=url. NUL and what UTF-8 cannot hold (lone
# surrogates; U+FFFE and U+FFFF, which XML forbids) become U+FFFD, as no parser of any version takes them.
# A bare CR would be read back as LF, so it is written as a reference too; TAB and LF stay.
_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\x00": "\ufffd", "\ufffe": "\ufffd", "\uffff": "\ufffd"}


def _reference(found: re.Match[str]) -> str:
    character = found[0]
    named = _NAMED.get(character)
    if named is not None:
        return named
    return "\ufffd" if "\ud800" <= character <= "\udfff" else f"&#x{ord(character):X};"


def escape(text: str) -> str:
    """Text between tags. Quotes stay as they are."""
    if text.isprintable() and "&" not in text and "<" not in text and ">" not in text:
        return text
    return _SPECIAL.sub(_reference, text)


# -- reading

MAX_TAGS = 200_000
"""Tags that a document may have: a completion of 10,000 parts with a checksum each has 80,000. Elements cost time that
no other request gets, and a document of 8 MiB has room for two million."""
MAX_SEEN = 16 * 1024 * 1024
"""Bytes of documents after which the names in them are forgotten."""
MAX_OTHER = 64 * 1024
"""Bytes of a document in another encoding than UTF-8, where tags cannot be counted before they are read."""
_IN_UTF_8 = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*(?:<[^?\x00]|<\?(?:xml\s(?:(?!encoding)[^?])*(?:encoding\s*=\s*["']utf-8["'])?|(?!xml\s))[^?]*\?>)""",
    re.IGNORECASE,
).match
_DOCTYPE = re.compile(rb"(?:\xef\xbb\xbf)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL).match
"""A document type: it can stand only before the root, and is not read at all, as reading one may take long."""


def parse_document(body: bytes, root: str) -> Any:
    """The root element of a document whose root must be called ``root``. Raises XMLError."""
    if body.count(b"<") > MAX_TAGS:
        raise XMLError("there are too many elements")
    if len(body) > MAX_OTHER and not _IN_UTF_8(body):
        raise XMLError("a document as long as this is in UTF-8")
    if _DOCTYPE(body):
        raise XMLError("a document type is not allowed")
    try:
        element = _READER.read(body)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XMLError(str(error)) from error
    if element.getroottree().docinfo.internalDTD is not None:
        raise XMLError("a document type is not allowed")
    if _local(element.tag) != root:
        raise XMLError(f"the root is {_local(element.tag)}, not {root}")
    return element


def _parse(body: bytes) -> Any:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    return etree.fromstring(body, parser)


class _Reader:
    """Parses documents in a thread, and in another one now and then.

    The parser keeps every name that it ever saw for as long as its thread lives, and clients make names up.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # a program may have a gateway in a thread, and another in the next
        self._thread: ThreadPoolExecutor | None = None
        self._seen = 0

    def read(self, body: bytes) -> Any:
        with self._lock:
            if self._thread is None or self._seen > MAX_SEEN:
                if self._thread is not None:
                    self._thread.shutdown(wait=False)
                self._thread, self._seen = ThreadPoolExecutor(1, "xml"), 0
            self._seen += len(body)
            parsing = self._thread.submit(_parse, body)
        return parsing.result()


_READER = _Reader()


def _local(tag: Any) -> str:
    """A tag without its namespace. Raises XMLError for a node that is no element: an unresolved entity."""
    if not isinstance(tag, str):
        raise XMLError("an entity is not allowed")
    return tag.rpartition("}")[2]


def compile_document(operation: Operation) -> Callable[[bytes], Any]:
    """A function from an operation's XML body to its payload, shaped as boto3's input. It raises XMLError."""
    root = operation.input_root
    assert root is not None
    if operation.payload is not None:
        read = _compile(operation.payload.shape)
    else:
        read = _compile_structure(tuple(member for member in operation.inputs if member.location == "body"))
    return lambda body: read(parse_document(body, root))


def _compile(shape: Shape) -> Reader:
    if shape.kind == "structure":
        return _compile_structure(shape.members, shape.name)
    if shape.kind == "list":
        return _compile_list(shape)
    return _compile_scalar(shape)


def _compile_scalar(shape: Shape) -> Reader:
    kind = shape.kind
    convert: Callable[[str], Any]
    match kind:
        case "string":
            return _text
        case "integer" | "long":

            def convert(text: str) -> Any:
                return parse_integer(text.strip(), kind)

        case "boolean":
            convert = parse_boolean
        case "timestamp":
            convert = parse_time
        case _:
            raise TypeError(f"no XML form of {kind} ({shape.name})")

    def read(element: Any) -> Any:
        text = _text(element)
        try:
            return convert(text)
        except ValueError as error:
            raise XMLError(f"{text!r} is no {kind}") from error

    return read


def _text(element: Any) -> str:
    if len(element):
        raise XMLError(f"{_local(element.tag)} holds elements, not text")
    text: str | None = element.text
    return text or ""


def _compile_list(shape: Shape) -> Reader:
    assert shape.item is not None
    read_item = _compile(shape.item)
    wire = shape.item_wire or "member"

    def read(element: Any) -> list[Any]:
        return [read_item(child) for child in element if _local(child.tag) == wire]

    return read


def _compile_structure(members: tuple[Member, ...], structure: str = "") -> Reader:
    fields: dict[str, tuple[str, Reader, bool]] = {}
    attributes = [member for member in members if member.attribute]
    for member in members:
        if member.attribute:
            continue
        shape = member.shape
        repeated = shape.kind == "list" and shape.flattened
        if repeated:
            assert shape.item is not None
            shape = shape.item
        fields[member.wire] = (member.name, _compile(shape), repeated)
    required = tuple(
        member.name for member in members if member.required and (structure, member.name) not in quirks.OPTIONAL
    )

    def read(element: Any) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for child in element:
            field = fields.get(_local(child.tag))
            if field is None:
                continue
            name, read_member, repeated = field
            if repeated:
                value.setdefault(name, []).append(read_member(child))
            elif name in value:
                raise XMLError(f"{name} is given twice")
            else:
                value[name] = read_member(child)
        for member in attributes:
            text = element.get(_SCHEMA_INSTANCE_TYPE)
            if text is not None:
                value[member.name] = text
        for name in required:
            if name not in value:
                raise XMLError(f"{name} is missing")
        return value

    return read
