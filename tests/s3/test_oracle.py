"""Every operation of the model, through botocore and back: its requests parse, and it parses our answers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.s3.model import Shape, operations
from gateway.s3.parse import compile_body, compile_parser, header_map, parse_query, split_path
from gateway.s3.render import compile_renderer
from gateway.s3.route import Routes
from tests.s3.oracle import MILLIS, REACHABLE, WHEN, operation_model, parse, sample, serialise

ROUTES = Routes(operations().values())


def _arguments(name: str, only_required: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = sample(operation_model(name).input_shape, only_required=only_required)
    for field, value in (("Bucket", "a-bucket"), ("Key", "dir//a key+é%20?&=/")):
        if field in arguments:
            arguments[field] = value
    return arguments


@pytest.mark.parametrize("only_required", [False, True], ids=["all", "required"])
@pytest.mark.parametrize("name", [name for name in REACHABLE if operation_model(name).input_shape])
def test_arguments_survive_the_wire(name: str, only_required: bool) -> None:
    operation, arguments = operations()[name], _arguments(name, only_required)
    wire = serialise(name, arguments)
    bucket, key = split_path(wire.raw_path)
    query, headers = parse_query(wire.query), header_map(wire.headers)
    assert ROUTES.find(wire.method, ROUTES.level(bucket, key), query, headers).name == name
    takes = frozenset(member.name for member in operation.inputs)
    parsed = compile_parser(operation, takes)(bucket, key, query, headers)
    if operation.body_kind == "document":
        parsed.update(compile_body(operation, takes)(wire.body))
    elif operation.body_kind == "stream" and operation.payload is not None and operation.payload.name in arguments:
        parsed[operation.payload.name] = wire.body
    if "ContentLength" not in arguments:
        parsed.pop("ContentLength", None)
    assert parsed == arguments


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = sample(operation_model(name).output_shape, when=MILLIS)
    return result


def _as_parsed(value: Any, shape: Any, name: str = "") -> Any:
    """A result as botocore shows it: times as datetimes, streams as text."""
    match shape.type_name:
        case "structure":
            return {key: _as_parsed(inner, shape.members[key], key) for key, inner in value.items()}
        case "list":
            return [_as_parsed(inner, shape.member) for inner in value]
        case "timestamp":
            return WHEN
        case "blob":
            return value.decode()
    return value


RENDERED = [
    name
    for name in REACHABLE
    if operation_model(name).output_shape and not operation_model(name).has_event_stream_output
]


@pytest.mark.parametrize("name", [name for name in RENDERED if name != "GetBucketLocation"])
def test_results_survive_the_wire(name: str) -> None:
    result = _result(name)
    result.pop("EncodingType", None)
    status, headers, body = compile_renderer(operations()[name])(result)
    assert isinstance(body, bytes)
    assert status == (206 if "ContentRange" in result else operations()[name].status)
    assert parse(name, status, headers, body) == _as_parsed(result, operation_model(name).output_shape)


@pytest.mark.parametrize("name", RENDERED)
def test_an_empty_result_renders(name: str) -> None:
    status, headers, body = compile_renderer(operations()[name])({})
    assert isinstance(body, bytes)
    parsed = parse(name, status, headers, body)
    assert not any(parsed.values())


def test_many_rows_of_each_kind_render_as_few_do() -> None:
    """Lists take another path from four alike rows on."""
    for name in RENDERED:
        shape = operation_model(name).output_shape
        result = _result(name)
        result.pop("EncodingType", None)
        lists = [key for key, member in shape.members.items() if member.type_name == "list"]
        for key in lists:
            result[key] = result[key] * 4
        status, headers, body = compile_renderer(operations()[name])(result)
        if name != "GetBucketLocation":
            assert isinstance(body, bytes)
            assert parse(name, status, headers, body) == _as_parsed(result, shape)


def test_flattened_lists_have_one_element_name() -> None:
    """botocore writes flattened lists under one name and reads them under another; in S3 the two agree."""

    def walk(shape: Shape) -> None:
        for member in shape.members:
            if member.shape.kind == "list" and member.shape.flattened and member.shape.item_wire:
                assert member.wire == member.shape.item_wire
            walk(member.shape.item or member.shape)

    for operation in operations().values():
        for member in (*operation.inputs, *operation.outputs):
            walk(member.shape.item or member.shape)
