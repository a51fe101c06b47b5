"""Which rule lets which page ask."""

from __future__ import annotations

from time import perf_counter

import pytest

from gateway.cors import MAX_ORIGIN, MAX_REQUESTED, CorsRule, CorsRules, dump, load

GET = ("GET",)


def allows(pattern: str, origin: str) -> bool:
    return CorsRules([CorsRule((pattern,), GET)]).match(origin, "GET") is not None


@pytest.mark.parametrize(
    ("pattern", "origin", "expected"),
    [
        ("*", "https://example.com", True),
        ("*", "null", True),
        ("null", "null", True),
        ("https://example.com", "null", False),
        ("https://example.com", "https://example.com", True),
        ("https://example.com", "http://example.com", False),
        ("https://example.com", "https://example.com:443", False),
        ("https://example.com:8080", "https://example.com:8080", True),
        ("https://example.com", "https://EXAMPLE.com", False),
        ("https://example.com", "https://example.com/", False),
        ("https://example.com", "https://example.com.evil.org", False),
        ("https://example.com", "https://exampleXcom", False),
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://a.example.com.evil.org", False),
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", False),
        ("*suffix", "foo.suffix", True),
        ("*suffix", "foo.suffix.get", False),
        ("prefix*", "prefix", True),
        ("prefix*", "bla.prefix", False),
        ("start*end", "startend", True),
        ("start*end", "start12end", True),
        ("start*end", "starend", False),
        ("star*rend", "starend", False),
        ("a.*c", "a.bc", True),
        ("a.*c", "axbc", False),
        ("http://[::1]:*", "http://[::1]:80", True),
        ("", "https://example.com", False),
        ("https://a|https://b", "https://b", False),
        ("*", "o" * MAX_ORIGIN, True),
        ("*", "o" * (MAX_ORIGIN + 1), False),
    ],
)
def test_origins(pattern: str, origin: str, expected: bool) -> None:
    assert allows(pattern, origin) is expected


@pytest.mark.parametrize(
    ("patterns", "requested", "expected"),
    [
        ((), [], True),
        ((), ["x-amz-date"], False),
        (("*",), ["anything", "at-all"], True),
        (("x-amz-*",), ["x-amz-date", "X-AMZ-ACL"], True),
        (("x-amz-*",), ["x-amz-date", "authorization"], False),
        (("x-AMZ-meta-Tag",), ["x-amz-META-tag"], True),
        (("content-type", "*-md5"), ["content-md5", "content-type"], True),
        (("x-*-a",), ["x-a"], False),
        (("x-*-a",), ["x--a"], True),
        (("*",), ["h"] * MAX_REQUESTED, True),
        (("*",), ["h"] * (MAX_REQUESTED + 1), False),
    ],
)
def test_headers(patterns: tuple[str, ...], requested: list[str], expected: bool) -> None:
    rules = CorsRules([CorsRule(("*",), GET, patterns)])
    assert (rules.match("https://a", "GET", requested) is not None) is expected


def test_methods_are_compared_in_their_case() -> None:
    rules = CorsRules([CorsRule(("*",), ("GET", "PUT"))])
    assert rules.match("a", "PUT") and not rules.match("a", "put") and not rules.match("a", "HEAD")


def test_the_first_rule_that_fits_wholly_decides() -> None:
    rules = CorsRules(
        [
            CorsRule(("https://a",), ("PUT",), id="puts of a"),
            CorsRule(("https://a",), ("GET",), ("x-special",), id="gets of a"),
            CorsRule(("https://a", "*"), ("GET", "PUT"), ("*",), id="all"),
        ]
    )

    def chosen(*asked: object) -> str | None:
        rule = rules.match(*asked)  # type: ignore[arg-type]
        return None if rule is None else rule.id

    assert chosen("https://a", "PUT") == "puts of a"
    assert chosen("https://a", "PUT", ["x"]) == "all"
    assert chosen("https://a", "GET", ["X-Special"]) == "gets of a"
    assert chosen("https://b", "PUT") == "all"
    assert chosen("https://b", "DELETE") is None
    assert [rule.allows_anybody for rule in rules.rules] == [False, False, True]


def test_rules_survive_being_kept() -> None:
    rules = (CorsRule(("*",), GET, ("a",), ("b",), 0, "id"), CorsRule(("x", "y"), ("PUT", "GET")))
    assert load(dump(rules)).rules == rules


def test_no_rule_takes_long_to_match() -> None:
    patterns = tuple(f"*{'a' * 100}{number}" for number in range(500))
    rules = CorsRules([CorsRule((*patterns, "*"), GET, patterns)])
    began = perf_counter()
    assert rules.match("a" * MAX_ORIGIN, "GET", ["a" * 60_000]) is None
    assert perf_counter() - began < 1


def test_thousands_of_patterns_are_no_walk_for_whoever_asks() -> None:
    headers = tuple(f"{n:x}*" for n in range(10_000))
    rules = CorsRules([CorsRule(("*",), GET, headers)])
    rules.match("https://a", "GET", ["x"])
    before = perf_counter()
    for _ in range(10):
        assert rules.match("https://a", "GET", [f"{n:x}-z" for n in range(MAX_REQUESTED)]) is not None
        assert rules.match("https://a", "GET", ["zzz"] * MAX_REQUESTED) is None
    assert perf_counter() - before < 0.2
