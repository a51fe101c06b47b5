"""Run ceph/s3-tests from a checkout against a gateway, and print passed and failed by feature group.

python -m conformance.s3tests CHECKOUT [--all] [-k EXPRESSION] [--workers 2] [--list-failed]
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from conformance.gateway import Credentials, Gateway, running_gateway

FILES = ("s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py")

# A test belongs to the first group whose expression its name or marks match. The order matters: a copy between
# versioned buckets is about versions.
GROUPS: tuple[tuple[str, str, bool], ...] = (
    # (group, expression over "name marks", part of the gateway today)
    ("object lock", r"object_lock", False),
    ("versioning", r"version|delete_marker|null_|acl_mtime|current_(object_)?if_(none_)?match", False),
    ("lifecycle", r"lifecycle|expir(ation|e_)|noncurrent", False),
    ("bucket logging", r"bucket_logging|logging", False),
    ("encryption", r"encrypt|sse", False),
    ("policy", r"policy|public_block|block_public|ignore_public|restrict_public|tags_acl_public", False),
    ("post object", r"post_object", False),
    ("cors", r"cors", False),
    ("website", r"website", False),
    ("ownership", r"ownership", False),
    ("acl and anonymous", r"acl|anon|_grant|access_bucket", True),
    ("bucket tagging", r"set_bucket_tagging", False),
    ("others' own", r"torrent|append|restore|cloud|notification|account|iam_", False),
    ("listing", r"bucket_list|bucketv2|listv2|list_objects_v2|basic_key_count|list_special", True),
    ("multipart", r"multipart|upload_part|abort_multi", True),
    ("copy", r"copy", True),
    ("conditional", r"if_?none_?match|if_?match|modifiedsince|conditional", True),
    ("ranges", r"range", True),
    ("tagging", r"tag", True),
    ("checksums and attributes", r"checksum|cksum|attributes", True),
    ("atomicity", r"atomic", True),
    ("headers and authentication", r"auth|create_bad|raw_|100_continue|presign", True),
    ("buckets", r"bucket", True),
    ("objects", r".", True),
)
LEFT_OUT = ("fails_on_aws", "auth_aws2")
EXPECTED = {"NEXUS_DEFAULT_OWNERSHIP": "ObjectWriter"}
"""Buckets as AWS made them before April 2023: what the suite's ACL tests expect."""


def group_of(name: str, marks: str) -> tuple[str, bool]:
    """The group of a test, and whether the gateway has that feature."""
    for group, expression, supported in GROUPS:
        if re.search(expression, f"{name} {marks}"):
            return group, supported
    raise LookupError(name)


def collect(checkout: Path) -> dict[str, tuple[str, bool]]:
    """Every test that AWS itself passes and that does not need SigV2: its group, and whether that is supported."""
    tests: dict[str, tuple[str, bool]] = {}
    for file in FILES:
        marks: list[str] = []
        for line in (checkout / file).read_text().splitlines():
            if found := re.match(r"@pytest\.mark\.(\w+)", line):
                marks.append(found[1])
            elif found := re.match(r"def (test_\w+)", line):
                if not set(marks) & set(LEFT_OUT):
                    tests[found[1]] = group_of(found[1], " ".join(marks))
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
    config["s3 main"]["api_name"] = ""
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


def _start(python: str, checkout: Path, names: list[str], gateway: Gateway, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    write_configuration(gateway, folder / "s3tests.conf")
    wanted = {f"{file}::{name}" for file in FILES for name in names if f"def {name}(" in (checkout / file).read_text()}
    (folder / "tests").write_text("\n".join(sorted(wanted)))
    return subprocess.Popen(
        [
            *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=120", "-W", "ignore"),
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
    parser.add_argument("--all", action="store_true", help="also groups of features the gateway does not have yet")
    parser.add_argument("-k", default=".", help="only tests whose name matches this regular expression")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has what the suite needs")
    options = parser.parse_args()
    tests = {
        name: group
        for name, (group, supported) in collect(options.checkout).items()
        if (supported or options.all) and re.search(options.k, name)
    }
    outcomes = run(options.checkout.resolve(), list(tests), options.workers, options.python)
    table: dict[str, list[str]] = defaultdict(list)
    for name, group in tests.items():
        table[group].append(name)
    failed = 0
    for group, names in table.items():
        bad = [name for name in names if outcomes.get(name) != "passed"]
        failed += len(bad)
        print(f"{group:28} {len(names) - len(bad):4} passed {len(bad):4} failed")
        for name in bad:
            print(f"    {name}: {outcomes.get(name, 'did not run')[:160]}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
