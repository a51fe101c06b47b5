"""``nexus mounts``: which store serves which paths."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.cli.client import USAGE, CliError, Json, Key, Url, print_json, print_table, server

app = typer.Typer(
    help="Which store serves which paths. Needs an admin's key.", no_args_is_help=True, rich_markup_mode=None
)
_COLUMNS = ("mount_point", "backend_type", "priority", "readonly", "store_id", "state", "latency_ms", "last_error")


@app.command("add")
def add(
    mount_point: Annotated[str, typer.Argument(help="The path, such as /archives.")],
    backend_type: Annotated[str, typer.Argument(help="The kind of store, such as local.")],
    settings: Annotated[str | None, typer.Argument(help="The store's configuration as JSON.")] = None,
    config: Annotated[list[str] | None, typer.Option("--config", "-c", help="One setting: name=value.")] = None,
    priority: Annotated[int, typer.Option("--priority", help="The highest wins; then the longest path.")] = 0,
    readonly: Annotated[bool, typer.Option("--readonly", help="Refuse every write below.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Mount a store at a path, while the server runs.

    Example: nexus mounts add /archives local --config data_dir=/mnt/big --priority 10
    """
    chosen = _settings(settings, config or [])
    point = server(url, api_key).call(
        "add_mount",
        mount_point=mount_point,
        backend_type=backend_type,
        backend_config=chosen,
        priority=priority,
        readonly=readonly,
    )
    print_json({"mount_point": point}) if as_json else print(f"Mounted {backend_type} at {point}.")


def _settings(text: str | None, pairs: list[str]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if text is not None:
        try:
            chosen = json.loads(text)
        except ValueError:
            raise CliError(f"the configuration is not JSON: {text}", USAGE) from None
        if not isinstance(chosen, dict):
            raise CliError("the configuration is not a JSON object", USAGE)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CliError(f"a setting is name=value: {pair}", USAGE)
        chosen[name] = value
    return chosen


@app.command("update")
def update(
    mount_point: Annotated[str, typer.Argument()],
    config: Annotated[list[str] | None, typer.Option("--config", "-c", help="One setting: name=value.")] = None,
    priority: Annotated[int | None, typer.Option("--priority")] = None,
    readonly: Annotated[bool | None, typer.Option("--readonly/--writable")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Change a mount in place: priority, read-only, settings of the same store such as new credentials.

    Example: nexus mounts update /archives --readonly --priority 20
    """
    mount = server(url, api_key).call(
        "update_mount",
        mount_point=mount_point,
        priority=priority,
        readonly=readonly,
        backend_config=_settings(None, config) if config else None,
    )
    _print([mount], as_json)


@app.command("list")
def list_mounts(
    probe: Annotated[bool, typer.Option("--probe", help="Ask each store behind a network first how it is.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """List all mounts and how their stores are: ok, degraded, open until when (nothing is asked of it), unusable.

    Example: nexus mounts list --probe --json
    """
    _print(server(url, api_key).call("list_mounts", **({"probe": True} if probe else {})), as_json)


@app.command("info")
def info(
    path: Annotated[str, typer.Argument(help="A path, such as /archives/2024/a.txt.")],
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Tell which mounts cover a path; the first serves it.

    Example: nexus mounts info /workspace/shared/x
    """
    found = server(url, api_key).call("explain_mounts", path=path)
    if not found:
        raise CliError(f"Backend not found for path {path}")
    _print(found, as_json)


@app.command("remove")
def remove(
    mount_point: Annotated[str, typer.Argument()], url: Url = None, api_key: Key = None, as_json: Json = False
) -> None:
    """Remove a mount. What its store holds stays, and is there again once it is mounted again.

    Example: nexus mounts remove /archives
    """
    done = server(url, api_key).call("remove_mount", mount_point=mount_point)
    print_json(done) if as_json else print(f"Removed the mount {mount_point}.")


def _print(mounts: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(mounts)
        return
    rows = [[*(_cell(mount, column) for column in _COLUMNS), _config(mount)] for mount in mounts]
    print_table((*_COLUMNS, "config"), rows)


def _cell(mount: dict[str, Any], column: str) -> Any:
    value = mount.get(column)
    if column == "state" and mount.get("open_until"):
        return f"open until {mount['open_until']}"
    return None if value == "" else value


def _config(mount: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in mount.get("config", {}).items())
