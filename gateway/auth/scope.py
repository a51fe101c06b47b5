"""Credential scopes of Signature Version 4, and the keys that are derived for them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence

from gateway.auth.errors import AuthError

CACHED_KEYS = 4096

_ACCESS_KEY = re.compile(rb"[!-.0-~]{1,128}").fullmatch
_DAY = re.compile(rb"[0-9]{8}").fullmatch


class SigningKey:
    """A key that was derived for a scope.

    Both passes of an HMAC start with a block that depends on the key alone (RFC 2104, 4): they are begun here once.
    """

    __slots__ = ("_inner", "_outer", "raw", "secret")

    def __init__(self, secret: str, scope: bytes) -> None:
        self.secret = secret
        key = b"AWS4" + secret.encode()
        for part in scope.split(b"/"):
            key = hmac.digest(key, part, "sha256")
        self.raw = key
        padded = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))

    def sign(self, text: bytes) -> str:
        """The HMAC-SHA256 of a text, in hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


_INNER, _OUTER = (bytes(byte ^ mask for byte in range(256)) for mask in (0x36, 0x5C))


class SigningKeys:
    """Derived keys by access key and scope. A changed secret derives anew."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, bytes], SigningKey] = OrderedDict()

    def get(self, access_key: str, secret: str, scope: bytes) -> SigningKey:
        at = (access_key, scope)
        key = self._keys.get(at)
        if key is None or key.secret != secret:
            key = self._keys[at] = SigningKey(secret, scope)
            if len(self._keys) > CACHED_KEYS:
                self._keys.popitem(last=False)
        self._keys.move_to_end(at)
        return key


class Scopes:
    """Reads credentials for S3 in any of some regions; the first is the one that others are told to use."""

    def __init__(self, regions: Sequence[str]) -> None:
        self._regions = tuple(regions)
        self._tails = frozenset(f"/{region}/s3/aws4_request".encode() for region in regions)

    def split(self, credential: bytes, fault: Callable[..., AuthError]) -> tuple[str, bytes]:
        """Access key and scope of a credential, checked but for the day; ``fault`` makes the refusal."""
        access_key, _, scope = credential.partition(b"/")
        if not (_ACCESS_KEY(access_key) and _DAY(scope[:8]) and scope[8:] in self._tails):
            raise self._fault(access_key, scope, fault)
        return access_key.decode(), scope

    def _fault(self, access_key: bytes, scope: bytes, fault: Callable[..., AuthError]) -> AuthError:
        """What is wrong with a credential's scope, in S3's words."""
        parts = [part.decode("latin-1") for part in scope.split(b"/")]
        if not _ACCESS_KEY(access_key) or len(parts) != 4:
            return fault('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
        day, region, service, terminal = parts
        if not _DAY(day.encode()):
            return fault(
                f'incorrect date format "{day}". This date in the credential must be in the format "yyyyMMdd".'
            )
        if region not in self._regions:
            home = self._regions[0]
            return fault(f"the region '{region}' is wrong; expecting '{home}'", Region=home)
        if service != "s3":
            return fault(f'incorrect service "{service}". This endpoint belongs to "s3".')
        return fault(f'incorrect terminal "{terminal}". This endpoint uses "aws4_request".')
