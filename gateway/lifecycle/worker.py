"""Carries out the lifecycle rules of all buckets, page by page; one run at a time over all processes.

Nothing is kept between runs: each looks at what is there, so that one that was killed is made up for by the next, and
one that comes late does what was due. What is due is decided from a page, and again inside the transaction that acts
(``gateway.catalog.lifecycle``), by the rows and rules of that moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.catalog import lifecycle as programs
from gateway.catalog.base import Busy, Catalog, exclusively
from gateway.errors import BucketNotFound, GatewayError, Overloaded
from gateway.lifecycle.calendar import Calendar
from gateway.lifecycle.mover import Mover
from gateway.lifecycle.report import Action, LifecycleReport
from gateway.lifecycle.visit import Visit
from gateway.names import Names
from gateway.types import Bucket

log = logging.getLogger("nexus.lifecycle")

RIGHT = "lifecycle"
PATIENCE_SECONDS = 60.0
BUCKETS = 100
FIRST = 1 / 12
"""The part of the interval after which a new server runs the rules for the first time."""


class LifecycleWorker:
    """The one who carries out lifecycle rules."""

    def __init__(self, catalog: Catalog, names: Names, mover: Mover, calendar: Calendar) -> None:
        self._catalog = catalog
        self._names = names
        self._mover = mover
        self._calendar = calendar
        self._tell: Callable[[Bucket, Action], None] = _nobody

    def listen(self, tell: Callable[[Bucket, Action], None]) -> None:
        """Have everything told that is done from now on."""
        self._tell = tell

    async def run(
        self, *, at: int | None = None, dry_run: bool = False, patience: float = PATIENCE_SECONDS
    ) -> LifecycleReport:
        """Do what is due at a time (None: now); with ``dry_run`` only tell it.

        Waits up to ``patience`` seconds for another run to end. Raises Overloaded when it does not.
        """
        try:
            async with exclusively(self._catalog, RIGHT, patience):
                return await self._run(at, dry_run)
        except Busy:
            raise Overloaded("the lifecycle rules are being carried out already") from None

    async def _run(self, at: int | None, dry_run: bool) -> LifecycleReport:
        noted = LifecycleReport(dry_run, time.time_ns() // 1_000_000 if at is None else at)
        after = ""
        while names := await self._catalog.scan(programs.buckets_with_rules, after, BUCKETS):
            after = names[-1]
            for name in names:
                try:
                    visit = Visit(self._catalog, self._names, self._mover, self._calendar, noted, name, self._tell)
                    await visit.run()
                except BucketNotFound:
                    continue
                except GatewayError as error:
                    if noted.complain(f"the rules of {name}: {error}"):
                        log.warning("the lifecycle rules of %s: %s", name, error)
        if noted.counts and not dry_run:
            log.info("lifecycle rules: %s", ", ".join(f"{count} {name}" for name, count in noted.counts.items()))
        return noted


def _nobody(bucket: Bucket, action: Action) -> None:
    pass


async def run_forever(worker: LifecycleWorker, interval: float) -> None:
    """Run every ``interval`` seconds until cancelled; where several workers do, one gets its turn.

    The first time sooner: a server that is started again every hour would never get to it.
    """
    pause = interval * FIRST
    while True:
        await asyncio.sleep(pause)
        pause = interval
        try:
            await worker.run(patience=0)
        except Overloaded:
            continue
        except Exception:
            log.exception("a run of the lifecycle rules failed")
