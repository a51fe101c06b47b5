"""The ``nexus`` command. Each group has a file; what a command needs is imported when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from gateway.cli.client import CliError

from . import admin, audit, encryption, files, lifecycle, maintenance, mounts, serve
from . import mounts_file as _mounts_file  # noqa: F401  (its commands are mounts')
from . import tenants as _tenants  # noqa: F401  (its commands are admin's)

app = typer.Typer(
    name="nexus",
    help="One S3 endpoint in front of every store you own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"nexus {version('nexus-gateway')}")
        except PackageNotFoundError:
            print("nexus, not installed")
        raise typer.Exit


@app.callback()
def nexus(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One S3 endpoint in front of every store you own."""


app.command()(serve.serve)
app.add_typer(admin.app, name="admin")
app.add_typer(mounts.app, name="mounts")
app.add_typer(lifecycle.app, name="lifecycle")
app.add_typer(lifecycle.classes, name="storage-classes")
app.add_typer(encryption.app, name="encryption")
app.add_typer(audit.app, name="audit")
command: Callable[..., None]
for command in (files.ls, files.cp, files.cat, files.rm, files.stat, files.mkdir):
    app.command()(command)
for command in (maintenance.stats, maintenance.gc, maintenance.fsck):
    app.command()(command)


def main() -> None:
    """Run the command line; expected errors are one line on stderr and an exit code."""
    try:
        app()
    except CliError as error:
        print(f"nexus: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
