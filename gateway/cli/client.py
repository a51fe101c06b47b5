"""How commands reach a server: URL and key from flags, the environment or a file, and calls over JSON-RPC."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_URL = "http://127.0.0.1:8765"
FAILED, USAGE, UNREACHABLE = 1, 2, 3
PATIENCE_SECONDS = 24 * 3600

Url = Annotated[
    str | None,
    typer.Option("--url", "--remote-url", help=f"The server. Default: $NEXUS_URL, the config file, {DEFAULT_URL}."),
]
Key = Annotated[
    str | None,
    typer.Option("--api-key", "--remote-api-key", help="The API key. Default: $NEXUS_API_KEY, the config file."),
]
Json = Annotated[bool, typer.Option("--json", "--json-output", help="Print JSON.")]


class CliError(Exception):
    """Something to tell the user in one line, with the exit code to leave with."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def config_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "nexus" / "config.toml"


def _configured() -> dict[str, str]:
    """``url`` and ``api_key`` of the config file. A file with a key must be private."""
    path = config_file()
    try:
        text = path.read_text()
        found = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CliError(f"{path}: {error}", USAGE) from None
    if "api_key" in found and path.stat().st_mode & 0o077:
        raise CliError(f"{path} holds a key and can be read by others: chmod 600 {path}", USAGE)
    return {name: str(value) for name, value in found.items()}


@dataclass(frozen=True)
class Server:
    """A server to call, and the key to call it with."""

    url: str
    api_key: str

    def call(self, method: str, **params: Any) -> Any:
        """The result of an RPC method. Raises CliError with the server's message."""
        from nexus import NexusConnectionError, NexusError, RemoteNexusFS

        with RemoteNexusFS(self.url, self.api_key, timeout=PATIENCE_SECONDS) as remote:
            try:
                return remote.call(method, **params)
            except NexusConnectionError as error:
                raise CliError(str(error), UNREACHABLE) from None
            except (NexusError, FileExistsError) as error:
                raise CliError(str(error)) from None


def server(url: str | None, api_key: str | None) -> Server:
    """The server that flags, environment and config file name. Raises CliError without a key."""
    configured = _configured() if not (url and api_key) else {}
    chosen = url or os.environ.get("NEXUS_URL") or configured.get("url") or DEFAULT_URL
    key = api_key or os.environ.get("NEXUS_API_KEY") or configured.get("api_key")
    if not key:
        raise CliError(f"no API key: give --api-key, set NEXUS_API_KEY, or write it to {config_file()}", USAGE)
    if not chosen.startswith(("http://", "https://")):
        raise CliError(f"the server's URL starts with http:// or https://: {chosen}", USAGE)
    return Server(chosen.rstrip("/"), key)


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, heading: bool = True) -> None:
    """A plain table; every cell is shown whole, so that its output can be cut and grepped."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(columns), *texts]) for index in range(len(columns))]
    for line in [list(columns), *texts][0 if heading else 1 :]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
