"""Where a check stands: a gateway's address and keys, a folder and a bucket of its own, boto3 as a second witness."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from conformance.clients.files import SPECIAL_KEYS, digest
from conformance.clients.tools import Tool

ROOT = Path(__file__).parent.parent.parent
REGION = "us-east-1"
RUN_SECONDS = 300
RESOLVER = Path(__file__).parent / "resolver"
"""In a Python client's PYTHONPATH: makes ``BUCKET.localhost`` resolve."""
KEPT = ("PATH", "JAVA_HOME", "TMPDIR", "LD_LIBRARY_PATH")


class ClientFailed(AssertionError):
    """A client ended with an error."""


@dataclass(frozen=True)
class Stand:
    """What a check gets."""

    port: int
    access_key: str
    secret_key: str
    folder: Path
    bucket: str = field(default_factory=lambda: f"client-{uuid.uuid4().hex[:12]}")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def virtual_url(self) -> str:
        """Where buckets are host names: ``BUCKET.localhost``."""
        return f"http://localhost:{self.port}"

    @cached_property
    def s3(self) -> Any:
        """Another client than the one on trial."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def environment(self, tool: Tool | None = None) -> dict[str, str]:
        """What a client sees: the gateway, this check's bucket, and nothing of the person who runs it."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CLIENT_BUCKET": self.bucket,
            "CLIENT_FOLDER": str(self.folder),
            "CLIENT_KEYS": json.dumps(SPECIAL_KEYS),
            **dict(tool.environment if tool else ()),
        }

    def fetch(self, url: str) -> bytes:
        """What a presigned URL gives, whatever host name it has."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", f"{parts.path}?{parts.query}", headers={"Host": parts.netloc})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, f"{url}: {answer.status} {body[:500]!r}"
        return body

    def make_bucket(self, name: str = "") -> str:
        self.s3.create_bucket(Bucket=name or self.bucket)
        return name or self.bucket

    def run(
        self,
        tool: Tool,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        fails: bool = False,
        seconds: float = RUN_SECONDS,
    ) -> str:
        """Start the client; what it printed. It must succeed, or fail where that is what is expected."""
        words = [*tool.command, *(str(word) for word in arguments)]
        process = subprocess.Popen(
            words,
            env={**self.environment(tool), **(environment or {})},
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise ClientFailed(f"{' '.join(words[:3])} …: still running after {seconds:.0f} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        text = output.decode(errors="replace")
        if (process.returncode != 0) is not fails:
            told = (text[-1000:] + errors.decode(errors="replace")[-2000:]).strip()
            raise ClientFailed(
                f"{Path(words[0]).name} {' '.join(words[len(tool.command) :])}: exit code {process.returncode}: {told}"
            )
        return text + errors.decode(errors="replace") if fails else text

    def run_program(self, tool: Tool, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Run one of ``programs`` in the client's interpreter, then look at what it says it left."""
        paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{RESOLVER}", "PYTHONDONTWRITEBYTECODE": "1"}
        words = ("-m", f"conformance.clients.programs.{name}")
        printed = self.run(tool, *words, environment={**paths, **(environment or {})})
        self.verify(printed)

    def verify(self, printed: str) -> None:
        """Every object that a program printed as left in the bucket is there, byte for byte."""
        claims = [json.loads(line.removeprefix("LEFT ")) for line in printed.splitlines() if line.startswith("LEFT ")]
        for claim in claims:
            self.holds(claim["key"], claim["sha256"])

    def holds(self, key: str, sha256: str) -> None:
        """The object's bytes have that digest."""
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        assert digest(body) == sha256, f"{key!r} holds other bytes"

    def keys(self, prefix: str = "") -> list[str]:
        """The bucket's keys in listing order."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]
