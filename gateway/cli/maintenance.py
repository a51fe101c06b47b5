"""``nexus stats``, ``gc`` and ``fsck``: over HTTP, or on the data directory of a stopped server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.client import USAGE, CliError, Json, Key, Url, print_json, print_table, server

if TYPE_CHECKING:
    from gateway.core import Core

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Work on the data directory itself; the server must be stopped.")
]


def stats(url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """Count objects and bytes, by store. Tells what is stored of them, and what deduplication saves.

    Example: nexus stats
    """
    stores = server(url, api_key).call("stats")["stores"]
    for store in stores:
        stored, logical = store["stored_bytes"], store["logical_bytes"]
        store["dedup_ratio"] = round(logical / stored, 2) if stored else None
    if as_json:
        print_json(stores)
        return
    columns = (
        "store_id",
        "backend_type",
        "location",
        "objects",
        "logical_bytes",
        "blobs",
        "stored_bytes",
        "dedup_ratio",
    )
    print_table(columns, [[store[column] for column in columns] for store in stores])


def gc(
    grace: Annotated[float, typer.Option("--grace", min=0, help="Spare what was named within so many seconds.")] = 0.0,
    data_dir: DataDir = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Remove blobs that nothing names any more. The server does this by itself after a day.

    Example: nexus gc --grace 3600
    """
    if data_dir is not None:
        report = _offline(data_dir, "gc", lambda core: _gc(core, grace))
    else:
        report = server(url, api_key).call("gc", grace_seconds=grace)
    if as_json:
        print_json(report)
    else:
        print(f"Removed {report['blobs']} blobs, {report['bytes']} bytes ({report['orphans']} that no row knew).")
        if report["kept"]:
            print(f"{report['kept']} could not be removed now.")
    for problem in report["problems"]:
        print(f"nexus: {problem}", file=sys.stderr)
    if report["problems"]:
        raise typer.Exit(1)


async def _gc(core: Core, grace: float) -> dict[str, Any]:
    return asdict(await core.collector.run(grace))


def fsck(
    rehash: Annotated[bool, typer.Option("--rehash", help="Also read and hash every blob.")] = False,
    data_dir: DataDir = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Compare the catalog with the stores, both ways.

    Exit code 0: clean. 1: only orphans, which are harmless, or usage that was counted wrongly. 2: something is missing
    or damaged.

    Example: nexus fsck --rehash
    """
    if data_dir is not None:
        report = _offline(data_dir, "fsck", lambda core: _fsck(core, rehash))
    else:
        report = server(url, api_key).call("fsck", rehash=rehash)
    if as_json:
        print_json(report)
    else:
        for finding in report["findings"]:
            paths = "".join(f" {path}" for path in finding["paths"])
            print(f"{finding['kind']} store={finding['store_id']} {finding['digest']}: {finding['detail']}{paths}")
        print(f"{report['objects']} objects, {report['blobs']} blobs, {len(report['findings'])} findings")
        if report["unmounted"]:
            print(f"{report['unmounted']} more blobs lie in stores that are not mounted, and were not looked at")
    raise typer.Exit(report["exit_code"])


async def _fsck(core: Core, rehash: bool) -> dict[str, Any]:
    report = await core.checker.run(rehash)
    return {**asdict(report), "exit_code": report.exit_code}


def _offline(data_dir: Path, action: str, work: Callable[[Core], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Run something on a data directory that no server holds."""
    from gateway.app import CATALOG_FILE, open_core
    from gateway.audit.deeds import by_machine, judged
    from gateway.errors import GatewayError
    from gateway.serve import hold
    from gateway.settings import Settings

    if not (data_dir / CATALOG_FILE).exists():
        raise CliError(f"{data_dir} is not a data directory: it has no {CATALOG_FILE}", USAGE)

    async def run() -> dict[str, Any]:
        async with open_core(Settings(data_dir=data_dir)) as core, core.audit.recording(by_machine(action), judged):
            return await work(core)

    try:
        with hold(data_dir, alone=True):
            return asyncio.run(run())
    except GatewayError as error:
        raise CliError(str(error)) from None
