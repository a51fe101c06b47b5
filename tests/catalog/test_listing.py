"""Listings against a model: what a plain loop over sorted keys would give."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.catalog.base import Many, Program
from gateway.catalog.listing import list_objects, successor
from gateway.catalog.sqlite import SqliteCatalog


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[SqliteCatalog]:
    catalog = SqliteCatalog(tmp_path / "catalog.db", fsync=False)
    yield catalog
    await catalog.close()


def insert(keys: list[str]) -> Program[None]:
    yield Many(
        "INSERT INTO objects (bucket_id, key, store_id, scope, size, etag, modified_at, created_at, owner_id,"
        " content_type, storage_class, version, parts)"
        " VALUES (1, ?, 1, 'default', 0, '', 0, 0, 'u', '', 'STANDARD', 1, 0)",
        [(key.encode(),) for key in keys],
    )


def model(keys: list[str], prefix: str, delimiter: str, after: str, limit: int) -> tuple[list[str], list[str], bool]:
    """The page that S3's documentation describes, by brute force."""
    entries: list[tuple[str, bool]] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = (key, False) if cut < 0 else (key[: cut + len(delimiter)], True)
        past = key.encode() > after.encode() and not (entry[1] and entry[0] == after)
        if past and entry not in entries:
            entries.append(entry)
    page = entries[:limit]
    return (
        [name for name, rolled in page if not rolled],
        [name for name, rolled in page if rolled],
        len(entries) > limit,
    )


def test_successor_is_past_everything_with_the_prefix() -> None:
    assert successor(b"a") == b"b"
    assert successor(b"a\xff\xff") == b"b"
    assert successor("\U0010ffff".encode()) > "\U0010ffff\U0010ffff".encode()
    assert successor(b"") == b"\xff"


@pytest.mark.parametrize("seed", range(12))
async def test_pages_equal_the_model(catalog: SqliteCatalog, seed: int) -> None:
    rng = random.Random(seed)
    letters = ["a", "b", "/", "-", "é", "\U0001f600", "\x01"]
    keys = sorted({"".join(rng.choices(letters, k=rng.randint(1, 6))) for _ in range(200)})
    await catalog.write(insert, keys)
    for _ in range(60):
        prefix = "".join(rng.choices(letters, k=rng.randint(0, 2)))
        delimiter = rng.choice(["", "/", "-", "//", "é", "a/"])
        limit = rng.choice([1, 2, 3, 7, 1000])
        after = rng.choice(["", "", rng.choice(keys), prefix + "/"])
        page = await catalog.scan(list_objects, 1, prefix.encode(), delimiter.encode(), after.encode(), limit)
        got = ([row[0].decode() for row in page.rows], [p.decode() for p in page.prefixes], page.truncated)
        assert got == model(keys, prefix, delimiter, after, limit), (prefix, delimiter, after, limit)


@pytest.mark.parametrize("delimiter", ["", "/"])
async def test_walking_page_by_page_sees_everything_once(catalog: SqliteCatalog, delimiter: str) -> None:
    keys = [f"{a}/{b}" if b else a for a in "abcdefg" for b in ("", "1", "2", "3")]
    await catalog.write(insert, keys)
    seen: list[str] = []
    after = b""
    while True:
        page = await catalog.scan(list_objects, 1, b"", delimiter.encode(), after, 2)
        seen += [row[0].decode() for row in page.rows] + [p.decode() for p in page.prefixes]
        if not page.truncated:
            break
        after = page.last
    expected = keys if not delimiter else [name for a in "abcdefg" for name in (a, f"{a}/")]
    assert sorted(seen) == sorted(expected)


async def test_a_rolled_up_page_does_not_read_what_it_rolls_up(catalog: SqliteCatalog) -> None:
    await catalog.write(insert, [f"{a:03}/{b:05}" for a in range(20) for b in range(500)])
    steps = 0

    def counted() -> Program[list[bytes]]:
        nonlocal steps
        program = list_objects(1, b"", b"/", b"", 1000)
        rows = None
        try:
            while True:
                step = program.send(rows)  # type: ignore[arg-type]
                rows = yield step
                steps += len(rows)
        except StopIteration as done:
            return list(done.value.prefixes)

    assert len(await catalog.scan(counted)) == 20
    assert steps <= 20 * 2 + 2
