"""Programs over the audit log: add to it, read it, verify it."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.audit.chain import GENESIS, Link, Verifier, canonical, head_proof, link
from gateway.catalog.base import Program

_LINK = "seq, at, user_id, action, outcome, entry, hash"
PAGE = 2000
MOST_COMPLAINTS = 100


class Head(NamedTuple):
    """How far the log reaches, and what proves it."""

    seq: int
    proof: bytes
    sealed_key: bytes


class Verdict(NamedTuple):
    """What verifying the log found."""

    entries: int
    hash: bytes
    """Of the last entry."""
    complaints: list[tuple[int, str]]
    """(sequence number, what is wrong)."""


class Wanted(NamedTuple):
    """Which entries to list; what is None does not matter."""

    after: int = 0
    before: int | None = None
    since: int | None = None
    until: int | None = None
    user: str | None = None
    action: str | None = None
    outcome: str | None = None


def find_head() -> Program[Head | None]:
    rows = yield "SELECT seq, proof, sealed_key FROM audit_head", ()
    return Head(*rows[0]) if rows else None


def open_log(key: bytes, sealed_key: bytes, entry: Mapping[str, Any]) -> Program[Head]:
    """Begin the log with a key of its own and a first entry, where nobody has."""
    head = yield from find_head()
    if head is not None:
        return head
    yield (
        "INSERT INTO audit_head (id, seq, proof, sealed_key) VALUES (1, 0, ?, ?)",
        (head_proof(key, 0, GENESIS), sealed_key),
    )
    yield from append(key, entry)
    return Head(1, b"", sealed_key)


def append(key: bytes, entry: Mapping[str, Any]) -> Program[Link]:
    """Add an entry, numbered and timed here, where writers take turns: numbers have no gaps, the chain has no fork.

    Where the log does not end as its head says, a number is left out, so that the head that this entry proves anew
    does not hide for ever what was cut off.
    """
    head = yield from find_head()
    rows = yield "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1", ()
    last, former = rows[0] if rows else (0, GENESIS)
    seq, at = last + 1, time.time_ns() // 1_000_000
    if head is None or head.seq != last or not hmac.compare_digest(head.proof, head_proof(key, last, former)):
        seq = max(last, head.seq if head is not None else 0) + 2
    text = canonical({**entry, "seq": seq, "at": at})
    added = Link(seq, at, entry["user"], entry["action"], entry["outcome"], text, link(key, former, text))
    yield f"INSERT INTO audit_log ({_LINK}) VALUES (?, ?, ?, ?, ?, ?, ?)", added
    yield "UPDATE audit_head SET seq = ?, proof = ? WHERE id = 1", (seq, head_proof(key, seq, added.hash))
    return added


def page(wanted: Wanted, limit: int, newest: bool) -> Program[list[Link]]:
    """Entries in their order, at most ``limit``: the first that match, or with ``newest`` the last."""
    terms, values = ["seq > ?"], [wanted.after]
    more: tuple[tuple[str, Any], ...] = (
        ("seq < ?", wanted.before),
        ("at >= ?", wanted.since),
        ("at < ?", wanted.until),
        ("user_id = ?", wanted.user),
        ("action = ?", wanted.action),
        ("outcome = ?", wanted.outcome),
    )
    for term, value in more:
        if value is not None:
            terms.append(term)
            values.append(value)
    rows = yield (
        f"SELECT {_LINK} FROM audit_log WHERE {' AND '.join(terms)} ORDER BY seq{' DESC' if newest else ''} LIMIT ?",
        (*values, limit),
    )
    return [Link(*row) for row in (reversed(rows) if newest else rows)]


def verify(key: bytes) -> Program[Verdict]:
    """Read the whole log, on one snapshot, and tell what is wrong with it."""
    head = yield from find_head()
    verifier, found, after = Verifier(key), list[tuple[int, str]](), -(2**62)
    while True:
        rows = yield f"SELECT {_LINK} FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", (after, PAGE)
        found += verifier.read(Link(*row) for row in rows)
        if len(rows) < PAGE:
            break
        after = rows[-1][0]
    found += verifier.end((head.seq, head.proof) if head else None)
    return Verdict(verifier.entries, verifier.hash, found[:MOST_COMPLAINTS])
