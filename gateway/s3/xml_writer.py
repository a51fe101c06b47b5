"""XML answers: closures, compiled from the model, that append strings.

Lists are written by column, not by row: a listing's thousand keys are joined once to learn that none needs an
escape, which is nearly always so, and then put between what is the same in every row. This is what makes a full page
take a third of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from gateway.s3 import quirks
from gateway.s3.columns import Columns
from gateway.s3.model import Member, Operation, Shape
from gateway.s3.values import iso_dates, iso_seconds
from gateway.s3.xml import escape

Column = Callable[[Sequence[Any]], Sequence[str]]
"""Values into their XML text, one by one; raises TypeError or KeyError where one is None."""

Structure = Callable[[Mapping[str, Any]], str]
Fields = Callable[[Mapping[str, Any]], list[str]]
Rows = Callable[[Sequence[Mapping[str, Any]]], tuple[list[str], int]]
"""Structures into the texts of their elements, and how many texts each of them has."""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
FEW = 4
"""Rows fewer than this are written one by one."""
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
        name, write = payload.name, _compile_fields(payload.shape.members, payload.shape.name, False)
        return lambda result: _document(opening, write(result.get(name) or {}), closing)
    members = tuple(member for member in operation.outputs if member.location == "body")
    others = frozenset(member.name for member in operation.outputs) - {member.name for member in members}
    compile_members = _compile_interleaved if operation.name in quirks.INTERLEAVED else _compile_fields
    plain = compile_members(members, operation.name, False, others)
    if not any(member.name == "EncodingType" for member in members):
        return lambda result: _document(opening, plain(result), closing)
    encoded = compile_members(members, operation.name, True, others)

    def write_listing(result: Mapping[str, Any]) -> bytes:
        write = encoded if result.get("EncodingType") == "url" else plain
        return _document(opening, write(result), closing)

    return write_listing


def _document(opening: str, parts: list[str], closing: str) -> bytes:
    return "".join((opening, *parts, closing)).encode("utf-8", "replace")


# -- structures


def _compile_structure(members: tuple[Member, ...], name: str, url: bool) -> Structure:
    """A function from a structure to its inner XML."""
    write = _compile_fields(members, name, url)
    return lambda value: "".join(write(value))


def _compile_fields(members: tuple[Member, ...], name: str, url: bool, others: frozenset[str] = frozenset()) -> Fields:
    """A function from a structure to its elements, in the wire's order. ``others`` travel elsewhere."""
    fields = tuple(
        (member.name, _compile_element(member, url and (name, member.name) not in quirks.NOT_URL_ENCODED))
        for member in _ordered(name, members)
        if not member.attribute
    )
    known = others | {member.name for member in members}

    def write(value: Mapping[str, Any]) -> list[str]:
        if not value.keys() <= known:
            raise TypeError(f"{name} has no {', '.join(sorted(value.keys() - known))}")
        parts = []
        for field, element in fields:
            found = value.get(field)
            if found is not None:
                parts.append(element(found))
        return parts

    return write


def _compile_interleaved(members: tuple[Member, ...], name: str, url: bool, others: frozenset[str]) -> Fields:
    """As ``_compile_fields``, for a structure two of whose lists are written as one."""
    ordered = tuple(_ordered(name, members))
    known = others | {member.name for member in members}
    at = next(number for number, member in enumerate(ordered) if member.name in quirks.INTERLEAVED[name])
    before, both, after = ordered[:at], ordered[at : at + 2], ordered[at + 2 :]
    assert tuple(member.name for member in both) == quirks.INTERLEAVED[name]
    head, apart, tail = (_compile_fields(some, name, url, known) for some in (before, both, after))
    firsts, seconds = (_compile_items(member, url) for member in both)

    def write(value: Mapping[str, Any]) -> list[str]:
        one, other = (value.get(member.name) for member in both)
        if not one or not other or not isinstance(other, Columns) or other.places is None:
            return [*head(value), *apart(value), *tail(value)]
        return [*head(value), *_merged(*firsts(one), *seconds(other), other.places), *tail(value)]

    return write


