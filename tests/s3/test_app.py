"""The door as a whole, with a real verifier and handlers of the test's own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from gateway.auth.sigv4 import Credential, Verifier
from gateway.errors import BackendNotFound, BucketNotFound, ContentUnavailable, NotModified, ObjectNotFound
from gateway.s3.app import S3Door
from gateway.s3.call import Answer, Call
from gateway.s3.operations.registry import Registry, operation_name
from gateway.s3.sending import LINGER_BYTES
from gateway.types import Bucket, Principal
from tests.s3.inprocess import Exchange, connect, play

ACCESS_KEY, SECRET = "A" * 20, "secret"
PRINCIPAL = Principal("alice", "Alice", "7b" * 32, "default", False, ACCESS_KEY)
SEEN: dict[str, Any] = {}
registry = Registry()


async def find(access_key: str) -> Credential | None:
    return Credential(SECRET, PRINCIPAL) if access_key == ACCESS_KEY else None


async def chunks(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    try:
        for part in parts:
            if isinstance(part, Exception):
                raise part
            yield part
    finally:
        SEEN["closed"] = True


@registry.operation
async def get_object(
    call: Call, *, Bucket: str, Key: str, Range: str | None = None, ChecksumMode: str | None = None
) -> Any:
    SEEN.update(Bucket=Bucket, Key=Key, call=call)
    match Key:
        case "missing":
            raise ObjectNotFound(Bucket, Key)
        case "unmounted":
            raise BackendNotFound(f"/{Bucket}/{Key}")
        case "broken":
            raise KeyError("a secret")
        case "damaged":
            raise ContentUnavailable("disk")
        case "unchanged":
            raise NotModified("e", 0)
        case "stream":
            return {"Body": chunks(b"ab", b"cd", b"ef"), "ContentLength": 6}
        case "cut":
            return {"Body": chunks(b"ab", OSError("disk")), "ContentLength": 6}
        case "long":
            return {"Body": chunks(*[b"x"] * 1000), "ContentLength": 1000}
        case "split":
            return {"Body": chunks(b"ab"), "ContentDisposition": "a\r\nb"}
        case "special":
            return Answer({"Body": b""}, status=203, headers=[(b"x-extra", b"1")])
    return {"Body": b"hello", "ContentLength": 5, "ETag": '"e"'}


@registry.operation
async def head_object(call: Call, *, Bucket: str, Key: str) -> dict[str, Any]:
    if Key == "missing":
        raise ObjectNotFound(Bucket, Key)
    return {"ContentLength": 5}


@registry.operation
async def put_object(
    call: Call, *, Bucket: str, Key: str, Body: Any = None, ChecksumAlgorithm: str | None = None, **_: Any
) -> dict[str, Any]:
    if Key != "unread":
        SEEN["body"] = b"".join([chunk async for chunk in Body])
    else:
        raise ObjectNotFound(Bucket, Key)
    return {"ETag": '"e"'}


@registry.operation
async def put_object_tagging(call: Call, *, Bucket: str, Key: str, Tagging: dict[str, Any]) -> dict[str, Any]:
    SEEN["tagging"] = Tagging
    return {}


@registry.operation
async def list_objects_v2(
    call: Call, *, Bucket: str, Prefix: str | None = None, EncodingType: str | None = None
) -> dict[str, Any]:
    SEEN.update(Bucket=Bucket, Prefix=Prefix)
    return {"Name": Bucket, "EncodingType": EncodingType, "Contents": [{"Key": "a b+c/é"}]}


class NoBuckets:
    """As much of the core as the door itself asks for."""

    def __init__(self) -> None:
        self.buckets = self

    def known(self, name: str) -> None:
        return None

    async def find(self, name: str) -> Bucket:
        if name == "broken":
            raise RuntimeError("the catalog is gone")
        if name == "b":
            return Bucket(1, name, "owner", "tenant", 0, "us-east-1")
        raise BucketNotFound(name)


def make_door(**options: Any) -> S3Door:
    return S3Door(cast(Any, NoBuckets()), Verifier(find), registry=registry, **options)


@pytest.fixture
def door() -> S3Door:
    SEEN.clear()
    return make_door()


@pytest.fixture
def s3(door: S3Door) -> BaseClient:
    return connect(door, ACCESS_KEY, SECRET, request_checksum_calculation="when_required")


async def send(
    door: S3Door, method: str, url: str, body: bytes = b"", /, *, host: str = "s3.test", **headers: str
) -> Exchange:
    """A request signed over its whole body; headers by name with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, f"http://{host}{url}", headers=named, data=body)
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET), "s3", "us-east-1").add_auth(request)
    raw = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    raw.append((b"host", host.encode()))
    if body and "content-length" not in named:
        raw.append((b"content-length", str(len(body)).encode()))
    path, _, query = url.partition("?")
    return await play(door, method, path.encode(), query.encode(), raw, [body])


