"""Which key is whose: the one look-up behind both doors."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace

from gateway.auth.credentials import MasterKey, hash_secret, mint, parse_api_key, verify_secret
from gateway.auth.sigv4 import Credential
from gateway.catalog import identity
from gateway.catalog.base import Catalog
from gateway.generation import Generation
from gateway.identity import secret_context
from gateway.types import Principal

MAX_CACHED = 10_000
SPELL_SECONDS = 300.0
"""How exactly it is known when a key was last used."""
FLUSH_SECONDS = 10.0

log = logging.getLogger("nexus.keys")

_NOBODY = hash_secret("")


@dataclass(frozen=True, slots=True)
class _Known:
    credential: Credential
    verifier: bytes
    expires_at: int | None


class Uses:
    """When keys were last used, for the catalog to be told now and then: no request waits for that."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}
        """When each was last noted: within ``SPELL_SECONDS`` it need not be again."""
        self._new: dict[str, float] = {}

    def note(self, key_id: str, now: float) -> None:
        self.told[key_id] = self._new[key_id] = now

    def take(self) -> list[tuple[str, int]]:
        """What is new: (key, Unix milliseconds)."""
        new, self._new = self._new, {}
        if len(self.told) > MAX_CACHED:
            self.told.clear()
        return [(key_id, int(now * 1000)) for key_id, now in new.items()]


class KeyRing:
    """Keys by id, cached for one generation of the catalog: a revoked key ends at once, on every worker."""

    def __init__(self, catalog: Catalog, generation: Generation, master_key: MasterKey) -> None:
        self._catalog = catalog
        self._generation = generation
        self._master_key = master_key
        self._cached_at = 0
        self._known: dict[str, _Known] = {}
        self._uses = Uses()
        self._lent: dict[str, _Known] = {}

    async def find(self, access_key_id: str) -> Credential | None:
        """What an S3 access key stands for; None when it is unknown, revoked, expired or its user disabled."""
        known = await self._look_up(access_key_id)
        return None if known is None else known.credential

    def at_hand(self, access_key_id: str) -> Credential | None:
        """The same, where nothing need be awaited for it; None does not mean that there is no such key."""
        known = self._known.get(access_key_id)
        if known is None or known.expires_at is not None or self._generation.at_hand != self._cached_at:
            return None
        return known.credential

    def share_of(self, key_id: str) -> str | None:
        """Who a key's requests are counted with, where it was used lately; nothing is proven by that."""
        known = self._known.get(key_id)
        return known.credential.principal.share if known else None

    def lend(self, principal: Principal) -> str:
        """An API key for a principal that only this process knows, as long as it lives."""
        new = mint()
        known = _Known(Credential(new.secret, replace(principal, key_id=new.id)), new.verifier_hash, None)
        self._lent[new.id] = known
        return new.api_key

    def used(self, principal: Principal) -> None:
        """Note that a key was used: its signature or its secret was right."""
        now = time.time()
        if now - self._uses.told.get(principal.key_id, 0.0) >= SPELL_SECONDS:
            self._uses.note(principal.key_id, now)

    async def flush_uses(self) -> None:
        """Tell the catalog what was noted."""
        uses = self._uses.take()
        if uses:
            await self._catalog.write(identity.note_uses, uses)

    async def keep_uses(self) -> None:
        """Tell it now and then, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush_uses()
            except Exception:  # a full disk, say: what is lost is a time
                log.warning("when keys were last used could not be kept", exc_info=True)

    async def bearer(self, api_key: str) -> Principal | None:
        """Who an API key belongs to; None for what ``find`` would not know and for a wrong secret."""
        parsed = parse_api_key(api_key)
        known = await self._look_up(parsed[0]) if parsed else None
        # An unknown key takes as long as a wrong secret.
        matches = verify_secret(parsed[1] if parsed else "-", known.verifier if known else _NOBODY)
        if not (known and matches):
            return None
        self.used(known.credential.principal)
        return known.credential.principal

    async def _look_up(self, key_id: str) -> _Known | None:
        generation = self._generation.at_hand
        if generation is None:
            generation = await self._generation.current()
        if generation != self._cached_at:
            self._known.clear()
            self._cached_at = generation
        known = self._known.get(key_id) or self._lent.get(key_id)
        if known is None:
            known = await self._load(key_id)
        if known is None or (known.expires_at is not None and known.expires_at <= time.time() * 1000):
            return None
        return known

    async def _load(self, key_id: str) -> _Known | None:
        row = await self._catalog.read(identity.find_key, key_id)
        if row is None or row.key.revoked_at is not None or row.user.disabled:
            return None
        key = row.key
        principal = await self._catalog.read(identity.principal_of, row.user, key)
        secret = self._master_key.open(row.sealed_secret, secret_context(key.id)).decode()
        known = _Known(Credential(secret, principal), row.verifier, key.expires_at)
        if len(self._known) < MAX_CACHED:
            self._known[key_id] = known
        return known
