"""Tenants, groups, roles below paths, quotas: what an operator sets up, and what users meet."""

from __future__ import annotations

import json
import uuid
from typing import Any, NamedTuple

import pytest
from botocore.client import BaseClient

import nexus
from tests.e2e.harness import Key, Server, keys_of, refused, unique
from tests.services import S3Keys


class Acme(NamedTuple):
    """A tenant: Olga owns the bucket, Ann is in the group, Vic is not; Bob is of another tenant."""

    server: Server
    tenant: str
    names: dict[str, str]
    keys: dict[str, Key]
    group: str

    def s3(self, who: str) -> BaseClient:
        return self.server.s3(self.keys[who])

    def nx(self, who: str) -> nexus.RemoteNexusFS:
        return nexus.RemoteNexusFS(self.server.url, self.keys[who].api_key)

    def admin(self, *arguments: str) -> Any:
        return self.server.nexus("admin", *arguments)

    def check(self, who: str, action: str, path: str, *more: str) -> int:
        return self.server.run("admin", "check", self.names[who], action, path, *more).returncode

    def why(self, who: str, action: str, path: str, *more: str) -> Any:
        return self.admin("explain", self.names[who], action, path, *more)


@pytest.fixture(scope="module")
def acme(server: Server) -> Acme:
    tag = uuid.uuid4().hex[:8]
    tenant, group = f"acme-{tag}", f"team-{tag}"
    server.nexus("admin", "create-tenant", tenant)
    names = {name: f"{name}-{tag}" for name in ("olga", "ann", "vic", "bob")}
    keys = {name: server.user(each, tenant if name != "bob" else f"other-{tag}") for name, each in names.items()}
    server.nexus("admin", "create-group", group, "--tenant", tenant)
    server.nexus("admin", "add-to-group", group, names["ann"])
    return Acme(server, tenant, names, keys, group)


@pytest.fixture
def bucket(acme: Acme) -> str:
    """A bucket of Olga's with files in and beside ``team``."""
    name = unique("acme")
    olga = acme.s3("olga")
    olga.create_bucket(Bucket=name)
    for key in ("team/a.txt", "team/deep/b.txt", "teamx/c.txt", "d.txt"):
        olga.put_object(Bucket=name, Key=key, Body=key.encode())
    return name


def test_a_role_reaches_down_and_no_further(acme: Acme, bucket: str) -> None:
    ann = acme.s3("ann")
    with refused("AccessDenied", 403):
        ann.get_object(Bucket=bucket, Key="team/a.txt")
    acme.admin("grant", f"group:{acme.group}", "viewer", f"/{bucket}/team")
    assert ann.get_object(Bucket=bucket, Key="team/deep/b.txt")["Body"].read() == b"team/deep/b.txt"
    assert keys_of(ann, bucket, "team/") == ["team/a.txt", "team/deep/b.txt"]
    assert bucket in [each["Name"] for each in ann.list_buckets()["Buckets"]]
    assert bucket not in [each["Name"] for each in acme.s3("vic").list_buckets()["Buckets"]]
    with refused("NoSuchKey", 404):
        ann.get_object(Bucket=bucket, Key="team/absent")
    for prefix in ("", "team", "teamx/", "tea"):
        with refused("AccessDenied", 403):
            ann.list_objects_v2(Bucket=bucket, Prefix=prefix)
    for key in ("teamx/c.txt", "d.txt", "absent"):
        with refused("AccessDenied", 403):
            ann.get_object(Bucket=bucket, Key=key)
    with refused("AccessDenied", 403):
        ann.put_object(Bucket=bucket, Key="team/new", Body=b"x")
    with refused("AccessDenied", 403):
        ann.get_bucket_policy(Bucket=bucket)

    acme.admin("grant", f"group:{acme.group}", "editor", f"/{bucket}/team/")  # the same path: it replaces the role
    assert len(acme.admin("list-grants", f"/{bucket}")) == 1
    ann.put_object(Bucket=bucket, Key="team/new", Body=b"x", Tagging="a=b")
    ann.delete_object(Bucket=bucket, Key="team/new")
    upload = ann.create_multipart_upload(Bucket=bucket, Key="team/up")["UploadId"]
    ann.abort_multipart_upload(Bucket=bucket, Key="team/up", UploadId=upload)
    for key in ("teamx/new", "new"):
        with refused("AccessDenied", 403):
            ann.put_object(Bucket=bucket, Key=key, Body=b"x")
    with refused("AccessDenied", 403):
        ann.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    with refused("AccessDenied", 403):
        ann.put_object_acl(Bucket=bucket, Key="team/a.txt", ACL="private")

    acme.admin("remove-from-group", acme.group, acme.names["ann"])
    with refused("AccessDenied", 403):
        ann.get_object(Bucket=bucket, Key="team/a.txt")
    acme.admin("add-to-group", acme.group, acme.names["ann"])
    acme.admin("revoke", f"group:{acme.group}", f"/{bucket}/team")
    with refused("AccessDenied", 403):
        ann.get_object(Bucket=bucket, Key="team/a.txt")


