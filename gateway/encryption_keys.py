"""The keys that wrap data keys: got for writes and reads, kept for a while, made anew by a rotation.

A data key, one per blob, is wrapped by a key of the *ring*: one for all of SSE-S3, which the master key seals, and for
SSE-KMS one per KMS key, bucket and encryption context, which the KMS seals and opens, as AWS's S3 Bucket Keys. Under
SSE-C the customer's own key wraps it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.bucket_configs import ENCRYPTION
from gateway.catalog import encryption as verbs
from gateway.catalog.base import Catalog
from gateway.catalog.encryption import RingKey, Wrapped
from gateway.encryption import (
    BY_SERVER,
    SSE_C,
    SSE_KMS,
    BucketEncryption,
    CustomerKey,
    Encryption,
    Wanted,
    kms_context,
    kms_domain,
)
from gateway.errors import ContentUnavailable, CustomerKeyNeeded, GatewayError, KmsError, KmsKeyNotFound
from gateway.kms.base import Kms
from gateway.kms.local import Seals
from gateway.sealing import Tampered, WrappingKey, new_key
from gateway.types import Bucket, Seal

log = logging.getLogger("nexus.encryption")

K = TypeVar("K")
V = TypeVar("V")

S3, KMS = "s3", "kms"
_PURPOSE = b"encryption-ring"
BATCH = 500
MAX_CACHED = 10_000
IN_USE_SECONDS = 60.0
"""How long a worker takes a key for the one in use: much less than a retired one is kept."""
TURNS = 256
"""Locks that let one caller at a time ask for a key, and the others find what it got."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where encrypted content of a bucket goes: a part of its scope, and the key that wraps its data keys."""

    name: str
    key: WrappingKey
    encryption: Encryption
    bucket: str

    def scope(self, base: str) -> str:
        return f"{base}.{self.name}"


@dataclass(slots=True)
class Rotation:
    """What a rotation did: ``rewrapped`` data keys; ``remaining`` are still wrapped by retired keys."""

    rewrapped: int = 0
    remaining: int = 0
    problems: list[str] = field(default_factory=list)


