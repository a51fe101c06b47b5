from __future__ import annotations
from gateway.auth.sigv4 import Credential
from gateway.catalog import config, identity as verbs
from gateway.types import Principal


class KeyRing:
    def __init__(self, catalog, master_key, generation):
        self._g = generation
        self._c = catalog
        self._m = master_key
        self._gen = 0
        self._k = {}

    async def find(self, key_id):
        g = await self._g.current()
        if g != self._gen:
            self._k = {}
            self._gen = g
        f = self._k.get(key_id)
        if f is None:
            r = await self._c.read(verbs.find_key, key_id)
            if r is None or r.key.revoked_at:
                return None
            u = r.user
            f = self._k[key_id] = Credential(
                self._m.open(r.sealed_secret, b"api-key:" + key_id.encode()).decode(),
                Principal(u.id, u.display_name, u.canonical_id, u.tenant, u.is_admin, key_id),
            )
        return f