def test_the_nexus_door_decides_alike(acme: Acme, bucket: str) -> None:
    acme.admin("grant", acme.names["vic"], "editor", f"/{bucket}/team")
    with acme.nx("vic") as nx:
        assert nx.read(f"/{bucket}/team/a.txt") == b"team/a.txt"
        nx.write(f"/{bucket}/team/mine.txt", b"mine")
        assert f"/{bucket}/team/mine.txt" in [str(each["path"]) for each in nx.list(f"/{bucket}/team")]
        assert nx.exists(f"/{bucket}/team") and f"/{bucket}" in [str(each["path"]) for each in nx.list("/")]
        for path in (f"/{bucket}/teamx/c.txt", f"/{bucket}/d.txt"):
            with pytest.raises(nexus.NexusError):
                nx.read(path)
        with pytest.raises(nexus.NexusError):
            nx.write(f"/{bucket}/beside.txt", b"x")
        with pytest.raises(nexus.NexusError):
            nx.list(f"/{bucket}")


def test_a_deny_wins_over_a_role(acme: Acme, bucket: str) -> None:
    acme.admin("grant", acme.names["vic"], "owner", f"/{bucket}")
    vic = acme.s3("vic")
    vic.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    statement = {
        "Sid": "Closed",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/team/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    vic.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    with refused("AccessDenied", 403):
        vic.get_object(Bucket=bucket, Key="team/a.txt")
    assert vic.get_object(Bucket=bucket, Key="d.txt")["Body"].read() == b"d.txt"
    assert acme.why("vic", "read", f"/{bucket}/team/a.txt")["why"] == (
        f"statement 1 (Closed) of the policy of {bucket}: Deny"
    )


def test_whoever_owns_a_path_may_let_others_in(acme: Acme, bucket: str) -> None:
    def granting(who: str, whom: str, role: str, path: str) -> int:
        return acme.server.run("admin", "grant", acme.names[whom], role, path, key=acme.keys[who]).returncode

    assert granting("vic", "ann", "viewer", f"/{bucket}/team") == 1
    assert granting("olga", "vic", "owner", f"/{bucket}/team") == 0
    assert granting("vic", "ann", "viewer", f"/{bucket}/team/deep") == 0
    assert granting("vic", "ann", "viewer", f"/{bucket}") == 1
    assert granting("vic", "ann", "viewer", f"/{bucket}/teamx") == 1
    assert granting("vic", "ann", "viewer", "/") == 1
    assert acme.s3("ann").get_object(Bucket=bucket, Key="team/deep/b.txt")["Body"].read() == b"team/deep/b.txt"
    seen = json.loads(acme.server.run("admin", "list-grants", f"/{bucket}", "--json", key=acme.keys["vic"]).stdout)
    assert {each["path"] for each in seen} == {f"/{bucket}/team", f"/{bucket}/team/deep"}
    # Roles are within a tenant: whom another has, and whether, is nobody's business.
    strangers = [
        acme.server.run("admin", "grant", name, "viewer", f"/{bucket}", key=acme.keys["olga"])
        for name in (acme.names["bob"], "nobody-at-all")
    ]
    assert {each.returncode for each in strangers} == {1}
    assert strangers[0].stderr.replace(acme.names["bob"], "X") == strangers[1].stderr.replace("nobody-at-all", "X")
    foreign = acme.server.run("admin", "grant", acme.names["bob"], "viewer", f"/{bucket}", key=acme.keys["bob"])
    assert f"Backend not found for path /{bucket}" in foreign.stderr


def test_an_owner_of_the_root_runs_the_tenant(acme: Acme, bucket: str) -> None:
    acme.admin("grant", acme.names["vic"], "owner", "/")
    vic = acme.s3("vic")
    assert bucket in [each["Name"] for each in vic.list_buckets()["Buckets"]]
    assert keys_of(vic, bucket)[-1] == "teamx/c.txt"
    with refused("AccessDenied", 403):
        vic.list_objects_v2(Bucket="workspace")  # another tenant's
    assert acme.server.run("admin", "list-users", key=acme.keys["vic"]).returncode == 1
    acme.admin("revoke", acme.names["vic"], "/")
    with refused("AccessDenied", 403):
        vic.list_objects_v2(Bucket=bucket)


def test_a_new_bucket_of_the_same_name_inherits_nothing(acme: Acme, bucket: str) -> None:
    acme.admin("grant", acme.names["vic"], "owner", f"/{bucket}")
    olga = acme.s3("olga")
    for key in keys_of(olga, bucket):
        olga.delete_object(Bucket=bucket, Key=key)
    olga.delete_bucket(Bucket=bucket)
    olga.create_bucket(Bucket=bucket)
    with refused("AccessDenied", 403):
        acme.s3("vic").list_objects_v2(Bucket=bucket)


def test_a_new_user_of_the_same_name_inherits_nothing(acme: Acme, bucket: str) -> None:
    name = f"u-{uuid.uuid4().hex[:8]}"
    acme.server.user(name, acme.tenant)
    acme.admin("grant", name, "owner", f"/{bucket}")
    acme.admin("add-to-group", acme.group, name)
    acme.admin("delete-user", name)
    client = acme.server.s3(acme.server.user(name, acme.tenant))
    assert client.list_buckets()["Buckets"] == []
    with refused("AccessDenied", 403):
        client.list_objects_v2(Bucket=bucket)
    assert name not in json.dumps([acme.admin("list-grants", name), acme.admin("list-groups")])


def test_check_and_explain_tell_what_decides(acme: Acme, bucket: str) -> None:
    path = f"/{bucket}/team/a.txt"
    acme.admin("grant", f"group:{acme.group}", "editor", f"/{bucket}/team")
    assert (acme.check("ann", "write", path), acme.check("ann", "write", f"/{bucket}/d.txt")) == (0, 1)
    assert (acme.check("ann", "list", f"/{bucket}/team"), acme.check("ann", "list", f"/{bucket}")) == (0, 1)
    assert acme.check("ann", "s3:PutBucketPolicy", f"/{bucket}") == 1
    told = acme.why("ann", "delete", path)
    assert (told["allowed"], told["rule"], told["action"]) == (True, "grant", "s3:DeleteObject")
    assert told["why"] == f"the group {acme.group} has the role editor at /{bucket}/team"
    assert acme.why("olga", "read", path)["rule"] == "owner"
    assert acme.why("bob", "read", path)["rule"] == "default"
    assert acme.admin("explain", "admin", "read", path)["rule"] == "admin"
    assert acme.why("ann", "read", "/no-such-bucket/x")["rule"] == "absent"
    key = acme.admin("create-user-key", acme.names["ann"], "--readonly")["key_id"]
    assert acme.why("ann", "write", path, "--key", key)["why"] == f"the key {key} is read-only"
    acme.admin("revoke-key", key)
    assert acme.why("ann", "read", path, "--key", key)["why"] == f"the key {key} is revoked"
    done = acme.server.run("admin", "explain", acme.names["ann"], "fly", path)
    assert done.returncode == 1 and "an action is" in done.stderr


def test_a_tenant_that_has_anything_stays(acme: Acme) -> None:
    tenant = f"t-{uuid.uuid4().hex[:8]}"
    acme.admin("create-tenant", tenant, "--quota-bytes", "1.5GiB", "--quota-objects", "10", "--rate", "2.5")
    assert "tenant exists" in acme.server.run("admin", "create-tenant", tenant).stderr
    listed = {each["tenant_id"]: each for each in acme.admin("list-tenants")}[tenant]
    assert (listed["quota_bytes"], listed["quota_objects"], listed["rate"]) == (1610612736, 10, 2.5)
    changed = acme.admin("update-tenant", tenant, "--quota-bytes", "none", "--quota-objects", "20")
    assert (changed["quota_bytes"], changed["quota_objects"], changed["rate"]) == (None, 20, 2.5)
    user = f"u-{uuid.uuid4().hex[:8]}"
    acme.admin("create-user", user, "--tenant", tenant)
    assert f"the tenant has users ({user} is one)" in acme.server.run("admin", "delete-tenant", tenant).stderr
    acme.admin("delete-user", user)
    acme.admin("delete-tenant", tenant)
    assert "tenant not found" in acme.server.run("admin", "usage", tenant).stderr


# -- quotas


class Small(NamedTuple):
    """A tenant of 100 bytes and 5 objects, and its user's bucket."""

    server: Server
    tenant: str
    key: Key
    bucket: str

    @property
    def s3(self) -> BaseClient:
        return self.server.s3(self.key)

    def used(self) -> tuple[int, int]:
        usage = self.server.nexus("admin", "usage", self.tenant)[0]["usage"]
        return usage["total_bytes"], usage["total_objects"]

    def limit(self, *options: str) -> None:
        self.server.nexus("admin", "update-tenant", self.tenant, *options)


@pytest.fixture
def small(server: Server) -> Small:
    tag = uuid.uuid4().hex[:8]
    server.nexus("admin", "create-tenant", f"small-{tag}", "--quota-bytes", "100", "--quota-objects", "5")
    found = Small(server, f"small-{tag}", server.user(f"sam-{tag}", f"small-{tag}"), unique("small"))
    found.s3.create_bucket(Bucket=found.bucket)
    return found


def test_nothing_is_stored_past_the_quota(small: Small) -> None:
    s3, bucket = small.s3, small.bucket
    s3.put_object(Bucket=bucket, Key="a", Body=b"a" * 60)
    with refused("QuotaExceeded", 403):
        s3.put_object(Bucket=bucket, Key="b", Body=b"b" * 41)
    # Of content that is there already the whole size counts: sharing tells nobody anything.
    with refused("QuotaExceeded", 403):
        s3.put_object(Bucket=bucket, Key="b", Body=b"a" * 60)
    with refused("QuotaExceeded", 403):
        s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
    with nexus.RemoteNexusFS(small.server.url, small.key.api_key) as nx:
        with pytest.raises(nexus.NexusError, match="quota of 100 bytes"):
            nx.write(f"/{bucket}/b", b"b" * 41)
        with pytest.raises(nexus.NexusError, match="quota of 100 bytes"):
            nx.call("write_batch", files=[[f"/{bucket}/x", b"x" * 30], [f"/{bucket}/y", b"y" * 30]])
        with pytest.raises(nexus.NexusError, match="quota of 100 bytes"):
            nx.append(f"/{bucket}/a", b"a" * 41)
    assert (keys_of(s3, bucket), small.used()) == (["a"], (60, 1))
    s3.put_object(Bucket=bucket, Key="b", Body=b"b" * 40)
    s3.put_object(Bucket=bucket, Key="a", Body=b"a" * 60)  # in place of itself
    small.limit("--quota-bytes", "50")
    s3.put_object(Bucket=bucket, Key="a", Body=b"a" * 59)  # what makes it less is never refused
    s3.delete_object(Bucket=bucket, Key="b")
    with refused("QuotaExceeded", 403):
        s3.put_object(Bucket=bucket, Key="a", Body=b"a" * 60)
    assert small.used() == (59, 1)
    small.limit("--quota-bytes", "none", "--quota-objects", "1")
    with refused("QuotaExceeded", 403):
        s3.put_object(Bucket=bucket, Key="b", Body=b"")
    s3.put_object(Bucket=bucket, Key="a", Body=b"a" * 1000)


def test_a_body_of_unknown_length_is_refused_too(small: Small) -> None:
    with nexus.RemoteNexusFS(small.server.url, small.key.api_key) as nx:
        with pytest.raises(nexus.NexusError, match="quota of 100 bytes"):
            nx.write_stream(f"/{small.bucket}/a", iter([b"x" * 60, b"y" * 60]))
    assert (keys_of(small.s3, small.bucket), small.used()) == ([], (0, 0))


def test_versions_and_parts_count(small: Small) -> None:
    s3, bucket = small.s3, small.bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"a" * 40)["VersionId"]
    last = s3.put_object(Bucket=bucket, Key="a", Body=b"b" * 40)["VersionId"]
    with refused("QuotaExceeded", 403):
        s3.put_object(Bucket=bucket, Key="a", Body=b"c" * 40)
    s3.delete_object(Bucket=bucket, Key="a")  # a marker takes no room
    assert small.used() == (80, 2)
    s3.delete_object(Bucket=bucket, Key="a", VersionId=first)
    assert small.used() == (40, 1)

    upload = s3.create_multipart_upload(Bucket=bucket, Key="up")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="up", UploadId=upload, PartNumber=1, Body=b"p" * 50)
    assert small.used() == (90, 1)
    with refused("QuotaExceeded", 403):
        s3.upload_part(Bucket=bucket, Key="up", UploadId=upload, PartNumber=2, Body=b"p" * 50)
    with refused("QuotaExceeded", 403):
        s3.upload_part_copy(
            Bucket=bucket, Key="up", UploadId=upload, PartNumber=2, CopySource=f"{bucket}/a?versionId={last}"
        )
    s3.upload_part(Bucket=bucket, Key="up", UploadId=upload, PartNumber=1, Body=b"p" * 60)
    part = s3.upload_part(Bucket=bucket, Key="up", UploadId=upload, PartNumber=1, Body=b"p" * 55)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="up", UploadId=upload, MultipartUpload=parts)
    assert small.used() == (95, 2)
    other = s3.create_multipart_upload(Bucket=bucket, Key="other")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="other", UploadId=other, PartNumber=1, Body=b"p" * 5)
    s3.abort_multipart_upload(Bucket=bucket, Key="other", UploadId=other)
    assert small.used() == (95, 2)
    assert small.server.nexus("admin", "usage", small.tenant, "--recount")["corrected"] == []


