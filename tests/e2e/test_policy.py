"""Bucket policies, ownership controls and public access blocks, as callers meet them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import requests
from botocore import UNSIGNED
from botocore.client import BaseClient

from tests.e2e.harness import Key, Server, refused, unique
from tests.e2e.signing import Raw

OPEN = {"BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}


class People(NamedTuple):
    """Alice owns the buckets; Ann is of her tenant, Bob is not; nobody has no key."""

    alice: BaseClient
    ann: BaseClient
    bob: BaseClient
    nobody: BaseClient
    tenant: str
    names: dict[str, str]


@pytest.fixture(scope="module")
def people(server: Server) -> Iterator[People]:
    tag = uuid.uuid4().hex[:8]
    tenant = f"a-{tag}"
    names = {name: f"{name}-{tag}" for name in ("alice", "ann", "bob")}
    clients = [
        server.s3(server.user(names["alice"], tenant)),
        server.s3(server.user(names["ann"], tenant)),
        server.s3(server.user(names["bob"], f"b-{tag}")),
        server.s3(Key("", "", ""), signature_version=UNSIGNED),
    ]
    yield People(*clients, tenant, names)
    for client in clients:
        client.close()


@pytest.fixture
def own(people: People) -> str:
    """A fresh bucket of Alice's with an object, whose public access nothing blocks."""
    name = unique("policy")
    people.alice.create_bucket(Bucket=name)
    people.alice.delete_public_access_block(Bucket=name)
    people.alice.put_object(Bucket=name, Key="key", Body=b"x")
    return name


def allow(bucket: str, action: str | list[str], **more: Any) -> dict[str, Any]:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resources, **more}


def put(client: BaseClient, bucket: str, *statements: dict[str, Any]) -> None:
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


def test_a_policy_comes_back_as_it_was_put(people: People, own: str) -> None:
    with refused("NoSuchBucketPolicy", 404):
        people.alice.get_bucket_policy(Bucket=own)
    text = json.dumps({"Statement": [allow(own, "s3:GetObject")]}, indent=3)
    people.alice.put_bucket_policy(Bucket=own, Policy=text)
    assert people.alice.get_bucket_policy(Bucket=own)["Policy"] == text
    people.alice.delete_bucket_policy(Bucket=own)
    people.alice.delete_bucket_policy(Bucket=own)
    with refused("NoSuchBucketPolicy", 404):
        people.alice.get_bucket_policy(Bucket=own)


def test_a_refused_policy_changes_nothing(people: People, own: str) -> None:
    put(people.alice, own, allow(own, "s3:GetObject"))
    for statement in (
        allow(own, "s3:Fly"),
        allow("another", "s3:GetObject"),
        allow(own, "s3:GetObject", Principal={"AWS": f"arn:aws:iam::{people.tenant}:user/nobody-we-know"}),
        allow(own, "s3:GetObject", Principal={"CanonicalUser": "0" * 64}),
        allow(own, "s3:GetObject", Condition={"StringMaybe": {"s3:prefix": "a"}}),
    ):
        with refused("MalformedPolicy", 400):
            put(people.alice, own, statement)
    assert people.nobody.get_object(Bucket=own, Key="key")["Body"].read() == b"x"


def test_others_come_in_by_policy_alone(people: People, own: str) -> None:
    for stranger in (people.ann, people.bob, people.nobody):
        with refused("AccessDenied", 403):
            stranger.get_object(Bucket=own, Key="key")
    put(people.alice, own, allow(own, "s3:GetObject", Principal={"AWS": people.tenant}))
    assert people.ann.get_object(Bucket=own, Key="key")["Body"].read() == b"x"
    for stranger in (people.bob, people.nobody):
        with refused("AccessDenied", 403):
            stranger.get_object(Bucket=own, Key="key")
    with refused("AccessDenied", 403):
        people.ann.put_object(Bucket=own, Key="key", Body=b"y")
    # Who may not list does not learn what is absent.
    with refused("AccessDenied", 403):
        people.ann.get_object(Bucket=own, Key="absent")
    put(people.alice, own, allow(own, ["s3:GetObject", "s3:ListBucket"]))
    for guest in (people.ann, people.bob, people.nobody):
        with refused("NoSuchKey", 404):
            guest.get_object(Bucket=own, Key="absent")


