"""XML answers: closures, compiled from the model, that append strings.

Lists are written by column, not by row: a listing's thousand keys are joined once to learn that none needs an
escape, which is nearly always so, and then put into one template. This is what makes a full page take under a
millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.s3 import quirks
from gateway.s3.model import Member, Operation, Shape
from gateway.s3.values import iso_dates, iso_seconds
from gateway.s3.xml import escape

Column = Callable[[Sequence[Any]], Sequence[str]]
"""Values into their XML text, one by one; raises TypeError or KeyError where one is None."""

Structure = Callable[[Mapping[str, Any]], str]

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_BOOLEANS = {True: "true", False: "false"}
_PLAIN = bytes(code for code in range(32, 127) if code not in b"&<>")
_UNQUOTED = bytes(code for code in range(33, 127) if quote(chr(code)) == chr(code))


def compile_answer(operation: Operation) -> Callable[[Mapping[str, Any]], bytes]:
    """A function from an operation's result to its document."""
    root = operation.output_root
    opening = f'{_DECLARATION}<{root} xmlns="{quirks.NAMESPACE}">'
    closing = f"</{root}>"
    unwrapped = quirks.UNWRAPPED.get(operation.name)
    if unwrapped is not None:
        empty = f"{opening[:-1]}/>"

        def write_text(result: Mapping[str, Any]) -> bytes:
            text = result.get(unwrapped)
            return (opening + escape(text) + closing if text else empty).encode()

        return write_text
    payload = operation.output_payload
    if payload is not None:
        name, write = payload.name, _compile_structure(payload.shape.members, payload.shape.name, False)
        return lambda result: (opening + write(result.get(name) or {}) + closing).encode("utf-8", "replace")
    members = tuple(member for member in operation.outputs if member.location == "body")
    others = frozenset(member.name for member in operation.outputs) - {member.name for member in members}
    plain = _compile_structure(members, operation.name, False, others)
    if not any(member.name == "EncodingType" for member in members):
        return lambda result: (opening + plain(result) + closing).encode("utf-8", "replace")
    encoded = _compile_structure(members, operation.name, True, others)

    def write_listing(result: Mapping[str, Any]) -> bytes:
        write = encoded if result.get("EncodingType") == "url" else plain
        return (opening + write(result) + closing).encode("utf-8", "replace")

    return write_listing


# -- structures


def _compile_structure(
    members: tuple[Member, ...], name: str, url: bool, others: frozenset[str] = frozenset()
) -> Structure:
    """A function from a structure to its inner XML, in the wire's order. ``others`` travel elsewhere."""
    fields = tuple(
        (member.name, _compile_element(member, url and (name, member.name) not in quirks.NOT_URL_ENCODED))
        for member in _ordered(name, members)
        if not member.attribute
    )
    known = others | {member.name for member in members}

    def write(value: Mapping[str, Any]) -> str:
        if not value.keys() <= known:
            raise TypeError(f"{name} has no {', '.join(sorted(value.keys() - known))}")
        parts = []
        for field, element in fields:
            found = value.get(field)
            if found is not None:
                parts.append(element(found))
        return "".join(parts)

    return write


def _ordered(name: str, members: tuple[Member, ...]) -> list[Member]:
    first = quirks.FIRST.get(name, ())
    return sorted(members, key=lambda member: first.index(member.name) if member.name in first else len(first))


def _compile_element(member: Member, url: bool) -> Callable[[Any], str]:
    """A function from a member's value to its element, or its elements where a list is flattened."""
    shape, wire = member.shape, member.wire
    opening = f"<{wire}{_attributes(member)}>"
    if shape.kind == "list":
        return _compile_list(member, opening, url)
    if any(inner.attribute for inner in shape.members):
        return _compile_attributed(member, url)
    column = _compile_column(member.name, shape, url)
    closing = f"</{wire}>"
    return lambda value: opening + column((value,))[0] + closing


def _attributes(member: Member) -> str:
    return "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in member.namespaces)


