"""Documents of all operations that take one.

A case is a line with the operation's name, and the document. What is taken and written down again, as answers are
written, is taken for the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import Any

from gateway.s3 import operations as _handlers  # noqa: F401  (importing it fills the registry)
from gateway.s3.endpoint import Endpoint, compile_endpoints
from gateway.s3.errors import S3Error
from gateway.s3.model import Member, Operation, Shape, operations
from gateway.s3.operations.registry import REGISTRY
from gateway.s3.values import iso_date
from gateway.s3.xml import escape
from reliability.fuzz.mutate import Mutator, below, number, pick
from reliability.fuzz.signing import signed_request
from reliability.fuzz.target import Finding, Pure

_NAMESPACE = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_TEXTS = (
    *(b"", b"a", b"Enabled", b"STANDARD", b"*", b"GET", b"true", b"2026-01-01T00:00:00Z", b"http://a/*", b"a&amp;b"),
    *(b"<![CDATA[x]]>", b"&#x0;", b"&#13;", b"&lt;", b"&e;", b"<!-- c -->", b"<?pi?>", b"\xff", b"\xed\xa0\x80", b" "),
    *(b"x" * 1100, "\U0001f600".encode(), b"default", b"7b" * 32, b"FULL_CONTROL", b"COMPLIANCE", b"301", b"https"),
)
_TOKENS = (
    *(b'<!DOCTYPE a [<!ENTITY e "x">]>', b'<!DOCTYPE a SYSTEM "file:///etc/passwd">', b"&e;", b"]]>", b"<![CDATA["),
    *(b'<?xml version="1.0" encoding="UTF-16"?>', b'<?xml version="1.1"?>', b"<a>" * 300, b"</a>", b"<a/>", b"<x:y>"),
    *(
        b' xmlns:a="b"',
        b' a="b"',
        b' xsi:type="CanonicalUser"',
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"&#xD800;",
        b"&#1114112;",
    ),
    b'<?xml version="1.0" encoding="ISO-8859-1"?>',
)


def documents() -> dict[str, Endpoint]:
    """The operations that take XML, by name."""
    endpoints = compile_endpoints(operations(), REGISTRY.handlers)
    return {
        name: endpoint
        for name, endpoint in endpoints.items()
        if endpoint.parse_document is not None and endpoint.operation.input_root is not None
    }


class XmlTarget(Pure):
    """The reader of gateway/s3/xml.py, as gateway/s3/parse.py compiles it for each operation."""

    name = "xml"

    def __init__(self) -> None:
        self._endpoints = documents()
        self._names = tuple(self._endpoints)
        rng = Random("xml")
        self._mutate = Mutator([self._document(rng, name) for name in self._names for _ in range(4)], _TOKENS)

    def generate(self, rng: Random) -> bytes:
        name = pick(rng, self._names)
        document = self._document(rng, name) if rng.random() < 0.8 else self._mutate.seed(rng)
        if rng.random() < 0.6:
            document = self._mutate(rng, document)
        return name.encode() + b"\n" + document

    def check(self, case: bytes) -> None:
        name, _, document = case.partition(b"\n")
        endpoint = self._endpoints[name.decode()]
        parse = endpoint.parse_document
        assert parse is not None
        try:
            members = parse(document)
        except S3Error as error:
            if error.status >= 500 and error.code != "NotImplemented":
                raise Finding(f"a document was refused with {error.code}") from error
            return
        if members:
            again = parse(_write(endpoint.operation, members))
            if again != members:
                raise Finding(f"{members!r:.300} came back as {again!r:.300}")

    def request(self, case: bytes) -> bytes:
        """The case as a request of its operation."""
        name, _, document = case.partition(b"\n")
        operation = self._endpoints[name.decode()].operation
        path = b"/bucket/key" if operation.level == "key" else b"/bucket"
        query = [(key.encode(), (value or "").encode()) for key, value in operation.selectors]
        query += [(key.encode(), b"1") for key in operation.required_query]
        digest = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest())
        return signed_request(operation.method.encode(), path, query, [(b"content-md5", digest)], document)

    def _document(self, rng: Random, name: str) -> bytes:
        operation = self._endpoints[name].operation
        root = (operation.input_root or "").encode()
        members = operation.payload.shape.members if operation.payload is not None else _in_body(operation)
        inner = _members(rng, members, 0)
        return b"<%b%b>%b</%b>" % (root, _NAMESPACE if rng.random() < 0.8 else b"", inner, root)


def _in_body(operation: Operation) -> tuple[Member, ...]:
    return tuple(member for member in operation.inputs if member.location == "body")


# -- made from the model


def _members(rng: Random, members: tuple[Member, ...], depth: int) -> bytes:
    parts = []
    for member in members:
        if member.attribute or rng.random() > (0.9 if member.required else 0.55 - 0.08 * depth):
            continue
        shape, wire = member.shape, member.wire.encode()
        if shape.kind == "list" and shape.flattened:
            assert shape.item is not None
            parts += [_element(rng, wire, shape.item, depth) for _ in range(_count(rng))]
        else:
            parts.append(_element(rng, wire, shape, depth))
    return b"".join(parts)


def _count(rng: Random) -> int:
    return below(rng, 3) if rng.random() < 0.97 else below(rng, 40)


def _element(rng: Random, wire: bytes, shape: Shape, depth: int) -> bytes:
    attribute = b""
    if shape.kind == "structure":
        inner = _members(rng, shape.members, depth + 1)
        if any(member.attribute for member in shape.members):
            kind = pick(rng, (b"CanonicalUser", b"Group", b"AmazonCustomerByEmail", b""))
            attribute = b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="%b"' % kind
    elif shape.kind == "list":
        assert shape.item is not None
        item = (shape.item_wire or "member").encode()
        inner = b"".join(_element(rng, item, shape.item, depth + 1) for _ in range(_count(rng)))
    else:
        inner = _scalar(rng, shape)
    return b"<%b%b>%b</%b>" % (wire, attribute, inner, wire)


def _scalar(rng: Random, shape: Shape) -> bytes:
    chance = rng.random()
    if chance < 0.5:
        match shape.kind:
            case "integer" | "long":
                return b"%d" % below(rng, 400)
            case "boolean":
                return pick(rng, (b"true", b"false", b"TRUE"))
            case "timestamp":
                return b"2026-0%d-01T00:00:00Z" % (1 + below(rng, 9))
    if chance < 0.75 and shape.enum:
        return pick(rng, tuple(sorted(shape.enum))).encode()
    return number(rng) if chance > 0.9 else pick(rng, _TEXTS)


# -- written down again


def _write(operation: Operation, members: Mapping[str, Any]) -> bytes:
    root = operation.input_root
    if operation.payload is not None:
        inner = _write_members(operation.payload.shape.members, members[operation.payload.name])
    else:
        inner = _write_members(_in_body(operation), members)
    return f"<{root}>{inner}</{root}>".encode()


def _write_members(members: tuple[Member, ...], value: Mapping[str, Any]) -> str:
    parts = []
    for member in members:
        if member.attribute or member.name not in value:
            continue
        shape, held = member.shape, value[member.name]
        if shape.kind == "list" and shape.flattened:
            assert shape.item is not None
            parts += [_write_element(member.wire, shape.item, each) for each in held]
        else:
            parts.append(_write_element(member.wire, shape, held))
    return "".join(parts)


def _write_element(wire: str, shape: Shape, value: Any) -> str:
    attribute = ""
    if shape.kind == "structure":
        inner = _write_members(shape.members, value)
        for member in shape.members:
            if member.attribute and member.name in value:
                kind = escape(value[member.name]).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
                attribute = f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="{kind}"'
    elif shape.kind == "list":
        assert shape.item is not None
        inner = "".join(_write_element(shape.item_wire or "member", shape.item, each) for each in value)
    elif shape.kind == "boolean":
        inner = "true" if value else "false"
    elif shape.kind == "timestamp":
        inner = value.isoformat() if isinstance(value, datetime) else iso_date(value)
    else:
        inner = escape(str(value))
    return f"<{wire}{attribute}>{inner}</{wire}>"