def _merged(texts: list[str], wide: int, others: list[str], width: int, places: Sequence[int]) -> list[str]:
    """Elements of ``wide`` texts each, with others of ``width`` texts at their places among them all."""
    merged, done = [], 0
    for number, place in enumerate(places):
        merged += texts[done * wide : (place - number) * wide]
        merged += others[number * width : (number + 1) * width]
        done = place - number
    return merged + texts[done * wide :]


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
    if item.kind == "structure":
        rows = _compile_items(member, url)

        def write_items(values: Sequence[Any]) -> str:
            return "".join(rows(values)[0]) if values else ""
    else:
        item_wire = _item_wire(member)
        before, after = f"<{item_wire}>", f"</{item_wire}>"
        column = _compile_column(member.name, item, url)
        between = after + before

        def write_items(values: Sequence[Any]) -> str:
            return before + between.join(column(values)) + after if values else ""

    if member.shape.flattened:
        return write_items
    closing = f"</{member.wire}>"
    return lambda values: opening + write_items(values) + closing


def _item_wire(member: Member) -> str:
    return member.wire if member.shape.flattened else member.shape.item_wire or "member"


def _compile_items(member: Member, url: bool) -> Rows:
    """A function from a list of structures to the texts of its elements."""
    assert member.shape.item is not None
    wire = _item_wire(member)
    return _compile_rows(member.shape.item, url, f"<{wire}>", f"</{wire}>")


# -- columns


def _compile_column(name: str, shape: Shape, url: bool) -> Column:
    match shape.kind:
        case "structure":
            inside = _compile_structure(shape.members, shape.name, url)
            return lambda values: list(map(inside, values))
        case "string" if url and name in quirks.URL_ENCODED:
            return _quoted
        case "string":
            return _escaped
        case "integer" | "long":
            return lambda values: list(map(int.__repr__, values))
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


class _Cell(NamedTuple):
    """A member's part of a row: its element from its value, and for many values what is between the tags."""

    element: Callable[[Any], str]
    opening: str
    column: Column
    closing: str


def _compile_rows(shape: Shape, url: bool, before: str, after: str) -> Rows:
    """A function from rows of one structure to their texts: by column where all have the same keys, else one by one."""
    one = _compile_structure(shape.members, shape.name, url)
    members = _ordered(shape.name, shape.members)
    cells = {member.name: _compile_cell(member, url) for member in members if not member.attribute}
    by_columns = len(cells) == len(members)

    def write(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
        columns = _columns_of(rows) if by_columns and len(rows) >= FEW else None
        if columns is None or not columns.keys() <= cells.keys():
            return [before + one(row) + after for row in rows], 1
        constants = [before]
        varying: list[Sequence[str]] = []
        for name, (element, opening, column, closing) in cells.items():
            values = columns.get(name)
            if values is None:
                continue
            first = values[0]
            if first == values[-1] and values.count(first) == len(values):
                if first is not None:
                    constants[-1] += element(first)
            elif None in values:
                varying.append(["" if value is None else element(value) for value in values])
                constants.append("")
            else:
                constants[-1] += opening
                varying.append(column(values))
                constants.append(closing)
        constants[-1] += after
        return _weave(constants, varying, len(rows))

    return write


def _weave(constants: Sequence[str], varying: Sequence[Sequence[str]], count: int) -> tuple[list[str], int]:
    """So many rows of what is the same in each, with the columns in between.

    Columns are put in by slices and all is joined at last: that takes half the time of any way to make each row alone.
    """
    width = len(constants) + len(varying)
    row = [""] * width
    row[::2] = constants
    texts = row * count
    for number, column in enumerate(varying):
        texts[2 * number + 1 :: width] = column
    return texts, width


def _compile_cell(member: Member, url: bool) -> _Cell:
    element = _compile_element(member, url)
    if member.shape.kind in ("list", "structure"):
        return _Cell(element, "", lambda values: _repeated(element, values), "")
    column = _compile_column(member.name, member.shape, url)
    return _Cell(element, f"<{member.wire}>", column, f"</{member.wire}>")


def _repeated(element: Callable[[Any], str], values: Sequence[Any]) -> Sequence[str]:
    """Elements of which one is often as the one before: owners, say."""
    texts, last, text = [], None, ""
    for value in values:
        if value != last:
            text, last = element(value), value
        texts.append(text)
    return texts


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]] | None:
    """Rows by member; None where they have not all the same members."""
    if isinstance(rows, Columns):
        return rows.columns
    present = rows[0].keys()
    if sum(map(len, rows)) != len(present) * len(rows):
        return None
    try:  # as many keys each and none missing: the same keys
        return {name: [row[name] for row in rows] for name in present}
    except KeyError:
        return None
