"""What no SDK sends, or not in this way: raw requests on raw sockets. What is refused leaves no trace."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from botocore.client import BaseClient
from lxml import etree

from tests.e2e.harness import Server, keys_of
from tests.e2e.signing import SIGNED, SIGNED_TRAILER, UNSIGNED, UNSIGNED_TRAILER, Raw, Socket, request

BODY = bytes(range(256)) * 300


@pytest.fixture
def raw(server: Server) -> Raw:
    return Raw(server)


def code(body: bytes) -> str:
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


def test_signed_chunks(raw: Raw, s3: BaseClient, bucket: str) -> None:
    for count, chunks in enumerate([[], [BODY], [BODY[:65536], BODY[65536:]]]):
        status, headers, body = raw.chunked(
            f"/{bucket}/{count}", chunks, headers={"content-encoding": "aws-chunked,gzip"}
        )
        assert status == 200, body
        assert headers["etag"] == f'"{hashlib.md5(b"".join(chunks), usedforsecurity=False).hexdigest()}"'
        got = s3.get_object(Bucket=bucket, Key=str(count))
        assert (got["Body"].read(), got["ContentEncoding"]) == (b"".join(chunks), "gzip")


@pytest.mark.parametrize(
    ("payload", "spoil", "expected"),
    [
        (SIGNED, "chunk", "SignatureDoesNotMatch"),
        (SIGNED, "length", "IncompleteBody"),
        (SIGNED_TRAILER, "chunk", "SignatureDoesNotMatch"),
        (SIGNED_TRAILER, "trailer", "SignatureDoesNotMatch"),
        (UNSIGNED_TRAILER, "length", "IncompleteBody"),
        (UNSIGNED_TRAILER, "chunk", "BadDigest"),
    ],
)
def test_spoiled_streams(raw: Raw, s3: BaseClient, bucket: str, payload: str, spoil: str, expected: str) -> None:
    s3.put_object(Bucket=bucket, Key="there", Body=b"before")
    value = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    trailer = ("x-amz-checksum-sha256", value) if "TRAILER" in payload else None
    for key in ("there", "new"):
        status, _, body = raw.chunked(f"/{bucket}/{key}", [BODY], payload=payload, trailer=trailer, spoil=spoil)
        assert (400 <= status < 404, code(body)) == (True, expected), body
    assert keys_of(s3, bucket) == ["there"]
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"before"


def test_a_body_other_than_the_signed_one(raw: Raw, s3: BaseClient, bucket: str) -> None:
    status, _, body = raw.send("PUT", f"/{bucket}/key", body=b"evil", payload=hashlib.sha256(b"good").hexdigest())
    assert (status, code(body)) == (400, "XAmzContentSHA256Mismatch")
    assert keys_of(s3, bucket) == []


def test_old_and_future_requests(raw: Raw, bucket: str) -> None:
    for minutes in (-20, 20):
        when = datetime.now(UTC) + timedelta(minutes=minutes)
        signed = raw.sign("PUT", f"/{bucket}/key", when=when)
        status, _, body = raw.exchange("PUT", f"/{bucket}/key", None, signed.headers, b"x")
        assert (status, code(body)) == (403, "RequestTimeTooSkewed")


def test_header_and_query_at_once(raw: Raw, s3: BaseClient, bucket: str) -> None:
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"})
    query = dict(item.split("=", 1) for item in url.split("?", 1)[1].split("&"))
    query = {name: unquote(value) for name, value in query.items()}
    status, _, body = raw.send("GET", f"/{bucket}/key", query=query)
    assert (status, code(body)) == (400, "InvalidArgument")


def test_an_unsigned_amz_header_is_refused(raw: Raw, s3: BaseClient, bucket: str) -> None:
    """What was not signed must not turn a put into a copy."""
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    signed = raw.sign("PUT", f"/{bucket}/key")
    headers = {**signed.headers, "x-amz-copy-source": f"/{bucket}/secret"}
    status, _, body = raw.exchange("PUT", f"/{bucket}/key", None, headers, b"")
    assert (status, code(body)) == (403, "AccessDenied")
    assert keys_of(s3, bucket) == ["secret"]


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("PUT", {"partNumber": "1"}),
        ("PUT", {"uploadId": "x"}),
        ("PUT", {"nonsense": ""}),
        ("PUT", {"acl": "", "tagging": ""}),
        ("DELETE", {"nonsense": "1"}),
        ("DELETE", {"retention": ""}),
        ("PUT", {"retention": ""}),
        ("PUT", {"legal-hold": ""}),
        ("PUT", {"torrent": ""}),
        ("POST", {}),
    ],
)
def test_a_query_that_is_not_understood_changes_nothing(
    raw: Raw, s3: BaseClient, bucket: str, method: str, query: dict[str, str]
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    status, _, body = raw.send(method, f"/{bucket}/key", query=query, body=b"<Evil/>")
    assert 400 <= status < 600 and status != 500, body
    assert code(body) in ("NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed", "MalformedXML")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"before"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<Delete>",
        b"<Delete></Delete>",
        b"<Other><Object><Key>key</Key></Object></Other>",
        b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
        b'<!DOCTYPE d [<!ENTITY e "key">]><Delete><Object><Key>&e;</Key></Object></Delete>',
        b"<!DOCTYPE d><Delete><Object><Key>key</Key></Object></Delete>",
    ],
)
def test_malformed_xml(raw: Raw, s3: BaseClient, bucket: str, document: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    md5 = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
    status, _, body = raw.send("POST", f"/{bucket}", {"delete": ""}, {"content-md5": md5}, document)
    assert (status, code(body) in ("MalformedXML", "MissingRequestBodyError")) == (400, True), body
    assert keys_of(s3, bucket) == ["key"]


def test_documents_that_need_no_digest(raw: Raw, s3: BaseClient, bucket: str) -> None:
    """s3cmd sends ACLs and policies without Content-MD5, as AWS's documentation does; deletions must have one."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    status, _, acl = raw.send("GET", f"/{bucket}/key", {"acl": ""})
    assert status == 200
    for path in (f"/{bucket}/key", f"/{bucket}"):
        status, _, body = raw.send("PUT", path, {"acl": ""}, body=acl)
        assert status == 200, body
    policy = b'{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "%s"}]}' % (
        f"arn:aws:s3:::{bucket}/secret".encode()
    )
    status, _, body = raw.send("PUT", f"/{bucket}", {"policy": ""}, body=policy)
    assert status == 204, body
    document = b"<Delete><Object><Key>key</Key></Object></Delete>"
    status, _, body = raw.send("POST", f"/{bucket}", {"delete": ""}, body=document)
    assert (status, code(body)) == (400, "InvalidRequest"), body