def code(exchange: Exchange) -> str:
    return exchange.body.decode().partition("<Code>")[2].partition("</Code>")[0]


class TestClient:
    """Through an unmodified client."""

    def test_an_object_is_read(self, s3: BaseClient) -> None:
        answer = s3.get_object(Bucket="b", Key="dir//a b+c/é")
        assert answer["Body"].read() == b"hello"
        assert answer["ETag"] == '"e"'
        assert (SEEN["Bucket"], SEEN["Key"]) == ("b", "dir//a b+c/é")
        assert SEEN["call"].principal == PRINCIPAL
        assert len(answer["ResponseMetadata"]["RequestId"]) == 16
        assert answer["ResponseMetadata"]["HostId"]

    def test_a_stream_is_read(self, s3: BaseClient) -> None:
        assert s3.get_object(Bucket="b", Key="stream")["Body"].read() == b"abcdef"
        assert SEEN["closed"]

    def test_an_object_is_written(self, s3: BaseClient) -> None:
        s3.put_object(Bucket="b", Key="k", Body=b"content")
        assert SEEN["body"] == b"content"

    def test_tags_are_parsed(self, s3: BaseClient) -> None:
        tagging = {"TagSet": [{"Key": "a", "Value": "<é>"}]}
        s3.put_object_tagging(Bucket="b", Key="k", Tagging=tagging)
        assert SEEN["tagging"] == tagging

    def test_keys_are_listed(self, s3: BaseClient) -> None:
        assert s3.list_objects_v2(Bucket="b", Prefix="a+b c")["Contents"] == [{"Key": "a b+c/é"}]
        assert SEEN["Prefix"] == "a+b c"

    @pytest.mark.parametrize(
        ("key", "error", "status"),
        [
            ("missing", "NoSuchKey", 404),
            ("unmounted", "NoSuchBackend", 404),
            ("broken", "InternalError", 500),
            ("damaged", "InternalError", 500),
            ("unchanged", "304", 304),
            ("split", "InvalidArgument", 400),
        ],
    )
    def test_errors_keep_their_code(self, s3: BaseClient, key: str, error: str, status: int) -> None:
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket="b", Key=key)
        response = caught.value.response
        assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (error, status)
        assert "a secret" not in str(response)

    def test_a_missing_head_has_no_body(self, s3: BaseClient) -> None:
        with pytest.raises(ClientError) as caught:
            s3.head_object(Bucket="b", Key="missing")
        assert caught.value.response["Error"]["Code"] == "404"

    def test_what_has_no_handler_is_not_implemented(self, s3: BaseClient) -> None:
        with pytest.raises(ClientError, match=r"NotImplemented.*GetBucketWebsite"):
            s3.get_bucket_website(Bucket="b")

    def test_a_member_without_support_is_not_implemented(self, s3: BaseClient) -> None:
        with pytest.raises(ClientError, match="NotImplemented"):
            s3.get_object(Bucket="b", Key="k", IfMatch="x")
        assert "Key" not in SEEN

    def test_strangers_and_forgers_get_nothing(self, door: S3Door) -> None:
        for client, error in (
            (connect(door, "B" * 20, SECRET), "InvalidAccessKeyId"),
            (connect(door, ACCESS_KEY, "wrong"), "SignatureDoesNotMatch"),
            (connect(door, ACCESS_KEY, SECRET, signature_version=UNSIGNED), "AccessDenied"),
        ):
            with pytest.raises(ClientError, match=error):
                client.get_object(Bucket="b", Key="missing")
        assert "Key" not in SEEN


