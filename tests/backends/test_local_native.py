"""A directory as it stands: the contract, and what only a file system can do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends import local_walk
from backends.base import ByteRange, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.hidden import Hidden
from backends.local_files import NOTE, opened_folder
from backends.local_native import LocalNative
from backends.native import KeyRefused, NativeAttributes, NativeStore, StateChanged
from tests.contracts.native_store import PLAIN, SAID, NativeStoreContract, chunks, content, put, shown


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[NativeStore]:
    native = Hidden(LocalNative(tmp_path))
    yield native
    await native.close()


class TestLocalNative(NativeStoreContract):
    pass


async def test_opening_and_reading_write_nothing(store: NativeStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    await store.probe()
    assert await content(store, "a") == b"1"
    assert await shown(store) == ["a"]
    assert os.listdir(tmp_path) == ["a"]


async def test_what_others_change_has_another_etag(store: NativeStore, tmp_path: Path) -> None:
    made = await store.write("a.thing", chunks(b"one"), SAID)
    (tmp_path / "a.thing").write_bytes(b"two")
    found = await store.find("a.thing")
    assert found is not None and "-" in found.entry.etag and found.entry.state != made.entry.state
    assert found.attributes == SAID, "what was said of it stays"
    with pytest.raises(StateChanged):
        await store.delete("a.thing", made.entry.state)


async def test_a_file_that_changes_while_it_is_read_is_not_mixed(store: NativeStore, tmp_path: Path) -> None:
    made = await put(store, "a", b"1" * 3_000_000)
    reading = aiter(store.read("a", ByteRange(0, 3_000_000), made.entry.state))
    assert set(await anext(reading)) == {ord("1")}
    (tmp_path / "a").write_bytes(b"2" * 3_000_000)  # into the same file
    with pytest.raises(StateChanged):
        await anext(reading)


async def test_a_reader_finishes_what_is_overwritten_meanwhile(store: NativeStore) -> None:
    made = await put(store, "a", b"1" * 3_000_000)
    reading = aiter(store.read("a", ByteRange(0, 3_000_000), made.entry.state))
    first = await anext(reading)
    await put(store, "a", b"2" * 3_000_000)
    rest = b"".join([chunk async for chunk in reading])
    assert first + rest == b"1" * 3_000_000


async def test_links_and_devices_are_neither_shown_nor_followed(store: NativeStore, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    native = LocalNative(tmp_path / "root")
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "root" / "pipe")
    assert await shown(native) == []
    for key in ("link", "up/outside", "pipe", "../outside"):
        assert await native.find(key) is None
        with pytest.raises(KeyRefused):
            await put(native, key)
        await native.delete(key)
    assert (tmp_path / "outside").read_text() == "secret"
    assert (tmp_path / "root" / "link").is_symlink() and (tmp_path / "root" / "pipe").exists()
    await native.close()


@pytest.mark.parametrize("key", ["", "/", "a//b", ".", "..", "a/..", "a/\0", "n" * 256, "d", "f/x", "f/", ".nexus/x"])
async def test_keys_that_no_file_can_have(store: NativeStore, tmp_path: Path, key: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_text("1")
    (tmp_path / "f").write_text("1")
    with pytest.raises(KeyRefused):
        await store.write(key, chunks(b""), PLAIN)
    assert await store.find(key) is None
    assert await shown(store) == ["d/file", "f"]


async def test_directories_that_were_made_as_such_stay(store: NativeStore, tmp_path: Path) -> None:
    await store.write("made/", chunks(), PLAIN)
    await put(store, "made/a")
    await put(store, "implied/b/c")
    assert await shown(store) == ["implied/b/c", "made/", "made/a"]
    await store.delete("made/a")
    await store.delete("implied/b/c")
    assert await shown(store) == ["made/"]
    assert (tmp_path / "made").is_dir() and not (tmp_path / "implied").exists()
    with pytest.raises(KeyRefused):
        await store.write("made/", chunks(b"content"), PLAIN)
    await put(store, "made/a")
    await store.delete("made/")
    assert await shown(store) == ["made/a"]


async def test_directories_of_others_are_objects_while_they_are_empty(store: NativeStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert await shown(store) == ["empty/"]
    assert await shown(store, "empty/", "/") == ["empty/"]
    await store.delete("empty/")
    assert not (tmp_path / "empty").exists()


async def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    native = LocalNative(tmp_path / "absent")
    with pytest.raises(StoreMisconfigured, match="must be a directory"):
        await native.probe()
    with pytest.raises(StoreUnavailable):
        await native.find("a")
    await native.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
async def test_what_the_server_may_not_do_is_refused(store: NativeStore, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)
    try:
        with pytest.raises(StoreRefused):
            await put(store, "a")
    finally:
        os.chmod(tmp_path, 0o700)


async def test_without_extended_attributes_metadata_is_refused(
    store: NativeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", unsupported)
    with pytest.raises(KeyRefused, match="keeps no metadata"):
        await store.write("a.txt", chunks(b"1"), SAID)
    made = await store.write("a.txt", chunks(b"1"), PLAIN)
    assert "-" in made.entry.etag and made == await store.find("a.txt")
    assert await shown(store) == ["a.txt"]


@pytest.mark.parametrize("note", [b"", b"{}", b"[1,2,3,4,5]", b'["s","e","a\\r\\nb",{},{}]', b"\xff"])
async def test_notes_of_others_are_not_believed(store: NativeStore, tmp_path: Path, note: bytes) -> None:
    (tmp_path / "a.txt").write_text("1")
    os.setxattr(tmp_path / "a.txt", NOTE, note)
    found = await store.find("a.txt")
    assert found is not None and found.attributes == NativeAttributes("text/plain")


async def test_drafts_of_dead_processes_are_swept(tmp_path: Path) -> None:
    drafts = tmp_path / ".nexus" / "drafts"
    drafts.mkdir(parents=True)
    for name, age in (("old", 2 * 24 * 3600), ("new", 60)):
        (drafts / name).write_text("x")
        os.utime(drafts / name, (time.time() - age,) * 2)
    native = LocalNative(tmp_path)
    await put(native, "a")
    assert os.listdir(drafts) == ["new"]
    await native.close()


async def test_names_that_are_no_text_are_left_alone(store: NativeStore, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\xfe")).write_text("1")
    (tmp_path / "a").write_text("1")
    assert await shown(store) == ["a"]


async def test_large_directories_are_read_once_and_never_out_of_date(
    store: NativeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_walk, "WORTH_IT", 3)
    for number in range(9):
        (tmp_path / f"{number}").write_text("x")
    past = time.time() - 60
    os.utime(tmp_path, (past, past))
    reads: list[int] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda fd: (reads.append(1), scandir(fd))[1])
    assert len(await shown(store, size=2)) == 9
    assert len(reads) == 1
    (tmp_path / "10").write_text("x")
    assert "10" in await shown(store, size=2)


_HALF = """
import asyncio, os, sys
from pathlib import Path
from backends.local_native import LocalNative
from backends.native import NativeAttributes

