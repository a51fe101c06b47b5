"""``nexus mounts``: which store serves which paths."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.client import FAILED, USAGE, CliError, Json, Key, Server, Url, print_json, print_table, server
from gateway.secret_values import LARGEST, BadSecret, from_bytes, from_environment, from_file

app = typer.Typer(
    help="Which store serves which paths. Needs an admin's key.", no_args_is_help=True, rich_markup_mode=None
)
_CONFIG = "One setting: name=value, or name=@file, name=@- (standard input), name=@env:VARIABLE for secrets."
_COLUMNS = ("mount_point", "backend_type", "priority", "readonly", "store_id", "state", "latency_ms", "last_error")


@app.command("add")
def add(
    mount_point: Annotated[str, typer.Argument(help="The path, such as /archives.")],
    backend_type: Annotated[str, typer.Argument(help="local, s3, gcs, azure, webdav, postgres, or a plug-in's.")],
    settings: Annotated[str | None, typer.Argument(help="The store's configuration as JSON.")] = None,
    config: Annotated[list[str] | None, typer.Option("--config", "-c", help=_CONFIG)] = None,
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
    remote = server(url, api_key)
    point = remote.call(
        "add_mount",
        mount_point=mount_point,
        backend_type=backend_type,
        backend_config=chosen,
        priority=priority,
        readonly=readonly,
    )
    if as_json:
        print_json({"mount_point": point})
    else:
        print(f"Mounted {backend_type} at {point}{_as_what(remote, point)}.")


def _as_what(remote: Server, point: str) -> str:
    """What a new mount became, where that is not a writable store of blobs: a directory may have been mistyped."""
    mount: dict[str, Any] = next((each for each in remote.call("list_mounts") if each["mount_point"] == point), {})
    layout = (mount.get("config") or {}).get("layout", "cas")
    access = ", read-only" if mount.get("readonly") else ""
    if layout == "native":
        return f"{access}: what is in the store is served as it stands"
    return f"{access}, as a store of blobs (layout cas)" if access else ""


def _settings(text: str | None, pairs: list[str]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if text is not None:
        try:
            chosen = json.loads(text)
        except ValueError:
            raise CliError("the configuration is not JSON", USAGE) from None
        if not isinstance(chosen, dict):
            raise CliError("the configuration is not a JSON object", USAGE)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CliError("a setting is name=value", USAGE)
        chosen[name] = _value(name, value)
    return chosen


def _value(name: str, value: str) -> str:
    """A value, or what it says where it begins with ``@``: in a file, on standard input, in the environment."""
    if not value.startswith("@"):
        return value
    place = value[1:]
    try:
        if place.startswith("@"):
            return place
        if place == "-":
            return from_bytes(sys.stdin.buffer.read(LARGEST + 1), "standard input")
        if place.startswith("env:"):
            return from_environment(place.removeprefix("env:"))
        return from_file(Path(place))
    except BadSecret as error:
        raise CliError(f"{name}: {error}", USAGE) from None


@app.command("update")
def update(
    mount_point: Annotated[str, typer.Argument()],
    config: Annotated[list[str] | None, typer.Option("--config", "-c", help=_CONFIG)] = None,
    priority: Annotated[int | None, typer.Option("--priority")] = None,
    readonly: Annotated[bool | None, typer.Option("--readonly/--writable")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Change a mount in place. Priority, read-only, or settings of the same store such as new credentials.

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
    """List all mounts and how their stores are.

    A store is ok, degraded, open (nothing is asked of it until then) or unusable.

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
    """Tell which mount serves a path, and why.

    Also which others cover it, and where the bytes of a file there are.

    Example: nexus mounts info /workspace/shared/x
    """
    remote = server(url, api_key)
    found = remote.call("explain_mounts", path=path)
    if not found:
        raise CliError(f"Backend not found for path {path}")
    placement = remote.call("locate", path=path)
    if as_json:
        print_json({"path": path, "mounts": found, "placement": placement})
        return
    for mount in found:
        access = "read-only" if mount["readonly"] else "writable"
        state = _cell(mount, "state")
        print(f"{mount['mount_point']}  {mount['backend_type']}, priority {mount['priority']}, {access}, {state}")
        print(f"    {mount['reason']}")
        if mount.get("config"):
            print(f"    {_config(mount)}")
    if placement is not None:
        print(f"{path} has {placement['size']} bytes, {_place(placement)}")


