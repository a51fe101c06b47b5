"""What a website makes of a path."""

from __future__ import annotations

import pytest

from gateway.website import Origin, Redirect, RoutingRule, Website, folder_location, load, stored_location

ORIGIN = Origin("http", "site.s3-website.localhost:8765")
HERE = f"http://{ORIGIN.host}/"


@pytest.mark.parametrize(
    ("redirect", "prefix", "key", "expected"),
    [
        (Redirect(host="example.com"), "", "a/b", "http://example.com/a/b"),
        (Redirect(host="example.com", protocol="https"), "", "", "https://example.com/"),
        (Redirect(protocol="https"), "", "a", f"https://{ORIGIN.host}/a"),
        (Redirect(replace_key="new.html"), "old", "old/a/b", HERE + "new.html"),
        (Redirect(replace_prefix="documents/"), "docs/", "docs/a b.html", HERE + "documents/a%20b.html"),
        (Redirect(replace_prefix=""), "docs/", "docs/test.html", HERE + "test.html"),
        (Redirect(replace_prefix="report-404/"), "", "page.html", HERE + "report-404/page.html"),
        (Redirect(replace_prefix="#!/"), "", "users/1", HERE + "#!/users/1"),
        (Redirect(replace_key="new?from=old"), "", "x", HERE + "new?from=old"),
        (Redirect(code=307), "", "x", HERE + "x"),
        # A request's own text is data, wherever it lands.
        (Redirect(protocol="https"), "", "/evil.org", f"https://{ORIGIN.host}//evil.org"),
        (Redirect(protocol="https"), "", "@evil.org", f"https://{ORIGIN.host}/@evil.org"),
        (Redirect(host="example.com"), "", "a\r\nSet-Cookie: b", "http://example.com/a%0D%0ASet-Cookie:%20b"),
        (Redirect(host="example.com"), "", "a?b#c%d\\", "http://example.com/a%3Fb%23c%25d%5C"),
        (Redirect(host="example.com"), "", "ü", "http://example.com/%C3%BC"),
        # So is what the rule says, as far as a header is concerned.
        (Redirect(host="a\r\nb: c", replace_key="d\ne"), "", "", "http://a%0D%0Ab:%20c/d%0Ae"),
    ],
)
def test_locations(redirect: Redirect, prefix: str, key: str, expected: str) -> None:
    assert redirect.location(ORIGIN, key, prefix) == expected


def test_the_query_goes_along() -> None:
    asked = Origin("https", "h", 'a=1&b=%20"x\r\n')
    assert Redirect(host="e").location(asked, "k") == "https://e/k?a=1&b=%20%22x%0D%0A"
    assert Redirect(replace_key="k?z").location(asked, "x").startswith("https://h/k?z&a=1")


def test_folders_never_read_as_hosts() -> None:
    assert folder_location("a b/c") == "/a%20b/c/"
    assert folder_location("/evil.org") == "/%2Fevil.org/"
    assert folder_location("//evil.org/x") == "/%2F%2Fevil.org/x/"
    assert folder_location("\\evil.org") == "/%5Cevil.org/"
    assert stored_location("/a?b=c#d e\r\n") == "/a?b=c#d%20e%0D%0A"


def test_rules_are_tried_in_order() -> None:
    first = RoutingRule(Redirect(replace_key="both"), "both/", 404)
    second = RoutingRule(Redirect(replace_key="prefix"), "pre")
    third = RoutingRule(Redirect(replace_key="404"), None, 404)
    fourth = RoutingRule(Redirect(replace_key="403"), None, 403)
    site = Website("index.html", rules=(first, second, third, fourth))
    assert site.rule_before("prefix") is second
    for key in ("", "both/x", "other"):
        assert site.rule_before(key) is None
    assert site.rule_after("both/x", 404) is first
    assert site.rule_after("other", 404) is third
    assert site.rule_after("both/x", 403) is fourth
    assert site.rule_after("both/x", 416) is None
    everything = Website("index.html", rules=(second, RoutingRule(Redirect(host="example.com"))))
    assert everything.rule_before("") is everything.rules[1]


def test_paths_that_end_in_a_slash_mean_the_index() -> None:
    site = Website("index.html")
    keys = {"": "index.html", "a/": "a/index.html", "a": "a", "/": "/index.html", "a//": "a//index.html"}
    assert {path: site.key_of(path) for path in keys} == keys


def test_a_website_survives_being_kept() -> None:
    rules = (RoutingRule(Redirect("h", "https", None, "", 302), "p", 404), RoutingRule(Redirect(replace_key="k")))
    for site in (Website("i", "e", None, rules), Website(redirect_all=Redirect("h", "http")), Website("i")):
        assert load(site.dump()) == site