def test_a_bucket_that_goes_gives_back_what_its_uploads_took(small: Small) -> None:
    upload = small.s3.create_multipart_upload(Bucket=small.bucket, Key="up")["UploadId"]
    small.s3.upload_part(Bucket=small.bucket, Key="up", UploadId=upload, PartNumber=1, Body=b"p" * 50)
    small.s3.delete_bucket(Bucket=small.bucket)
    assert small.used() == (0, 0)


def test_too_many_requests_are_asked_to_wait(small: Small) -> None:
    small.limit("--rate", "0.001")
    small.s3.list_buckets()
    with refused("SlowDown", 503) as errors:
        small.s3.list_buckets()
    assert int(errors[0].response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) > 900
    with nexus.RemoteNexusFS(small.server.url, small.key.api_key) as nx:
        with pytest.raises(nexus.NexusError, match="more requests per second"):
            nx.exists("/")
    small.limit("--rate", "none")
    small.s3.list_buckets()


def test_who_may_delete_nothing_is_not_told_whose_it_is(acme: Acme, bucket: str) -> None:
    """Found by ``conformance.isolation``: the answer to a batch told whether the owner was the expected one."""
    batch = {"Objects": [{"Key": "d.txt"}]}
    bob = acme.s3("bob")
    for owner in (acme.tenant, "somebody-else"):
        answer = bob.delete_objects(Bucket=bucket, Delete=batch, ExpectedBucketOwner=owner)
        assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    with refused("AccessDenied", 403):
        acme.s3("olga").delete_objects(Bucket=bucket, Delete=batch, ExpectedBucketOwner="somebody-else")
    assert "d.txt" in keys_of(acme.s3("olga"), bucket)


