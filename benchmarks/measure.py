"""A whole run: the servers start, all are sent every operation in turns, and end."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.findings import Findings
from benchmarks.load import Run
from benchmarks.machine import describe
from benchmarks.operations import GROUPS, OPERATIONS, Operation
from benchmarks.processes import resident, tree
from benchmarks.results import OURS, Cell, line
from benchmarks.servers import kind_of
from benchmarks.site import Scale, Site, Unfit
from conformance.clients.tools import NotInstallable

SETTLE_SECONDS = 2.0


@dataclass
class Plan:
    """What is to be measured, and how."""

    operations: Sequence[str]
    servers: Sequence[str]
    scale: Scale
    rounds: int
    connections: tuple[int, ...] = ()
    """Instead of what each operation says."""
    folder: Path | None = None
    """Where the servers keep what they store; else the temporary folder."""


def measure(plan: Plan) -> Findings:
    found = Findings(describe(plan.folder))
    for group in GROUPS:
        names = [name for name in OPERATIONS if name in plan.operations and OPERATIONS[name].group == group]
        if names:
            with _started(plan, names, found) as sites:
                for name in names:
                    _operation(plan, name, [site for site in sites if _fits(site.name, name)], found)
    return found


def _fits(server: str, name: str) -> bool:
    kind, operation = kind_of(server), OPERATIONS[name]
    if operation.only_ours and server.partition("@")[0] != OURS:
        return False
    return (not kind.only or name in kind.only) and (operation.writes or not kind.only_writes)


@contextmanager
def _started(plan: Plan, operations: Sequence[str], found: Findings) -> Iterator[list[Site]]:
    """The servers that have something to do and can be had here."""
    with ExitStack() as stack:
        sites = []
        for name in plan.servers:
            kind = kind_of(name)
            if not any(_fits(name, operation) for operation in operations):
                continue
            kept = tempfile.TemporaryDirectory(prefix="nexus-bench-", dir=plan.folder, ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(kept))
            try:
                running = stack.enter_context(kind.start(folder))
            except NotInstallable as reason:
                found.note(f"{name}: cannot be had here: {reason}")
                continue
            site = Site(
                name, running.signer, running.pid, folder, plan.scale, data=running.data, catalog=running.catalog
            )
            site.ready()
            sites.append(site)
            found.versions[name] = running.version
        time.sleep(SETTLE_SECONDS)
        for site in sites:
            site.idle_mib = resident(tree(site.pid))
            found.idle_mib.setdefault(site.name, site.idle_mib)
            print(f"{site.name}: {found.versions[site.name]}, {site.idle_mib:.0f} MiB", flush=True)
        yield sites


def _operation(plan: Plan, name: str, sites: list[Site], found: Findings) -> None:
    operation = OPERATIONS[name]
    for connections in plan.connections or operation.connections:
        runs: dict[str, list[Run]] = {site.name: [] for site in sites}
        for turn in range(min(plan.rounds, operation.rounds)):
            order = sites if not turn else random.sample(sites, len(sites))
            for site in order:
                if (run := _run(operation, name, site, connections, found)) is not None:
                    runs[site.name].append(run)
        for site in sites:
            if runs[site.name]:
                cell = Cell.of(name, connections, site.name, runs[site.name], plan.scale, site.idle_mib)
                found.cells.append(cell)
                print(line(cell), flush=True)


def _run(operation: Operation, name: str, site: Site, connections: int, found: Findings) -> Run | None:
    try:
        return operation.run(site, connections)
    except Unfit as reason:
        found.note(f"{operation.title}: {site.name}: {reason}")
        return None
    except OSError as error:  # one that hangs must not take the figures of all others along
        found.note(f"{operation.title}: {site.name}: does not answer: {error}")
        return None
    finally:
        for note in site.notes:
            found.note(note)
