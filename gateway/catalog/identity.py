"""Programs over tenants, users and API keys."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from gateway.catalog.base import Many, Program
from gateway.catalog.config import BUMP
from gateway.catalog.grants import forget_subject, grants_of
from gateway.errors import BadRequest, KeyNotFound, UserExists, UserNotFound
from gateway.roles import by_bucket
from gateway.types import ApiKey, Principal, User

_USER = "id, display_name, email, canonical_id, tenant, is_admin, created_at, disabled"
_KEY = "id, user_id, name, created_at, expires_at, revoked_at, readonly, prefixes, last_used_at"


class SecretRow(NamedTuple):
    """A key with what verifies it, and its user."""

    key: ApiKey
    verifier: bytes
    sealed_secret: bytes
    user: User


def create_user(user: User) -> Program[User]:
    """Raises UserExists; makes the tenant where it is missing."""
    if (yield "SELECT 1 FROM users WHERE id = ?", (user.id,)):
        raise UserExists(user.id)
    yield (
        "INSERT INTO tenants (id, created_at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
        (user.tenant, user.created_at),
    )
    yield (
        f"INSERT INTO users ({_USER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user.id,
            user.display_name,
            user.email,
            user.canonical_id,
            user.tenant,
            int(user.is_admin),
            user.created_at,
            int(user.disabled),
        ),
    )
    yield BUMP
    return user


def find_user(user_id: str) -> Program[User | None]:
    rows = yield f"SELECT {_USER} FROM users WHERE id = ?", (user_id,)
    return _user(rows[0]) if rows else None


def find_user_by_canonical_id(canonical_id: str) -> Program[User | None]:
    rows = yield f"SELECT {_USER} FROM users WHERE canonical_id = ?", (canonical_id,)
    return _user(rows[0]) if rows else None


def find_users_by_email(email: str) -> Program[list[User]]:
    """At most two: whoever asks wants to know whether it is one."""
    rows = yield f"SELECT {_USER} FROM users WHERE lower(email) = lower(?) AND email <> '' LIMIT 2", (email,)
    return [_user(row) for row in rows]


def list_users() -> Program[list[User]]:
    rows = yield f"SELECT {_USER} FROM users ORDER BY id", ()
    return [_user(row) for row in rows]


def delete_user(user_id: str) -> Program[None]:
    """Remove a user and its keys. Raises UserNotFound, and BadRequest where that would leave something without one."""
    rows = yield "SELECT is_admin FROM users WHERE id = ?", (user_id,)
    if not rows:
        raise UserNotFound(user_id)
    if rows[0][0]:
        others = yield "SELECT 1 FROM users WHERE is_admin = 1 AND disabled = 0 AND id <> ? LIMIT 1", (user_id,)
        if not others:
            raise BadRequest("the last admin cannot be deleted", "user", user_id)
    owned = yield "SELECT name FROM buckets WHERE owner_id = ? ORDER BY name LIMIT 1", (user_id,)
    if owned:
        raise BadRequest(f"the user owns buckets ({owned[0][0]} is one); delete those first", "user", user_id)
    yield "DELETE FROM api_keys WHERE user_id = ?", (user_id,)
    yield from forget_subject(user_id)
    yield "DELETE FROM users WHERE id = ?", (user_id,)
    yield BUMP


def list_keys(user_id: str | None) -> Program[list[ApiKey]]:
    """The keys of one user, or of all."""
    rows = yield (
        f"SELECT {_KEY} FROM api_keys"
        + (" WHERE user_id = ?" if user_id is not None else "")
        + " ORDER BY created_at, id",
        (user_id,) if user_id is not None else (),
    )
    return [_key(row) for row in rows]


def create_key(key: ApiKey, verifier: bytes, sealed_secret: bytes) -> Program[None]:
    """Raises UserNotFound."""
    if not (yield "SELECT 1 FROM users WHERE id = ?", (key.user_id,)):
        raise UserNotFound(key.user_id)
    yield (
        f"INSERT INTO api_keys ({_KEY}, verifier, sealed_secret) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.id,
            key.user_id,
            key.name,
            key.created_at,
            key.expires_at,
            key.revoked_at,
            int(key.readonly),
            json.dumps(key.prefixes),
            key.last_used_at,
            verifier,
            sealed_secret,
        ),
    )
    yield BUMP


def find_key(key_id: str) -> Program[SecretRow | None]:
    columns = ", ".join(f"k.{name.strip()}" for name in _KEY.split(","))
    users = ", ".join(f"u.{name.strip()}" for name in _USER.split(","))
    rows = yield (
        f"SELECT {columns}, k.verifier, k.sealed_secret, {users} FROM api_keys AS k JOIN users AS u"
        " ON u.id = k.user_id WHERE k.id = ?",
        (key_id,),
    )
    if not rows:
        return None
    row = rows[0]
    return SecretRow(_key(row[:9]), row[9], row[10], _user(row[11:]))


def principal_of(user: User, key: ApiKey | None) -> Program[Principal]:
    """A user, and the key in use, as whoever calls: with what was granted, and what the tenant may ask for."""
    grants = yield from grants_of(user.id)
    rows = yield "SELECT rate FROM tenants WHERE id = ?", (user.tenant,)
    return Principal(
        user.id,
        user.display_name,
        user.canonical_id,
        user.tenant,
        user.is_admin,
        key.id if key is not None else "",
        key.readonly if key is not None else False,
        key.prefixes if key is not None else (),
        by_bucket(grants),
        rows[0][0] if rows else None,
    )


def update_key(key_id: str, expires_at: int | None, is_admin: bool | None, name: str | None, now: int) -> Program[None]:
    """Change what is not None. Raises KeyNotFound, and BadRequest for the last admin who has a key."""
    rows = yield "SELECT user_id FROM api_keys WHERE id = ?", (key_id,)
    if not rows:
        raise KeyNotFound(key_id)
    if expires_at is not None:
        yield "UPDATE api_keys SET expires_at = ? WHERE id = ?", (expires_at, key_id)
    if name is not None:
        yield "UPDATE api_keys SET name = ? WHERE id = ?", (name, key_id)
    if is_admin is not None:
        if not is_admin:
            yield from _check_other_admin(rows[0][0], now)
        yield "UPDATE users SET is_admin = ? WHERE id = ?", (int(is_admin), rows[0][0])
    yield BUMP


def _check_other_admin(user_id: str, now: int) -> Program[None]:
    others = yield (
        "SELECT 1 FROM users AS u JOIN api_keys AS k ON k.user_id = u.id WHERE u.is_admin = 1 AND u.disabled = 0"
        " AND u.id <> ? AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?) AND k.readonly = 0"
        " AND k.prefixes = '[]' LIMIT 1",
        (user_id, now),
    )
    if not others:
        raise BadRequest("the last admin key cannot be demoted", "is_admin", "false")


def revoke_key(key_id: str, now: int) -> Program[None]:
    """Raises KeyNotFound."""
    if not (yield "SELECT 1 FROM api_keys WHERE id = ?", (key_id,)):
        raise KeyNotFound(key_id)
    yield "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now, key_id)
    yield BUMP


def note_uses(uses: list[tuple[str, int]]) -> Program[None]:
    """Remember when keys were last used. No worker need hear of it."""
    yield Many(
        "UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)",
        list(uses),
    )


def _user(row: tuple[Any, ...]) -> User:
    user_id, display_name, email, canonical_id, tenant, is_admin, created_at, disabled = row
    return User(user_id, display_name, email, canonical_id, tenant, bool(is_admin), created_at, bool(disabled))


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, user_id, name, created_at, expires_at, revoked_at, readonly, prefixes, last_used_at = row
    confined = tuple(json.loads(prefixes))
    return ApiKey(key_id, user_id, name, created_at, expires_at, revoked_at, bool(readonly), confined, last_used_at)
