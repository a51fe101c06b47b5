"""Run ceph/s3-tests from a checkout against a gateway, and print passed and failed by feature group.

python -m conformance.s3tests CHECKOUT [--kms] [-k EXPRESSION] [--workers 2] [--python INTERPRETER]
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from conformance.gateway import Credentials, Gateway, running_gateway

FILES = ("s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py")

# A test belongs to the first group whose expression its name or marks match. The order matters: a copy between
# versioned buckets is about versions.
GROUPS: tuple[tuple[str, str], ...] = (
    # (group, expression over "name marks")
    ("object lock", r"object_lock"),
    ("versioning", r"version|delete_marker|null_|acl_mtime|current_(object_)?if_(none_)?match"),
    ("lifecycle", r"lifecycle|expir(ation|e_)|noncurrent"),
    ("bucket logging", r"bucket_logging|logging"),
    ("encryption", r"encrypt|sse"),
    ("post object", r"post_object"),
    ("policy", r"policy|public_block|block_public|ignore_public|restrict_public|tags_acl_public"),
    ("cors", r"cors"),
    ("website", r"website"),
    ("ownership", r"ownership"),
    ("acl and anonymous", r"acl|anon|_grant|access_bucket"),
    ("bucket tagging", r"set_bucket_tagging"),
    ("listing", r"bucket_list|bucketv2|listv2|list_objects_v2|basic_key_count|list_special"),
    ("multipart", r"multipart|upload_part|abort_multi"),
    ("copy", r"copy"),
    ("conditional", r"if_?none_?match|if_?match|modifiedsince|conditional"),
    ("ranges", r"range"),
    ("tagging", r"tag"),
    ("checksums and attributes", r"checksum|cksum|attributes"),
    ("atomicity", r"atomic"),
    ("headers and authentication", r"auth|create_bad|raw_|100_continue|presign"),
    ("buckets", r"bucket"),
    ("objects", r"."),
)
LEFT_OUT = {
    "fails_on_aws": "AWS itself does not pass it",
    "auth_aws2": "Signature Version 2 in headers, which AWS is retiring and the gateway does not speak",
    "iam_account": "needs the API of AWS IAM, another service",
}
"""Marks of tests that are not run, and why."""
TENANTS = re.compile(r"different_tenant|tenanted_bucket")
"""Tests of Ceph's ``tenant:bucket`` names."""
VERSION_2 = re.compile(r"presigned_\w+_v2$")
"""Tests whose clients sign by Version 2 in headers, though nothing marks them so."""
KMS = re.compile(r"kms")

