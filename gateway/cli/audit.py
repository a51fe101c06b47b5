"""``nexus audit``: who changed what."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated, Any

import typer

from gateway.cli.client import USAGE, CliError, Json, Key, Server, Url, print_json, print_table, server

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
COLUMNS = ("seq", "at", "user", "peer", "action", "target", "outcome", "error")
FOLLOW_SECONDS = 1.0
PAGE = 1000

_HEAD = re.compile(r"(\d{1,18})[: ]([0-9a-fA-F]{64})")


@app.callback()
def audit(
    context: typer.Context,
    since: Annotated[str | None, typer.Option("--since", help="A date or time, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="A date or time, ISO 8601.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only what this user did.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this, such as add_mount.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="done, refused or failed.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, max=PAGE, help="So many, where nothing says since when.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is done from now on.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", "--json-output", help="Print a line of JSON for each.")] = False,
) -> None:
    """The audit log: who changed what. Needs an admin's key.

    Without a command it lists what was done, refused or failed.

    Example: nexus audit --since 2026-11-01 --user alice
    """
    if context.invoked_subcommand is not None:
        return
    chosen = server(url, api_key)
    wanted = {"since": since, "until": until, "user": user, "action": action, "outcome": outcome}
    if since is None:
        page = chosen.call("audit_list", **wanted, newest=True, limit=last)
        _print(page["entries"], as_json)
        after = page["entries"][-1]["seq"] if page["entries"] else chosen.call("audit_head")["seq"]
    else:
        after = _print_all(chosen, wanted, 0, as_json)
    while follow:
        time.sleep(FOLLOW_SECONDS)
        after = _print_all(chosen, wanted, after, as_json, heading=False)


def _print_all(chosen: Server, wanted: dict[str, Any], after: int, as_json: bool, *, heading: bool = True) -> int:
    """Print every entry past a number; the last number."""
    while True:
        page = chosen.call("audit_list", **wanted, after=after, limit=PAGE)
        if page["entries"]:
            _print(page["entries"], as_json, heading=heading)
            heading, after = False, page["entries"][-1]["seq"]
        if page["next"] is None:
            return after


def _print(entries: list[dict[str, Any]], as_json: bool, *, heading: bool = True) -> None:
    if as_json:
        for entry in entries:
            print(json.dumps(entry, ensure_ascii=False), flush=True)
    elif entries or heading:
        print_table(COLUMNS, [[entry[column] for column in COLUMNS] for entry in entries], heading=heading)


@app.command("verify")
def verify(
    head: Annotated[str | None, typer.Option("--head", help="What nexus audit head printed once: NUMBER:HASH.")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Tell whether the log is what was written.

    Finds entries that were changed, removed or reordered, and a tail that was cut.

    Exit code 0: the log is what was written. 1: it is not.

    Example: nexus audit verify --head "$(cat /mnt/elsewhere/audit-head)"
    """
    noted: dict[str, Any] = {}
    if head is not None:
        match = _HEAD.fullmatch(head.strip())
        if match is None:
            raise CliError("--head is what nexus audit head prints: a number, a colon, 64 digits", USAGE)
        noted = {"seq": int(match[1]), "hash": match[2]}
    verdict = server(url, api_key).call("audit_verify", **noted)
    if as_json:
        print_json(verdict)
    else:
        for problem in verdict["problems"]:
            print(problem["problem"])
        print(f"{verdict['entries']} entries, {len(verdict['problems'])} problems")
    raise typer.Exit(0 if verdict["ok"] else 1)


@app.command("head")
def head(url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """Print the last entry's number and hash. Keep it where this server's admins cannot change it.

    Example: nexus audit head > /mnt/elsewhere/audit-head
    """
    found = server(url, api_key).call("audit_head")
    print_json(found) if as_json else print(f"{found['seq']}:{found['hash']}")
