"""Signature Version 4: who sent a request, proven by header, by query or by the policy of a form.

One door: every S3 request passes ``Verifier.verify`` before anything of it is acted upon, and nothing that was not
signed decides: ``host`` and every ``x-amz-*`` header that was sent must be among the signed ones, path and query are
signed from their raw bytes, and the body's treatment (``Payload``) comes from a signed value.
"""

from __future__ import annotations

import calendar
import functools
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hmac import compare_digest
from typing import NamedTuple

from gateway.auth import form, sigv2
from gateway.auth.canonical import (
    Layout,
    canonical_path,
    canonical_query,
    layout,
    merge_headers,
    parse_query,
)
from gateway.auth.chunked import Seed
from gateway.auth.errors import (
    AccessDenied,
    AuthError,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidToken,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
    Unsupported,
)
from gateway.auth.payload import CHAINED, UNSIGNED, Payload, anonymous_payload, payload_of
from gateway.auth.scope import Scopes, SigningKeys
from gateway.types import Principal

ALGORITHM, VERSION, VERSION_2 = b"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256", "AWS"
SIGV4A = b"AWS4-ECDSA-P256-SHA256"
IN_HEADER, IN_QUERY, IN_FORM = "REST-HEADER", "REST-QUERY-STRING", "POST"
MAX_EXPIRES = 7 * 24 * 3600

MAX_SIGNERS, LONGEST_SAID = 4096, 1024
"""How many signers are kept, and the length of what a header says of one up to which it is."""
SIGNATURE, AMZ_DATE = 64, 16
"""How long a signature is, in hex, and a time."""

_UNSIGNED = b"UNSIGNED-PAYLOAD"
_CONTENT_SHA256 = b"x-amz-content-sha256"
_SIGV2_PARAMETERS = frozenset({b"Signature", b"AWSAccessKeyId"})
_SIGNED_PARAMETERS = (
    b"X-Amz-Algorithm",
    b"X-Amz-Credential",
    b"X-Amz-Signature",
    b"X-Amz-Date",
    b"X-Amz-SignedHeaders",
    b"X-Amz-Expires",
)
_CREDENTIAL_PARAMETERS = frozenset(_SIGNED_PARAMETERS[:3]) | _SIGV2_PARAMETERS
_COMPONENTS = (b"Credential", b"SignedHeaders", b"Signature")

_FIRST = calendar.timegm((1, 1, 1, 0, 0, 0))
_LAST = calendar.timegm((9999, 12, 31, 23, 59, 59))
_AMZ_DATE = re.compile(rb"[0-9]{8}T[0-9]{6}Z").fullmatch
_DIGITS = re.compile(rb"[0-9]{1,10}").fullmatch


class RequestHead(NamedTuple):
    """A request without its body, as it came: header names in lower case, path and query undecoded."""

    method: str
    raw_path: bytes
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    hosted_bucket: str | None = None
    """The bucket that the host name tells, where it does."""
    fields: Mapping[bytes, bytes] | None = None
    """The headers by name, where none was sent twice and somebody has them so."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What belongs to an access key."""

    secret: str = field(repr=False)
    principal: Principal


class Identity(NamedTuple):
    """A verified caller, and how the body of the request must be read. Without credentials the caller is None."""

    principal: Principal | None
    payload: Payload
    auth_type: str = ""
    """REST-HEADER, REST-QUERY-STRING or POST, as policies call them; empty without a signature."""
    signature_version: str = ""
    """AWS4-HMAC-SHA256, or AWS for Version 2."""
    signed_at: float | None = None
    """Unix seconds; None where the signature does not tell."""


class _Signer(NamedTuple):
    """What an Authorization header says but for the signature: the same for all of a client's requests of a day."""

    access_key: str
    scope: bytes
    layout: Layout


class _Claim(NamedTuple):
    """What a request says of its signature, from header or query; dates and scope are checked already."""

    signer: _Signer
    timestamp: bytes
    moment: int
    """The timestamp in Unix seconds."""
    signature: bytes
    content: bytes
    """The value of x-amz-content-sha256."""
    said: bytes = b""
    """What the signer is to be kept by once it is proven; empty where it is kept, or came otherwise."""


