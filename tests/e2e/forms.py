"""Making browsers' forms, signed by boto3 or by hand, and sending them over a real socket."""

from __future__ import annotations

import base64
import hmac
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from botocore.client import BaseClient

from tests.e2e.harness import Server

Fields = dict[str, str]
File = tuple[str | None, bytes]
BOUNDARY = b"xyz"


def presign(
    client: BaseClient, bucket: str, key: str, fields: Fields | None = None, *conditions: Any, seconds: int = 300
) -> tuple[str, Fields]:
    """URL and fields of a form whose extra fields are all named by its policy."""
    named = [{name: value} for name, value in (fields or {}).items()]
    form = client.generate_presigned_post(
        bucket, key, Fields=dict(fields or {}), Conditions=[*named, *conditions], ExpiresIn=seconds
    )
    return form["url"], form["fields"]


def send(url: str, fields: Mapping[str, str], file: File = ("a.txt", b"bar"), **options: Any) -> requests.Response:
    return requests.post(url, data=fields, files={"file": file}, allow_redirects=False, timeout=20, **options)


def error_of(answer: requests.Response) -> dict[str, str]:
    return {element.tag: element.text or "" for element in ElementTree.fromstring(answer.content)}


def sign_by_hand(server: Server, policy: Any) -> Fields:
    """The Version 2 fields of any policy, however odd."""
    text = base64.b64encode(policy if isinstance(policy, bytes) else json.dumps(policy).encode()).decode()
    digest = hmac.digest(server.admin.secret_key.encode(), text.encode(), "sha1")
    return {
        "AWSAccessKeyId": server.admin.access_key,
        "policy": text,
        "signature": base64.b64encode(digest).decode(),
    }


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def framed_part(parameters: bytes, value: bytes) -> bytes:
    return b"--xyz\r\nContent-Disposition: form-data; " + parameters + b"\r\n\r\n" + value + b"\r\n"


def framed(
    fields: Mapping[str, str], file: bytes, content: bytes, below: bytes = b"", before: bytes = b""
) -> tuple[bytes, str]:
    """A form by hand, and its Content-Type."""
    parts = [framed_part(b'name="%s"' % name.encode(), value.encode()) for name, value in fields.items()]
    body = b"".join(parts) + before + framed_part(file, content) + below + b"--xyz--\r\n"
    return body, "multipart/form-data; boundary=xyz"
