"""``nexus serve``: start the gateway."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.client import USAGE, CliError


class AuthType(StrEnum):
    """How callers are known; users and keys live in the catalog."""

    database = "database"


def serve(
    auth_type: Annotated[AuthType, typer.Option("--auth-type", help="Users and keys live in the catalog.")] = (
        AuthType.database
    ),
    init: Annotated[bool, typer.Option("--init", help="Set up an empty data directory and print the admin's key.")] = (
        False
    ),
    reset: Annotated[
        bool, typer.Option("--reset", help="With --init: delete first what is in the data directory. Asks.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --reset: do not ask.")] = False,
    admin_user: Annotated[str, typer.Option("--admin-user", help="With --init: the admin's id.")] = "admin",
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Default: 8765.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Default: ./nexus-data.")] = None,
    mounts: Annotated[
        Path | None, typer.Option("--mounts", help="A file that declares mounts; made so before serving.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes. Default: 1.")] = None,
    s3_domain: Annotated[
        list[str] | None, typer.Option("--s3-domain", help="Serve bucket.DOMAIN too (virtual-hosted style).")
    ] = None,
    website_domain: Annotated[
        list[str] | None, typer.Option("--website-domain", help="Serve the websites of buckets at bucket.DOMAIN.")
    ] = None,
) -> None:
    """Start the gateway.

    Example: nexus serve --init --port 8765 --data-dir /var/lib/nexus
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from gateway.settings import Settings

    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "workers": workers,
        "mounts_file": mounts,
        "s3_domains": tuple(s3_domain) if s3_domain else None,
        "website_domains": tuple(website_domain) if website_domain else None,
    }
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise CliError(f"settings: {problems}", 2) from None
    except SettingsError as error:
        raise CliError(f'settings: {error}: lists and maps are JSON, such as ["a", "b"]', 2) from None

    from gateway.serve import ServeError, run

    if reset:
        _confirm(settings.data_dir, init=init, yes=yes)
    try:
        run(settings, init=init, admin=admin_user, reset=reset)
    except ServeError as error:
        raise CliError(str(error)) from None


def _confirm(data_dir: Path, *, init: bool, yes: bool) -> None:
    """Tell what a reset deletes, and go on only if that is wanted."""
    from gateway.recovery import leavings

    if not init:
        raise CliError("--reset goes with --init", USAGE)
    found = leavings(data_dir)
    if not found:
        return
    print(f"--reset deletes {', '.join(str(path) for path in found)}:")
    print("every user, key, mount, object and setting, and the audit log. What lies in other stores stays there,")
    print("but nothing will know its names any more.", flush=True)
    if not yes and not (sys.stdin.isatty() and typer.confirm("Delete all that?")):
        raise CliError("nothing was deleted; --yes says that it is wanted", USAGE)