def test_one_user_by_name(people: People, own: str) -> None:
    bob = people.names["bob"]
    put(people.alice, own, allow(own, "s3:*", Principal={"AWS": f"arn:aws:iam:::user/{bob}"}))
    people.bob.put_object(Bucket=own, Key="bob", Body=b"1")
    assert people.bob.list_objects_v2(Bucket=own)["KeyCount"] == 2
    people.bob.delete_objects(Bucket=own, Delete={"Objects": [{"Key": "bob"}]})
    with refused("AccessDenied", 403):
        people.ann.get_object(Bucket=own, Key="key")


def test_a_deny_stops_the_owner_and_the_admin_but_for_undoing_it(people: People, own: str, s3: BaseClient) -> None:
    put(people.alice, own, {**allow(own, "s3:*"), "Effect": "Deny"})
    for client in (people.alice, s3):
        with refused("AccessDenied", 403):
            client.get_object(Bucket=own, Key="key")
        with refused("AccessDenied", 403):
            client.list_objects_v2(Bucket=own)
        client.get_bucket_policy(Bucket=own)
    with refused("AccessDenied", 403):
        people.ann.delete_bucket_policy(Bucket=own)
    people.alice.delete_bucket_policy(Bucket=own)
    assert people.alice.get_object(Bucket=own, Key="key")["Body"].read() == b"x"


def test_a_policy_is_for_the_buckets_own_tenant_to_change(people: People, own: str) -> None:
    put(people.alice, own, allow(own, "s3:*"))
    policy = people.ann.get_bucket_policy(Bucket=own)["Policy"]
    for stranger in (people.bob, people.nobody):
        for operation, more in (("get", {}), ("put", {"Policy": policy}), ("delete", {})):
            with refused("MethodNotAllowed", 405):
                getattr(stranger, f"{operation}_bucket_policy")(Bucket=own, **more)
    people.ann.delete_bucket_policy(Bucket=own)


def test_each_request_has_its_own_action(people: People, own: str) -> None:
    alice, ann = people.alice, people.ann
    alice.put_bucket_versioning(Bucket=own, VersioningConfiguration={"Status": "Enabled"})
    version = alice.put_object(Bucket=own, Key="key", Body=b"2")["VersionId"]
    put(alice, own, allow(own, "s3:GetObject"))
    assert ann.get_object(Bucket=own, Key="key")["Body"].read() == b"2"
    with refused("AccessDenied", 403):
        ann.get_object(Bucket=own, Key="key", VersionId=version)
    put(alice, own, allow(own, ["s3:GetObjectVersion", "s3:PutObject"]))
    assert ann.get_object(Bucket=own, Key="key", VersionId=version)["Body"].read() == b"2"
    with refused("AccessDenied", 403):
        ann.get_object(Bucket=own, Key="key")
    # A part of an upload is a put.
    upload = ann.create_multipart_upload(Bucket=own, Key="big")["UploadId"]
    part = ann.upload_part(Bucket=own, Key="big", UploadId=upload, PartNumber=1, Body=b"p")
    chosen = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    ann.complete_multipart_upload(Bucket=own, Key="big", UploadId=upload, MultipartUpload=chosen)
    with refused("AccessDenied", 403):
        ann.list_multipart_uploads(Bucket=own)
    with refused("AccessDenied", 403):
        ann.delete_object(Bucket=own, Key="big")
    with refused("AccessDenied", 403):
        ann.get_object_tagging(Bucket=own, Key="key")


def test_tags_of_a_write_need_their_own_allowance(people: People, own: str) -> None:
    put(people.alice, own, allow(own, "s3:PutObject"))
    people.ann.put_object(Bucket=own, Key="plain", Body=b"1")
    for operation, more in (("put_object", {"Body": b"1"}), ("create_multipart_upload", {})):
        with refused("AccessDenied", 403):
            getattr(people.ann, operation)(Bucket=own, Key="tagged", Tagging="a=b", **more)
    put(people.alice, own, allow(own, ["s3:PutObject", "s3:PutObjectTagging"]))
    people.ann.put_object(Bucket=own, Key="tagged", Body=b"1", Tagging="a=b")


def test_tags_that_a_copy_brings_along_need_it_too(people: People, own: str) -> None:
    """Else whoever may write could give an object the tags by which a policy opens it."""
    source = unique("tagged")
    people.bob.create_bucket(Bucket=source)
    people.bob.put_object(Bucket=source, Key="key", Body=b"1", Tagging="open=yes")
    copy: dict[str, Any] = {"Bucket": own, "Key": "copy", "CopySource": {"Bucket": source, "Key": "key"}}
    put(people.alice, own, allow(own, "s3:PutObject"))
    with refused("AccessDenied", 403):
        people.bob.copy_object(**copy)
    people.bob.copy_object(**copy, TaggingDirective="REPLACE")
    put(people.alice, own, allow(own, ["s3:PutObject", "s3:PutObjectTagging"]))
    people.bob.copy_object(**copy)


