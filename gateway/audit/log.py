"""Keeps the audit log, and reads it.

An action that changes the catalog has its entry in the transaction of its first change: there is no change without an
entry, and no entry of a change that was not made. What changes nothing there, or is refused, has one of its own.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Set
from contextlib import asynccontextmanager
from typing import NamedTuple

from gateway.audit.chain import Link
from gateway.audit.deeds import DONE, FAILED, REFUSED, Deed, by_machine
from gateway.auth.credentials import MasterKey
from gateway.catalog import audit_log
from gateway.catalog.audit_log import Verdict, Wanted
from gateway.catalog.base import Catalog
from gateway.catalog.companions import accompanied_by

KEY_CONTEXT = b"audit-log"
FAILURES_PER_MINUTE = 60
"""Most attempts of one user that a worker writes down in a minute: the log must not be for anybody to fill."""
MOST_USERS = 10_000

Judge = Callable[[Exception], tuple[bool, str]]
"""Tells of an error whether it is a refusal, and what to write of it."""

log = logging.getLogger("nexus.audit")


class Head(NamedTuple):
    """The last entry: noted elsewhere, it proves later that nothing up to it was changed."""

    seq: int
    hash: str


class AuditLog:
    """The audit log of a catalog. ``open`` it before anything else."""

    def __init__(self, catalog: Catalog, master_key: MasterKey, *, secret: Set[str] = frozenset()) -> None:
        self._catalog = catalog
        self._master_key = master_key
        self._secret = secret
        """Names of parameters that are secrets, besides those that sound like it."""
        self._key = b""
        self._failures: dict[str, tuple[int, int]] = {}

    async def open(self) -> None:
        """Find the log's key, or begin a log. Raises MasterKeyError where the master key is another one."""
        head = await self._catalog.read(audit_log.find_head)
        if head is None:
            key = secrets.token_bytes(32)
            sealed = self._master_key.seal(key, KEY_CONTEXT)
            entry = by_machine("open_audit_log").entry(DONE)
            head = await self._catalog.write(audit_log.open_log, key, sealed, entry)
        self._key = self._master_key.open(head.sealed_key, KEY_CONTEXT)

    @asynccontextmanager
    async def recording(self, deed: Deed, judge: Judge) -> AsyncIterator[None]:
        """Write down what the block does, and how it ends."""
        done = deed.entry(DONE, secret=self._secret)
        with accompanied_by(lambda: audit_log.append(self._key, done)) as companion:
            try:
                yield
            except Exception as error:
                companion.gone = True
                if companion.result is not None:  # what was done before it failed
                    _tell(deed, DONE, companion.result)
                refused, text = judge(error)
                await self._note_failure(deed, refused, text)
                raise
            if not companion.gone:
                companion.gone = True
                companion.result = await self._catalog.write(audit_log.append, self._key, done)
        _tell(deed, DONE, companion.result)

    async def refuse(self, deed: Deed, text: str) -> None:
        """Write down an attempt that was refused before it began."""
        await self._note_failure(deed, True, text)

    async def _note_failure(self, deed: Deed, refused: bool, text: str) -> None:
        outcome = REFUSED if refused else FAILED
        if not self._may_note(deed.user):
            _tell(deed, outcome, None)
            return
        try:
            entry = deed.entry(outcome, text, self._secret)
            _tell(deed, outcome, await self._catalog.write(audit_log.append, self._key, entry))
        except Exception:  # the caller is to hear why the action failed
            log.exception("an entry was lost: action=%s user=%s outcome=%s", deed.action, deed.user, outcome)

    def _may_note(self, user: str | None) -> bool:
        if user is None:
            return False
        minute = int(time.monotonic() // 60)
        if len(self._failures) >= MOST_USERS:
            self._failures.clear()
        since, count = self._failures.get(user, (minute, 0))
        count = count + 1 if since == minute else 1
        self._failures[user] = (minute, count)
        return count <= FAILURES_PER_MINUTE

    async def list(self, wanted: Wanted, limit: int, *, newest: bool) -> list[Link]:
        """Entries in their order, at most ``limit``: the first that match, or with ``newest`` the last."""
        return await self._catalog.scan(audit_log.page, wanted, limit, newest)

    async def head(self) -> Head:
        """The last entry."""
        last = await self._catalog.scan(audit_log.page, Wanted(), 1, True)
        return Head(last[-1].seq, last[-1].hash.hex()) if last else Head(0, "")

    async def verify(self, noted: Head | None = None) -> Verdict:
        """Whether the log is what was written; ``noted`` is a head that somebody kept."""
        verdict = await self._catalog.scan(audit_log.verify, self._key)
        if noted is None:
            return verdict
        found = await self._catalog.scan(audit_log.page, Wanted(noted.seq - 1, noted.seq + 1), 1, False)
        if found and found[0].hash.hex() == noted.hash.lower():
            return verdict
        return verdict._replace(complaints=[*verdict.complaints, (noted.seq, "is not what was noted")])


def _tell(deed: Deed, outcome: str, link: Link | None) -> None:
    """A line of the server's log, which may go to another machine: so every entry's hash is noted there."""
    seq, hash_ = (link.seq, link.hash.hex()) if link is not None else ("-", "-")
    log.info(
        "action=%s user=%s request=%s outcome=%s seq=%s hash=%s",
        deed.action,
        deed.user,
        deed.request,
        outcome,
        seq,
        hash_,
    )
