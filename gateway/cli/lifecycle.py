"""``nexus lifecycle`` and ``nexus storage-classes``: what becomes of objects as they age, and where they lie then."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from gateway.cli.client import Json, Key, Url, print_json, print_table, server

app = typer.Typer(help="Carry out lifecycle rules now.", no_args_is_help=True, rich_markup_mode=None)
classes = typer.Typer(
    help="Which storage class lies in which store. Needs an admin's key.", no_args_is_help=True, rich_markup_mode=None
)
_COLUMNS = ("action", "bucket", "key", "version_id", "storage_class", "rule_id")


@app.callback()
def group() -> None:
    """Carry out lifecycle rules now. The server does so by itself every hour."""


@app.command("run")
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    at: Annotated[str | None, typer.Option("--at", help="As if it were that date or time (ISO 8601, UTC).")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Do what the lifecycle rules of all buckets want done, and print it.

    Example: nexus lifecycle run --dry-run --at 2027-01-01
    """
    report = server(url, api_key).call("lifecycle_run", dry_run=dry_run, at=at)
    if as_json:
        print_json(report)
    else:
        _print(report)
    for problem in report["problems"]:
        print(f"nexus: {problem}", file=sys.stderr)
    if report["problems"]:
        raise typer.Exit(1)


def _print(report: dict[str, Any]) -> None:
    total = sum(report["counts"].values())
    if report["actions"]:
        print_table(_COLUMNS, [[action[column] or None for column in _COLUMNS] for action in report["actions"]])
    if total > len(report["actions"]):
        print(f"… and {total - len(report['actions'])} more")
    verb = "Would be done" if report["dry_run"] else "Done"
    counts = ", ".join(f"{count} {action}" for action, count in report["counts"].items()) or "nothing"
    print(f"{verb} at {report['at']}, by the rules of {report['buckets']} buckets: {counts}.")
    if report["moved_bytes"]:
        print(f"{report['moved_bytes']} bytes were copied to other stores.")
    if report["locked"]:
        print(f"{report['locked']} versions are locked and stay.")
    if report["kept"]:
        print(f"{report['kept']} versions lie where nothing may be written, and stay.")


@classes.command("set")
def set_class(
    storage_class: Annotated[str, typer.Argument(help="GLACIER_IR, STANDARD_IA, …, or a name of your own.")],
    mount_point: Annotated[str, typer.Argument(help="A mount point, such as /archives.")],
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Place objects of a storage class in a store. It is the one that is mounted at the path; the server runs on.

    Example: nexus storage-classes set GLACIER_IR /archives
    """
    done = server(url, api_key).call("set_storage_class", storage_class=storage_class, mount_point=mount_point)
    print_json(done) if as_json else print(f"{storage_class} lies at {mount_point} from now on.")


@classes.command("list")
def list_classes(url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """List the storage classes that have a store of their own.

    Example: nexus storage-classes list --json
    """
    found = server(url, api_key).call("list_storage_classes")
    if as_json:
        print_json(found)
        return
    columns = ("storage_class", "mount_point", "store_id", "problem")
    print_table(columns, [[each[column] or None for column in columns] for each in found])


@classes.command("remove")
def remove_class(
    storage_class: Annotated[str, typer.Argument()], url: Url = None, api_key: Key = None, as_json: Json = False
) -> None:
    """Let a storage class be a label again. What lies in its store stays there and is read from there.

    Example: nexus storage-classes remove GLACIER_IR
    """
    done = server(url, api_key).call("remove_storage_class", storage_class=storage_class)
    print_json(done) if as_json else print(f"{storage_class} has no store of its own any more.")
