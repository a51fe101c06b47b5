"""The ciphers: what is sealed opens, in any pieces and any range, and nothing else does."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.base import ByteRange
from gateway.sealing import (
    SEGMENT,
    STORED_SEGMENT,
    Opener,
    Sealer,
    Tampered,
    WrappingKey,
    new_key,
    open_sealed,
    seal,
    sealed_size,
)

KEY = b"k" * 32
NEAR_SEGMENTS = st.builds(lambda count, more: max(1, count * SEGMENT + more), st.integers(0, 3), st.integers(-3, 3))
CONTENT = os.urandom(4 * SEGMENT)


@settings(deadline=None)
@given(size=NEAR_SEGMENTS, cuts=st.lists(st.integers(1, 100_000), max_size=6), data=st.data())
def test_any_range_opens_as_it_was_sealed(size: int, cuts: list[int], data: st.DataObject) -> None:
    content = CONTENT[:size]
    sealer, stored, at = Sealer(KEY), b"", 0
    for cut in [*cuts, size]:
        stored += b"".join(sealer.write(content[at : at + cut]))
        at += cut
    stored += sealer.end()
    assert stored == seal(KEY, content) and len(stored) == sealed_size(size)
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    opener, pieces = Opener(KEY, size, ByteRange(start, stop)), b""
    first, last = opener.stored_span
    assert last - first <= (stop - start) // SEGMENT * STORED_SEGMENT + 2 * STORED_SEGMENT
    step = data.draw(st.integers(1000, 200_000))
    for at in range(first, last, step):
        pieces += opener.open(stored[at : min(at + step, last)])
    assert pieces + opener.end() == content[start:stop]


@settings(deadline=None)
@given(size=NEAR_SEGMENTS, data=st.data())
def test_a_changed_bit_is_noticed_where_it_is_read(size: int, data: st.DataObject) -> None:
    stored = bytearray(seal(KEY, CONTENT[:size]))
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Tampered):
        open_sealed(KEY, size, bytes(stored))


def test_segments_cannot_be_cut_off_moved_or_taken_for_the_last() -> None:
    content = CONTENT[: 3 * SEGMENT]
    stored = seal(KEY, content)
    segments = [stored[at : at + STORED_SEGMENT] for at in range(0, len(stored), STORED_SEGMENT)]
    for forged in (b"".join(segments[:2]), b"".join([segments[1], segments[0], segments[2]]), b"", stored[:-1]):
        with pytest.raises(Tampered):
            open_sealed(KEY, len(content), forged)
    with pytest.raises(Tampered):
        open_sealed(KEY, 2 * SEGMENT, b"".join(segments[:2]))
    with pytest.raises(Tampered):
        open_sealed(b"x" * 32, len(content), stored)


def test_a_data_key_is_bound_to_its_domain_and_the_key_that_wraps_it() -> None:
    ring, customer, data_key = WrappingKey(KEY, 7), WrappingKey(KEY), new_key()
    wrapped = ring.wrap(data_key, "acme.s3")
    assert ring.unwrap(wrapped, "default.s3") == data_key
    assert customer.unwrap(customer.wrap(data_key, "acme.c1"), "default.c1") == data_key
    for key, scope in ((ring, "acme.k1"), (WrappingKey(b"x" * 32, 7), "acme.s3"), (WrappingKey(KEY, 8), "acme.s3")):
        with pytest.raises(Tampered):
            key.unwrap(wrapped, scope)
    with pytest.raises(Tampered):
        customer.unwrap(wrapped, "acme.s3")
    assert KEY.hex() not in repr(ring) and data_key not in wrapped


def test_what_stands_for_an_etag_is_the_same_for_the_same_content_under_the_same_key() -> None:
    md5 = b"m" * 16
    assert WrappingKey(KEY).etag(md5) == WrappingKey(KEY, 1).etag(md5) != md5.hex()
    assert WrappingKey(b"x" * 32).etag(md5) != WrappingKey(KEY).etag(md5)
