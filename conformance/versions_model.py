"""Random sequences of the versioned object API against a model that is a dictionary of lists.

python -m conformance.versions_model [--steps 100000] [--seed 1] [--style path|virtual]

Every answer is compared as it comes, and each sequence ends with a comparison of all that can be listed and read. A
sequence that fails is shrunk and printed as the calls to repeat it.
"""

from __future__ import annotations

import argparse
import hashlib
import socket
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import boto3
import hypothesis
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conformance.gateway import running_gateway

KEYS = st.sampled_from(["a", "a/b", "a/c/d", "a//", "b", "ü +%", "z" * 40])
BODIES = st.one_of(st.binary(max_size=8), st.sampled_from([b"same", b"x" * 70_000]))
PICKS = st.integers(0, 50)
START = datetime.now(UTC).replace(microsecond=0)
STEPS_PER_SEQUENCE, SEQUENCES = 50, 50


@dataclass
class Version:
    """One version of a key, as the model knows it."""

    id: str
    body: bytes | None
    """None for a delete marker."""
    etag: str
    tags: dict[str, str] = field(default_factory=dict)
    held: bool = False
    """Whether it is under a legal hold."""
    until: datetime | None = None
    """The end of its retention, in GOVERNANCE mode."""


def md5(body: bytes) -> Any:
    return hashlib.md5(body, usedforsecurity=False)


