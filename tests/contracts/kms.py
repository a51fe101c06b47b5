"""What every key management service promises."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import KmsDenied, KmsError, KmsKeyNotFound
from gateway.kms.base import Kms

CONTEXT = {"aws:s3:arn": "arn:aws:s3:::bucket", "team": "ä"}


class KmsContract:
    """A subclass gives ``kms``, and ``key``: the name of a key that it has."""

    key = "payroll"

    async def test_what_it_sealed_opens_to_the_same_context(self, kms: Kms) -> None:
        name = await kms.resolve(self.key)
        assert await kms.resolve(name) == name
        made = await kms.new_key(name, CONTEXT)
        assert len(made.key) == 32 and made.key not in made.sealed
        assert await kms.open(name, made.sealed, dict(reversed(CONTEXT.items()))) == made.key
        for other in ({}, {**CONTEXT, "team": "b"}, {**CONTEXT, "more": ""}):
            with pytest.raises(KmsDenied):
                await kms.open(name, made.sealed, other)

    async def test_every_key_is_new(self, kms: Kms) -> None:
        name = await kms.resolve(self.key)
        made = await asyncio.gather(*(kms.new_key(name, {}) for _ in range(8)))
        assert len({each.key for each in made}) == 8
        assert [await kms.open(name, each.sealed, {}) for each in made] == [each.key for each in made]

    async def test_what_was_altered_does_not_open(self, kms: Kms) -> None:
        name = await kms.resolve(self.key)
        sealed = bytearray((await kms.new_key(name, {})).sealed)
        sealed[len(sealed) // 2] ^= 1
        for altered in (bytes(sealed), bytes(sealed[:-1]), b""):
            with pytest.raises(KmsError):
                await kms.open(name, altered, {})

    async def test_a_key_that_is_not_there(self, kms: Kms) -> None:
        for missing in ("nobody", "a/../payroll", ".."):
            with pytest.raises(KmsKeyNotFound) as caught:
                await kms.resolve(missing)
            assert caught.value.key_id == missing

    async def test_errors_tell_no_key(self, kms: Kms) -> None:
        name = await kms.resolve(self.key)
        made = await kms.new_key(name, {})
        with pytest.raises(KmsError) as caught:
            await kms.open(name, made.sealed, {"another": "context"})
        assert made.key.hex() not in str(caught.value) and str(made.key) not in str(caught.value)