def test_a_copy_that_keeps_tags_sets_none(people: People, own: str) -> None:
    tagged = {"StringEquals": {"s3:RequestObjectTag/a": "b"}}
    put(people.alice, own, allow(own, ["s3:PutObject", "s3:PutObjectTagging"], Condition=tagged), allow(own, "s3:Get*"))
    copy: dict[str, Any] = {"Bucket": own, "Key": "copy", "CopySource": {"Bucket": own, "Key": "key"}, "Tagging": "a=b"}
    with refused("AccessDenied", 403):
        people.bob.copy_object(**copy)
    people.bob.copy_object(**copy, TaggingDirective="REPLACE")


def test_conditions_on_the_request(people: People, own: str) -> None:
    alice, ann = people.alice, people.ann
    alice.put_object(Bucket=own, Key="a/open", Body=b"1", Tagging="class=open")
    alice.put_object(Bucket=own, Key="a/shut", Body=b"1", Tagging="class=shut")
    put(
        alice,
        own,
        allow(own, "s3:ListBucket", Condition={"StringLike": {"s3:prefix": ["a/*"]}}),
        allow(own, "s3:GetObject", Condition={"StringEquals": {"s3:ExistingObjectTag/class": "open"}}),
        allow(own, "s3:PutObject", Condition={"StringEquals": {"s3:RequestObjectTag/class": "open"}}),
        allow(own, "s3:PutObjectTagging"),
    )
    assert ann.list_objects_v2(Bucket=own, Prefix="a/")["KeyCount"] == 2
    for prefix in ("", "b/"):
        with refused("AccessDenied", 403):
            ann.list_objects_v2(Bucket=own, Prefix=prefix)
    assert ann.get_object(Bucket=own, Key="a/open")["Body"].read() == b"1"
    for key in ("a/shut", "key"):
        with refused("AccessDenied", 403):
            ann.get_object(Bucket=own, Key=key)
    ann.put_object(Bucket=own, Key="new", Body=b"1", Tagging="class=open")
    for tags in ("", "class=shut"):
        with refused("AccessDenied", 403):
            ann.put_object(Bucket=own, Key="newer", Body=b"1", Tagging=tags)
    with refused("NoSuchKey", 404):
        alice.get_object(Bucket=own, Key="newer")


