"""Answers as they were recorded from AWS: codes, messages, elements and headers that documentation does not settle.

The record is public: LocalStack's snapshots of AWS (https://github.com/localstack/localstack, tests/aws/services/s3).
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, refused, unique

FOREIGN_VERSION = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"


def told(seen: list[Any]) -> dict[str, Any]:
    """What an error says besides its code."""
    return {name: value for name, value in seen[0].response["Error"].items() if name != "Code"}


def raw(server: Server, method: str, path: str, *, query: dict[str, str] | None = None) -> tuple[int, bytes]:
    """A request presigned by hand, whose answer nobody parses."""
    request = botocore.awsrequest.AWSRequest(method, f"{server.url}{path}", params=query or {})
    credentials = botocore.credentials.Credentials(server.admin.access_key, server.admin.secret_key)
    botocore.auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, request.url.removeprefix(server.url))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def versioned(s3: BaseClient, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


class TestBuckets:
    def test_a_bucket_tells_its_arn(self, s3: BaseClient) -> None:
        name = unique("arn")
        made = s3.create_bucket(Bucket=name)
        assert (made["Location"], made["BucketArn"]) == (f"/{name}", f"arn:aws:s3:::{name}")
        head = s3.head_bucket(Bucket=name)
        assert (head["BucketArn"], head["AccessPointAlias"], head["BucketRegion"]) == (
            f"arn:aws:s3:::{name}",
            False,
            "us-east-1",
        )
        assert head["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/xml"
        (entry,) = s3.list_buckets(Prefix=name)["Buckets"]
        assert (entry["BucketArn"], entry["BucketRegion"]) == (f"arn:aws:s3:::{name}", "us-east-1")

    def test_documents_have_the_order_of_the_wire(self, server: Server, s3: BaseClient, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        _, buckets = raw(server, "GET", "/")
        assert re.findall(rb"<(Owner|Buckets|ID|DisplayName)>", buckets) == [
            b"Owner",
            b"ID",
            b"DisplayName",
            b"Buckets",
        ]
        _, page = raw(server, "GET", f"/{bucket}")
        order = [
            b"Name",
            b"Prefix",
            b"Marker",
            b"MaxKeys",
            b"IsTruncated",
            b"Contents",
            b"Key",
            b"LastModified",
            b"ETag",
        ]
        assert re.findall(rb"<([A-Za-z]+)>", page)[: len(order)] == order
        assert re.search(rb"<LastModified>[^<]*\.000Z</LastModified>", page)
        _, location = raw(server, "GET", f"/{bucket}", query={"location": ""})
        assert location.endswith(b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>')

    def test_a_bucket_of_versions_says_so_when_it_is_not_empty(self, s3: BaseClient, bucket: str) -> None:
        versioned(s3, bucket)
        s3.put_object(Bucket=bucket, Key="k")
        with refused("BucketNotEmpty", 409) as seen:
            s3.delete_bucket(Bucket=bucket)
        assert told(seen) == {
            "Message": "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
            "BucketName": bucket,
        }

    def test_the_classic_region_is_no_constraint(self, s3: BaseClient) -> None:
        with refused("InvalidLocationConstraint", 400) as seen:
            s3.create_bucket(Bucket=unique("b"), CreateBucketConfiguration={"LocationConstraint": "us-east-1"})
        assert told(seen)["LocationConstraint"] == "us-east-1"

    def test_the_account_is_an_expected_owner(self, s3: BaseClient, bucket: str) -> None:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="default")
        with refused("403", 403):
            s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="another")

    def test_whoever_may_not_see_a_bucket_is_told_its_region(self, server: Server, s3: BaseClient, bucket: str) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html"""
        stranger = server.s3(server.user(unique("stranger"), tenant=unique("tenant")))
        for call, told_so in (
            (stranger.head_bucket, True),
            (lambda Bucket: stranger.head_object(Bucket=Bucket, Key="k"), False),
        ):
            with refused("403", 403) as seen:
                call(Bucket=bucket)
            headers = seen[0].response["ResponseMetadata"]["HTTPHeaders"]
            assert headers["content-type"] == "application/xml"
            assert headers.get("x-amz-bucket-region") == ("us-east-1" if told_so else None)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("HEAD", f"/{bucket}")
        answer = connection.getresponse()
        connection.close()
        assert (answer.status, answer.headers["x-amz-bucket-region"]) == (403, "us-east-1")

    def test_an_empty_policy_is_no_policy(self, server: Server, bucket: str) -> None:
        status, body = raw(server, "PUT", f"/{bucket}", query={"policy": ""})
        assert status == 400
        assert b"<Code>MalformedPolicy</Code>" in body

    def test_what_is_not_there_is_told_before_what_is_not_served(self, s3: BaseClient) -> None:
        with refused("NoSuchBucket", 404):
            s3.get_bucket_replication(Bucket=unique("absent"))


