"""Public access block of a whole tenant, by S3 Control on the same port: boto3's client and stock aws-cli."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore.client import BaseClient
from botocore.config import Config

from tests.e2e.harness import ONCE, REGION, Key, Server, keys_of, refused, unique
from tests.e2e.signing import Raw

ALL = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
NONE = dict.fromkeys(ALL, False)
PATH = "/v20180820/configuration/publicAccessBlock"
RESOLVES = """
import socket
known = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **options: known("127.0.0.1", *more, **options)
"""
"""Clients put the account before the endpoint's name; a resolver that knows every name below localhost is rare."""


@pytest.fixture(scope="module")
def open_server(new_server: Callable[..., Server]) -> Server:
    return new_server("--s3-domain", "localhost", NEXUS_DEFAULT_OWNERSHIP="ObjectWriter")


@pytest.fixture
def control(open_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., BaseClient]]:
    known, made = socket.getaddrinfo, []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: known("127.0.0.1", *more, **options))

    def make(key: Key | None = None) -> BaseClient:
        key = key or open_server.admin
        made.append(
            boto3.client(
                "s3control",
                endpoint_url=f"http://localhost:{open_server.port}",
                region_name=REGION,
                aws_access_key_id=key.access_key,
                aws_secret_access_key=key.secret_key,
                config=Config(retries=ONCE),
            )
        )
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def tenant(open_server: Server) -> tuple[str, Key]:
    """A tenant of its own and the key of its user."""
    name = unique("t")
    return name, open_server.user(unique("u"), name)


def public_policy(bucket: str) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_put_get_and_delete(control: Callable[..., BaseClient], tenant: tuple[str, Key]) -> None:
    account, _ = tenant
    admin = control()
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        admin.get_public_access_block(AccountId=account)
    some = {**NONE, "BlockPublicPolicy": True}
    admin.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    assert admin.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"] == some
    admin.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=ALL)
    assert admin.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"] == ALL
    admin.delete_public_access_block(AccountId=account)
    admin.delete_public_access_block(AccountId=account)
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        admin.get_public_access_block(AccountId=account)


def test_aws_cli(open_server: Server, tenant: tuple[str, Key]) -> None:
    account, _ = tenant

    def aws(command: str, *more: str) -> str:
        arguments = ["s3control", command, "--account-id", account, "--region", REGION, *more]
        done = subprocess.run(
            [
                *(sys.executable, "-c", f"{RESOLVES}\nimport sys\nfrom awscli.clidriver import main\nsys.exit(main())"),
                *("--endpoint-url", f"http://localhost:{open_server.port}", *arguments),
            ],
            capture_output=True,
            text=True,
            env={**os.environ, **open_server.admin.environment(), "AWS_CONFIG_FILE": os.devnull},
        )
        return done.stdout + done.stderr

    switches = ",".join(f"{name}=true" for name in ALL)
    assert aws("put-public-access-block", "--public-access-block-configuration", switches) == ""
    assert json.loads(aws("get-public-access-block")) == {"PublicAccessBlockConfiguration": ALL}
    assert aws("delete-public-access-block") == ""
    assert "NoSuchPublicAccessBlockConfiguration" in aws("get-public-access-block")


def test_it_holds_for_every_bucket_of_the_tenant(
    open_server: Server, control: Callable[..., BaseClient], tenant: tuple[str, Key]
) -> None:
    account, key = tenant
    user, admin, bucket = open_server.s3(key), control(), unique("open")
    url = f"{open_server.url}/{bucket}/k"
    user.create_bucket(Bucket=bucket)
    user.put_object(Bucket=bucket, Key="k", Body=b"body", ACL="public-read")
    assert requests.get(url, timeout=5).status_code == 200

    admin.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    assert requests.get(url, timeout=5).status_code == 403
    user.put_bucket_policy(Bucket=bucket, Policy=public_policy(bucket))
    assert requests.get(url, timeout=5).status_code == 200

    admin.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    user.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    assert requests.get(url, timeout=5).status_code == 403
    assert user.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"

    admin.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=ALL)
    with refused("AccessDenied", 403):
        user.put_bucket_policy(Bucket=bucket, Policy=public_policy(bucket))
    with refused("AccessDenied", 403):
        user.put_object(Bucket=bucket, Key="new", Body=b"", ACL="public-read")
    with refused("AccessDenied", 403):
        user.create_bucket(Bucket=unique("open"), ACL="public-read")
    # What the bucket itself says is another thing; the stricter of both counts.
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        user.get_public_access_block(Bucket=bucket)
    user.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=NONE)
    assert requests.get(url, timeout=5).status_code == 403

    admin.delete_public_access_block(AccountId=account)
    assert requests.get(url, timeout=5).status_code == 200
    assert keys_of(user, bucket) == ["k"]
    user.close()