def test_conditions_on_the_caller(people: People, own: str) -> None:
    ann = people.names["ann"]
    for condition, enters in (
        ({"StringEquals": {"aws:username": ann}}, True),
        ({"StringNotEquals": {"aws:username": ann}}, False),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{people.tenant}:user/*"}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": "another"}}, False),
        ({"StringEquals": {"aws:ResourceAccount": people.tenant}}, True),
        ({"StringNotEquals": {"s3:ResourceAccount": people.tenant}}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, True),
        ({"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, True),
        ({"NumericLessThan": {"s3:signatureAge": "600000"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2920-01-01T00:00:00Z"}}, False),
        ({"Null": {"aws:MultiFactorAuthAge": "true"}}, True),
        ({"Null": {"aws:MultiFactorAuthAge": "false"}}, False),
    ):
        put(people.alice, own, allow(own, "s3:GetObject", Condition=condition))
        if enters:
            people.ann.get_object(Bucket=own, Key="key")
        else:
            with refused("AccessDenied", 403):
                people.ann.get_object(Bucket=own, Key="key")


def test_conditions_on_the_version_hold_wherever_it_is_named(people: People, own: str) -> None:
    alice, ann = people.alice, people.ann
    alice.put_bucket_versioning(Bucket=own, VersioningConfiguration={"Status": "Enabled"})
    kept, free = (alice.put_object(Bucket=own, Key="key", Body=body)["VersionId"] for body in (b"1", b"2"))
    deny = {**allow(own, "s3:*"), "Effect": "Deny", "Condition": {"StringEquals": {"s3:VersionId": kept}}}
    put(alice, own, allow(own, "s3:*"), deny)
    with refused("AccessDenied", 403):
        ann.get_object(Bucket=own, Key="key", VersionId=kept)
    with refused("AccessDenied", 403):
        ann.copy_object(Bucket=own, Key="copy", CopySource={"Bucket": own, "Key": "key", "VersionId": kept})
    both = [{"Key": "key", "VersionId": version} for version in (kept, free)]
    answer = ann.delete_objects(Bucket=own, Delete={"Objects": both})
    assert [each["VersionId"] for each in answer["Errors"]] == [kept]
    assert [each["VersionId"] for each in answer["Deleted"]] == [free]


def test_each_to_their_own_folder(people: People, own: str) -> None:
    statement = allow(own, ["s3:PutObject", "s3:GetObject"], Principal={"AWS": people.tenant})
    statement["Resource"] = f"arn:aws:s3:::{own}/home/${{aws:username}}/*"
    put(people.alice, own, statement)
    people.ann.put_object(Bucket=own, Key=f"home/{people.names['ann']}/x", Body=b"1")
    for key in (f"home/{people.names['alice']}/x", f"home/{people.names['ann']}", "home/*/x"):
        with refused("AccessDenied", 403):
            people.ann.put_object(Bucket=own, Key=key, Body=b"1")


def test_a_restricted_key_stays_restricted(people: People, own: str, server: Server) -> None:
    made = server.nexus("admin", "create-user-key", people.names["bob"], "--readonly")
    reader = server.s3(Key.of(made["api_key"]))
    put(people.alice, own, allow(own, "s3:*"))
    assert reader.get_object(Bucket=own, Key="key")["Body"].read() == b"x"
    with refused("AccessDenied", 403):
        reader.put_object(Bucket=own, Key="key", Body=b"y")
    reader.close()


def test_attributes_are_for_who_may_read(people: People, own: str) -> None:
    asked = {"Bucket": own, "Key": "key", "ObjectAttributes": ["ETag", "ObjectSize"]}
    for actions in (["s3:GetObjectAttributes"], ["s3:GetObject"]):
        put(people.alice, own, allow(own, actions))
        with refused("AccessDenied", 403):
            people.bob.get_object_attributes(**asked)
    put(people.alice, own, allow(own, ["s3:GetObject", "s3:GetObjectAttributes"]))
    assert people.bob.get_object_attributes(**asked)["ObjectSize"] == 1
    put(people.alice, own, allow(own, "s3:GetObject", Effect="Deny"))
    with refused("AccessDenied", 403):
        people.alice.get_object_attributes(**asked)


def test_copies_need_both_ends(people: People, own: str) -> None:
    target = unique("target")
    people.alice.create_bucket(Bucket=target)
    people.alice.delete_public_access_block(Bucket=target)
    source = {"Bucket": own, "Key": "key"}
    put(people.alice, target, allow(target, "s3:PutObject"))
    with refused("AccessDenied", 403):
        people.bob.copy_object(Bucket=target, Key="copy", CopySource=source)
    put(people.alice, own, allow(own, "s3:GetObject"))
    people.bob.copy_object(Bucket=target, Key="copy", CopySource=source)
    people.alice.delete_bucket_policy(Bucket=target)
    with refused("AccessDenied", 403):
        people.bob.copy_object(Bucket=target, Key="copy", CopySource=source)


# -- public access


def test_new_buckets_block_public_access(people: People) -> None:
    bucket = unique("blocked")
    people.alice.create_bucket(Bucket=bucket)
    block = people.alice.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(OPEN, True)
    with refused("AccessDenied", 403):
        put(people.alice, bucket, allow(bucket, "s3:GetObject"))
    put(people.alice, bucket, allow(bucket, "s3:GetObject", Principal={"AWS": people.tenant}))
    assert not people.alice.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]


def test_public_buckets_can_be_restricted_to_their_tenant(people: People, own: str) -> None:
    put(people.alice, own, allow(own, "s3:GetObject"))
    assert people.alice.get_bucket_policy_status(Bucket=own)["PolicyStatus"]["IsPublic"]
    assert people.nobody.get_object(Bucket=own, Key="key")["Body"].read() == b"x"
    restricted = {**OPEN, "RestrictPublicBuckets": True}
    people.alice.put_public_access_block(Bucket=own, PublicAccessBlockConfiguration=restricted)
    assert people.alice.get_public_access_block(Bucket=own)["PublicAccessBlockConfiguration"] == restricted
    for stranger in (people.bob, people.nobody):
        with refused("AccessDenied", 403):
            stranger.get_object(Bucket=own, Key="key")
    assert people.ann.get_object(Bucket=own, Key="key")["Body"].read() == b"x"
    people.alice.delete_public_access_block(Bucket=own)
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        people.alice.get_public_access_block(Bucket=own)
    assert people.nobody.get_object(Bucket=own, Key="key")["Body"].read() == b"x"


