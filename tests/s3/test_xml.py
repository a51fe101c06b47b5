"""Hostile and odd documents: MalformedXML or the right value, never anything else."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as standard_escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.s3.model import operations
from gateway.s3.xml import MAX_OTHER, MAX_TAGS, XMLError, compile_document, escape

S3 = "http://s3.amazonaws.com/doc/2006-03-01/"


def read(name: str, document: str | bytes) -> Any:
    return compile_document(operations()[name])(document if isinstance(document, bytes) else document.encode())


def delete(inside: str, root: str = "Delete") -> Any:
    return read("DeleteObjects", f"<{root}>{inside}</{root}>")


KEY = "<Object><Key>k</Key></Object>"
EXPECTED = {"Objects": [{"Key": "k"}]}


@pytest.mark.parametrize(
    "document",
    [
        f"<Delete>{KEY}</Delete>",
        f'<Delete xmlns="{S3}">{KEY}</Delete>',
        f'<Delete xmlns="http://example.com/other">{KEY}</Delete>',
        f'<s3:Delete xmlns:s3="{S3}"><s3:Object><s3:Key>k</s3:Key></s3:Object></s3:Delete>',
        f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- hello --><Delete>\n  {KEY}\n</Delete>\n',
        f"<Delete><New><Key>x</Key></New>{KEY}<Other/></Delete>",
        "<Delete><Object><Key><![CDATA[k]]></Key><Unknown>1</Unknown></Object></Delete>",
        "<Delete><Object><Key>k<!-- not text --></Key></Object></Delete>",
        "<Delete><?pi x?><Object><Key>k</Key></Object></Delete>",
    ],
)
def test_any_namespace_and_unknown_elements_are_taken(document: str) -> None:
    assert read("DeleteObjects", document) == EXPECTED


@pytest.mark.parametrize(
    "document",
    [
        "",
        "   ",
        "not xml",
        "{}",
        "<Delete>",
        f"<Delete>{KEY}</Delete><Delete/>",
        f"<delete>{KEY}</delete>",
        f"<Remove>{KEY}</Remove>",
        "<Delete/>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a<b>c</b></Key></Object></Delete>",
        f"<Delete>{KEY}<Quiet>maybe</Quiet></Delete>",
        "<Delete><Object><Key>k</Key><Size>1_0</Size></Object></Delete>",
        "<Delete><Object><Key>k</Key><Size>99999999999999999999</Size></Object></Delete>",
        "<Delete><Object><Key>k</Key><LastModifiedTime>soon</LastModifiedTime></Object></Delete>",
        "<Delete><Object><Key>&undefined;</Key></Object></Delete>",
        "<Delete><Object><Key>\x01</Key></Object></Delete>",
        "<Delete><Object><Key>&#1;</Key></Object></Delete>",
        f"<!DOCTYPE Delete><Delete>{KEY}</Delete>",
        f'<!DOCTYPE Delete SYSTEM "http://127.0.0.1:1/x.dtd"><Delete>{KEY}</Delete>',
        '<!DOCTYPE d [<!ENTITY k "k">]><Delete><Object><Key>&k;</Key></Object></Delete>',
        '<!DOCTYPE d [<!ENTITY k SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&k;</Key></Object></Delete>',
        '<!DOCTYPE d [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><Delete><Object><Key>k</Key></Object></Delete>',
    ],
)
def test_what_is_not_the_document_is_refused(document: str) -> None:
    with pytest.raises(XMLError):
        read("DeleteObjects", document)


def test_a_billion_laughs_are_refused() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    with pytest.raises(XMLError):
        read("DeleteObjects", f"<!DOCTYPE d [{entities}]><Delete a='&a11;'><Object><Key>&a11;</Key></Object></Delete>")


def test_an_entity_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    document = f'<!DOCTYPE d [<!ENTITY k SYSTEM "{secret.as_uri()}">]><Delete><Object><Key>&k;</Key></Object></Delete>'
    with pytest.raises(XMLError) as caught:
        read("DeleteObjects", document)
    assert "secret" not in str(caught.value).replace(str(secret), "")


def test_depth_is_bounded() -> None:
    with pytest.raises(XMLError):
        delete("<a>" * 300 + "</a>" * 300)
    with pytest.raises(XMLError):
        delete("<a>" * 200_000)


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16"])
def test_declared_encodings_are_read(encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?><Delete><Object><Key>é</Key></Object></Delete>'
    assert read("DeleteObjects", document.encode(encoding)) == {"Objects": [{"Key": "é"}]}


def test_bytes_that_are_not_their_encoding_are_refused() -> None:
    with pytest.raises(XMLError):
        read("DeleteObjects", b"<Delete><Object><Key>\xe9</Key></Object></Delete>")
    with pytest.raises(XMLError):
        read("DeleteObjects", '<?xml version="1.0" encoding="made-up"?><Delete/>')


def test_text_is_taken_as_it_stands() -> None:
    assert delete("<Object><Key> a\tb \n&amp;&#x20AC;</Key></Object>") == {"Objects": [{"Key": " a\tb \n&€"}]}
    assert read("PutObjectTagging", "<Tagging><TagSet><Tag><Key>k</Key><Value/></Tag></TagSet></Tagging>") == {
        "TagSet": [{"Key": "k", "Value": ""}]
    }
    assert read("PutObjectTagging", "<Tagging><TagSet/></Tagging>") == {"TagSet": []}


def test_scalars() -> None:
    inside = (
        "<Object><Key>k</Key><Size> 12 </Size><LastModifiedTime>2024-02-29T12:00:00.5Z</LastModifiedTime></Object>"
        "<Quiet>TRUE</Quiet>"
    )
    when = datetime(2024, 2, 29, 12, 0, 0, 500_000, tzinfo=UTC)
    assert delete(inside) == {"Objects": [{"Key": "k", "Size": 12, "LastModifiedTime": when}], "Quiet": True}


def test_attributes_are_read() -> None:
    grant = (
        '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>1</ID>'
        "</Grantee><Permission>READ</Permission></Grant>"
    )
    document = f"<AccessControlPolicy><AccessControlList>{grant}</AccessControlList></AccessControlPolicy>"
    expected = {"Grants": [{"Grantee": {"ID": "1", "Type": "CanonicalUser"}, "Permission": "READ"}]}
    assert read("PutBucketAcl", document) == expected


@given(st.text())
def test_escaped_text_parses_back(text: str) -> None:
    escaped = escape(text)
    if all(character in "\t\n" or character >= " " for character in text) and "\ufffd" not in escaped:
        assert etree.fromstring(f"<a>{escaped}</a>".encode()).text == (text or None)
    if text.isprintable():
        assert escaped == standard_escape(text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d\"e'f"),
        ("a\rb\tc\nd", "a&#xD;b\tc\nd"),
        ("\x01\x1f", "&#x1;&#x1F;"),
        ("\x00\ufffe\uffff\ud800", "\ufffd\ufffd\ufffd\ufffd"),
        ("é€😀", "é€😀"),
    ],
)
def test_escapes(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@pytest.mark.parametrize(
    "document",
    [
        b"<Delete>" + b"<a/>" * MAX_TAGS + b"</Delete>",
        b"\xef\xbb\xbf\n<!-- ? --><?a b?><!DOCTYPE Delete [" + b'<!ENTITY e "x">' * 1000 + b"]><Delete/>",
        ("<Delete>" + "<a/>" * MAX_OTHER + "</Delete>").encode("utf-16"),
        ("<Delete>" + "<a/>" * MAX_OTHER + "</Delete>").encode("utf-16-le"),
        b'<?xml version="1.0" encoding="UTF-7"?>' + b"+ADw-a/>" * MAX_OTHER,
        b'<?xml version="1.0" encoding = \'ibm037\' standalone="yes"?>' + b" " * MAX_OTHER,
    ],
    ids=["elements", "document type", "utf-16", "utf-16 without mark", "utf-7", "ebcdic"],
)
def test_what_takes_long_to_read_is_refused_unread(document: bytes) -> None:
    before = time.process_time()
    with pytest.raises(XMLError):
        read("DeleteObjects", document)
    assert time.process_time() - before < 0.1


def test_the_longest_documents_there_are_are_read() -> None:
    keys = "".join(f"<Object><Key>{'&quot;' * 1024}</Key><VersionId>{n:032}</VersionId></Object>" for n in range(1000))
    for declaration in (
        "",
        "\ufeff",
        '<?xml version="1.0"?>',
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n",
    ):
        members = read("DeleteObjects", f"{declaration}<Delete>{keys}</Delete>".encode())
        assert len(members["Objects"]) == 1000
    part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"
    read("CompleteMultipartUpload", f"<CompleteMultipartUpload>{part * 10_000}</CompleteMultipartUpload>".encode())


def test_names_that_clients_make_up_are_forgotten() -> None:
    """The parser itself keeps them for as long as its thread lives."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def documents(count: int, mark: str) -> None:
        for number in range(count):
            names = "".join(f"<n{mark}{number}x{each}{'y' * 80}/>" for each in range(40_000))
            delete(names + KEY)

    documents(6, "a")
    before = resident()
    documents(12, "b")
    assert resident() - before < 40 * 2**20
