"""botocore as the oracle: arguments and results made from its model, serialised and parsed by its own code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from gateway.s3 import quirks
from gateway.s3.model import operations

SERVICE = ServiceModel(Loader().load_service_model("s3", "service-2"), "s3")
WHEN = datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)
MILLIS = int(WHEN.timestamp()) * 1000
HTTP_DATE = "Thu, 29 Feb 2024 12:34:56 GMT"
NAMES = sorted(operations())
REACHABLE = [name for name in NAMES if name not in quirks.UNREACHABLE and not operations()[name].deprecated]


@dataclass(frozen=True)
class Wire:
    """A request as a server sees it."""

    method: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def operation_model(name: str) -> OperationModel:
    return SERVICE.operation_model(name)


def sample(
    shape: Shape, name: str = "", *, only_required: bool = False, when: Any = WHEN, in_header: bool = False
) -> Any:
    """A value of a shape, with every member or only the required ones; text tries the escapes where it may."""

    def inner(member: Shape, label: str) -> Any:
        header = in_header or member.serialization.get("location") in ("header", "headers")
        return sample(member, label, only_required=only_required, when=when, in_header=header)

    match shape.type_name:
        case "structure":
            wanted = shape.required_members if only_required and not shape.is_tagged_union else shape.members
            return {key: inner(member, key) for key, member in shape.members.items() if key in wanted}
        case "list":
            return [inner(shape.member, name), inner(shape.member, name)]
        case "map":
            return {"colour": "blue", "mtime": "1.5"}
        case "integer" | "long":
            return max(7, shape.metadata.get("min", 0))
        case "boolean":
            return True
        case "timestamp":
            return HTTP_DATE if name in quirks.TEXT_TIMESTAMPS else when
        case "blob":
            return b"bytes"
    if shape.enum:
        return shape.enum[0]
    if shape.metadata.get("pattern") or shape.metadata.get("min"):
        return "x" * max(8, shape.metadata.get("min", 0))
    return f"{name} 1+1=2" if in_header else f"{name} <&>\"' \u00e9\u20ac/+%20"


def serialise(name: str, arguments: dict[str, Any]) -> Wire:
    """What botocore sends for a call, but for what signing adds."""
    model = operation_model(name)
    request = create_serializer("rest-xml").serialize_to_request(arguments, model)
    prepare_request_dict(request, "http://s3.test")
    prepared = create_request_object(request).prepare()
    url = urlsplit(prepared.url)
    headers = [
        (key.lower().encode(), value if isinstance(value, bytes) else str(value).encode())
        for key, value in prepared.headers.items()
    ]
    body = prepared.body or b""
    return Wire(
        prepared.method,
        url.path.encode(),
        url.query.encode(),
        headers,
        body if isinstance(body, bytes) else body.read(),
    )


def parse(name: str, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    """What botocore reads from an answer, without the response metadata."""
    response = {
        "status_code": status,
        "headers": HeadersDict({key.decode(): value.decode() for key, value in headers}),
        "body": body,
    }
    parsed: dict[str, Any] = create_parser("rest-xml").parse(response, operation_model(name).output_shape)
    parsed.pop("ResponseMetadata")
    return parsed
