"""Answers byte by byte, where botocore would forgive: roots, namespaces, order, escapes, headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.s3.errors import InvalidArgument
from gateway.s3.model import operations
from gateway.s3.render import compile_renderer
from gateway.s3.values import http_date, iso_date

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
OWNER = {"DisplayName": "Me", "ID": "7b"}
OWNER_XML = "<ID>7b</ID><DisplayName>Me</DisplayName>"
MOMENT = 1255369830123  # 2009-10-12T17:50:30.123Z


def render(name: str, result: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    status, headers, body = compile_renderer(operations()[name])(result)
    assert isinstance(body, bytes)
    return status, {key.decode(): value.decode() for key, value in headers}, body.decode()


ROW = {"Key": "a&b", "LastModified": MOMENT, "ETag": '"e"', "Size": 7, "StorageClass": "STANDARD"}
ROW_XML = (
    "<Key>a&amp;b</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>"
    '<ETag>"e"</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass>'
)

GOLDEN: dict[str, tuple[dict[str, Any], str]] = {
    "ListBuckets": (
        {"Buckets": [{"Name": "b", "CreationDate": MOMENT}], "Owner": OWNER, "Prefix": None},
        f"<ListAllMyBucketsResult {XMLNS}><Owner>{OWNER_XML}</Owner><Buckets><Bucket><Name>b</Name>"
        "<CreationDate>2009-10-12T17:50:30.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>",
    ),
    "ListObjects": (
        {"Name": "b", "Marker": "", "Contents": [{**ROW, "Owner": OWNER}], "MaxKeys": 1000, "IsTruncated": False},
        f"<ListBucketResult {XMLNS}><Name>b</Name><Marker></Marker><MaxKeys>1000</MaxKeys><IsTruncated>false"
        f"</IsTruncated><Contents>{ROW_XML}<Owner>{OWNER_XML}</Owner></Contents></ListBucketResult>",
    ),
    "ListObjectsV2": (
        {"Name": "b", "Prefix": "", "KeyCount": 1, "CommonPrefixes": [{"Prefix": "a/"}, {"Prefix": "b/"}]},
        f"<ListBucketResult {XMLNS}><Name>b</Name><Prefix></Prefix><KeyCount>1</KeyCount><CommonPrefixes><Prefix>a/"
        "</Prefix></CommonPrefixes><CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes></ListBucketResult>",
    ),
    "ListObjectVersions": (
        {"Versions": [{"Key": "k", "VersionId": "null", "IsLatest": True}], "DeleteMarkers": [{"Key": "d"}]},
        f"<ListVersionsResult {XMLNS}><Version><Key>k</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>"
        "</Version><DeleteMarker><Key>d</Key></DeleteMarker></ListVersionsResult>",
    ),
    "GetBucketLocation": (
        {"LocationConstraint": "eu-west-1"},
        f"<LocationConstraint {XMLNS}>eu-west-1</LocationConstraint>",
    ),
    "GetBucketVersioning": ({}, f"<VersioningConfiguration {XMLNS}></VersioningConfiguration>"),
    "CopyObject": (
        {"CopyObjectResult": {"ETag": '"e"', "LastModified": MOMENT}},
        f"<CopyObjectResult {XMLNS}><LastModified>2009-10-12T17:50:30.000Z</LastModified>"
        '<ETag>"e"</ETag></CopyObjectResult>',
    ),
    "UploadPartCopy": (
        {"CopyPartResult": {"ETag": '"e"'}},
        f'<CopyPartResult {XMLNS}><ETag>"e"</ETag></CopyPartResult>',
    ),
    "CreateMultipartUpload": (
        {"Bucket": "b", "Key": "k", "UploadId": "u"},
        f"<InitiateMultipartUploadResult {XMLNS}><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>"
        "</InitiateMultipartUploadResult>",
    ),
    "CompleteMultipartUpload": (
        {"ETag": '"e-2"', "Key": "k", "Bucket": "b", "Location": "http://h/b/k"},
        f"<CompleteMultipartUploadResult {XMLNS}><Location>http://h/b/k</Location><Bucket>b</Bucket><Key>k</Key>"
        '<ETag>"e-2"</ETag></CompleteMultipartUploadResult>',
    ),
    "ListParts": (
        {"UploadId": "u", "Parts": [{"PartNumber": 1, "Size": 5}], "Initiator": {"ID": "7b"}, "MaxParts": 1},
        f"<ListPartsResult {XMLNS}><UploadId>u</UploadId><Initiator><ID>7b</ID></Initiator><MaxParts>1</MaxParts><Part>"
        "<PartNumber>1</PartNumber><Size>5</Size></Part></ListPartsResult>",
    ),
    "ListMultipartUploads": (
        {"Bucket": "b", "Uploads": [{"UploadId": "u", "Key": "k"}]},
        f"<ListMultipartUploadsResult {XMLNS}><Bucket>b</Bucket><Upload><Key>k</Key><UploadId>u</UploadId></Upload>"
        "</ListMultipartUploadsResult>",
    ),
    "DeleteObjects": (
        {"Deleted": [{"Key": "k"}], "Errors": [{"Key": "x", "Code": "AccessDenied", "Message": "Access Denied"}]},
        f"<DeleteResult {XMLNS}><Deleted><Key>k</Key></Deleted><Error><Key>x</Key><Code>AccessDenied</Code>"
        "<Message>Access Denied</Message></Error></DeleteResult>",
    ),
    "GetObjectTagging": (
        {"TagSet": [{"Key": "k", "Value": ""}]},
        f"<Tagging {XMLNS}><TagSet><Tag><Key>k</Key><Value></Value></Tag></TagSet></Tagging>",
    ),
    "GetObjectAttributes": (
        {"ETag": "e", "ObjectSize": 3},
        f"<GetObjectAttributesResponse {XMLNS}><ETag>e</ETag><ObjectSize>3</ObjectSize></GetObjectAttributesResponse>",
    ),
    "GetBucketAcl": (
        {
            "Owner": OWNER,
            "Grants": [{"Grantee": {**OWNER, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}],
        },
        f"<AccessControlPolicy {XMLNS}><Owner>{OWNER_XML}</Owner><AccessControlList><Grant><Grantee "
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
        f"{OWNER_XML}</Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>",
    ),
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_documents_are_as_aws_shows_them(name: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html"""
    result, document = GOLDEN[name]
    status, headers, body = render(name, result)
    assert status == 200
    assert body == DECLARATION + document
    assert headers["content-type"] == "application/xml"
    assert headers["content-length"] == str(len(body.encode()))