class TestTags:
    def test_of_a_new_bucket(self, s3: BaseClient) -> None:
        name = unique("tags")
        tags = [{"Key": "team", "Value": "blue"}]
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": tags})
        assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tags
        with refused("BucketAlreadyOwnedByYou", 409):
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": tags})
        with refused("InvalidTag", 400) as seen:
            s3.create_bucket(Bucket=unique("tags"), CreateBucketConfiguration={"Tags": [{"Key": "aws:x", "Value": ""}]})
        assert told(seen) == {
            "Message": 'User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. '
            'Remove "aws:" from your tag keys and try again.'
        }

    def test_of_a_bucket(self, s3: BaseClient, bucket: str) -> None:
        done = s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": ""}]})
        assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
        with refused("InvalidTag", 400) as seen:
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "aws:x", "Value": ""}]})
        assert told(seen) == {"Message": "System tags cannot be added/updated by requester", "TagKey": "aws:x"}

    @pytest.mark.parametrize(
        ("tags", "error"),
        [
            ([("k", "1"), ("k", "2")], {"Message": "Cannot provide multiple Tags with the same key", "TagKey": "k"}),
            ([("a,b", "")], {"Message": "The TagKey you have provided is invalid", "TagKey": "a,b"}),
            (
                [("a", "1,2")],
                {"Message": "The TagValue you have provided is invalid", "TagKey": "a", "TagValue": "1,2"},
            ),
            ([("aws:x", "")], {"Message": "Your TagKey cannot be prefixed with aws:", "TagKey": "aws:x"}),
        ],
    )
    def test_that_no_object_takes(
        self, s3: BaseClient, bucket: str, tags: list[tuple[str, str]], error: dict[str, str]
    ) -> None:
        s3.put_object(Bucket=bucket, Key="k")
        with refused("InvalidTag", 400) as seen:
            tag_set = [{"Key": key, "Value": value} for key, value in tags]
            s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tag_set})
        assert told(seen) == error

    @pytest.mark.parametrize("header", ["k=1&k=2", "a=1,b=2"])
    def test_that_no_header_takes(self, s3: BaseClient, bucket: str, header: str) -> None:
        with refused("InvalidArgument", 400) as seen:
            s3.put_object(Bucket=bucket, Key="k", Tagging=header)
        assert (told(seen)["ArgumentName"], told(seen)["ArgumentValue"]) == ("x-amz-tagging", header)

    def test_that_are_only_names(self, s3: BaseClient, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Tagging="b&&&a")
        assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [
            {"Key": "a", "Value": ""},
            {"Key": "b", "Value": ""},
        ]


