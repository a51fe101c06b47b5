"""botocore's description of S3, read from its data without its code, of which nothing else here has a use.

What it says to people is left out while it is read: that is most of it, and memory once taken is seldom given back.
"""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODEL, EXTRAS = "service-2.json", "service-2.sdk-extras.json"


def load() -> dict[str, Any]:
    """The newest model that the installed botocore carries, with what its SDKs add to it.

    Only botocore's own data: a model in the home of whoever starts the server must not change the protocol.
    """
    spec = find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("botocore is not installed")
    versions = Path(spec.submodule_search_locations[0]) / "data" / "s3"
    newest = max(folder for folder in versions.iterdir() if any(folder.glob(f"{MODEL}*")))
    plain, packed = newest / MODEL, newest / f"{MODEL}.gz"
    model = _parse(plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes()))
    extras = newest / EXTRAS
    if extras.exists():
        _merge(model, _parse(extras.read_bytes()).get("merge", {}))
    return model


def _parse(text: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text, object_hook=_undocumented)
    return found


def _undocumented(found: dict[str, Any]) -> dict[str, Any]:
    if isinstance(found.get("documentation"), str):
        del found["documentation"]
    return found


def _merge(base: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            _merge(base[name], value)
        else:
            base[name] = value
