"""The S3 service as botocore describes it, compiled to rows.

Everything the door knows of an operation that can be known beforehand stands in one frozen ``Operation``: how it
is chosen, where each member travels, what comes back. Nothing walks the model while a request is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from gateway.s3 import quirks, service_model

Level = Literal["service", "bucket", "key"]
Kind = Literal["structure", "list", "map", "string", "integer", "long", "boolean", "timestamp", "blob"]
Location = Literal["uri", "query", "header", "headers", "body"]

_LOCATIONS: dict[str | None, Location] = {
    "uri": "uri",
    "querystring": "query",
    "header": "header",
    "headers": "headers",
    None: "body",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of a value. Only the fields of its kind mean something."""

    name: str
    kind: Kind
    members: tuple[Member, ...] = ()
    item: Shape | None = None
    item_wire: str = ""
    """The element name of a list's items: their own when the list is wrapped, or always when it is flattened."""
    flattened: bool = False
    enum: frozenset[str] = frozenset()
    least: int | None = None
    most: int | None = None
    time_format: str | None = None
    event_stream: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One field of a structure: its name in boto3, its name on the wire, and where it travels."""

    name: str
    wire: str
    shape: Shape
    location: Location = "body"
    required: bool = False
    attribute: bool = False
    """Written as an XML attribute of its structure (``xsi:type``)."""
    namespaces: tuple[tuple[str, str], ...] = ()
    """(prefix, URI) pairs that the member's element declares."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table: all that routing, parsing and rendering need of an operation."""

    name: str
    method: str
    level: Level
    selectors: tuple[tuple[str, str | None], ...]
    """Query keys that choose the operation, with the value they must have (None: any)."""
    required_query: tuple[str, ...]
    """Query keys that must be there as well: ``uploadId``, ``partNumber``, ``id``."""
    selecting_header: bytes | None
    status: int
    inputs: tuple[Member, ...]
    payload: Member | None
    """The input member that is the whole body."""
    input_root: str | None
    """The root element of the XML body, when the input has one."""
    outputs: tuple[Member, ...]
    output_payload: Member | None
    output_root: str | None
    """The root element of the XML answer, when there is one."""
    checksum_required: bool
    deprecated: bool

    @property
    def body_kind(self) -> Literal["none", "document", "stream"]:
        """What the request's body is: nothing, a small document read whole, or an object's bytes."""
        if self.payload is not None and self.payload.shape.kind == "blob":
            return "stream"
        if self.payload is not None or self.input_root is not None:
            return "document"
        return "none"


@cache
def operations() -> Mapping[str, Operation]:
    """Every operation of S3, by name, from the newest model that the installed botocore carries."""
    model = service_model.load()
    shapes = _Shapes(model["shapes"])
    return {name: _operation(raw, shapes) for name, raw in model["operations"].items()}


class _Shapes:
    """Shapes by name, each compiled once. S3 has no recursive shape; one would end in a RecursionError at start."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self._compiled: dict[tuple[str, bool], Shape] = {}

    def get(self, name: str, flattened: bool = False) -> Shape:
        """A shape; ``flattened`` is what the reference to it adds."""
        found = self._compiled.get((name, flattened))
        if found is None:
            found = self._compiled[name, flattened] = self._compile(name, flattened)
        return found

    def _compile(self, name: str, flattened: bool) -> Shape:
        raw = self.raw[name]
        item = raw.get("member") if raw["type"] == "list" else None
        return Shape(
            name=name,
            kind=raw["type"],
            members=self.members(name),
            item=self.get(item["shape"]) if item else None,
            item_wire=item.get("locationName", "") if item else "",
            flattened=flattened or raw.get("flattened", False),
            enum=frozenset(raw.get("enum", ())),
            least=raw.get("min"),
            most=raw.get("max"),
            time_format=raw.get("timestampFormat"),
            event_stream=raw.get("eventstream", False),
        )

    def members(self, name: str) -> tuple[Member, ...]:
        raw = self.raw[name]
        required = frozenset(raw.get("required", ()))
        return tuple(self._member(key, ref, key in required) for key, ref in raw.get("members", {}).items())

    def _member(self, name: str, ref: Mapping[str, Any], required: bool) -> Member:
        shape = self.get(ref["shape"], ref.get("flattened", False))
        wire = ref.get("locationName", name)
        if shape.flattened and shape.item_wire:
            wire = shape.item_wire
        namespace = ref.get("xmlNamespace") or self.raw[ref["shape"]].get("xmlNamespace") or {}
        return Member(
            name=name,
            wire=wire,
            shape=shape,
            location=_LOCATIONS[ref.get("location")],
            required=required,
            attribute=ref.get("xmlAttribute", False),
            namespaces=((namespace["prefix"], namespace["uri"]),) if namespace.get("prefix") else (),
        )


def _operation(raw: Mapping[str, Any], shapes: _Shapes) -> Operation:
    name = raw["name"]
    path, _, query = raw["http"]["requestUri"].partition("?")
    inputs = shapes.members(raw["input"]["shape"]) if "input" in raw else ()
    payload = _payload(raw, "input", inputs, shapes)
    outputs = shapes.members(raw["output"]["shape"]) if "output" in raw else ()
    output_payload = _payload(raw, "output", outputs, shapes)
    headers = {member.wire.lower().encode() for member in inputs if member.location == "header" and member.required}
    return Operation(
        name=name,
        method=raw["http"]["method"],
        level="key" if "{Key" in path else "bucket" if "{Bucket" in path else "service",
        selectors=tuple(_selector(item) for item in query.split("&") if item),
        required_query=tuple(member.wire for member in inputs if member.location == "query" and member.required),
        selecting_header=next(iter(headers & quirks.SELECTING_HEADERS), None),
        status=quirks.STATUSES.get(name) or raw["http"].get("responseCode", 200),
        inputs=inputs,
        payload=payload,
        input_root=_input_root(raw, inputs, payload),
        outputs=outputs,
        output_payload=output_payload,
        output_root=_output_root(raw, outputs, output_payload),
        checksum_required=raw.get("httpChecksum", {}).get("requestChecksumRequired", False)
        and name not in quirks.DIGEST_OPTIONAL,
        deprecated=raw.get("deprecated", False),
    )


def _selector(item: str) -> tuple[str, str | None]:
    key, mark, value = item.partition("=")
    return key, value if mark else None


def _payload(
    raw: Mapping[str, Any], side: Literal["input", "output"], members: tuple[Member, ...], shapes: _Shapes
) -> Member | None:
    if side not in raw:
        return None
    name = shapes.raw[raw[side]["shape"]].get("payload")
    return next((member for member in members if member.name == name), None)


def _input_root(raw: Mapping[str, Any], inputs: tuple[Member, ...], payload: Member | None) -> str | None:
    if payload is not None:
        return payload.wire if payload.shape.kind == "structure" else None
    if any(member.location == "body" for member in inputs):
        root: str = raw["input"]["locationName"]
        return root
    return None


def _output_root(raw: Mapping[str, Any], outputs: tuple[Member, ...], payload: Member | None) -> str | None:
    if payload is not None:
        if payload.shape.kind != "structure" or payload.shape.event_stream:
            return None
        return quirks.ROOTS.get(raw["name"], payload.wire)
    if all(member.location != "body" for member in outputs):
        return None
    shape: str = raw["output"]["shape"]
    return quirks.ROOTS.get(raw["name"], shape.removesuffix("Output") + "Result")
