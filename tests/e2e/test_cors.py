"""CORS as a browser meets it: preflights, and headers on every answer."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, refused

ORIGIN = "https://app.example.com"
RULE: dict[str, Any] = {
    "ID": "app",
    "AllowedOrigins": ["https://*.example.com"],
    "AllowedMethods": ["GET", "PUT"],
    "AllowedHeaders": ["x-amz-*", "Content-Type"],
    "ExposeHeaders": ["ETag", "x-amz-request-id"],
    "MaxAgeSeconds": 3000,
}
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.body = response.read()
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def allowance(self) -> dict[str, str]:
        """The headers that CORS is about."""
        return {
            name.removeprefix("access-control-"): value
            for name, value in self.headers.items()
            if name.startswith("access-control-") or name == "vary"
        }

    @property
    def error(self) -> dict[str, str | None]:
        return {child.tag: child.text for child in ElementTree.fromstring(self.body)}


@pytest.fixture
def ask(server: Server) -> Callable[..., Answer]:
    """Sends a request as it is, without credentials unless the URL has them."""

    def send(method: str, url: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with suppress(BrokenPipeError):
                connection.request(method, target, body, named)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    return send


def put_rules(s3: BaseClient, bucket: str, *rules: dict[str, Any]) -> None:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": list(rules)})


def test_rules_are_kept_as_they_were_put(s3: BaseClient, bucket: str) -> None:
    with refused("NoSuchCORSConfiguration", 404) as seen:
        s3.get_bucket_cors(Bucket=bucket)
    assert seen[0].response["Error"]["Message"] == "The CORS configuration does not exist"
    assert seen[0].response["Error"]["BucketName"] == bucket
    bare = {"AllowedOrigins": ["", "*"], "AllowedMethods": ["GET", "PUT", "HEAD", "POST", "DELETE"]}
    put_rules(s3, bucket, RULE, bare)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [RULE, bare]
    put_rules(s3, bucket, bare)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [bare]
    for _ in range(2):
        assert s3.delete_bucket_cors(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=bucket)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            {"AllowedMethods": ["GET", "OPTIONS"]},
            "InvalidRequest",
            "Found unsupported HTTP method in CORS config. Unsupported method is OPTIONS",
        ),
        (
            {"AllowedMethods": ["get"]},
            "InvalidRequest",
            "Found unsupported HTTP method in CORS config. Unsupported method is get",
        ),
        (
            {"AllowedOrigins": ["http://*.*.com"]},
            "InvalidRequest",
            'AllowedOrigin "http://*.*.com" can not have more than one wildcard.',
        ),
        (
            {"AllowedHeaders": ["*-*"]},
            "InvalidRequest",
            'AllowedHeader "*-*" can not have more than one wildcard.',
        ),
        (
            {"ExposeHeaders": ["x-*"]},
            "InvalidRequest",
            'ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for ExposeHeader.',
        ),
        ({"ExposeHeaders": ["a\nb: c"]}, "InvalidRequest", None),
        ({"AllowedHeaders": ["a b"]}, "InvalidRequest", 'AllowedHeader "a b" contains invalid character.'),
        ({"ID": "i" * 256}, "InvalidRequest", None),
        ({"MaxAgeSeconds": -1}, "MalformedXML", None),
        ({"AllowedOrigins": []}, "MalformedXML", None),
        ({"AllowedMethods": []}, "MalformedXML", None),
    ],
)
def test_bad_rules_are_refused(
    s3: BaseClient, bucket: str, change: dict[str, Any], code: str, message: str | None
) -> None:
    put_rules(s3, bucket, RULE)
    with refused(code, 400) as seen:
        put_rules(s3, bucket, RULE, RULE | change)
    if message is not None:
        assert seen[0].response["Error"]["Message"] == message
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [RULE]


def test_there_are_not_more_than_a_hundred_rules(s3: BaseClient, bucket: str) -> None:
    put_rules(s3, bucket, *[RULE] * 100)
    with refused("InvalidRequest", 400) as seen:
        put_rules(s3, bucket, *[RULE] * 101)
    assert "100 rules" in seen[0].response["Error"]["Message"]
    with refused("MalformedXML", 400):
        put_rules(s3, bucket)
    with refused("MaxMessageLengthExceeded", 400):
        put_rules(s3, bucket, RULE | {"AllowedOrigins": ["https://example.com"] * 4000})


def test_only_who_may_changes_rules(server: Server, s3: BaseClient, bucket: str) -> None:
    other = server.s3(server.user("cors-other"))
    for attempt in (other.get_bucket_cors, other.delete_bucket_cors):
        with refused("AccessDenied", 403):
            attempt(Bucket=bucket)
    with refused("AccessDenied", 403):
        put_rules(other, bucket, RULE)
    other.close()


def test_a_preflight(s3: BaseClient, bucket: str, ask: Callable[..., Answer]) -> None:
    put_rules(s3, bucket, RULE)
    answer = ask(
        "OPTIONS",
        f"/{bucket}/key",
        origin=ORIGIN,
        access_control_request_method="PUT",
        access_control_request_headers="content-type,X-Amz-Date",
    )
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert "content-type" not in answer.headers
    assert answer.allowance == {
        "allow-origin": ORIGIN,
        "allow-methods": "GET, PUT",
        "allow-headers": "content-type, x-amz-date",
        "expose-headers": "ETag, x-amz-request-id",
        "max-age": "3000",
        "allow-credentials": "true",
        "vary": VARY,
    }


def test_a_preflight_of_anybody(s3: BaseClient, bucket: str, ask: Callable[..., Answer]) -> None:
    put_rules(s3, bucket, {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 0})
    for origin in (ORIGIN, "null", "http://[::1]:8080"):
        answer = ask("OPTIONS", f"/{bucket}", origin=origin, access_control_request_method="GET")
        assert answer.status == 200
        assert answer.allowance == {"allow-origin": "*", "allow-methods": "GET", "max-age": "0", "vary": VARY}


def test_a_preflight_that_is_refused(s3: BaseClient, bucket: str, ask: Callable[..., Answer]) -> None:
    def error(path: str, **headers: str) -> tuple[int, Any]:
        answer = ask("OPTIONS", path, **headers)
        assert answer.allowance == {}
        told = answer.error
        return answer.status, [told[name] for name in ("Code", "Message", "Method", "ResourceType") if name in told]

    key, get = f"/{bucket}/key", {"access_control_request_method": "GET"}
    no_origin = (400, ["BadRequest", "Insufficient information. Origin request header needed."])
    disabled = "CORSResponse: CORS is not enabled for this bucket."
    assert error(key, **get) == no_origin
    assert error(key, origin=ORIGIN, **get) == (403, ["AccessForbidden", disabled, "GET", "BUCKET"])
    assert error(key, origin=ORIGIN) == (403, ["AccessForbidden", disabled, "OPTIONS", "BUCKET"])
    absent = (403, ["AccessForbidden", "CORSResponse: Bucket not found", "GET", "BUCKET"])
    assert error("/no-such-bucket-here/key", origin=ORIGIN, **get) == absent

    put_rules(s3, bucket, RULE)
    status, (code, message, *resource) = error(key, origin="https://evil.org", **get)
    assert (status, code, resource) == (403, "AccessForbidden", ["GET", "OBJECT"])
    assert message.startswith("CORSResponse: This CORS request is not allowed. This is usually because ")
    assert error(f"/{bucket}", origin="https://evil.org", **get)[1][2:] == ["GET", "BUCKET"]
    assert error(key, origin=ORIGIN, access_control_request_method="DELETE")[1][2:] == ["DELETE", "OBJECT"]
    assert error(key, origin=ORIGIN, access_control_request_headers="x-other", **get)[1][2:] == ["GET", "OBJECT"]
    assert error(key, **get) == no_origin
    assert error(key, origin=ORIGIN) == (400, ["BadRequest", "Invalid Access-Control-Request-Method: null"])
    told = error(key, origin=ORIGIN, access_control_request_method="PATCH")
    assert told == (400, ["BadRequest", "Invalid Access-Control-Request-Method: PATCH"])
    told = error(key, origin=ORIGIN, access_control_request_headers="a b", **get)
    assert told == (400, ["BadRequest", 'Access-Control-Request-Headers "a b" contains invalid character.'])


EXPECTED = {
    "allow-origin": ORIGIN,
    "allow-methods": "GET, PUT",
    "expose-headers": "ETag, x-amz-request-id",
    "max-age": "3000",
    "allow-credentials": "true",
    "vary": VARY,
}


def test_answers_tell_that_the_page_may_see_them(
    s3: BaseClient, client: Callable[..., BaseClient], bucket: str, ask: Callable[..., Answer]
) -> None:
    put_rules(s3, bucket, RULE)
    s3 = client(signature_version="s3v4")
    body = bytes(range(256)) * 40_000
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "key"})
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"})
    answer = ask("PUT", put, body, origin=ORIGIN)
    assert (answer.status, answer.allowance) == (200, EXPECTED), answer.body
    etag = answer.headers["etag"]
    whole = ask("GET", get, origin=ORIGIN)
    assert (whole.status, whole.allowance, whole.body) == (200, EXPECTED, body)
    part = ask("GET", get, origin=ORIGIN, range="bytes=5-9")
    assert (part.status, part.allowance, part.body) == (206, EXPECTED, body[5:10])
    unchanged = ask("GET", get, origin=ORIGIN, if_none_match=etag)
    assert (unchanged.status, unchanged.allowance) == (304, EXPECTED)
    failed = ask("GET", get, origin=ORIGIN, if_match='"other"')
    assert (failed.status, failed.allowance) == (412, EXPECTED)
    # Neither other origins nor none are told anything; the answer itself is the same.
    for headers in ({}, {"origin": "https://evil.org"}, {"origin": ""}):
        answer = ask("GET", get, **headers)
        assert (answer.status, answer.allowance, answer.body) == (200, {}, body)
    # HEAD is in no rule, though GET is.
    head = s3.generate_presigned_url("head_object", Params={"Bucket": bucket, "Key": "key"})
    assert ask("HEAD", head, origin=ORIGIN).allowance == {}


def test_errors_tell_it_too(
    s3: BaseClient, client: Callable[..., BaseClient], bucket: str, ask: Callable[..., Answer]
) -> None:
    put_rules(s3, bucket, RULE)
    s3 = client(signature_version="s3v4")
    absent = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "absent"})
    for url, status, code in (
        (absent, 404, "NoSuchKey"),
        (absent.replace("Signature=", "Signature=0"), 403, "SignatureDoesNotMatch"),
        (f"/{bucket}/key", 403, "AccessDenied"),
        (f"/{bucket}/key?torrent", 403, "AccessDenied"),
        (f"/{bucket}/key?X-Amz-Algorithm=x", 400, "AuthorizationQueryParametersError"),
        (absent + "&torrent", 403, "SignatureDoesNotMatch"),
    ):
        answer = ask("GET", url, origin=ORIGIN)
        assert (answer.status, answer.error["Code"], answer.allowance) == (status, code, EXPECTED)
    assert ask("GET", f"/{bucket}/%FF", origin=ORIGIN).allowance == {}
    assert ask("GET", "/no-such-bucket-here/key", origin=ORIGIN).status == 404
    assert ask("GET", "/", origin=ORIGIN).status == 403


def test_what_a_preflight_would_ask_is_held_against_the_rules(
    s3: BaseClient, bucket: str, ask: Callable[..., Answer]
) -> None:
    """As AWS does: the same headers on an actual request stand for its own method and headers."""
    put_rules(s3, bucket, RULE)
    url = f"/{bucket}/key"
    assert ask("GET", url, origin=ORIGIN, access_control_request_method="DELETE").allowance == {}
    assert ask("DELETE", url, origin=ORIGIN, access_control_request_method="GET").allowance == EXPECTED
    assert ask("GET", url, origin=ORIGIN, access_control_request_headers="x-other").allowance == {}
    told = ask("GET", url, origin=ORIGIN, access_control_request_headers="x-amz-acl")
    assert told.allowance == EXPECTED | {"allow-headers": "x-amz-acl"}
    assert ask("GET", url, origin=ORIGIN, access_control_request_headers="x-amz-\x01").allowance == {}


def test_virtual_hosted_buckets_have_their_rules(s3: BaseClient, bucket: str, ask: Callable[..., Answer]) -> None:
    put_rules(s3, bucket, RULE)
    host = f"{bucket}.localhost"
    answer = ask("OPTIONS", "/key", host=host, origin=ORIGIN, access_control_request_method="GET")
    assert (answer.status, answer.allowance) == (200, EXPECTED)
    answer = ask("GET", "/key", host=host, origin=ORIGIN)
    assert (answer.status, answer.allowance) == (403, EXPECTED)
    answer = ask("OPTIONS", "/", host=host, origin="https://evil.org", access_control_request_method="GET")
    assert (answer.status, answer.error["ResourceType"]) == (403, "BUCKET")
