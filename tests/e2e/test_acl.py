"""ACLs in force: a gateway whose buckets' objects are their writers', two users of two tenants, and nobody."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.client import BaseClient

from tests.e2e.harness import Key, Server, keys_of, refused, unique

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.fixture(scope="module")
def open_server(new_server: Callable[..., Server]) -> Server:
    return new_server(NEXUS_DEFAULT_OWNERSHIP="ObjectWriter")


@pytest.fixture(scope="module")
def clients(open_server: Server) -> Iterator[tuple[BaseClient, BaseClient, BaseClient]]:
    """Alice, Bob of another tenant, and nobody."""
    tag = uuid.uuid4().hex[:8]
    made = (
        open_server.s3(open_server.user(f"alice-{tag}", f"a-{tag}")),
        open_server.s3(open_server.user(f"bob-{tag}", f"b-{tag}")),
        open_server.s3(Key("", "", ""), signature_version=UNSIGNED),
    )
    yield made
    for client in made:
        client.close()


@pytest.fixture
def alice(clients: tuple[BaseClient, ...]) -> BaseClient:
    return clients[0]


@pytest.fixture
def bob(clients: tuple[BaseClient, ...]) -> BaseClient:
    return clients[1]


@pytest.fixture
def nobody(clients: tuple[BaseClient, ...]) -> BaseClient:
    return clients[2]


@pytest.fixture
def own(alice: BaseClient) -> str:
    """A fresh bucket of Alice's."""
    name = unique("acl")
    alice.create_bucket(Bucket=name)
    return name


def id_of(client: BaseClient) -> str:
    owner: str = client.list_buckets()["Owner"]["ID"]
    return owner


def grants(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(grant["Grantee"].get("URI") or grant["Grantee"]["ID"], grant["Permission"]) for grant in answer["Grants"]}


def test_everything_is_private_at_first(alice: BaseClient, bob: BaseClient, nobody: BaseClient, own: str) -> None:
    alice.put_object(Bucket=own, Key="key", Body=b"x")
    assert grants(alice.get_bucket_acl(Bucket=own)) == {(id_of(alice), "FULL_CONTROL")}
    assert grants(alice.get_object_acl(Bucket=own, Key="key", VersionId="null")) == {(id_of(alice), "FULL_CONTROL")}
    for stranger in (bob, nobody):
        for operation, members in (
            ("get_object", {"Key": "key"}),
            ("get_object", {"Key": "absent"}),
            ("get_object_acl", {"Key": "key"}),
            ("get_object_attributes", {"Key": "key", "ObjectAttributes": ["ETag"]}),
            ("get_object_tagging", {"Key": "key"}),
            ("put_object_acl", {"Key": "key", "ACL": "public-read"}),
            ("put_object", {"Key": "key", "Body": b"evil"}),
            ("delete_object", {"Key": "key"}),
            ("create_multipart_upload", {"Key": "key"}),
            ("list_objects_v2", {}),
            ("list_object_versions", {}),
            ("get_bucket_acl", {}),
            ("put_bucket_acl", {"ACL": "public-read-write"}),
            ("get_bucket_location", {}),
            ("delete_bucket", {}),
        ):
            with refused("AccessDenied", 403):
                getattr(stranger, operation)(Bucket=own, **members)
        refusals = stranger.delete_objects(Bucket=own, Delete={"Objects": [{"Key": "key"}]})["Errors"]
        assert [error["Code"] for error in refusals] == ["AccessDenied"]
    with refused("AccessDenied", 403):
        nobody.list_buckets()
    with refused("AccessDenied", 403):
        nobody.create_bucket(Bucket=unique("nobody"))


def test_a_public_object_in_a_private_bucket(alice: BaseClient, nobody: BaseClient, own: str) -> None:
    alice.put_object(Bucket=own, Key="key", Body=b"open", ACL="public-read")
    assert nobody.get_object(Bucket=own, Key="key")["Body"].read() == b"open"
    assert nobody.head_object(Bucket=own, Key="key")["ContentLength"] == 4
    with refused("AccessDenied", 403):
        nobody.list_objects_v2(Bucket=own)
    with refused("AccessDenied", 403):
        nobody.get_object_acl(Bucket=own, Key="key")
    # Overwriting makes it private again, and so does copying.
    alice.copy_object(Bucket=own, Key="copy", CopySource=f"{own}/key")
    alice.put_object(Bucket=own, Key="key", Body=b"closed")
    for key in ("key", "copy"):
        with refused("AccessDenied", 403):
            nobody.get_object(Bucket=own, Key=key)


def test_a_listing_tells_absent_keys_apart(alice: BaseClient, nobody: BaseClient, own: str) -> None:
    alice.put_object(Bucket=own, Key="key", Body=b"x")
    alice.put_bucket_acl(Bucket=own, ACL="public-read")
    assert keys_of(nobody, own) == ["key"]
    with refused("AccessDenied", 403):
        nobody.get_object(Bucket=own, Key="key")
    with refused("NoSuchKey", 404):
        nobody.get_object(Bucket=own, Key="absent")


