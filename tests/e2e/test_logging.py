"""Server access logging: a bucket's requests come as log objects into another bucket, in AWS's format."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.client import BaseClient

from tests.e2e.harness import Server, keys_of, refused, unique

FIELDS = (
    *("owner", "bucket", "time", "ip", "requester", "request_id", "operation", "key", "uri", "status", "error"),
    *("sent", "size", "total", "turn_around", "referer", "agent", "version", "host_id", "signature", "cipher", "auth"),
    *("host", "tls", "access_point", "acl", "region"),
)
_FIELD = re.compile(r'\[[^]]*\]|"[^"]*"|[^ ]+')


@pytest.fixture(scope="module")
def logging(new_server: Callable[..., Server]) -> Server:
    settings = {"NEXUS_LOG_DELIVERY_SECONDS": "0.2", "NEXUS_OTHER_REGIONS": '["eu-west-1"]'}
    return new_server("--website-domain", "sites.test", **settings)


@pytest.fixture
def client(logging: Server) -> BaseClient:
    return logging.s3()


@pytest.fixture
def source(client: BaseClient) -> str:
    return _make(client, "source")


@pytest.fixture
def target(client: BaseClient) -> str:
    """A bucket whose policy lets logs in."""
    name = _make(client, "target")
    _admit(client, name)
    return name


def _make(client: BaseClient, word: str) -> str:
    name = unique(word)
    client.create_bucket(Bucket=name)
    return name


def _admit(client: BaseClient, target: str, **condition: Any) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/*",
        **({"Condition": condition} if condition else {}),
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    client.put_bucket_policy(Bucket=target, Policy=json.dumps(policy))


def _enable(client: BaseClient, source: str, target: str, prefix: str = "logs/", **more: Any) -> None:
    enabled = {"TargetBucket": target, "TargetPrefix": prefix, **more}
    client.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": enabled})


def _records(client: BaseClient, target: str, count: int) -> list[dict[str, str]]:
    """The records that were delivered, once there are so many."""
    deadline = time.monotonic() + 10
    while True:
        found = []
        for key in keys_of(client, target):
            text = client.get_object(Bucket=target, Key=key)["Body"].read().decode()
            assert text.endswith("\n")
            found += [dict(zip(FIELDS, _FIELD.findall(line), strict=True)) for line in text.splitlines()]
        if len(found) >= count or time.monotonic() > deadline:
            return sorted(found, key=lambda record: record["time"])


def _operations(records: list[dict[str, str]]) -> list[str]:
    return [record["operation"] for record in records]


class TestRecords:
    def test_every_field_of_a_get(self, logging: Server, client: BaseClient, source: str, target: str) -> None:
        client.put_object(Bucket=source, Key="a/b c.txt", Body=b"twelve bytes")
        _enable(client, source, target)
        answer = client.get_object(Bucket=source, Key="a/b c.txt", Range="bytes=2-5")
        answer["Body"].read()
        (record,) = _records(client, target, 1)
        owner = client.list_buckets()["Owner"]["ID"]
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        assert record.pop("agent").startswith('"Boto3/')
        assert record.pop("total").isdigit() and record.pop("turn_around").isdigit()
        assert re.fullmatch(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]", record.pop("time"))
        assert record == {
            "owner": owner,
            "bucket": source,
            "ip": "127.0.0.1",
            "requester": owner,
            "request_id": headers["x-amz-request-id"],
            "operation": "REST.GET.OBJECT",
            "key": "a/b%20c.txt",
            "uri": f'"GET /{source}/a/b%20c.txt HTTP/1.1"',
            "status": "206",
            "error": "-",
            "sent": "4",
            "size": "12",
            "referer": '"-"',
            "version": "-",
            "host_id": headers["x-amz-id-2"],
            "signature": "SigV4",
            "cipher": "-",
            "auth": "AuthHeader",
            "host": f"127.0.0.1:{logging.port}",
            "tls": "-",
            "access_point": "-",
            "acl": "-",
            "region": "-",
        }

    def test_writes_tell_the_size_and_refusals_their_code(self, client: BaseClient, source: str, target: str) -> None:
        _enable(client, source, target)
        client.put_object(Bucket=source, Key="k", Body=b"x" * 100)
        with refused("NoSuchKey"):
            client.get_object(Bucket=source, Key="absent")
        put, get = _records(client, target, 2)
        assert (put["operation"], put["status"], put["size"], put["sent"]) == ("REST.PUT.OBJECT", "200", "100", "-")
        assert (get["operation"], get["status"], get["error"], get["size"]) == (
            "REST.GET.OBJECT",
            "404",
            "NoSuchKey",
            "-",
        )
        assert int(get["sent"]) > 100

    def test_visits_to_a_website_are_told(self, logging: Server, client: BaseClient, source: str, target: str) -> None:
        site = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
        client.put_bucket_website(Bucket=source, WebsiteConfiguration=site)
        client.put_object(Bucket=source, Key="error.html", Body=b"so sorry")
        client.delete_public_access_block(Bucket=source)
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{source}", f"arn:aws:s3:::{source}/*"],
        }
        client.put_bucket_policy(Bucket=source, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        _enable(client, source, target)
        connection = http.client.HTTPConnection("127.0.0.1", logging.port, timeout=5)
        connection.request("GET", "/absent/", headers={"host": f"{source}.sites.test"})
        assert connection.getresponse().read() == b"so sorry"
        connection.close()
        (told,) = _records(client, target, 1)
        assert (told["operation"], told["key"], told["status"]) == ("WEBSITE.GET.OBJECT", "absent/", "404")
        assert (told["error"], told["sent"], told["requester"]) == ("NoSuchKey", "8", "-")

    def test_copies_and_batches_have_a_line_for_each_thing_they_do(
        self, client: BaseClient, source: str, target: str
    ) -> None:
        _enable(client, source, target)
        client.put_object(Bucket=source, Key="k", Body=b"x")
        client.copy_object(Bucket=source, Key="copy", CopySource=f"{source}/k")
        client.delete_objects(Bucket=source, Delete={"Objects": [{"Key": "k"}, {"Key": "copy"}]})
        found = _records(client, target, 6)
        assert sorted(_operations(found)) == [
            "BATCH.DELETE.OBJECT",
            "BATCH.DELETE.OBJECT",
            "REST.COPY.OBJECT",
            "REST.COPY.OBJECT_GET",
            "REST.POST.MULTI_OBJECT_DELETE",
            "REST.PUT.OBJECT",
        ]
        deletes = [record for record in found if record["operation"] == "BATCH.DELETE.OBJECT"]
        assert {(record["key"], record["status"], record["uri"]) for record in deletes} == {
            ("k", "204", "-"),
            ("copy", "204", "-"),
        }

    def test_strangers_forgers_and_presigned_requests_are_told(
        self, logging: Server, client: BaseClient, source: str, target: str
    ) -> None:
        client.put_object(Bucket=source, Key="k", Body=b"x")
        _enable(client, source, target)
        url = client.generate_presigned_url("get_object", Params={"Bucket": source, "Key": "k"})
        with urllib.request.urlopen(url) as answer:
            answer.read()
        for wrong in (url.replace("Signature=", "Signature=x"), f"{logging.url}/{source}/k"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(wrong)
        presigned, forged, stranger = sorted(_records(client, target, 3), key=lambda record: record["error"])
        assert (presigned["auth"], presigned["status"]) == ("QueryString", "200")
        # Who reads the logs shall not be able to use the link.
        assert "Signature=REDACTED" in presigned["uri"]
        assert {forged["error"], stranger["error"]} == {"SignatureDoesNotMatch", "AccessDenied"}
        assert (forged["requester"], stranger["requester"]) == ("-", "-")
        assert {(record["key"], record["operation"]) for record in (forged, stranger)} == {("k", "REST.GET.OBJECT")}

    def test_forms_are_told(self, client: BaseClient, source: str, target: str) -> None:
        _enable(client, source, target)
        form = client.generate_presigned_post(source, "up/${filename}", Conditions=[["content-length-range", 0, 3]])
        for content in (b"bar", b"more"):
            requests.post(form["url"], data=form["fields"], files={"file": ("a b", content)}, timeout=20)
        stored, refused = sorted(_records(client, target, 2), key=lambda record: record["status"])
        assert (stored["operation"], stored["key"], stored["status"]) == ("REST.POST.BUCKET", "up/a%20b", "204")
        assert stored["size"] == "3"
        assert (refused["key"], refused["status"], refused["error"]) == ("up/a%20b", "400", "EntityTooLarge")
        assert stored["requester"] == refused["requester"] != "-"

    def test_a_user_agent_cannot_forge_a_field(
        self, logging: Server, client: BaseClient, source: str, target: str
    ) -> None:
        _enable(client, source, target)
        request = urllib.request.Request(
            f"{logging.url}/{source}/k", headers={"User-Agent": 'x" - "y', "Referer": "http://a/b"}
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)
        (record,) = _records(client, target, 1)
        assert (record["agent"], record["referer"]) == ('"x%22 - %22y"', '"http://a/b"')

    def test_an_acl_that_was_needed_is_told(self, logging: Server, client: BaseClient) -> None:
        source, target = unique("source"), unique("target")
        for name in (source, target):
            client.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
            client.delete_public_access_block(Bucket=name)
        client.put_bucket_acl(Bucket=target, ACL="log-delivery-write")
        client.put_object(Bucket=source, Key="k", Body=b"x", ACL="public-read")
        _enable(client, source, target)
        with urllib.request.urlopen(f"{logging.url}/{source}/k") as answer:
            answer.read()
        (record,) = _records(client, target, 1)
        assert (record["acl"], record["requester"], record["auth"]) == ("Yes", "-", "-")


class TestDelivery:
    def test_nothing_is_delivered_without_leave_and_the_server_says_so(
        self, logging: Server, client: BaseClient, source: str
    ) -> None:
        target = _make(client, "target")
        _enable(client, source, target)
        client.list_objects_v2(Bucket=source)
        deadline = time.monotonic() + 10
        while f"no delivery to {target}" not in logging.log.read_text():
            assert time.monotonic() < deadline
        assert keys_of(client, target) == []

    def test_conditions_of_the_policy_are_those_of_the_source(
        self, client: BaseClient, source: str, target: str
    ) -> None:
        other = _make(client, "other")
        _admit(
            client,
            target,
            ArnLike={"aws:SourceArn": f"arn:aws:s3:::{source}"},
            StringEquals={"aws:SourceAccount": "default"},
        )
        _enable(client, source, target, "yes/")
        _enable(client, other, target, "no/")
        for name in (other, source):
            client.list_objects_v2(Bucket=name)
        assert {record["bucket"] for record in _records(client, target, 1)} == {source}

    def test_a_bucket_may_log_into_itself_without_end(self, client: BaseClient, source: str) -> None:
        _admit(client, source)
        _enable(client, source, source)
        client.head_bucket(Bucket=source)
        deadline = time.monotonic() + 10
        while not (keys := client.list_objects_v2(Bucket=source).get("Contents")):
            assert time.monotonic() < deadline
        assert keys[0]["Key"].startswith("logs/")
        client.put_bucket_logging(Bucket=source, BucketLoggingStatus={})
        text = b"".join(
            client.get_object(Bucket=source, Key=key)["Body"].read() for key in keys_of(client, source)
        ).decode()
        assert "REST.HEAD.BUCKET" in text and "REST.PUT.OBJECT" not in text

    def test_keys_by_format(self, client: BaseClient, source: str, target: str) -> None:
        _enable(client, source, target, "p-")
        client.head_bucket(Bucket=source)
        assert len(_records(client, target, 1)) == 1
        assert re.fullmatch(r"p-\d{4}(-\d\d){5}-[0-9A-F]{16}", keys_of(client, target)[0])
        for date_source, ending in (("EventTime", "-00-00-00-[0-9A-F]{16}"), ("DeliveryTime", r"(-\d\d){3}-\w{16}")):
            fresh = _make(client, "target")
            _admit(client, fresh)
            _enable(
                client,
                source,
                fresh,
                "p/",
                TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": date_source}},
            )
            client.head_bucket(Bucket=source)
            assert _records(client, fresh, 1)
            folder = rf"p/default/us-east-1/{source}/(\d{{4}})/(\d\d)/(\d\d)/\1-\2-\3"
            assert re.fullmatch(folder + ending, keys_of(client, fresh)[0])

    def test_log_objects_are_plain_text_of_the_owner_and_readable_for_grantees(
        self, logging: Server, client: BaseClient, source: str
    ) -> None:
        reader = logging.s3(logging.user(unique("reader")))
        grantee = reader.list_buckets()["Owner"]["ID"]
        target = unique("target")
        client.create_bucket(Bucket=target, ObjectOwnership="BucketOwnerPreferred")
        client.put_bucket_acl(Bucket=target, ACL="log-delivery-write")
        grants = [{"Grantee": {"Type": "CanonicalUser", "ID": grantee}, "Permission": "READ"}]
        _enable(client, source, target, TargetGrants=grants)
        client.head_bucket(Bucket=source)
        assert _records(client, target, 1)
        (key,) = keys_of(client, target)
        answer = reader.get_object(Bucket=target, Key=key)
        assert answer["ContentType"] == "text/plain" and b"REST.HEAD.BUCKET" in answer["Body"].read()

    def test_logs_are_encrypted_as_their_bucket_says(self, client: BaseClient, source: str, target: str) -> None:
        by_default = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
        client.put_bucket_encryption(Bucket=target, ServerSideEncryptionConfiguration=by_default)
        _enable(client, source, target)
        client.head_bucket(Bucket=source)
        assert _records(client, target, 1)
        assert client.head_object(Bucket=target, Key=keys_of(client, target)[0])["ServerSideEncryption"] == "AES256"

    def test_what_waits_is_delivered_at_the_end(self, new_server: Callable[..., Server]) -> None:
        server = new_server(NEXUS_LOG_DELIVERY_SECONDS="3600")
        client = server.s3()
        source, target = _make(client, "source"), _make(client, "target")
        _admit(client, target)
        _enable(client, source, target)
        client.head_bucket(Bucket=source)
        server.stop()
        server.start()
        assert [record["operation"] for record in _records(server.s3(), target, 1)] == ["REST.HEAD.BUCKET"]


class TestConfiguration:
    def test_what_was_put_comes_back(self, client: BaseClient, source: str, target: str) -> None:
        assert "LoggingEnabled" not in client.get_bucket_logging(Bucket=source)
        _enable(client, source, target, "log")
        assert client.get_bucket_logging(Bucket=source)["LoggingEnabled"] == {
            "TargetBucket": target,
            "TargetPrefix": "log",
        }
        for told, shown in (
            ({"SimplePrefix": {}}, {"SimplePrefix": {}}),
            ({"PartitionedPrefix": {}}, {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}),
        ):
            _enable(client, source, target, "", TargetObjectKeyFormat=told)
            assert client.get_bucket_logging(Bucket=source)["LoggingEnabled"]["TargetObjectKeyFormat"] == shown
        client.put_bucket_logging(Bucket=source, BucketLoggingStatus={})
        assert "LoggingEnabled" not in client.get_bucket_logging(Bucket=source)

    def test_grants_come_back(self, client: BaseClient, source: str) -> None:
        target = unique("target")
        client.create_bucket(Bucket=target, ObjectOwnership="ObjectWriter")
        group = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
        grants = [{"Grantee": group, "Permission": permission} for permission in ("WRITE", "READ_ACP")]
        _enable(client, source, target, "log", TargetGrants=grants)
        assert client.get_bucket_logging(Bucket=source)["LoggingEnabled"]["TargetGrants"] == grants

    def test_refusals(self, logging: Server, client: BaseClient, source: str, target: str) -> None:
        with refused("InvalidTargetBucketForLogging", 400) as seen:
            _enable(client, source, unique("absent"))
        assert seen[0].response["Error"]["Message"] == "The target bucket for logging does not exist"
        stranger = logging.s3(logging.user(unique("stranger"), tenant=unique("tenant")))
        theirs = _make(stranger, "theirs")
        with refused("InvalidTargetBucketForLogging", 400):
            _enable(client, source, theirs)
        with refused("AccessDenied", 403):
            _enable(stranger, source, target)
        with refused("MalformedXML", 400):
            _enable(
                client,
                source,
                target,
                TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": "Tomorrow"}},
            )
        group = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
        with refused("InvalidArgument", 400):
            _enable(client, source, target, TargetGrants=[{"Grantee": group, "Permission": "READ"}])
        client.put_bucket_request_payment(Bucket=target, RequestPaymentConfiguration={"Payer": "Requester"})
        with refused("InvalidTargetBucketForLogging", 400):
            _enable(client, source, target)
        assert "LoggingEnabled" not in client.get_bucket_logging(Bucket=source)

    def test_the_target_is_in_the_same_region(self, client: BaseClient, source: str) -> None:
        away = unique("away")
        client.create_bucket(Bucket=away, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        with refused("CrossLocationLoggingProhibitted", 403) as seen:
            _enable(client, source, away)
        assert seen[0].response["Error"]["TargetBucketLocation"] == "eu-west-1"
        with refused("CrossLocationLoggingProhibitted", 403) as seen:
            _enable(client, away, source)
        assert seen[0].response["Error"]["SourceBucketLocation"] == "eu-west-1"

    def test_no_policy_hands_out_the_right_to_another_account(
        self, logging: Server, client: BaseClient, source: str, target: str
    ) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:PutBucketLogging",
            "Resource": f"arn:aws:s3:::{source}",
        }
        client.delete_public_access_block(Bucket=source)
        client.put_bucket_policy(Bucket=source, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        stranger = logging.s3(logging.user(unique("stranger"), tenant=unique("tenant")))
        with refused("AccessDenied", 403):
            _enable(stranger, source, target)
