"""Users as grantees of an ACL: found by canonical id or e-mail, of whatever tenant."""

from __future__ import annotations

from gateway.catalog import identity
from gateway.catalog.base import Catalog
from gateway.types import User


async def user_of_canonical_id(catalog: Catalog, canonical_id: str) -> User | None:
    return await catalog.read(identity.find_user_by_canonical_id, canonical_id)


async def users_of_email(catalog: Catalog, email: str) -> list[User]:
    """Users of an address: usually one, and at most two are told."""
    return await catalog.read(identity.find_users_by_email, email)
