"""The page about security names tests that exist: a promise without its test would be none."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"
ROWS = [
    line.split(" | ")
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| Where |")
]
NAME = re.compile(r"(?:CVE-\d+-\d+|GHSA-[a-z0-9-]+)")
_TEST = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of a file's tests."""
    nodes = ast.walk(ast.parse((TESTS / file).read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][2:40] if isinstance(row, list) else None)
def test_each_row_names_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 3
    named = _TEST.findall(row[2])
    assert named and "".join(f"`{file}::{name}`" for file, name in named) == row[2].rstrip(" |").replace(", ", "")
    for file, name in named:
        assert name in names_in(file), f"{file} has no {name}"


def test_there_are_rows_and_none_is_there_twice() -> None:
    known = [name for row in ROWS for name in NAME.findall(row[0])]
    assert len(ROWS) >= 40
    twice = {name for name in known if known.count(name) > 1} - {"CVE-2026-40344"}
    assert not twice, "an entry with two sides is named above"