class TestHost:
    @pytest.mark.parametrize(
        ("host", "url", "bucket", "key"),
        [
            ("b.s3.test", "/k/x", "b", "k/x"),
            ("a.b.s3.test:8765", "/k", "a.b", "k"),
            ("s3.test", "/b/k", "b", "k"),
            ("other.test", "/b/k", "b", "k"),
            ("b.localhost", "/k", "b", "k"),
        ],
    )
    async def test_a_bucket_may_be_in_the_host(self, host: str, url: str, bucket: str, key: str) -> None:
        door = make_door(s3_domains=("S3.Test", "localhost"))
        assert (await send(door, "GET", url, host=host)).status == 200
        assert (SEEN["Bucket"], SEEN["Key"]) == (bucket, key)

    async def test_the_root_of_a_bucket_host_is_the_bucket(self) -> None:
        door = make_door(s3_domains=("s3.test",))
        assert (await send(door, "GET", "/?list-type=2", host="b.s3.test")).status == 200
        assert SEEN["Bucket"] == "b"


class TestRequests:
    async def test_bad_escapes_are_a_bad_uri(self, door: S3Door) -> None:
        exchange = await send(door, "GET", "/b/%FF")
        assert (exchange.status, code(exchange)) == (400, "InvalidURI")

    async def test_nothing_is_told_before_the_signature_is_good(self, door: S3Door) -> None:
        for method, path in (("GET", b"/b/%FF"), ("PATCH", b"/b/k"), ("PUT", b"/b/k"), ("POST", b"/")):
            exchange = await play(door, method, path, b"acl&tagging", [(b"host", b"s3.test")])
            assert (exchange.status, code(exchange)) == (403, "AccessDenied")

    async def test_a_preflight_is_refused_as_without_cors(self, door: S3Door) -> None:
        origin = (b"origin", b"https://example.com")
        for path in (b"/b/k", b"/"):
            exchange = await play(door, "OPTIONS", path, headers=[(b"host", b"s3.test"), origin])
            assert (exchange.status, code(exchange)) == (403, "AccessForbidden")
        exchange = await play(door, "OPTIONS", b"/b/%FF", headers=[(b"host", b"s3.test"), origin])
        assert (exchange.status, code(exchange)) == (400, "InvalidURI")
        exchange = await play(door, "OPTIONS", b"/b/k", headers=[(b"host", b"s3.test")])
        assert (exchange.status, code(exchange)) == (400, "BadRequest")

    async def test_a_sub_resource_never_reaches_the_plain_put(self, door: S3Door) -> None:
        exchange = await send(door, "PUT", "/b/k?legal-hold", b"<LegalHold/>")
        assert (exchange.status, code(exchange)) == (501, "NotImplemented")
        assert "body" not in SEEN

    async def test_an_answer_of_ones_own(self, door: S3Door) -> None:
        exchange = await send(door, "GET", "/b/special")
        assert (exchange.status, exchange.headers["x-extra"]) == (203, "1")


TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"


class TestDocuments:
    @pytest.mark.parametrize(
        ("headers", "status", "error"),
        [
            ({"content_md5": "yaF8nLU0eaZ98kbpLAW/Ng=="}, 400, "BadDigest"),
            ({"content_md5": "short"}, 400, "InvalidDigest"),
            ({"x_amz_checksum_crc32": "AAAAAA=="}, 400, "BadDigest"),
            ({"x_amz_checksum_crc32": "x"}, 400, "InvalidRequest"),
            ({"x_amz_checksum_md5": "x"}, 400, "InvalidRequest"),
            ({"x_amz_checksum_md5": "yaF8nLU0eaZ98kbpLAW/Ng=="}, 400, "BadDigest"),
            ({"x_amz_checksum_adler32": "AAAAAA=="}, 501, "NotImplemented"),
            ({}, 400, "InvalidRequest"),
        ],
    )
    async def test_a_digest_must_be_right(self, door: S3Door, headers: dict[str, str], status: int, error: str) -> None:
        exchange = await send(door, "PUT", "/b/k?tagging", TAGGING, **headers)
        assert (exchange.status, code(exchange)) == (status, error)
        assert "tagging" not in SEEN

    async def test_a_right_digest_is_taken(self, door: S3Door) -> None:
        import base64
        import hashlib

        md5 = base64.b64encode(hashlib.md5(TAGGING).digest()).decode()
        assert (await send(door, "PUT", "/b/k?tagging", TAGGING, content_md5=md5)).status == 200
        assert SEEN["tagging"] == {"TagSet": [{"Key": "a", "Value": "b"}]}

    async def test_size_is_bounded(self) -> None:
        door = make_door(max_xml_bytes=50)
        exchange = await send(door, "PUT", "/b/k?tagging", TAGGING, content_md5="x")
        assert (exchange.status, code(exchange)) == (400, "MaxMessageLengthExceeded")
        assert exchange.received == 0

    async def test_a_malformed_document_is_refused(self, door: S3Door) -> None:
        exchange = await send(door, "PUT", "/b/k?tagging", b"<Tagging>", x_amz_checksum_crc32="UMeIxw==")
        assert exchange.status == 400


