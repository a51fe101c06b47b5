"""Presigned URLs of Version 2, with botocore as oracle."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from gateway.auth.errors import AuthError, InvalidToken, SignatureDoesNotMatch
from gateway.auth.sigv4 import Credential, Identity, RequestHead, Verifier
from gateway.types import Principal

ALICE = Principal("alice", "Alice", "a" * 64, "default", False, "AKIDEXAMPLE")


async def find(access_key: str) -> Credential | None:
    return Credential("secret", ALICE) if access_key == "AKIDEXAMPLE" else None


def presign(method: str = "get_object", expires: int = 60, secret: str = "secret", **params: Any) -> str:
    client = boto3.client(
        "s3",
        endpoint_url="http://localhost:8765",
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=secret,
        config=Config(signature_version="s3", s3={"addressing_style": "path"}),
    )
    url: str = client.generate_presigned_url(
        method, Params={"Bucket": "b", "Key": "k é+/x", **params}, ExpiresIn=expires
    )
    return url


async def verify(url: str, method: str = "GET", bucket: str | None = None, **headers: str) -> Identity:
    parts = urlsplit(url)
    sent = [(b"host", b"localhost:8765")]
    sent += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return await Verifier(find).verify(RequestHead(method, parts.path.encode(), parts.query.encode(), sent, bucket))


async def test_what_botocore_signs_is_known() -> None:
    assert (await verify(presign())).principal == ALICE
    assert (await verify(presign("put_object"), "PUT")).principal == ALICE
    assert (await verify(presign(ResponseContentType="text/x y", VersionId="null"))).principal == ALICE


async def test_headers_may_be_told_in_the_query() -> None:
    url = presign("put_object", Metadata={"a": "b c"}, ACL="private", ContentType="image/png")
    assert "x-amz-meta-a=" in url and "content-type=" in url
    assert (await verify(url, "PUT", content_type="image/png")).principal == ALICE
    assert (
        await verify(url, "PUT", content_type="image/png", x_amz_meta_a="b c", x_amz_acl="private")
    ).principal == ALICE
    for attempt in (
        verify(url, "PUT"),
        verify(url, "PUT", content_type="image/gif"),
        verify(url.replace("b%20c", "evil"), "PUT", content_type="image/png"),
        verify(url, "PUT", content_type="image/png", x_amz_acl="public-read"),
        verify(url + "&x-amz-copy-source=b/k", "PUT", content_type="image/png"),
    ):
        with pytest.raises(SignatureDoesNotMatch):
            await attempt
    with pytest.raises(InvalidToken):
        await verify(url + "&x-amz-security-token=t", "PUT", content_type="image/png")


async def test_the_bucket_may_stand_in_the_host() -> None:
    url = presign()
    assert (await verify(url.replace("/b/", "/"), bucket="b")).principal == ALICE
    with pytest.raises(SignatureDoesNotMatch):
        await verify(url.replace("/b/", "/"), bucket="c")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda url: url.replace("/b/k", "/c/k"), "SignatureDoesNotMatch"),
        (lambda url: url.replace("Signature=", "Signature=x"), "SignatureDoesNotMatch"),
        (lambda url: url.replace("Expires=", "Expires=9"), "AccessDenied"),
        (lambda url: url.replace("Expires=1", "Expires=2"), "AccessDenied"),
        (lambda url: url.replace("Expires=1", "Expires=91"), "AccessDenied"),
        (lambda url: url + "&versionId=null", "SignatureDoesNotMatch"),
        (lambda url: url + "&list-type=2", "AccessDenied"),
        (lambda url: url + "&Expires=99999999999", "InvalidArgument"),
        (lambda url: url.replace("AKIDEXAMPLE", "SOMEBODYELSE"), "InvalidAccessKeyId"),
        (lambda url: url.split("&Signature")[0], "AccessDenied"),
    ],
)
async def test_what_was_altered_is_refused(change: object, code: str) -> None:
    with pytest.raises(AuthError) as refused:
        await verify(change(presign()))  # type: ignore[operator]
    assert refused.value.code == code


async def test_other_methods_headers_secrets_and_times_are_refused() -> None:
    for attempt in (
        verify(presign(), "DELETE"),
        verify(presign("put_object"), "PUT", x_amz_copy_source="/b/other"),
        verify(presign("put_object"), "PUT", content_type="text/html"),
        verify(presign(secret="other")),
        verify(presign(expires=-10)),
        verify(presign(expires=30 * 24 * 3600)),
        verify(presign(), authorization="AWS4-HMAC-SHA256 x"),
    ):
        with pytest.raises(AuthError):
            await attempt