class EncryptionKeys:
    """The ring. ``cache_seconds`` is how long a key that a KMS opened is used without asking again."""

    def __init__(
        self,
        catalog: Catalog,
        master_key: Seals,
        kms: Kms,
        *,
        encrypts_all: bool,
        default_kms_key: str,
        cache_seconds: float,
    ) -> None:
        self._catalog = catalog
        self._master_key = master_key
        self._kms = kms
        self._server_default = Wanted(BY_SERVER) if encrypts_all else None
        self._default_kms_key = default_kms_key
        self._seconds = cache_seconds
        self._keys: dict[int, tuple[WrappingKey, float]] = {}
        self._in_use: dict[tuple[str, str, str], tuple[int, float]] = {}
        self._resolved: dict[str, tuple[str, float]] = {}
        self._turns = [asyncio.Lock() for _ in range(TURNS)]

    # -- writing

    def default_for(self, bucket: Bucket) -> Wanted | None:
        """How a bucket's new objects are encrypted that do not say: as it says, else the server; None not at all."""
        default = bucket.config(ENCRYPTION, BucketEncryption.load) if bucket.configs else None
        if default is None or not default.kind:
            return self._server_default
        if default.kind == SSE_KMS:
            return Wanted(Encryption(SSE_KMS, default.key_id, "", default.bucket_key))
        return Wanted(BY_SERVER)

    async def resolve(self, encryption: Encryption) -> Encryption:
        """SSE-KMS with the KMS's own name of the key, the default key where none was named. Raises KmsError."""
        asked = encryption.key_id or self._default_kms_key
        known = self._resolved.get(asked)
        if known is None or known[1] < time.monotonic():
            if not asked:
                raise KmsKeyNotFound("", "No KMS key was named, and this server has no default one")
            known = (await self._kms.resolve(asked), time.monotonic() + self._seconds)
            _put(self._resolved, asked, known)
        return Encryption(SSE_KMS, known[0], encryption.context, encryption.bucket_key)

    async def for_writing(self, bucket: str, scope: str, wanted: Wanted) -> Domain:
        """Where and under what key new content goes. Raises KmsError, ContentUnavailable."""
        encryption = wanted.encryption
        if encryption.kind == SSE_C:
            if wanted.customer is None:
                raise CustomerKeyNeeded
            key = _customer_key(wanted.customer)
            return Domain("c" + wanted.customer.domain(scope), key, encryption, bucket)
        if encryption.kind == SSE_KMS:
            encryption = await self.resolve(encryption)
            context = json.dumps(kms_context(bucket, encryption.context), sort_keys=True)
            name = "k" + kms_domain(encryption.key_id, context)
            return Domain(name, await self._using(KMS, encryption.key_id, context), encryption, bucket)
        return Domain("s3", await self._using(S3, "", ""), encryption, bucket)

    async def renew(self, domain: Domain) -> Domain:
        """The same domain, under the key that is in use now."""
        if domain.key.ring_id is None:
            return domain
        self._in_use.clear()
        wanted = Wanted(domain.encryption)
        again = await self.for_writing(domain.bucket, "", wanted)
        return Domain(domain.name, again.key, domain.encryption, domain.bucket)

    async def _using(self, kind: str, key_id: str, context: str) -> WrappingKey:
        """The key of the ring that wraps now, made where there is none."""
        slot = (kind, key_id, context)
        known = self._in_use.get(slot)
        if known is None or known[1] < time.monotonic():
            async with self._turns[hash(slot) % TURNS]:
                found = await self._catalog.read(verbs.key_in_use, *slot)
                if found is None:
                    found = await self._make(kind, key_id, context, None)
                known = (found.id, time.monotonic() + IN_USE_SECONDS)
                _put(self._in_use, slot, known)
        return await self._key(known[0])

    async def _make(self, kind: str, key_id: str, context: str, instead_of: int | None) -> RingKey:
        if kind == KMS:
            sealed = (await self._kms.new_key(key_id, json.loads(context))).sealed
        else:
            sealed = self._master_key.seal(new_key(), _PURPOSE)
        new = RingKey(0, kind, key_id, context, sealed, time.time_ns() // 1_000_000, None)
        return await self._catalog.write(verbs.put_in_use, new, instead_of)

    # -- reading

    async def data_key(self, scope: str, seal: Seal | None, customer: CustomerKey | None) -> bytes:
        """The key to a blob. Raises KmsError, ContentUnavailable, CustomerKeyNeeded."""
        if seal is None or seal.key is None:
            raise ContentUnavailable("no key is recorded for an encrypted blob")
        if seal.ring_key is not None:
            key = await self._key(seal.ring_key)
        elif customer is not None:
            key = _customer_key(customer)
        else:
            raise CustomerKeyNeeded
        try:
            return key.unwrap(seal.key, scope)
        except Tampered as error:
            raise ContentUnavailable(f"the key to a blob: {error}") from error

    async def renewed(self, seal: Seal, scope: str) -> Seal:
        """A data key as the key in use wraps it; a customer's stays. Raises as ``data_key``."""
        if seal.ring_key is None:
            return seal
        found = await self._catalog.read(verbs.ring_key, seal.ring_key)
        if found is None:
            raise ContentUnavailable(f"encryption key {seal.ring_key} is lost")
        if found.retired_at is None:
            return seal
        data_key = await self.data_key(scope, seal, None)
        self._in_use.pop((found.kind, found.key_id, found.context), None)
        key = await self._using(found.kind, found.key_id, found.context)
        return seal._replace(key=key.wrap(data_key, scope), ring_key=key.ring_id)

    async def _key(self, ring_id: int) -> WrappingKey:
        """A key of the ring, from memory while it may be used without asking the KMS."""
        known = self._keys.get(ring_id)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        async with self._turns[ring_id % TURNS]:
            known = self._keys.get(ring_id)
            if known is None or known[1] <= time.monotonic():
                known = await self._load(ring_id)
                _put(self._keys, ring_id, known)
        return known[0]

    async def _load(self, ring_id: int) -> tuple[WrappingKey, float]:
        found = await self._catalog.read(verbs.ring_key, ring_id)
        if found is None:
            raise ContentUnavailable(f"encryption key {ring_id} is lost")
        if found.kind == KMS:
            key = await self._kms.open(found.key_id, found.sealed, json.loads(found.context))
            return WrappingKey(key, ring_id), time.monotonic() + self._seconds
        try:
            key = self._master_key.open(found.sealed, _PURPOSE)
        except GatewayError as error:
            log.error("encryption key %d cannot be opened: %s", ring_id, error)
            raise ContentUnavailable(f"encryption key {ring_id} cannot be opened: {error}") from error
        return WrappingKey(key, ring_id), float("inf")

    # -- rotation

    async def ring(self) -> list[tuple[RingKey, int]]:
        """Every key of the ring, sealed, and how many data keys it wraps."""
        return await self._catalog.scan(verbs.ring)

    async def begin_rotation(self) -> list[str]:
        """Put a new key in use in place of each one that wraps anything; what could not be replaced."""
        problems = []
        for key, count in await self.ring():
            if key.retired_at is not None:
                continue
            try:
                if count:
                    await self._make(key.kind, key.key_id, key.context, key.id)
                else:  # the next write makes one
                    await self._catalog.write(verbs.retire, key.id, time.time_ns() // 1_000_000)
            except KmsError as error:
                problems.append(str(error))
        self._in_use.clear()
        return problems

    async def rewrap(self, seconds: float, spare_seconds: float) -> Rotation:
        """Wrap data keys anew that retired keys wrap, for at most so long; what is left can be done any time.

        A retired key that wraps nothing is destroyed, but not before ``spare_seconds`` passed: a reader may hold a data
        key that it wraps.
        """
        deadline = time.monotonic() + seconds
        done = Rotation()
        for key, count in await self.ring():
            if key.retired_at is None or not count:
                continue
            try:
                await self._rewrap_all(key, deadline, done)
            except (KmsError, ContentUnavailable) as error:
                done.problems.append(str(error))
        await self._catalog.write(verbs.drop_unused, int((time.time() - spare_seconds) * 1000))
        done.remaining = sum(count for key, count in await self.ring() if key.retired_at is not None)
        return done

    async def _rewrap_all(self, retired: RingKey, deadline: float, done: Rotation) -> None:
        old = await self._key(retired.id)
        self._in_use.pop((retired.kind, retired.key_id, retired.context), None)
        new = await self._using(retired.kind, retired.key_id, retired.context)
        assert new.ring_id is not None
        after = (-1, "", b"")
        while time.monotonic() < deadline:
            batch = await self._catalog.scan(verbs.wrapped_by, retired.id, after, BATCH)
            if not batch:
                return
            after = batch[-1][:3]
            changes = _rewrapped(batch, old, new, done.problems)
            await self._catalog.write(verbs.rewrap, changes, new.ring_id)
            done.rewrapped += len(changes)

    async def close(self) -> None:
        await self._kms.close()


def _rewrapped(
    batch: list[Wrapped], old: WrappingKey, new: WrappingKey, problems: list[str]
) -> list[tuple[Wrapped, bytes]]:
    changes = []
    for each in batch:
        try:
            changes.append((each, new.wrap(old.unwrap(each.sealed_key, each.scope), each.scope)))
        except Tampered as error:  # a blob that is lost already must not keep the others under the retired key
            problems.append(f"blob {each.digest.hex()} in store {each.store_id}: {error}")
    return changes


def _customer_key(customer: CustomerKey) -> WrappingKey:
    return WrappingKey(customer.wrapping_key())


def _put(cache: dict[K, V], key: K, value: V) -> None:
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = value
