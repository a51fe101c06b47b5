from __future__ import annotations
import secrets, time
from gateway.auth.credentials import MasterKey, NewKey, mint
from gateway.catalog import identity as verbs
from gateway.errors import UserNotFound
from gateway.types import ApiKey, User
class Users:
    def __init__(self, catalog, master_key): self._catalog=catalog; self._master=master_key
    async def create_user(self, name, display_name="", email="", tenant="default", is_admin=False):
        return await self._catalog.write(verbs.create_user, User(name, display_name or name, email, secrets.token_hex(32), tenant, is_admin, time.time_ns()//1_000_000))
    async def get_user(self, name):
        u=await self._catalog.read(verbs.find_user,name)
        if u is None: raise UserNotFound(name)
        return u
    async def create_key(self, user_id, name=""):
        k=mint()
        await self._catalog.write(verbs.create_key, ApiKey(k.id,user_id,name,time.time_ns()//1_000_000,None,None), k.verifier_hash, self._master.seal(k.secret.encode(), b"api-key:"+k.id.encode()))
        return k
