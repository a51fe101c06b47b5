"""Mounting a directory as it stands, and what tests ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.rpc import Rpc


def mount(rpc: Rpc, mount_point: str, folder: Path, **options: Any) -> None:
    config = {"data_dir": str(folder), "layout": "native"}
    rpc("add_mount", mount_point=mount_point, backend_type="local", backend_config=config, **options)


def keys(s3: BaseClient, bucket: str, **options: Any) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **options)
    return [
        name
        for page in pages
        for name in [each["Key"] for each in page.get("Contents", [])]
        + [each["Prefix"] for each in page.get("CommonPrefixes", [])]
    ]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