def test_keys_in_xml_with_control_characters(raw: Raw, s3: BaseClient, bucket: str) -> None:
    """Without encoding-type=url a listing is still XML that parsers take, and no key is lost from it."""
    for key in ("a\x01b", "a&<b>", "a\nb"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    status, _, body = raw.send("GET", f"/{bucket}", {"list-type": "2"})
    assert status == 200
    assert body.count(b"<Key>") == 3
    assert etree.fromstring(body, etree.XMLParser(recover=True)) is not None


def test_continue_is_said_before_the_body(server: Server, raw: Raw, s3: BaseClient, bucket: str) -> None:
    signed = raw.sign("PUT", f"/{bucket}/key")
    with Socket(server) as connection:
        connection.send(
            request("PUT", f"/{bucket}/key", {**signed.headers, "content-length": "4", "expect": "100-continue"})
        )
        assert connection.head().startswith(b"HTTP/1.1 100 ")
        connection.send(b"body")
        assert connection.head().startswith(b"HTTP/1.1 200 ")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"


def test_a_refusal_needs_no_body(server: Server, raw: Raw, s3: BaseClient, bucket: str) -> None:
    """With Expect: 100-continue a wrong signature is answered before a single byte of the body is sent."""
    signed = Raw(server, secret="wrong").sign("PUT", f"/{bucket}/key")
    with Socket(server) as connection:
        headers = {**signed.headers, "content-length": str(10**9), "expect": "100-continue"}
        connection.send(request("PUT", f"/{bucket}/key", headers))
        assert connection.head().startswith(b"HTTP/1.1 403 ")
    signed = raw.sign("PUT", "/no-such-bucket-here/key")
    with Socket(server) as connection:
        headers = {**signed.headers, "content-length": str(10**9), "expect": "100-continue"}
        connection.send(request("PUT", "/no-such-bucket-here/key", headers))
        assert connection.head().startswith(b"HTTP/1.1 404 ")
    assert keys_of(s3, bucket) == []


def test_a_body_cut_short_stores_nothing(server: Server, raw: Raw, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="there", Body=b"before")
    for key in ("there", "new"):
        signed = raw.sign("PUT", f"/{bucket}/{key}")
        with Socket(server) as connection:
            connection.send(request("PUT", f"/{bucket}/{key}", {**signed.headers, "content-length": "100000"}))
            connection.send(b"x" * 50000)
            connection.half_close()
            answer = connection.head()
        assert not answer or answer.startswith(b"HTTP/1.1 400 "), answer
    assert keys_of(s3, bucket) == ["there"]
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"before"


def test_a_put_over_five_gib_is_refused_at_once(server: Server, raw: Raw, s3: BaseClient, bucket: str) -> None:
    signed = raw.sign("PUT", f"/{bucket}/key")
    with Socket(server) as connection:
        headers = {**signed.headers, "content-length": str(5 * 1024**3 + 1), "expect": "100-continue"}
        connection.send(request("PUT", f"/{bucket}/key", headers))
        assert connection.head().startswith(b"HTTP/1.1 400 ")
    assert keys_of(s3, bucket) == []


def test_a_put_without_a_length_is_refused(server: Server, raw: Raw, s3: BaseClient, bucket: str) -> None:
    signed = raw.sign("PUT", f"/{bucket}/key")
    with Socket(server) as connection:
        connection.send(request("PUT", f"/{bucket}/key", signed.headers))
        assert connection.head().startswith(b"HTTP/1.1 411 ")
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize("path", ["/workspace/%", "/workspace/%zz", "/workspace/%ff%fe"])
def test_paths_that_are_no_text(raw: Raw, path: str) -> None:
    status, _, body = raw.send("GET", path)
    assert 400 <= status < 500, body


def test_the_path_is_what_was_sent(raw: Raw, s3: BaseClient, bucket: str) -> None:
    """No dot segment or double slash is resolved by anybody on the way."""
    path = f"/{bucket}/a/../../b//./c%2Bd%25"
    assert raw.send("PUT", path, body=b"dots")[0] == 200
    assert keys_of(s3, bucket) == ["a/../../b//./c+d%"]
    assert raw.send("GET", path)[2] == b"dots"


def test_a_plus_in_a_copy_source_is_a_space(raw: Raw, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b+c", Body=b"source")
    for source in ("a+b%2Bc", "a%20b%2Bc"):
        headers = {"x-amz-copy-source": f"{bucket}/{source}"}
        status, _, body = raw.send("PUT", f"/{bucket}/copy", headers=headers)
        assert status == 200, body
    status, _, body = raw.send("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": f"{bucket}/a%20b+c"})
    assert (status, code(body)) == (404, "NoSuchKey")


def test_two_requests_on_one_connection(server: Server, raw: Raw, bucket: str) -> None:
    """After a refusal the connection is closed or in step: a body is never read as the next request."""
    signed = Raw(server, secret="wrong").sign("PUT", f"/{bucket}/key")
    smuggled = request("DELETE", f"/{bucket}", raw.sign("DELETE", f"/{bucket}").headers)
    with Socket(server) as connection:
        connection.send(
            request("PUT", f"/{bucket}/key", {**signed.headers, "content-length": str(len(smuggled))}) + smuggled
        )
        assert connection.head().startswith(b"HTTP/1.1 403 ")
    assert raw.send("HEAD", f"/{bucket}")[0] == 200


def test_a_refusal_reaches_a_client_that_is_still_sending(server: Server, raw: Raw, bucket: str) -> None:
    """A connection that is closed while it still sends would be reset, and the answer lost."""
    signed = Raw(server, secret="wrong").sign("PUT", f"/{bucket}/key")
    size = 32 * 1024 * 1024
    with Socket(server) as connection:
        connection.send(request("PUT", f"/{bucket}/key", {**signed.headers, "content-length": str(size)}))
        for _ in range(32):
            connection.send(bytes(size // 32))
        head = connection.head()
        assert head.startswith(b"HTTP/1.1 403 ") and b"\r\nconnection: close\r\n" in head.lower()
    assert raw.send("HEAD", f"/{bucket}")[0] == 200


def test_unsigned_payloads(raw: Raw, s3: BaseClient, bucket: str) -> None:
    assert raw.send("PUT", f"/{bucket}/key", body=b"x", payload=UNSIGNED)[0] == 200
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"
    status, _, body = raw.send("PUT", f"/{bucket}/key", body=b"y", payload="STREAMING-NONSENSE")
    assert (400 <= status < 600, status != 500) == (True, True), body
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"
