"""One bucket in one run of the lifecycle rules."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from gateway.catalog import lifecycle as programs
from gateway.catalog.base import Catalog, Program
from gateway.catalog.lifecycle import Done, Mandate, Shown, UploadRow
from gateway.catalog.listing import successor
from gateway.errors import (
    BackendNotFound,
    BucketNotFound,
    GatewayError,
    MountsChanged,
    NotHeld,
    Overloaded,
    ReadOnlyMount,
    StorageFull,
    UnknownStorageClass,
)
from gateway.lifecycle import decide, report
from gateway.lifecycle.calendar import NEVER, Calendar
from gateway.lifecycle.decide import Due
from gateway.lifecycle.judge import Judge, Verdicts
from gateway.lifecycle.mover import Mover
from gateway.lifecycle.report import Action, LifecycleReport
from gateway.lifecycle.rules import Lifecycle, Rule, lifecycle_of
from gateway.names import Names, Snapshot
from gateway.types import Bucket
from gateway.versioning import shown_id, versioning_of

log = logging.getLogger("nexus.lifecycle")

T = TypeVar("T")


class Move(NamedTuple):
    """A version that is to be moved."""

    key: str
    version_id: str
    replaced: bool
    """Whether it is a former version; else the one that the key shows."""
    due: Due


"""A key, the version of it (None: what it shows), and the transition that is due."""

PAGE = 4000
"""Keys looked at in one statement."""
BATCH = 250
"""Keys changed in one transaction, which keeps other writers waiting for some milliseconds."""
UPLOADS = 20
"""Uploads aborted in one transaction; each may have thousands of parts."""
MOVING = 16
"""Versions copied at once."""
ATTEMPTS = 20
MAX_VERSION = 2**62


class Visit:
    """Does, or with a dry run only notes, what a bucket's rules want done."""

    def __init__(
        self,
        catalog: Catalog,
        names: Names,
        mover: Mover,
        calendar: Calendar,
        noted: LifecycleReport,
        bucket: str,
        tell: Callable[[Bucket, Action], None],
    ) -> None:
        self._catalog = catalog
        self._names = names
        self._mover = mover
        self._calendar = calendar
        self._noted = noted
        self._name = bucket
        self._tell = tell
        self._stuck: set[str] = set()
        """Storage classes whose store takes nothing more in this run."""
        self._snapshot: Snapshot
        self._mandate: Mandate

    async def run(self) -> None:
        """Raises BucketNotFound when the bucket went."""
        await self._look()
        if not self._mandate.lifecycle.enabled:
            return
        self._noted.buckets += 1
        await self._shown()
        if versioning_of(self._mandate.bucket) is not None:
            await self._replaced()
        await self._uploads()

    async def _look(self) -> None:
        """See the bucket and its rules as they are now."""
        self._snapshot = await self._names.current()
        bucket = await self._names.bucket(self._name)
        lifecycle = lifecycle_of(bucket) or Lifecycle(())
        self._mandate = Mandate(bucket, lifecycle, self._calendar, self._noted.at, _now(), self._snapshot.generation)

    def _rules(self, concern: Callable[[Rule], object]) -> list[Rule]:
        return [rule for rule in self._mandate.lifecycle.enabled if concern(rule)]

    # -- what keys show

    async def _shown(self) -> None:
        rules = self._rules(lambda rule: rule.expiration or rule.transitions)
        latest = max((self._latest_start(rule) for rule in rules), default=NEVER)
        for start, end in spans(rules):
            at: bytes | None = start
            while at is not None:
                scanned = await self._catalog.scan(programs.shown_page, self._mandate.bucket.id, at, end, latest, PAGE)
                page, at = scanned
                # Away from the event loop: a page against a thousand rules takes a while.
                await self._act_on_shown(*await asyncio.to_thread(self._judge_shown, page))

    def _latest_start(self, rule: Rule) -> int:
        whens = [each.when for each in rule.transitions] + ([rule.expiration] if rule.expiration else [])
        return max(self._calendar.latest_start(when, self._mandate.at) for when in whens)

    def _judge_shown(self, page: Sequence[Shown]) -> tuple[list[tuple[Shown, Rule]], list[Move]]:
        """What expires, and what moves."""
        mandate = self._mandate
        expired: list[tuple[Shown, Rule]] = []
        moves: list[Move] = []
        # Removal comes before a transition; a delete marker, which leaves the version where it is, comes after.
        is_final = versioning_of(mandate.bucket) is None
        for row in page:
            due = decide.expiration(mandate.lifecycle, mandate.calendar, row.facts)
            expires = due is not None and due.at <= mandate.at
            move = None
            if not (expires and is_final):
                move = decide.transition(mandate.lifecycle, mandate.calendar, row.facts, mandate.at)
            if not (expires or move is not None) or not self._may_write(row.facts.key):
                continue
            if due is not None and expires:
                expired.append((row, due.rule))
            if move is not None:
                moves.append(Move(row.facts.key, row.version_id, False, move))
        return expired, moves

    async def _act_on_shown(self, expired: Sequence[tuple[Shown, Rule]], moves: Sequence[Move]) -> None:
        await self._move(report.MOVE, moves)
        if self._noted.dry_run:
            self._note(report.EXPIRE, [Done(row.facts.key, row.version_id, rule.id) for row, rule in expired])
            return
        for keys in batches([row.facts.key for row, _ in expired], BATCH):
            self._note(report.EXPIRE, await self._write(programs.expire_shown, keys))

    # -- what they do not show

    async def _replaced(self) -> None:
        rules = self._rules(
            lambda rule: (
                rule.noncurrent_expiration or rule.noncurrent_transitions or rule.expired_marker or rule.expiration
            )
        )
        locked_at = self._mandate.at if self._noted.dry_run else self._mandate.now
        for start, end in spans(rules):
            judge = Judge(self._mandate, locked_at, self._may_write)
            key, past = start, MAX_VERSION
            while page := await self._catalog.scan(
                programs.replaced_page, self._mandate.bucket.id, key, past, end, PAGE
            ):
                await asyncio.to_thread(judge.take_all, page)
                await self._act_on_replaced(judge.harvest())
                key, past = page[-1].facts.key.encode(), page[-1].version
            judge.end()
            await self._act_on_replaced(judge.harvest())

    async def _act_on_replaced(self, found: Verdicts) -> None:
        self._noted.locked += found.locked
        await self._move(
            report.MOVE_REPLACED, [Move(row.facts.key, row.version_id, True, due) for row, due in found.moves]
        )
        if self._noted.dry_run:
            self._note(report.EXPIRE_REPLACED, [_done(*each) for each in found.expired])
            self._note(report.EXPIRE_MARKER, [_done(*each) for each in found.markers])
            return
        for versions in batches([(row.facts.key, row.version) for row, _ in found.expired], BATCH):
            expired = await self._write(programs.expire_replaced, versions)
            self._noted.locked += expired.locked
            self._note(report.EXPIRE_REPLACED, expired.done)
        for keys in batches([row.facts.key for row, _ in found.markers], BATCH):
            self._note(report.EXPIRE_MARKER, await self._write(programs.expire_markers, keys))

    # -- uploads

    async def _uploads(self) -> None:
        for start, end in spans(self._rules(lambda rule: rule.abort_days is not None)):
            key, past = start, ""
            while page := await self._catalog.scan(programs.upload_page, self._mandate.bucket.id, key, past, end, PAGE):
                key, past = page[-1].key.encode(), page[-1].id
                await self._act_on_uploads(page)

    async def _act_on_uploads(self, page: Sequence[UploadRow]) -> None:
        dues = [(row, decide.abort(self._mandate.lifecycle, self._calendar, row.key, row.initiated_at)) for row in page]
        late = [
            (row, due.rule)
            for row, due in dues
            if due is not None and due.at <= self._mandate.at and self._may_write(row.key)
        ]
        if self._noted.dry_run:
            self._note(report.ABORT, [Done(row.key, row.id, rule.id) for row, rule in late])
            return
        for ids in batches([row.id for row, _ in late], UPLOADS):
            self._note(report.ABORT, await self._write(programs.abort_due, ids))

    # -- acting

    async def _move(self, action: str, moves: Iterable[Move]) -> None:
        slots = asyncio.Semaphore(MOVING)

        async def carry_out(move: Move) -> None:
            async with slots:
                done = await self._move_one(move)
            if done is not None:
                self._note(action, [done], move.due.storage_class)

        await asyncio.gather(*map(carry_out, moves))

    async def _move_one(self, move: Move) -> Done | None:
        key, target = move.key, move.due.storage_class
        if target in self._stuck or not self._takes(key, target):
            return None
        try:
            if self._noted.dry_run:
                return Done(key, move.version_id, move.due.rule.id)
            moved = await self._mover.move(self._current, key, move.version_id if move.replaced else None, target)
        except StorageFull as error:
            self._give_up(target, error)
            return None
        except GatewayError as error:
            self._complain(f"/{self._name}/{key} stays where it is: {error}")
            return None
        if moved is None:
            return None
        self._noted.moved_bytes += moved[1]
        return moved[0]

    def _takes(self, key: str, target: str) -> bool:
        """Whether a class has a store that takes anything; if not, no more is tried in this run."""
        try:
            if target not in self._snapshot.classes:
                raise UnknownStorageClass(target)
            self._snapshot.writable(self._mandate.bucket, key, target)
        except (UnknownStorageClass, BackendNotFound, ReadOnlyMount) as error:
            self._give_up(target, error)
            return False
        except NotHeld as error:
            self._complain(f"/{self._name}/{key} stays where it is: {error}")
            return False
        return True

    def _give_up(self, target: str, error: GatewayError) -> None:
        self._stuck.add(target)
        self._complain(f"nothing of {self._name} moves to {target}: {error}")

    def _complain(self, problem: str) -> None:
        if self._noted.complain(problem):
            log.warning("%s", problem)

    async def _current(self) -> Mandate:
        """The bucket and its rules as they are now. Raises BucketNotFound."""
        if (await self._names.current()).generation != self._mandate.generation:
            await self._look_again()
        return self._mandate._replace(now=_now())

    async def _look_again(self) -> None:
        known = self._mandate.bucket.id
        await self._look()
        if self._mandate.bucket.id != known:
            raise BucketNotFound(self._name)

    async def _write(self, verb: Callable[..., Program[T]], some: Any) -> T:
        """Run a program; where the configuration changed meanwhile, by the one that holds now."""
        for _ in range(ATTEMPTS):
            try:
                return await self._catalog.write(verb, self._mandate._replace(now=_now()), some)
            except MountsChanged:
                await self._look_again()
        raise Overloaded("the configuration keeps changing")

    def _may_write(self, key: str) -> bool:
        try:
            self._snapshot.table.resolve_writable(f"/{self._name}/{key}")
        except (ReadOnlyMount, BackendNotFound):
            self._noted.kept += 1
            return False
        return True

    def _note(self, action: str, done: Iterable[Done], storage_class: str = "") -> None:
        versioned = versioning_of(self._mandate.bucket) is not None
        for key, version_id, rule in done:
            shown = version_id if action == report.ABORT else shown_id(version_id) if versioned else ""
            log.debug("%s of /%s/%s %s by rule %s %s", action, self._name, key, shown, rule, storage_class)
            noted = Action(action, self._name, key, shown, rule, storage_class)
            self._noted.note(noted)
            if not self._noted.dry_run:
                self._tell(self._mandate.bucket, noted)


def _done(row: programs.Replaced, rule: Rule) -> Done:
    return Done(row.facts.key, row.version_id, rule.id)


def spans(rules: Iterable[Rule]) -> list[tuple[bytes, bytes]]:
    """The ranges of keys that rules are about; none lies in another."""
    found: list[bytes] = []
    for prefix in sorted({(rule.filter.prefix or "").encode() for rule in rules}):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return [(prefix, successor(prefix)) for prefix in found]


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))


def _now() -> int:
    return time.time_ns() // 1_000_000
