"""Listings against a model: what a plain loop over sorted keys would give."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.catalog.base import Many, Program
from gateway.catalog.listing import Page, list_objects, list_uploads, list_versions, successor
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
    letters = ["a", "b", "/", "-", "é", "\U0001f600", "\x01", "\x00", "\U0010ffff"]
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


async def test_common_prefixes_that_follow_one_another_are_found_by_one_statement(catalog: SqliteCatalog) -> None:
    await catalog.write(insert, [f"{a:03}/{b:05}" for a in range(20) for b in range(500)])
    statements = rows = 0

    def counted() -> Program[list[bytes]]:
        nonlocal statements, rows
        program = list_objects(1, b"", b"/", b"", 1000)
        found = None
        try:
            while True:
                step = program.send(found)  # type: ignore[arg-type]
                found = yield step
                statements, rows = statements + 1, rows + len(found)
        except StopIteration as done:
            return list(done.value.prefixes)

    assert await catalog.scan(counted) == [f"{a:03}/".encode() for a in range(20)]
    assert (statements, rows) == (2, 3)


# -- versions and uploads, by the same model


def insert_versions(shown: dict[str, int], hidden: list[tuple[str, int, bool]]) -> Program[None]:
    columns = "store_id, scope, size, etag, modified_at, created_at, owner_id, content_type, storage_class, parts"
    values = "1, 'default', 0, '', 0, 0, 'u', '', 'STANDARD', 0"
    yield Many(
        f"INSERT INTO objects (bucket_id, key, version, {columns}) VALUES (1, ?, ?, {values})",
        [(key.encode(), version) for key, version in shown.items()],
    )
    yield Many(
        f"INSERT INTO versions (bucket_id, key, version, version_id, is_marker, {columns})"
        f" VALUES (1, ?, ?, ?, ?, {values})",
        [(key.encode(), version, str(version), marker) for key, version, marker in hidden],
    )


def insert_uploads(uploads: list[tuple[str, str]]) -> Program[None]:
    yield Many(
        "INSERT INTO uploads (bucket_id, key, id, initiated_at, owner_id, store_id, scope, attributes, completed_at)"
        " VALUES (1, ?, ?, 0, 'u', 1, 'default', '[]', ?)",
        [(key.encode(), upload_id, 1 if upload_id == "done" else None) for key, upload_id in uploads],
    )


def entries_of(items: list[tuple[str, str]], prefix: str, delimiter: str) -> list[tuple[bytes, str]]:
    """What a listing tells of (key, something) in order: those, and (common prefix, "") for what is rolled up."""
    entries: list[tuple[bytes, str]] = []
    for key, which in items:
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = (key.encode(), which) if cut < 0 else (key[: cut + len(delimiter)].encode(), "")
        if entry not in entries:
            entries.append(entry)
    return entries


def in_order(page: Page, which: int) -> list[tuple[bytes, str]]:
    """A page's entries in the order of their names; versions of one key, or uploads, stay as they came."""
    found = [(row[0], str(row[which])) for row in page.rows] + [(prefix, "") for prefix in page.prefixes]
    return sorted(found, key=lambda entry: entry[0])


LETTERS = ["a", "b", "/", "-", "é", "\x00"]


@pytest.mark.parametrize("seed", range(8))
async def test_versions_page_by_page_equal_the_model(catalog: SqliteCatalog, seed: int) -> None:
    rng = random.Random(seed)
    keys = sorted({"".join(rng.choices(LETTERS, k=rng.randint(1, 5))) for _ in range(80)}, key=str.encode)
    shown = {key: 9 for key in keys if rng.random() < 0.7}
    hidden = [(key, n, rng.random() < 0.3) for key in keys for n in range(rng.randint(0 if key in shown else 1, 4))]
    await catalog.write(insert_versions, shown, hidden)
    every = [(key, 9) for key in shown] + [(key, version) for key, version, _ in hidden]
    items = [(key, str(version)) for key, version in sorted(every, key=lambda each: (each[0].encode(), -each[1]))]
    for _ in range(40):
        prefix, delimiter = "".join(rng.choices(LETTERS, k=rng.randint(0, 1))), rng.choice(["", "/", "-", "é", "a/"])
        limit = rng.choice([1, 2, 3, 7, 1000])
        seen: list[tuple[bytes, str]] = []
        after, past = b"", None
        while True:
            page = await catalog.scan(list_versions, 1, prefix.encode(), delimiter.encode(), after, past, limit)
            assert len(page.rows) + len(page.prefixes) <= limit
            seen += in_order(page, 1)
            if not page.truncated:
                break
            after = page.last
            past = page.rows[-1][1] if page.rows and page.rows[-1][0] == page.last else None
        assert seen == entries_of(items, prefix, delimiter), (prefix, delimiter, limit)


async def test_a_marker_past_the_prefix_shows_nothing_beyond_it(catalog: SqliteCatalog) -> None:
    """Who may list one prefix only must not learn versions of another key by naming it as the marker."""
    await catalog.write(insert_versions, {"a": 9, "b": 9, "b/c": 9}, [("b", 3, False), ("b/c", 3, True)])
    for marker in (b"b", b"b/c"):
        for delimiter in (b"", b"/"):
            page = await catalog.scan(list_versions, 1, b"a", delimiter, marker, 9, 1000)
            assert page == Page([], [], False, b"")


@pytest.mark.parametrize("seed", range(8))
async def test_uploads_page_by_page_equal_the_model(catalog: SqliteCatalog, seed: int) -> None:
    rng = random.Random(seed)
    keys = sorted({"".join(rng.choices(LETTERS, k=rng.randint(1, 5))) for _ in range(80)}, key=str.encode)
    uploads = [(key, f"{key!r}{number}") for key in keys for number in range(rng.randint(1, 3))]
    await catalog.write(insert_uploads, [*uploads, ("-", "done")])
    items = sorted(uploads, key=lambda each: (each[0].encode(), each[1]))
    for _ in range(40):
        prefix, delimiter = "".join(rng.choices(LETTERS, k=rng.randint(0, 1))), rng.choice(["", "/", "-", "é", "a/"])
        limit = rng.choice([1, 2, 3, 7, 1000])
        seen: list[tuple[bytes, str]] = []
        after, past = b"", ""
        while True:
            page = await catalog.scan(list_uploads, 1, prefix.encode(), delimiter.encode(), after, past, limit)
            assert len(page.rows) + len(page.prefixes) <= limit
            seen += in_order(page, 1)
            if not page.truncated:
                break
            after = page.last
            past = page.rows[-1][1] if page.rows and page.rows[-1][0] == page.last else "\U0010ffff"
        assert seen == entries_of(items, prefix, delimiter), (prefix, delimiter, limit)
