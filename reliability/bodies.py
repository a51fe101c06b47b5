"""Bodies that describe themselves: a torn or mixed one is known without knowing what it should have been."""

from __future__ import annotations

import hashlib

_HEAD = 40


def body_of(seed: str, size: int) -> bytes:
    """``size`` bytes that only this seed makes: digest and length of what follows, then that. Tiny ones are bare."""
    if size < _HEAD:
        return b"" if size == 0 else hashlib.shake_128(seed.encode()).digest(_HEAD - 1)[:size]
    payload = hashlib.shake_128(seed.encode()).digest(size - _HEAD)
    return hashlib.sha256(payload).digest() + len(payload).to_bytes(8, "big") + payload


def is_whole(content: bytes) -> bool:
    """Whether content is made of whole bodies, one after the other, as parts are put together."""
    at = 0
    while len(content) - at >= _HEAD:
        size = int.from_bytes(content[at + 32 : at + _HEAD], "big")
        payload = content[at + _HEAD : at + _HEAD + size]
        if len(payload) != size or hashlib.sha256(payload).digest() != content[at : at + 32]:
            return False
        at += _HEAD + size
    # What is shorter than a head is a bare body, which stands alone.
    return at == len(content) or at == 0