def test_whether_another_has_versions_is_not_told(acme: Acme, bucket: str) -> None:
    """Found by ``conformance.isolation``: a version's id was refused in another way where no versions are kept."""
    olga, bob = acme.s3("olga"), acme.s3("bob")
    own = unique("bob")
    bob.create_bucket(Bucket=own)
    bob.put_bucket_versioning(Bucket=own, VersioningConfiguration={"Status": "Enabled"})
    version = bob.put_object(Bucket=own, Key="k", Body=b"x")["VersionId"]
    for _ in range(2):
        with refused("AccessDenied", 403):
            bob.get_object(Bucket=bucket, Key="d.txt", VersionId=version)
        olga.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def test_a_policy_tells_nothing_of_other_tenants_users(acme: Acme, bucket: str) -> None:
    olga = acme.s3("olga")

    def allow(user: str) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{user}"}, "Action": "s3:GetObject"}
        statement["Resource"] = f"arn:aws:s3:::{bucket}/*"
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    other = f"other-{acme.tenant.removeprefix('acme-')}"
    for user in (f"{other}:user/{acme.names['bob']}", f"{other}:user/nobody", "no-tenant:user/nobody"):
        olga.put_bucket_policy(Bucket=bucket, Policy=allow(user))
    with refused("MalformedPolicy", 400):
        olga.put_bucket_policy(Bucket=bucket, Policy=allow(f"{acme.tenant}:user/nobody"))