class Verifier:
    """Proves who signed a request. ``find`` tells the credential of an access key, None when there is none.

    Requests may be signed for any of ``regions``; the first is the one that others are told to use.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[Credential | None]],
        regions: Sequence[str] = ("us-east-1",),
        max_skew_seconds: int = 900,
        clock: Callable[[], float] = time.time,
        at_hand: Callable[[str], Credential | None] = lambda access_key: None,
    ) -> None:
        """``at_hand`` tells what ``find`` would where it need not wait for that."""
        self._find = find
        self._at_hand = at_hand
        self._scopes = Scopes(regions)
        self._max_skew = max_skew_seconds
        self._clock = clock
        self._keys = SigningKeys()
        self._signers: dict[bytes, _Signer] = {}
        """By what precedes the signature in the Authorization header of requests whose signature was right."""

    async def verify(self, head: RequestHead) -> Identity:
        """The caller, proven; nobody where the request claims nothing. Raises an AuthError in every other case."""
        fields = head.fields if head.fields is not None else merge_headers(head.headers)
        pairs = parse_query(head.query_string) if head.query_string else []
        authorization = fields.get(b"authorization")
        if pairs and not _CREDENTIAL_PARAMETERS.isdisjoint([name for name, _ in pairs]):
            if authorization is not None:
                raise _two_mechanisms()
            if any(name == b"AWSAccessKeyId" for name, _ in pairs):
                return await self._verify_version_2(head, fields, pairs)
            fields = _without_unsigned_content(fields, pairs)
            claim, auth_type = self._read_query(fields, pairs), IN_QUERY
            pairs = [pair for pair in pairs if pair[0] != b"X-Amz-Signature"]
        elif authorization is not None:
            claim, auth_type = self._read_header(head.headers, fields, authorization), IN_HEADER
        else:
            return Identity(None, anonymous_payload(fields))
        signer = claim.signer
        if unsigned := signer.layout.unsigned(fields):
            raise _unsigned(unsigned)
        query = canonical_query(pairs) if pairs else b""
        request = signer.layout.request(
            head.method.encode(), canonical_path(head.raw_path), query, fields, claim.content
        )
        credential = self._at_hand(signer.access_key) or await self._find(signer.access_key)
        identity = self._prove(claim, request, credential, auth_type)
        if claim.said:
            self._keep(claim)
        return identity

    async def _verify_version_2(
        self, head: RequestHead, fields: Mapping[bytes, bytes], pairs: Sequence[tuple[bytes, bytes]]
    ) -> Identity:
        presigned = sigv2.read(pairs)
        now = self._clock()
        times = {"Expires": _iso(presigned.expires), "ServerTime": _iso(now)}
        if presigned.expires > now + MAX_EXPIRES + self._max_skew:
            raise AccessDenied("A presigned URL lives for at most a week here", **times)
        credential = await self._find(presigned.access_key)
        path = head.raw_path if head.hosted_bucket is None else f"/{head.hosted_bucket}".encode() + head.raw_path
        strings = sigv2.strings_to_sign(head.method, path, pairs, fields, presigned.expires)
        refusal = sigv2.check(presigned, credential.secret if credential is not None else "", strings)
        if credential is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=presigned.access_key)
        if refusal is not None:
            raise refusal
        if presigned.expires <= now:
            raise AccessDenied("Request has expired", **times)
        return Identity(credential.principal, anonymous_payload(fields), IN_QUERY, VERSION_2)

    def _prove(self, claim: _Claim, request: bytes, credential: Credential | None, auth_type: str) -> Identity:
        (access_key, scope, _), timestamp, moment, signature, content, _ = claim
        # An unknown key goes the same way as a wrong signature, with a secret that signs nothing.
        secret, owner = (credential.secret, access_key) if credential is not None else ("", "")
        key = self._keys.get(owner, secret, scope)
        string = b"AWS4-HMAC-SHA256\n%b\n%b\n%b" % (timestamp, scope, hashlib.sha256(request).hexdigest().encode())
        expected = key.sign(string).encode()
        matches = compare_digest(expected, signature)
        if credential is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=access_key)
        if not matches:
            raise _mismatch(claim, string, request)
        payload = payload_of(content)
        if payload.mode in CHAINED:
            payload = payload._replace(seed=Seed(key.raw, timestamp, scope, expected))
        return Identity(credential.principal, payload, auth_type, VERSION, moment)

    async def verify_form(self, fields: Mapping[str, str]) -> Identity:
        """Who signed the policy of a form, by its fields (names in lower case); nobody where they claim nothing.

        A policy that is proven is yet to be held against the form. Raises an AuthError.
        """
        claim = form.read(fields, self._scopes)
        if claim is None:
            return Identity(None, UNSIGNED)
        moment = self._check_form_date(claim.timestamp) if claim.scope else None
        credential = await self._find(claim.access_key)
        secret, owner = (credential.secret, claim.access_key) if credential is not None else ("", "")
        key = self._keys.get(owner, secret, claim.scope).raw if claim.scope else secret.encode()
        matches = compare_digest(form.sign(claim, key).encode(), claim.signature.encode())
        if credential is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=claim.access_key)
        if not matches:
            raise form.mismatch(claim)
        return Identity(credential.principal, UNSIGNED, IN_FORM, claim.version, moment)

    def _check_form_date(self, timestamp: bytes) -> int:
        """When a form was signed. A signing key, and so what it signed, is valid for a week.

        https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
        """
        moment = _amz_moment(timestamp)
        if moment is None:
            raise form.bad_date(timestamp)
        now = self._clock()
        if moment - now > self._max_skew:
            raise AccessDenied("Request is not valid yet", ServerTime=_iso(now))
        if now > moment + MAX_EXPIRES:
            raise AccessDenied("Request has expired", Expires=_iso(moment + MAX_EXPIRES), ServerTime=_iso(now))
        return moment

    # -- the header

    def _read_header(
        self, headers: Sequence[tuple[bytes, bytes]], fields: Mapping[bytes, bytes], authorization: bytes
    ) -> _Claim:
        if len(fields) != len(headers) and sum(name == b"authorization" for name, _ in headers) > 1:
            raise _two_mechanisms()
        said = authorization[:-SIGNATURE]
        signer, signature = self._signers.get(said), authorization[-SIGNATURE:]
        if signer is not None:
            said = b""
        else:
            signer, signature = self._signer(authorization)
            whole = said + signature == authorization and said.endswith((b",Signature=", b" Signature="))
            if not whole or len(said) > LONGEST_SAID:
                said = b""
        if b"x-amz-security-token" in fields:
            raise InvalidToken
        timestamp, moment = _header_time(fields)
        if timestamp[:8] != signer.scope[:8]:
            raise _malformed_header("Invalid credential date. Date is not the same as X-Amz-Date.")
        now = self._clock()
        if abs(now - moment) > self._max_skew:
            raise RequestTimeTooSkewed(
                RequestTime=timestamp.decode(),
                ServerTime=_iso(now),
                MaxAllowedSkewMilliseconds=str(self._max_skew * 1000),
            )
        content = fields.get(_CONTENT_SHA256)
        if content is None:
            raise InvalidRequest("Missing required header for this request: x-amz-content-sha256")
        return _Claim(signer, timestamp, moment, signature, content.strip(), said)

    def _signer(self, authorization: bytes) -> tuple[_Signer, bytes]:
        """What an Authorization header says, and the signature in it."""
        scheme, _, rest = authorization.strip().partition(b" ")
        if scheme != ALGORITHM:
            raise _other_scheme(scheme)
        credential, signed, signature = _components(rest)
        access_key, scope = self._scopes.split(credential, _malformed_header)
        return _Signer(access_key, scope, layout(signed)), signature

    def _keep(self, claim: _Claim) -> None:
        """Keep what the header of a proven request says: the client's next will be the same up to its signature."""
        if len(self._signers) >= MAX_SIGNERS:
            self._signers.clear()
        self._signers[claim.said] = claim.signer

    # -- the query

    def _read_query(self, fields: Mapping[bytes, bytes], pairs: Sequence[tuple[bytes, bytes]]) -> _Claim:
        parameters = _amz_parameters(pairs)
        algorithm = parameters[b"X-Amz-Algorithm"]
        if algorithm == SIGV4A:
            raise Unsupported("AWS4-ECDSA-P256-SHA256 is not implemented")
        if algorithm != ALGORITHM:
            raise AuthorizationQueryParametersError('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        access_key, scope = self._scopes.split(parameters[b"X-Amz-Credential"], _malformed_query)
        timestamp = parameters[b"X-Amz-Date"]
        moment = _amz_moment(timestamp)
        if moment is None:
            raise AuthorizationQueryParametersError(
                "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
            )
        if timestamp[:8] != scope[:8]:
            raise AuthorizationQueryParametersError(
                f'Invalid credential date "{scope[:8].decode()}". '
                f'This date is not the same as X-Amz-Date: "{timestamp[:8].decode()}".'
            )
        self._check_lifetime(moment, parameters[b"X-Amz-Expires"])
        if b"x-amz-security-token" in fields or b"X-Amz-Security-Token" in parameters:
            raise InvalidToken
        content = _presigned_content(fields, pairs)
        signer = _Signer(access_key, scope, layout(parameters[b"X-Amz-SignedHeaders"]))
        return _Claim(signer, timestamp, moment, parameters[b"X-Amz-Signature"], content)

    def _check_lifetime(self, moment: int, text: bytes) -> None:
        negative = text[:1] == b"-" and bool(_DIGITS(text[1:]))
        if not negative and not _DIGITS(text):
            raise AuthorizationQueryParametersError("X-Amz-Expires should be a number")
        expires = int(text)
        if expires > MAX_EXPIRES:
            raise AuthorizationQueryParametersError(
                "X-Amz-Expires must be less than a week (in seconds); "
                "that is, the given X-Amz-Expires must be less than 604800 seconds"
            )
        now = self._clock()
        times = {"X-Amz-Expires": str(expires), "Expires": _iso(moment + expires), "ServerTime": _iso(now)}
        if moment - now > self._max_skew:
            raise AccessDenied("Request is not valid yet", **times)
        if expires <= 0 or now > moment + expires:
            raise AccessDenied("Request has expired", **times)


def _components(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Credential, SignedHeaders and Signature of an Authorization header, in any order, each once."""
    found: dict[bytes, bytes] = {}
    for component in text.split(b","):
        name, equals, value = component.strip().partition(b"=")
        if not equals or name in found or name not in _COMPONENTS:
            shown = component.strip().decode("latin-1")
            raise _malformed_header(f'the authorization component "{shown}" is malformed.')
        found[name] = value
    if len(found) != len(_COMPONENTS):
        raise _malformed_header(
            "the authorization header requires three components: Credential, SignedHeaders, and Signature."
        )
    return found[b"Credential"], found[b"SignedHeaders"], found[b"Signature"]


def _amz_parameters(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The parameters of query authentication, each sent once and none missing."""
    found: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in _SIGV2_PARAMETERS:
            raise _sigv2()
        if name in _SIGNED_PARAMETERS or name == b"X-Amz-Security-Token":
            if name in found:
                raise AuthorizationQueryParametersError(f"{name.decode()} must not be sent twice")
            found[name] = value
    if not all(name in found for name in _SIGNED_PARAMETERS):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    return found


def _without_unsigned_content(
    fields: Mapping[bytes, bytes], pairs: Sequence[tuple[bytes, bytes]]
) -> Mapping[bytes, bytes]:
    """The headers without an x-amz-content-sha256 that a presigned URL did not sign: AWS ignores it."""
    signed = next((value for name, value in pairs if name == b"X-Amz-SignedHeaders"), b"")
    if _CONTENT_SHA256 not in fields or _CONTENT_SHA256 in signed.split(b";"):
        return fields
    return {name: value for name, value in fields.items() if name != _CONTENT_SHA256}


def _presigned_content(fields: Mapping[bytes, bytes], pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What a presigned request says of its payload; in header and query alike, it must say the same."""
    told = {value for name, value in pairs if name.lower() == _CONTENT_SHA256}
    if _CONTENT_SHA256 in fields:
        told.add(fields[_CONTENT_SHA256].strip())
    if len(told) > 1:
        raise InvalidArgument("x-amz-content-sha256 was sent with differing values")
    return told.pop() if told else _UNSIGNED


def _header_time(fields: Mapping[bytes, bytes]) -> tuple[bytes, int]:
    """When a request was signed: as it goes into the signature, and in Unix seconds."""
    timestamp = fields.get(b"x-amz-date")
    moment = None
    if timestamp is not None:
        timestamp = timestamp.strip()
        moment = _moment_of(timestamp) if len(timestamp) == AMZ_DATE else None
    elif b"date" in fields:
        timestamp, moment = _http_moment(fields[b"date"])
    if timestamp is None or moment is None:
        raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
    return timestamp, moment


def _amz_moment(text: bytes) -> int | None:
    return _moment_of(text) if len(text) == AMZ_DATE else None


@functools.lru_cache(maxsize=1024)
def _moment_of(text: bytes) -> int | None:
    if not _AMZ_DATE(text):
        return None
    try:
        return calendar.timegm(datetime.strptime(text.decode(), "%Y%m%dT%H%M%SZ").timetuple())
    except ValueError:
        return None


def _http_moment(text: bytes) -> tuple[bytes | None, int | None]:
    if _AMZ_DATE(text.strip()):
        return text.strip(), _amz_moment(text.strip())
    try:
        moment = parsedate_to_datetime(text.decode("latin-1"))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None, None
    return moment.strftime("%Y%m%dT%H%M%SZ").encode(), int(moment.timestamp())


def _iso(moment: float) -> str:
    """A moment as refusals tell it: within the calendar, whatever somebody claims who has proven nothing."""
    return datetime.fromtimestamp(min(max(moment, _FIRST), _LAST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- refusals


def _unsigned(names: Sequence[bytes]) -> AuthError:
    """The refusal of a request of which headers that act were left out of the signature."""
    return AccessDenied(
        "There were headers present in the request which were not signed",
        HeadersNotSigned=", ".join(name.decode("latin-1") for name in names),
    )


def _malformed_header(reason: str, **detail: str) -> AuthError:
    return AuthorizationHeaderMalformed(f"The authorization header is malformed; {reason}", **detail)


def _malformed_query(reason: str, **detail: str) -> AuthError:
    return AuthorizationQueryParametersError(f"Error parsing the X-Amz-Credential parameter; {reason}", **detail)


def _sigv2() -> AuthError:
    return InvalidRequest(
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
    )


def _two_mechanisms() -> AuthError:
    return InvalidArgument(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified",
        ArgumentName="Authorization",
    )


def _other_scheme(scheme: bytes) -> AuthError:
    if scheme == b"AWS":
        return _sigv2()
    if scheme == SIGV4A:
        return Unsupported("AWS4-ECDSA-P256-SHA256 is not implemented")
    # Whatever follows the scheme may be a secret and is not shown.
    return InvalidArgument("Unsupported Authorization Type", ArgumentName="Authorization")


def _mismatch(claim: _Claim, string: bytes, request: bytes) -> AuthError:
    return SignatureDoesNotMatch(
        AWSAccessKeyId=claim.signer.access_key,
        StringToSign=string.decode("utf-8", "replace"),
        SignatureProvided=claim.signature.decode("latin-1"),
        StringToSignBytes=string.hex(" "),
        CanonicalRequest=request.decode("utf-8", "replace"),
        CanonicalRequestBytes=request.hex(" "),
    )
