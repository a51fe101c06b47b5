"""The same boto3 calls against the gateway and against moto's server, and where they differ.

A difference is no failure by itself: moto is a fake for tests, not S3. ``conformance.verdicts`` says who is right by
AWS's documentation; a difference without a verdict, or one that speaks for moto, is.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from conformance.cases import GROUPS
from conformance.gateway import free_port, running_gateway
from conformance.verdicts import Verdict, verdict_on

START_SECONDS = 30
OUTCOME = "outcome"
OURS = frozenset({"UploadId", "ID", "DisplayName", "ContinuationToken", "NextContinuationToken"})
"""Members whose values each server makes up; only their presence is compared."""
OURS_TOO = frozenset({"UploadIdMarker", "NextUploadIdMarker", "Location"})


@dataclass(frozen=True)
class Difference:
    """One member of one answer that is not the same; None where a server does not tell it."""

    case: str
    operation: str
    member: str
    gateway: str | None
    moto: str | None
    verdict: Verdict | None


@dataclass
class Recorder:
    """Makes calls and keeps what came of each: its members by path, normalised."""

    client: BaseClient
    group: str = ""
    outcomes: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def __call__(self, case: str, operation: str, /, **members: Any) -> dict[str, Any]:
        name = f"{self.group}: {case}"
        assert name not in self.outcomes, name
        answer: dict[str, Any] = {}
        try:
            answer = getattr(self.client, operation)(**members)
            told = flatten(answer)
            told[OUTCOME] = str(answer["ResponseMetadata"]["HTTPStatusCode"])
        except ClientError as error:
            told = {OUTCOME: _refusal(error)}
        except BotoCoreError as error:  # what boto3 cannot make sense of is an outcome as well
            told = {OUTCOME: type(error).__name__}
        self.outcomes[name] = (operation, told)
        return answer


def _refusal(error: ClientError) -> str:
    """Status and code; botocore makes the code of the status where an answer has no body."""
    status, code = str(error.response["ResponseMetadata"]["HTTPStatusCode"]), error.response["Error"]["Code"]
    return status if code == status else f"{status} {code}"


def flatten(answer: Any, path: str = "") -> dict[str, str]:
    """The members of an answer by path, without times and made-up names."""
    if isinstance(answer, dict):
        found: dict[str, str] = {}
        for name, value in answer.items():
            if name != "ResponseMetadata":
                found |= flatten(value, f"{path}.{name}" if path else name)
        return found
    if isinstance(answer, list):
        found = {f"{path}.#": str(len(answer))}
        for number, value in enumerate(answer):
            found |= flatten(value, f"{path}.{number}")
        return found
    return {path: _plain(answer, path.rpartition(".")[2])}


def _plain(value: Any, name: str) -> str:
    if isinstance(value, datetime) and name != "Expires":
        return "<time>"
    if name in OURS or name in OURS_TOO:
        return "<made up>" if value else "<empty>"
    if hasattr(value, "read"):
        body = value.read()
        return f"{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()[:12]}"
    return str(value)


def play(url: str, access_key: str, secret_key: str) -> Recorder:
    """Every case against one server."""
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            parameter_validation=False,
        ),
    )
    recorder = Recorder(client)
    for group in GROUPS:
        recorder.group = group.__name__
        group(recorder)
    client.close()
    return recorder


def differences(gateway: Recorder, moto: Recorder) -> list[Difference]:
    found = []
    for case, (operation, ours) in gateway.outcomes.items():
        theirs = moto.outcomes.get(case, (operation, {OUTCOME: "not called"}))[1]
        # Where one succeeded and the other did not, the members say nothing more.
        both = ours[OUTCOME].startswith("2") and theirs[OUTCOME].startswith("2")
        members = sorted(ours.keys() | theirs.keys()) if both else [OUTCOME]
        for member in members:
            mine, other = ours.get(member), theirs.get(member)
            if mine != other:
                found.append(Difference(case, operation, member, mine, other, verdict_on(case, member, mine, other)))
    return found


@contextmanager
def running_moto() -> Iterator[str]:
    """Moto's server, threaded as it comes; its URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/moto-api/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("moto's server did not start; is moto[server] installed?")


def table_of(found: list[Difference]) -> Table:
    table = Table(title="Where the gateway and moto differ", title_justify="left")
    for heading in ("operation", "case", "member", "gateway", "moto", "right", "why"):
        table.add_column(heading, overflow="fold")
    for each in found:
        right, why = ("?", "no verdict") if each.verdict is None else (each.verdict.right, each.verdict.text)
        table.add_row(each.operation, each.case, each.member, each.gateway or "-", each.moto or "-", right, why)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.compare", description=__doc__)
    parser.add_argument("--open", action="store_true", help="show only what has no verdict, or one for moto")
    options = parser.parse_args()
    with running_moto() as url:
        moto = play(url, "testing", "testing")
    with running_gateway() as gateway:
        ours = play(gateway.url, gateway.admin.access_key, gateway.admin.secret_key)
    found = differences(ours, moto)
    unsettled = [each for each in found if each.verdict is None or each.verdict.right == "moto"]
    console = Console(width=None if sys.stdout.isatty() else 200)
    shown = unsettled if options.open else found
    if shown:
        console.print(table_of(shown))
    cases = len({each.case for each in found})
    console.print(f"{len(ours.outcomes)} calls, {cases} differ, {len(unsettled)} differences unsettled")
    return 1 if unsettled else 0


if __name__ == "__main__":
    sys.exit(main())