class TestVersions:
    def test_of_a_bucket_that_has_none(self, s3: BaseClient, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        for call in (s3.get_object, s3.delete_object):
            with refused("InvalidArgument", 400) as seen:
                call(Bucket=bucket, Key="k", VersionId=FOREIGN_VERSION)
            assert told(seen) == {
                "Message": "Invalid version id specified",
                "ArgumentName": "versionId",
                "ArgumentValue": FOREIGN_VERSION,
            }
        entry = {"Key": "k", "VersionId": FOREIGN_VERSION}
        assert s3.delete_objects(Bucket=bucket, Delete={"Objects": [entry]})["Errors"] == [
            {**entry, "Code": "NoSuchVersion", "Message": "The specified version does not exist."}
        ]

    def test_a_delete_marker_refuses_by_the_method(self, s3: BaseClient, bucket: str) -> None:
        versioned(s3, bucket)
        s3.put_object(Bucket=bucket, Key="k")
        s3.delete_object(Bucket=bucket, Key="k")
        calls: dict[str, list[Callable[[], Any]]] = {
            "GET": [lambda: s3.get_object_tagging(Bucket=bucket, Key="k")],
            "PUT": [
                lambda: s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": []}),
                lambda: s3.put_object_acl(Bucket=bucket, Key="k", ACL="private"),
            ],
            "DELETE": [lambda: s3.delete_object_tagging(Bucket=bucket, Key="k")],
        }
        for method, each in calls.items():
            for call in each:
                with refused("MethodNotAllowed", 405) as seen:
                    call()
                assert (told(seen)["Method"], told(seen)["ResourceType"]) == (method, "DeleteMarker")

    def test_a_copy_into_a_suspended_bucket_is_the_null_version(self, s3: BaseClient, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k")
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
        copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
        assert copied["VersionId"] == "null"
        assert "CopySourceVersionId" not in copied


class TestListings:
    KEYS = ("folder/sub/1", "folder/sub/2", "folder/x", "folder/y")

    @pytest.mark.parametrize("marker", ["folder/sub/", "folder/sub/1"])
    def test_a_marker_within_a_common_prefix_is_past_it(self, s3: BaseClient, bucket: str, marker: str) -> None:
        for key in self.KEYS:
            s3.put_object(Bucket=bucket, Key=key)
        page = s3.list_objects(Bucket=bucket, Prefix="folder/", Delimiter="/", MaxKeys=1, Marker=marker)
        assert "CommonPrefixes" not in page
        assert [entry["Key"] for entry in page["Contents"]] == ["folder/x"]

    def test_strangers_see_no_owners(self, server: Server, s3: BaseClient) -> None:
        name = unique("open")
        s3.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
        s3.delete_public_access_block(Bucket=name)
        s3.put_bucket_acl(Bucket=name, ACL="public-read")
        s3.put_object(Bucket=name, Key="k")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", f"/{name}")
        page = connection.getresponse().read()
        connection.close()
        assert b"<Key>k</Key>" in page
        assert b"Owner" not in page
        assert "Owner" in s3.list_objects(Bucket=name)["Contents"][0]

    def test_a_token_outdoes_start_after(self, s3: BaseClient, bucket: str) -> None:
        for key in "abc":
            s3.put_object(Bucket=bucket, Key=key)
        token = s3.list_objects_v2(Bucket=bucket, MaxKeys=1)["NextContinuationToken"]
        page = s3.list_objects_v2(Bucket=bucket, ContinuationToken=token, StartAfter="b")
        assert [entry["Key"] for entry in page["Contents"]] == ["b", "c"]

    def test_uploads_of_a_key_come_in_the_order_in_which_they_began(self, s3: BaseClient, bucket: str) -> None:
        ids = []
        for _ in range(4):
            ids.append(s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"])
            time.sleep(0.002)
        other = s3.create_multipart_upload(Bucket=bucket, Key="z")["UploadId"]
        page = s3.list_multipart_uploads(Bucket=bucket)
        assert [upload["UploadId"] for upload in page["Uploads"]] == [*ids, other]
        # The last one is told even where nothing follows.
        assert (page["IsTruncated"], page["NextKeyMarker"], page["NextUploadIdMarker"]) == (False, "z", other)
        page = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="k", UploadIdMarker=ids[1], MaxUploads=1)
        assert [upload["UploadId"] for upload in page["Uploads"]] == [ids[2]]
        page = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="zz")
        assert ("Uploads" in page, page["NextKeyMarker"], page["NextUploadIdMarker"]) == (False, "", "")
        with refused("InvalidArgument", 400) as seen:
            s3.list_multipart_uploads(Bucket=bucket, KeyMarker="k", UploadIdMarker=other)
        assert told(seen) == {
            "Message": "Invalid uploadId marker",
            "ArgumentName": "upload-id-marker",
            "ArgumentValue": other,
        }


class TestCopies:
    def test_a_source_without_a_key(self, s3: BaseClient, bucket: str) -> None:
        with refused("InvalidArgument", 400) as seen:
            s3.copy_object(Bucket=bucket, Key="k", CopySource="nothing")
        assert told(seen) == {
            "Message": "Invalid copy source object key",
            "ArgumentName": "x-amz-copy-source",
            "ArgumentValue": "x-amz-copy-source",
        }

    def test_a_range_past_the_source(self, s3: BaseClient, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="u")["UploadId"]
        with refused("InvalidRequest", 400) as seen:
            s3.upload_part_copy(
                Bucket=bucket,
                Key="u",
                UploadId=upload,
                PartNumber=1,
                CopySource=f"{bucket}/k",
                CopySourceRange="bytes=100-200",
            )
        assert told(seen)["Message"] == "The specified copy range is invalid for the source object size"

    def test_a_date_that_is_yet_to_come_says_nothing(self, s3: BaseClient, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        assert s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=tomorrow)["ContentLength"] == 1
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", CopySourceIfModifiedSince=tomorrow)


class TestMetadata:
    def test_an_encoded_word_that_need_not_be_one(self, s3: BaseClient, bucket: str) -> None:
        metadata = {
            "plain": "=?UTF-8?B?YWJj?=",
            "little": "=?UTF-8?B?w6k=?=",
            "most": "=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?=",
            "bad": "=?UTF-8?B?=GGG?=",
        }
        s3.put_object(Bucket=bucket, Key="k", Metadata=metadata)
        assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {**metadata, "plain": "abc"}


class TestPresigned:
    def test_conditions_may_be_signed_in_the_query(self, server: Server, bucket: str) -> None:
        path = f"/{bucket}/k"
        assert raw(server, "PUT", path, query={"If-None-Match": "*"})[0] == 200
        assert raw(server, "PUT", path, query={"If-None-Match": "*"})[0] == 412
        etag = hashlib.md5(b"", usedforsecurity=False).hexdigest()
        assert raw(server, "PUT", path, query={"If-Match": etag})[0] == 200
        assert raw(server, "PUT", path, query={"If-Match": "0" * 32})[0] == 412


class TestLocks:
    @pytest.fixture
    def locked(self, s3: BaseClient) -> str:
        name = unique("locked")
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        return name

    def test_half_a_retention(self, s3: BaseClient, locked: str) -> None:
        digest = base64.b64encode(hashlib.md5(b"x", usedforsecurity=False).digest()).decode()
        later = datetime.now(UTC) + timedelta(days=1)
        message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        for half, name in (
            ({"ObjectLockMode": "GOVERNANCE"}, "x-amz-object-lock-retain-until-date"),
            ({"ObjectLockRetainUntilDate": later}, "x-amz-object-lock-mode"),
        ):
            with refused("InvalidArgument", 400) as seen:
                s3.put_object(Bucket=locked, Key="k", Body=b"x", ContentMD5=digest, **half)
            assert told(seen) == {"Message": message, "ArgumentName": name}

    def test_what_was_never_set(self, s3: BaseClient, locked: str) -> None:
        s3.put_object(Bucket=locked, Key="k", Body=b"x")
        for call in (s3.get_object_retention, s3.get_object_legal_hold):
            with refused("NoSuchObjectLockConfiguration", 404) as seen:
                call(Bucket=locked, Key="k")
            assert told(seen) == {"Message": "The specified object does not have a ObjectLock configuration"}


class TestAcls:
    def test_errors_name_where_the_grantee_stood(self, s3: BaseClient) -> None:
        name = unique("acl")
        s3.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
        s3.put_object(Bucket=name, Key="k")
        owner = s3.get_object_acl(Bucket=name, Key="k")["Owner"]
        wrong = {"Grantee": {"Type": "CanonicalUser", "ID": "wrong"}, "Permission": "READ"}
        for call, argument in (
            (lambda: s3.put_object_acl(Bucket=name, Key="k", GrantRead='id="wrong"'), "id"),
            (
                lambda: s3.put_object_acl(
                    Bucket=name, Key="k", AccessControlPolicy={"Owner": owner, "Grants": [wrong]}
                ),
                "CanonicalUser/ID",
            ),
        ):
            with refused("InvalidArgument", 400) as seen:
                call()
            assert told(seen) == {"Message": "Invalid id", "ArgumentName": argument, "ArgumentValue": "wrong"}
