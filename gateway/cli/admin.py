"""``nexus admin``: users, tenants and keys."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.client import USAGE, CliError, Json, Key, Url, print_json, print_table, server

app = typer.Typer(
    help="Users, keys, tenants, groups, roles. Needs an admin's key.", no_args_is_help=True, rich_markup_mode=None
)
ALL = 1_000_000
_KEY_COLUMNS = ("key_id", "user_id", "name", "readonly", "created_at", "expires_at", "revoked_at", "last_used_at")


@app.command("create-user")
def create_user(
    name: Annotated[str, typer.Argument(help="The user's id.")],
    display_name: Annotated[str, typer.Option("--name", help="The name S3 shows.")] = "",
    email: Annotated[str, typer.Option("--email")] = "",
    tenant: Annotated[str, typer.Option("--tenant", "--tenant-id", help="Made when first named.")] = "default",
    admin: Annotated[bool, typer.Option("--admin", "--is-admin", help="May do everything.")] = False,
    expires_days: Annotated[
        int | None, typer.Option("--expires-days", min=1, help="Mint a key as well, which ends then.")
    ] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Make a user.

    Example: nexus admin create-user alice --name "Alice A." --tenant acme
    """
    chosen = server(url, api_key)
    user = chosen.call(
        "admin_create_user", user_id=name, name=display_name, email=email, tenant_id=tenant, is_admin=admin
    )
    if expires_days is not None:
        key = chosen.call("admin_create_key", user_id=name, name=display_name, expires_days=expires_days)
        print_json(user | key) if as_json else print_key(key)
    elif as_json:
        print_json(user)
    else:
        print(f"User {user['id']} of tenant {user['tenant']} made. Next: nexus admin create-user-key {user['id']}")


@app.command("get-user")
def get_user(
    name: Annotated[str | None, typer.Argument(help="The user's id.")] = None,
    user_id: Annotated[str | None, typer.Option("--user-id", help="The same.")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Tell of a user and its keys.

    Example: nexus admin get-user alice
    """
    chosen = name or user_id
    if chosen is None:
        raise CliError("name a user", USAGE)
    user = server(url, api_key).call("admin_get_user", user_id=chosen)
    if as_json:
        print_json(user)
        return
    print_table(("field", "value"), [(field, value) for field, value in user.items() if field != "keys"])
    print_table(_KEY_COLUMNS, [[key[column] for column in _KEY_COLUMNS] for key in user["keys"]])


@app.command("list-users")
def list_users(url: Url = None, api_key: Key = None, as_json: Json = False) -> None:
    """List all users.

    Example: nexus admin list-users --json
    """
    users = server(url, api_key).call("admin_list_users")["users"]
    if as_json:
        print_json(users)
        return
    columns = ("id", "display_name", "email", "tenant", "is_admin", "canonical_id")
    print_table(columns, [[user[column] for column in columns] for user in users])


@app.command("delete-user")
def delete_user(
    name: Annotated[str, typer.Argument()], url: Url = None, api_key: Key = None, as_json: Json = False
) -> None:
    """Remove a user and its keys. A user that owns buckets stays.

    Example: nexus admin delete-user alice
    """
    done = server(url, api_key).call("admin_delete_user", user_id=name)
    print_json(done) if as_json else print(f"User {name} deleted.")


@app.command("create-user-key")
@app.command("create-key", hidden=True)
def create_user_key(
    name: Annotated[str, typer.Argument(help="The user's id.")],
    key_name: Annotated[str, typer.Option("--name", help="A note to know the key by.")] = "",
    expires_days: Annotated[int | None, typer.Option("--expires-days", min=1)] = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="The key may only read.")] = False,
    prefix: Annotated[list[str] | None, typer.Option("--prefix", help="Confine the key to paths below.")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Mint a key for a user. It is printed once, with its S3 pair.

    Example: nexus admin create-user-key alice --expires-days 90
    """
    chosen = server(url, api_key)
    chosen.call("admin_get_user", user_id=name)  # a key for a name that is mistyped would make that user
    key = chosen.call(
        "admin_create_key",
        user_id=name,
        name=key_name,
        expires_days=expires_days,
        readonly=readonly,
        prefixes=prefix or [],
    )
    print_json(key) if as_json else print_key(key)


def print_key(key: dict[str, Any]) -> None:
    """A new key as three lines: the API key, and what to paste for S3 clients."""
    print(f"API key: {key['api_key']}")
    print(f"export AWS_ACCESS_KEY_ID={key['access_key_id']}")
    print(f"export AWS_SECRET_ACCESS_KEY={key['secret_access_key']}", flush=True)


@app.command("list-keys")
def list_keys(
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """List keys, without their secrets.

    Example: nexus admin list-keys --user alice
    """
    keys = server(url, api_key).call("admin_list_keys", user_id=user, limit=ALL)["keys"]
    if as_json:
        print_json(keys)
        return
    print_table(_KEY_COLUMNS, [[key[column] for column in _KEY_COLUMNS] for key in keys])


@app.command("update-key")
def update_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, which is its AWS access key id.")],
    key_name: Annotated[str | None, typer.Option("--name", help="A note to know the key by.")] = None,
    expires_days: Annotated[int | None, typer.Option("--expires-days", min=1, help="From now on.")] = None,
    admin: Annotated[bool | None, typer.Option("--is-admin/--no-admin", help="Of the key's user.")] = None,
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """Change a key's name or expiry. Or make its user an admin, or no admin any more.

    Example: nexus admin update-key NXABCDEFGHIJKLMNOPQR --expires-days 30
    """
    key = server(url, api_key).call(
        "admin_update_key", key_id=key_id, name=key_name, expires_days=expires_days, is_admin=admin
    )
    print_json(key) if as_json else print_table(_KEY_COLUMNS, [[key[column] for column in _KEY_COLUMNS]])


@app.command("revoke-key")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, which is its AWS access key id.")],
    url: Url = None,
    api_key: Key = None,
    as_json: Json = False,
) -> None:
    """End a key, for S3 and for Nexus at once.

    Example: nexus admin revoke-key NXABCDEFGHIJKLMNOPQR
    """
    done = server(url, api_key).call("admin_revoke_key", key_id=key_id)
    print_json(done) if as_json else print(f"Key {key_id} revoked.")


@app.command("recover")
def recover(
    data_dir: Annotated[Path, typer.Option("--data-dir", help="The server's data directory, on this machine.")],
    user: Annotated[str | None, typer.Option("--user", help="An admin. Default: the oldest.")] = None,
    as_json: Json = False,
) -> None:
    """Mint a key for an admin where none is left. It needs no key, but the files; the server may run meanwhile.

    Example: nexus admin recover --data-dir /var/lib/nexus
    """
    from gateway.errors import GatewayError
    from gateway.recovery import recover
    from gateway.settings import Settings

    try:
        found, key = recover(Settings(data_dir=data_dir), user)
    except (GatewayError, OSError, sqlite3.Error) as error:
        raise CliError(str(error)) from None
    shown = {
        "user_id": found.id,
        "key_id": key.id,
        "api_key": key.api_key,
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret,
    }
    if as_json:
        print_json(shown)
        return
    print(f"A key for {found.id}. Save it now: it is not shown again.")
    print_key(shown)
    print("Former keys still work. If one is in wrong hands: nexus admin list-keys, nexus admin revoke-key.")