class TestConnection:
    async def test_a_large_unread_body_closes_it(self, door: S3Door) -> None:
        exchange = await send(door, "PUT", "/b/unread", b"x" * (LINGER_BYTES + 1))
        assert exchange.status == 404
        assert exchange.headers["connection"] == "close"

    async def test_a_small_unread_body_does_not(self, door: S3Door) -> None:
        exchange = await send(door, "PUT", "/b/unread", b"x")
        assert exchange.status == 404
        assert "connection" not in exchange.headers

    async def test_an_expected_body_that_was_not_asked_for_does(self, door: S3Door) -> None:
        exchange = await send(door, "PUT", "/b/unread", b"x", expect="100-continue")
        assert exchange.headers["connection"] == "close"

    async def test_a_large_body_that_was_read_does_not(self, door: S3Door) -> None:
        exchange = await send(door, "PUT", "/b/k", b"x" * (LINGER_BYTES + 1))
        assert exchange.status == 200
        assert "connection" not in exchange.headers

    async def test_a_failing_stream_is_cut_short(self, door: S3Door) -> None:
        with pytest.raises(OSError, match="disk"):
            await send(door, "GET", "/b/cut")
        assert SEEN["closed"]

    async def test_a_client_that_leaves_ends_the_stream(self, door: S3Door) -> None:
        request = AWSRequest("GET", "http://s3.test/b/long")
        S3SigV4Auth(Credentials(ACCESS_KEY, SECRET), "s3", "us-east-1").add_auth(request)
        raw = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
        exchange = await play(door, "GET", b"/b/long", b"", [*raw, (b"host", b"s3.test")], leaves_after=3)
        assert 3 <= len(exchange.chunks) < 10
        assert not exchange.complete
        assert SEEN["closed"]


class TestLog:
    async def test_one_line_per_request(
        self, door: S3Door, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with caplog.at_level(logging.INFO, "nexus.access"):
            exchange = await send(door, "GET", "/b/k?X-Amz-Other=secret")
        door.flush_log()
        (line,) = capsys.readouterr().err.splitlines()
        assert "operation=GetObject user=alice status=200 bytes=5" in line
        assert exchange.headers["x-amz-request-id"] in line
        assert "secret" not in line

    async def test_a_fault_of_ours_is_logged_with_its_request(
        self, door: S3Door, caplog: pytest.LogCaptureFixture
    ) -> None:
        exchange = await send(door, "GET", "/b/broken")
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert exchange.headers["x-amz-request-id"] in record.getMessage()
        assert record.exc_info is not None


class TestRegistry:
    def test_a_member_that_s3_lacks_stops_the_start(self) -> None:
        own = Registry()

        @own.operation
        async def get_object(call: Call, *, Bucket: str, Key: str, Colour: str | None = None) -> dict[str, Any]:
            return {}

        with pytest.raises(TypeError, match="Colour"):
            S3Door(cast(Any, None), Verifier(find), registry=own)

    def test_an_ignored_member_that_s3_lacks_stops_the_start(self) -> None:
        own = Registry()

        @own.operation(ignores={"Colour": "no reason"})
        async def get_object(call: Call, *, Bucket: str, Key: str) -> dict[str, Any]:
            return {}

        with pytest.raises(TypeError, match="Colour"):
            S3Door(cast(Any, None), Verifier(find), registry=own)

    def test_an_operation_that_s3_lacks_stops_the_start(self) -> None:
        own = Registry()

        @own.operation
        async def paint_object(call: Call) -> dict[str, Any]:
            return {}

        with pytest.raises(TypeError, match="PaintObject"):
            S3Door(cast(Any, None), Verifier(find), registry=own)

    def test_an_operation_has_one_handler(self) -> None:
        own = Registry()

        async def head_bucket(call: Call, *, Bucket: str) -> dict[str, Any]:
            return {}

        own.operation(head_bucket)
        with pytest.raises(TypeError, match="two handlers"):
            own.operation(head_bucket)

    def test_every_operation_can_be_named(self) -> None:
        from botocore import xform_name

        from gateway.s3.model import operations

        for name in operations():
            assert operation_name(xform_name(name)) == name
