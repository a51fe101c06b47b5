"""Operations that have a handler, compiled: everything the door needs between routing and sending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.s3.model import Operation
from gateway.s3.operations.registry import Handler, Registered
from gateway.s3.parse import Parser, compile_body, compile_parser
from gateway.s3.render import Renderer, compile_renderer


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation, ready to be called."""

    operation: Operation
    handler: Handler
    parse: Parser
    parse_document: Callable[[bytes], dict[str, Any]] | None
    """Set where the body is a document, which is read whole."""
    stream: str | None
    """The member under which the handler takes the body as a stream."""
    render: Renderer


def compile_endpoints(model: Mapping[str, Operation], handlers: Mapping[str, Registered]) -> dict[str, Endpoint]:
    """Endpoints by operation name. Raises TypeError for a handler that the model does not know, whole or in part."""
    endpoints = {}
    for name, registered in handlers.items():
        operation = model.get(name)
        if operation is None:
            raise TypeError(f"S3 has no operation {name}")
        registered.check(operation)
        endpoints[name] = _compile(operation, registered)
    return endpoints


def _compile(operation: Operation, registered: Registered) -> Endpoint:
    takes, kind = registered.takes, operation.body_kind
    payload = operation.payload.name if operation.payload is not None else None
    return Endpoint(
        operation=operation,
        handler=registered.handler,
        parse=compile_parser(operation, takes, registered.ignores),
        parse_document=compile_body(operation, takes) if kind == "document" else None,
        stream=payload if kind == "stream" and payload in takes else None,
        render=compile_renderer(operation),
    )