@pytest.mark.parametrize("count", [1, 3, 4, 50])
def test_rows_render_alike_in_any_number(count: int) -> None:
    _, _, body = render("ListObjects", {"Contents": [ROW] * count})
    assert (
        body == f"{DECLARATION}<ListBucketResult {XMLNS}>{f'<Contents>{ROW_XML}</Contents>' * count}</ListBucketResult>"
    )


def test_rows_that_differ_keep_their_own_members() -> None:
    rows = [{"Key": str(n), **({"Size": n} if n % 2 else {"ETag": "e"})} for n in range(6)]
    rows += [{"Key": "none", "Size": None}]
    _, _, body = render("ListObjects", {"Contents": rows})
    assert body.count("<Size>") == 3
    assert body.count("<ETag>") == 3
    assert "<Contents><Key>none</Key></Contents>" in body


def test_url_encoding_covers_keys_and_nothing_else() -> None:
    key = "a b+c/é%&<\x01*(~).-_"
    encoded = "a%20b%2Bc/%C3%A9%25%26%3C%01%2A%28~%29.-_"
    result = {
        "EncodingType": "url",
        "Prefix": key,
        "Delimiter": "|",
        "Name": "b ",
        "Contents": [{"Key": key, "ETag": '"a b"', "Owner": {"DisplayName": "x y"}}] * 5,
        "CommonPrefixes": [{"Prefix": key}],
        "NextMarker": key,
    }
    _, _, body = render("ListObjects", result)
    assert body.count(f"<Key>{encoded}</Key>") == 5
    assert f"<CommonPrefixes><Prefix>{encoded}</Prefix></CommonPrefixes>" in body
    assert f"<NextMarker>{encoded}</NextMarker>" in body
    assert "<Delimiter>%7C</Delimiter>" in body
    assert "<Name>b </Name>" in body
    assert '<ETag>"a b"</ETag>' in body
    assert "<DisplayName>x y</DisplayName>" in body


def test_only_version_2_encodes_its_own_prefix() -> None:
    result = {"EncodingType": "url", "Prefix": "a b"}
    assert "<Prefix>a b</Prefix>" in render("ListObjects", result)[2]
    assert "<Prefix>a%20b</Prefix>" in render("ListObjectsV2", result)[2]


def test_control_characters_in_a_key_become_references() -> None:
    _, _, body = render("ListObjects", {"Contents": [{"Key": "a\x01\r<"}]})
    assert "<Key>a&#x1;&#xD;&lt;</Key>" in body


