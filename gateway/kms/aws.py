"""AWS KMS as the key management service. Credentials come from where boto3 looks for them.

https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
"""

from __future__ import annotations

import asyncio
from typing import Any

import boto3
from botocore.config import Config

from gateway.errors import KmsDenied, KmsError, KmsKeyDisabled, KmsKeyInvalid, KmsKeyNotFound, KmsUnavailable
from gateway.kms.base import Context, NewKey

_PATIENCE = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
"""A request waits for its key: rather an error that tells than a client that gives up first."""
_KINDS: dict[str, type[KmsError]] = {
    "NotFoundException": KmsKeyNotFound,
    "DisabledException": KmsKeyDisabled,
    "KMSInvalidStateException": KmsKeyInvalid,
    "AccessDeniedException": KmsDenied,
    "InvalidCiphertextException": KmsDenied,
    "IncorrectKeyException": KmsDenied,
    "InvalidKeyUsageException": KmsDenied,
    "UnrecognizedClientException": KmsDenied,
    "InvalidArnException": KmsKeyNotFound,
    "ValidationException": KmsKeyNotFound,
}


class AwsKms:
    """A Kms."""

    def __init__(self, region: str, url: str = "") -> None:
        self._region = region
        self._url = url
        self._client: Any = None

    async def resolve(self, key_id: str) -> str:
        metadata = (await self._call(key_id, "describe_key", KeyId=key_id))["KeyMetadata"]
        if metadata["KeyState"] != "Enabled":
            kind = KmsKeyDisabled if metadata["KeyState"] == "Disabled" else KmsKeyInvalid
            raise kind(key_id, f"{metadata['Arn']} is {_words(metadata['KeyState'])}.")
        return str(metadata["Arn"])

    async def new_key(self, key_id: str, context: Context) -> NewKey:
        made = await self._call(
            key_id, "generate_data_key", KeyId=key_id, KeySpec="AES_256", EncryptionContext=dict(context)
        )
        return NewKey(made["Plaintext"], made["CiphertextBlob"])

    async def open(self, key_id: str, sealed: bytes, context: Context) -> bytes:
        found = await self._call(
            key_id, "decrypt", KeyId=key_id, CiphertextBlob=sealed, EncryptionContext=dict(context)
        )
        plaintext: bytes = found["Plaintext"]
        return plaintext

    async def _call(self, key_id: str, name: str, **arguments: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self._call_blocking, key_id, name, arguments)

    def _call_blocking(self, key_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            if self._client is None:
                self._client = boto3.client(
                    "kms", region_name=self._region, endpoint_url=self._url or None, config=_PATIENCE
                )
            answer: dict[str, Any] = getattr(self._client, name)(**arguments)
            return answer
        except Exception as error:
            told = getattr(error, "response", {}).get("Error", {})
            kind = _KINDS.get(told.get("Code", ""), KmsUnavailable)
            # What AWS says names the key and no secret; what else is raised may quote anything.
            raise kind(key_id, told.get("Message") or f"AWS KMS fails: {type(error).__name__}") from None

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _words(state: str) -> str:
    """``PendingDeletion`` as AWS puts it in messages."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in state).strip()
