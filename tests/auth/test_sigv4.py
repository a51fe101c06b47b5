"""Verification against botocore's signers, and every refusal."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable
from urllib.parse import quote, urlencode, urlsplit

import pytest
from botocore.auth import HmacV1Auth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.auth import errors
from gateway.auth.canonical import canonical_path, canonical_query, merge_headers, parse_query
from gateway.auth.payload import Mode
from gateway.auth.sigv4 import Credential, Identity, RequestHead, Verifier
from gateway.types import Principal

ACCESS_KEY = "NXAAAAAAAAAAAAAAAAAA"
SECRET = "s" * 40
PRINCIPAL = Principal("u1", "User", "0" * 64, "t1", False, ACCESS_KEY)
HOST = "gateway.test:8765"
URL = f"http://{HOST}/bucket/key"
CREDENTIALS = Credentials(ACCESS_KEY, SECRET)

Change = Callable[[RequestHead], RequestHead]


async def find(access_key: str) -> Credential | None:
    return Credential(SECRET, PRINCIPAL) if access_key == ACCESS_KEY else None


def head_of(request: AWSRequest) -> RequestHead:
    prepared = request.prepare()
    url = urlsplit(prepared.url)
    headers = [(name.lower().encode(), _bytes(value)) for name, value in prepared.headers.items()]
    return RequestHead(prepared.method, url.path.encode(), url.query.encode(), [(b"host", HOST.encode()), *headers])


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def signed(
    method: str = "GET",
    url: str = URL,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    credentials: Credentials = CREDENTIALS,
    region: str = "us-east-1",
) -> RequestHead:
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    S3SigV4Auth(credentials, "s3", region).add_auth(request)
    return head_of(request)


def presigned(
    method: str = "GET",
    url: str = URL,
    headers: dict[str, str] | None = None,
    expires: int = 600,
    region: str = "us-east-1",
) -> RequestHead:
    request = AWSRequest(method, url, headers=headers or {})
    S3SigV4QueryAuth(CREDENTIALS, "s3", region, expires=expires).add_auth(request)
    return head_of(request)


async def verify(head: RequestHead, clock: Callable[[], float] = time.time) -> Identity:
    return await Verifier(find, clock=clock).verify(head)


def header(name: str, value: str) -> Change:
    """Set a header."""
    key = name.encode()
    return lambda head: head._replace(headers=[*[h for h in head.headers if h[0] != key], (key, value.encode())])


def added(name: str, value: str) -> Change:
    return lambda head: head._replace(headers=[*head.headers, (name.encode(), value.encode())])


def without(name: str) -> Change:
    return lambda head: head._replace(headers=[h for h in head.headers if h[0] != name.encode()])


def in_authorization(old: str, new: str) -> Change:
    def change(head: RequestHead) -> RequestHead:
        value = dict(head.headers)[b"authorization"].decode()
        assert old in value
        return header("authorization", value.replace(old, new))(head)

    return change


def in_query(old: str, new: str) -> Change:
    def change(head: RequestHead) -> RequestHead:
        assert old.encode() in head.query_string
        return head._replace(query_string=head.query_string.replace(old.encode(), new.encode()))

    return change


# -- botocore as the oracle

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
QUERIES = st.dictionaries(NAMES.filter(lambda name: not name.startswith(("X-Amz-", "Signature", "AWSAcc"))), NAMES)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(key=NAMES, query=QUERIES, value=VALUES, method=st.sampled_from(["GET", "PUT", "DELETE"]))
async def test_header_signatures_of_odd_requests(key: str, query: dict[str, str], value: str, method: str) -> None:
    url = f"http://{HOST}/bucket/{quote(key, safe='/~')}"
    if query:
        url += "?" + urlencode(query, quote_via=quote, safe="~")
    head = signed(method, url, {"x-amz-meta-a": value, "content-type": value}, b"body")
    identity = await verify(head)
    assert identity.principal is PRINCIPAL
    assert identity.payload.mode is Mode.SIGNED


@settings(max_examples=40, deadline=None)
@given(key=NAMES, query=QUERIES, value=VALUES)
async def test_presigned_urls_of_odd_requests(key: str, query: dict[str, str], value: str) -> None:
    url = f"http://{HOST}/bucket/{quote(key, safe='/~')}"
    if query:
        url += "?" + urlencode(query, quote_via=quote, safe="~")
    identity = await verify(presigned("PUT", url, {"x-amz-meta-a": value}))
    assert identity.payload.mode is Mode.UNSIGNED


@pytest.mark.parametrize("path", ["/b//a/../b/./c/", "/b/a b", "/b/€", "/b/a+b", "/b/~", "/", "/b/(1),'!*@:&=;$"])
async def test_paths_may_be_sent_escaped_or_not(path: str) -> None:
    head = signed(url=f"http://{HOST}{quote(path, safe='/~')}")
    for sent in (head.raw_path, path.encode(), b"/" + b"".join(b"%%%02x" % byte for byte in path.encode()[1:])):
        await verify(head._replace(raw_path=sent))


# -- canonical forms


def test_canonical_path() -> None:
    assert canonical_path(b"/a%7Eb/%e2%82%ac//../+") == b"/a~b/%E2%82%AC//../%2B"
    assert canonical_path(b"") == b"/"
    with pytest.raises(errors.InvalidURI):
        canonical_path(b"/a%2")


def test_canonical_query_sorts_by_encoded_name_then_value() -> None:
    pairs = parse_query(b"b=2&a=%7e&b=1&B&&a-=x&c=a+b&d=%2B&e==")
    assert canonical_query(pairs) == b"B=&a=~&a-=x&b=1&b=2&c=a%20b&d=%2B&e=%3D"


def test_headers_sent_twice_are_joined() -> None:
    merged = merge_headers([(b"x-amz-meta-a", b" 1  2 "), (b"host", b"h"), (b"x-amz-meta-a", b"3")])
    assert merged == {b"x-amz-meta-a": b"1 2,3", b"host": b"h"}


# -- tampering

BASE = signed("PUT", URL + "?partNumber=1&uploadId=u", {"x-amz-meta-a": "1", "content-md5": "x"}, b"body")


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head._replace(method="POST"),
        lambda head: head._replace(raw_path=b"/bucket/kex"),
        lambda head: head._replace(raw_path=b"/bucket/key/"),
        lambda head: head._replace(query_string=b"partNumber=2&uploadId=u"),
        lambda head: head._replace(query_string=b"partNumber=1&uploadId=u&acl"),
        lambda head: head._replace(query_string=b"partNumber=1"),
        header("host", "other.test"),
        header("content-md5", "y"),
        header("x-amz-meta-a", "2"),
        header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        header("x-amz-content-sha256", "0" * 64),
        added("x-amz-meta-a", "1"),
        added("content-md5", "x"),
        without("content-md5"),
        without("x-amz-meta-a"),
        in_authorization("x-amz-meta-a", "x-amz-meta-a;x-amz-meta-b"),
        in_authorization("Signature=", "Signature=0"),
    ],
)
@pytest.mark.parametrize("seen", [False, True])
async def test_a_changed_request_does_not_match(change: Change, seen: bool) -> None:
    verifier = Verifier(find)
    await (verifier.verify(BASE) if seen else verify(BASE))
    with pytest.raises(errors.SignatureDoesNotMatch):
        await verifier.verify(change(BASE))


async def test_what_is_kept_of_a_client_lets_nothing_else_pass() -> None:
    now, known = time.time(), True
    authorization = dict(BASE.headers)[b"authorization"]

    async def find_while_known(access_key: str) -> Credential | None:
        return await find(access_key) if known else None

    verifier = Verifier(find_while_known, clock=lambda: now)
    for _ in range(2):
        assert (await verifier.verify(BASE)).principal == PRINCIPAL
    assert await verifier.verify(BASE) == await verify(BASE)
    refused: list[tuple[Change, type[errors.AuthError]]] = [
        (lambda head: head, errors.RequestTimeTooSkewed),
        (added("authorization", authorization.decode()), errors.InvalidArgument),
        (added("x-amz-security-token", "t"), errors.InvalidToken),
        (added("x-amz-acl", "public-read"), errors.AccessDenied),
        (header("x-amz-date", "20000101T000000Z"), errors.AuthorizationHeaderMalformed),
        (without("x-amz-content-sha256"), errors.InvalidRequest),
        (without("x-amz-date"), errors.AccessDenied),
    ]
    for change, refusal in refused:
        now = time.time() + (3600 if refusal is errors.RequestTimeTooSkewed else 0)
        with pytest.raises(refusal):
            await verifier.verify(change(BASE))
    known = False
    with pytest.raises(errors.InvalidAccessKeyId):
        await verifier.verify(BASE)


async def test_only_what_was_proven_is_kept() -> None:
    verifier = Verifier(find)
    with pytest.raises(errors.SignatureDoesNotMatch):
        await verifier.verify(header("x-amz-meta-a", "2")(BASE))
    assert not verifier._signers
    await verifier.verify(BASE)
    assert len(verifier._signers) == 1


async def test_no_client_makes_much_be_kept_by_saying_much() -> None:
    """Nothing that is kept is as long as a head may be; what is made of it is some thirty times that."""
    verifier = Verifier(find)
    authorization = dict(BASE.headers)[b"authorization"].decode()
    long = ";".join(f"x-{number:06}" for number in range(5000))
    tracemalloc.start()
    try:
        for number in range(50):
            said = authorization.replace("SignedHeaders=", f"SignedHeaders={number};{long};")
            with pytest.raises(errors.SignatureDoesNotMatch):
                await verifier.verify(header("authorization", said)(BASE))
            with pytest.raises(errors.AccessDenied):
                await verifier.verify(header("x-amz-date", f"{number}{long}")(BASE))
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
    proven = signed(headers={f"x-amz-meta-{number}": "" for number in range(100)})
    assert await verifier.verify(proven) == await verifier.verify(proven)
    assert not verifier._signers


async def test_every_digit_of_the_signature_counts() -> None:
    verifier = Verifier(find)
    await verifier.verify(BASE)
    value = dict(BASE.headers)[b"authorization"].decode()
    start = value.index("Signature=") + len("Signature=")
    for at in range(start, start + 64):
        digit = "0" if value[at] != "0" else "1"
        with pytest.raises(errors.SignatureDoesNotMatch):
            await verifier.verify(header("authorization", value[:at] + digit + value[at + 1 :])(BASE))


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head._replace(method="PUT"),
        lambda head: head._replace(raw_path=b"/bucket/other"),
        lambda head: head._replace(query_string=head.query_string + b"&acl="),
        in_query("X-Amz-Expires=600", "X-Amz-Expires=601"),
        in_query("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Baccept"),
        lambda head: head._replace(query_string=head.query_string + b"&X-Amz-Content-Sha256=" + b"0" * 64),
        header("host", "other.test"),
    ],
)
async def test_a_changed_presigned_url_does_not_match(change: Change) -> None:
    with pytest.raises(errors.SignatureDoesNotMatch):
        await verify(change(presigned()))


async def test_a_mismatch_shows_what_was_computed_and_no_secret() -> None:
    with pytest.raises(errors.SignatureDoesNotMatch) as caught:
        await verify(header("x-amz-meta-a", "2")(BASE))
    detail = caught.value.detail
    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")
    assert detail["AWSAccessKeyId"] == ACCESS_KEY
    assert detail["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert detail["CanonicalRequest"].startswith("PUT\n/bucket/key\npartNumber=1&uploadId=u\n")
    assert bytes.fromhex(detail["StringToSignBytes"]).decode() == detail["StringToSign"]
    assert len(detail["SignatureProvided"]) == 64
    assert SECRET not in str(detail)


# -- nobody


async def test_a_request_without_credentials_is_nobodys() -> None:
    identity = await verify(without("authorization")(BASE))
    assert identity.principal is None
    head = without("x-amz-content-sha256")(without("authorization")(BASE))
    assert (await verify(head)).payload.mode == "UNSIGNED-PAYLOAD"
    head = added("x-amz-trailer", "x-amz-checksum-crc32")(head)
    assert (await verify(head)).payload.mode == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.mark.parametrize("mode", ["PAYLOAD", "PAYLOAD-TRAILER"])
async def test_signed_chunks_of_nobody_are_refused(mode: str) -> None:
    head = header("x-amz-content-sha256", f"STREAMING-AWS4-HMAC-SHA256-{mode}")(without("authorization")(BASE))
    with pytest.raises(errors.InvalidRequest):
        await verify(head)


# -- refusals


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (header("authorization", "AWS key:sig"), errors.InvalidRequest, "Please use AWS4-HMAC-SHA256"),
        (header("authorization", "Bearer nxk_secret"), errors.InvalidArgument, "Unsupported Authorization Type"),
        (header("authorization", "AWS4-ECDSA-P256-SHA256 x"), errors.Unsupported, "ECDSA"),
        (header("authorization", "AWS4-HMAC-SHA256"), errors.AuthorizationHeaderMalformed, "component"),
        (header("authorization", "AWS4-HMAC-SHA256 Credential=x"), errors.AuthorizationHeaderMalformed, "three"),
        (in_authorization("Signature=", "Signature=1,Signature="), errors.AuthorizationHeaderMalformed, "component"),
        (added("authorization", "AWS4-HMAC-SHA256 x"), errors.InvalidArgument, "Only one auth mechanism"),
        (in_authorization("/s3/", "/ec2/"), errors.AuthorizationHeaderMalformed, 'incorrect service "ec2"'),
        (in_authorization("aws4_request", "aws5"), errors.AuthorizationHeaderMalformed, 'terminal "aws5"'),
        (in_authorization("/s3/aws4_request", ""), errors.AuthorizationHeaderMalformed, "the Credential is mal-formed"),
        (in_authorization(ACCESS_KEY, ""), errors.AuthorizationHeaderMalformed, "the Credential is mal-formed"),
        (in_authorization("/20", "/x0"), errors.AuthorizationHeaderMalformed, "incorrect date format"),
        (in_authorization("/20", "/19"), errors.AuthorizationHeaderMalformed, "Invalid credential date"),
        (in_authorization("us-east-1", "eu-west-1"), errors.AuthorizationHeaderMalformed, "expecting 'us-east-1'"),
        (in_authorization(ACCESS_KEY, "NXBBBBBBBBBBBBBBBBBB"), errors.InvalidAccessKeyId, "does not exist"),
        (without("x-amz-date"), errors.AccessDenied, "valid Date or x-amz-date"),
        (header("x-amz-date", "yesterday"), errors.AccessDenied, "valid Date or x-amz-date"),
        (header("x-amz-date", "20201301T000000Z"), errors.AccessDenied, "valid Date or x-amz-date"),
        (without("x-amz-content-sha256"), errors.InvalidRequest, "Missing required header"),
        (added("x-amz-copy-source", "/b/k"), errors.AccessDenied, "not signed"),
        (in_authorization("host;", ""), errors.AccessDenied, "not signed"),
        (without("host"), errors.SignatureDoesNotMatch, "does not match"),
        (added("x-amz-security-token", "t"), errors.InvalidToken, "token"),
        (lambda head: head._replace(raw_path=b"/bucket/%zz"), errors.InvalidURI, "parse"),
        (lambda head: head._replace(query_string=b"a=%f"), errors.InvalidURI, "parse"),
        (
            lambda head: head._replace(query_string=presigned().query_string),
            errors.InvalidArgument,
            "Only one auth mechanism",
        ),
    ],
)
async def test_header_refusals(change: Change, error: type[errors.AuthError], text: str) -> None:
    with pytest.raises(error) as caught:
        await verify(change(BASE))
    assert type(caught.value) is error
    assert text in caught.value.message
    assert "nxk_secret" not in str(caught.value.detail)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (in_query("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), errors.AuthorizationQueryParametersError, "requires"),
        (in_query("AWS4-HMAC-SHA256", "MD5"), errors.AuthorizationQueryParametersError, "only supports"),
        (in_query("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), errors.Unsupported, "ECDSA"),
        (in_query("Expires=600", "Expires=604801"), errors.AuthorizationQueryParametersError, "less than a week"),
        (in_query("Expires=600", "Expires=-1"), errors.AccessDenied, "expired"),
        (in_query("Expires=600", "Expires=--1"), errors.AuthorizationQueryParametersError, "a number"),
        (in_query("Expires=600", "Expires=-6_0"), errors.AuthorizationQueryParametersError, "a number"),
        (in_query("Expires=600", "Expires=6_0"), errors.AuthorizationQueryParametersError, "a number"),
        (in_query("Expires=600", "Expires=%D9%A1"), errors.AuthorizationQueryParametersError, "a number"),
        (in_query("Expires=600", "Expires=" + "9" * 40), errors.AuthorizationQueryParametersError, "a number"),
        (in_query("Expires=600", "Expires=0"), errors.AccessDenied, "expired"),
        (in_query("Expires=600", "Expires=6&X-Amz-Expires=600"), errors.AuthorizationQueryParametersError, "twice"),
        (in_query("us-east-1", "eu-west-1"), errors.AuthorizationQueryParametersError, "expecting 'us-east-1'"),
        (in_query("X-Amz-Date=2", "X-Amz-Date=x"), errors.AuthorizationQueryParametersError, "ISO8601"),
        (in_query("X-Amz-Date=20", "X-Amz-Date=19"), errors.AuthorizationQueryParametersError, "same as X-Amz-Date"),
        (in_query(ACCESS_KEY, "NXBBBBBBBBBBBBBBBBBB"), errors.InvalidAccessKeyId, "does not exist"),
        (added("x-amz-copy-source", "/b/k"), errors.AccessDenied, "not signed"),
        (in_query("SignedHeaders=host", "SignedHeaders=accept"), errors.AccessDenied, "not signed"),
        (in_query("X-Amz-Expires", "X-Amz-Security-Token=t&X-Amz-Expires"), errors.InvalidToken, "token"),
        (added("authorization", "Basic x"), errors.InvalidArgument, "Only one auth mechanism"),
    ],
)
async def test_query_refusals(change: Change, error: type[errors.AuthError], text: str) -> None:
    with pytest.raises(error) as caught:
        await verify(change(presigned()))
    assert type(caught.value) is error
    assert text in caught.value.message


async def test_signature_version_2_is_refused_in_the_header() -> None:
    request = AWSRequest("GET", URL)
    HmacV1Auth(CREDENTIALS).add_auth(request)
    with pytest.raises(errors.InvalidRequest, match="Please use AWS4-HMAC-SHA256"):
        await verify(head_of(request))


@pytest.mark.parametrize("offset", [-901, 901])
async def test_clocks_may_differ_by_15_minutes(offset: int) -> None:
    await verify(signed(), lambda: time.time() + offset * 0.98)
    with pytest.raises(errors.RequestTimeTooSkewed) as caught:
        await verify(signed(), lambda: time.time() + offset + offset // 100)
    assert caught.value.detail.keys() == {"RequestTime", "ServerTime", "MaxAllowedSkewMilliseconds"}
    assert caught.value.detail["MaxAllowedSkewMilliseconds"] == "900000"


async def test_a_presigned_url_that_signs_no_digest_ignores_one() -> None:
    """As AWS does: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html, UNSIGNED-PAYLOAD."""
    for value in ("UNSIGNED-PAYLOAD", "0" * 64, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        identity = await verify(added("x-amz-content-sha256", value)(presigned()))
        assert identity.payload.mode == Mode.UNSIGNED


async def test_presigned_urls_live_from_their_date_to_their_end() -> None:
    head = presigned(expires=600)
    await verify(head, lambda: time.time() + 590)
    await verify(head, lambda: time.time() - 800)
    with pytest.raises(errors.AccessDenied, match="Request has expired") as caught:
        await verify(head, lambda: time.time() + 610)
    assert caught.value.detail.keys() == {"X-Amz-Expires", "Expires", "ServerTime"}
    with pytest.raises(errors.AccessDenied, match="not valid yet"):
        await verify(head, lambda: time.time() - 910)


@pytest.mark.parametrize(("date", "expires"), [("00010101", "-9999999999"), ("99991231", "604800")])
async def test_a_date_at_the_end_of_the_calendar_is_refused(date: str, expires: str) -> None:
    head = presigned()
    query = re.sub(rb"[0-9]{8}(?=T[0-9]{6}Z|%2F)", date.encode(), head.query_string)
    query = query.replace(b"Expires=600", b"Expires=" + expires.encode())
    with pytest.raises(errors.AccessDenied):
        await verify(head._replace(query_string=query))


async def test_the_wrong_region_is_told_the_right_one() -> None:
    with pytest.raises(errors.AuthorizationHeaderMalformed) as caught:
        await verify(signed(region="eu-west-1"))
    assert caught.value.detail == {"Region": "us-east-1"}
    assert caught.value.message == (
        "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'"
    )
    with pytest.raises(errors.AuthorizationQueryParametersError) as in_query_form:
        await verify(presigned(region="eu-west-1"))
    assert in_query_form.value.detail == {"Region": "us-east-1"}


async def test_unsigned_headers_are_named() -> None:
    with pytest.raises(errors.AccessDenied) as caught:
        await verify(added("x-amz-acl", "public-read")(added("x-amz-tagging", "a=b")(BASE)))
    assert caught.value.detail == {"HeadersNotSigned": "x-amz-tagging, x-amz-acl"}


async def test_headers_that_do_not_act_need_not_be_signed() -> None:
    await verify(added("via", "1.1 proxy")(added("x-forwarded-for", "10.0.0.1")(BASE)))


async def test_components_may_come_in_any_order() -> None:
    scheme, _, rest = dict(BASE.headers)[b"authorization"].decode().partition(" ")
    parts = [part.strip() for part in rest.split(",")]
    await verify(header("authorization", f"{scheme}   {' , '.join(reversed(parts))}")(BASE))


async def test_a_date_header_serves_where_x_amz_date_is_missing() -> None:
    request = AWSRequest("GET", URL, headers={"Date": "Mon, 01 Jan 2001 00:00:00 GMT"})
    S3SigV4Auth(CREDENTIALS, "s3", "us-east-1").add_auth(request)
    head = head_of(request)
    assert b"x-amz-date" not in dict(head.headers)
    await verify(head)


async def test_a_changed_secret_counts_at_once() -> None:
    secret = SECRET

    async def changing(access_key: str) -> Credential:
        return Credential(secret, PRINCIPAL)

    verifier = Verifier(changing)
    await verifier.verify(signed())
    secret = "t" * 40
    with pytest.raises(errors.SignatureDoesNotMatch):
        await verifier.verify(signed())
    await verifier.verify(signed(credentials=Credentials(ACCESS_KEY, secret)))


async def test_an_unknown_key_is_not_the_empty_secret() -> None:
    with pytest.raises(errors.InvalidAccessKeyId) as caught:
        await verify(signed(credentials=Credentials("NXBBBBBBBBBBBBBBBBBB", "")))
    assert caught.value.detail == {"AWSAccessKeyId": "NXBBBBBBBBBBBBBBBBBB"}


# -- payloads


async def test_a_presigned_payload_may_be_told_in_the_query_or_in_a_signed_header() -> None:
    for told in (f"?X-Amz-Content-Sha256={'0' * 64}", f"?x-amz-content-sha256={'0' * 64}"):
        head = _presigned_with_content(URL + told, {}, "0" * 64)
        assert (await verify(head)).payload.sha256 == "0" * 64
    head = _presigned_with_content(URL, {"x-amz-content-sha256": "0" * 64}, "0" * 64)
    assert (await verify(head)).payload.sha256 == "0" * 64


async def test_a_presigned_payload_may_not_be_told_in_two_ways() -> None:
    url = f"{URL}?X-Amz-Content-Sha256={'0' * 64}"
    for content in ("0" * 64, "UNSIGNED-PAYLOAD"):
        with pytest.raises(errors.InvalidArgument, match="differing"):
            await verify(_presigned_with_content(url, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, content))


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.SIGNED])
async def test_payload_modes(mode: Mode) -> None:
    payload = (await verify(_with_content(mode.value))).payload
    assert payload.mode is mode
    assert payload.sha256 is None
    assert (payload.seed is not None) == (mode in (Mode.CHUNKED, Mode.CHUNKED_TRAILER))
    assert "b'" not in repr(payload)


@pytest.mark.parametrize("value", ["", "x", "0" * 63, "g" * 64, "STREAMING", "STREAMING-UNSIGNED-PAYLOAD"])
async def test_other_payloads_are_refused(value: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-"):
        await verify(_with_content(value))


@pytest.mark.parametrize("end", ["", "-TRAILER"])
async def test_sigv4a_chunks_are_not_implemented(end: str) -> None:
    with pytest.raises(errors.Unsupported):
        await verify(_with_content("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" + end))


class _TellsContent(S3SigV4Auth):  # type: ignore[misc]
    """Signs a request that says of its payload what it wants."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["content"])


def _with_content(value: str) -> RequestHead:
    request = AWSRequest("PUT", URL, data=b"")
    request.context["content"] = value
    _TellsContent(CREDENTIALS, "s3", "us-east-1").add_auth(request)
    return head_of(request)


class _PresignsContent(S3SigV4QueryAuth):  # type: ignore[misc]
    """Presigns for a payload other than UNSIGNED-PAYLOAD."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["content"])


def _presigned_with_content(url: str, headers: dict[str, str], content: str) -> RequestHead:
    request = AWSRequest("PUT", url, headers=headers)
    request.context["content"] = content
    _PresignsContent(CREDENTIALS, "s3", "us-east-1", expires=600).add_auth(request)
    return head_of(request)
