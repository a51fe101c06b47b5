"""Refusals of the authentication layer, in S3's own codes and words: SigV4 is S3's protocol, so they need no table.

A class is named like its code unless ``code`` says otherwise. ``detail`` are the further elements S3 shows; nothing
secret is ever put there.
"""

from __future__ import annotations

from gateway import errors


class AuthError(errors.GatewayError):
    """A request that is refused before, or while, its body is read."""

    code: str = "AccessDenied"
    status: int = 400
    text: str = "Access Denied"

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = cls.__name__

    def __init__(self, message: str | None = None, **detail: str) -> None:
        self.message: str = self.text if message is None else message
        self.detail: dict[str, str] = detail
        super().__init__(f"{self.code}: {self.message}")


# -- who is calling


class AccessDenied(AuthError):
    status = 403


class InvalidAccessKeyId(AuthError):
    status = 403
    text = "The AWS Access Key Id you provided does not exist in our records."


class SignatureDoesNotMatch(AuthError):
    status = 403
    text = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method."
    )


class RequestTimeTooSkewed(AuthError):
    status = 403
    text = "The difference between the request time and the current time is too large."


class InvalidToken(AuthError):
    text = "The provided token is malformed or otherwise invalid."


class ExpiredToken(AuthError):
    text = "The provided token has expired."


# -- how the request says it


class AuthorizationHeaderMalformed(AuthError):
    text = "The authorization header that you provided is not valid."


class AuthorizationQueryParametersError(AuthError):
    text = "The authorization query parameters that you provided are not valid."


class InvalidArgument(AuthError):
    text = "Invalid Argument"


class InvalidRequest(AuthError):
    text = "Invalid Request"


class InvalidURI(AuthError):
    text = "Couldn't parse the specified URI."


class Unsupported(AuthError):
    """A way of signing or sending that S3 has and this gateway has not."""

    code = "NotImplemented"
    status = 501
    text = "A header you provided implies functionality that is not implemented"


# -- the body


class MissingContentLength(AuthError):
    status = 411
    text = "You must provide the Content-Length HTTP header."


class IncompleteBody(AuthError, errors.IncompleteBody):
    text = "The request body terminated unexpectedly"


class RequestTimeout(AuthError, errors.IncompleteBody):
    text = "Your socket connection to the server was not read from or written to within the timeout period."


class XAmzContentSHA256Mismatch(AuthError):
    text = "The provided 'x-amz-content-sha256' header does not match what was computed."


class InvalidDigest(AuthError):
    text = "The Content-MD5 you specified was invalid."


class MalformedTrailerError(AuthError):
    text = "The request contained trailing data that was not well-formed or did not conform to our published schema."


class InvalidChunkSizeError(AuthError):
    text = "Only the last chunk is allowed to have a size less than 8192 bytes"


class MaxMessageLengthExceeded(AuthError):
    text = "Your request was too big."
