"""What the fields of an HTML form claim: who signed its policy, by Version 4 or by Version 2.

The policy, in the very text that the form sent, is all that is signed; what it demands of the other fields is checked
by whoever acts on them. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/HTTPPOSTForms.html
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import NamedTuple

from gateway.auth.errors import AuthError, InvalidArgument, InvalidToken, SignatureDoesNotMatch
from gateway.auth.scope import Scopes

ALGORITHM = "AWS4-HMAC-SHA256"
VERSION_4 = {
    "x-amz-algorithm": "X-Amz-Algorithm",
    "x-amz-credential": "X-Amz-Credential",
    "x-amz-date": "X-Amz-Date",
    "x-amz-signature": "X-Amz-Signature",
    "policy": "Policy",
}
VERSION_2 = {"awsaccesskeyid": "AWSAccessKeyId", "signature": "Signature", "policy": "Policy"}
"""The fields of either version in lower case, and as AWS's refusals call them. A policy alone claims nothing."""


class FormClaim(NamedTuple):
    """What a form says of its signature."""

    access_key: str
    policy: bytes
    """As it was sent, which is what was signed."""
    signature: str
    scope: bytes
    """Of the key that signed; empty for Version 2."""
    timestamp: bytes
    """Empty for Version 2."""

    @property
    def version(self) -> str:
        """As bucket policies call it."""
        return ALGORITHM if self.scope else "AWS"


def read(fields: Mapping[str, str], scopes: Scopes) -> FormClaim | None:
    """The claim of a form whose field names are in lower case; None where it makes none.

    Raises InvalidArgument for a claim that is not whole, InvalidToken.
    """
    if "x-amz-security-token" in fields:
        raise InvalidToken
    by_version_4 = any(name in fields for name in VERSION_4 if name != "policy")
    by_version_2 = any(name in fields for name in VERSION_2 if name != "policy")
    if by_version_4 and by_version_2:
        raise InvalidArgument("Only one auth mechanism allowed", ArgumentName="Signature", ArgumentValue="")
    if by_version_4:
        return _read_version_4(fields, scopes)
    return _read_version_2(fields) if by_version_2 else None


def sign(claim: FormClaim, key: bytes) -> str:
    """The signature that the claim should have: ``key`` is the derived one, or for Version 2 the secret."""
    if claim.scope:
        return hmac.digest(key, claim.policy, "sha256").hex()
    return base64.b64encode(hmac.digest(key, claim.policy, "sha1")).decode()


def mismatch(claim: FormClaim) -> AuthError:
    return SignatureDoesNotMatch(
        AWSAccessKeyId=claim.access_key,
        StringToSign=claim.policy.decode(),
        SignatureProvided=claim.signature,
        StringToSignBytes=claim.policy.hex(" "),
    )


def bad_date(text: bytes) -> AuthError:
    return InvalidArgument(
        "X-Amz-Date must be formated via ISO8601 Long format",
        ArgumentName="X-Amz-Date",
        ArgumentValue=text.decode(),
    )


def missing_field(name: str) -> AuthError:
    """The refusal of a form that lacks a field, or has it below the file, where nothing counts."""
    return InvalidArgument(
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields.",
        ArgumentName=name,
        ArgumentValue="",
    )


def _read_version_4(fields: Mapping[str, str], scopes: Scopes) -> FormClaim:
    _require(fields, VERSION_4)
    if fields["x-amz-algorithm"] != ALGORITHM:
        raise InvalidArgument(
            f'X-Amz-Algorithm only supports "{ALGORITHM}"',
            ArgumentName="X-Amz-Algorithm",
            ArgumentValue=fields["x-amz-algorithm"],
        )
    credential = fields["x-amz-credential"]

    def fault(reason: str, **detail: str) -> AuthError:
        return InvalidArgument(reason, ArgumentName="X-Amz-Credential", ArgumentValue=credential, **detail)

    access_key, scope = scopes.split(credential.encode(), fault)
    timestamp = fields["x-amz-date"].encode()
    if timestamp[:8] != scope[:8]:
        raise fault(
            f'Invalid credential date "{scope[:8].decode()}". This date is not the same as X-Amz-Date: '
            f'"{timestamp[:8].decode(errors="replace")}".'
        )
    return FormClaim(access_key, fields["policy"].encode(), fields["x-amz-signature"], scope, timestamp)


def _read_version_2(fields: Mapping[str, str]) -> FormClaim:
    _require(fields, VERSION_2)
    return FormClaim(fields["awsaccesskeyid"], fields["policy"].encode(), fields["signature"], b"", b"")


def _require(fields: Mapping[str, str], names: Mapping[str, str]) -> None:
    for name, shown in names.items():
        if name not in fields:
            raise missing_field(shown)
