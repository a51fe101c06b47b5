"""API keys and the master key that seals what must be kept secret.

An API key ``nxk_<id>_<secret>`` is a bearer token and an S3 pair at once: the id is the access key, the secret is the
secret key. Bearer calls need only a hash of the secret; SigV4 needs the secret itself, which is kept sealed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import GatewayError
from gateway.folders import sync_folder

ID_ALPHABET = string.ascii_uppercase + "234567"
SECRET_ALPHABET = string.ascii_letters + string.digits
ID_PREFIX = "NX"
ID_LENGTH = 20
SECRET_LENGTH = 40

_API_KEY = re.compile(r"nxk_([A-Z0-9]{20})_([A-Za-z0-9]{40})")
_HASH_DOMAIN = b"nexus api key\0"
_KEY_ID_DOMAIN = b"nexus master key id\0"
_VERSION = 1
_KEY_ID_SIZE = 4
_NONCE_SIZE = 12
_HEAD_SIZE = 1 + _KEY_ID_SIZE + _NONCE_SIZE


class MasterKeyError(GatewayError):
    """The master key is missing, malformed, readable by others, or not the one that sealed something."""


# -- API keys


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just minted: the only moment at which its secret is seen."""

    id: str
    secret: str = field(repr=False)
    verifier_hash: bytes = field(repr=False)

    @property
    def api_key(self) -> str:
        return f"nxk_{self.id}_{self.secret}"

    @property
    def access_key_id(self) -> str:
        return self.id


def mint() -> NewKey:
    """A new key: 90 random bits name it, 238 are its secret."""
    key_id = ID_PREFIX + _random(ID_ALPHABET, ID_LENGTH - len(ID_PREFIX))
    secret = _random(SECRET_ALPHABET, SECRET_LENGTH)
    return NewKey(key_id, secret, hash_secret(secret))


def parse_api_key(text: str) -> tuple[str, str] | None:
    """Id and secret of an API key, None when it does not look like one."""
    match = _API_KEY.fullmatch(text)
    return (match[1], match[2]) if match else None


def hash_secret(secret: str) -> bytes:
    """What is kept to verify a secret. It is random and long, so one fast hash hides it."""
    return hashlib.sha256(_HASH_DOMAIN + secret.encode()).digest()


def verify_secret(secret: str, verifier_hash: bytes) -> bool:
    """Whether a secret is the one that was hashed, in constant time."""
    return hmac.compare_digest(hash_secret(secret), verifier_hash)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


# -- the master key


class MasterKey:
    """Seals small secrets with AES-256-GCM. ``former`` keys still open what they sealed, so that keys can rotate."""

    def __init__(self, key: bytes, former: Sequence[bytes] = ()) -> None:
        if any(len(each) != 32 for each in (key, *former)):
            raise MasterKeyError("a master key has 32 bytes")
        self._id = _key_id(key)
        self._ciphers = {_key_id(each): AESGCM(each) for each in (key, *former)}

    def __repr__(self) -> str:
        return f"MasterKey(id={self._id.hex()})"

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """``plaintext`` encrypted and bound to ``context``, without which it does not open."""
        nonce = secrets.token_bytes(_NONCE_SIZE)
        head = bytes([_VERSION]) + self._id + nonce
        return head + self._ciphers[self._id].encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed. Raises MasterKeyError when it was altered, or sealed by another key or for another use."""
        if len(sealed) <= _HEAD_SIZE or sealed[0] != _VERSION:
            raise MasterKeyError("not something sealed")
        cipher = self._ciphers.get(sealed[1 : 1 + _KEY_ID_SIZE])
        if cipher is None:
            raise MasterKeyError("sealed with a master key that is not here")
        try:
            return cipher.decrypt(sealed[1 + _KEY_ID_SIZE : _HEAD_SIZE], sealed[_HEAD_SIZE:], context)
        except InvalidTag as error:
            raise MasterKeyError("sealed content was altered, or belongs elsewhere") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether the present key sealed this; what a former key sealed should be sealed anew."""
        return sealed[1 : 1 + _KEY_ID_SIZE] == self._id


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(_KEY_ID_DOMAIN + key).digest()[:_KEY_ID_SIZE]


def load_master_key(env_value: str | None, path: Path) -> MasterKey:
    """The master key from ``NEXUS_MASTER_KEY``, else from a file, which is made when it is missing.

    Either holds 32 bytes in hex or base64; several, separated by commas or lines, are the present key and former
    ones. Raises MasterKeyError when they are malformed or when others than the owner can read the file.
    """
    if env_value is not None and env_value.strip():
        return _parse_keys(env_value, "NEXUS_MASTER_KEY")
    if not path.exists():
        _create(path)
    return _parse_keys(_read_private(path), str(path))


def _parse_keys(text: str, source: str) -> MasterKey:
    try:
        keys = [_parse_key(word) for word in text.replace(",", " ").split()]
    except (ValueError, binascii.Error):
        keys = []
    if not keys or any(len(key) != 32 for key in keys):
        raise MasterKeyError(f"{source} is not a key of 32 bytes in hex or base64")
    return MasterKey(keys[0], keys[1:])


def _parse_key(word: str) -> bytes:
    if len(word) == 64:
        return bytes.fromhex(word)
    standard = word.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


def _read_private(path: Path) -> str:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise MasterKeyError(f"{path} must be a file that only its owner can read (mode 0600)")
        return file.read(4096).decode("ascii", "replace")


def _create(path: Path) -> None:
    """Make the file with a new key, whole or not at all; of several that try at once, one wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
    sync_folder(path.parent)
