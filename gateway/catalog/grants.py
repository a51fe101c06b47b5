"""Programs over groups of users, and over the roles that users and groups have below paths."""

from __future__ import annotations

from gateway.catalog.base import Program
from gateway.catalog.config import BUMP
from gateway.errors import BadRequest, GrantNotFound, GroupExists, GroupNotFound, UserNotFound
from gateway.roles import GROUP, USER
from gateway.types import Group, PathGrant

_GRANT = "tenant, bucket_id, prefix, kind, subject, role, granted_by, created_at"


# -- groups


def create_group(group: Group) -> Program[None]:
    """Raises GroupExists, BadRequest where there is no such tenant."""
    if not (yield "SELECT 1 FROM tenants WHERE id = ?", (group.tenant,)):
        raise BadRequest(f"there is no tenant {group.tenant}", "tenant", group.tenant)
    if (yield "SELECT 1 FROM user_groups WHERE id = ?", (group.id,)):
        raise GroupExists(group.id)
    yield (
        "INSERT INTO user_groups (id, tenant, created_at) VALUES (?, ?, ?)",
        (group.id, group.tenant, group.created_at),
    )
    yield BUMP


def list_groups() -> Program[list[Group]]:
    members: dict[str, list[str]] = {}
    for group, user in (yield "SELECT group_id, user_id FROM group_members ORDER BY group_id, user_id", ()):
        members.setdefault(group, []).append(user)
    rows = yield "SELECT id, tenant, created_at FROM user_groups ORDER BY id", ()
    return [Group(group, tenant, at, tuple(members.get(group, ()))) for group, tenant, at in rows]


def delete_group(group: str) -> Program[None]:
    """Remove a group, its memberships and what it was granted. Raises GroupNotFound."""
    yield from _tenant_of_group(group)
    yield "DELETE FROM path_grants WHERE kind = ? AND subject = ?", (GROUP, group)
    yield "DELETE FROM group_members WHERE group_id = ?", (group,)
    yield "DELETE FROM user_groups WHERE id = ?", (group,)
    yield BUMP


def add_to_group(group: str, user: str) -> Program[None]:
    """Raises GroupNotFound, UserNotFound, BadRequest for a user of another tenant."""
    tenant = yield from _tenant_of_group(group)
    rows = yield "SELECT tenant FROM users WHERE id = ?", (user,)
    if not rows:
        raise UserNotFound(user)
    if rows[0][0] != tenant:
        raise BadRequest(f"{user} is of the tenant {rows[0][0]}, and {group} of {tenant}", "user", user)
    yield (
        "INSERT INTO group_members (group_id, user_id) VALUES (?, ?) ON CONFLICT (group_id, user_id) DO NOTHING",
        (group, user),
    )
    yield BUMP


def remove_from_group(group: str, user: str) -> Program[None]:
    """Raises GroupNotFound, BadRequest where the user is none of its members."""
    yield from _tenant_of_group(group)
    if not (yield "DELETE FROM group_members WHERE group_id = ? AND user_id = ? RETURNING 1", (group, user)):
        raise BadRequest(f"{user} is not in {group}", "user", user)
    yield BUMP


def _tenant_of_group(group: str) -> Program[str]:
    rows = yield "SELECT tenant FROM user_groups WHERE id = ?", (group,)
    if not rows:
        raise GroupNotFound(group)
    return str(rows[0][0])


# -- grants


def put_grant(grant: PathGrant) -> Program[None]:
    """Give a role, in place of the one that the same has there. Raises BadRequest for whom the tenant does not know."""
    table = "users" if grant.kind == USER else "user_groups"
    if not (yield f"SELECT 1 FROM {table} WHERE id = ? AND tenant = ?", (grant.subject, grant.tenant)):
        # Of another tenant or nowhere: who may grant within a tenant learns nothing of the others.
        raise BadRequest(f"{grant.subject} is no {grant.kind} of the tenant {grant.tenant}", "subject", grant.subject)
    if grant.bucket_id and not (
        yield "SELECT 1 FROM buckets WHERE id = ? AND tenant = ?", (grant.bucket_id, grant.tenant)
    ):
        raise BadRequest("the bucket was deleted meanwhile")
    yield (
        f"INSERT INTO path_grants ({_GRANT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant, bucket_id, prefix, kind, subject)"
        " DO UPDATE SET role = excluded.role, granted_by = excluded.granted_by, created_at = excluded.created_at",
        tuple(grant),
    )
    yield BUMP


def drop_grant(grant: PathGrant) -> Program[None]:
    """Take back what a user or a group has at a path. Raises GrantNotFound."""
    found = yield (
        "DELETE FROM path_grants WHERE tenant = ? AND bucket_id = ? AND prefix = ? AND kind = ? AND subject = ?"
        " RETURNING 1",
        (grant.tenant, grant.bucket_id, grant.prefix, grant.kind, grant.subject),
    )
    if not found:
        raise GrantNotFound(grant.subject)
    yield BUMP


def tenant_of_subject(kind: str, subject: str) -> Program[str | None]:
    table = "users" if kind == USER else "user_groups"
    rows = yield f"SELECT tenant FROM {table} WHERE id = ?", (subject,)
    return str(rows[0][0]) if rows else None


def grants_of(user: str) -> Program[list[PathGrant]]:
    """What a user was granted, also as a member of groups."""
    rows = yield (
        f"SELECT {_GRANT} FROM path_grants WHERE (kind = ?1 AND subject = ?2) OR (kind = ?3 AND subject IN"
        " (SELECT group_id FROM group_members WHERE user_id = ?2)) ORDER BY bucket_id, prefix, kind, subject",
        (USER, user, GROUP),
    )
    return [PathGrant(*row) for row in rows]


def list_grants(tenant: str | None) -> Program[list[tuple[str, PathGrant]]]:
    """The grants of a tenant (None: of all), each with its bucket's name, in the order of paths."""
    columns = ", ".join(f"g.{name.strip()}" for name in _GRANT.split(","))
    rows = yield (
        f"SELECT coalesce(b.name, ''), {columns} FROM path_grants AS g LEFT JOIN buckets AS b ON b.id = g.bucket_id"
        + (" WHERE g.tenant = ?" if tenant is not None else "")
        + " ORDER BY 1, g.prefix, g.tenant, g.kind, g.subject",
        (tenant,) if tenant is not None else (),
    )
    return [(name, PathGrant(*row)) for name, *row in rows]


def forget_subject(user: str) -> Program[None]:
    """Drop what a user, who is going away, was granted and belonged to."""
    yield "DELETE FROM path_grants WHERE kind = ? AND subject = ?", (USER, user)
    yield "DELETE FROM group_members WHERE user_id = ?", (user,)
