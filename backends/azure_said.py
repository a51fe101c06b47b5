"""What is said of an object, as Azure's headers have it.

Azure's metadata names are identifiers, S3's may have dashes and more: such a name is written so that it can be read
back, ``a-b`` as ``x_nexus_a_2db``. What Azure has no header for is metadata, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from backends.header_text import from_header, to_header
from backends.native import KeyRefused, NativeAttributes

LONGEST_SAID = 8 * 1024
"""Of all names and values of metadata together."""
HEADERS = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
}
META = "x-ms-meta-"
ESCAPED = "x_nexus_"
EXPIRES = "expires"
"""What S3 keeps in a header and Azure has none for, as a name that no metadata of S3's comes to."""
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_ESCAPE = re.compile(r"_([0-9a-f]{2})")
_RESERVED = "x_nexus__header_"
_VALUE = re.compile(r"[ -~]*")


def check_said(attributes: NativeAttributes) -> None:
    """Raise KeyRefused for what Azure cannot hold."""
    for name in attributes.headers:
        if name != "Expires" and name not in HEADERS:
            raise KeyRefused(f"Azure holds no {name}")
    for name, value in [("ContentType", attributes.content_type), *attributes.headers.items()]:
        if not _VALUE.fullmatch(value) or value != value.strip():
            raise KeyRefused(f"{name} must be printable ASCII in Azure")
    if any(not name for name in attributes.metadata):
        raise KeyRefused("a name of metadata is not empty")
    sent = sent_of(attributes)
    if sum(len(name) - len(META) + len(value) for name, value in sent.items() if name.startswith(META)) > LONGEST_SAID:
        raise KeyRefused(f"metadata in Azure, as it is written there, has at most {LONGEST_SAID} bytes")


def sent_of(attributes: NativeAttributes) -> dict[str, str]:
    """The headers that say it to Azure."""
    sent = {"x-ms-blob-content-type": attributes.content_type}
    for name, value in attributes.headers.items():
        if name == "Expires":
            sent[f"{META}{_RESERVED}{EXPIRES}"] = to_header(value)
        else:
            sent[f"x-ms-blob-{HEADERS[name].lower()}"] = value
    return sent | {META + _written(name): to_header(value) for name, value in attributes.metadata.items()}


def said_of(told: Mapping[str, str]) -> NativeAttributes:
    """What Azure's answer says of an object."""
    plain = {name.lower(): value for name, value in told.items()}
    headers = {name: plain[header.lower()] for name, header in HEADERS.items() if plain.get(header.lower())}
    metadata = {}
    for name, value in plain.items():
        if not name.startswith(META):
            continue
        name = name.removeprefix(META)
        if name == f"{_RESERVED}{EXPIRES}":
            headers["Expires"] = from_header(value)
        else:
            metadata[_read(name)] = from_header(value)
    return NativeAttributes(plain.get("content-type") or NativeAttributes().content_type, headers, metadata)


def _written(name: str) -> str:
    name = name.lower()
    if _IDENTIFIER.fullmatch(name) and not name.startswith(ESCAPED):
        return name
    return ESCAPED + "".join(
        char if char.isascii() and char.isalnum() else "".join(f"_{byte:02x}" for byte in char.encode())
        for char in name
    )


def _read(name: str) -> str:
    """The name that was written; what is not of our writing is left as it is."""
    if not name.startswith(ESCAPED):
        return name
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name.removeprefix(ESCAPED))
    try:
        read = raw.encode("latin-1").decode()
    except ValueError:
        return name
    return read if _written(read) == name else name
