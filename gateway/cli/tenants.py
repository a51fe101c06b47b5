"""``nexus admin``: tenants with their quotas, groups, roles below paths, and why somebody may do something."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from gateway.cli.admin import app
from gateway.cli.client import FAILED, USAGE, CliError, Json, Key, Url, print_json, print_table, server

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:I?B)?", re.IGNORECASE)
NO_LIMIT = -1

Whom = Annotated[str, typer.Argument(help="A user, or group:NAME.")]
At = Annotated[str, typer.Argument(help="/bucket or /bucket/prefix; / is all of the tenant.")]
Bytes = Annotated[
    str | None, typer.Option("--quota-bytes", help="Bytes of all versions and open uploads: 500GiB; none: no limit.")
]
Objects = Annotated[str | None, typer.Option("--quota-objects", help="Objects, former versions too; none: no limit.")]
Rate = Annotated[str | None, typer.Option("--rate", help="Requests per second; none: no limit.")]
Tenant = Annotated[str, typer.Option("--tenant", "--tenant-id")]
_COLUMNS = ("tenant_id", "quota_bytes", "quota_objects", "rate")
_USED = ("total_bytes", "total_objects", "objects", "versions", "version_bytes", "parts", "part_bytes")


def _size(text: str | None) -> int | None:
    """Bytes of ``10GiB``; units are powers of 1024. Raises CliError."""
    if text is None or text == "none":
        return None if text is None else NO_LIMIT
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise CliError(f"{text!r} is no size: 500GiB, 10M, 4096 or none", USAGE)
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _number(text: str | None, kind: type[int] | type[float]) -> Any:
    if text is None or text == "none":
        return None if text is None else NO_LIMIT
    try:
        return kind(text)
    except ValueError:
        raise CliError(f"{text!r} is no number", USAGE) from None


def _made(limit: Any) -> Any:
    return None if limit == NO_LIMIT else limit


# -- tenants


@app.command("create-tenant")
def create_tenant(
    name: Annotated[str, typer.Argument()],
    quota_bytes: Bytes = None,
    quota_objects: Objects = None,
    rate: Rate = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Make a tenant. Its users come with create-user NAME --tenant TENANT.

    Example: nexus admin create-tenant acme --quota-bytes 500GiB --rate 100
    """
    made = server(url, api_key).call(
        "admin_create_tenant",
        tenant_id=name,
        quota_bytes=_made(_size(quota_bytes)),
        quota_objects=_made(_number(quota_objects, int)),
        rate=_made(_number(rate, float)),
    )
    print_json(made) if as_json else print(f"Tenant {name} made. Next: nexus admin create-user USER --tenant {name}")