def test_objects_are_their_writers(alice: BaseClient, bob: BaseClient, own: str) -> None:
    alice.put_bucket_acl(Bucket=own, ACL="public-read-write")
    bob.put_object(Bucket=own, Key="his", Body=b"bob's")
    assert bob.get_object_acl(Bucket=own, Key="his")["Owner"]["ID"] == id_of(bob)
    assert alice.list_objects(Bucket=own)["Contents"][0]["Owner"]["ID"] == id_of(bob)
    with refused("AccessDenied", 403):
        alice.get_object(Bucket=own, Key="his")
    with refused("AccessDenied", 403):
        alice.copy_object(Bucket=own, Key="stolen", CopySource=f"{own}/his")
    with refused("AccessDenied", 403):
        alice.put_object_acl(Bucket=own, Key="his", ACL="public-read")
    bob.put_object_acl(Bucket=own, Key="his", ACL="bucket-owner-read")
    assert alice.get_object(Bucket=own, Key="his")["Body"].read() == b"bob's"
    upload = bob.create_multipart_upload(Bucket=own, Key="big", ACL="bucket-owner-full-control")["UploadId"]
    part = bob.upload_part(Bucket=own, Key="big", UploadId=upload, PartNumber=1, Body=b"part")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    bob.complete_multipart_upload(Bucket=own, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert grants(alice.get_object_acl(Bucket=own, Key="big")) == {
        (id_of(bob), "FULL_CONTROL"),
        (id_of(alice), "FULL_CONTROL"),
    }
    alice.delete_object(Bucket=own, Key="his")
    assert keys_of(alice, own) == ["big"]


def test_nobodys_objects_are_the_bucket_owners(alice: BaseClient, nobody: BaseClient, own: str) -> None:
    alice.put_bucket_acl(Bucket=own, ACL="public-read-write")
    nobody.put_object(Bucket=own, Key="key", Body=b"gift")
    assert alice.get_object(Bucket=own, Key="key")["Body"].read() == b"gift"
    with refused("AccessDenied", 403):
        nobody.get_object(Bucket=own, Key="key")
    with refused("AccessDenied", 403):
        nobody.create_multipart_upload(Bucket=own, Key="key")


def test_grants_by_header_and_document(alice: BaseClient, bob: BaseClient, own: str) -> None:
    alice.put_object(Bucket=own, Key="key", Body=b"x", GrantRead=f'id="{id_of(bob)}"', GrantReadACP=f"uri={ALL_USERS}")
    assert bob.get_object(Bucket=own, Key="key")["Body"].read() == b"x"
    assert grants(bob.get_object_acl(Bucket=own, Key="key")) == {(id_of(bob), "READ"), (ALL_USERS, "READ_ACP")}
    policy = alice.get_bucket_acl(Bucket=own)
    policy = {"Owner": policy["Owner"], "Grants": policy["Grants"]}
    policy["Grants"].append({"Grantee": {"Type": "CanonicalUser", "ID": id_of(bob)}, "Permission": "WRITE"})
    alice.put_bucket_acl(Bucket=own, AccessControlPolicy=policy)
    bob.put_object(Bucket=own, Key="new", Body=b"y")
    with refused("AccessDenied", 403):
        keys_of(bob, own)
    with refused("AccessDenied", 403):
        alice.put_bucket_acl(Bucket=own, AccessControlPolicy={**policy, "Owner": {"ID": id_of(bob)}})
    alice.put_bucket_acl(Bucket=own, AccessControlPolicy={**policy, "Grants": []})
    assert alice.get_bucket_acl(Bucket=own)["Grants"] == []


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"ACL": "public"}, "InvalidArgument"),
        ({"ACL": "private", "GrantRead": f"uri={ALL_USERS}"}, "InvalidRequest"),
        ({"GrantRead": "id=unknown"}, "InvalidArgument"),
        ({"GrantRead": "uri=http://example.org/group"}, "InvalidArgument"),
        ({"GrantRead": "emailAddress=nobody@example.org"}, "UnresolvableGrantByEmailAddress"),
        ({"GrantRead": "everybody"}, "InvalidArgument"),
        ({}, "MissingSecurityHeader"),
        ({"ACL": "private", "AccessControlPolicy": {"Grants": []}}, "UnexpectedContent"),
        ({"AccessControlPolicy": {"Grants": []}}, "MalformedACLError"),
    ],
)
def test_acls_that_cannot_be(alice: BaseClient, own: str, members: dict[str, Any], code: str) -> None:
    with refused(code):
        alice.put_bucket_acl(Bucket=own, **members)
    assert grants(alice.get_bucket_acl(Bucket=own)) == {(id_of(alice), "FULL_CONTROL")}


def test_where_acls_are_off(alice: BaseClient, nobody: BaseClient) -> None:
    bucket = unique("off")
    with refused("InvalidBucketAclWithObjectOwnership", 400):
        alice.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced", ACL="public-read")
    alice.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced")
    alice.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="bucket-owner-full-control")
    alice.put_object_acl(Bucket=bucket, Key="key", ACL="bucket-owner-full-control")
    for members in ({"ACL": "private"}, {"ACL": "public-read"}, {"GrantRead": f"uri={ALL_USERS}"}):
        for operation, more in (
            ("put_object", {"Key": "key", "Body": b"y"}),
            ("put_object_acl", {"Key": "key"}),
            ("copy_object", {"Key": "copy", "CopySource": f"{bucket}/key"}),
            ("create_multipart_upload", {"Key": "key"}),
            ("put_bucket_acl", {}),
        ):
            with refused("AccessControlListNotSupported", 400):
                getattr(alice, operation)(Bucket=bucket, **members, **more)
    assert grants(alice.get_object_acl(Bucket=bucket, Key="key")) == {(id_of(alice), "FULL_CONTROL")}
    with refused("AccessDenied", 403):
        nobody.get_object(Bucket=bucket, Key="key")


def test_a_refused_upload_of_nobody_is_not_asked_for_its_body(open_server: Server, alice: BaseClient, own: str) -> None:
    head = b"PUT /%s/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n" % own.encode()
    for acl, first in (("private", b"HTTP/1.1 403"), ("public-read-write", b"HTTP/1.1 100")):
        alice.put_bucket_acl(Bucket=own, ACL=acl)
        with closing(http.client.HTTPConnection("127.0.0.1", open_server.port, timeout=5)) as connection:
            connection.connect()
            connection.sock.sendall(head)
            assert connection.sock.recv(12) == first
