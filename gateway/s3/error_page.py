"""Errors as websites show them: a page for people, with the same facts as the document of the REST endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from http import HTTPStatus

from gateway.s3.errors import S3Error

_OPEN = "<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n"
_NESTED = "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n"
_CLOSE = "<hr/>\n</body>\n</html>\n"


def error_page(error: S3Error, request_id: str, host_id: str, nested: S3Error | None = None) -> bytes:
    """The page of an error; ``nested`` is why the site's own error document is not shown in its place."""
    title = f"{error.status} {HTTPStatus(error.status).phrase}"
    page = _OPEN.format(title=title) + _list([*_facts(error), ("RequestId", request_id), ("HostId", host_id)])
    if nested is not None:
        page += _NESTED + _list(_facts(nested))
    return (page + _CLOSE).encode("utf-8", "replace")


def error_headers(error: S3Error) -> list[tuple[bytes, bytes]]:
    """The headers that tell of an error, also beside a page of the site's own and to HEAD."""
    facts = [("code", error.code), ("message", error.message)]
    facts += ((f"detail-{name}", value) for name, value in error.detail.items())
    return [
        (f"x-amz-error-{name}".encode(), value.encode())
        for name, value in facts
        if value.isascii() and value.isprintable()
    ]


def _facts(error: S3Error) -> list[tuple[str, str]]:
    return [("Code", error.code), ("Message", error.message), *error.detail.items()]


def _list(facts: Iterable[tuple[str, str]]) -> str:
    return "<ul>\n" + "".join(f"<li>{name}: {escape(value)}</li>\n" for name, value in facts) + "</ul>\n"