_POLICY_VALUES = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"
CONTRADICTING = {
    "test_object_set_get_unicode_metadata": (
        "expects a non-ASCII metadata value back as it was sent; AWS answers with an RFC 2047 word:"
        " https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"
    ),
    "test_object_raw_get_x_amz_expires_out_max_range": (
        "expects 403 for an expiry of over a week; AWS documents 400 AuthorizationQueryParametersError:"
        " https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"
    ),
    "test_object_read_unreadable": (
        "expects 400 for a key whose bytes are valid UTF-8; any UTF-8 is a key:"
        " https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"
    ),
    "test_bucket_policy_put_obj_request_obj_tag": (
        "expects a write without tags to be allowed where the policy demands one (its hook adds the tag to another"
        f" client's requests): {_POLICY_VALUES}"
    ),
    "test_bucket_policy_set_condition_operator_end_with_IfExists": (
        "expects a bucket's owner to be refused because an Allow does not match; owners need none:"
        " https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-s3-evaluates-access-control.html"
    ),
    "test_delete_marker_nonversioned": (
        "expects the header x-amz-delete-marker: false; where it is false it does not appear:"
        " https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"
    ),
    "test_delete_marker_expiration": (
        "expects the same header of a key that is gone altogether:"
        " https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"
    ),
    "test_get_object_torrent": (
        "expects 404; torrents ended in 2022, and the gateway says so with NotImplemented:"
        " https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTorrent.html"
    ),
    **dict.fromkeys(
        (
            "test_get_multipart_object_attributes",
            "test_get_paginated_multipart_object_attributes",
            "test_get_single_multipart_object_attributes",
        ),
        "expects the parts of an object whose upload asked for no checksum; AWS tells how many they are, and lists"
        " those of uploads with one: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributesParts.html",
    ),
    **dict.fromkeys(
        ("test_encryption_sse_c_other_key", "test_encryption_sse_c_multipart_bad_download"),
        "expects 400 for another key than the object's; AWS verifies that the key matches, and was recorded to answer"
        " 403 AccessDenied where it does not (its page names no status):"
        " https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-s3-c-encryption.html",
    ),
    **dict.fromkeys(
        (
            "test_object_create_bad_contentlength_none",
            "test_object_create_bad_authorization_empty",
            "test_object_create_bad_authorization_none",
            "test_bucket_create_bad_authorization_empty",
            "test_bucket_create_bad_authorization_none",
        ),
        "sends a valid request: boto3 (seen with 1.26, 1.35 and 1.44) signs, and tells the length, after the hook by"
        " which the test means to spoil that: https://github.com/ceph/s3-tests/blob/master/s3tests/functional/test_headers.py",
    ),
    "test_put_bucket_logging": (
        "expects grants to be dropped and a key format that nobody put; AWS gives back what was put:"
        " https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLogging.html"
    ),
    "test_put_bucket_logging_errors": (
        "expects NoSuchKey for an absent target, which is InvalidTargetBucketForLogging, and that no bucket may log"
        " into itself, into one that is logged or into one with SSE-S3; all three may be:"
        " https://docs.aws.amazon.com/AmazonS3/latest/API/API_LoggingEnabled.html"
    ),
    "test_bucket_logging_owner": (
        "puts a policy whose statement has no Resource, which every statement of a bucket policy has:"
        " https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html"
    ),
    "test_put_bucket_logging_permissions": (
        "puts a policy for a service that does not exist, which is no valid principal:"
        " https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"
    ),
    "test_put_bucket_logging_policy_wildcard": (
        "logs into a bucket of another account; both buckets must have one owner:"
        " https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html"
    ),
    "test_post_object_upload_checksum": (
        "expects a form's x-amz-checksum-sha256 to be taken that no condition of the policy names; each field must be"
        " named: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html"
    ),
}
"""Tests that AWS's documentation contradicts. They run all the same, and one that passes is told."""
DAY_SECONDS = 5
CLASSES = {"LUKEWARM": "/lukewarm", "FROZEN": "/frozen"}
"""Storage classes of our own, each bound to a store: the suite moves objects to classes of the server's, and objects
so small that AWS would not move them to its own."""
OTHER_REGION = "eu-west-1"
KMS_KEYS = ("testkey-1", "testkey-2")
"""The keys that the suite's SSE-KMS tests name."""
EXPECTED = {
    "NEXUS_DEFAULT_OWNERSHIP": "ObjectWriter",  # buckets as AWS made them before April 2023
    "NEXUS_OTHER_REGIONS": f'["{OTHER_REGION}"]',
    "NEXUS_LIFECYCLE_DAY_SECONDS": str(DAY_SECONDS),
    "NEXUS_LIFECYCLE_INTERVAL": "1",
    "NEXUS_STORAGE_CLASSES": json.dumps(CLASSES),
    "NEXUS_KMS_DEFAULT_KEY": "",  # SSE-KMS that names no key is refused
}
"""Settings that the suite's expectations need."""


def group_of(name: str, marks: str) -> str:
    """The group of a test."""
    return next(group for group, expression in GROUPS if re.search(expression, f"{name} {marks}"))


def collect(checkout: Path, *, kms: bool = False) -> dict[str, str]:
    """The group of every test that means S3 as AWS has it; of those about SSE-KMS, or of all the others."""
    tests: dict[str, str] = {}
    for file in FILES:
        marks: list[str] = []
        for line in (checkout / file).read_text().splitlines():
            if found := re.match(r"@pytest\.mark\.(\w+)", line):
                marks.append(found[1])
            elif found := re.match(r"def (test_\w+)", line):
                name = found[1]
                if (
                    not LEFT_OUT.keys() & set(marks)
                    and not TENANTS.search(name)
                    and not VERSION_2.search(name)
                    and bool(KMS.search(name)) == kms
                ):
                    tests[name] = group_of(name, " ".join(marks))
                marks = []
    return tests


def write_configuration(gateway: Gateway, target: Path) -> None:
    """The suite's configuration, for three users of three tenants made on the spot."""
    config = configparser.RawConfigParser()
    config["DEFAULT"] = {
        "host": "localhost",
        "port": str(gateway.port),
        "is_secure": "False",
        "ssl_verify": "False",
    }
    config["fixtures"] = {"bucket prefix": f"s3t{os.getpid()}-{{random}}-", "iam name prefix": "s3-tests-"}
    people = {
        "s3 main": ("main", "M. Tester", "tester@example.com", "main"),
        "s3 alt": ("alt", "john.doe", "john.doe@example.com", "alt"),
        "s3 tenant": ("tenant", "testx$tenanteduser", "tenanteduser@example.com", "testx"),
    }
    for section, person in people.items():
        credentials, user = gateway.user(*person)
        config[section] = _section(credentials, str(user["canonical_id"]), person[1], person[2])
    for name in KMS_KEYS:
        gateway.nexus("encryption", "create-key", name)
    config["s3 main"].update(
        {
            "api_name": OTHER_REGION,
            "storage_classes": ",".join(CLASSES),
            "lc_debug_interval": str(DAY_SECONDS),
            "kms_keyid": KMS_KEYS[0],
            "kms_keyid2": KMS_KEYS[1],
        }
    )
    config["s3 tenant"]["tenant"] = "testx"
    for section in ("iam", "iam root", "iam alt root"):
        config[section] = dict(config["s3 main"])
    with target.open("w") as file:
        config.write(file)


