"""Methods about roles below paths: to give, to take back, to list. For whoever owns what lies there, and for admins."""

from __future__ import annotations

from typing import Any

from gateway.grants import Shown, parse_subject
from gateway.rpc.methods import on_tree
from gateway.rpc.tree import Tree
from gateway.rpc.values import iso


@on_tree(audited=True)
async def admin_grant(tree: Tree, *, subject: str, role: str, path: str) -> dict[str, Any]:
    """Give a user, or ``group:NAME``, a role at a path and below."""
    return _grant(await tree.core.grants.grant(tree.principal, parse_subject(subject), role, path))


@on_tree(audited=True)
async def admin_revoke(tree: Tree, *, subject: str, path: str) -> dict[str, Any]:
    """Take back what was granted at that very path."""
    await tree.core.grants.revoke(tree.principal, parse_subject(subject), path)
    return {"success": True, "subject": subject, "path": path}


@on_tree
async def admin_list_grants(tree: Tree, *, path: str | None = None, subject: str | None = None) -> dict[str, Any]:
    """Grants that the caller may give: of one subject; at, above and below one path."""
    wanted = parse_subject(subject) if subject is not None else None
    return {"grants": [_grant(each) for each in await tree.core.grants.list(tree.principal, path, wanted)]}


def _grant(shown: Shown) -> dict[str, Any]:
    return {
        "subject": str(shown.subject),
        "role": shown.grant.role,
        "path": shown.path,
        "tenant_id": shown.grant.tenant,
        "granted_by": shown.grant.granted_by,
        "created_at": iso(shown.grant.created_at),
    }
