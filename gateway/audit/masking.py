"""What of an action's parameters may be kept: never a secret, never a body, and never much."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Set
from typing import Any

MASK = "********"
LONGEST = 2048
LARGEST = 32 * 1024
MOST = 100
DEEPEST = 8

_SECRET = re.compile(
    r"secret|password|passwd|passphrase|token|credential(?!s_path)|private|api_?key|account_?key|access_?key(?!_id)"
    r"|encryption_?key|ssecustomerkey|connection_?string|^sas|^dsn$|^auth",
    re.I,
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def shown_parameters(parameters: Mapping[str, Any], secret: Set[str] = frozenset()) -> dict[str, Any]:
    """Parameters as they may be shown, but those that are called ``secret``; of very many only their names."""
    kept = {_text(name): shown(name, value, secret) for name, value in parameters.items()}
    return kept if len(json.dumps(kept)) <= LARGEST else {name: "…" for name in list(kept)[:MOST]}


def shown(name: str, value: Any, secret: Set[str] = frozenset(), depth: int = 0) -> Any:
    """A parameter as it may be shown, by its name and shape."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if name in secret or _SECRET.search(name):
        return MASK
    if isinstance(value, Mapping | list | tuple) and depth >= DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        kept = {_text(str(key)): shown(str(key), item, secret, depth + 1) for key, item in list(value.items())[:MOST]}
        return kept if len(value) <= MOST else kept | {"…": len(value) - MOST}
    if isinstance(value, list | tuple):
        items = [shown(name, item, secret, depth + 1) for item in value[:MOST]]
        return items if len(value) <= MOST else [*items, f"… and {len(value) - MOST} more"]
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    return _text(_USER_INFO.sub(MASK, str(value)))


def _text(text: str) -> str:
    """A text that can be stored, not too long; JSON can spell halves of characters."""
    whole = text.encode("utf-8", "replace")
    if len(text) <= LONGEST:
        return whole.decode()
    text = text[:LONGEST].encode("utf-8", "replace").decode()
    return f"{text}… ({len(whole)} bytes, SHA-256 {hashlib.sha256(whole).hexdigest()})"
