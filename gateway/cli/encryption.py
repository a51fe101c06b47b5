"""``nexus encryption``: the keys that wrap data keys, and those of the built-in key management service."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from gateway.cli.client import Json, Key, Url, print_json, print_table, server

app = typer.Typer(
    help="Keys of server-side encryption. Needs an admin's key.", no_args_is_help=True, rich_markup_mode=None
)

KeyId = Annotated[str, typer.Argument(help="The key's name, as requests for SSE-KMS tell it.")]


@app.command("keys")
def keys(url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """List the keys in use and the retired ones. With the number of blobs under each.

    Example: nexus encryption keys
    """
    found = server(url, api_key).call("encryption_keys")
    if as_json:
        print_json(found)
        return
    _print(("id", "kind", "kms_key", "created_at", "retired_at", "blobs"), found["ring"])
    if found["kms"]:
        print()
        _print(("kms_key", "created_at", "disabled"), found["kms"])


def _print(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    print_table(columns, [[row[column] for column in columns] for row in rows])


@app.command("rotate")
def rotate(
    resume: Annotated[bool, typer.Option("--resume", help="Make no new keys: finish an interrupted rotation.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Make new keys and wrap every data key anew. No object is touched; reads and writes go on.

    It may be interrupted: what is left is readable, and the next rotation or --resume finishes it.

    Example: nexus encryption rotate
    """
    remote = server(url, api_key)
    rewrapped, problems = 0, set()
    begin = not resume
    while True:
        done: dict[str, Any] = remote.call("encryption_rotate", begin=begin)
        begin = False
        rewrapped += done["rewrapped"]
        problems |= set(done["problems"])
        if not done["remaining"] or not done["rewrapped"]:
            break
    report = {"rewrapped": rewrapped, "remaining": done["remaining"], "problems": sorted(problems)}
    if as_json:
        print_json(report)
    else:
        print(f"{rewrapped} data keys wrapped anew, {done['remaining']} still under retired keys.")
    for problem in report["problems"]:
        print(f"nexus: {problem}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)


@app.command("create-key")
def create_key(key_id: KeyId, url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """Make a key for SSE-KMS, kept by this server.

    Example: nexus encryption create-key payroll
    """
    done = server(url, api_key).call("encryption_create_kms_key", key_id=key_id)
    print_json(done) if as_json else print(f"KMS key {key_id} made.")


@app.command("disable-key")
def disable_key(key_id: KeyId, url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """Let a key for SSE-KMS be used no more. What it protects cannot be read meanwhile.

    Example: nexus encryption disable-key payroll
    """
    done = server(url, api_key).call("encryption_enable_kms_key", key_id=key_id, enabled=False)
    print_json(done) if as_json else print(f"KMS key {key_id} disabled.")


@app.command("enable-key")
def enable_key(key_id: KeyId, url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """Let a key for SSE-KMS be used again.

    Example: nexus encryption enable-key payroll
    """
    done = server(url, api_key).call("encryption_enable_kms_key", key_id=key_id)
    print_json(done) if as_json else print(f"KMS key {key_id} enabled.")