def _place(placement: dict[str, Any]) -> str:
    points = " and ".join(placement["mount_points"])
    if not points:
        return "in a store that is not mounted"
    key = f" as {placement['key']}" if placement.get("key") else ""
    return f"in the store mounted at {points}{key}"


@app.command("test")
def test(
    mount_point: Annotated[str | None, typer.Argument(help="A mount, such as /archives.")] = None,
    backend_type: Annotated[str | None, typer.Option("--type", help="A store that is not mounted yet.")] = None,
    config: Annotated[list[str] | None, typer.Option("--config", "-c", help=_CONFIG)] = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="With --type: write nothing.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Try a store by a probe: write, read, list, delete.

    Tells how long each takes, what is missing, and how the store's clock is.

    Exit code 0 where all is well, 1 where something failed.

    Example: nexus mounts test /archives

    Example: nexus mounts test --type s3 -c bucket=my-archives -c secret_access_key=@key
    """
    if (mount_point is None) == (backend_type is None):
        raise CliError("give a mount point, or --type and --config", USAGE)
    if mount_point is not None and (config or readonly):
        raise CliError("--config and --readonly go with --type", USAGE)
    asked: dict[str, Any] = {"mount_point": mount_point}
    if backend_type is not None:
        asked = {"backend_type": backend_type, "backend_config": _settings(None, config or []), "readonly": readonly}
    trial = server(url, api_key).call("test_mount", **asked)
    if as_json:
        print_json(trial)
    else:
        print_table(
            ("step", "outcome", "ms", "message"),
            [[step["name"], step["outcome"], step["ms"], step["message"] or None] for step in trial["steps"]],
        )
        print(_clock(trial["clock_skew_seconds"]))
    if not trial["passed"]:
        raise typer.Exit(FAILED)


def _clock(skew: float | None) -> str:
    if skew is None:
        return "clock: not seen, for nothing was written"
    if skew == 0:
        return "clock: the store's and the server's agree, to the second"
    return f"clock: the store's is {abs(skew)} seconds {'ahead of' if skew > 0 else 'behind'} the server's"


@app.command("remove")
def remove(
    mount_point: Annotated[str, typer.Argument()],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Remove a mount. What its store holds stays, and is there again once it is mounted again.

    Says what cannot be reached any more, and asks where somebody is there to be asked.

    Example: nexus mounts remove /archives
    """
    remote = server(url, api_key)
    warning = _loss(remote.call("depending_on_mount", mount_point=mount_point))
    if warning:
        print(f"nexus: {warning}", file=sys.stderr)
        if not yes and sys.stdin.isatty():
            typer.confirm("Remove it?", abort=True)
    done = remote.call("remove_mount", mount_point=mount_point)
    print_json(done) if as_json else print(f"Removed the mount {mount_point}.")


def _loss(depending: dict[str, Any]) -> str:
    """What is lost of sight with a mount, in words; empty where nothing is."""
    told = []
    counted = [
        f"{depending[name]} {word}"
        for name, word in (("objects", "objects"), ("versions", "former versions"), ("parts", "parts of uploads"))
        if depending[name]
    ]
    if counted:
        told.append(f"{' and '.join(counted)} ({depending['bytes']} bytes) cannot be read until it is mounted again")
    if depending["native"] and not depending["also_mounted_at"]:
        told.append("the store's own keys are not shown any more")
    if depending["storage_classes"]:
        told.append(f"storage classes are bound to it: {', '.join(depending['storage_classes'])}")
    return f"{depending['mount_point']}: {'; '.join(told)}" if told else ""


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
