"""What SigV4 signs of a request, from its raw bytes.

S3 decodes the path and the query once and encodes what it got in one way: unreserved characters stand for themselves,
``/`` stays in the path, all else is ``%XX``. So a client may send ``~`` or ``%7E``; neither ``//`` nor ``..`` are
touched. A ``+`` in a query is a space, as in forms; in a path it is itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from operator import itemgetter
from urllib.parse import quote_from_bytes, unquote_to_bytes

from gateway.auth.errors import InvalidURI

_PLAIN_PATH = re.compile(rb"[A-Za-z0-9\-._~/]*").fullmatch
_PLAIN = re.compile(rb"[A-Za-z0-9\-._~]*").fullmatch
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})").search


def canonical_path(raw: bytes) -> bytes:
    """The path as it is signed. Raises InvalidURI on a broken escape."""
    if _PLAIN_PATH(raw):
        return raw or b"/"
    return quote_from_bytes(_decode(raw), safe="/").encode()


def parse_query(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of a query, decoded once, in the order sent. Raises InvalidURI on a broken escape.

    Whoever acts on a query must read it like this too, or it acts on something else than what was signed.
    """
    pairs = []
    for item in raw.split(b"&"):
        if item:
            name, _, value = item.partition(b"=")
            pairs.append((_decode(name, plus=True), _decode(value, plus=True)))
    return pairs


def canonical_query(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    encoded = sorted([(_encode(name), _encode(value)) for name, value in pairs])
    return b"&".join([name + b"=" + value for name, value in encoded])


def merge_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name; the values of one sent several times are joined by commas."""
    merged: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in merged:
            value = _fold(merged[name]) + b"," + _fold(value)
        merged[name] = value
    return merged


_IDLE = frozenset(
    {
        *(b"authorization", b"accept", b"accept-encoding", b"amz-sdk-invocation-id", b"amz-sdk-request", b"connection"),
        *(b"content-length", b"content-md5", b"content-type", b"expect", b"range", b"user-agent"),
    }
)
"""Headers that clients send often, and that need not be signed: neither ``host`` nor any ``x-amz-*``."""


class Layout:
    """What SignedHeaders says, taken apart: a canonical request that waits for its values.

    Clients sign the same few headers over and over, so this is made once for all their requests (``layout``).
    """

    __slots__ = ("_covers", "_form", "_sent", "names", "signs_host")

    def __init__(self, signed: bytes) -> None:
        names = signed.split(b";")
        self.names = frozenset(names)
        self.signs_host = b"host" in self.names
        self._covers = self.names | _IDLE
        self._sent = itemgetter(*names, names[0])  # of one name alone, it would give no tuple
        # One line for each header and one that ends them, then what was signed.
        lines = (*[_literal(name) + b":%b" for name in names], b"", _literal(signed))
        self._form = b"%b\n%b\n%b\n" + b"\n".join(lines) + b"\n%b"

    def unsigned(self, fields: Mapping[bytes, bytes]) -> list[bytes]:
        """The headers that act and are not among the signed ones: ``host`` and every ``x-amz-*``."""
        if self.signs_host and self._covers.issuperset(fields):
            return []
        names, found = self.names, []
        for name in fields:
            if name not in names and (name[:6] == b"x-amz-" or name == b"host"):
                found.append(name)
        return found if self.signs_host or b"host" in fields else [b"host", *found]

    def request(self, method: bytes, path: bytes, query: bytes, fields: Mapping[bytes, bytes], content: bytes) -> bytes:
        """The canonical request. A signed header that was not sent is as one without a value."""
        try:
            values = self._sent(fields)[:-1]
        except KeyError:
            values = self._sent(_Lenient(fields))[:-1]
        spaced = b" %b " % b" ".join(values)
        if b"  " in spaced or b"\t" in spaced:
            values = tuple([_fold(value) for value in values])
        return self._form % (method, path, query, *values, content)


class _Lenient(dict[bytes, bytes]):
    def __missing__(self, name: bytes) -> bytes:
        return b""


LONGEST_KEPT = 1024
"""Bytes of a value of SignedHeaders up to which what is made of it is kept; anybody may send one as long as a head."""

_kept = functools.lru_cache(maxsize=256)(Layout)


def layout(signed: bytes) -> Layout:
    """The layout of a value of SignedHeaders."""
    return _kept(signed) if len(signed) <= LONGEST_KEPT else Layout(signed)


def _literal(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _decode(raw: bytes, plus: bool = False) -> bytes:
    if plus and b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" not in raw:
        return raw
    if _BAD_ESCAPE(raw):
        raise InvalidURI
    return unquote_to_bytes(raw)


def _encode(text: bytes) -> bytes:
    return text if _PLAIN(text) else quote_from_bytes(text, safe="").encode()


def _fold(value: bytes) -> bytes:
    if b"  " in value or b"\t" in value:
        return b" ".join(value.split())
    return value.strip()