def test_public_acls_can_be_blocked_and_ignored(people: People, own: str) -> None:
    alice, nobody = people.alice, people.nobody
    alice.put_bucket_ownership_controls(Bucket=own, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    alice.put_object_acl(Bucket=own, Key="key", ACL="public-read")
    assert nobody.get_object(Bucket=own, Key="key")["Body"].read() == b"x"
    alice.put_public_access_block(Bucket=own, PublicAccessBlockConfiguration={**OPEN, "IgnorePublicAcls": True})
    with refused("AccessDenied", 403):
        nobody.get_object(Bucket=own, Key="key")
    alice.put_public_access_block(Bucket=own, PublicAccessBlockConfiguration={**OPEN, "BlockPublicAcls": True})
    assert nobody.get_object(Bucket=own, Key="key")["Body"].read() == b"x"
    for operation, more in (
        ("put_object", {"Key": "new", "Body": b"1"}),
        ("put_object_acl", {"Key": "key"}),
        ("put_bucket_acl", {}),
    ):
        with refused("AccessDenied", 403):
            getattr(alice, operation)(Bucket=own, ACL="public-read", **more)


def test_the_server_can_block_public_access_for_all(new_server: Callable[..., Server]) -> None:
    server = new_server(NEXUS_BLOCK_PUBLIC_ACCESS="true", NEXUS_DEFAULT_OWNERSHIP="ObjectWriter")
    admin, nobody = server.s3(), server.s3(Key("", "", ""), signature_version=UNSIGNED)
    bucket = unique("shut")
    admin.create_bucket(Bucket=bucket)
    admin.put_object(Bucket=bucket, Key="key", Body=b"x")
    with refused("AccessDenied", 403):
        admin.put_object_acl(Bucket=bucket, Key="key", ACL="public-read")
    with refused("AccessDenied", 403):
        put(admin, bucket, allow(bucket, "s3:GetObject"))
    with refused("AccessDenied", 403):
        admin.create_bucket(Bucket=unique("open"), ACL="public-read")
    with refused("AccessDenied", 403):
        nobody.get_object(Bucket=bucket, Key="key")
    admin.close()
    nobody.close()


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_policy_shuts_out_presigned_uploads_by_what_they_do_not_sign(server: Server, own: str, version: str) -> None:
    """Whatever an unsigned header says; a header of Version 2 is signed, but its body is held against it."""
    admin, presigner = server.s3(), server.s3(signature_version=version)
    url = presigner.generate_presigned_url("put_object", {"Bucket": own, "Key": "new"})
    unsigned = {"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}
    put(admin, own, {**allow(own, "s3:PutObject", Condition=unsigned), "Effect": "Deny"})
    digest = hashlib.sha256(b"1").hexdigest()
    for headers in ({}, {"x-amz-content-sha256": digest}):
        answer = requests.put(url, data=b"1", headers=headers, timeout=10)
        assert answer.status_code == 403, answer.text
    status, _, _ = Raw(server).send("PUT", f"/{own}/new", body=b"1", payload=digest)
    assert status == 200
    admin.close()
    presigner.close()


# -- ownership


def test_ownership_turns_acls_on_and_off(people: People, own: str) -> None:
    alice = people.alice
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert alice.get_bucket_ownership_controls(Bucket=own)["OwnershipControls"] == controls
    with refused("AccessControlListNotSupported", 400):
        alice.put_bucket_acl(Bucket=own, ACL="public-read")
    alice.put_bucket_ownership_controls(
        Bucket=own, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    alice.put_bucket_acl(Bucket=own, ACL="public-read-write")
    with refused("InvalidBucketAclWithObjectOwnership", 400):
        alice.put_bucket_ownership_controls(Bucket=own, OwnershipControls=controls)
    # What others write is theirs, unless they leave it to the bucket's owner.
    people.bob.put_object(Bucket=own, Key="his", Body=b"1")
    people.bob.put_object(Bucket=own, Key="hers", Body=b"1", ACL="bucket-owner-full-control")
    with refused("AccessDenied", 403):
        alice.get_object(Bucket=own, Key="his")
    assert alice.get_object(Bucket=own, Key="hers")["Body"].read() == b"1"
    alice.put_bucket_acl(Bucket=own, ACL="private")
    alice.put_bucket_ownership_controls(Bucket=own, OwnershipControls=controls)
    assert alice.get_object(Bucket=own, Key="his")["Body"].read() == b"1"
    alice.delete_bucket_ownership_controls(Bucket=own)
    with refused("OwnershipControlsNotFoundError", 404):
        alice.get_bucket_ownership_controls(Bucket=own)
    with refused("MalformedXML", 400):
        alice.put_bucket_ownership_controls(Bucket=own, OwnershipControls={"Rules": [{"ObjectOwnership": "Mine"}]})
