"""Methods that read the audit log. Nothing changes it but what it tells of."""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.audit.chain import Link
from gateway.audit.log import Head
from gateway.catalog.audit_log import Wanted
from gateway.core import Core
from gateway.errors import BadRequest
from gateway.rpc.methods import method
from gateway.rpc.values import iso, millis_of
from gateway.types import Principal

MOST = 1000

_HASH = re.compile(r"[0-9a-fA-F]{64}")


@method(reads=True)
async def audit_list(
    core: Core,
    principal: Principal,
    *,
    since: str | None = None,
    until: str | None = None,
    user: str | None = None,
    action: str | None = None,
    outcome: str | None = None,
    after: int = 0,
    newest: bool = False,
    limit: int = 100,
) -> dict[str, Any]:
    """Entries in their order past number ``after``, the first that match or with ``newest`` the last."""
    if not 1 <= limit <= MOST:
        raise BadRequest(f"limit is from 1 to {MOST}", "limit", str(limit))
    wanted = Wanted(after, None, millis_of("since", since), millis_of("until", until), user, action, outcome)
    found = await core.audit.list(wanted, limit, newest=newest)
    more = len(found) == limit and not newest
    return {"entries": [_entry(each) for each in found], "next": found[-1].seq if more else None}


@method(reads=True)
async def audit_head(core: Core, principal: Principal) -> dict[str, Any]:
    """The number and the hash of the last entry: to be noted where this machine's admins cannot change it."""
    head = await core.audit.head()
    return {"seq": head.seq, "hash": head.hash}


@method(reads=True)
async def audit_verify(
    core: Core, principal: Principal, *, seq: int | None = None, hash: str | None = None
) -> dict[str, Any]:
    """Whether the log is what was written; ``seq`` and ``hash`` are a head that was noted before."""
    if (seq is None) != (hash is None) or (hash is not None and not _HASH.fullmatch(hash)):
        raise BadRequest("a head that was noted is a number and 64 hexadecimal digits", "hash", str(hash))
    verdict = await core.audit.verify(Head(seq, hash) if seq is not None and hash is not None else None)
    return {
        "ok": not verdict.complaints,
        "entries": verdict.entries,
        "hash": verdict.hash.hex(),
        "problems": [{"seq": number, "problem": f"entry {number} {what}"} for number, what in verdict.complaints],
    }


def _entry(each: Link) -> dict[str, Any]:
    return {**json.loads(each.entry), "at": iso(each.at), "hash": each.hash.hex()}
