"""HashiCorp Vault's transit engine, and what speaks its API, as the key management service.

https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import httpx

from gateway.errors import KmsDenied, KmsKeyNotFound, KmsUnavailable
from gateway.kms.base import Context, NewKey
from gateway.sealing import new_key

SECONDS = 10.0


class VaultKms:
    """A Kms. Keys are made here and sealed there; the context is the associated data of an AEAD key."""

    def __init__(self, url: str, token: str, mount: str = "transit") -> None:
        self._base = f"{url.rstrip('/')}/v1/{mount.strip('/')}"
        self._client = httpx.AsyncClient(headers={"X-Vault-Token": token}, timeout=SECONDS)

    async def resolve(self, key_id: str) -> str:
        await self._call("GET", "keys", key_id)
        return key_id

    async def new_key(self, key_id: str, context: Context) -> NewKey:
        key = new_key()
        body = {"plaintext": base64.b64encode(key).decode(), "associated_data": _bound(context)}
        answer = await self._call("POST", "encrypt", key_id, body)
        return NewKey(key, str(answer["ciphertext"]).encode())

    async def open(self, key_id: str, sealed: bytes, context: Context) -> bytes:
        body = {"ciphertext": sealed.decode(), "associated_data": _bound(context)}
        answer = await self._call("POST", "decrypt", key_id, body)
        return base64.b64decode(answer["plaintext"])

    async def _call(self, method: str, verb: str, key_id: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        if not key_id or key_id in (".", ".."):
            raise KmsKeyNotFound(key_id, f"Invalid keyId '{key_id}'")
        url = f"{self._base}/{verb}/{quote(key_id, safe='')}"
        try:
            answer = await self._client.request(method, url, json=body)
        except httpx.HTTPError as error:
            raise KmsUnavailable(key_id, f"Vault does not answer: {type(error).__name__}") from error
        if answer.status_code == 404 or (answer.status_code == 400 and "not found" in answer.text):
            raise KmsKeyNotFound(key_id, f"Invalid keyId '{key_id}'")
        if answer.status_code in (400, 403):
            raise KmsDenied(key_id, f"Vault answered {answer.status_code}")
        if answer.is_error:
            raise KmsUnavailable(key_id, f"Vault answered {answer.status_code}")
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def close(self) -> None:
        await self._client.aclose()


def _bound(context: Context) -> str:
    return base64.b64encode(json.dumps(dict(context), sort_keys=True).encode()).decode()
