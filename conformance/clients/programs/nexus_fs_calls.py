"""nexus-fs-python at the other end of a pipe: a JSON list per line in, ``result`` or ``error`` out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from nexus_client import NexusError, RemoteNexusFS

nx = RemoteNexusFS(os.environ["AWS_ENDPOINT_URL"], api_key=os.environ["NEXUS_API_KEY"])


def put(path: str, source: str) -> None:
    nx.write(path, Path(source).read_bytes())


def get(path: str, target: str) -> None:
    Path(target).write_bytes(nx.read(path))


def part(path: str, start: int, stop: int) -> str:
    return nx.read_range(path, start, stop).hex()


def list_files(path: str) -> list[str]:
    return [each["path"] for each in nx.list(path, recursive=True, details=True) if not each["is_directory"]]


ACTS: dict[str, Any] = {
    "put": put,
    "get": get,
    "part": part,
    "list": list_files,
    "move": nx.rename,
    "remove": nx.delete,
}

for line in sys.stdin:
    act, *arguments = json.loads(line)
    try:
        answer = {"result": ACTS[act](*arguments)}
    except (NexusError, OSError) as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer if isinstance(answer.get("result"), list | str) or "error" in answer else {"result": None}))
    sys.stdout.flush()
