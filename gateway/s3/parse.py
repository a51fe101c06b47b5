"""A request's bytes into a handler's keyword arguments, by closures compiled per operation at start-up.

Everything is percent-decoded exactly once, here. The invariant: a member the client sent is either given to the
handler, or listed (with a reason) as safe to ignore, or refused by name.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.s3 import quirks
from gateway.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    InvalidURI,
    MalformedPolicy,
    MalformedXML,
    MissingRequestBodyError,
    NotImplemented_,
    S3Error,
)
from gateway.s3.model import Member, Operation
from gateway.s3.values import parse_boolean, parse_integer, parse_time
from gateway.s3.xml import XMLError, compile_document

Headers = Mapping[bytes, bytes]
"""Request headers by lower-case name."""

Parser = Callable[[str, str, Mapping[str, str], Headers], dict[str, Any]]
"""(bucket, key, query, headers) -> keyword arguments, without the body."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_BAD_ESCAPE = re.compile(b"%(?![0-9A-Fa-f]{2})")
_ABSENT = object()
"""What a converter answers for a value that counts as not sent."""


# -- the request line


def unquote(raw: bytes) -> str:
    """Percent-decode once. Raises ValueError for a bad escape and for what is not UTF-8."""
    if b"%" in raw:
        if _BAD_ESCAPE.search(raw):
            raise ValueError("bad percent escape")
        raw = unquote_to_bytes(raw)
    return raw.decode()


def split_copy_source(header: str) -> tuple[str, str, str | None]:
    """Bucket, key and version id of an ``x-amz-copy-source``, decoded once. Raises ValueError for what is not UTF-8.

    A ``+`` in it is a space, other than in a path: AWS finds no key under a ``+`` that was not encoded
    (https://github.com/aws/aws-sdk-js/issues/1821), and clients that encode as forms do rely on it.
    """
    path, mark, version = header.partition("?versionId=")
    text = unquote_to_bytes(path.replace("+", " ")).decode()
    bucket, _, key = text.removeprefix("/").partition("/")
    return bucket, key, version if mark else None


def split_path(raw_path: bytes, bucket: str | None = None) -> tuple[str, str]:
    """Bucket and key of a raw path; ``bucket`` is given when the host name told it. Keys are opaque data.

    Raises InvalidURI.
    """
    if raw_path[:1] != b"/":
        raise InvalidURI(URI=raw_path.decode("latin-1"))
    head, slash, tail = (b"", b"/", raw_path[1:]) if bucket is not None else raw_path[1:].partition(b"/")
    try:
        if b"%" in raw_path:
            name, key = bucket if bucket is not None else unquote(head), unquote(tail)
        else:
            name, key = bucket if bucket is not None else head.decode(), tail.decode()
    except ValueError:
        raise InvalidURI(URI=raw_path.decode("latin-1")) from None
    if not name and slash:
        raise InvalidURI(URI=raw_path.decode("latin-1"))
    return name, key


def parse_query(raw: bytes) -> dict[str, str]:
    """The query string, decoded; ``+`` is a space. Raises InvalidArgument, also for a key given twice."""
    query: dict[str, str] = {}
    if not raw:
        return query
    for item in raw.split(b"&"):
        if not item:
            continue
        name, _, value = item.replace(b"+", b" ").partition(b"=")
        try:
            key, text = unquote(name), unquote(value)
        except ValueError:
            raise InvalidArgument(
                "The query string holds a bad escape, or is not UTF-8",
                ArgumentName=name.decode("latin-1"),
                ArgumentValue=value.decode("latin-1"),
            ) from None
        if key in query:
            # Whoever signed and whoever acts must see one value.
            raise InvalidArgument("A query parameter is given twice", ArgumentName=key, ArgumentValue=text)
        query[key] = text
    return query