@pytest.mark.parametrize(
    "result",
    [
        {"Nonsense": 1},
        {"Contents": [{"Key": "k", "Nonsense": 1}]},
        {"Contents": [{"Key": "k", "Nonsense": 1}] * 9},
        {"Contents": [{"Key": 5}]},
        {"Contents": [{"Owner": {"Nonsense": 1}}]},
        {"MaxKeys": "7"},
    ],
)
def test_results_the_model_lacks_are_refused(result: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        render("ListObjects", result)


class TestObjects:
    """Answers whose body is an object."""

    def test_headers(self) -> None:
        result = {
            "ContentLength": 3,
            "LastModified": MOMENT,
            "ETag": '"e"',
            "ContentType": "text/plain",
            "Metadata": {"Colour": "blue"},
            "DeleteMarker": False,
            "VersionId": None,
            "Expires": "whenever",
            "Body": b"abc",
        }
        status, headers, body = render("GetObject", result)
        assert status == 200
        assert body == "abc"
        assert headers == {
            "content-length": "3",
            "last-modified": "Mon, 12 Oct 2009 17:50:30 GMT",
            "etag": '"e"',
            "content-type": "text/plain",
            "x-amz-meta-colour": "blue",
            "x-amz-delete-marker": "false",
            "expires": "whenever",
        }

    def test_a_range_is_partial_content(self) -> None:
        result = {"ContentRange": "bytes 0-0/3", "ContentLength": 1, "Body": b"a"}
        assert render("GetObject", result)[0] == 206
        assert render("HeadObject", {"ContentRange": "bytes 0-0/3"})[0] == 206

    def test_a_stream_is_handed_on(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"

        stream = chunks()
        _, headers, body = compile_renderer(operations()["GetObject"])({"Body": stream, "ContentLength": 1})
        assert body is stream
        assert headers == [(b"content-length", b"1")]

    def test_head_has_no_body_but_its_length(self) -> None:
        assert render("HeadObject", {"ContentLength": 5}) == (200, {"content-length": "5"}, "")

    def test_nothing_to_say(self) -> None:
        assert render("PutObject", {"ETag": '"e"'}) == (200, {"etag": '"e"', "content-length": "0"}, "")
        assert render("DeleteObject", {}) == (204, {}, "")

    @pytest.mark.parametrize(
        ("value", "wire"),
        [
            ("plain", b"plain"),
            ("a\tb", b"a\tb"),
            ("caf\u00e9 au lait?", b"=?UTF-8?Q?caf=C3=A9_au_lait=3F?="),
            ("日本語", b"=?UTF-8?B?5pel5pys6Kqe?="),
            ("é\r\nx: y", b"=?UTF-8?Q?=C3=A9=0D=0Ax:_y?="),
            ("=?UTF-8?Q?=C3=A9?=", b"=?UTF-8?Q?=C3=A9?="),
        ],
    )
    def test_metadata_beyond_ascii_is_an_encoded_word(self, value: str, wire: bytes) -> None:
        from email.header import decode_header, make_header

        _, headers, _ = compile_renderer(operations()["HeadObject"])({"Metadata": {"a": value}})
        assert headers == [(b"x-amz-meta-a", wire)]
        if not value.isascii() and "\n" not in value:
            assert str(make_header(decode_header(wire.decode()))) == value

    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\x00b", "\x7f"])
    def test_no_value_splits_an_answer(self, value: str) -> None:
        with pytest.raises(InvalidArgument):
            render("GetObject", {"ContentDisposition": value})
        # Metadata of a form may hold lines; AWS sends them as one word.
        _, headers, _ = render("GetObject", {"Metadata": {"a": value}})
        assert headers["x-amz-meta-a"].startswith("=?UTF-8?")
        assert value not in headers["x-amz-meta-a"]

    def test_other_headers_beyond_ascii_are_utf8(self) -> None:
        _, headers, _ = compile_renderer(operations()["HeadObject"])({"ContentDisposition": "attachment; é"})
        assert headers == [(b"content-disposition", "attachment; é".encode())]


def test_a_policy_is_sent_as_it_is() -> None:
    status, headers, body = render("GetBucketPolicy", {"Policy": '{"a": "<é>"}'})
    assert (status, body) == (200, '{"a": "<é>"}')
    assert headers == {"content-type": "application/json", "content-length": "13"}


@pytest.mark.parametrize("when", [MOMENT, datetime(2009, 10, 12, 17, 50, 30, 123_456, tzinfo=UTC)])
def test_times_come_as_milliseconds_or_datetimes(when: int | datetime) -> None:
    assert iso_date(when) == "2009-10-12T17:50:30.123Z"
    assert http_date(when) == b"Mon, 12 Oct 2009 17:50:30 GMT"
    _, _, body = render("ListObjects", {"Contents": [{"LastModified": when}] * 5})
    # Those of listings are whole seconds, as those of headers.
    assert body.count("2009-10-12T17:50:30.000Z") == 5


def test_times_before_the_epoch() -> None:
    assert iso_date(-1) == "1969-12-31T23:59:59.999Z"
    assert http_date(-1) == b"Wed, 31 Dec 1969 23:59:59 GMT"