async def body():
    yield b"new" * 500_000
    print("half", flush=True)
    await asyncio.sleep(60)

asyncio.run(LocalNative(Path(sys.argv[1])).write("a", body(), NativeAttributes()))
"""


async def test_a_killed_writer_leaves_the_former_object(store: NativeStore, tmp_path: Path) -> None:
    made = await put(store, "a", b"old")
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HALF, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None and await writer.stdout.readline() == b"half\n"
    writer.kill()
    await writer.wait()
    assert await store.find("a") == made
    assert await content(store, "a") == b"old"
    assert await shown(store) == ["a"]


@pytest.mark.parametrize("value", ["a\tb", "no\u00a0break", "zero\u200dwidth", "next\u0085line", "private\ue000"])
async def test_metadata_is_kept_whatever_a_header_may_hold(store: NativeStore, value: str) -> None:
    made = await store.write("a", chunks(b"one"), NativeAttributes("text/plain", {}, {"said": value}))
    found = await store.find("a")
    assert found is not None
    assert (found.attributes.metadata, found.entry.etag) == ({"said": value}, made.entry.etag)


async def test_our_own_directory_is_made_again_where_others_removed_it(store: NativeStore, tmp_path: Path) -> None:
    await put(store, "a", b"1")
    shutil.rmtree(tmp_path / ".nexus")
    await store.delete("a")
    assert os.listdir(tmp_path) == [".nexus"], "deleted, and not only said to be"
    shutil.rmtree(tmp_path / ".nexus")
    await put(store, "a", b"2")
    assert await content(store, "a") == b"2"


def test_a_directory_that_was_made_a_moment_ago_is_synced_by_whoever_writes_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made" / "before").mkdir(parents=True)
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))

    def enter() -> list[str]:
        synced.clear()
        with opened_folder(str(tmp_path), [b"made", b"before"], make=True, sync=True):
            return list(synced)

    assert enter() == [str(tmp_path), str(tmp_path / "made")]
    for folder in (tmp_path, tmp_path / "made"):
        os.utime(folder, (0, 0))
    assert enter() == []