def header_map(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name (the server has lower-cased them); repeated ones are joined by commas (RFC 9110, 5.3)."""
    found = dict(headers)
    if len(found) == len(headers):
        return found
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = joined[name] + b"," + value if name in joined else value
    return joined


_SIGNING = frozenset(
    {
        *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders"),
        *("x-amz-signature", "x-amz-security-token", "x-amz-content-sha256"),
    }
)

_UNKNOWN_BODY = re.compile(r"x-amz-(checksum-(crc|sha).*|sdk-checksum-algorithm)").fullmatch


_CONDITIONS = frozenset({"if-match", "if-none-match"})


def without_conditions(query: Mapping[str, str], headers: Headers) -> tuple[dict[str, str], Headers]:
    """The query and the headers of a request that was signed in its query, conditions being headers wherever sent."""
    found = {key.lower().encode(): value.encode() for key, value in query.items() if key.lower() in _CONDITIONS}
    if not found:
        return dict(query), headers
    return {key: value for key, value in query.items() if key.lower() not in _CONDITIONS}, {**found, **headers}


def hoisted(query: Mapping[str, str], headers: Headers) -> Headers:
    """The headers of a request that was signed in its query, with those that its signer put there.

    A header that was sent as such stands. Raises InvalidArgument for what could be no header: it would go back as one
    with the object. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    Checksums are left out, as AWS ignores them there: its SDK for JavaScript makes them of the empty body that it has
    when it signs (https://github.com/localstack/localstack/issues/12169).
    """
    found = {
        name: value.encode()
        for key, value in query.items()
        if (name := key.lower()).startswith("x-amz-") and name not in _SIGNING and not _UNKNOWN_BODY(name)
    }
    for name, value in found.items():
        if not _TOKEN(name) or _CONTROL(value):
            raise InvalidArgument(ArgumentName=name, ArgumentValue=value.decode())
    return {**{name.encode(): value for name, value in found.items()}, **headers} if found else headers


def decode_header(value: bytes) -> str:
    """Header text: UTF-8 where it is that, else Latin-1. RFC 2047 words stay as they are, and go back so."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


_WORD = re.compile(r"=\?utf-8\?(?P<encoding>[bq])\?(?P<text>[!->@-~]*)\?=", re.IGNORECASE)


def decode_metadata(value: bytes) -> str:
    """A metadata value. AWS decodes one RFC 2047 word, and answers with one again where there is need.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
    """
    text = decode_header(value)
    found = _WORD.fullmatch(text) if value.startswith(b"=?") else None
    if found is None:
        return text
    try:
        raw = (
            base64.b64decode(found["text"], validate=True)
            if found["encoding"] in "bB"
            else quopri.decodestring(found["text"], header=True)
        )
        decoded = raw.decode()
    except ValueError:
        return text
    return decoded if decoded.isprintable() else text


def literal_metadata(value: str) -> bytes:
    """A metadata value that ``decode_metadata`` gives back as it is: what a form sends AWS does not decode."""
    if not value.startswith("=?"):
        return value.encode()
    return b"=?UTF-8?B?" + base64.b64encode(value.encode()) + b"?="


# -- members


def compile_parser(operation: Operation, takes: frozenset[str], ignores: Iterable[str] = ()) -> Parser:
    """The parser of an operation whose handler takes the members ``takes``.

    Raises InvalidArgument, InvalidRequest and NotImplemented when called.
    """
    ignored = set(ignores) | set(quirks.IGNORED_MEMBERS)
    if operation.body_kind == "document":
        ignored |= set(quirks.IGNORED_WITH_DOCUMENT)
    from_query: dict[str, tuple[str, Callable[[str], Any]]] = {}
    from_header: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {}
    metadata: str | None = None
    prefix = b"\0"
    for member in operation.inputs:
        if member.name in ignored and member.name not in takes:
            continue
        taken = member.name in takes
        if member.location == "query":
            from_query[member.wire] = member.name, _query_converter(member) if taken else _refuse_query(member)
        elif member.location == "header":
            convert = _header_converter(member) if taken else _refuse_header(member)
            from_header[member.wire.lower().encode()] = member.name, convert
        elif member.location == "headers":
            metadata, prefix = member.name if taken else None, member.wire.lower().encode()
    required = tuple(
        member for member in operation.inputs if member.required and member.location in ("query", "header")
    )
    has_bucket, has_key, cut = operation.level != "service", operation.level == "key", len(prefix)
    takes_metadata, is_of_others = prefix != b"\0", from_header.keys().isdisjoint

    def parse(bucket: str, key: str, query: Mapping[str, str], headers: Headers) -> dict[str, Any]:
        members: dict[str, Any] = {}
        if has_bucket:
            members["Bucket"] = bucket
        if has_key:
            members["Key"] = key
        for wire, text in query.items():
            entry = from_query.get(wire)
            if entry is not None and (value := entry[1](text)) is not _ABSENT:
                members[entry[0]] = value
        pairs: dict[str, str] = {}
        # Most reads bring no header that is a member of theirs: those are not looked at one by one.
        for name, raw in () if is_of_others(headers) and not takes_metadata else headers.items():
            found = from_header.get(name)
            if found is not None:
                if (value := found[1](raw)) is not _ABSENT:
                    members[found[0]] = value
            elif name.startswith(prefix):
                pairs[name[cut:].decode("latin-1")] = decode_metadata(raw)
        if pairs:
            if metadata is None:
                raise NotImplemented_(Header=prefix.decode())
            members[metadata] = pairs
        for member in required:
            if member.name not in members:
                raise _missing(member)
        return members

    return parse


def _missing(member: Member) -> S3Error:
    if member.location == "header":
        return InvalidRequest(f"Missing required header for this request: {member.wire}")
    return InvalidArgument(
        f"This operation requires the query parameter {member.wire}", ArgumentName=member.wire, ArgumentValue=""
    )


def _refuse_query(member: Member) -> Callable[[str], Any]:
    def refuse(text: str) -> Any:
        raise NotImplemented_(
            "A parameter you provided implies functionality that is not implemented", Parameter=member.wire
        )

    return refuse


def _refuse_header(member: Member) -> Callable[[bytes], Any]:
    def refuse(raw: bytes) -> Any:
        raise NotImplemented_(Header=member.wire)

    return refuse


def _query_converter(member: Member) -> Callable[[str], Any]:
    kind = member.shape.kind
    if kind == "string" or member.name in quirks.TEXT_TIMESTAMPS:
        return str
    if kind in ("integer", "long"):
        return _integer_converter(member)
    return _strict(member, parse_boolean if kind == "boolean" else parse_time)


def _header_converter(member: Member) -> Callable[[bytes], Any]:
    shape = member.shape
    if member.wire.lower() in quirks.ANY_CASE:
        return lambda raw: decode_header(raw).upper()
    if shape.kind == "string" or member.name in quirks.TEXT_TIMESTAMPS:
        return decode_header
    if shape.kind == "list":
        return lambda raw: [item.strip() for item in decode_header(raw).split(",") if item.strip()]
    convert: Callable[[str], Any]
    if shape.kind in ("integer", "long"):
        convert = _integer_converter(member)
    elif shape.kind == "boolean":
        convert = _strict(member, parse_boolean)
    elif member.wire.lower() in quirks.LENIENT_DATES:
        convert = _lenient_date
    else:
        convert = _strict(member, parse_time)
    return lambda raw: convert(decode_header(raw))


def _lenient_date(text: str) -> Any:
    try:
        return parse_time(text)
    except ValueError:
        return _ABSENT


def _strict(member: Member, convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return convert(text)
        except ValueError:
            raise InvalidArgument(
                f"The value of {member.wire} is not valid", ArgumentName=member.wire, ArgumentValue=text
            ) from None

    return read


def _integer_converter(member: Member) -> Callable[[str], Any]:
    """Integers within the model's bounds, or from 0; an empty one counts as not sent, as with AWS."""
    shape = member.shape
    least = shape.least or 0
    most = shape.most or (2**31 - 1 if shape.kind == "integer" else 2**63 - 1)

    def read(text: str) -> Any:
        if not text:
            return _ABSENT
        try:
            value = parse_integer(text, shape.kind)
        except ValueError:
            message = f"Provided {member.wire} not an integer or within integer range"
        else:
            if least <= value <= most:
                return value
            message = f"Argument {member.wire} must be an integer between {least} and {most}"
        raise InvalidArgument(
            quirks.INTEGER_WORDS.get(member.wire, message), ArgumentName=member.wire, ArgumentValue=text
        )

    return read


# -- documents


def compile_body(operation: Operation, takes: frozenset[str]) -> Callable[[bytes], dict[str, Any]]:
    """A function from a document to its members; raises MalformedXML, MissingRequestBodyError, NotImplemented."""
    payload = operation.payload
    if payload is None:
        return _compile_members(operation, takes)
    taken = payload.name in takes
    read = compile_document(operation) if operation.input_root is not None else _read_text

    def parse(body: bytes) -> dict[str, Any]:
        if not body:
            if payload.required and operation.input_root is None:
                raise MalformedPolicy  # an empty text is no policy
            if payload.required:
                raise MissingRequestBodyError
            return {}
        if not taken:
            raise NotImplemented_("The body implies functionality that is not implemented", Body=payload.wire)
        try:
            return {payload.name: read(body)}
        except XMLError as error:
            raise MalformedXML from error

    return parse


def _compile_members(operation: Operation, takes: frozenset[str]) -> Callable[[bytes], dict[str, Any]]:
    """Bodies whose root holds the input's own members, one of which nobody may take."""
    read = compile_document(operation)

    def parse(body: bytes) -> dict[str, Any]:
        if not body:
            raise MissingRequestBodyError
        try:
            members: dict[str, Any] = read(body)
        except XMLError as error:
            raise MalformedXML from error
        for name in members:
            if name not in takes:
                raise NotImplemented_("The body implies functionality that is not implemented", Body=name)
        return members

    return parse


def _read_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedPolicy from None