def test_other_tenants_are_left_alone(
    open_server: Server, control: Callable[..., BaseClient], tenant: tuple[str, Key]
) -> None:
    control().put_public_access_block(AccountId=tenant[0], PublicAccessBlockConfiguration=ALL)
    other, bucket = open_server.s3(open_server.user(unique("u"), unique("t"))), unique("open")
    other.create_bucket(Bucket=bucket, ACL="public-read")
    assert requests.get(f"{open_server.url}/{bucket}", timeout=5).status_code == 200
    other.close()


def test_who_may(open_server: Server, control: Callable[..., BaseClient], tenant: tuple[str, Key]) -> None:
    account, key = tenant
    admin, user, stranger = control(), control(key), control(open_server.user(unique("u"), unique("t")))
    admin.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=ALL)
    assert user.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"] == ALL
    for client in (user, stranger):
        with refused("AccessDenied", 403):
            client.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=NONE)
        with refused("AccessDenied", 403):
            client.delete_public_access_block(AccountId=account)
    with refused("AccessDenied", 403):
        stranger.get_public_access_block(AccountId=account)
    for call in (admin.put_public_access_block, stranger.put_public_access_block):
        with refused("AccessDenied", 403):
            call(AccountId=unique("absent"), PublicAccessBlockConfiguration=ALL)
    assert requests.get(open_server.url + PATH, headers={"x-amz-account-id": account}, timeout=5).status_code == 403
    assert admin.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"] == ALL


BODIES: dict[str, tuple[str, bytes, str]] = {
    "no-xml": ("PUT", b"nonsense", "MalformedXML"),
    "empty": ("PUT", b"", "MalformedXML"),
    "other-root": ("PUT", b"<Tagging/>", "MalformedXML"),
    "no-boolean": (
        "PUT",
        b"<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls></PublicAccessBlockConfiguration>",
        "MalformedXML",
    ),
    "too-long": ("PUT", b"<PublicAccessBlockConfiguration/>" + b" " * 100_000, "MaxMessageLengthExceeded"),
    "method": ("POST", b"", "MethodNotAllowed"),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_refused(open_server: Server, tenant: tuple[str, Key], name: str) -> None:
    method, body, code = BODIES[name]
    headers = {"x-amz-account-id": tenant[0]}
    status, _, content = Raw(open_server).send(method, PATH, headers=headers, body=body)
    assert status in (400, 405)
    # S3 Control wraps its errors.
    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<ErrorResponse><Error><Code>' + code.encode())
    assert content.endswith(b"</HostId></ErrorResponse>")


def test_the_rest_of_s3_control_is_not_served(control: Callable[..., BaseClient]) -> None:
    with refused("NotImplemented", 501):
        control().list_access_points(AccountId="default")


def test_narrowed_keys(open_server: Server, control: Callable[..., BaseClient], tenant: tuple[str, Key]) -> None:
    name = unique("admin")
    open_server.nexus("admin", "create-user", name, "--admin")
    for option, value in (("--readonly", ()), ("--prefix", ("/somewhere",))):
        key = Key.of(open_server.nexus("admin", "create-user-key", name, option, *value)["api_key"])
        with refused("AccessDenied", 403):
            control(key).put_public_access_block(AccountId=tenant[0], PublicAccessBlockConfiguration=ALL)
        with refused("NoSuchPublicAccessBlockConfiguration", 404):
            control(key).get_public_access_block(AccountId=tenant[0])


def test_the_path_is_also_a_bucket_and_a_key(open_server: Server) -> None:
    s3 = open_server.s3()
    s3.create_bucket(Bucket="v20180820")
    s3.put_object(Bucket="v20180820", Key="configuration/publicAccessBlock", Body=b"body")
    assert s3.get_object(Bucket="v20180820", Key="configuration/publicAccessBlock")["Body"].read() == b"body"
    s3.close()


def test_it_outlives_the_server(open_server: Server, control: Callable[..., Any], tenant: tuple[str, Key]) -> None:
    control().put_public_access_block(AccountId=tenant[0], PublicAccessBlockConfiguration=ALL)
    open_server.stop()
    open_server.start()
    found = control().get_public_access_block(AccountId=tenant[0])
    assert found["PublicAccessBlockConfiguration"] == ALL
