"""Framing of forms: what clients really send, any split of it, and what nobody should send."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests import Request

from gateway.s3.errors import MalformedPOSTRequest
from gateway.s3.forms.framing import MAX_HEADERS, Framing, Part, boundary_of, is_form

Told = list[tuple[str, str | None, bytes]]
"""Name, file name and content of every part."""


def parse(boundary: bytes, pieces: Iterable[bytes]) -> Told:
    framing = Framing(boundary)
    parts: list[tuple[Part, bytearray]] = []
    for piece in pieces:
        for event in framing.feed(piece):
            if isinstance(event, Part):
                parts.append((event, bytearray()))
            else:
                assert event, "no empty bytes are told"
                parts[-1][1].extend(event)
    framing.finish()
    return [(part.name, part.filename, bytes(content)) for part, content in parts]


CHROMIUM_BOUNDARY = b"----WebKitFormBoundaryBkiCmQvnusMwtGZs"
CHROMIUM = (
    b"------WebKitFormBoundaryBkiCmQvnusMwtGZs\r\n"
    b'Content-Disposition: form-data; name="key"\r\n'
    b"\r\n"
    b"user/eric/${filename}\r\n"
    b"------WebKitFormBoundaryBkiCmQvnusMwtGZs\r\n"
    b'Content-Disposition: form-data; name="x-amz-meta-note"\r\n'
    b"\r\n"
    b"two\r\nlines \xe2\x80\x94\r\n"
    b"------WebKitFormBoundaryBkiCmQvnusMwtGZs\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a %22quoted%22 \xc3\xa9.png"\r\n'
    b"Content-Type: image/png\r\n"
    b"\r\n"
    b"\x89PNG\r\n\x1a\n\r\n"
    b"------WebKitFormBoundaryBkiCmQvnusMwtGZs\r\n"
    b'Content-Disposition: form-data; name="submit"\r\n'
    b"\r\n"
    b"Upload\r\n"
    b"------WebKitFormBoundaryBkiCmQvnusMwtGZs--\r\n"
)
"""What Chromium 156 sent for an input, a text area of two lines, a file (its name quoted and accented) and a button."""
CHROMIUM_TOLD: Told = [
    ("key", None, b"user/eric/${filename}"),
    ("x-amz-meta-note", None, b"two\r\nlines \xe2\x80\x94"),
    ("file", "a %22quoted%22 \u00e9.png", b"\x89PNG\r\n\x1a\n"),
    ("submit", None, b"Upload"),
]


def test_what_chromium_sends() -> None:
    assert parse(CHROMIUM_BOUNDARY, [CHROMIUM]) == CHROMIUM_TOLD


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_what_chromium_sends_in_pieces(size: int) -> None:
    pieces = [CHROMIUM[at : at + size] for at in range(0, len(CHROMIUM), size)]
    assert parse(CHROMIUM_BOUNDARY, pieces) == CHROMIUM_TOLD


def test_what_requests_sends() -> None:
    prepared = Request("POST", "http://h/b", data={"key": "k"}, files={"file": ("a.txt", b"bar")}).prepare()
    assert isinstance(prepared.body, bytes)
    content_type = prepared.headers["Content-Type"].encode()
    assert is_form(content_type)
    assert parse(boundary_of(content_type), [prepared.body]) == [("key", None, b"k"), ("file", "a.txt", b"bar")]


BOUNDARY = b"b\xc3-=x"
text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1, max_size=12)
content = st.one_of(
    st.binary(max_size=60),
    # What nearly is a delimiter is what a decoder trips over.
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"\r\n--", b"\r\n--b", BOUNDARY[:-1], b"\r\r\n-", b"a"]))
    .map(b"".join)
    .filter(lambda value: b"\r\n--" + BOUNDARY not in b"\r\n" + value),
)
forms = st.lists(st.tuples(text, st.none() | text, content), min_size=1, max_size=5)


def written(form: Told, preamble: bytes, padding: bytes, epilogue: bytes) -> bytes:
    wire = preamble
    for name, filename, value in form:
        wire += b"--" + BOUNDARY + padding + b'\r\nContent-Disposition: form-data; name="' + name.encode() + b'"'
        wire += b'; filename="' + filename.encode() + b'"' if filename is not None else b""
        wire += b"\r\n\r\n" + value + b"\r\n"
    return wire + b"--" + BOUNDARY + b"--" + epilogue


@given(
    form=forms,
    preamble=st.sampled_from([b"", b"\r\n", b"ignore me\r\n", b"--b\r\n"]),
    padding=st.sampled_from([b"", b" ", b"\t "]),
    epilogue=st.sampled_from([b"", b"\r\n", b"\r\n--" + BOUNDARY + b"\r\nwhat follows is nobody's"]),
    cuts=st.lists(st.integers(0, 600)),
)
@settings(deadline=None)
def test_any_split_tells_the_same(
    form: Told, preamble: bytes, padding: bytes, epilogue: bytes, cuts: list[int]
) -> None:
    wire = written(form, preamble, padding, epilogue)
    edges = [0, *sorted(cuts), len(wire)]
    pieces = [wire[start:stop] for start, stop in itertools.pairwise(edges)]
    assert parse(BOUNDARY, pieces) == form


@given(form=forms, data=st.data())
@settings(deadline=None)
def test_no_beginning_is_taken_for_the_whole(form: Told, data: st.DataObject) -> None:
    wire = written(form, b"", b"", b"")
    stop = data.draw(st.integers(0, len(wire) - 1))
    with pytest.raises(MalformedPOSTRequest):
        parse(BOUNDARY, [wire[:stop]])


@given(
    junk=st.binary(max_size=300).filter(lambda junk: not junk.startswith(b"--")),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
@settings(deadline=None)
def test_junk_is_refused_and_nothing_worse(junk: bytes, cuts: list[int]) -> None:
    wire = b"--" + BOUNDARY + junk
    edges = [0, *sorted(cuts), len(wire)]
    with pytest.raises(MalformedPOSTRequest):
        parse(BOUNDARY, [wire[start:stop] for start, stop in itertools.pairwise(edges)])


def part(headers: bytes, value: bytes = b"v") -> bytes:
    return b"--b\r\n" + headers + b"\r\n\r\n" + value + b"\r\n--b--\r\n"


DISPOSITIONS = {
    b'Content-Disposition: form-data; name="a"': ("a", None),
    b'CONTENT-DISPOSITION:form-data;name="a";filename=""': ("a", ""),
    b"Content-Disposition: form-data; name=a; filename=b.txt": ("a", "b.txt"),
    b'Content-Disposition: form-data; filename="b"; name="a"': ("a", "b"),
    b'Content-Disposition: form-data; name="a"; filename="C:\\Docs\\b.txt"': ("a", "C:\\Docs\\b.txt"),
    b'Content-Disposition: form-data; name="a"; filename="say \\"b\\".txt"': ("a", 'say "b".txt'),
    b'Content-Disposition: form-data; name="a"; filename="C:\\Docs\\"': ("a", "C:\\Docs\\"),
    b'Content-Disposition: form-data; name="a;b"; filename="c; name=d"': ("a;b", "c; name=d"),
    b"Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''b": ("a", None),
    b'Content-Type: text/plain\r\nContent-Disposition: form-data; name="a"\r\nX: y': ("a", None),
    b'Content-Disposition: form-data; name="a";': ("a", None),
}


@pytest.mark.parametrize("headers", DISPOSITIONS)
def test_names_as_clients_write_them(headers: bytes) -> None:
    assert parse(b"b", [part(headers)]) == [(*DISPOSITIONS[headers], b"v")]


MALFORMED = {
    "no-name": part(b"Content-Disposition: form-data"),
    "empty-name": part(b'Content-Disposition: form-data; name=""'),
    "no-disposition": part(b"Content-Type: text/plain"),
    "other-disposition": part(b'Content-Disposition: file; name="file"'),
    "two-dispositions": part(b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"'),
    "two-names": part(b'Content-Disposition: form-data; name="a"; name="b"'),
    "open-quote": part(b'Content-Disposition: form-data; name="a'),
    "no-parameter": part(b"Content-Disposition: form-data; nonsense"),
    "not-utf-8": part(b'Content-Disposition: form-data; name="\xff"'),
    "folded": part(b'Content-Disposition: form-data;\r\n name="a"'),
    "bare-lf": part(b'Content-Disposition: form-data; name="a"\nX: y'),
    "bare-cr": part(b'Content-Disposition: form-data; name="a"\rX: y'),
    "no-colon": part(b'nonsense\r\nContent-Disposition: form-data; name="a"'),
    "no-headers": b"--b\r\n\r\nv\r\n--b--\r\n",
    "no-empty-line": b'--b\r\nContent-Disposition: form-data; name="a"\r\nv\r\n--b--\r\n',
    "headers-without-end": b"--b\r\nX: " + b"y" * MAX_HEADERS + b"\r\n\r\n",
    "longer-boundary": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--bc\r\n--b--\r\n',
    "one-dash": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--b-\r\n',
    "endless-padding": b"--b" + b" " * 1000 + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--b--\r\n',
    "lf-only": b'--b\nContent-Disposition: form-data; name="a"\n\nv\n--b--\n',
    "no-boundary": b"nothing of the kind",
    "empty": b"",
    "other-boundary": part(b'Content-Disposition: form-data; name="a"').replace(b"--b", b"--c"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_is_malformed_is_refused(name: str, size: int) -> None:
    wire = MALFORMED[name]
    with pytest.raises(MalformedPOSTRequest):
        parse(b"b", [wire[at : at + size] for at in range(0, len(wire), size)])


def test_it_holds_back_no_more_than_a_delimiter() -> None:
    framing = Framing(b"boundary")
    framing.feed(b'--boundary\r\nContent-Disposition: form-data; name="file"\r\n\r\n')
    told = sum(len(event) for _ in range(1000) for event in framing.feed(b"\r" * 1024))
    assert 1000 * 1024 - told <= len(b"\r\n--boundary")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data; charset=utf-8; BOUNDARY="a b"', b"a b"),
        (b"multipart/form-data;boundary=----WebKitFormBoundary1; charset=UTF-8", b"----WebKitFormBoundary1"),
        (b"multipart/form-data", None),
        (b"multipart/form-data; boundary=", None),
        (b'multipart/form-data; boundary=""', None),
        (b"multipart/form-data; boundary=" + b"x" * 300, None),
        (b"multipart/form-data; xboundary=a", None),
    ],
)
def test_boundaries(content_type: bytes, boundary: bytes | None) -> None:
    assert is_form(content_type)
    if boundary is not None:
        assert boundary_of(content_type) == boundary
    else:
        with pytest.raises(MalformedPOSTRequest):
            boundary_of(content_type)


@pytest.mark.parametrize("content_type", [b"", b"text/html", b"multipart/mixed; boundary=a", b"multipart/form-datax"])
def test_what_is_no_form(content_type: bytes) -> None:
    assert not is_form(content_type)
