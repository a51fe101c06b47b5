"""Signed forms: AWS's own example, what boto3 makes, and every way to get it wrong."""

from __future__ import annotations

import base64
import calendar
from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from botocore.config import Config

from gateway.auth import errors
from gateway.auth.sigv4 import Credential, Verifier
from gateway.types import Principal

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PRINCIPAL = Principal("alice", "Alice", "c" * 64, "default", False, ACCESS_KEY)

# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
POLICY = """{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}""".replace("\n", "\r\n")
SIGNATURE = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
NOW = calendar.timegm((2015, 12, 29, 12, 0, 0))
FIELDS = {
    "policy": base64.b64encode(POLICY.encode()).decode(),
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": f"{ACCESS_KEY}/20151229/us-east-1/s3/aws4_request",
    "x-amz-date": "20151229T000000Z",
    "x-amz-signature": SIGNATURE,
}


def verifier(now: float = NOW) -> Verifier:
    async def find(access_key: str) -> Credential | None:
        return Credential(SECRET, PRINCIPAL) if access_key == ACCESS_KEY else None

    return Verifier(find, clock=lambda: now)


def version_2() -> dict[str, str]:
    session = boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET)
    client = session.client("s3", region_name="us-east-1", config=Config(signature_version="s3"))
    fields: dict[str, str] = client.generate_presigned_post("b", "k")["fields"]
    client.close()
    return {name.lower(): value for name, value in fields.items()}


async def test_the_example_of_aws() -> None:
    identity = await verifier().verify_form(FIELDS)
    assert identity.principal is PRINCIPAL
    assert (identity.auth_type, identity.signature_version) == ("POST", "AWS4-HMAC-SHA256")
    assert identity.signed_at == calendar.timegm((2015, 12, 29, 0, 0, 0))


async def test_version_2_as_boto3_signs_it() -> None:
    identity = await verifier().verify_form(version_2())
    assert identity.principal is PRINCIPAL
    assert (identity.auth_type, identity.signature_version, identity.signed_at) == ("POST", "AWS", None)


@pytest.mark.parametrize("fields", [{}, {"key": "k"}, {"policy": FIELDS["policy"]}])
async def test_a_form_that_claims_nothing_is_nobodys(fields: Mapping[str, str]) -> None:
    identity = await verifier().verify_form(fields)
    assert identity.principal is None
    assert identity.auth_type == ""


@pytest.mark.parametrize(
    ("missing", "shown"),
    [
        (("x-amz-signature",), "X-Amz-Signature"),
        (("x-amz-algorithm", "x-amz-credential"), "X-Amz-Algorithm"),
        (("x-amz-credential",), "X-Amz-Credential"),
        (("x-amz-date",), "X-Amz-Date"),
        (("policy",), "Policy"),
    ],
)
async def test_a_claim_that_is_not_whole_names_what_is_missing(missing: tuple[str, ...], shown: str) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        await verifier().verify_form({name: value for name, value in FIELDS.items() if name not in missing})
    assert caught.value.message == (
        f"Bucket POST must contain a field named '{shown}'.  If it is specified, please check the order of the fields."
    )
    assert caught.value.detail == {"ArgumentName": shown, "ArgumentValue": ""}


@pytest.mark.parametrize(
    ("missing", "shown"), [("signature", "Signature"), ("awsaccesskeyid", "AWSAccessKeyId"), ("policy", "Policy")]
)
async def test_the_same_for_version_2(missing: str, shown: str) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        await verifier().verify_form({name: value for name, value in version_2().items() if name != missing})
    assert caught.value.detail["ArgumentName"] == shown


WRONG: dict[str, tuple[dict[str, Any], type[errors.AuthError], str]] = {
    "signature": ({"x-amz-signature": "0" * 64}, errors.SignatureDoesNotMatch, "does not match"),
    "not-ascii": ({"x-amz-signature": "\u00e9" * 64}, errors.SignatureDoesNotMatch, "does not match"),
    "upper-case": ({"x-amz-signature": SIGNATURE.upper()}, errors.SignatureDoesNotMatch, "does not match"),
    "policy": ({"policy": FIELDS["policy"][:-4]}, errors.SignatureDoesNotMatch, "does not match"),
    "access-key": (
        {"x-amz-credential": "AKIAIOSFODNN7EXAMPLF/20151229/us-east-1/s3/aws4_request"},
        errors.InvalidAccessKeyId,
        "does not exist",
    ),
    "algorithm": ({"x-amz-algorithm": "AWS4-HMAC-SHA1"}, errors.InvalidArgument, "only supports"),
    "region": (
        {"x-amz-credential": f"{ACCESS_KEY}/20151229/eu-west-1/s3/aws4_request"},
        errors.InvalidArgument,
        "the region 'eu-west-1' is wrong; expecting 'us-east-1'",
    ),
    "service": (
        {"x-amz-credential": f"{ACCESS_KEY}/20151229/us-east-1/sns/aws4_request"},
        errors.InvalidArgument,
        "incorrect service",
    ),
    "credential": ({"x-amz-credential": "nonsense"}, errors.InvalidArgument, "mal-formed"),
    "date": ({"x-amz-date": "2015-12-29"}, errors.InvalidArgument, "Invalid credential date"),
    "date-form": ({"x-amz-date": "20151229T000000"}, errors.InvalidArgument, "must be formated via ISO8601"),
    "other-day": ({"x-amz-date": "20151228T000000Z"}, errors.InvalidArgument, "Invalid credential date"),
    "token": ({"x-amz-security-token": "t"}, errors.InvalidToken, "malformed"),
    "both-versions": ({"awsaccesskeyid": ACCESS_KEY, "signature": "s"}, errors.InvalidArgument, "Only one"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_refused(name: str) -> None:
    change, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        await verifier().verify_form({**FIELDS, **change})


async def test_a_mismatch_shows_what_was_signed() -> None:
    with pytest.raises(errors.SignatureDoesNotMatch) as caught:
        await verifier().verify_form({**FIELDS, "x-amz-signature": "x"})
    assert caught.value.detail == {
        "AWSAccessKeyId": ACCESS_KEY,
        "StringToSign": FIELDS["policy"],
        "SignatureProvided": "x",
        "StringToSignBytes": FIELDS["policy"].encode().hex(" "),
    }


@pytest.mark.parametrize("shift", [-901, 7 * 24 * 3600 + 1])
async def test_a_signature_is_valid_for_a_week(shift: int) -> None:
    with pytest.raises(errors.AccessDenied):
        await verifier(calendar.timegm((2015, 12, 29, 0, 0, 0)) + shift).verify_form(FIELDS)
