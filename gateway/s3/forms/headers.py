"""What the fields of a form are as headers of the PutObject that it means.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from gateway.s3.errors import InvalidArgument, InvalidRequest, MalformedXML, NotImplemented_
from gateway.s3.forms.fields import Form
from gateway.s3.model import operations
from gateway.s3.parse import literal_metadata
from gateway.s3.xml import XMLError, compile_document

_REST = frozenset(
    {
        *("cache-control", "content-disposition", "content-encoding", "content-language", "content-md5"),
        *("content-type", "expires"),
    }
)
"""Fields that are headers of the same name; so are those that begin with x-amz-."""
_RENAMED = {"acl": "x-amz-acl", "x-amz-checksum-algorithm": "x-amz-sdk-checksum-algorithm"}
_ABOUT_THE_FORM = frozenset(
    {
        *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"),
        *("x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer"),
    }
)
"""What tells of a signature, or of a body's framing, is none of the object's."""
_CONDITIONS = frozenset({"if-match", "if-none-match"})
"""POST object has none, and a guard must not be dropped."""
_OF_COPIES = ("x-amz-copy-source", "x-amz-metadata-directive", "x-amz-tagging-directive")
"""How headers begin that only a copy has. A form makes none, and no bucket policy may take it for one."""
_METADATA = "x-amz-meta-"

_OF_THE_WHOLE = frozenset(name.encode() for name in _REST - {"content-md5"}) | {b"content-length"}
"""Headers of the request that are about the form, not about the object in it; browsers send their own."""
_HARMLESS = frozenset({b"x-amz-request-payer", b"x-amz-expected-bucket-owner", b"x-amz-user-agent"})
"""Headers of the request that may go with any form: they pay, they refuse, or they do nothing."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search

_read_tagging = compile_document(operations()["PutObjectTagging"])


def object_headers(form: Form, request: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The headers of the PutObject that a form is, and those of its request that still tell something.

    Raises InvalidArgument, InvalidRequest, MalformedXML, NotImplemented.
    """
    headers: dict[bytes, bytes] = {}
    for name, (sent, value) in form.sent.items():
        if name in _CONDITIONS or name.startswith(_OF_COPIES):
            raise NotImplemented_(Header=sent)
        header = _RENAMED.get(name, name)
        if (header in _REST or header.startswith("x-amz-")) and header not in _ABOUT_THE_FORM:
            _check_field(header, sent, value)
            is_metadata = header.startswith(_METADATA)
            _set(headers, header.encode(), literal_metadata(value) if is_metadata else value.encode())
    tagging = form.get("tagging")
    if tagging is not None:
        _set(headers, b"x-amz-tagging", _tags(tagging).encode())
    for line, content in request.items():
        _add_from_request(headers, line, content)
    return headers


def _add_from_request(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """A request's own headers are covered by no policy: one that would act may only say what the form says."""
    if name.decode("latin-1") in _CONDITIONS:
        raise NotImplemented_(Header=name.decode())
    if name in _OF_THE_WHOLE:
        return
    acts = name == b"content-md5" or (name.startswith(b"x-amz-") and name not in _HARMLESS)
    if acts and name not in headers:
        raise _conflict()
    _set(headers, name, value)


def _set(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if headers.setdefault(name, value) != value:
        raise _conflict()


def _conflict() -> InvalidRequest:
    return InvalidRequest("Conflicting values provided in HTTP headers and POST form fields.")


def _check_field(header: str, sent: str, value: str) -> None:
    """Raise InvalidArgument for what could not be a header when the object is read: only metadata is encoded then."""
    metadata = header.startswith(_METADATA)
    if not _TOKEN(header) or header == _METADATA or (_CONTROL(value) and not metadata):
        raise InvalidArgument(
            "Header value cannot be represented using ISO-8859-1.", ArgumentName=sent, ArgumentValue=value
        )


def _tags(document: str) -> str:
    """The tags of a field's XML, as a header tells them."""
    try:
        tagging = _read_tagging(document.encode())
    except XMLError as error:
        raise MalformedXML from error
    return urlencode([(tag["Key"], tag.get("Value") or "") for tag in tagging.get("TagSet") or []])