def test_tenants_are_apart_in_one_cloud_bucket(server: Server, moto: dict[str, str]) -> None:
    """One bucket at the cloud, a prefix for each customer; equal content lies there once for each."""
    tag = uuid.uuid4().hex[:8]
    names = (f"acme-{tag}", f"globex-{tag}")
    for name in names:
        s3 = server.s3(server.user(f"user-{name}", name))
        s3.create_bucket(Bucket=name)
        config = {**moto, "prefix": f"customers/{name}"}
        options = [word for pair in config.items() for word in ("--config", "=".join(pair))]
        server.nexus("mounts", "add", f"/{name}", "s3", *options)
        for key in ("a", "b"):
            s3.put_object(Bucket=name, Key=key, Body=b"the same words")
        assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"the same words"
    for name in names:
        cloud = S3Keys({**moto, "prefix": f"customers/{name}"})
        kept = list(filter(lambda key: "cas/" in key, cloud.keys()))
        assert len(kept) == 1 and f"tenants/{name}/cas/" in kept[0]
        server.unmount(f"/{name}")


def test_check_tells_of_objects_of_others_what_becomes_of_them(acme: Acme, bucket: str) -> None:
    """Whosever object is there, whom the bucket lets in may replace and remove it; only its writer lets read."""
    olga, ann = acme.s3("olga"), acme.s3("ann")
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    olga.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)
    acme.admin("grant", acme.names["vic"], "editor", f"/{bucket}")
    acme.admin("grant", acme.names["ann"], "editor", f"/{bucket}")
    for key in ("one", "two"):
        acme.s3("vic").put_object(Bucket=bucket, Key=key, Body=b"vic's")
    told = [acme.check("ann", action, f"/{bucket}/one") for action in ("read", "write", "delete")]
    assert told == [1, 0, 0]
    with refused("AccessDenied", 403):
        ann.get_object(Bucket=bucket, Key="one")
    ann.put_object(Bucket=bucket, Key="one", Body=b"ann's")
    ann.delete_object(Bucket=bucket, Key="two")
    assert acme.check("olga", "delete", f"/{bucket}/one") == 0
    olga.delete_object(Bucket=bucket, Key="one")
