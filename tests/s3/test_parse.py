"""From raw bytes to arguments: decoded once, strictly, and nothing dropped in silence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    InvalidURI,
    MalformedXML,
    MissingRequestBodyError,
    NotImplemented_,
    S3Error,
)
from gateway.s3.model import operations
from gateway.s3.parse import compile_body, compile_parser, header_map, parse_query, split_path, without_conditions
from gateway.s3.values import parse_integer, parse_time


def parse(name: str, query: str = "", takes: set[str] | None = None, **headers: Any) -> dict[str, Any]:
    """The members of a request on /b/k, for a handler that takes all or the given members."""
    operation = operations()[name]
    members = {member.name for member in operation.inputs} if takes is None else takes
    raw = {
        key.replace("_", "-").encode(): value if isinstance(value, bytes) else value.encode()
        for key, value in headers.items()
    }
    found = compile_parser(operation, frozenset(members))("b", "k", parse_query(query.encode()), raw)
    return {key: value for key, value in found.items() if key not in ("Bucket", "Key")}


@pytest.mark.parametrize(
    ("raw", "bucket", "key"),
    [
        (b"/", "", ""),
        (b"/b", "b", ""),
        (b"/b/", "b", ""),
        (b"/b/k", "b", "k"),
        (b"/b//k/", "b", "/k/"),
        (b"/b/../k/./", "b", "../k/./"),
        (b"/b/a+b", "b", "a+b"),
        (b"/b/a%2Bb%20c%2Fd%25", "b", "a+b c/d%"),
        (b"/b/%252F", "b", "%2F"),
        (b"/b/%C3%A9\xc3\xa9", "b", "éé"),
        (b"/b/%00", "b", "\x00"),
        (b"/b/%2F", "b", "/"),
    ],
)
def test_paths_are_decoded_once_and_not_walked(raw: bytes, bucket: str, key: str) -> None:
    assert split_path(raw) == (bucket, key)


def test_a_bucket_in_the_host_leaves_the_path_to_the_key() -> None:
    assert split_path(b"/", "b") == ("b", "")
    assert split_path(b"/a/b//", "b") == ("b", "a/b//")


@pytest.mark.parametrize(
    "raw", [b"/b/%", b"/b/%4", b"/b/%zz", b"/b/%e9", b"/b/\xe9", b"//k", b"k", b"*", b"", b"/%ff/k"]
)
def test_bad_paths_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidURI):
        split_path(raw)


@given(st.text(min_size=1))
def test_any_key_survives_its_path(key: str) -> None:
    from urllib.parse import quote

    try:
        raw = quote(key).encode()
    except UnicodeEncodeError:
        return
    assert split_path(b"/b/" + raw) == ("b", key)


def test_queries_are_decoded_once() -> None:
    assert parse_query(b"") == {}
    assert parse_query(b"acl") == {"acl": ""}
    assert parse_query(b"&a=1&&b=&c=x=y&") == {"a": "1", "b": "", "c": "x=y"}
    assert parse_query(b"prefix=a+b%2Bc%20%252B%C3%A9") == {"prefix": "a b+c %2Bé"}


@pytest.mark.parametrize("raw", [b"prefix=%", b"prefix=%e9", b"%zz=1", b"a=1&a=1", b"uploadId=x&upload%49d=y"])
def test_bad_queries_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_query(raw)


def test_repeated_headers_are_joined() -> None:
    headers = [(b"a", b"1"), (b"x-amz-meta-a", b"x"), (b"x-amz-meta-a", b"y")]
    assert header_map(headers) == {b"a": b"1", b"x-amz-meta-a": b"x,y"}
    assert parse("PutObject", x_amz_meta_a="x,y") == {"Metadata": {"a": "x,y"}}


def test_metadata_is_text_in_utf8_or_latin1() -> None:
    word = b"=?UTF-8?Q?=C3=A9?="
    members = parse("PutObject", x_amz_meta_u="é€".encode(), x_amz_meta_l=b"\xe9", x_amz_meta_w=word)
    assert members["Metadata"] == {"u": "é€", "l": "é", "w": "é"}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("=?UTF-8?B?w6k=?=", "é"),
        ("=?utf-8?q?a_b=E2=82=AC?=", "a b€"),
        ("=?UTF-8?Q?plain?=", "plain"),
        *[
            (same, same)
            for same in ("=?UTF-8?B?=GGG?=", "=?ISO-8859-1?Q?=E9?=", "=?UTF-8?Q?a=0D=0Ab?=", "=?UTF-8?Q?=E9?=", "x=?=")
        ],
    ],
)
def test_metadata_may_come_as_one_encoded_word(word: str, text: str) -> None:
    assert parse("PutObject", x_amz_meta_w=word)["Metadata"] == {"w": text}


def test_conditions_may_be_signed_in_the_query() -> None:
    query, headers = without_conditions({"If-None-Match": "*", "partNumber": "1"}, {b"host": b"h"})
    assert (query, headers) == ({"partNumber": "1"}, {b"if-none-match": b"*", b"host": b"h"})


@pytest.mark.parametrize("text", ["blah", "-1", "+1", " 1", "1_0", "1.0", "0x1", "\u0663", "2147483648", "9" * 30])
def test_integers_are_plain_digits_in_range(text: str) -> None:
    from urllib.parse import quote

    with pytest.raises(InvalidArgument) as caught:
        parse("ListObjects", f"max-keys={quote(text)}")
    assert caught.value.detail == {"ArgumentName": "max-keys", "ArgumentValue": text}


def test_integers_tell_what_is_wrong_in_the_words_of_aws() -> None:
    with pytest.raises(InvalidArgument, match="Provided max-keys not an integer or within integer range"):
        parse("ListObjects", "max-keys=blah")
    with pytest.raises(InvalidArgument, match="Argument max-keys must be an integer between 0 and 2147483647"):
        parse("ListObjects", "max-keys=-1")
    with pytest.raises(InvalidArgument, match="Argument max-buckets must be an integer between 1 and 10000"):
        parse("ListBuckets", "max-buckets=10001")
    assert parse("ListObjects", "max-keys=") == {}
    assert parse("ListObjects", "max-keys=007") == {"MaxKeys": 7}


@pytest.mark.parametrize("text", ["-5", "5", "0", "-2147483647"])
def test_parse_integer_takes_what_it_should(text: str) -> None:
    assert parse_integer(text, "integer") == int(text)


def test_booleans_and_lists() -> None:
    assert parse("ListObjectsV2", "list-type=2&fetch-owner=True") == {"FetchOwner": True}
    with pytest.raises(InvalidArgument):
        parse("ListObjectsV2", "list-type=2&fetch-owner=1")
    assert parse("GetObjectAttributes", x_amz_object_attributes="ETag, ObjectSize,") == {
        "ObjectAttributes": ["ETag", "ObjectSize"]
    }


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
        "1994-11-06T09:49:37+01:00",
    ],
)
def test_dates_in_every_form(text: str) -> None:
    assert parse_time(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "0", "Sun, 99 Nov 1994 08:49:37 GMT", "0001-01-01T00:00:00+23:00"])
def test_unreadable_dates(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
    assert parse("GetObject", if_modified_since=text) == {}
    with pytest.raises(InvalidArgument):
        parse("DeleteObject", x_amz_if_match_last_modified_time=text)


def test_expires_is_text() -> None:
    assert parse("PutObject", expires="whenever") == {"Expires": "whenever"}
    assert parse("GetObject", "response-expires=never") == {"ResponseExpires": "never"}


class TestSupport:
    """What the handler does not take."""

    def test_a_header_is_refused_by_name(self) -> None:
        with pytest.raises(NotImplemented_) as caught:
            parse("PutObject", takes={"Body"}, x_amz_object_lock_mode="GOVERNANCE")
        assert caught.value.detail == {"Header": "x-amz-object-lock-mode"}

    def test_a_parameter_is_refused_by_name(self) -> None:
        with pytest.raises(NotImplemented_) as caught:
            parse("ListObjects", "marker=x", takes=set())
        assert caught.value.detail == {"Parameter": "marker"}

    def test_metadata_is_refused(self) -> None:
        with pytest.raises(NotImplemented_):
            parse("PutObject", takes={"Body"}, x_amz_meta_a="x")

    def test_a_body_is_refused(self) -> None:
        to_members = compile_body(operations()["CreateBucket"], frozenset())
        assert to_members(b"") == {}
        with pytest.raises(NotImplemented_):
            to_members(b"<CreateBucketConfiguration/>")

    def test_what_is_safe_to_ignore_is_ignored(self) -> None:
        assert parse("GetObject", takes=set(), x_amz_request_payer="requester") == {}
        assert (
            parse("PutObjectTagging", "tagging", takes=set(), content_md5="x", x_amz_sdk_checksum_algorithm="CRC32")
            == {}
        )

    def test_a_handlers_own_list_is_ignored(self) -> None:
        read = compile_parser(operations()["ListObjects"], frozenset(), {"Marker"})
        assert read("b", "", {"marker": "x"}, {}) == {"Bucket": "b"}


@pytest.mark.parametrize(
    ("name", "query", "error"),
    [
        ("UploadPart", "uploadId=u&partNumber=", InvalidArgument),
        ("PutBucketAnalyticsConfiguration", "analytics", InvalidArgument),
        ("GetObjectAttributes", "attributes", InvalidRequest),
        ("CopyObject", "", InvalidRequest),
    ],
)
def test_what_is_required_must_be_there(name: str, query: str, error: type[S3Error]) -> None:
    with pytest.raises(error):
        parse(name, query)


def test_documents() -> None:
    tagging = compile_body(operations()["PutObjectTagging"], frozenset({"Tagging"}))
    with pytest.raises(MissingRequestBodyError):
        tagging(b"")
    with pytest.raises(MalformedXML):
        tagging(b"<Tagging>")
    policy = compile_body(operations()["PutBucketPolicy"], frozenset({"Policy"}))
    assert policy("{é}".encode()) == {"Policy": "{é}"}
    with pytest.raises(S3Error, match="MalformedPolicy"):
        policy(b"\xff")
    select = compile_body(operations()["SelectObjectContent"], frozenset({"Expression"}))
    with pytest.raises(MalformedXML):
        select(b"<SelectObjectContentRequest><Expression>x</Expression></SelectObjectContentRequest>")
