"""The model that is read without botocore's code is the one that botocore reads."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from botocore.loaders import Loader

from gateway.s3 import service_model


def _without_words(found: Any) -> Any:
    if isinstance(found, dict):
        return {
            name: _without_words(value)
            for name, value in found.items()
            if name != "documentation" or not isinstance(value, str)
        }
    return [_without_words(item) for item in found] if isinstance(found, list) else found


def test_it_is_botocores_own_with_what_sdks_add() -> None:
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    assert service_model.load() == _without_words(loader.load_service_model("s3", "service-2"))


def test_a_gateway_without_cloud_mounts_imports_no_cloud_sdk() -> None:
    code = (
        "import sys; from gateway.app import Application; from gateway.s3.model import operations; operations();"
        " print(*sorted({'botocore', 'boto3', 'urllib3', 'google', 'azure', 'httpx', 'psycopg', 'asyncpg'}"
        " & {name.partition('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []
