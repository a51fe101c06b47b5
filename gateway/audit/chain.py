"""How the entries of the audit log hang together. Pure: texts and keys in, hashes and complaints out.

Each entry has the HMAC-SHA256 of the former entry's hash and its own text. It is keyed, and the key is sealed under the
master key: whoever can write to the catalog but has not that key cannot make a chain that holds, however much of it
they write anew. How far the chain reaches is proven the same way, so that no tail goes unmissed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

GENESIS = bytes(32)
"""What stands for the hash of the entry before the first."""
_ENTRY, _HEAD = b"nexus audit entry\0", b"nexus audit head\0"


class Link(NamedTuple):
    """An entry as the catalog keeps it; all but the text and the hash is there to be searched."""

    seq: int
    at: int
    user_id: str | None
    action: str
    outcome: str
    entry: str
    hash: bytes


def canonical(entry: Mapping[str, Any]) -> str:
    """The one text of an entry."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def link(key: bytes, former: bytes, text: str) -> bytes:
    """The hash of an entry that follows ``former``."""
    return hmac.digest(key, _ENTRY + former + text.encode(), hashlib.sha256)


def head_proof(key: bytes, seq: int, hash_: bytes) -> bytes:
    """What proves that the log reaches to this entry."""
    return hmac.digest(key, _HEAD + seq.to_bytes(8) + hash_, hashlib.sha256)


class Verifier:
    """Reads a log from its start to its end and tells (sequence number, what is wrong) of everything that is."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._expected = 1
        self._former: bytes | None = GENESIS
        """The former entry's hash; None where that entry is missing, so that nothing can be said of the link to it."""
        self.entries = 0
        self.hash = GENESIS
        """Of the last entry."""

    def read(self, links: Iterable[Link]) -> Iterator[tuple[int, str]]:
        """What is wrong with the next entries."""
        for each in links:
            if each.seq != self._expected:
                last = each.seq - 1
                yield self._expected, "is missing" if last == self._expected else f"to {last} are missing"
                self._former = None
            if self._former is not None and not hmac.compare_digest(
                link(self._key, self._former, each.entry), each.hash
            ):
                yield each.seq, "is not what was written"
            elif not _searched_as_it_says(each):
                yield each.seq, "is not found by what it says"
            self._expected, self._former, self.hash = each.seq + 1, each.hash, each.hash
            self.entries += 1

    def end(self, head: tuple[int, bytes] | None) -> Iterator[tuple[int, str]]:
        """What is wrong with where the log ends, which its head (sequence number, proof) tells."""
        last = self._expected - 1
        if head is None:
            yield last, "is the last, but the log has no head that says so"
        elif head[0] > last:
            yield self._expected, f"to {head[0]} are missing: the log was cut"
        elif head[0] < last or not hmac.compare_digest(head_proof(self._key, last, self.hash), head[1]):
            yield last, "is not the last that was written"


def _searched_as_it_says(each: Link) -> bool:
    try:
        said = json.loads(each.entry)
        told = (said["seq"], said["at"], said["user"], said["action"], said["outcome"])
    except (ValueError, KeyError, TypeError):
        return False
    return told == (each.seq, each.at, each.user_id, each.action, each.outcome)
