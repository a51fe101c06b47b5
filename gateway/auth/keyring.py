"""Which key is whose: the one look-up behind both doors."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gateway.auth.credentials import MasterKey, hash_secret, parse_api_key, verify_secret
from gateway.auth.sigv4 import Credential
from gateway.catalog import identity
from gateway.catalog.base import Catalog
from gateway.generation import Generation
from gateway.identity import secret_context
from gateway.types import Principal

MAX_CACHED = 10_000

_NOBODY = hash_secret("")


@dataclass(frozen=True, slots=True)
class _Known:
    credential: Credential
    verifier: bytes
    expires_at: int | None


class KeyRing:
    """Keys by id, cached for one generation of the catalog: a revoked key ends at once, on every worker."""

    def __init__(self, catalog: Catalog, generation: Generation, master_key: MasterKey) -> None:
        self._catalog = catalog
        self._generation = generation
        self._master_key = master_key
        self._cached_at = 0
        self._known: dict[str, _Known] = {}

    async def find(self, access_key_id: str) -> Credential | None:
        """What an S3 access key stands for; None when it is unknown, revoked, expired or its user disabled."""
        known = await self._look_up(access_key_id)
        return known.credential if known else None

    async def bearer(self, api_key: str) -> Principal | None:
        """Who an API key belongs to; None for what ``find`` would not know and for a wrong secret."""
        parsed = parse_api_key(api_key)
        known = await self._look_up(parsed[0]) if parsed else None
        # An unknown key takes as long as a wrong secret.
        matches = verify_secret(parsed[1] if parsed else "-", known.verifier if known else _NOBODY)
        return known.credential.principal if known and matches else None

    async def _look_up(self, key_id: str) -> _Known | None:
        generation = await self._generation.current()
        if generation != self._cached_at:
            self._known.clear()
            self._cached_at = generation
        known = self._known.get(key_id)
        if known is None:
            known = await self._load(key_id)
        if known is None or (known.expires_at is not None and known.expires_at <= time.time() * 1000):
            return None
        return known

    async def _load(self, key_id: str) -> _Known | None:
        row = await self._catalog.read(identity.find_key, key_id)
        if row is None or row.key.revoked_at is not None or row.user.disabled:
            return None
        key, user = row.key, row.user
        principal = Principal(
            user.id,
            user.display_name,
            user.canonical_id,
            user.tenant,
            user.is_admin,
            key.id,
            key.readonly,
            key.prefixes,
        )
        secret = self._master_key.open(row.sealed_secret, secret_context(key.id)).decode()
        known = _Known(Credential(secret, principal), row.verifier, key.expires_at)
        if len(self._known) < MAX_CACHED:
            self._known[key_id] = known
        return known
