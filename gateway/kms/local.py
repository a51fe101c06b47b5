"""The built-in key management service: its keys are in the catalog, sealed by the master key."""

from __future__ import annotations

import json
import re
import time
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.catalog import encryption as verbs
from gateway.catalog.base import Catalog
from gateway.catalog.encryption import KmsKey
from gateway.errors import BadRequest, GatewayError, KmsDenied, KmsKeyDisabled, KmsKeyExists, KmsKeyNotFound
from gateway.kms.base import Context, NewKey
from gateway.sealing import new_key

_NONCE = 12
_NAME = re.compile(r"[A-Za-z0-9:/_.-]{1,256}")


class Seals(Protocol):
    """What the master key does."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes: ...

    def open(self, sealed: bytes, context: bytes) -> bytes: ...


class LocalKms:
    """A Kms. The default key is made when it is first asked for; others are made by an admin."""

    def __init__(self, catalog: Catalog, master_key: Seals, default_key: str) -> None:
        self._catalog = catalog
        self._master_key = master_key
        self._default_key = default_key

    async def resolve(self, key_id: str) -> str:
        found = await self._catalog.read(verbs.kms_key, key_id)
        if found is None:
            if not key_id or key_id != self._default_key:
                raise KmsKeyNotFound(key_id, f"Invalid keyId '{key_id}'")
            await self._make_default()
        elif found.disabled_at is not None:
            raise KmsKeyDisabled(key_id, f"{key_id} is disabled.")
        return key_id

    async def _make_default(self) -> None:
        try:
            await self.create(self._default_key)
        except KmsKeyExists:
            return

    async def create(self, key_id: str) -> None:
        """Make a key. Raises KmsKeyExists, BadRequest."""
        if not _NAME.fullmatch(key_id):
            raise BadRequest("a key's name has 1 to 256 letters, digits and any of :/_.-", "key_id", key_id)
        sealed = self._master_key.seal(new_key(), _purpose(key_id))
        await self._catalog.write(verbs.add_kms_key, key_id, sealed, time.time_ns() // 1_000_000)

    async def list(self) -> list[KmsKey]:
        """Every key, sealed."""
        return await self._catalog.read(verbs.kms_keys)

    async def set_enabled(self, key_id: str, enabled: bool) -> None:
        """Raises KmsKeyNotFound."""
        now = None if enabled else time.time_ns() // 1_000_000
        await self._catalog.write(verbs.set_kms_key_state, key_id, now)

    async def new_key(self, key_id: str, context: Context) -> NewKey:
        cipher, key, nonce = await self._cipher(key_id), new_key(), new_key()[:_NONCE]
        return NewKey(key, nonce + cipher.encrypt(nonce, key, _bound(context)))

    async def open(self, key_id: str, sealed: bytes, context: Context) -> bytes:
        cipher = await self._cipher(key_id)
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(context))
        except (InvalidTag, ValueError) as error:
            raise KmsDenied(key_id, "what it sealed was altered, or belongs to another context") from error

    async def _cipher(self, key_id: str) -> AESGCM:
        found = await self._catalog.read(verbs.kms_key, key_id)
        if found is None:
            raise KmsKeyNotFound(key_id, f"Key '{key_id}' does not exist")
        if found.disabled_at is not None:
            raise KmsKeyDisabled(key_id, f"{key_id} is disabled.")
        try:
            return AESGCM(self._master_key.open(found.sealed, _purpose(key_id)))
        except GatewayError as error:
            raise KmsDenied(key_id, "the master key does not open it") from error

    async def close(self) -> None:
        return


def _purpose(key_id: str) -> bytes:
    return b"kms-key:" + key_id.encode()


def _bound(context: Context) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()
