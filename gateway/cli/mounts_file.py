"""``nexus mounts plan`` and ``apply``: mounts as a file declares them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.client import USAGE, CliError, Json, Key, Server, Url, print_json, server
from gateway.cli.mounts import app
from gateway.errors import BadMount

CHANGES = 2
_SIGNS = {"add": "+", "update": "~", "replace": "-/+", "remove": "-"}
File = Annotated[Path, typer.Argument(help="The file, such as mounts.toml.")]


@app.command("plan")
def plan(file: File, url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """Tell what applying a file would change. Exit code 0: nothing, 2: something, 1: an error.

    Example: nexus mounts plan mounts.toml
    """
    changes = _ask(server(url, api_key), "plan_mounts", file)
    print_json(changes) if as_json else _print(changes)
    if changes:
        raise typer.Exit(CHANGES)


@app.command("apply")
def apply(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Make the mounts what a file declares: all of it or nothing.

    Example: nexus mounts apply mounts.toml --yes
    """
    remote = server(url, api_key)
    if not yes:
        changes = _ask(remote, "plan_mounts", file)
        if changes:
            _print(changes)
            if not sys.stdin.isatty():
                raise CliError("give --yes to apply this", USAGE)
            typer.confirm("Apply?", abort=True)
    changes = _ask(remote, "apply_mounts", file)
    if as_json:
        print_json(changes)
    elif yes:
        _print(changes)
    elif changes:
        print("Applied.")


def _ask(remote: Server, method: str, file: Path) -> list[dict[str, Any]]:
    from gateway.mounts_file import read

    try:
        declared = read(file)
    except BadMount as error:
        raise CliError(str(error)) from None
    changes: list[dict[str, Any]] = remote.call(method, name=declared.name, mounts=declared.dump())
    return changes


def _print(changes: list[dict[str, Any]]) -> None:
    if not changes:
        print("No changes.")
        return
    for change in changes:
        print(f"{_SIGNS[change['action']]} {change['mount_point']} ({change['backend_type']})")
        for each in change["differences"]:
            if change["action"] == "add":
                print(f"      {each['name']} = {each['after']}")
            else:
                print(f"      {each['name']}: {_told(each['before'])} -> {_told(each['after'])}")
    counts = [
        f"{len(found)} to {action}" for action in _SIGNS if (found := [c for c in changes if c["action"] == action])
    ]
    print(f"{', '.join(counts)}.")


def _told(value: str | None) -> str:
    return "(none)" if value is None else value