def _section(credentials: Credentials, user_id: str, display_name: str, email: str) -> dict[str, str]:
    return {
        "access_key": credentials.access_key,
        "secret_key": credentials.secret_key,
        "user_id": user_id,
        "display_name": display_name,
        "email": email,
    }


def run(checkout: Path, names: list[str], workers: int, python: str) -> dict[str, str]:
    """Run tests by name, each worker against a gateway of its own; the outcome of each.

    The suite's teardown removes every bucket of its users, so two runs cannot share a gateway.
    """
    outcomes: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="s3tests-") as folder:
        shares = [names[index::workers] for index in range(workers)]
        with ExitStack() as stack:
            gateways = [stack.enter_context(running_gateway(environment=EXPECTED)) for _ in range(workers)]
            for gateway in gateways:
                _mount_classes(gateway)
            runs = [
                _start(python, checkout, share, gateway, Path(folder) / str(index))
                for index, (share, gateway) in enumerate(zip(shares, gateways, strict=True))
                if share
            ]
            for process in runs:
                process.wait()
        for report in Path(folder).glob("*/report.xml"):
            for case in ElementTree.parse(report).getroot().iter("testcase"):
                failure = next((child for child in case if child.tag in ("failure", "error")), None)
                if failure is not None:
                    outcomes[str(case.get("name"))] = (failure.get("message") or "failed").splitlines()[0]
                elif case.find("skipped") is None:
                    outcomes.setdefault(str(case.get("name")).split("[")[0], "passed")
    return outcomes


def _mount_classes(gateway: Gateway) -> None:
    for point in CLASSES.values():
        store = gateway.data_dir.parent / f"store{point.replace('/', '-')}"
        gateway.nexus("mounts", "add", point, "local", "--config", f"data_dir={store}")


def _start(python: str, checkout: Path, names: list[str], gateway: Gateway, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    write_configuration(gateway, folder / "s3tests.conf")
    wanted = {f"{file}::{name}" for file in FILES for name in names if f"def {name}(" in (checkout / file).read_text()}
    (folder / "tests").write_text("\n".join(sorted(wanted)))
    return subprocess.Popen(
        [
            *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=120", "-W", "ignore"),
            *("-m", " and ".join(f"not {mark}" for mark in LEFT_OUT)),  # some parameters of a test are marked so, too
            *(f"--junitxml={folder / 'report.xml'}", "--tb=line", f"@{folder / 'tests'}"),
        ],
        cwd=checkout,
        env={**os.environ, "S3TEST_CONF": str(folder / "s3tests.conf")},
        stdout=open(folder / "log", "wb"),
        stderr=subprocess.STDOUT,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--kms", action="store_true", help="the tests of SSE-KMS instead of all the others")
    parser.add_argument("-k", default=".", help="only tests whose name matches this regular expression")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has what the suite needs")
    options = parser.parse_args()
    tests = {
        name: group for name, group in collect(options.checkout, kms=options.kms).items() if re.search(options.k, name)
    }
    outcomes = run(options.checkout.resolve(), list(tests), options.workers, options.python)
    return report(tests, outcomes)


def report(tests: Mapping[str, str], outcomes: Mapping[str, str]) -> int:
    """Print passed and failed by group; 1 where a test failed that AWS's documentation does not contradict."""
    table: dict[str, list[str]] = defaultdict(list)
    for name, group in tests.items():
        if name not in CONTRADICTING:
            table[group].append(name)
    failed = 0
    for group, names in table.items():
        bad = [name for name in names if outcomes.get(name) != "passed"]
        failed += len(bad)
        print(f"{group:28} {len(names) - len(bad):4} passed {len(bad):4} failed")
        for name in bad:
            print(f"    {name}: {outcomes.get(name, 'did not run')[:160]}")
    told = [name for name in tests if name in CONTRADICTING]
    for name in told:
        print(f"contradicts AWS ({'passes' if outcomes.get(name) == 'passed' else 'fails'}): {name}")
        print(f"    {CONTRADICTING[name]}")
    print(f"{len(tests) - len(told) - failed} passed, {failed} failed, {len(told)} contradict AWS's documentation")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
