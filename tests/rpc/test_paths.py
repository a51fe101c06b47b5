"""Paths and patterns of the Nexus door."""

from __future__ import annotations

import time

import pytest

from gateway.rpc.errors import INVALID_PATH, RpcError
from gateway.rpc.globbing import Pattern
from gateway.rpc.paths import Place, is_key, parse


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", ("", "")),
        ("", ("", "")),
        ("/ws", ("ws", "")),
        ("ws/", ("ws", "")),
        ("/ws/a/b", ("ws", "a/b")),
        ("ws//a/./b/", ("ws", "a/b")),
        ("/ws/a..b/...", ("ws", "a..b/...")),
        ("/ws/ü€😀 +%2F", ("ws", "ü€😀 +%2F")),
    ],
)
def test_a_path_has_one_spelling(path: str, place: tuple[str, str]) -> None:
    assert parse(path) == Place(*place)
    assert parse(parse(path).path) == Place(*place)


@pytest.mark.parametrize(
    "path", ["/ws/../x", "..", "/ws/a\0b", "/ws/\n", "/ws/\x7f", "/ws/\ud800", "/ws/" + "x" * 2000]
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(RpcError) as refused:
        parse(path)
    assert refused.value.code == INVALID_PATH


def test_keys_that_no_path_names() -> None:
    assert is_key("a/b") and not any(is_key(key) for key in ("", "/a", "a//b", "a/../b", "./a", "a\nb"))


@pytest.mark.parametrize(
    ("directory", "pattern", "base", "yes", "no"),
    [
        ("/", "**/*.txt", "/", ["/ws/a.txt", "/ws/d/e/a.txt", "/a.txt"], ["/ws/a.md", "/ws/txt"]),
        ("/ws", "*.txt", "/ws", ["/ws/a.txt", "/ws/.txt"], ["/ws/d/a.txt", "/other/a.txt"]),
        ("/ws", "d/*/x?[ab]", "/ws/d", ["/ws/d/1/x1a"], ["/ws/d/x1a", "/ws/d/1/x1c", "/ws/d/1/2/x1a"]),
        ("/ws", "/other/**", "/other", ["/other/a", "/other/a/b"], ["/ws/a"]),
        ("/ws", "a/**/b/**/c", "/ws/a", ["/ws/a/b/c", "/ws/a/1/b/2/3/c"], ["/ws/a/c", "/ws/b/c"]),
        ("/ws", "plain", "/ws", ["/ws/plain"], ["/ws/plain/a", "/ws/plai"]),
        ("/ws", "[!a]*", "/ws", ["/ws/b"], ["/ws/a"]),
    ],
)
def test_patterns(directory: str, pattern: str, base: str, yes: list[str], no: list[str]) -> None:
    found = Pattern(directory, pattern)
    assert found.base == base
    below = base.rstrip("/") + "/"
    assert all(found.matches(path) for path in yes)
    assert not any(found.matches(path) for path in no if path.startswith(below))


def test_no_pattern_takes_for_ever() -> None:
    start = time.monotonic()
    path = "/ws/" + "/".join(["a" * 30] * 30)
    for pattern in ("**/" * 300 + "b", "/".join(["**", "*a*a*a*a*a*a*b"] * 20), "*" * 1000):
        Pattern("/ws", pattern).matches(path)
    assert time.monotonic() - start < 5
