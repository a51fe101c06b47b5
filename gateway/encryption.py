"""What encryption is to an object and to a bucket: values and rules. Ciphers are in ``gateway.sealing``.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field

from gateway.errors import CustomerKeyNeeded, CustomerKeyNotApplicable, WrongCustomerKey

SSE_S3, SSE_KMS, SSE_C = "AES256", "aws:kms", "SSE-C"
"""Who holds the key: this server, a key management service, the customer. As S3 writes them."""

_SALT = 16
_DOMAIN = b"nexus sse-c domain\0"
_WRAPPING = b"nexus sse-c wrapping key\0"
_VERIFIER = b"nexus sse-c verifier\0"


@dataclass(frozen=True, slots=True)
class Encryption:
    """How an object is encrypted, as far as its row tells: nothing secret."""

    kind: str
    key_id: str = ""
    """SSE-KMS: the key that protects it, as the KMS names it."""
    context: str = ""
    """SSE-KMS: the client's encryption context, as compact JSON with sorted keys."""
    bucket_key: bool = False
    verifier: str = ""
    """SSE-C: a salted HMAC that tells the customer's key from others, and no more."""

    @property
    def hides_md5(self) -> bool:
        """Whether the ETag must not be the MD5 of the content.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
        """
        return self.kind != SSE_S3

    def dump(self) -> str:
        if self.kind == SSE_S3:
            return SSE_S3
        return json.dumps([self.kind, self.key_id, self.context, self.bucket_key, self.verifier])


BY_SERVER = Encryption(SSE_S3)


def load(text: str | None) -> Encryption | None:
    """The encryption that a row tells of, None where nothing is encrypted."""
    if not text:
        return None
    return BY_SERVER if text == SSE_S3 else Encryption(*json.loads(text))


def dump(encryption: Encryption | None) -> str | None:
    return None if encryption is None else encryption.dump()


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A key that came with a request. It lives as long as the request and is written nowhere."""

    key: bytes = field(repr=False)
    md5: str
    """Its MD5 in base64, as the request told and answers repeat it."""

    def new_verifier(self) -> str:
        salt = secrets.token_bytes(_SALT)
        return (salt + self._digest(salt)).hex()

    def matches(self, verifier: str) -> bool:
        salted = bytes.fromhex(verifier)
        return hmac.compare_digest(salted[_SALT:], self._digest(salted[:_SALT]))

    def _digest(self, salt: bytes) -> bytes:
        return hmac.digest(self.key, _VERIFIER + salt, "sha256")

    def wrapping_key(self) -> bytes:
        """What wraps data keys; the key itself only ever makes others."""
        return hmac.digest(self.key, _WRAPPING, "sha256")

    def domain(self, scope: str) -> str:
        """What tells contents under this key from those under another, within a scope."""
        return hmac.digest(self.key, _DOMAIN + scope.encode(), "sha256").hex()[:32]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a write asks for."""

    encryption: Encryption
    customer: CustomerKey | None = None


@dataclass(frozen=True, slots=True)
class BucketEncryption:
    """What a bucket encrypts that does not say itself how, and what it takes."""

    kind: str = ""
    """Empty where it only says what it takes."""
    key_id: str = ""
    bucket_key: bool = False
    blocked: tuple[str, ...] | None = None
    """The encryption types that writes may not ask for; None where nobody ever said."""

    def dump(self) -> str:
        return json.dumps([self.kind, self.key_id, self.bucket_key, self.blocked])

    @classmethod
    def load(cls, text: str) -> BucketEncryption:
        kind, key_id, bucket_key, blocked = json.loads(text)
        return cls(kind, key_id, bucket_key, None if blocked is None else tuple(blocked))


def check_reader(encryption: Encryption | None, customer: CustomerKey | None) -> None:
    """Let only who has the customer's key learn of an object under it.

    Raises CustomerKeyNeeded, CustomerKeyNotApplicable, WrongCustomerKey.
    """
    if encryption is None or encryption.kind != SSE_C:
        if customer is not None:
            raise CustomerKeyNotApplicable
    elif customer is None:
        raise CustomerKeyNeeded
    elif not customer.matches(encryption.verifier):
        raise WrongCustomerKey


def kms_context(bucket: str, told: str) -> dict[str, str]:
    """The encryption context of a key that protects objects of a bucket: the client's, and the bucket's ARN.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
    """
    context: dict[str, str] = json.loads(told) if told else {}
    return {**context, "aws:s3:arn": f"arn:aws:s3:::{bucket}"}


def kms_domain(key_id: str, context: str) -> str:
    return hashlib.sha256(f"{key_id}\0{context}".encode()).hexdigest()[:16]
