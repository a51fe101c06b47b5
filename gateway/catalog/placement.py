"""Programs that change where a version's content lies: its path, id, ETag, times, tags and locks stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.catalog import rows
from gateway.catalog.base import Program
from gateway.catalog.blobs import Claim, claim, make_manifest, release
from gateway.catalog.lifecycle import Done, Mandate, newer_than
from gateway.catalog.objects import check_generation
from gateway.errors import Conflict
from gateway.lifecycle.decide import Due, Facts, noncurrent_transition, transition
from gateway.types import Block, Content, ObjectInfo


def relabel(mandate: Mandate, info: ObjectInfo, target: str, replaced: bool) -> Program[Done]:
    """Give a version that lies where its new storage class wants it the name of that class.

    Raises MountsChanged, Conflict where the version, or what the rules say of it, is another by now.
    """
    yield from check_generation(mandate.generation)
    due = yield from _look_again(mandate, info, target, replaced)
    yield (
        f"UPDATE {_table(replaced)} SET storage_class = ? WHERE bucket_id = ? AND key = ? AND version = ?",
        (target, info.bucket_id, info.key.encode(), info.version),
    )
    return Done(info.key, info.version_id, due.rule.id)


def relocate(
    mandate: Mandate,
    info: ObjectInfo,
    target: str,
    replaced: bool,
    stored: Content,
    blocks: Sequence[Block],
    seen: Claim,
) -> Program[Done]:
    """Let a version name the copy of its content in another store, and let the former go.

    Raises MountsChanged and ClaimLost as ``claim`` does, Conflict as ``relabel``.
    """
    blocks = yield from claim(stored, blocks, seen)
    due = yield from _look_again(mandate, info, target, replaced)
    old = info.content
    layout = None
    if old.manifest_id is not None:
        layout = (yield "SELECT parts FROM manifests WHERE id = ?", (old.manifest_id,))[0][0]
    digest, manifest_id = None, None
    if len(blocks) == 1 and layout is None:
        digest = bytes.fromhex(blocks[0].digest)
    else:
        manifest_id = yield from make_manifest(stored, blocks, layout)
    yield (
        f"UPDATE {_table(replaced)} SET store_id = ?, scope = ?, digest = ?, manifest_id = ?, storage_class = ?"
        " WHERE bucket_id = ? AND key = ? AND version = ?",
        (
            *(stored.store_id, stored.scope, digest, manifest_id, target),
            *(info.bucket_id, info.key.encode(), info.version),
        ),
    )
    former = bytes.fromhex(old.digest) if old.digest else None
    yield from release(old.store_id, old.scope, former, old.manifest_id, mandate.now)
    return Done(info.key, info.version_id, due.rule.id)


def _table(replaced: bool) -> str:
    return "versions" if replaced else "objects"


def _look_again(mandate: Mandate, info: ObjectInfo, target: str, replaced: bool) -> Program[Due]:
    """What the rules say of a version as it is now. Raises Conflict unless it is the one that was read, to be moved."""
    since = "noncurrent_since" if replaced else "modified_at"
    found = yield (
        f"SELECT {rows.OBJECT}, {since} FROM {_table(replaced)} WHERE bucket_id = ? AND key = ? AND version = ?",
        (info.bucket_id, info.key.encode(), info.version),
    )
    present = rows.object_info(found[0][:-1]) if found else None
    if present is not None and (present.content, present.etag) == (info.content, info.etag):
        attributes = present.attributes
        facts = Facts(info.key, present.size, attributes.tags, attributes.storage_class, found[0][-1])
        if replaced:
            newer = yield from newer_than(mandate, info.key.encode(), info.version)
            due = noncurrent_transition(mandate.lifecycle, mandate.calendar, facts, newer, mandate.at)
        else:
            due = transition(mandate.lifecycle, mandate.calendar, facts, mandate.at)
        if due is not None and due.storage_class == target:
            return due
    raise Conflict("the version changed before it was moved")


class Held(NamedTuple):
    """What names content in a store: objects that are shown, former versions, parts of uploads under way."""

    objects: int
    versions: int
    parts: int
    bytes: int


def held_by(store_id: int) -> Program[Held]:
    """Walks through all names: for ``scan``."""
    counts = []
    size = 0
    for table in ("objects", "versions", "parts"):
        rows = yield (
            f"SELECT count(*), coalesce(sum(size), 0) FROM {table} WHERE store_id = ?"
            " AND (digest IS NOT NULL OR manifest_id IS NOT NULL)",
            (store_id,),
        )
        counts.append(int(rows[0][0]))
        size += int(rows[0][1])
    objects, versions, parts = counts
    return Held(objects, versions, parts, size)
