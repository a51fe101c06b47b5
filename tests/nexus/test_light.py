"""The client is light: it brings no server code, and nothing to install but httpx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {
    "gateway",
    "backends",
    "starlette",
    "uvicorn",
    "boto3",
    "botocore",
    "pydantic",
    "lxml",
    "cryptography",
    "awscrt",
}


def test_importing_it_imports_no_server() -> None:
    code = "import nexus, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
