"""The fuzzers for a second each, and that each finds a defect that is planted for it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from gateway.auth import chunked
from gateway.http.connection import BAD_REQUEST, Connection
from gateway.policy import document
from gateway.rpc import body
from gateway.s3 import app, parse, xml
from gateway.s3.forms import file
from reliability.fuzz.run import guarded, run
from reliability.fuzz.target import Pure, case_at
from reliability.fuzz.targets import TARGETS
from reliability.fuzz.targets import xml as xml_target
from reliability.fuzz.targets.chunked import ChunkedTarget
from reliability.fuzz.through import Through

CASES = 1500


@pytest.mark.parametrize("name", TARGETS)
async def test_nothing_is_found(name: str) -> None:
    report = await run(TARGETS[name](), 7, CASES)
    assert report.good, report.found
    assert report.cases == CASES


@pytest.mark.parametrize("name", TARGETS)
async def test_nothing_is_found_in_a_gateway(name: str) -> None:
    target = Through(TARGETS[name](), 1)
    report = await run(target, 11, 300)
    assert report.good, report.found
    assert any(status < 400 for status in target.answers), "nothing was taken"
    assert any(status >= 400 for status in target.answers) or name == "rpc", "nothing was refused"


def test_a_run_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Through(TARGETS["xml"](), 10)  # which the process makes that only watches the one that runs it
    assert not list(tmp_path.iterdir())
    assert asyncio.run(run(Through(TARGETS["xml"](), 10), 1, 20)).good
    assert not list(tmp_path.iterdir())


def no_check(*args: object, **kwargs: object) -> None:
    """What a check becomes when somebody forgets it."""


def plant_http(patch: pytest.MonkeyPatch) -> None:
    turn_away = Connection._turn_away

    def any_hosts(self: Connection, status: str) -> None:
        if status != BAD_REQUEST:
            turn_away(self, status)

    patch.setattr(Connection, "_turn_away", any_hosts)


def plant_chunked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(chunked.Chain, "_check", no_check)


def plant_xml(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(xml_target, "escape", lambda text: xml.escape(text).replace("&#xD;", "\r"))


def plant_form(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(file.FormFile, "_check_most", no_check)


def plant_policy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(document, "BadCondition", KeyError)


def plant_query(patch: pytest.MonkeyPatch) -> None:
    decode = parse.unquote
    patch.setattr(parse, "unquote", lambda raw: unquote_to_bytes(decode(raw)).decode())


def plant_rpc(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(body, "decode", lambda found: found["data"] if "__type__" in found else found)


PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "http": plant_http,
    "chunked": plant_chunked,
    "xml": plant_xml,
    "form": plant_form,
    "policy": plant_policy,
    "query": plant_query,
    "rpc": plant_rpc,
}


@pytest.mark.parametrize("name", TARGETS)
async def test_a_planted_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[name](monkeypatch)
    report = await run(TARGETS[name](), 7, 8 * CASES, kinds=1)
    assert not report.good


async def test_a_5xx_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(app, "posts_form", fails)
    report = await run(Through(TARGETS["form"](), 1), 1, 20)
    assert any("answered 500" in found.what for found in report.found.values())


async def test_what_a_refusal_leaves_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Through(ChunkedTarget(), 1)
    refuse = app.S3Door._refuse

    def leaves(door: app.S3Door, visit: Any, error: Exception) -> Any:
        catalog = target._gateway._folder / "catalog.db"
        with sqlite3.connect(catalog) as connection:
            connection.execute("UPDATE tenants SET created_at = created_at + 1")
        connection.close()
        return refuse(door, visit, error)

    monkeypatch.setattr(app.S3Door, "_refuse", leaves)
    report = await run(target, 1, 10)
    assert any("changed the catalog" in found.what for found in report.found.values())


# -- what a process of its own is for


class Odd(Pure):
    """Cases of one byte; what a byte of 7 does is told."""

    name = "odd"

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deed = deed

    def generate(self, rng: Random) -> bytes:
        return bytes((int(rng.random() * 50),))

    def check(self, case: bytes) -> None:
        if case == b"\x07":
            self._deed()


def hang() -> None:
    while True:
        time.sleep(1)


@pytest.mark.parametrize(("deed", "told"), [(hang, "no end after"), (lambda: os._exit(3), "died with 3")])
def test_a_case_that_never_ends_or_kills_is_found(deed: Callable[[], object], told: str) -> None:
    report = guarded(lambda: Odd(deed), 5, 60, deadline=1)
    assert report.cases == 60
    assert [found.case for found in report.found.values()] == [b"\x07"] * len(report.found)
    assert report.found and all(told in found.what for found in report.found.values())


def test_memory_that_grows_is_found() -> None:
    kept: list[bytes] = []
    report = guarded(lambda: Odd(lambda: kept.append(bytes(40_000))), 1, 100_000)
    assert "memory" in report.found


async def test_a_slow_case_is_found() -> None:
    def burn() -> None:
        ends = time.process_time() + 0.3
        while time.process_time() < ends:
            pass

    assert "slow" in (await run(Odd(burn), 5, 100, kinds=1)).found


def test_a_case_is_told_by_its_number() -> None:
    for make in TARGETS.values():
        assert case_at(make(), 3, 142) == case_at(make(), 3, 142) != case_at(make(), 4, 142)