@app.command("update-tenant")
def update_tenant(
    name: Annotated[str, typer.Argument()],
    quota_bytes: Bytes = None,
    quota_objects: Objects = None,
    rate: Rate = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Change what a tenant may use. What it has already stays; only what grows is refused.

    Example: nexus admin update-tenant acme --quota-bytes 1TiB --rate none
    """
    changed = server(url, api_key).call(
        "admin_update_tenant",
        tenant_id=name,
        quota_bytes=_size(quota_bytes),
        quota_objects=_number(quota_objects, int),
        rate=_number(rate, float),
    )
    print_json(changed) if as_json else print_table(_COLUMNS, [[changed[column] for column in _COLUMNS]])


@app.command("list-tenants")
def list_tenants(url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """List tenants and their limits.

    Example: nexus admin list-tenants
    """
    tenants = server(url, api_key).call("admin_list_tenants")["tenants"]
    print_json(tenants) if as_json else print_table(
        _COLUMNS, [[each[column] for column in _COLUMNS] for each in tenants]
    )


@app.command("delete-tenant")
def delete_tenant(
    name: Annotated[str, typer.Argument()], url: Url = None, api_key: Key = None, as_json: Json = False
) -> None:
    """Remove a tenant that has no users, groups and buckets.

    Example: nexus admin delete-tenant acme
    """
    done = server(url, api_key).call("admin_delete_tenant", tenant_id=name)
    print_json(done) if as_json else print(f"Tenant {name} deleted.")


@app.command("usage")
def usage(
    tenant: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    recount: Annotated[bool, typer.Option("--recount", help="Count row by row first, and correct the sums.")] = False,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Tell how much tenants use. Bytes are logical, whatever is shared.

    Example: nexus admin usage acme
    """
    chosen = server(url, api_key)
    drifts = chosen.call("admin_recount_usage")["drifts"] if recount else []
    tenants = chosen.call("admin_usage", tenant_id=tenant)["tenants"]
    if as_json:
        print_json({"tenants": tenants, "corrected": drifts} if recount else tenants)
        return
    print_table(
        ("tenant_id", *_USED, "quota_bytes", "quota_objects"),
        [
            (each["tenant_id"], *(each["usage"][name] for name in _USED), each["quota_bytes"], each["quota_objects"])
            for each in tenants
        ],
    )
    for drift in drifts:
        print(f"corrected: {drift['tenant_id']}")


# -- groups


@app.command("create-group")
def create_group(
    name: Annotated[str, typer.Argument()],
    tenant: Tenant = "default",
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Make a group of users of one tenant.

    Example: nexus admin create-group editors --tenant acme
    """
    made = server(url, api_key).call("admin_create_group", group_id=name, tenant_id=tenant)
    print_json(made) if as_json else print(f"Group {name} made. Next: nexus admin add-to-group {name} USER")


@app.command("list-groups")
def list_groups(url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """List groups and who is in them.

    Example: nexus admin list-groups
    """
    groups = server(url, api_key).call("admin_list_groups")["groups"]
    if as_json:
        print_json(groups)
        return
    print_table(
        ("group_id", "tenant_id", "members"),
        [(each["group_id"], each["tenant_id"], ", ".join(each["members"]) or None) for each in groups],
    )


@app.command("delete-group")
def delete_group(
    name: Annotated[str, typer.Argument()], url: Url = None, api_key: Key = None, as_json: Json = False
) -> None:
    """Remove a group and what it was granted. Its users stay.

    Example: nexus admin delete-group editors
    """
    done = server(url, api_key).call("admin_delete_group", group_id=name)
    print_json(done) if as_json else print(f"Group {name} deleted.")


@app.command("add-to-group")
def add_to_group(
    group: Annotated[str, typer.Argument()],
    user: Annotated[str, typer.Argument()],
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Put a user into a group.

    Example: nexus admin add-to-group editors alice
    """
    done = server(url, api_key).call("admin_add_to_group", group_id=group, user_id=user)
    print_json(done) if as_json else print(f"{user} is in {group}.")


@app.command("remove-from-group")
def remove_from_group(
    group: Annotated[str, typer.Argument()],
    user: Annotated[str, typer.Argument()],
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Take a user out of a group. What the group was granted goes with it.

    Example: nexus admin remove-from-group editors alice
    """
    done = server(url, api_key).call("admin_remove_from_group", group_id=group, user_id=user)
    print_json(done) if as_json else print(f"{user} is no longer in {group}.")


# -- roles below paths


@app.command("grant")
def grant(
    whom: Whom,
    role: Annotated[str, typer.Argument(help="viewer, editor or owner.")],
    path: At,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Let a user or a group in at a path and below. Whoever owns what lies there may, and admins.

    Example: nexus admin grant group:editors editor /workspace/team
    """
    made = server(url, api_key).call("admin_grant", subject=whom, role=role, path=path)
    print_json(made) if as_json else print(f"{made['subject']} is {made['role']} at {made['path']}.")


@app.command("revoke")
def revoke(whom: Whom, path: At, url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """Take back what was granted at that very path.

    Example: nexus admin revoke group:editors /workspace/team
    """
    done = server(url, api_key).call("admin_revoke", subject=whom, path=path)
    print_json(done) if as_json else print(f"{whom} has no role of its own at {path} any more.")


@app.command("list-grants")
def list_grants(
    about: Annotated[str | None, typer.Argument(help="A path, a user, or group:NAME.")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """List roles at, above and below a path. Or those of a user or a group.

    Example: nexus admin list-grants /workspace
    """
    wanted = {} if about is None else {"path" if about.startswith("/") else "subject": about}
    grants = server(url, api_key).call("admin_list_grants", **wanted)["grants"]
    columns = ("path", "subject", "role", "tenant_id", "granted_by", "created_at")
    print_json(grants) if as_json else print_table(columns, [[each[column] for column in columns] for each in grants])


# -- why


ActionArgument = Annotated[str, typer.Argument(help="read, write, list, delete, or S3's name: s3:GetObjectTagging.")]
OfKey = Annotated[str | None, typer.Option("--key", help="With this key of the user's, which may narrow it.")]


@app.command("check")
def check(
    user: Annotated[str, typer.Argument()],
    action: ActionArgument,
    path: Annotated[str, typer.Argument()],
    key: OfKey = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Tell whether a user may do something. Exit code 0 if so, else 1.

    Example: nexus admin check alice write /workspace/team/a.txt && echo yes
    """
    told = _explained(user, action, path, key, url, api_key)
    print_json(told) if as_json else print("allowed" if told["allowed"] else "denied")
    if not told["allowed"]:
        raise SystemExit(FAILED)


@app.command("explain")
def explain(
    user: Annotated[str, typer.Argument()],
    action: ActionArgument,
    path: Annotated[str, typer.Argument()],
    key: OfKey = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Tell which rule lets a user do something, or why not.

    Example: nexus admin explain alice s3:GetObject /workspace/team/a.txt
    """
    told = _explained(user, action, path, key, url, api_key)
    if as_json:
        print_json(told)
    else:
        print(f"{'allowed' if told['allowed'] else 'denied'}: {told['why']} [{told['rule']}]")


def _explained(user: str, action: str, path: str, key: str | None, url: str | None, api_key: str | None) -> Any:
    return server(url, api_key).call("admin_explain", user_id=user, action=action, path=path, key_id=key)