def _compile_attributed(member: Member, url: bool) -> Callable[[Any], str]:
    """Elements with a member as attribute: ``<Grantee xsi:type="CanonicalUser">``."""
    attribute = next(inner for inner in member.shape.members if inner.attribute)
    inside = _compile_structure(member.shape.members, member.shape.name, url)
    start, end = f"<{member.wire}{_attributes(member)}", f"</{member.wire}>"

    def write(value: Mapping[str, Any]) -> str:
        kind = value.get(attribute.name)
        shown = "" if kind is None else f' {attribute.wire}="{escape(kind).replace(chr(34), "&quot;")}"'
        return f"{start}{shown}>{inside(value)}{end}"

    return write


def _compile_list(member: Member, opening: str, url: bool) -> Callable[[Any], str]:
    item = member.shape.item
    assert item is not None
    item_wire = member.wire if member.shape.flattened else member.shape.item_wire or "member"
    before, after = f"<{item_wire}>", f"</{item_wire}>"
    column = _compile_column(member.name, item, url)

    def write_items(values: Sequence[Any]) -> str:
        if not values:
            return ""
        return before + (after + before).join(column(values)) + after

    if member.shape.flattened:
        return write_items
    closing = f"</{member.wire}>"
    return lambda values: opening + write_items(values) + closing


# -- columns


def _compile_column(name: str, shape: Shape, url: bool) -> Column:
    match shape.kind:
        case "structure":
            return _structure_column(shape, url)
        case "string" if url and name in quirks.URL_ENCODED:
            return _quoted
        case "string":
            return _escaped
        case "integer" | "long":
            return lambda values: [f"{value:d}" for value in values]
        case "boolean":
            return _booleans
        case "timestamp" if name in quirks.WHOLE_SECONDS:
            return iso_seconds
        case "timestamp":
            return iso_dates
    raise TypeError(f"no XML form of {shape.kind} ({shape.name})")


def _escaped(values: Sequence[str]) -> Sequence[str]:
    if "".join(values).encode("utf-8", "replace").translate(None, _PLAIN):
        return [escape(value) for value in values]
    return values


def _booleans(values: Sequence[bool]) -> Sequence[str]:
    return [_BOOLEANS[value] for value in values]


def _quoted(values: Sequence[str]) -> Sequence[str]:
    if "".join(values).encode("utf-8", "replace").translate(None, _UNQUOTED):
        return [quote(value, errors="replace") for value in values]
    return values


def _structure_column(shape: Shape, url: bool) -> Column:
    """Rows of one structure, by column where all have the same keys, else one by one."""
    one = _compile_structure(shape.members, shape.name, url)
    members = _ordered(shape.name, shape.members)
    columns = {member.name: _compile_cells(member, url) for member in members if not member.attribute}

    def write(rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        present = rows[0].keys()
        if len(rows) < 4 or not present or not present <= columns.keys() or not _alike(rows, len(present)):
            return [one(row) for row in rows]
        names = [name for name in columns if name in present]
        try:
            texts = [columns[name][1]([row[name] for row in rows]) for name in names]
        except (KeyError, TypeError):  # a row has other keys, or a value is None
            return [one(row) for row in rows]
        template = "".join([columns[name][0] for name in names])
        return [template % row for row in zip(*texts, strict=True)]

    return write


def _compile_cells(member: Member, url: bool) -> tuple[str, Column]:
    """A member's part of the row template, and what fills it."""
    if member.shape.kind not in ("list", "structure"):
        return f"<{member.wire}>%s</{member.wire}>", _compile_column(member.name, member.shape, url)
    element = _compile_element(member, url)

    def write(values: Sequence[Any]) -> Sequence[str]:
        # Owners and algorithms repeat from row to row.
        texts, last, text = [], None, ""
        for value in values:
            if value is None:
                raise TypeError("None in a column")
            if value != last:
                text, last = element(value), value
            texts.append(text)
        return texts

    return "%s", write


def _alike(rows: Sequence[Mapping[str, Any]], size: int) -> bool:
    """Whether all rows have as many keys as the first; the same number and no key missing means the same keys."""
    return sum(map(len, rows)) == size * len(rows)
