"""Users, tenants and their API keys."""

from __future__ import annotations

import re
import secrets
import time

from gateway.auth.credentials import MasterKey, NewKey, mint
from gateway.catalog import identity as verbs
from gateway.catalog.base import Catalog
from gateway.errors import BadRequest, KeyNotFound, UserNotFound
from gateway.types import ApiKey, User

DEFAULT_TENANT = "default"

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def is_user_id(text: str) -> bool:
    return _USER.fullmatch(text) is not None


def check_tenant(tenant: str) -> None:
    """Raises BadRequest for what is no name of a tenant."""
    if not _TENANT.fullmatch(tenant):
        raise BadRequest("a tenant's name has 1 to 63 lower-case letters, digits and -", "tenant", tenant)


def secret_context(key_id: str) -> bytes:
    """What a key's sealed secret is bound to."""
    return b"api-key:" + key_id.encode()


class Users:
    """Who may call. Only admins come here: the doors see to that."""

    def __init__(self, catalog: Catalog, master_key: MasterKey) -> None:
        self._catalog = catalog
        self._master_key = master_key

    async def create_user(
        self,
        user_id: str,
        display_name: str = "",
        email: str = "",
        tenant: str = DEFAULT_TENANT,
        is_admin: bool = False,
    ) -> User:
        """Make a user; its tenant is made when first named. Raises UserExists, BadRequest."""
        if not is_user_id(user_id):
            raise BadRequest("a user's name has 1 to 64 letters, digits and . _ @ -", "user", user_id)
        check_tenant(tenant)
        if any(len(text) > 256 or not text.isprintable() for text in (display_name, email)):
            raise BadRequest("names and addresses are printable and have at most 256 characters")
        user = User(user_id, display_name or user_id, email, secrets.token_hex(32), tenant, is_admin, _now())
        return await self._catalog.write(verbs.create_user, user)

    async def get_user(self, user_id: str) -> User:
        """Raises UserNotFound."""
        user = await self._catalog.read(verbs.find_user, user_id)
        if user is None:
            raise UserNotFound(user_id)
        return user

    async def list_users(self) -> list[User]:
        return await self._catalog.scan(verbs.list_users)

    async def delete_user(self, user_id: str) -> None:
        """Remove a user and its keys. Raises UserNotFound, BadRequest for the last admin and for owners of buckets."""
        await self._catalog.write(verbs.delete_user, user_id)

    async def create_key(
        self,
        user_id: str,
        name: str = "",
        expires_at: int | None = None,
        readonly: bool = False,
        prefixes: tuple[str, ...] = (),
    ) -> NewKey:
        """Mint a key for a user; its secret is seen here only. Raises UserNotFound, BadRequest."""
        if any(not prefix.startswith("/") for prefix in prefixes):
            raise BadRequest("a prefix is a path and starts with '/'", "prefix", ", ".join(prefixes))
        new = mint()
        key = ApiKey(new.id, user_id, name, _now(), expires_at, None, readonly, prefixes)
        sealed = self._master_key.seal(new.secret.encode(), secret_context(new.id))
        await self._catalog.write(verbs.create_key, key, new.verifier_hash, sealed)
        return new

    async def list_keys(self, user_id: str | None = None) -> list[ApiKey]:
        return await self._catalog.scan(verbs.list_keys, user_id)

    async def get_key(self, key_id: str) -> ApiKey:
        """Raises KeyNotFound."""
        found = await self._catalog.read(verbs.find_key, key_id)
        if found is None:
            raise KeyNotFound(key_id)
        return found.key

    async def update_key(self, key_id: str, expires_at: int | None, is_admin: bool | None, name: str | None) -> None:
        """Change what is not None of a key, or whether its user is an admin.

        Raises KeyNotFound, and BadRequest where nobody would be left to administer.
        """
        await self._catalog.write(verbs.update_key, key_id, expires_at, is_admin, name, _now())

    async def revoke_key(self, key_id: str) -> None:
        """End both uses of a key at once, on every worker. Raises KeyNotFound."""
        await self._catalog.write(verbs.revoke_key, key_id, _now())


def _now() -> int:
    return time.time_ns() // 1_000_000