def outcome(call: Any, **arguments: Any) -> tuple[int, str, dict[str, Any]]:
    """Status, error code and answer of a call."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        answer = error.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer.get("Error", {}).get("Code", ""), answer


class VersionedBucket(RuleBasedStateMachine):
    """One bucket and its model: versions by key, the latest first. Some buckets have object lock."""

    client: BaseClient
    steps: ClassVar[int] = 0

    @initialize(locking=st.booleans())
    def make(self, locking: bool) -> None:
        self.bucket = f"model-{uuid.uuid4().hex[:20]}"
        self.client.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=locking)
        self.locking = locking
        self.keys: dict[str, list[Version]] = {}
        self.status: str | None = "Enabled" if locking else None

    @invariant()
    def count(self) -> None:
        VersionedBucket.steps += 1

    # -- the model

    def shown(self, key: str) -> Version | None:
        """What the key shows."""
        versions = self.keys.get(key)
        return versions[0] if versions and versions[0].body is not None else None

    def write(
        self, key: str, body: bytes | None, answer: dict[str, Any], etag: str, tags: dict[str, str] | None = None
    ) -> None:
        """A new version (None: a delete marker) goes on top; a null version replaces the null version."""
        versions = self.keys.setdefault(key, [])
        version_id = "null"
        if self.status == "Enabled":
            version_id = answer["VersionId"]
            assert version_id != "null" and version_id not in [version.id for version in versions]
        else:
            assert answer.get("VersionId", "null") == "null"
            versions[:] = [version for version in versions if version.id != "null"]
        versions.insert(0, Version(version_id, body, etag, dict(tags or {})))

    def pick(self, key: str, number: int) -> Version | None:
        versions = self.keys.get(key)
        return versions[number % len(versions)] if versions else None

    # -- changes

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, status: str) -> None:
        told = outcome(
            self.client.put_bucket_versioning, Bucket=self.bucket, VersioningConfiguration={"Status": status}
        )
        if self.locking and status == "Suspended":
            assert told[:2] == (409, "InvalidBucketState")
        else:
            assert told[0] == 200
            self.status = status
        assert self.client.get_bucket_versioning(Bucket=self.bucket)["Status"] == self.status

    @rule(key=KEYS, body=BODIES, condition=st.sampled_from([None, "absent", "same", "other"]))
    def put(self, key: str, body: bytes, condition: str | None) -> None:
        present, headers = self.shown(key), {}
        expected = 200
        if condition == "absent":
            headers, expected = {"IfNoneMatch": "*"}, 412 if present else 200
        elif condition == "same":
            headers, expected = {"IfMatch": present.etag if present else '"e"'}, 200 if present else 404
        elif condition == "other":
            headers, expected = {"IfMatch": '"e"'}, 412 if present else 404
        status, code, answer = outcome(self.client.put_object, Bucket=self.bucket, Key=key, Body=body, **headers)
        assert status == expected, (status, code, expected)
        if status == 200:
            assert answer["ETag"] == f'"{md5(body).hexdigest()}"'
            self.write(key, body, answer, answer["ETag"])

    @rule(key=KEYS, body=BODIES)
    def upload(self, key: str, body: bytes) -> None:
        where = {"Bucket": self.bucket, "Key": key}
        upload_id = self.client.create_multipart_upload(**where)["UploadId"]
        part = self.client.upload_part(**where, UploadId=upload_id, PartNumber=1, Body=body)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        answer = self.client.complete_multipart_upload(**where, UploadId=upload_id, MultipartUpload=parts)
        assert answer["ETag"] == f'"{md5(md5(body).digest()).hexdigest()}-1"'
        self.write(key, body, answer, answer["ETag"])

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        answer = self.client.delete_object(Bucket=self.bucket, Key=key)
        if self.status is None:
            assert "DeleteMarker" not in answer and "VersionId" not in answer
            self.keys.pop(key, None)
        else:
            assert answer["DeleteMarker"] is True
            self.write(key, None, answer, "")

    @rule(key=KEYS, number=PICKS, many=st.booleans(), bypass=st.booleans())
    def delete_version(self, key: str, number: int, many: bool, bypass: bool) -> None:
        version = self.pick(key, number)
        version_id = version.id if version else "null"
        options = {"BypassGovernanceRetention": True} if bypass else {}
        locked = version is not None and (version.held or (version.until is not None and not bypass))
        if many:
            objects = {"Objects": [{"Key": key, "VersionId": version_id}]}
            answer = self.client.delete_objects(Bucket=self.bucket, Delete=objects, **options)
            if locked:
                assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
                return
            assert [entry["VersionId"] for entry in answer["Deleted"]] == [version_id] and "Errors" not in answer
            marker = answer["Deleted"][0].get("DeleteMarker", False)
        else:
            status, code, answer = outcome(
                self.client.delete_object, Bucket=self.bucket, Key=key, VersionId=version_id, **options
            )
            assert (status, code) == ((403, "AccessDenied") if locked else (204, ""))
            if locked:
                return
            marker = answer.get("DeleteMarker", False)
        assert marker == (version is not None and version.body is None)
        if version is not None:
            self.keys[key].remove(version)

    @rule(source=KEYS, number=PICKS, onto=KEYS)
    def copy_version(self, source: str, number: int, onto: str) -> None:
        version = self.pick(source, number)
        named = {"Bucket": self.bucket, "Key": source, "VersionId": version.id if version else "null"}
        status, code, answer = outcome(self.client.copy_object, Bucket=self.bucket, Key=onto, CopySource=named)
        if version is None:
            assert (status, code) == (404, "NoSuchVersion")
        elif version.body is None:
            assert status == 400, (status, code)
        else:
            assert status == 200, (status, code)
            assert answer["CopyObjectResult"]["ETag"] == version.etag
            self.write(onto, version.body, answer, version.etag, version.tags)

    @rule(key=KEYS, number=PICKS, value=st.text("abc", max_size=3))
    def tag(self, key: str, number: int, value: str) -> None:
        version = self.pick(key, number)
        status, code, _ = outcome(
            self.client.put_object_tagging,
            Bucket=self.bucket,
            Key=key,
            VersionId=version.id if version else "null",
            Tagging={"TagSet": [{"Key": "k", "Value": value}]},
        )
        if version is None:
            assert (status, code) == (404, "NoSuchVersion")
        elif version.body is None:
            assert status == 405
        else:
            assert status == 200
            version.tags = {"k": value}

    # -- locks

    @precondition(lambda self: self.locking)
    @rule(key=KEYS, number=PICKS, held=st.booleans())
    def hold(self, key: str, number: int, held: bool) -> None:
        version = self.pick(key, number)
        if version is None or version.body is None:
            return
        where = {"Bucket": self.bucket, "Key": key, "VersionId": version.id}
        self.client.put_object_legal_hold(**where, LegalHold={"Status": "ON" if held else "OFF"})
        version.held = held

    @precondition(lambda self: self.locking)
    @rule(key=KEYS, number=PICKS, days=st.integers(1, 3), bypass=st.booleans())
    def retain(self, key: str, number: int, days: int, bypass: bool) -> None:
        version = self.pick(key, number)
        if version is None or version.body is None:
            return
        until = START + timedelta(days=days)
        status, code, _ = outcome(
            self.client.put_object_retention,
            Bucket=self.bucket,
            Key=key,
            VersionId=version.id,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
            **({"BypassGovernanceRetention": True} if bypass else {}),
        )
        if version.until is not None and until < version.until and not bypass:
            assert (status, code) == (403, "AccessDenied")
        else:
            assert status == 200, (status, code)
            version.until = until

    # -- looking

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        shown = self.shown(key)
        status, code, answer = outcome(self.client.get_object, Bucket=self.bucket, Key=key)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        if shown is None:
            assert (status, code) == (404, "NoSuchKey")
            hidden = bool(self.keys.get(key))
            assert headers.get("x-amz-delete-marker") == ("true" if hidden else None)
            return
        self._check(shown, status, answer)

    @rule(key=KEYS, number=PICKS)
    def read_version(self, key: str, number: int) -> None:
        version = self.pick(key, number)
        version_id = version.id if version else "null"
        status, code, answer = outcome(self.client.get_object, Bucket=self.bucket, Key=key, VersionId=version_id)
        if version is None:
            assert (status, code) == (404, "NoSuchVersion")
        elif version.body is None:
            assert (status, code) == (405, "MethodNotAllowed")
        else:
            self._check(version, status, answer)

    def _check(self, version: Version, status: int, answer: dict[str, Any]) -> None:
        assert status == 200
        assert answer["Body"].read() == version.body and answer["ETag"] == version.etag
        assert answer.get("VersionId") == (None if self.status is None else version.id)
        assert answer.get("TagCount", 0) == len(version.tags)
        assert (answer.get("ObjectLockLegalHoldStatus") == "ON") == version.held
        assert answer.get("ObjectLockRetainUntilDate") == version.until

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "b", "ü"]),
        delimiter=st.sampled_from(["", "/"]),
        size=st.integers(1, 4),
    )
    def list_versions(self, prefix: str, delimiter: str, size: int) -> None:
        told: list[tuple[str, str, bool, bool]] = []
        prefixes: list[str] = []
        marker: dict[str, str] = {}
        while True:
            options = {"Bucket": self.bucket, "Prefix": prefix, "MaxKeys": size, **marker}
            page = self.client.list_object_versions(**options, **({"Delimiter": delimiter} if delimiter else {}))
            entries = [
                (entry["Key"], entry["VersionId"], entry["IsLatest"], is_marker)
                for name, is_marker in (("Versions", False), ("DeleteMarkers", True))
                for entry in page.get(name, [])
            ]
            assert len(entries) + len(page.get("CommonPrefixes", [])) <= size
            told += entries
            prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            if not page["IsTruncated"]:
                break
            marker = {"KeyMarker": page["NextKeyMarker"]}
            if "NextVersionIdMarker" in page:
                marker["VersionIdMarker"] = page["NextVersionIdMarker"]
        expected, rolled = [], set()
        for key, versions in self.keys.items():
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if not versions or not key.startswith(prefix):
                continue
            if cut >= 0:
                rolled.add(key[: cut + 1])
                continue
            expected += [(key, each.id, each is versions[0], each.body is None) for each in versions]
        assert sorted(told) == sorted(expected)
        assert prefixes == sorted(rolled, key=str.encode)

    @rule()
    def list_objects(self) -> None:
        page = self.client.list_objects_v2(Bucket=self.bucket)
        told = [(entry["Key"], entry["ETag"], entry["Size"]) for entry in page.get("Contents", [])]
        shown = [(key, version) for key in self.keys if (version := self.shown(key)) is not None]
        shown.sort(key=lambda each: each[0].encode())
        assert told == [(key, version.etag, len(version.body or b"")) for key, version in shown]

    @precondition(lambda self: any(self.keys.values()))
    @rule()
    def delete_bucket(self) -> None:
        status, code, _ = outcome(self.client.delete_bucket, Bucket=self.bucket)
        assert (status, code) == (409, "BucketNotEmpty")

    def teardown(self) -> None:
        if not hasattr(self, "bucket"):
            return
        self.list_versions("", "", 3)
        self.list_objects()
        for key, versions in self.keys.items():
            self.read(key)
            for number in range(len(versions)):
                self.read_version(key, number)
        for key, versions in self.keys.items():
            for version in versions:
                where = {"Bucket": self.bucket, "Key": key, "VersionId": version.id}
                if version.held:
                    self.client.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
                self.client.delete_object(**where, BypassGovernanceRetention=True)
        self.client.delete_bucket(Bucket=self.bucket)


def run(client: BaseClient, sequences: int, seed: int, steps: int = STEPS_PER_SEQUENCE) -> None:
    """Run so many random sequences of calls; raises AssertionError with the calls that show a divergence."""
    machine = type("Machine", (VersionedBucket,), {"client": client})
    seeded = hypothesis.seed(seed)(machine)
    run_state_machine_as_test(
        seeded,
        settings=hypothesis.settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )


def resolve_localhost() -> None:
    """Let ``bucket.localhost`` mean this machine (RFC 6761, 6.3), which not every resolver knows."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **options)

    socket.getaddrinfo = getaddrinfo


def connect(endpoint: str, access_key: str, secret_key: str, style: str) -> BaseClient:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": style}, retries={"total_max_attempts": 1, "mode": "standard"}),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--style", choices=("path", "virtual"), default=None, help="both, half of the steps each")
    options = parser.parse_args()
    resolve_localhost()
    styles = [options.style] if options.style else ["path", "virtual"]
    with running_gateway("--s3-domain", "localhost") as gateway:
        for style in styles:
            started = time.monotonic()
            admin = gateway.admin
            client = connect(f"http://localhost:{gateway.port}", admin.access_key, admin.secret_key, style)
            VersionedBucket.steps, seed = 0, options.seed
            while VersionedBucket.steps < options.steps // len(styles):
                run(client, SEQUENCES, seed)
                seed += 1
            print(f"{style}: {VersionedBucket.steps} steps, no divergence, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
